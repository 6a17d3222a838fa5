package cli

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serveGroups are three computer groups: one with more members than are fetched
// at once, one that is not tracked, and one of which nothing is known yet.
func serveGroups(mux *http.ServeMux) {
	ids := map[string]int{"Many": 5, "Plain": 6, "New": 7}
	mux.HandleFunc("GET /api/v2/groups/by-name/{name}", func(w http.ResponseWriter, r *http.Request) {
		id, ok := ids[r.PathValue("name")]
		if !ok {
			refuse(w, http.StatusNotFound, "GroupNotFound")
			return
		}
		reply(w, map[string]any{"id": id, "name": r.PathValue("name")})
	})
	const most = memberPage + 1
	asked := noon.Add(-time.Hour).Format(time.RFC3339)
	mux.HandleFunc("GET /api/v2/groups/5/members", func(w http.ResponseWriter, r *http.Request) {
		var from, count int
		if _, err := fmt.Sscanf(r.URL.RawQuery, "row_start=%d&row_count=%d", &from, &count); err != nil || count != memberPage {
			refuse(w, http.StatusBadRequest, "want a page")
			return
		}
		list := []any{}
		for i := from; i < min(from+count, most); i++ {
			list = append(list, map[string]any{"computer_id": i + 1, "client_id": fmt.Sprintf("%032x", i+1), "host_name": fmt.Sprintf("pc-%05d", i+1), "answered_time": asked})
		}
		reply(w, map[string]any{"tracked_flag": true, "answered_time": asked, "member_count": most, "members": list})
	})
	none := func(tracked bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			reply(w, map[string]any{"tracked_flag": tracked, "answered_time": "2001-01-01T00:00:00Z", "member_count": 0, "members": []any{}})
		}
	}
	mux.HandleFunc("GET /api/v2/groups/6/members", none(false))
	mux.HandleFunc("GET /api/v2/groups/7/members", none(true))
}

func TestGroupMembers(t *testing.T) {
	p := newPlace(t).at(newFleet(t))
	out := p.says(t, "group", "members", "Many", "--format", "csv")
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(out, "\r", "")), "\n")
	if len(lines) != memberPage+2 || lines[0] != "Computer Name,Computer ID,Asked,Client ID" || lines[memberPage+1] != "pc-10001,10001,2026-11-22T11:00:00Z,00000000000000000000000000002711" {
		t.Errorf("%d lines, %q to %q", len(lines), lines[0], lines[len(lines)-1])
	}
	if out := p.says(t, "group", "members", "Many"); strings.Count(out, "1 hour ago") != memberPage+1 {
		t.Error("the table does not say how long ago each was asked")
	}
	for name, want := range map[string]string{
		"Plain": "catenary group change 'Plain' --set track_computer_id_flag=1", "New": "is known some minutes later", "Nobody": "GroupNotFound",
	} {
		if out, errs, _ := p.run("group", "members", name); !strings.Contains(errs, want) || strings.Contains(out, "pc-") {
			t.Errorf("%s: %q, %q", name, out, errs)
		}
	}
}
