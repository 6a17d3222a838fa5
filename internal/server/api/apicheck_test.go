package api

import (
	"context"
	"mime"
	"testing"

	"catenary/internal/server/apicheck"
)

// TestKeepsToItsDescription: whatever is asked by chance, rightly and wrongly,
// is answered as described.
func TestKeepsToItsDescription(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	doc, err := d.api.document()
	must(t, err)
	rep, err := apicheck.Run(t.Context(), doc, 1, 6, func(_ context.Context, r apicheck.Request) (apicheck.Answer, error) {
		headers := []string{"session", d.session}
		if r.Options != "" {
			headers = append(headers, optionsHeader, r.Options)
		}
		w := d.send(r.Method, r.Path, r.Body, headers...)
		kind, _, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
		return apicheck.Answer{Status: w.Code, Type: kind, Body: w.Body.Bytes()}, err
	})
	must(t, err)
	for _, f := range rep.Findings {
		t.Error(f)
	}
	t.Logf("%d requests for %d operations; statuses %v", rep.Requests, rep.Operations, rep.Statuses)
}
