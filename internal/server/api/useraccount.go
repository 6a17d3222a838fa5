package api

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/people"
	"catenary/internal/server/rights"
	"catenary/internal/server/setting"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// hashPrefix is how the hash of a password begins, and no password that has not
// been hashed gets by it into the database.
const hashPrefix = "$argon2id$"

// userFace shows users. Everything that makes, changes or deletes a user goes
// through createUser, updateUser and deleteUser.
func (s *server) userFace() *face {
	return &face{
		path: "users", kind: "user", verbs: canAll, read: rights.ReadUser, write: rights.WriteUser,
		before: s.loadLogins, ready: s.readyUser, prepare: s.prepareUser, derive: s.deriveUser, detail: s.detailUser,
		kept: keeping{create: s.createUser, update: s.updateUser, remove: s.deleteUser},
	}
}

// readyUser puts the hash in the place of a password: that takes long. What
// people come by who log in with a password is checked here, and not in
// prepareUser: providers have their own rules for theirs.
func (s *server) readyUser(ctx context.Context, c call, was *shelf.Record, in *object.Object) error {
	if name := in.Text("name"); strings.Contains(name, ":") && (was == nil || name != was.Name) {
		return fault.New(fault.Invalid, `InvalidUserName: a user's name has no ":": HTTP Basic would take what follows for the password`)
	}
	password := in.Text("password")
	if was != nil && in.Has("password") && was.ID == c.user.ID {
		if err := s.samePerson(ctx, c, in.Text("old_password")); err != nil {
			return err
		}
	}
	in.Set("old_password", nil)
	if !in.Has("password") {
		return nil
	}
	least := s.boundedSetting(setting.PasswordLength)
	if n := utf8.RuneCountInString(password); int64(n) < least {
		return fault.New(fault.Invalid, "PasswordTooShort: a password has at least %d characters, not %d", least, n)
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	in.Set("password", hash)
	return nil
}

// samePerson makes sure that who has a session also knows his password. It
// counts as an attempt to log in.
func (s *server) samePerson(ctx context.Context, c call, password string) error {
	k := from(c.user.Name, s.caller(c.Request))
	if !s.attempts.begin(time.Now(), k) {
		return fault.New(fault.Denied, "too many failed attempts: wait %v and try again", lockout)
	}
	u, err := s.store.UserByID(ctx, c.user.ID)
	if err != nil {
		s.attempts.forgive(time.Now(), k)
		return err
	}
	switch err := s.judge(ctx, u, true, password); err { // whose directory knows it, by his directory
	case nil:
	case errWrongPassword:
		return fault.New(fault.Denied, "old_password is not the present password")
	default:
		s.attempts.forgive(time.Now(), k)
		return err
	}
	s.attempts.succeed(k)
	return nil
}

// prepareUser checks what the shape cannot.
func (s *server) prepareUser(_ context.Context, _ call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	name := strings.TrimSpace(o.Text("name"))
	switch {
	case name == "":
		return fault.New(fault.Invalid, "UserNameRequired: a user needs a name")
	case utf8.RuneCountInString(name) > nameMax || strings.ContainsFunc(name, unicode.IsControl):
		return fault.New(fault.Invalid, "InvalidUserName: a user's name has at most %d characters, none of them a control character", nameMax)
	}
	o.Set("name", name)
	if n := o.Int("locked_out"); n < 0 || n > 3 {
		return object.Bad("locked_out", "is 0 to 3, not %d", n)
	}
	if was == nil || was.Object.Int("group_id") != o.Int("group_id") {
		return checkMachines(ch, "group_id", o.Int("group_id"))
	}
	return nil
}

// checkMachines makes sure that a group can say which machines somebody sees.
func checkMachines(ch *shelf.Change, field string, id int64) error {
	if id == 0 {
		return nil
	}
	g := ch.ByID("group", id)
	if g == nil {
		return object.Bad(field, "there is no group with number %d", id)
	}
	if !g.Object.Is("management_rights_flag") && !reservedGroup(id) {
		return object.Bad(field, "the group %q has no management rights (management_rights_flag)", called(g))
	}
	return nil
}

// takeHash takes the hash of a password out of an object; "" if there is none.
func takeHash(o *object.Object) (string, error) {
	hash := o.Text("password")
	o.Set("password", nil)
	o.Set("old_password", nil)
	if hash != "" && !strings.HasPrefix(hash, hashPrefix) {
		return "", fault.New(fault.Internal, "a password was about to be stored as it is")
	}
	return hash, nil
}

// createUser makes a user, within a change: the way for all who do.
func (s *server) createUser(ctx context.Context, _ call, ch *shelf.Change, o *object.Object) (*shelf.Record, error) {
	hash, err := takeHash(o)
	if err != nil {
		return nil, err
	}
	if name := o.Text("name"); ch.ByName("user", name) != nil {
		return nil, fault.New(fault.Conflict, "UserAlreadyExists: there is a user %q already", name)
	}
	return people.CreateUser(ctx, ch, o, hash)
}

// updateUser changes a user, within a change. Who is locked out, or has another
// password, has no session any more.
func (s *server) updateUser(ctx context.Context, c call, ch *shelf.Change, was *shelf.Record, o *object.Object) (*shelf.Record, error) {
	hash, err := takeHash(o)
	if err != nil {
		return nil, err
	}
	if other := ch.ByName("user", o.Text("name")); other != nil && other.ID != was.ID {
		return nil, fault.New(fault.Conflict, "UserAlreadyExists: there is a user %q already", o.Text("name"))
	}
	is, err := people.UpdateUser(ctx, ch, was, o)
	if err != nil {
		return nil, err
	}
	if hash != "" {
		if err := s.setPassword(ctx, c, ch, is, hash); err != nil {
			return nil, err
		}
	}
	if is.Object.Int("locked_out") != 0 {
		ch.After(func() { s.sessions.endAll(is.ID) })
	}
	return is, nil
}

// setPassword gives a user another password, by its hash, and ends his sessions
// but the one that asks for it.
func (s *server) setPassword(ctx context.Context, c call, ch *shelf.Change, u *shelf.Record, hash string) error {
	if err := ch.Tx().SetPassword(ctx, u.ID, hash); err != nil {
		return err
	}
	session := secret("")
	if c.Request != nil { // else it is nobody's who asks, but a provider's
		session = secret(c.Header.Get("session"))
	}
	ch.After(func() { s.sessions.endOthers(u.ID, session) })
	return ch.Audit(store.AuditEntry{Type: "password", Kind: "user", ObjectID: u.ID, ObjectName: u.Name})
}

// deleteUser takes a user away, within a change, with his sessions and tokens.
func (s *server) deleteUser(ctx context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	ch.After(func() { s.sessions.endAll(r.ID) })
	if err := s.dropCopies(ch, "user", r.ID); err != nil {
		return err
	}
	return people.DeleteUser(ctx, ch, r)
}

type newPassword struct {
	Password    string `json:"password"`
	OldPassword string `json:"old_password"`
}
