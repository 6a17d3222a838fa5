package api

import (
	"fmt"
	"testing"
	"time"

	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/rights"
)

// TestPreviewSensor: a few machines run a sensor that nobody has saved.
func TestPreviewSensor(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	before := len(d.list("/api/v2/sensors", true))
	const script = `"queries":[{"platform":"Linux","script":"who","script_type":"UnixShell"}]`
	w := d.call("POST", "/api/v2/preview_sensor", `{"sensor":{"name":"Who","max_age_seconds":3600,`+script+`},"computer_names":["web","db"]}`)
	d.ok(w)
	id := data[idObject](t, w).ID
	a := d.fleet.asked[0]
	same(t, question.Text(a.Question.Where), "Computer Name equals web or Computer Name equals db")
	same(t, []any{a.Preview.Name, a.Preview.MaxAge, a.ComputerID}, []any{"Preview of Who", time.Second, true})
	rec, err := d.store.Question(t.Context(), id)
	must(t, err)
	p, err := plan.Decode(rec.Plan)
	must(t, err)
	def, err := sensor.Decode(p.Sensors[p.Selects[0]].Definition)
	must(t, err)
	same(t, string(def.Scripts[0].Source), "who")
	same(t, d.shown(fmt.Sprintf("questions/%d", id))["query_text"], any(`Get ?forceComputerIdFlag=1 Preview of Who from all machines with Computer Name equals web or Computer Name equals db`))
	set := d.setOf(d.optioned(fmt.Sprintf("result_data/question/%d", id), `{}`))
	same(t, set.Columns[0].Name, "Preview of Who")

	same(t, len(d.list("/api/v2/sensors", true)), before)
	d.denies("GET", "sensors/by-name/Preview%20of%20Who", "", 404, "SensorNotFound")
	log := d.list("/api/v2/audit_logs/sensors/0", true)[0]["entries"].([]any)[0].(map[string]any)
	same(t, []any{log["type_name"], log["object_name"], log["last_modified_by"]}, []any{"preview", "Who", testUser})

	many := `"0"`
	for i := range previewMachines {
		many += fmt.Sprintf(`,"%d"`, i)
	}
	for _, tt := range []struct {
		body   string
		status int
		text   string
	}{
		{`{"sensor":{"name":"Who",` + script + `}}`, 400, "not 1 to 20"},
		{`{"sensor":{"name":"Who",` + script + `},"computer_names":[` + many + `]}`, 400, "21 machines"},
		{`{"computer_names":["web"]}`, 400, "sensor"},
		{`{"sensor":{"name":"Who"},"computer_names":["web"]}`, 400, "script"},
		{`{"sensor":{"name":"a[b]",` + script + `},"computer_names":["web"]}`, 400, "SensorNameInvalid"},
		{`{"sensor":{"name":"Who","content_set":{"name":"none"},` + script + `},"computer_names":["web"]}`, 400, "content_set"},
		{`{"sensor":{"name":"Who",` + script + `},"parameters":["x"],"computer_names":["web"]}`, 400, "parameter"},
	} {
		d.denies("POST", "preview_sensor", tt.body, tt.status, tt.text)
	}
	same(t, len(d.fleet.asked), 1)

	d.role("writer", false, rights.WriteSensor)
	u := d.person("bob", "writer")
	if w := d.as(u, "POST", "/api/v2/preview_sensor", `{"sensor":{"name":"Who",`+script+`},"computer_names":["web"]}`); w.Code != 403 {
		t.Errorf("who may ask nothing: %d %s", w.Code, w.Body)
	}
}
