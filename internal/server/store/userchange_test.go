package store

import (
	"testing"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/store/storetest"
)

func TestUserChanges(t *testing.T) { storetest.Each(t, testUserChanges) }

func testUserChanges(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	var ann, bob User
	must(t, s.Change(ctx, func(c *Change) (err error) {
		if ann, err = c.CreateUser(ctx, User{Name: "Ann", Password: "a", Created: noon}); err != nil {
			return err
		}
		_, err = c.CreateUser(ctx, User{Name: "aNN"})
		wantKind(t, err, fault.Conflict, `user "aNN": already exists`)
		_, err = c.CreateUser(ctx, User{Name: "a\x00"})
		wantKind(t, err, fault.Invalid, "user")
		bob, err = c.CreateUser(ctx, User{Name: "bob", Password: "b", Created: noon}) // the change goes on
		return err
	}))
	_, err := s.CreateToken(ctx, Token{Hash: HashOf("x"), UserID: ann.ID, Name: "t", Created: noon, Expires: noon.Add(time.Hour)})
	must(t, err)
	must(t, s.Change(ctx, func(c *Change) error {
		wantKind(t, c.RenameUser(ctx, ann.ID, "BOB"), fault.Conflict, `user "BOB": already exists`)
		wantKind(t, c.RenameUser(ctx, 99, "x"), fault.NotFound, "user 99")
		wantKind(t, c.SetPassword(ctx, 99, "x"), fault.NotFound, "user 99")
		wantKind(t, c.DeleteUser(ctx, 99), fault.NotFound, "user 99")
		if err := c.RenameUser(ctx, ann.ID, "ANNA"); err != nil {
			return err
		}
		return c.SetPassword(ctx, ann.ID, "new")
	}))
	ann.Name, ann.Password = "ANNA", "new"
	got, err := s.UserByName(ctx, "anna")
	must(t, err)
	same(t, got, ann)
	must(t, s.Change(ctx, func(c *Change) error { return c.DeleteUser(ctx, ann.ID) }))
	_, err = s.UserByID(ctx, ann.ID)
	wantKind(t, err, fault.NotFound, "user")
	same(t, tokensIn(t, s, ann.ID), []Token{})
	must(t, s.Change(ctx, func(c *Change) error {
		u, err := c.CreateUser(ctx, User{Name: "anna"})
		if err == nil && (u.ID == ann.ID || u.ID == bob.ID) {
			t.Errorf("the number %d is given again", u.ID)
		}
		return err
	}))
}

func TestForgetAudits(t *testing.T) { storetest.Each(t, testForgetAudits) }

func testForgetAudits(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	for i := range 10 {
		must(t, s.Audit(ctx, AuditEntry{At: noon.Add(time.Duration(i) * time.Hour), Type: "x", Kind: "y"}))
	}
	for _, want := range []int64{3, 1, 0} {
		n, err := s.ForgetAudits(ctx, noon.Add(4*time.Hour), 3)
		must(t, err)
		same(t, n, want)
	}
	list, err := s.Audits(ctx, "y", 0, time.Time{}, time.Time{}, 100, 0)
	must(t, err)
	same(t, len(list), 6)
}

func TestQuestionsOf(t *testing.T) { storetest.Each(t, testQuestionsOf) }

func testQuestionsOf(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	for i := range 6 {
		_, err := s.CreateQuestion(ctx, Question{Text: "q", UserID: int64(i % 3), Plan: []byte{1}, Issued: noon, Expires: noon, Scope: "within 7"})
		must(t, err)
	}
	list, total, err := s.QuestionsOf(ctx, 1, 0, 1)
	must(t, err)
	if total != 2 || len(list) != 1 || list[0].ID != 5 || list[0].Scope != "within 7" {
		t.Errorf("%d in all, and %+v", total, list)
	}
}
