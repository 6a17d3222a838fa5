package api

import (
	"context"
	"net/http"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// thisHub is the number of the only hub that there is: this server.
const thisHub = 1

// laterRoutes are routes of what is kept and checked, and on which a later
// version acts, where the objects are not seen in the usual way.
func (s *server) laterRoutes() []route {
	const hubs, requests = "/api/v2/hubs/", "/api/v2/server_registration_requests"
	const keys, sorts = "/api/v2/pki_root_keys", "/api/v2/pki_key_configurations"
	return []route{
		{"GET", hubs + "{id}/zone_servers", withSession, rights.ReadServerStatus, handler(s.listZoneServers)},
		{"POST", hubs + "{id}/zone_servers", withSession, rights.WriteTrust, typedHandler{handler: s.createZoneServer, in: typeOf[zoneServerObject](), out: typeOf[idObject]()}},
		{"DELETE", hubs + "{hub_id}/zone_servers/{zone_id}", withSession, rights.WriteTrust, get(s.deleteZoneServer)},

		{"GET", requests, withSession, rights.ReadServerStatus, handler(s.listServerRequests)},
		{"PATCH", requests + "/{id}", withSession, rights.WriteTrust, typedHandler{handler: s.judgeServerRequest, in: typeOf[serverVerdict]()}},

		{"GET", keys, withSession, rights.ReadServerStatus, get(s.listRootKeys)},
		{"POST", keys, withSession, rights.WriteTrust, handler(s.createRootKey)},
		{"GET", keys + "/by-fingerprint/{fingerprint}", withSession, rights.ReadServerStatus, handler(s.showRootKey)},
		{"DELETE", keys + "/by-fingerprint/{fingerprint}", withSession, rights.WriteTrust, handler(s.revokeRootKey)},

		{"GET", sorts, withSession, rights.ReadServerStatus, handler(s.listKeySorts)},
		{"POST", sorts + "/validate", withSession, rights.ReadServerStatus, post(bodyMax, s.validateKeySort)},
		{"PATCH", sorts + "/{id}", withSession, rights.WriteTrust, typedHandler{handler: s.changeKeySort, in: typeOf[keySort]()}},
	}
}

// A zoneServerObject is what is to be said of a zone server.
type zoneServerObject struct {
	Name string `json:"name"`
}

// hub makes sure that a path names a hub that there is.
func (c call) hub(value string) error {
	id, err := c.number(value, "hub")
	if err == nil && id != thisHub {
		err = fault.New(fault.NotFound, "REST Object Not Found Exception:  HubNotFound: The requested hub was not found: there is one, number %d", thisHub)
	}
	return err
}

func (s *server) listZoneServers(w http.ResponseWriter, c call) error {
	if err := c.hub("id"); err != nil {
		return err
	}
	var of []*shelf.Record
	for _, r := range s.shelves.All("zone_server") {
		if r.Object.Int("hub") == thisHub {
			of = append(of, r)
		}
	}
	return s.sendRecords(w, of)
}

// sendRecords answers with records as they are.
func (s *server) sendRecords(w http.ResponseWriter, records []*shelf.Record) error {
	return s.sendText(w, s.arrayOf(records))
}

func (s *server) arrayOf(records []*shelf.Record) []byte {
	out := []byte{'['}
	for i, r := range records {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, s.shelves.JSON(r)...)
	}
	return append(out, ']')
}

func (s *server) createZoneServer(w http.ResponseWriter, c call) error {
	if err := c.hub("id"); err != nil {
		return err
	}
	f := s.faceOf("zone_servers")
	in, err := f.body(w, c)
	if err != nil {
		return err
	}
	in.Set("hub", int64(thisHub))
	var made *shelf.Record
	err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) (err error) {
		made, err = s.make(f, c, ch, in)
		return err
	})
	if err != nil {
		return err
	}
	return reply(w, idObject{uint64(made.ID)})
}

func (s *server) deleteZoneServer(ctx context.Context, c call) (idObject, error) {
	if err := c.hub("hub_id"); err != nil {
		return idObject{}, err
	}
	kind := s.shelves.Kind("zone_server")
	id, err := c.number("zone_id", kind.What)
	if err != nil {
		return idObject{}, err
	}
	return idObject{id}, s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		r := ch.ByID(kind.Name, int64(id))
		if r == nil || r.Object.Int("hub") != thisHub {
			return kind.Missing()
		}
		return ch.Delete(r)
	})
}

const serverRequests = "server_registration_request"

// listServerRequests answers in a form of its own, without the envelope.
func (s *server) listServerRequests(w http.ResponseWriter, _ call) error {
	beginJSON(w, http.StatusOK)
	return send(w, append(append([]byte(`{"body":`), s.arrayOf(s.shelves.All(serverRequests))...), "}\n"...))
}

// A serverVerdict is what becomes of a server that asks.
type serverVerdict struct {
	Status string `json:"status"` // Approved or Denied
}

func (s *server) judgeServerRequest(w http.ResponseWriter, c call) error {
	kind := s.shelves.Kind(serverRequests)
	id, err := c.number("id", kind.What)
	if err != nil {
		return err
	}
	body, err := readBody(w, c, bodyMax)
	if err != nil {
		return err
	}
	in, err := kind.Shape().Decode(body, object.Lenient)
	if err != nil {
		return err
	}
	if status := in.Text("status"); !in.Has("status") || status == "Pending" {
		return object.Bad("status", "is to be Approved or Denied")
	}
	var is *shelf.Record
	err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) (err error) {
		was := ch.ByID(kind.Name, int64(id))
		if was == nil {
			return kind.Missing()
		}
		is, err = ch.Update(was, was.Object.With(in))
		return err
	})
	if err != nil {
		return err
	}
	return s.sendText(w, s.shelves.JSON(is))
}
