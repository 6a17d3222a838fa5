package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

const (
	syncEveryMin  = 30 * time.Second   // between two syncs of a connector
	syncEveryMax  = 7 * 24 * time.Hour // likewise
	syncTimeout   = 10 * time.Minute   // one sync, whole
	deedsShown    = 1000               // in a preview, of each kind
	problemsShown = 20                 // in the result of a sync
)

// directories know when LDAP connectors are synced, and what came of it.
type directories struct {
	mu    sync.Mutex          // guards the fields below
	last  map[int64]syncState // by connector
	asked map[int64]bool      // connectors to be synced now; true: whatever happens
	wake  chan struct{}       // holds one token when something is asked
}

type syncState struct {
	at     time.Time
	result string
}

func newDirectories() *directories {
	return &directories{last: map[int64]syncState{}, asked: map[int64]bool{}, wake: make(chan struct{}, 1)}
}

// ask wants connectors synced now.
func (d *directories) ask(force bool, connectors ...int64) {
	d.mu.Lock()
	for _, id := range connectors {
		d.asked[id] = d.asked[id] || force
	}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default: // it is about to look
	}
}

func (s *server) connectorFace() *face {
	return &face{
		path: "ldap_sync_connectors", kind: connectorKind, verbs: canAll | goneSaysID, read: rights.ReadConnectors, write: rights.WriteConnectors,
		prepare: s.prepareConnector, remove: s.removeConnector, done: s.connectorChanged, derive: s.deriveConnector,
	}
}

func (s *server) connectorRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v2/ldap_sync_connectors/{id}/preview", access: withSession, right: rights.WriteConnectors, serve: get(s.previewSync)},
		{method: "POST", path: "/api/v2/start_ldap_sync", access: withSession, right: rights.WriteConnectors, serve: answers[string](s.startSync)},
	}
}

func (s *server) prepareConnector(ctx context.Context, _ call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	name := o.Text("name")
	if name == "" {
		return fault.New(fault.Invalid, "LdapSyncConnectorNameRequired: a connector needs a name")
	}
	if other := ch.ByName(connectorKind, name); other != nil && (was == nil || other.ID != was.ID) {
		return fault.New(fault.Conflict, "LdapSyncConnectorNameExists: there is a connector %q already", name)
	}
	switch {
	case o.Is("use_ntlm"):
		return object.Bad("use_ntlm", "is not possible: use secure or start_tls with a name and a password")
	case o.Is("secure") && o.Is("start_tls"):
		return object.Bad("start_tls", "secure is TLS already: choose one of them")
	case !o.Is("secure") && !o.Is("start_tls") && !o.Is("allow_plain_flag"):
		return object.Bad("secure", "passwords could be read on the way: choose secure or start_tls, or say allow_plain_flag")
	}
	if every := time.Duration(o.Int("sync_interval_seconds")) * time.Second; every < syncEveryMin || every > syncEveryMax {
		return object.Bad("sync_interval_seconds", "is %d to %d", syncEveryMin/time.Second, syncEveryMax/time.Second)
	}
	if was != nil && o.Text("ldap_password") != "" && o.Text("ldap_password") == was.Object.Text("ldap_password") && elsewhere(was.Object, o) {
		// It would be told to whoever listens there.
		return object.Bad("ldap_password", "is to be said again when the connection is changed")
	}
	if was != nil && was.Object.Is("enable") && !o.Is("enable") {
		if err := s.lockSource(ctx, ch, ldapSource(was.ID)); err != nil {
			return err
		}
	}
	return toDirectory(o).Check()
}

// elsewhere reports whether a connector is to connect to another place, or less
// safely.
func elsewhere(was, is *object.Object) bool {
	for _, field := range []string{"host", "port", "secure", "start_tls", "certificate", "ldap_user"} {
		if was.Value(field) != is.Value(field) {
			return true
		}
	}
	return false
}

func (s *server) removeConnector(ctx context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	return s.releaseSource(ctx, ch, ldapSource(r.ID))
}

func (s *server) connectorChanged(_ context.Context, _ call, _, is *shelf.Record) {
	if is != nil && is.Object.Is("enable") {
		s.directories.ask(false, is.ID)
	}
}

func (s *server) deriveConnector(r *shelf.Record, o *object.Object) {
	s.directories.mu.Lock()
	defer s.directories.mu.Unlock()
	if last, ok := s.directories.last[r.ID]; ok {
		o.Set("last_sync_result", last.result)
		o.Set("last_sync_timestamp", last.at.UTC().Format(time.RFC3339))
	}
}

// runDirectories syncs each enabled connector at its interval, and when
// somebody asks, one at a time.
func (s *server) runDirectories(ctx context.Context) error {
	for {
		again := time.NewTimer(s.syncDue(ctx))
		select {
		case <-ctx.Done():
			again.Stop()
			return nil
		case <-s.directories.wake:
			again.Stop()
		case <-again.C:
		}
	}
}

// syncDue syncs what is due, and returns in how long something will be.
func (s *server) syncDue(ctx context.Context) (next time.Duration) {
	next = time.Hour // connectors that are added wake us
	for _, r := range s.shelves.All(connectorKind) {
		if !r.Object.Is("enable") || ctx.Err() != nil {
			continue
		}
		every := max(time.Duration(r.Object.Int("sync_interval_seconds"))*time.Second, syncEveryMin)
		s.directories.mu.Lock()
		force, asked := s.directories.asked[r.ID]
		delete(s.directories.asked, r.ID)
		last := s.directories.last[r.ID].at
		s.directories.mu.Unlock()
		if wait := time.Until(last.Add(every)); !asked && wait > 0 {
			next = min(next, wait)
			continue
		}
		s.syncAndNote(ctx, r, force)
		next = min(next, every)
	}
	return next
}

// syncAndNote syncs with a directory, and says in the log and at the connector
// what has come of it.
func (s *server) syncAndNote(ctx context.Context, r *shelf.Record, force bool) {
	p, err := s.syncWith(ctx, r, force)
	result := fmt.Sprintf("ok: %d users and %d user groups changed", len(p.users), len(p.groups))
	switch {
	case err != nil && ctx.Err() != nil:
		return // the server ends
	case err != nil:
		_, text := statusOf(err)
		result = "failed, nothing was changed: " + text
		s.log.WarnContext(ctx, "LDAP sync failed", "connector", r.Name, "err", err)
	default:
		for i, problem := range p.problems {
			if i == problemsShown {
				result += fmt.Sprintf("; and %d more", len(p.problems)-i)
				break
			}
			result += "; " + problem
		}
		s.log.InfoContext(ctx, "LDAP sync", "connector", r.Name, "users", len(p.users), "groups", len(p.groups), "problems", len(p.problems))
	}
	s.directories.mu.Lock()
	defer s.directories.mu.Unlock()
	s.directories.last[r.ID] = syncState{time.Now(), result}
}

// syncWith makes users and user groups what a directory says. If the directory
// does not tell all of it, nothing is changed.
func (s *server) syncWith(ctx context.Context, connector *shelf.Record, force bool) (p syncPlan, err error) {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	listing, err := toDirectory(connector.Object).Read(ctx)
	if err != nil {
		return p, err
	}
	// Most often there is nothing to do, and nobody has to wait for that.
	if p = planSync(connector, listing, s.shelves.All); len(p.users)+len(p.groups) == 0 {
		return p, nil
	}
	by := shelf.Author{UserName: "LDAP: " + connector.Name}
	err = s.shelves.Change(ctx, by, func(ch *shelf.Change) error {
		if now := ch.ByID(connectorKind, connector.ID); now == nil || !now.Object.Is("enable") {
			return fault.New(fault.Conflict, "the connector has been disabled meanwhile")
		}
		p = planSync(connector, listing, ch.All)
		if err := p.allowed(force); err != nil {
			return err
		}
		return s.carryOut(ctx, ch, p)
	})
	return p, err
}

type previewObject struct {
	Users    []deedObject `json:"users"`
	Groups   []deedObject `json:"user_groups"`
	Problems []string     `json:"problems"`
	// UserCount and GroupCount are how many would be changed, also if not all are
	// listed.
	UserCount  int    `json:"user_count"`
	GroupCount int    `json:"user_group_count"`
	Refused    string `json:"refused"` // why a sync would do nothing of it; empty: it would
}

type deedObject struct {
	Deed    string   `json:"deed"` // create, update, lock, unlock
	Name    string   `json:"name"`
	Members []string `json:"members,omitempty"` // of a group: as the directory knows them
}

// previewSync says what a sync would do now.
func (s *server) previewSync(ctx context.Context, c call) (previewObject, error) {
	r, err := s.find(s.connectorFace(), c)
	if err != nil {
		return previewObject{}, err
	}
	listing, err := toDirectory(r.Object).Read(ctx)
	if err != nil {
		return previewObject{}, err
	}
	p := planSync(r, listing, s.shelves.All)
	out := previewObject{Users: []deedObject{}, Groups: []deedObject{}, Problems: p.problems, UserCount: len(p.users), GroupCount: len(p.groups)}
	if out.Problems == nil {
		out.Problems = []string{}
	}
	if err := p.allowed(false); err != nil {
		out.Refused = err.Error()
	}
	for _, u := range p.users[:min(len(p.users), deedsShown)] {
		out.Users = append(out.Users, deedObject{Deed: u.deed, Name: u.object.Text("name")})
	}
	for _, g := range p.groups[:min(len(p.groups), deedsShown)] {
		out.Groups = append(out.Groups, deedObject{Deed: g.deed, Name: g.object.Text("name"), Members: g.members[:min(len(g.members), deedsShown)]})
	}
	return out, nil
}

type syncRequest struct {
	ID    number `json:"id"`    // of one connector; none: all
	Force flag   `json:"force"` // also if most users are missing
}

// startSync starts a sync and does not wait for it.
func (s *server) startSync(w http.ResponseWriter, c call) error {
	body, err := readBody(w, c, bodyMax)
	if err != nil {
		return err
	}
	var in syncRequest
	if len(bytes.TrimSpace(body)) > 0 {
		if err := decode(body, &in); err != nil {
			return err
		}
	}
	var which []int64
	for _, r := range s.shelves.All(connectorKind) {
		if r.Object.Is("enable") && (in.ID == 0 || r.ID == int64(in.ID)) {
			which = append(which, r.ID)
		}
	}
	if in.ID != 0 && len(which) == 0 {
		return fault.New(fault.NotFound, "REST Object Not Found Exception:  LdapSyncConnectorNotFound: The requested LDAP connector was not found, or is not enabled")
	}
	s.directories.ask(bool(in.Force), which...)
	return sendJSON(w, http.StatusAccepted, map[string]json.RawMessage{"data": json.RawMessage(`"LDAP sync started"`)})
}
