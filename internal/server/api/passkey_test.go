package api

import (
	"encoding/json"
	"testing"

	"catenary/internal/server/object"
	"catenary/internal/server/signin/signintest"
)

const passkeyPath = "/api/v2/session/passkey"

func ceremonyAnswer(d *desk, of ceremonyObject, name string, credential json.RawMessage) string {
	d.t.Helper()
	return asJSON(d, map[string]any{"ceremony": of.Ceremony, "name": name, "credential": credential})
}

func TestPasskeySignIn(t *testing.T) {
	d := newDesk(t)
	begin := func() ceremonyObject { return data[ceremonyObject](t, d.send("POST", passkeyPath+"/login/begin", "")) }
	same(t, d.send("POST", passkeyPath+"/login/begin", "").Code, 400) // nobody knows the site
	configure(d, siteSetting, ourSite)
	a := signintest.NewAuthenticator(t, ourSite)
	same(t, status(d.call("POST", passkeyPath+"/register/begin", `{}`)), "400 the password is needed, and without a session the user name, too")
	same(t, d.send("POST", passkeyPath+"/register/begin", `{`+annSays+`}`).Code, 403)
	of := data[ceremonyObject](t, d.call("POST", passkeyPath+"/register/begin", `{`+annSays+`}`))
	made := a.Make(of.PublicKey)
	k := data[passkeyObject](t, d.call("POST", passkeyPath+"/register/finish", ceremonyAnswer(d, of, "blue key", made)))
	same(t, []any{k.ID, k.Name}, []any{int64(1), "blue key"})
	const over = "401 Unauthorized: this was not begun here, or too long ago, or is over: begin again"
	same(t, status(d.call("POST", passkeyPath+"/register/finish", ceremonyAnswer(d, of, "again", made))), over)

	for range 2 {
		of = begin()
		shown := a.Show(of.PublicKey)
		same(t, works(d, d.send("POST", passkeyPath+"/login/finish", ceremonyAnswer(d, of, "", shown))), "ann")
		same(t, status(d.send("POST", passkeyPath+"/login/finish", ceremonyAnswer(d, of, "", shown))), over) // replayed
	}
	of, other := begin(), begin()
	w := d.send("POST", passkeyPath+"/login/finish", ceremonyAnswer(d, other, "", a.Show(of.PublicKey)))
	same(t, w.Code, 401)
	same(t, data[[]passkeyObject](t, d.call("GET", passkeyPath, ""))[0].LastUsed == isoTime{}, false)

	bob := d.person("bob")
	as := d.session
	d.session = d.begun(bob.Created, bob)
	of = data[ceremonyObject](t, d.call("POST", passkeyPath+"/register/begin", `{`+annSays+`}`))
	d.session = as
	same(t, status(d.call("POST", passkeyPath+"/register/finish", ceremonyAnswer(d, of, "x", a.Make(of.PublicKey)))), over) // bob's ceremony

	alter(d, "user", "bob", func(o *object.Object) { o.Set("display_name", "Bob") })
	same(t, d.call("DELETE", passkeyPath+"/1", "").Code, 200)
	of = begin()
	same(t, d.send("POST", passkeyPath+"/login/finish", ceremonyAnswer(d, of, "", a.Show(of.PublicKey))).Code, 401)
	same(t, d.call("DELETE", passkeyPath+"/1", "").Code, 404)
	silent(d, of.Ceremony)
}
