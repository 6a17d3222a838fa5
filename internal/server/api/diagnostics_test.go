package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/server/diagnosis"
)

const reportsPath = "/api/v2/server_diagnostics"

// TestDiagnostics: they have what somebody needs who is to find out what is wrong
// with a server that he does not see.
func TestDiagnostics(t *testing.T) {
	d := newDesk(t)
	d.fleet.clients = three()
	d.fleet.clients[2].Gone = true
	is := data[diagnostics](t, d.call("GET", "/api/v2/server_info", "")).Diagnostics
	for where, want := range map[string]any{
		"Server.hostname": "server.example.org", "Server.version": "1.2.3", "Settings.Version": "1.2.3", "Settings.session_expiration_seconds": 300.0,
		"Disk.capacity_bytes": 1000.0, "Disk.available_bytes": 400.0, "Database.reachable": true, "Database.name": d.store.Name(),
		"Clients.registered": 3.0, "Clients.leader_count": 2.0, "Clients.offline_count": 1.0, "Clients.version 1.1": 2.0, "Clients.registered_with_errors_count": 2.0,
		"Queues.database_writes": 3.0, "Queues.database_writes limit": 64.0, "Queues.event_streams": 0.0, "Queues.event_streams limit": float64(streamsMax),
		"Queues.sessions": 1.0, "Queues.sessions limit": float64(sessionsMax), "Queues.requests_of_people": 1.0,
	} {
		section, counter, _ := strings.Cut(where, ".")
		if got := is[section][counter]; got != want {
			t.Errorf("%s is %v, want %v", where, got, want)
		}
	}
	for _, where := range []string{"Program.goroutines", "Program.heap_bytes", "Program.memory_bytes", "Program.processors", "Database.bytes", "Database.tables_version"} {
		section, counter, _ := strings.Cut(where, ".")
		if got, _ := is[section][counter].(float64); got < 1 {
			t.Errorf("%s is %v", where, is[section][counter])
		}
	}
	if _, said := is["Settings"]["pre_login_text"]; said {
		t.Error("settings that are texts stand in it")
	}
	if engine, _ := is["Database"]["engine"].(string); !strings.HasPrefix(engine, "SQLite 3") {
		t.Errorf("the database is %q", engine)
	}
}

// TestDiagnosticsHaveNoSecrets: whatever operators have written stays out of them.
func TestDiagnosticsHaveNoSecrets(t *testing.T) {
	d := newDesk(t)
	const word = "Xsecret9"
	d.ok(d.call("POST", "/api/v2/local_settings", `{"name":"key","type":"protected","value":"`+word+`"}`))
	d.ok(d.call("POST", "/api/v2/system_settings", `{"name":"mine","value":"`+word+`"}`))
	d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/pre_login_text", `{"value":"`+word+`"}`))
	d.ok(d.call("POST", "/api/v2/oidc_providers", `{"name":"corp","enabled":true,"issuer":"https://id.example.org","client_id":"x","client_secret":"`+word+`"}`))
	d.ok(d.call("POST", "/api/v2/api_tokens", `{"name":"`+word+`"}`))
	d.ok(d.call("POST", reportsPath, ""))
	list := data[[]reportObject](t, d.call("GET", reportsPath, ""))
	body := d.call("GET", reportsPath+"/"+list[0].Name, "").Body.String()
	if !strings.Contains(body, `"uptime_seconds"`) || strings.Contains(body, word) || strings.Contains(body, d.session) {
		t.Errorf("the report is %s", body)
	}
}

// TestDatabaseAway: that is what diagnostics say then.
func TestDatabaseAway(t *testing.T) {
	d := newDesk(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if out := d.api.databaseSection(ctx); out["reachable"] != false || out["error"] == "" || out["bytes"] != nil {
		t.Errorf("it says %v", out)
	}
}

// TestReports: they are made, listed and read; of more than are to be kept the
// oldest go.
func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		same(t, data[[]reportObject](t, d.call("GET", reportsPath, "")), []reportObject{})
		d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/diagnostics_export_count", `{"value":2}`))
		var names []string
		for range 3 {
			r := data[reportObject](t, d.call("POST", reportsPath, ""))
			names = append(names, r.Name)
			time.Sleep(time.Second) // fake time
		}
		list := data[[]reportObject](t, d.call("GET", reportsPath, ""))
		same(t, []string{list[0].Name, list[1].Name}, []string{names[2], names[1]})
		if ago := time.Since(time.Time(list[0].Made)); ago != time.Second {
			t.Errorf("it was made %v ago", ago)
		}
		w := d.call("GET", reportsPath+"/"+names[2], "")
		var out report
		must(t, json.Unmarshal(w.Body.Bytes(), &out))
		if !time.Time(out.Made).Equal(time.Time(list[0].Made)) {
			t.Errorf("it says that it is of %v", time.Time(out.Made))
		}
		size := int64(w.Body.Len())
		same(t, []any{w.Code, w.Header().Get("Content-Type"), size, out.Diagnostics["Server"]["hostname"]},
			[]any{200, "application/json", list[0].Size, "server.example.org"})
		if got := w.Header().Get("Content-Disposition"); got != `attachment; filename="`+names[2]+`"` {
			t.Errorf("it is to be kept as %s", got)
		}
		d.denies("GET", "server_diagnostics/"+names[0], "", 404, "there is no report")
		d.denies("GET", "server_diagnostics/..%2Fcatenary.db", "", 404, "there is no report")
		d.api.reports = nil
		d.denies("GET", "server_diagnostics", "", 503, "no folder")
	})
}

// hours runs the making of reports for so many hours and returns at which of them
// one was made.
func (d *desk) hours(n int, during func(hour int)) (at []int) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	ended := make(chan error)
	go func() { ended <- d.api.runDiagnosis(ctx) }()
	known := map[string]bool{}
	look := func(hour int) {
		list, err := d.api.reports.List()
		must(d.t, err)
		for _, r := range list {
			if !known[r.Name] && hour >= 0 {
				at = append(at, hour)
			}
			known[r.Name] = true
		}
	}
	look(-1)
	for hour := range n {
		if during != nil {
			during(hour)
		}
		time.Sleep(time.Hour) // fake time
		synctest.Wait()
		look(hour)
	}
	cancel()
	must(d.t, <-ended)
	return at
}

// TestReportsArePeriodic: as often as the setting says, also across a restart,
// and never if it says so.
func TestReportsArePeriodic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		every := func(minutes int) {
			d.session = d.loggedIn() // the one before has expired
			d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/diagnostics_export_minutes", fmt.Sprintf(`{"value":%d}`, minutes)))
		}
		same(t, d.hours(50, nil), []int{0, 24, 48})
		same(t, d.hours(24, nil), []int{22})
		every(0)
		same(t, len(d.hours(48, nil)), 0)
		every(180)
		same(t, d.hours(7, func(hour int) {
			if hour == 5 {
				every(60)
			}
		}), []int{0, 3, 5, 6})
	})
}

// TestReportDue: to the moment; also if the last one is of a time that is yet to
// come.
func TestReportDue(t *testing.T) {
	d := newDesk(t)
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	due := func(now time.Time) bool {
		is, err := d.api.reportDue(now)
		must(t, err)
		return is
	}
	same(t, due(noon), true) // there is none yet
	_, err := d.api.report(t.Context(), noon)
	must(t, err)
	for after, want := range map[time.Duration]bool{0: false, 24*time.Hour - 1: false, 24 * time.Hour: true, 48 * time.Hour: true, -1: true} {
		if due(noon.Add(after)) != want {
			t.Errorf("%v after the last one: want %v", after, want)
		}
	}
}

// TestReportsThatFail: a folder that cannot be written is tried again in an hour,
// and the log says so once each time.
func TestReportsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		dir := t.TempDir()
		f, err := diagnosis.Open(dir)
		must(t, err)
		must(t, f.Close())
		d.api.reports = f
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.api.runDiagnosis(ctx) }()
		time.Sleep(150 * time.Minute) // fake time
		synctest.Wait()
		cancel()
		must(t, <-ended)
		if n := strings.Count(d.logs.String(), "diagnostics not exported"); n != 3 {
			t.Errorf("it was tried %d times", n)
		}
	})
}
