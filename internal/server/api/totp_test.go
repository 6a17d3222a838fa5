package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"
)

const (
	factorPath = "/api/v2/session/second_factor"
	needCode   = `401 Unauthorized: a second factor is needed: send the code that your program shows, or a recovery code, as "secondary"`
	wrongCode  = "401 Unauthorized: the second factor is wrong, or was used before"
	annSays    = `"password":"correct horse battery"`
)

// enrolled gives ann a second factor; it returns the secret and the recovery
// codes.
func enrolled(d *desk) (string, []string) {
	d.t.Helper()
	src := data[sourceObject](d.t, d.call("POST", factorPath, `{`+annSays+`}`))
	codes := data[codesObject](d.t, d.call("POST", factorPath+"/confirm", fmt.Sprintf(`{%s,"code":%q}`, annSays, codeAt(d, src.Secret, 0))))
	return src.Secret, codes.RecoveryCodes
}

// codeAt is what the program shows after so many periods.
func codeAt(d *desk, secret string, periods int) string {
	d.t.Helper()
	code, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(periods)*30*time.Second))
	must(d.t, err)
	return code
}

func withCode(code string) string {
	return fmt.Sprintf(`{"username":"ann","password":"correct horse battery","secondary":%q}`, code)
}

func TestSecondFactor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.want(d.call("GET", factorPath, ""), 200, `{"data":{"enabled":false,"required":false,"since":"2001-01-01T00:00:00Z","recovery_codes":0}}`)
		same(t, status(d.call("POST", factorPath, `{}`)), "400 the password is needed, and without a session the user name, too")
		same(t, status(d.call("POST", factorPath, `{"password":"x"}`)), "401 Unauthorized: wrong user name or password")
		secret, codes := enrolled(d)
		d.want(d.call("GET", factorPath, ""), 200, `{"data":{"enabled":true,"required":false,"since":"2000-01-01T00:00:00Z","recovery_codes":10}}`)
		same(t, status(d.call("POST", factorPath, `{`+annSays+`}`)), "400 there is a second factor already: remove it first")
		same(t, status(d.call("POST", factorPath+"/confirm", `{`+annSays+`,"code":"1"}`)), "400 no second factor waits to be confirmed")

		same(t, logIn(d, goodLogin), needCode)
		same(t, logIn(d, withCode(codeAt(d, secret, 0))), wrongCode) // has confirmed the factor
		same(t, logIn(d, withCode(codeAt(d, secret, 1))), "200")
		same(t, logIn(d, withCode(codeAt(d, secret, 1))), wrongCode) // again
		same(t, logIn(d, withCode(codeAt(d, secret, 0))), wrongCode) // an earlier one
		time.Sleep(time.Minute)                                      // fake time
		same(t, logIn(d, withCode(codeAt(d, secret, 0))), "200")
		same(t, logIn(d, withCode("000000")), wrongCode)
		same(t, logIn(d, `{"username":"ann","password":"x","secondary":"000000"}`), "401 Unauthorized: wrong user name or password")

		same(t, logIn(d, withCode(strings.ToUpper(codes[3]))), "200")
		same(t, logIn(d, withCode(codes[3])), wrongCode)
		same(t, logIn(d, withCode(codes[4])), "200")
		time.Sleep(30 * time.Second)
		old := d.send("POST", "/auth", "", "username", "ann", "password", testPassword, "secondary", codeAt(d, secret, 0))
		same(t, sessionForm.MatchString(old.Body.String()), true)
		time.Sleep(time.Minute)

		again := data[codesObject](t, d.call("POST", factorPath+"/recovery_codes", fmt.Sprintf(`{%s,"code":%q}`, annSays, codeAt(d, secret, 0)))).RecoveryCodes
		same(t, logIn(d, withCode(codes[0])), wrongCode)
		same(t, logIn(d, withCode(again[0])), "200")
		same(t, status(d.call("DELETE", factorPath, `{`+annSays+`,"code":"x"}`)), wrongCode)
		off := data[factorObject](t, d.call("DELETE", factorPath, fmt.Sprintf(`{%s,"code":%q}`, annSays, again[1])))
		same(t, off.Enabled, false)
		same(t, logIn(d, goodLogin), "200")
		silent(d, append(append(codes, again...), secret)...)
	})
}

// Who knows the password has ten guesses at the code, from wherever he comes.
func TestCodesAreNotGuessed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		secret, _ := enrolled(d)
		for i := range failuresMax {
			d.from = fmt.Sprintf("192.0.2.%d:1", i)
			same(t, logIn(d, withCode("000000")), wrongCode)
		}
		time.Sleep(time.Minute)
		same(t, logIn(d, withCode(codeAt(d, secret, 0))), "401 Too many wrong codes: wait 5m0s and try again")
		same(t, logIn(d, goodLogin), needCode)
		time.Sleep(lockout)
		same(t, logIn(d, withCode(codeAt(d, secret, 0))), "200")
		for range 3 * failuresMax { // asking what is needed is no guess
			same(t, logIn(d, goodLogin), needCode)
		}
	})
}

// Of many who come with the same code at once, one is let in.
func TestACodeIsGoodForOne(t *testing.T) {
	d := newDesk(t)
	_, codes := enrolled(d)
	var mu sync.Mutex
	in := 0
	var all sync.WaitGroup
	for range failuresMax {
		all.Go(func() {
			if w := d.send("POST", whereToPost, withCode(codes[0])); w.Code == 200 {
				mu.Lock()
				defer mu.Unlock()
				in++
			}
		})
	}
	all.Wait()
	same(t, in, 1)
}

func TestSecondFactorIsRequired(t *testing.T) {
	d := newDesk(t)
	configure(d, secondFactorSetting, 1)
	const enrol = "401 Unauthorized: a second factor is needed, and you have none yet: set one up at session/second_factor with your user name and password"
	same(t, logIn(d, goodLogin), enrol)
	me := `"username":"ann",` + annSays
	src := data[sourceObject](t, d.send("POST", factorPath, `{`+me+`}`)) // without a session
	same(t, logIn(d, goodLogin), enrol)
	same(t, status(d.send("POST", factorPath+"/confirm", `{`+me+`,"code":"000000"}`)), wrongCode)
	data[codesObject](t, d.send("POST", factorPath+"/confirm", fmt.Sprintf(`{%s,"code":%q}`, me, codeAt(d, src.Secret, 0))))
	same(t, logIn(d, withCode(codeAt(d, src.Secret, 1))), "200")
	same(t, status(d.send("POST", factorPath, `{"username":"ann","password":"x"}`)), "401 Unauthorized: wrong user name or password")
	silent(d, src.Secret)
}

func TestSecondFactorOfOthers(t *testing.T) {
	d := newDesk(t)
	enrolled(d)
	const ofAnn = "/api/v2/users/1/second_factor"
	token := data[tokenObject](t, d.call("POST", "/api/v2/api_tokens", `{}`)).TokenString
	same(t, status(d.send("DELETE", factorPath, `{`+annSays+`}`, "session", token)), "403 an API token is not its user: log in")
	same(t, status(d.call("DELETE", "/api/v2/users/99/second_factor", "")), "404 REST Object Not Found Exception:  UserNotFound: The requested user was not found")
	var off struct {
		Data factorObject `json:"data"`
	}
	must(t, json.Unmarshal(d.call("DELETE", ofAnn, "").Body.Bytes(), &off)) // she administers
	same(t, off.Data.Enabled, false)
	same(t, status(d.call("DELETE", ofAnn, "")), "404 there is no second factor")
	same(t, logIn(d, goodLogin), "200")
}
