package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"catenary/internal/boundary"
	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

const (
	// The kinds of entries that are about no object on a shelf: who came in and
	// went, and what became of tokens. Their object is the user, and the token.
	auditLogins = "authentication"
	auditTokens = "api_token"

	auditHistory = 1000 // entries in an answer, unless the caller wants others
)

func (s *server) auditRoutes() []route {
	return []route{
		{http.MethodGet, "/api/v2/audit_types", withSession, rights.ReadAudit, get(s.auditTypes)},
		{http.MethodGet, "/api/v2/audit_logs/{type}/{id}", withSession, rights.ReadAudit, get(s.auditLogs)},
	}
}

// entry is an entry about what the caller does, with who and whence filled in.
func (s *server) entry(c call, e store.AuditEntry) store.AuditEntry {
	e.At, e.UserID, e.PersonaID, e.UserName, e.Address = time.Now(), c.user.ID, c.user.Persona, c.user.Name, s.caller(c.Request).String()
	return e
}

// auditKinds are the kinds of which there are entries, by the name that programs
// have for them.
func (s *server) auditKinds() map[string]string {
	out := map[string]string{auditLogins: auditLogins, "api_tokens": auditTokens, "sensors": "sensor", "https_certificates": auditCertificates}
	for _, f := range s.faces() {
		if f.kept.all != nil { // a view: what it changes is in the audit
			continue
		}
		for _, path := range append([]string{f.path}, f.aliases...) {
			out[path] = f.kind
		}
	}
	for _, kind := range boundary.Kinds {
		k := subnetKind{s, kind}
		out[subnetNouns[kind].path] = k.auditKind()
	}
	out["boundaries"] = auditBoundaries
	out["saved_question_copies"] = copyKind
	out["licenses"] = license
	out["system_settings"] = "system_setting"
	return out
}

type auditType struct {
	ID   int    `json:"id"`
	Name string `json:"name"` // in audit_logs/{type}
	Type string `json:"object_type_name"`
}

func (s *server) auditTypes(context.Context, call) ([]auditType, error) {
	kinds := s.auditKinds()
	out := []auditType{}
	for i, name := range slices.Sorted(maps.Keys(kinds)) {
		out = append(out, auditType{i + 1, name, kinds[name]})
	}
	return out, nil
}

// An auditLog is what was done to one object, or to all of a kind: object 0.
type auditLog struct {
	ID        int64       `json:"id"`
	Type      string      `json:"type"`
	StartTime string      `json:"start_time,omitempty"`
	EndTime   string      `json:"end_time,omitempty"`
	Entries   []auditData `json:"entries"` // newest first
}

type auditData struct {
	Name           string  `json:"audit_name"`
	Row            int64   `json:"audit_row_id"`
	Created        isoTime `json:"creation_time"`
	Details        string  `json:"details"`
	LastModifiedBy string  `json:"last_modified_by"`
	User           nameRef `json:"mod_user"`
	Persona        nameRef `json:"mod_persona"`
	Modified       isoTime `json:"modification_time"`
	UserID         int64   `json:"modifier_user_id"`
	ObjectID       int64   `json:"object_id"`
	ObjectName     string  `json:"object_name"`
	ObjectType     string  `json:"object_type_name"`
	Type           int     `json:"type"`
	TypeName       string  `json:"type_name"`
	Address        string  `json:"ip_address"` // Catenary's own: from where
}

// deeds are what is done, by the numbers that programs know.
var deeds = map[string]int{"create": 0, "update": 1, "delete": 2}

const otherDeed = 3

func (s *server) toAudit(e store.AuditEntry) auditData {
	deed, known := deeds[e.Type]
	if !known {
		deed = otherDeed
	}
	return auditData{
		Name: e.ObjectName, Row: e.ID, Created: isoTime(e.At), Details: e.Details, LastModifiedBy: e.UserName,
		User: nameRef{e.UserID, e.UserName}, Persona: nameRef{e.PersonaID, s.shelves.NameOf("persona", e.PersonaID)},
		Modified: isoTime(e.At), UserID: e.UserID, ObjectID: e.ObjectID, ObjectName: e.ObjectName, ObjectType: e.Kind,
		Type: deed, TypeName: e.Type, Address: e.Address,
	}
}

// auditLogs returns the newest entries about an object, or about all of its kind
// if its number is 0. A reader gets older ones by a time before which, and none
// that he has already by min_audit_row_id.
func (s *server) auditLogs(ctx context.Context, c call) ([]any, error) {
	name := c.PathValue("type")
	kind, ok := s.auditKinds()[name]
	if !ok {
		return nil, fault.New(fault.Invalid, "InvalidAuditType: there is no audit of %q; audit_types lists those there are", shorten(name))
	}
	id, err := c.number("id", strings.ReplaceAll(kind, "_", " "))
	if err != nil {
		return nil, err
	}
	opt := struct {
		History number `json:"audit_history_size"`
		MinRow  number `json:"min_audit_row_id"`
	}{History: auditHistory}
	if err := c.options(&opt); err != nil {
		return nil, err
	}
	log := auditLog{ID: int64(id), Type: name, Entries: []auditData{}}
	var between [2]time.Time
	for i, to := range []*string{&log.StartTime, &log.EndTime} {
		param := []string{"start_time", "end_time"}[i]
		*to = c.URL.Query().Get(param)
		if between[i], err = object.ParseTime(*to); err != nil {
			return nil, fault.New(fault.Invalid, "%s: %w", param, err)
		}
	}
	if opt.History < 1 || opt.History > pageMax {
		return nil, fault.New(fault.Invalid, "audit_history_size is %d, not 1 to %d", opt.History, pageMax)
	}
	list, err := s.store.Audits(ctx, kind, int64(id), between[0], between[1], int(opt.History), 0)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.ID >= int64(opt.MinRow) {
			log.Entries = append(log.Entries, s.toAudit(e))
		}
	}
	return listed([]auditLog{log}, 1), nil
}
