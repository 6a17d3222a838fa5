package api

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/resultset"
	"catenary/internal/server/store"
	"catenary/internal/value"
)

// within makes a person who sees the machines of some groups only.
func (d *desk) within(name string, groups ...int64) store.User {
	d.t.Helper()
	u := d.person(name, "Operator", "Read Only")
	for i, g := range groups {
		d.ok(d.call("POST", "/api/v2/user_groups", fmt.Sprintf(`{"name":"%s %d","group":{"id":%d},"user_list":[{"id":%d}]}`, name, i, g, u.ID)))
	}
	return u
}

func (d *desk) machineGroup(name, text string) int64 {
	d.t.Helper()
	return d.made("management_rights_groups", fmt.Sprintf(`{"name":%q,"text":%q}`, name, text))
}

// three are machines that stand in a chain: web-01, db-01 and mac-01.
func three() []endpoint.Status {
	machine := func(n byte, name, platform, version string) endpoint.Status {
		return endpoint.Status{
			ID: endpoint.ID{n}, ComputerID: uint32(n), Name: name, Platform: platform, Version: version,
			Place: endpoint.Place{Addr: address(n), ID: endpoint.ID{n}}, Reported: netip.AddrFrom4([4]byte{192, 168, n, 1}),
			LAN: netip.MustParsePrefix("10.0.0.0/24"), Registered: time.Now(), Way: "tls",
		}
	}
	peer := func(to endpoint.Status) endpoint.Link {
		return endpoint.Link{Kind: endpoint.Peer, Peer: to.ID, Name: to.Name, Trip: time.Millisecond}
	}
	web, db, mac := machine(1, "web-01", "Linux", "1.0"), machine(2, "db-01", "Linux", "1.1"), machine(3, "mac-01", "Mac", "1.1")
	web.Backward, web.Forward = endpoint.Link{Kind: endpoint.Server}, peer(db)
	db.Backward, db.Forward = peer(web), peer(mac)
	mac.Backward, mac.Forward = peer(db), endpoint.Link{Kind: endpoint.Server}
	web.Refused, mac.Refused = "too old", "too old"
	return []endpoint.Status{web, db, mac}
}

// seen are the machines that a list shows to somebody, and what stands behind.
func (d *desk) seen(u store.User, path string) (names string, rows []map[string]any) {
	d.t.Helper()
	w := d.as(u, "GET", "/api/v2/"+path, "")
	var list struct{ Data []map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != 200 {
		d.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	var out []string
	for _, row := range list.Data {
		if name, ok := row["host_name"].(string); ok {
			out = append(out, name)
		}
	}
	return strings.Join(out, " "), list.Data
}

// TestMachinesSeen: who sees some machines only finds these in the lists of
// machines, and no trace of others.
func TestMachinesSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.fleet.clients = three()
		d.fleet.sensors = append(d.fleet.sensors, sensor.Sensor{
			Name: "IP Address", Category: "Test", MaxAge: time.Minute, Platforms: []sensor.Platform{sensor.Linux}, Columns: []sensor.Column{{Name: "IP Address", Type: value.IPAddress}},
		}, sensor.Sensor{
			Name: "Owner", Category: "Test", MaxAge: time.Minute, Platforms: []sensor.Platform{sensor.Linux}, Columns: []sensor.Column{{Name: "Owner", Type: value.String}},
			Scripts: []sensor.Script{{Platform: sensor.Linux, Language: sensor.UnixShell, Source: "echo"}},
		})
		must(t, d.fleet.renew())
		d.firstGroups()
		web := d.machineGroup("Web", " Computer Name starts with web")
		for _, tt := range []struct {
			name, text, want string
		}{
			{"Linux", " Is Linux equals True", "web-01 db-01"},
			{"Not Linux", " Is Linux not equals True", "mac-01"},
			{"Nested", " (Web or Computer Name equals mac-01)", "web-01 mac-01"},
			{"Nobody", " Computer Name equals nobody", ""},
			{"Address", " IP Address equals 192.168.2.1", "db-01"},
			{"Not address", " IP Address not equals 192.168.2.1", ""}, // they may have others
			{"Unknown", " Operating System not contains Windows", ""},
			{"Unknown script", " Owner equals ann", ""},
			{"Partly", " (Computer Name equals db-01 or Owner equals ann)", "db-01"},
		} {
			if got, _ := d.seen(d.within("of "+tt.name, d.machineGroup(tt.name, tt.text)), "system_status"); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
		}
		manual := d.made("computer_groups", `{"name":"By hand","management_rights_flag":true,"computer_specs":[{"computer_name":"mac-01"},{"computer_name":"web-0."}]}`)
		names, _ := d.seen(d.within("by hand", manual), "system_status")
		same(t, names, "mac-01")

		bob := d.within("bob", web, manual)
		names, rows := d.seen(bob, "system_status")
		same(t, names, "web-01 mac-01")
		sums, info := rows[2], rows[3]
		same(t, []any{sums["leader_count"], sums["registered_with_tls_count"], info["cache_row_count"], info["filtered_row_count"]}, []any{2.0, 2.0, 2.0, 2.0})
		same(t, fmt.Sprint(sums["versions"]), "[map[count:1 filtered:1 version_string:1.0] map[count:1 filtered:1 version_string:1.1]]")
		same(t, rows[1]["cache_row_id"], any(1.0))
		same(t, fmt.Sprint(rows[0]["forward"]), "map[backward_link_flag:false kind:peer round_trip_ms:1 slow_flag:false]") // db-01 has no name
		if w := d.as(bob, "GET", "/api/v2/system_status", ""); strings.Contains(w.Body.String(), "db-01") || strings.Contains(w.Body.String(), endpoint.ID{2}.String()) {
			t.Errorf("the list tells of a neighbour: %s", w.Body)
		}
		_, rows = d.seen(bob, "system_status?row_start=1&row_count=1")
		same(t, []any{len(rows), rows[0]["host_name"], rows[1]["leader_count"], rows[2]["cache_row_count"]}, []any{3, "mac-01", 2.0, 2.0})
		names, _ = d.seen(bob, "unregistered_clients")
		same(t, names, "web-01 mac-01")
		names, _ = d.seen(d.within("eve", web), "unregistered_clients")
		same(t, names, "web-01")
		d.want(d.as(bob, "GET", "/api/v2/client_count", ""), 200, `{"data":2}`)
		d.want(d.call("GET", "/api/v2/client_count", ""), 200, `{"data":3}`)
		names, _ = d.seen(d.person("root", "Administrator"), "system_status")
		same(t, names, "web-01 db-01 mac-01")

		// The group means others now, and what was kept of it is nobody's.
		again := d.keep(bob, "system_status")
		same(t, again(), 200)
		d.ok(d.call("PATCH", fmt.Sprint("/api/v2/management_rights_groups/", web), `{"text":" Computer Name starts with db"}`))
		same(t, again(), 404)
		names, _ = d.seen(bob, "system_status")
		same(t, names, "db-01 mac-01")

		d.fleet.clients = append([]endpoint.Status{}, d.fleet.clients...)
		d.fleet.clients[0].Name = "db-02"
		names, _ = d.seen(bob, "system_status")
		same(t, names, "db-02 db-01 mac-01")
	})
}

// TestMachinesSeenByAnswers: what machines have said lately to saved questions
// tells in which groups they are, for a day.
func TestMachinesSeenByAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.fleet.clients = three()
		bob := d.within("bob", d.machineGroup("Systems", " Operating System contains Linux"))
		want := func(want string) {
			t.Helper()
			time.Sleep(saidAfresh)
			names, _ := d.seen(bob, "system_status")
			same(t, names, want)
		}
		want("")
		said := func(saved int64, text, scope string, list ...store.RecentAnswer) {
			t.Helper()
			p, err := d.api.unsent(parsed(t, d, text), d.fleet.Catalogue(), plan.Options{ComputerID: true})
			must(t, err)
			must(t, d.store.KeepRecent(t.Context(), store.SavedScope{SavedQuestion: saved, Scope: scope}, resultset.Shape(p), list))
		}
		of := func(computer uint32, ago time.Duration, texts ...string) store.RecentAnswer {
			return store.RecentAnswer{ComputerID: computer, Answered: time.Now().Add(-ago), Cells: append([][]string{{fmt.Sprint(computer)}}, cellsOf(texts)...)}
		}
		both := "Get Computer Name and Operating System from all machines"
		first := d.saved(fmt.Sprintf(`{"name":"Both","query_text":%q,"archive_enabled_flag":true}`, both))
		said(first, both, "", of(1, time.Hour, "web-01", "Debian Linux"), of(2, saidFor+time.Minute, "db-01", "Debian Linux"), of(3, time.Hour, "mac-01", "macOS"))
		want("web-01") // what db-01 has said is too old
		said(first, both, "within 9", of(2, time.Minute, "db-01", "Debian Linux"))
		want("web-01 db-01")
		said(first, both, "", of(1, 0, "web-01", "TSE-Error: no idea"))
		want("db-01")

		// An answer that shows some rows only tells nothing.
		some := "Get Operating System contains Linux from all machines"
		second := d.saved(fmt.Sprintf(`{"name":"Some","query_text":%q,"archive_enabled_flag":true}`, some))
		said(second, some, "", of(1, 0, "Debian Linux"))
		want("db-01")
		alone := "Get Operating System from all machines"
		third := d.saved(fmt.Sprintf(`{"name":"Alone","query_text":%q,"archive_enabled_flag":true}`, alone))
		said(third, alone, "", of(1, 0, "Debian Linux"), of(2, time.Hour, "AIX")) // before what it said to the other
		want("web-01 db-01")
		d.ok(d.call("PATCH", fmt.Sprint("/api/v2/saved_questions/", third), `{"archive_enabled_flag":false}`))
		want("db-01")
		time.Sleep(saidFor)
		want("")
	})
}

func parsed(t *testing.T, d *desk, text string) question.Question {
	t.Helper()
	q, err := question.Parse(text, d.fleet.Catalogue(), d.api.groups)
	must(t, err)
	return q
}

func cellsOf(texts []string) (out [][]string) {
	for _, text := range texts {
		out = append(out, []string{text})
	}
	return out
}

// TestMachinesSeenWithoutDatabase: what was read is good while the database is
// away; who asks for more hears that it is.
func TestMachinesSeenWithoutDatabase(t *testing.T) {
	d := newDesk(t)
	d.fleet.clients = three()
	text := "Get Operating System from all machines"
	saved := d.saved(fmt.Sprintf(`{"name":"Systems","query_text":%q,"archive_enabled_flag":true}`, text))
	bob, eve := d.within("bob", d.machineGroup("Linux", " Operating System contains Linux")), d.within("eve", d.machineGroup("Terabytes", " Free Memory > 1 TB"))
	d.saved(`{"name":"Memory","query_text":"Get Free Memory from all machines","archive_enabled_flag":true}`)
	p, err := d.api.unsent(parsed(t, d, text), d.fleet.Catalogue(), plan.Options{ComputerID: true})
	must(t, err)
	must(t, d.store.KeepRecent(t.Context(), store.SavedScope{SavedQuestion: saved}, resultset.Shape(p), []store.RecentAnswer{{ComputerID: 2, Answered: time.Now(), Cells: [][]string{{"2"}, {"Linux"}}}}))
	names, _ := d.seen(bob, "system_status")
	same(t, names, "db-01")
	must(t, d.store.Close())
	d.api.sights.said.entries["Operating System"].Value.(*entry[string, *saidOf]).value.read = time.Now().Add(-2 * saidAfresh)
	d.api.sights.judges = newSights().judges // nothing is remembered of who sees what
	names, _ = d.seen(bob, "system_status")
	same(t, names, "db-01")
	if w := d.as(eve, "GET", "/api/v2/system_status", ""); w.Code < 500 {
		t.Errorf("who asks about what was not read gets %d %s", w.Code, w.Body)
	}
}

// BenchmarkSight100000 is a list of which somebody sees a half.
func BenchmarkSight100000(b *testing.B) {
	d := newDesk(b)
	d.fleet.clients = make([]endpoint.Status, 100_000)
	for i := range d.fleet.clients {
		d.fleet.clients[i] = three()[i%3]
		d.fleet.clients[i].ID, d.fleet.clients[i].ComputerID = endpoint.ID{1, byte(i), byte(i >> 8), byte(i >> 16)}, uint32(i+1)
	}
	bob := d.within("bob", d.machineGroup("Some", " (Computer Name starts with web or Is Linux equals False)"))
	u := d.api.effective(bob)
	for b.Loop() {
		d.api.sights = newSights()
		if v, err := d.api.sight(b.Context(), u); err != nil || v.len() < 60_000 {
			b.Fatal(v.len(), err)
		}
	}
}
