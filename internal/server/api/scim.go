package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// SCIM 2.0 (RFC 7643, 7644): an identity provider tells us who our users are and
// in which groups. Each sees and changes only what it has made itself.

const (
	scimKind    = "scim_server"
	scimBodyMax = 8 << 20 // bytes: a group of 100,000
	scimPage    = 100     // resources in a page when nobody says how many
	scimPageMax = 1000    // likewise, at most

	scimUserSchema  = "urn:ietf:params:scim:schemas:core:2.0:User"
	scimGroupSchema = "urn:ietf:params:scim:schemas:core:2.0:Group"
	scimMessages    = "urn:ietf:params:scim:api:messages:2.0:"
)

// A scimCall is a request of an identity provider.
type scimCall struct {
	call
	from   *shelf.Record // the SCIM server as which it has shown itself
	source string        // as its users and groups name it
}

func (c scimCall) author() shelf.Author {
	return shelf.Author{UserName: "SCIM: " + c.from.Name, Address: c.address()}
}

// A scimReply is what it is told; nil: nothing but the status.
type scimReply struct {
	status int
	body   any
}

func (s *server) scimRoutes() []route {
	at := func(method, path string, f func(context.Context, scimCall) (scimReply, error)) route {
		return route{method: method, path: "/scim/v2" + path, access: anyone, right: rights.None, serve: s.scim(f)}
	}
	return []route{
		at("GET", "/ServiceProviderConfig", s.scimConfig),
		at("GET", "/ResourceTypes", s.scimTypes),
		at("GET", "/Schemas", s.scimSchemas),
		at("GET", "/Users", s.scimListUsers),
		at("POST", "/Users", s.scimCreateUser),
		at("GET", "/Users/{id}", s.scimShowUser),
		at("PUT", "/Users/{id}", s.scimReplaceUser),
		at("PATCH", "/Users/{id}", s.scimPatchUser),
		at("DELETE", "/Users/{id}", s.scimDeleteUser),
		at("GET", "/Groups", s.scimListGroups),
		at("POST", "/Groups", s.scimCreateGroup),
		at("GET", "/Groups/{id}", s.scimShowGroup),
		at("PUT", "/Groups/{id}", s.scimReplaceGroup),
		at("PATCH", "/Groups/{id}", s.scimPatchGroup),
		at("DELETE", "/Groups/{id}", s.scimDeleteGroup),
	}
}

// scim adapts a function of a request of a known identity provider. Its errors
// have a form of their own.
func (s *server) scim(f func(context.Context, scimCall) (scimReply, error)) handler {
	return func(w http.ResponseWriter, c call) error {
		from, err := s.scimServer(c)
		var out scimReply
		if err == nil {
			c.Body = http.MaxBytesReader(w, c.Body, scimBodyMax)
			out, err = f(c.Context(), scimCall{c, from, sourceOf(from)})
		}
		if err != nil {
			out = s.scimRefusal(c, err)
		}
		if out.body == nil {
			w.WriteHeader(out.status)
			return nil
		}
		b, err := marshal(out.body)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/scim+json")
		w.WriteHeader(out.status)
		return send(w, b)
	}
}

// scimServer is the identity provider whose token a request brings.
func (s *server) scimServer(c call) (*shelf.Record, error) {
	kind, token, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	if strings.EqualFold(kind, "Bearer") && token != "" {
		h := scimHash(strings.TrimSpace(token))
		for _, r := range s.shelves.All(scimKind) {
			if r.Object.Text("token_hash") != h || !r.Object.Is("enabled") {
				continue
			}
			if !time.Now().Before(r.Object.Time("expiration")) {
				return nil, unauthorized("Unauthorized: the token has expired")
			}
			s.scimUse.note(r.ID)
			return r, nil
		}
	}
	return nil, unauthorized("Unauthorized: the token of a SCIM server is needed, as Bearer")
}

type scimError struct {
	Schemas []string `json:"schemas"`
	Status  string   `json:"status"`
	Type    string   `json:"scimType,omitempty"`
	Detail  string   `json:"detail"`
}

// scimRefusal is an error in the form that identity providers know. It is noted
// here, as refuse does for the others.
func (s *server) scimRefusal(c call, err error) scimReply {
	status, text := statusOf(err)
	kind := ""
	switch fault.KindOf(err) {
	case fault.Conflict:
		status, kind = http.StatusConflict, "uniqueness"
	case fault.Invalid:
		kind = "invalidValue"
	}
	level, reason := slog.LevelInfo, text
	if status == http.StatusInternalServerError {
		level, reason = slog.LevelError, err.Error()
	}
	s.log.Log(c.Context(), level, "request refused", "status", status, "reason", reason, "remote", c.RemoteAddr, "method", c.Method, "route", "scim")
	return scimReply{status, scimError{[]string{scimMessages + "Error"}, strconv.Itoa(status), kind, text}}
}

// read reads the body of a request.
func (c scimCall) read(in any) error {
	dec := json.NewDecoder(c.Body)
	if err := dec.Decode(in); err != nil {
		return fault.New(fault.Invalid, "the body is no such JSON: %.200s", err)
	}
	return nil
}

type scimMeta struct {
	Type     string  `json:"resourceType"`
	Created  isoTime `json:"created"`
	Modified isoTime `json:"lastModified"`
	Location string  `json:"location"`
}

func metaOf(r *shelf.Record, kind string) scimMeta {
	return scimMeta{kind, isoTime(r.Created), isoTime(r.Modified), "/scim/v2/" + kind + "s/" + strconv.FormatInt(r.ID, 10)}
}

// own is the record that a path names, if it comes from the one who asks.
func (c scimCall) own(byID func(string, int64) *shelf.Record, kind string) (*shelf.Record, error) {
	id, err := strconv.ParseInt(c.PathValue("id"), 10, 64)
	if err == nil {
		if r := byID(kind, id); r != nil && r.Object.Text("identity_source") == c.source {
			return r, nil
		}
	}
	return nil, fault.New(fault.NotFound, "there is no such resource: %.100q", c.PathValue("id"))
}

type scimList struct {
	Schemas   []string `json:"schemas"`
	Total     int      `json:"totalResults"`
	Start     int      `json:"startIndex"`
	Count     int      `json:"itemsPerPage"`
	Resources []any    `json:"Resources"`
}

// list answers with a page of the resources that pass the request's filter.
func (c scimCall) list(all []*shelf.Record, attribute func(r *shelf.Record, name string) (values []string, known bool), show func(*shelf.Record) any) (scimReply, error) {
	q := c.URL.Query()
	want, err := parseSCIMFilter(q.Get("filter"))
	if err != nil {
		return scimReply{}, err
	}
	start, err := scimNumber(q.Get("startIndex"), 1)
	if err != nil {
		return scimReply{}, err
	}
	count, err := scimNumber(q.Get("count"), scimPage)
	if err != nil {
		return scimReply{}, err
	}
	start, count = max(start, 1), min(max(count, 0), scimPageMax)
	out := scimList{Schemas: []string{scimMessages + "ListResponse"}, Start: start, Resources: []any{}}
	for _, r := range all {
		if r.Object.Text("identity_source") != c.source {
			continue
		}
		ok, err := want.passes(func(name string) ([]string, bool) { return attribute(r, name) })
		if err != nil {
			return scimReply{}, err
		}
		if !ok {
			continue
		}
		if out.Total++; out.Total >= start && len(out.Resources) < count {
			out.Resources = append(out.Resources, show(r))
		}
	}
	out.Count = len(out.Resources)
	return scimReply{http.StatusOK, out}, nil
}

func scimNumber(text string, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fault.New(fault.Invalid, "%.50q is no number", text)
	}
	return n, nil
}

// scimHash is what is kept of a token.
func scimHash(token string) string {
	h := store.HashOf(token)
	return hex.EncodeToString(h[:])
}
