package api

import (
	"fmt"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/plan"
	"catenary/internal/sensor"
	"catenary/internal/server/store"
)

func TestSensorStats(t *testing.T) {
	d := newDesk(t)
	d.fleet.stats = []store.SensorStat{
		{Hash: sensor.Hash("Computer Name"), Name: "Computer Name", Count: 4, Min: 1, Max: 5, Real: store.Spread{Sum: 12, Squares: 44}},
		{Hash: sensor.Hash("Free Memory"), Name: "Free Memory", Count: 3, Min: 10, Max: 10, Real: store.Spread{Sum: 30, Squares: 300}, Measured: 2, User: store.Spread{Sum: 6, Squares: 20}, Sys: store.Spread{Sum: 2, Squares: 2}, Answers: 4, Bytes: store.Spread{Sum: 40, Squares: 436}},
	}
	list := data[[]map[string]any](t, d.call("GET", "/api/v2/sensor_stats", ""))
	same(t, len(list), 2)
	sorted := data[[]map[string]any](t, d.options("/api/v2/sensor_stats", `{"cache_sort_fields":"-real_ms_avg","row_count":1}`))
	same(t, sorted[0]["name"], any("Free Memory"))
	same(t, list[0]["real_ms_avg"], any(3.0))
	same(t, list[0]["real_ms_std"], any(1.414))
	one := data[sensorStat](t, d.call("GET", "/api/v2/sensor_stats/by-name/free%20memory", ""))
	same(t, one, sensorStat{
		ID: one.ID, Name: "Free Memory", WhatHash: sensor.Hash("Free Memory"), Count: 3, RealAvg: 10, RealMin: 10, RealMax: 10, UserAvg: 3, UserStd: 1, SysAvg: 1, WriteAvg: 10, WriteStd: 3, AnswerCount: 4,
	})
	if one.ID != 0 {
		same(t, data[sensorStat](t, d.call("GET", fmt.Sprint("/api/v2/sensor_stats/", one.ID), "")), one)
	}
	for path, want := range map[string]int{"sensor_stats/999": 404, "sensor_stats/0": 404, "sensor_stats/x": 400, "sensor_stats/by-name/Is%20Linux": 404} {
		if w := d.call("GET", "/api/v2/"+path, ""); w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestEstimate: what a question costs is said before it is asked.
func TestEstimate(t *testing.T) {
	d := newDesk(t)
	d.api.runtimes = func() map[string]plan.Runtime {
		return map[string]plan.Runtime{"Operating System": {Average: 1500 * time.Microsecond, Max: time.Second}, "Is Linux": {Average: 2 * time.Second, Max: 3 * time.Second}}
	}
	e := data[estimate](t, d.call("POST", "/api/v2/questions/estimate", `{"query_text":"Get Operating System and Free Memory from all machines with Is Linux equals True"}`))
	same(t, e, estimate{
		QuestionText: "Get Operating System and Free Memory from all machines with Is Linux equals True", Level: "Medium", AverageMs: 2001.5, MaxMs: 4000, ConditionMs: 2000,
		Sensors: []sensorEstimate{{"Is Linux", "Medium", 2000, 3000, true}, {"Operating System", "Low", 1.5, 1000, false}}, Unknown: []string{"Free Memory"},
	})
	same(t, len(d.fleet.asked), 0)
	d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/question_load_high_ms", `{"value":2001}`))
	d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/question_load_medium_ms", `{"value":1}`))
	e = data[estimate](t, d.call("POST", "/api/v2/questions/estimate", `{"query_text":"Get Operating System from all machines with Is Linux equals True"}`))
	same(t, []string{e.Level, e.Sensors[0].Level, e.Sensors[1].Level}, []string{"High", "Medium", "Medium"})
	if w := d.call("POST", "/api/v2/questions/estimate", `{"query_text":"Get Nothing"}`); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestQuarantineRoutes(t *testing.T) {
	d := newDesk(t)
	hash := sensor.Hash("Free Memory")
	d.fleet.held = []store.Quarantined{{Hash: hash, Name: "Free Memory", Machines: 2, Some: []store.Machine{{Client: endpoint.ID{1}, ComputerID: 7, Name: "pc"}}}}
	d.want(d.call("GET", "/api/v2/sensor_quarantines", ""), 200, fmt.Sprintf(
		`{"data":[{"hash":%d,"name":"Free Memory","machine_count":2,"machines":[{"client_id":"01000000000000000000000000000000","computer_id":7,"host_name":"pc"}],"releasing_flag":false}]}`, hash))
	for _, name := range []string{fmt.Sprint(hash), "free%20memory"} {
		d.want(d.call("DELETE", "/api/v2/sensor_quarantines/"+name, ""), 200, fmt.Sprintf(
			`{"data":{"hash":%d,"name":"Free Memory","machine_count":2,"machines":[],"releasing_flag":true}}`, hash))
	}
	same(t, d.fleet.released, []uint32{hash, hash})
	d.want(d.call("DELETE", "/api/v2/sensor_quarantines/Is%20Linux", ""), 200, fmt.Sprintf(
		`{"data":{"hash":%d,"name":"Is Linux","machine_count":0,"machines":[],"releasing_flag":true}}`, sensor.Hash("Is Linux")))
	d.want(d.call("DELETE", "/api/v2/sensor_quarantines/Online", ""), 404, `{"text":"there is no sensor \"Online\", and no machine has one in quarantine"}`)
}
