package api

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"catenary/internal/server/store"
)

// Deeds in the audit that are about people coming and going. The object of such
// an entry is the user; of a failed login, as somebody has called himself.
const (
	deedLogin  = "login"
	deedLogout = "logout"
	deedFailed = "login_failed"
	deedEnded  = "session_ended" // to make room for another one of the same user
)

// auditLogin writes down that somebody has come, gone, or been turned away.
func (s *server) auditLogin(ctx context.Context, deed string, u store.User, addr netip.Addr, why string) error {
	return s.store.Audit(context.WithoutCancel(ctx), store.AuditEntry{
		At: time.Now(), UserID: u.ID, PersonaID: u.Persona, UserName: u.Name, Address: addr.String(),
		Type: deed, Kind: auditLogins, ObjectID: u.ID, ObjectName: u.Name, Details: why,
	})
}

// auditEnded writes down that sessions of a user have made room for a new one.
func (s *server) auditEnded(ctx context.Context, c call, u store.User, ended int) error {
	if ended == 0 {
		return nil
	}
	return s.auditLogin(ctx, deedEnded, u, s.caller(c.Request),
		fmt.Sprintf("%d of %d sessions, unused for longest, made room", ended, s.sessionRules().perUser))
}

// auditToken writes down what was done to one of the caller's tokens.
func (s *server) auditToken(ctx context.Context, c call, deed string, t store.Token) error {
	return s.store.Audit(context.WithoutCancel(ctx), s.entry(c, store.AuditEntry{Type: deed, Kind: auditTokens, ObjectID: t.ID, ObjectName: t.Name}))
}
