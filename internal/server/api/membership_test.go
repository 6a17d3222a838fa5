package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/endpoint"
	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/server/resultset"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
	"catenary/internal/value"
)

// tracking lets a desk ask for the machines of groups, and returns the texts of
// what it asked since the last look.
func (d *desk) tracking() (asked func() []string) {
	d.t.Helper()
	d.fleet.sensors = append(d.fleet.sensors, sensor.Sensor{
		Name: sensorComputerID, Category: "Test", MaxAge: time.Minute, Platforms: []sensor.Platform{sensor.Linux}, Columns: []sensor.Column{{Name: sensorComputerID, Type: value.NumericInteger}},
	})
	must(d.t, d.fleet.renew())
	d.firstGroups()
	ctx, cancel := context.WithCancel(d.t.Context())
	done := make(chan error, 1)
	go func() { done <- d.api.runReissues(ctx) }()
	d.t.Cleanup(func() {
		cancel()
		must(d.t, <-done)
	})
	return func() (out []string) {
		synctest.Wait()
		d.fleet.mu.Lock()
		defer d.fleet.mu.Unlock()
		for _, a := range d.fleet.asked {
			if a.Tracks == 0 || a.Rights != nil || a.UserID != 0 || a.Life != trackLife || a.Priority >= 0 {
				d.t.Errorf("asked %+v", a)
			}
			out = append(out, d.api.shelves.NameOf("group", a.Tracks))
		}
		d.fleet.asked = nil
		slices.Sort(out)
		return out
	}
}

// group makes a group with a condition, and more.
func (d *desk) group(name, text, more string) int64 {
	d.t.Helper()
	return d.made("groups", fmt.Sprintf(`{"name":%q,"text":%q%s}`, name, text, more))
}

// systems is a condition that registrations do not decide, and mine makes a group
// tracked.
const systems, mine = ` Operating System contains Linux`, `,"track_computer_id_flag":1`

// renewed logs the desk's user in again: hours may have passed.
func (d *desk) renewed() {
	d.t.Helper()
	u, err := d.store.UserByName(d.t.Context(), testUser)
	must(d.t, err)
	d.session = d.begun(time.Now(), u)
}

// enrolled lets machines in, as the database knows them.
func (d *desk) enrolled(machines ...endpoint.Status) {
	d.t.Helper()
	secret := store.HashOf("machines")
	must(d.t, d.store.CreateSecret(d.t.Context(), store.Secret{Hash: secret, Expires: time.Now().Add(time.Hour), Uses: len(machines)}))
	for _, m := range machines {
		e := &store.Enrolment{Secret: secret, Client: store.Client{ID: m.ID, ComputerID: m.ComputerID, Name: m.Name, Key: store.HashOf(m.Name)}}
		must(d.t, d.store.Enrol(d.t.Context(), time.Now(), []*store.Enrolment{e}))
		must(d.t, e.Err)
	}
}

// heard is what machines have said to the last question for a group's members.
func (d *desk) heard(group int64, in, out []uint32) {
	d.t.Helper()
	t, err := d.store.Tracking(d.t.Context(), group)
	must(d.t, err)
	must(d.t, d.store.KeepMembers(d.t.Context(), store.Heard{Group: group, Question: t.Question, Asked: t.Asked, In: in, Out: out}))
}

// TestTracking: the server asks for the machines of those groups that want it, and
// of those with management rights that it knows too little of.
func TestTracking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		asked := d.tracking()
		d.group("plain", systems, "")
		d.group("", systems, mine) // of one question
		d.group("evident", " Computer Name starts with web", mine)
		d.group("wanted", systems, mine)
		d.group("outer", " (Operating System contains BSD or Computer Name equals db-01)", mine+`,"track_computer_id_interval":600`)
		d.group("often", systems, mine+`,"track_computer_id_interval":1`)
		d.machineGroup("rights", systems)
		d.machineGroup("evident rights", " Computer Name starts with web")
		d.made("computer_groups", `{"name":"manual","computer_specs":[{"computer_name":"mac-01"}]}`)
		d.ok(d.call("PATCH", "/api/v2/groups/by-name/manual", `{"track_computer_id_flag":1}`))
		want := func(after time.Duration, names ...string) {
			t.Helper()
			time.Sleep(after)
			same(t, asked(), names)
			d.renewed()
		}
		time.Sleep(trackGap - time.Second)
		first := asked()
		if len(first) != 1 {
			t.Errorf("at once are asked %v", first)
		}
		want(startSoon, slices.DeleteFunc([]string{"evident", "manual", "often", "outer", "rights", "wanted"}, func(name string) bool { return name == first[0] })...)

		// Each as often as it wants, and never more often than is good.
		want(30*time.Minute-startSoon-trackGap, slices.Concat(slices.Repeat([]string{"often"}, 5), slices.Repeat([]string{"outer"}, 2))...)
		d.ok(d.call("PATCH", "/api/v2/groups/by-name/often", `{"track_computer_id_flag":0}`))
		d.ok(d.call("PATCH", "/api/v2/groups/by-name/outer", `{"track_computer_id_interval":0}`))
		want(3*time.Hour, nil...)
		want(time.Hour, "evident", "manual", "outer", "rights", "wanted")
	})
}

// TestTrackingAfresh: a group by another name is the same; one with another
// condition is not, wherever that stands; and what is gone leaves nothing.
func TestTrackingAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		asked := d.tracking()
		d.enrolled(three()...)
		wanted, inner := d.group("wanted", systems, mine), d.group("inner", " Operating System contains BSD", "")
		outer := d.group("outer", " (inner or Computer Name equals db-01)", mine)
		d.group("evident", " Computer Name starts with web", mine)
		d.machineGroup("rights", systems)
		want := func(names ...string) {
			t.Helper()
			time.Sleep(startSoon)
			same(t, asked(), names)
		}
		want("evident", "outer", "rights", "wanted")
		d.heard(wanted, []uint32{1}, nil)
		d.ok(d.call("PATCH", fmt.Sprint("/api/v2/groups/", wanted), `{"name":"called otherwise"}`))
		d.ok(d.call("PATCH", fmt.Sprint("/api/v2/groups/", inner), `{"name":"inside"}`))
		want(nil...)
		members := func(n int) {
			t.Helper()
			if list, err := d.store.Members(t.Context(), wanted); err != nil || len(list) != n {
				t.Errorf("members are %v, %v, and not %d", list, err, n)
			}
		}
		members(1)
		d.ok(d.call("PATCH", fmt.Sprint("/api/v2/groups/", wanted), `{"text":" Operating System contains AIX"}`))
		d.ok(d.call("PATCH", fmt.Sprint("/api/v2/groups/", inner), `{"text":" Operating System contains Unix"}`))
		synctest.Wait()
		members(0)
		want("called otherwise", "outer")

		d.ok(d.call("DELETE", fmt.Sprint("/api/v2/groups/", outer), ""))
		d.ok(d.call("DELETE", fmt.Sprint("/api/v2/groups/", wanted), ""))
		left := func() (out []string) {
			t.Helper()
			synctest.Wait()
			list, err := d.store.Trackings(t.Context())
			must(t, err)
			for _, k := range list {
				out = append(out, d.api.shelves.NameOf("group", k.Group))
			}
			slices.Sort(out)
			return out
		}
		same(t, left(), []string{"evident", "rights"})
		d.fleet.mu.Lock()
		d.fleet.sensors = slices.DeleteFunc(d.fleet.sensors, func(s sensor.Sensor) bool { return s.Name == "Operating System" })
		must(t, d.fleet.renew())
		d.fleet.mu.Unlock()
		time.Sleep(trackLook) // nobody tells of that
		same(t, left(), []string{"evident"})

		if w := d.call("GET", "/api/v2/questions", ""); strings.Contains(w.Body.String(), sensorComputerID) {
			t.Errorf("the list tells of what nobody has asked: %s", w.Body)
		}
		all := data[[]map[string]any](t, d.call("GET", "/api/v2/questions?include_hidden_flag=1", ""))
		if len(all) != 6+1 || all[0]["hidden_flag"] != true {
			t.Errorf("of %d questions the first is %v", len(all)-1, all[0])
		}
	})
}

// startSoon is when six groups have been asked for that never were.
const startSoon = 5*trackGap + 5*time.Second

// TestTrackingAfterRestart: a server that comes back asks when it would have, and
// drops what means something else by now.
func TestTrackingAfterRestart(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	kept, other := d.made("groups", `{"name":"same","text":" Operating System contains Linux","track_computer_id_flag":1}`), d.made("groups", `{"name":"other","text":" Operating System contains AIX","track_computer_id_flag":1}`)
	m, err := d.api.meaningOf(d.fleet.Catalogue(), kept)
	must(t, err)
	asked := time.Now().Add(-time.Hour)
	for _, k := range []store.Tracking{{Group: kept, Meaning: m.mark}, {Group: other, Meaning: "as it was"}, {Group: 999, Meaning: "gone"}} {
		k.Asked = asked
		must(t, d.store.TrackGroup(t.Context(), k))
	}
	tr, err := d.api.openTracker(t.Context())
	must(t, err)
	must(t, tr.look(t.Context()))
	list, err := d.store.Trackings(t.Context())
	must(t, err)
	if len(list) != 1 || list[0].Group != kept {
		t.Errorf("kept are %+v", list)
	}
	if id, ok := tr.planner.Due(time.Now().Add(5 * time.Second)); !ok || id != other {
		t.Errorf("%d is asked first", id)
	}
	if next, _ := tr.planner.Next(); next.Before(asked.Add(trackDefault)) || next.After(asked.Add(trackDefault+time.Minute)) {
		t.Errorf("the other is asked at %v", next)
	}
}

// members are what somebody sees of the members of a group.
func (d *desk) members(u store.User, path string) (out memberList, names string) {
	d.t.Helper()
	out = data[memberList](d.t, d.as(u, "GET", "/api/v2/groups/"+path, ""))
	for _, m := range out.Members {
		names += m.HostName + " "
	}
	return out, names
}

// TestMembersSeen: who is in a tracked group sees to it that those see him whose
// management rights it is, and only those.
func TestMembersSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		asked := d.tracking()
		d.fleet.clients = three()
		off := endpoint.Status{ID: endpoint.ID{9}, ComputerID: 9, Name: "off-01"}
		d.enrolled(append(three(), off)...)
		systems := d.machineGroup("Systems", " Operating System contains Linux")
		mixed := d.machineGroup("Mixed", " (Operating System contains Linux and not Computer Name starts with mac)")
		bob, eve := d.within("bob", systems), d.within("eve", mixed)
		want := func(u store.User, want string) {
			t.Helper()
			time.Sleep(saidAfresh)
			names, _ := d.seen(u, "system_status")
			same(t, names, want)
			d.renewed()
		}
		time.Sleep(startSoon)
		same(t, asked(), []string{"Mixed", "Systems"})
		want(bob, "")
		d.heard(systems, []uint32{1, 3, 9}, nil)
		d.heard(mixed, []uint32{1, 3}, []uint32{2})
		want(bob, "web-01 mac-01")
		want(eve, "web-01") // what mac-01 says when it registers is newer

		admin, err := d.store.UserByName(t.Context(), testUser)
		must(t, err)
		all, names := d.members(admin, fmt.Sprint(systems, "/members"))
		same(t, names, "mac-01 off-01 web-01 ")
		if !all.Tracked || all.Count != 3 || all.Interval != 4*60*60 || time.Time(all.Asked).IsZero() || !time.Time(all.Answered).Equal(time.Time(all.Asked)) ||
			all.Group != (nameRef{systems, "Systems"}) || all.Members[1] != (memberObject{9, endpoint.ID{9}.String(), "off-01", all.Asked}) {
			t.Errorf("%+v", all)
		}
		page, names := d.members(admin, fmt.Sprint(systems, "/members?row_start=1&row_count=1"))
		if names != "off-01 " || page.Count != 3 {
			t.Errorf("%+v", page)
		}
		some, names := d.members(bob, fmt.Sprint(systems, "/members"))
		if names != "mac-01 web-01 " || some.Count != 2 {
			t.Errorf("%+v", some)
		}
		if _, names := d.members(eve, fmt.Sprint(systems, "/members")); names != "web-01 " {
			t.Errorf("eve sees %s", names)
		}
		d.role("groups only", false, rights.ReadComputerGroup)
		if w := d.as(d.person("max", "groups only"), "GET", fmt.Sprintf("/api/v2/groups/%d/members", systems), ""); w.Code != 403 || !strings.Contains(w.Body.String(), "Read System Status") {
			t.Errorf("who may not see machines gets %d %s", w.Code, w.Body)
		}
		if l, names := d.members(admin, "2/members"); l.Tracked || names != "" {
			t.Errorf("%+v", l)
		}

		// Who does not answer stays, who leaves goes, and who has been silent for
		// longer than a day is not believed any more.
		time.Sleep(trackDefault)
		asked()
		d.heard(systems, []uint32{2}, []uint32{1})
		want(bob, "db-01 mac-01")
		time.Sleep(saidFor - trackDefault)
		want(bob, "db-01")
		d.ok(d.call("PATCH", fmt.Sprint("/api/v2/management_rights_groups/", systems), `{"track_computer_id_interval":172800}`))
		want(bob, "db-01 mac-01") // two days, and twice that it is believed
		d.ok(d.call("PATCH", fmt.Sprint("/api/v2/management_rights_groups/", systems), `{"text":" Operating System contains AIX"}`))
		names, _ = d.seen(bob, "system_status") // at once
		same(t, names, "")
		if l, names := d.members(admin, fmt.Sprint(systems, "/members")); !l.Tracked || names != "" {
			t.Errorf("%+v", l)
		}
	})
}

// saidTo keeps what machines have just said to a saved question of one sensor.
func (d *desk) saidTo(saved int64, text string, said map[uint32]string) {
	d.t.Helper()
	q, err := question.Parse(text, d.fleet.Catalogue(), d.api.groups)
	must(d.t, err)
	p, err := d.api.unsent(q, d.fleet.Catalogue(), plan.Options{ComputerID: true})
	must(d.t, err)
	var list []store.RecentAnswer
	for id, text := range said {
		list = append(list, store.RecentAnswer{ComputerID: id, Answered: time.Now(), Cells: [][]string{{fmt.Sprint(id)}, {text}}})
	}
	must(d.t, d.store.KeepRecent(d.t.Context(), store.SavedScope{SavedQuestion: saved}, resultset.Shape(p), list))
}

// TestTrackedAlone: of a group whose machines have been asked for, older answers
// to saved questions say nothing.
func TestTrackedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		asked := d.tracking()
		d.fleet.clients = three()
		d.enrolled(three()...)
		systems := d.machineGroup("Systems", " Operating System contains Linux")
		bob := d.within("bob", systems)
		const text = "Get Operating System from all machines"
		saved := d.saved(fmt.Sprintf(`{"name":"Systems","query_text":%q,"archive_enabled_flag":true,"issue_seconds_never_flag":true}`, text))
		d.saidTo(saved, text, map[uint32]string{1: "Linux", 2: "Linux"})
		time.Sleep(startSoon)
		asked()
		names, _ := d.seen(bob, "system_status")
		same(t, names, "web-01 db-01") // nobody has answered yet
		d.heard(systems, []uint32{1}, []uint32{2})
		time.Sleep(saidAfresh)
		names, _ = d.seen(bob, "system_status")
		same(t, names, "web-01")
		again, err := d.store.Tracking(t.Context(), systems)
		must(t, err)
		again.Question, again.Asked = again.Question+1, time.Now()
		must(t, d.store.TrackGroup(t.Context(), again))
		d.heard(systems, []uint32{2}, []uint32{1})
		time.Sleep(saidAfresh)
		names, _ = d.seen(bob, "system_status")
		same(t, names, "db-01")
	})
}

// TestTrackEvery: the interval that a group wants is kept to within bounds.
func TestTrackEvery(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-10, 1_000_000)).Draw(t, "seconds")
		o := object.New(object.ShapeOf("group"))
		o.Set("track_computer_id_interval", n)
		got := trackEvery(o)
		if got < trackMin || got > trackMax {
			t.Fatalf("%d seconds are %v", n, got)
		}
		if within := n >= int64(trackMin/time.Second) && n <= int64(trackMax/time.Second); within && got != time.Duration(n)*time.Second || n <= 0 && got != trackDefault {
			t.Fatalf("%d seconds are %v", n, got)
		}
	})
}
