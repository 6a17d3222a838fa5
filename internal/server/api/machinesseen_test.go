package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/sensor"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

// theirs is a desk with three machines in a LAN, and somebody who sees db-01 and
// mac-01 only.
func theirs(t *testing.T) (*desk, store.User, map[string]store.Machine) {
	d := newDesk(t)
	d.fleet.clients = three()
	machines := map[string]store.Machine{"pc-09": {Client: endpoint.ID{9}, ComputerID: 9, Name: "pc-09"}} // not registered
	for _, c := range d.fleet.clients {
		machines[c.Name] = store.Machine{Client: c.ID, ComputerID: c.ComputerID, Name: c.Name}
	}
	d.role("Finder", false, rights.ReadAudit)
	u := d.within("bob", d.machineGroup("Theirs", " (Computer Name equals db-01 or Computer Name equals mac-01)"))
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/users/%d", u.ID), `{"content_set_roles":[{"name":"Operator"},{"name":"Read Only"},{"name":"Finder"}]}`))
	return d, u, machines
}

// TestFindingsOfTheirMachines: who sees some machines only sees what was found of
// them, and of others neither names, nor numbers, nor what they have answered.
func TestFindingsOfTheirMachines(t *testing.T) {
	d, bob, is := theirs(t)
	d.ask("Get Operating System from all machines")
	lan := d.fleet.clients[0].LAN
	finding := func(kind string, clients ...store.Machine) store.Finding {
		return store.Finding{
			Question: 1, Kind: kind, LAN: lan, First: time.Unix(1e9, 0), Last: time.Unix(1e9, 0), Times: 7, Clients: clients,
			Suspects: []store.Machine{is["web-01"], is["mac-01"]}, Because: "an example of " + kind,
		}
	}
	d.fleet.findings = []store.Finding{
		finding("not_counted", is["web-01"]), finding("missing_row", is["web-01"], is["db-01"]), finding("altered_sums"), finding("forged_box", is["db-01"]),
		finding("low_count", is["pc-09"]),
	}
	must(t, d.store.KeepFindings(t.Context(), d.fleet.findings))
	d.fleet.accounts[1] = store.Account{}
	const shared, own = `["db-01"] ["mac-01"] 1 ""`, `["db-01"] ["mac-01"] 7 "an example of forged_box"`
	for query, want := range map[string]string{"": own + "; " + shared + "; of 2", "?row_count=1": own + "; of 2", "?row_start=1": shared + "; of 2", "?question_id=2": "of 0"} {
		w := d.as(bob, "GET", "/api/v2/audit_findings"+query, "")
		var list struct{ Data []json.RawMessage }
		must(t, json.Unmarshal(w.Body.Bytes(), &list))
		var info cacheInfo
		must(t, json.Unmarshal(list.Data[len(list.Data)-1], &info))
		got := ""
		for _, raw := range list.Data[:len(list.Data)-1] {
			got += findingText(t, raw) + "; "
		}
		if got += fmt.Sprint("of ", info.CacheRowCount); got != want {
			t.Errorf("%s: %s\nwant %s", query, got, want)
		}
	}
	a := data[accountObject](t, d.as(bob, "GET", "/api/v2/questions/1/account", ""))
	if len(a.Findings) != 2 || a.FindingCount != 2 || a.Findings[0].Kind != "missing_row" || len(a.Findings[0].Clients) != 1 {
		t.Errorf("in the account: %d %+v", a.FindingCount, a.Findings)
	}
	if a := data[accountObject](t, d.call("GET", "/api/v2/questions/1/account", "")); a.FindingCount != 5 {
		t.Errorf("who sees all machines is told of %d findings", a.FindingCount)
	}
	if len(d.fleet.findings[1].Clients) != 2 || d.fleet.findings[1].Clients[0] != is["web-01"] {
		t.Error("what the engine has was changed")
	}
}

func findingText(t *testing.T, raw []byte) string {
	var f findingObject
	must(t, json.Unmarshal(raw, &f))
	names := func(list []machineObject) (out []string) {
		for _, m := range list {
			out = append(out, m.HostName)
		}
		return out
	}
	return fmt.Sprintf("%q %q %d %q", names(f.Clients), names(f.Suspects), f.Times, f.Example)
}

// TestAccountOfTheirMachines: an account names the machines that one sees, and
// its numbers count these; what is not known of them it leaves out.
func TestAccountOfTheirMachines(t *testing.T) {
	d, bob, is := theirs(t)
	id := data[idObject](t, d.as(bob, "POST", "/api/v2/questions", `{"query_text":"Get Operating System from all machines"}`)).ID
	x := func(name string, o store.Outcome) store.Exception {
		return store.Exception{Client: is[name].Client, ComputerID: is[name].ComputerID, Name: name, LAN: d.fleet.clients[0].LAN, Outcome: o}
	}
	all := []store.Exception{
		x("web-01", store.Failed), x("db-01", store.Failed), x("mac-01", store.Running), x("pc-09", store.Offline),
		{Outcome: store.NotReached}, // of a machine that nobody knows any more
	}
	d.fleet.accounts[id] = store.Account{
		Counts: store.Counts{Answered: 90, Failed: 2, Running: 1, Offline: 1, NotReached: 5}, Exceptions: all, LeftOut: 4, Rounds: 2,
	}
	path := fmt.Sprintf("/api/v2/questions/%d/account", id)
	a := data[accountObject](t, d.as(bob, "GET", path, ""))
	got := fmt.Sprint(a.Exceptions[0].HostName, " ", a.Exceptions[1].HostName, len(a.Exceptions), a.ExceptionCount, a.FailedCount, a.StoppedCount, a.RunningCount, a.OfflineCount, a.NotReachedCount)
	if want := "db-01 mac-012 2 1 0 1 0 0"; got != want {
		t.Errorf("the account says %s, want %s", got, want)
	}
	if a.MachineCount != nil || a.AnsweredCount != nil || a.ExceptionsLeftOut != nil {
		t.Errorf("it counts others: %+v", a)
	}
	if body := d.as(bob, "GET", path+"?row_start=1", "").Body.String(); !strings.Contains(body, "mac-01") || strings.Contains(body, "db-01") {
		t.Errorf("its second page is %s", body)
	}
	for _, outcome := range []store.Outcome{store.Failed, store.Stopped, store.Running, store.Offline, store.NotReached} {
		d.fleet.accounts[id] = store.Account{Exceptions: []store.Exception{x("db-01", outcome), x("web-01", outcome)}}
		var o map[string]any
		must(t, json.Unmarshal(d.as(bob, "GET", path, "").Body.Bytes(), &struct{ Data *map[string]any }{&o}))
		for _, count := range []string{"failed", "stopped", "running", "offline", "not_reached"} {
			want := 0.0
			if count == string(outcome) {
				want = 1
			}
			if o[count+"_count"] != want {
				t.Errorf("%s: %s_count is %v", outcome, count, o[count+"_count"])
			}
		}
	}
	d.fleet.accounts[id] = store.Account{Counts: store.Counts{Answered: 90, Failed: 2}, Exceptions: all[:2]}
	if a := data[accountObject](t, d.call("GET", path, "")); *a.MachineCount != 92 || *a.AnsweredCount != 90 || len(a.Exceptions) != 2 {
		t.Errorf("who sees all machines is told %+v", a)
	}
}

// TestQuarantineOfTheirMachines: sensors that only others do not run are not in
// the list, and can be released all the same.
func TestQuarantineOfTheirMachines(t *testing.T) {
	d, bob, is := theirs(t)
	d.role("Mender", false, rights.WriteSensor)
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/users/%d", bob.ID), `{"content_set_roles":[{"name":"Read Only"},{"name":"Mender"}]}`))
	memory, linux := sensor.Hash("Free Memory"), sensor.Hash("Is Linux")
	d.fleet.held = []store.Quarantined{
		{Hash: memory, Name: "Free Memory", Machines: 2, Some: []store.Machine{is["web-01"], is["db-01"]}},
		{Hash: linux, Name: "Is Linux", Machines: 1, Some: []store.Machine{is["web-01"]}},
	}
	list := data[[]quarantineObject](t, d.as(bob, "GET", "/api/v2/sensor_quarantines", ""))
	if len(list) != 1 || list[0].Name != "Free Memory" || list[0].MachineCount != 1 || len(list[0].Machines) != 1 || list[0].Machines[0].HostName != "db-01" {
		t.Errorf("bob sees %+v", list)
	}
	released := data[quarantineObject](t, d.as(bob, "DELETE", fmt.Sprintf("/api/v2/sensor_quarantines/%d", linux), ""))
	same(t, []any{released.Name, released.MachineCount}, []any{"Is Linux", 0})
	same(t, d.fleet.released, []uint32{linux})
}
