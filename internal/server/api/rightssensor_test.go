package api

import (
	"fmt"
	"strings"
	"testing"

	"catenary/internal/server/rights"
)

// TestRightsOfSensors: nobody learns what a sensor says who may not read it, be it
// by a question, a saved one or a group.
func TestRightsOfSensors(t *testing.T) {
	d := newDesk(t)
	asks := []rights.Privilege{
		rights.AskDynamicQuestion, rights.WriteSavedQuestion, rights.ReadSavedQuestion,
		rights.WriteComputerGroup, rights.ReadComputerGroup,
	}
	d.role("asks", false, asks...)
	d.role("reads", false, rights.ReadSensor)
	blind, reader := d.person("blind", "asks"), d.person("reader", "asks", "reads")
	for _, tt := range []struct{ path, body string }{
		{"questions", `{"query_text":"Get Computer Name from all machines"}`},
		{"questions", `{"query_text":"Get Computer Name from all machines with Is Linux equals True"}`},
		{"questions", `{"selects":[{"sensor":{"name":"Computer Name"}}]}`},
		{"saved_questions", `{"name":"names","query_text":"Get Computer Name from all machines"}`},
		{"groups", `{"name":"penguins","text":"Is Linux equals True"}`},
		{"groups", `{"name":"penguins by parts","filters":[{"sensor":{"name":"Is Linux"},"operator":"Equal","value":"True"}]}`},
	} {
		path := "/api/v2/" + tt.path
		if w := d.as(blind, "POST", path, tt.body); w.Code != 403 || !strings.Contains(w.Body.String(), "Read Sensor") {
			t.Errorf("POST %s %s without the right: %d %s", path, tt.body, w.Code, w.Body)
		}
		if w := d.as(reader, "POST", path, tt.body); w.Code != 200 {
			t.Errorf("POST %s %s: %d %s", path, tt.body, w.Code, w.Body)
		}
	}
	// What does not change is not looked at again: a name is no sensor.
	saved := fmt.Sprintf("/api/v2/saved_questions/%d", d.made("saved_questions", `{"name":"public","public_flag":true,"query_text":"Get Computer Name from all machines"}`))
	for body, code := range map[string]int{
		`{"name":"otherwise"}`: 200,
		`{"query_text":"Get Operating System from all machines"}`: 403,
	} {
		if w := d.as(blind, "PATCH", saved, body); w.Code != code {
			t.Errorf("PATCH %s %s: %d %s, want %d", saved, body, w.Code, w.Body, code)
		}
	}
}
