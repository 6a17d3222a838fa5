package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

const (
	scimTokenPrefix = "scim-"
	scimTokenDays   = 365 // life time when none is said
)

// scimUse is when SCIM servers have been heard of.
type scimUse struct {
	mu   sync.Mutex // guards last
	last map[int64]time.Time
}

func (u *scimUse) note(id int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last[id] = time.Now()
}

func (u *scimUse) of(id int64) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.last[id]
}

func (s *server) scimFace() *face {
	return &face{
		path: "scim_servers", kind: scimKind, verbs: canList | canShow | canChange | canRemove, read: rights.ReadConnectors, write: rights.WriteConnectors,
		prepare: prepareSCIM,
		remove:  s.removeProvider,
		derive: func(r *shelf.Record, o *object.Object) {
			if at := s.scimUse.of(r.ID); !at.IsZero() {
				o.Set("last_used_on", at)
			}
		},
	}
}

func (s *server) scimServerRoutes() []route {
	const path = "/api/v2/scim_servers"
	return []route{
		{method: "POST", path: path, access: withSession, right: rights.WriteConnectors, serve: answers[scimToken](s.createSCIM)},
		{method: "POST", path: path + "/{id}/token", access: withSession, right: rights.WriteConnectors, serve: get(s.renewSCIM)},
	}
}

// A scimToken is a SCIM server with its token, which is shown this once.
type scimToken struct {
	ID    int64  `json:"id"`
	Token string `json:"token_string"`
}

func prepareSCIM(_ context.Context, _ call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	if o.Text("name") == "" {
		return fault.New(fault.Invalid, "SCIMServerNameRequired: a SCIM server needs a name")
	}
	if other := ch.ByName(scimKind, o.Text("name")); other != nil && (was == nil || other.ID != was.ID) {
		return fault.New(fault.Conflict, "SCIMServerAlreadyExists: there is a SCIM server %q already", o.Text("name"))
	}
	return nil
}

func (s *server) createSCIM(w http.ResponseWriter, c call) error {
	in, err := s.scimFace().body(w, c)
	if err != nil {
		return err
	}
	out := scimToken{Token: scimTokenPrefix + randomHex()}
	err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) error {
		o := object.New(object.ShapeOf(scimKind)).With(in)
		if !o.Has("enabled") {
			o.Set("enabled", true)
		}
		if !o.Has("expiration") {
			o.Set("expiration", ch.Now().AddDate(0, 0, scimTokenDays))
		}
		o.Set("token_hash", scimHash(out.Token))
		if err := prepareSCIM(c.Context(), c, ch, nil, o); err != nil {
			return err
		}
		r, err := ch.Create(scimKind, 0, o)
		if err == nil {
			out.ID = r.ID
		}
		return err
	})
	if err != nil {
		return err
	}
	return reply(w, out)
}

// renewSCIM gives a SCIM server another token, for as long as the first. The old
// one is dead at once.
func (s *server) renewSCIM(ctx context.Context, c call) (scimToken, error) {
	r, err := s.find(s.scimFace(), c)
	if err != nil {
		return scimToken{}, err
	}
	out := scimToken{r.ID, scimTokenPrefix + randomHex()}
	return out, s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		r := ch.ByID(scimKind, out.ID)
		if r == nil {
			return s.shelves.Kind(scimKind).Missing()
		}
		o := r.Object.Clone()
		o.Set("token_hash", scimHash(out.Token))
		o.Set("expiration", ch.Now().AddDate(0, 0, scimTokenDays))
		_, err := ch.Update(r, o)
		return err
	})
}
