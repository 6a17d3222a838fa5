package cli

import (
	"net/http"
	"strings"
	"testing"
)

// serveSensing are the routes about how sensors run.
func (f *fleet) serveSensing(mux *http.ServeMux) {
	answer := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if _, err := w.Write([]byte(text)); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
	}
	mux.HandleFunc("GET /api/v2/sensor_stats", answer(`{"data":[
		{"id":1,"name":"Quick","count":4,"real_ms_avg":0.5,"real_ms_min":0.25,"real_ms_max":1,"real_ms_std":0.1,"user_ms_avg":0,"sys_ms_avg":0},
		{"id":2,"name":"Slow","count":2,"real_ms_avg":12500,"real_ms_min":10000,"real_ms_max":15000,"real_ms_std":2500,"user_ms_avg":1200,"sys_ms_avg":40}]}`))
	mux.HandleFunc("GET /api/v2/sensor_quarantines", answer(`{"data":[
		{"hash":7,"name":"Slow","machine_count":3,"machines":[{"client_id":"01","computer_id":1,"host_name":"pc-1"}],"releasing_flag":false},
		{"hash":9,"name":"","machine_count":1,"machines":[],"releasing_flag":true}]}`))
	mux.HandleFunc("DELETE /api/v2/sensor_quarantines/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") != "A/B 100%" {
			refuse(w, http.StatusNotFound, "no machine has it")
			return
		}
		answer(`{"data":{"hash":7,"name":"A/B 100%","machine_count":3,"machines":[],"releasing_flag":true}}`)(w, r)
	})
	mux.HandleFunc("POST /api/v2/questions/estimate", answer(`{"data":{"question_text":"q","level":"Medium","average_ms":2001.5,"max_ms":15000,"condition_average_ms":2000,
		"sensors":[{"name":"Slow","level":"Medium","average_ms":2000,"max_ms":14000,"condition_flag":true},{"name":"Quick","level":"Low","average_ms":1.5,"max_ms":1000,"condition_flag":false}],
		"unknown":["New"]}}`))
}

func TestSensorStats(t *testing.T) {
	p := newPlace(t).at(newFleet(t))
	out, stderr, code := p.run("sensor", "stats", "--format", "csv")
	want := "Sensor,Runs,Average,Least,Most,Deviation,User,System\nSlow,2,12.5s,10s,15s,2.5s,1.2s,40ms\nQuick,4,500µs,250µs,1ms,100µs,0s,0s\n"
	if strings.ReplaceAll(out, "\r", "") != want || code != 0 {
		t.Errorf("%d %q %s", code, out, stderr)
	}
}

func TestSensorQuarantine(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	out, stderr, code := p.run("sensor", "quarantine", "--format", "csv")
	if want := "Sensor,Machines,Among Them,State\nSlow,3,pc-1,not run\n9,1,,released; they will hear of it\n"; strings.ReplaceAll(out, "\r", "") != want || code != 0 {
		t.Errorf("%d %q %s", code, out, stderr)
	}
	out, stderr, code = p.run("sensor", "release", "A/B 100%")
	if code != 0 || out != "A/B 100% is released: 3 machines hear of it when they next register\n" {
		t.Errorf("%d %q %s", code, out, stderr)
	}
	if _, stderr, code := p.run("sensor", "release", "Other"); code == 0 || !strings.Contains(stderr, "no machine has it") {
		t.Errorf("%d %s", code, stderr)
	}
}

func TestEstimate(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	out, stderr, code := p.run("ask", "--estimate", "Get Quick from all machines with Slow equals 1")
	for _, want := range []string{"Slow", "all machines", "machines that match", "Load on a machine that matches: Medium (2.002s on average, 15s at most; 2s for the condition alone)", "not counted: New"} {
		if !strings.Contains(out, want) || code != 0 {
			t.Errorf("%d, no %q in %s%s", code, want, out, stderr)
		}
	}
	if len(f.questions) != 0 {
		t.Error("the question was asked")
	}
}
