package cli

import (
	"slices"
	"strings"
	"testing"
)

// TestOwnersAreNamed: whom something belongs to is said by name, also where the
// answer has a number only: with one request for all users, and none if no number
// has to be looked up. Who may not see users sees numbers.
func TestOwnersAreNamed(t *testing.T) {
	withNouns(t)
	things := slices.IndexFunc(nouns, func(n noun) bool { return n.name == "thing" })
	nouns[things].columns = [][2]string{{"Name", "name"}, {"Owner", "user"}, {"By", "mod_user"}, {"Approver", "approver"}, {"Number", "owner_user_id"}}
	f := newFleet(t)
	p := newPlace(t).at(f)
	number := func(id int) map[string]any { return map[string]any{"id": id} }
	f.objects["things"] = []map[string]any{
		{"id": 1, "name": "a", "user": number(0), "mod_user": map[string]any{"id": 7, "name": "ada"}, "approver": number(0), "owner_user_id": 0},
	}
	usersAsked := func() (n int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range f.calls {
			if strings.HasPrefix(c, "GET /api/v2/users") {
				n++
			}
		}
		return n
	}
	want := func(text string, asked int, args ...string) {
		t.Helper()
		out, errs, code := p.run(append([]string{"thing"}, args...)...)
		if out != text || code != exitOK {
			t.Errorf("%q %q, code %d\nwant\n%q", out, errs, code, text)
		}
		if n := usersAsked(); n != asked {
			t.Errorf("users were asked for %d times, want %d", n, asked)
		}
	}
	want("ID  Name  Owner       By   Approver  Number\n 1  a     the server  ada            the server\n", 0, "list")
	f.objects["things"] = append(f.objects["things"],
		map[string]any{"id": 2, "name": "b", "user": number(8), "mod_user": number(8), "approver": number(9), "owner_user_id": 9, "user_list": []any{number(8), number(5)}})
	want("ID  Name  Owner       By   Approver  Number\n 1  a     the server  ada            the server\n 2  b     8           8    9         9\n", 1, "list")
	f.objects["users"] = []map[string]any{{"id": 8, "name": "bob"}, {"id": 9, "name": "eve"}}
	want("ID  Name  Owner       By   Approver  Number\n 1  a     the server  ada            the server\n 2  b     bob         bob  eve       eve\n", 2, "list")
	want("approver       eve\nid             2\nmod_user       bob\nname           b\nowner_user_id  eve\nuser           bob\nuser_list      bob\n               5\n", 3, "show", "2")
	want("id             1\nmod_user       ada\nname           a\nowner_user_id  the server\nuser           the server\n", 3, "show", "1")
	if out, _, _ := p.run("thing", "list", "--filter", "eve", "--format", "json"); !strings.Contains(out, `"id": 9`) || strings.Contains(out, "eve") {
		t.Errorf("JSON is as the API says it: %s", out)
	}
}

// TestWhoHasAsked: questions and deeds that are nobody's are the server's.
func TestWhoHasAsked(t *testing.T) {
	var q questionObject
	for _, want := range []string{serverItself, "5", "ada"} {
		if got := q.by(); got != want {
			t.Errorf("by %q, want %q", got, want)
		}
		if q.User.ID != 0 {
			q.User.Name = "ada"
		}
		q.User.ID = 5
	}
	g := auditGrid([]auditEntry{{Kind: "sensor"}, {Kind: "authentication"}, {Kind: "sensor", User: "ada", UserID: 5}})
	if got := g.rows[0][1][0] + "," + g.rows[1][1][0] + "," + g.rows[2][1][0]; got != serverItself+",,ada" {
		t.Errorf("who: %s", got)
	}
}
