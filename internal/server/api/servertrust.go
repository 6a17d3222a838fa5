package api

import (
	"net/http"
	"strconv"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

const serverTrust = "server_trust"

// trustRoutes are those of trusted servers that go by what a server calls itself,
// besides by our number.
func (s *server) trustRoutes() []route {
	const trusts = "/api/v2/server_trusts"
	return []route{
		{"GET", trusts + "/{guid}", withSession, rights.ReadServerStatus, handler(s.showTrust)},
		{"DELETE", trusts + "/{guid}", withSession, rights.WriteTrust, handler(s.removeTrust)},
		{"DELETE", trusts, withSession, rights.WriteTrust, typedHandler{handler: s.removeTrustWith, in: typeOf[trustChoice]()}},
	}
}

// A trustChoice says which trusted server is meant: by what it has of these, all
// of which has to fit.
type trustChoice struct {
	ID          number `json:"id"`
	GUID        string `json:"guid"`
	Fingerprint string `json:"fingerprint"`
	Name        string `json:"name"`
}

func (t trustChoice) fits(r *shelf.Record) bool {
	if t.ID != 0 && int64(t.ID) != r.ID {
		return false
	}
	for field, text := range map[string]string{"guid": t.GUID, "fingerprint": t.Fingerprint, "name": t.Name} {
		if text != "" && text != r.Object.Text(field) {
			return false
		}
	}
	return true
}

// trustMeant is what a path means: a GUID, or a number of ours.
func trustMeant(c call) func(*shelf.Record) bool {
	text := c.PathValue("guid")
	return func(r *shelf.Record) bool {
		return text == r.Object.Text("guid") || text == strconv.FormatInt(r.ID, 10)
	}
}

func (s *server) showTrust(w http.ResponseWriter, c call) error {
	meant := trustMeant(c)
	for _, r := range s.shelves.All(serverTrust) {
		if meant(r) {
			return s.sendText(w, s.shelves.JSON(r))
		}
	}
	return s.shelves.Kind(serverTrust).Missing()
}

func (s *server) removeTrust(w http.ResponseWriter, c call) error {
	return s.trustNoMore(w, c, trustMeant(c))
}

func (s *server) removeTrustWith(w http.ResponseWriter, c call) error {
	body, err := readBody(w, c, bodyMax)
	if err != nil {
		return err
	}
	var in trustChoice
	if err := decode(body, &in); err != nil {
		return err
	}
	if in == (trustChoice{}) {
		return object.Bad("guid", "is missing: say by it, or by id, fingerprint or name, which server is meant")
	}
	return s.trustNoMore(w, c, in.fits)
}

// trustNoMore deletes the one trusted server that is meant.
func (s *server) trustNoMore(w http.ResponseWriter, c call, meant func(*shelf.Record) bool) error {
	f := s.faceOf("server_trusts")
	var gone *shelf.Record
	err := s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) error {
		var found []*shelf.Record
		for _, r := range ch.All(serverTrust) {
			if meant(r) {
				found = append(found, r)
			}
		}
		switch len(found) {
		case 0:
			return s.shelves.Kind(serverTrust).Missing()
		case 1:
			r := found[0]
			gone = &shelf.Record{Header: r.Header, Kind: r.Kind, Name: r.Name, Object: r.Object}
			gone.Deleted = true
			return s.take(f, c, ch, r)
		}
		return fault.New(fault.Invalid, "%d trusted servers fit: say which by its id", len(found))
	})
	if err != nil {
		return err
	}
	return s.answer(w, f, gone)
}
