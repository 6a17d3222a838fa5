package api

import (
	"fmt"
	"strings"
	"testing"

	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

// approvals is a desk where actions wait for a second person.
func approvals(t *testing.T) (d *desk, ann, bob, carol store.User) {
	d = newDesk(t)
	d.actors()
	d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/"+approvalSetting, `{"value":"1"}`))
	d.role("acts", false, rights.WriteAction, rights.ReadAction, rights.ReadPackage, rights.ApproveAction)
	d.role("groups", false, rights.ReadComputerGroup, rights.WriteComputerGroup, rights.ReadActionGroup, rights.WriteActionGroup, rights.WritePackage, rights.ReadSensor)
	return d, d.person("author", "acts"), d.person("second", "acts", "groups"), d.person("third", "acts")
}

// deploy makes a scheduled action, and returns its number and that of the first
// action that comes of it.
func (d *desk) deploy(u store.User, body string) (saved, action int64) {
	d.t.Helper()
	w := d.as(u, "POST", "/api/v2/saved_actions", body)
	d.ok(w)
	o := data[map[string]any](d.t, w)
	return int64(o["id"].(float64)), int64(o["last_action"].(map[string]any)["id"].(float64))
}

func (d *desk) approves(u store.User, saved int64, want int, text string) {
	d.t.Helper()
	if w := d.as(u, "POST", "/api/v2/saved_action_approvals", fmt.Sprintf(`{"id":%d,"approved_flag":1}`, saved)); w.Code != want || !strings.Contains(w.Body.String(), text) {
		d.t.Errorf("%s approves: %d %s, want %d %s", u.Name, w.Code, w.Body, want, text)
	}
}

// TestApprovalLapses: an approval is of the machines that were meant when it was
// given; an action for others waits again, and says why.
func TestApprovalLapses(t *testing.T) {
	d, ann, bob, carol := approvals(t)
	part := d.made("groups", `{"name":"Part","text":" Computer Name starts with a"}`)
	target := d.made("groups", `{"name":"Target","text":" (Part or Computer Name starts with b)"}`)
	some := d.made("action_groups", fmt.Sprintf(`{"name":"Some","groups":[{"id":%d}],"and_flag":1}`, target))
	body := fmt.Sprintf(`{"name":"update","package_spec":{"id":1},"action_group":{"id":%d},"target_group":{"name":"Penguins"}}`, some)
	first, action := d.deploy(ann, fmt.Sprintf(`{"name":"update","package_spec":{"id":1},"action_group":{"id":1},"target_group":{"id":%d}}`, target))
	second, other := d.deploy(ann, body)
	states := func(when, why string, saved, action int64, open bool) {
		t.Helper()
		s, a := d.shown(fmt.Sprintf("saved_actions/%d", saved)), d.shown(fmt.Sprintf("actions/%d", action))
		status := map[bool]string{true: actionOpen, false: actionPending}[open]
		waits := strings.Contains(d.call("GET", "/api/v2/saved_action_approvals", "").Body.String(), fmt.Sprintf(`"id":%d,`, saved))
		if s["approved_flag"] != open || a["status"] != status || waits == open || !strings.Contains(s["approval_lapsed"].(string), why) || (why == "") != (s["approval_lapsed"] == "") {
			t.Errorf("%s: %v, %v; waits %v, because %q", when, s["approved_flag"], a["status"], waits, s["approval_lapsed"])
		}
	}
	change := func(path string, id int64, body string) {
		t.Helper()
		d.ok(d.as(bob, "PATCH", fmt.Sprintf("/api/v2/%s/%d", path, id), body))
	}
	states("made", "", first, action, false)
	d.approves(bob, first, 200, "")
	d.approves(bob, second, 200, "")
	change("groups", part, `{"name":"Renamed"}`)
	change("packages", 1, `{"command":"rm -rf everything"}`) // it was approved with its command, and happens with that
	same(t, d.shown(fmt.Sprintf("saved_actions/%d", first))["package_spec"].(map[string]any)["command"], any("sh clean.sh"))
	states("approved", "", first, action, true)
	states("approved", "", second, other, true)
	change("groups", part, `{"text":" Computer Name matches .*"}`)
	states("a part of its target is another", "target group", first, action, false)
	states("a part of its action group is another", "action group", second, other, false)
	d.approves(bob, first, 403, "nobody approves what is his own") // it is for whom he wants now
	d.approves(carol, first, 200, "")
	d.approves(carol, second, 200, "")
	states("approved again", "", first, action, true)
	d.approves(carol, first, 403, "needs no approval")
	change("action_groups", some, `{"and_flag":0}`)
	states("untouched", "", first, action, true)
	states("another action group", "action group", second, other, false)
	d.ok(d.call("PATCH", "/api/v2/groups/by-name/Target", `{"text":" Computer Name starts with c"}`))
	states("another target", "target group", first, action, false)
	d.approves(bob, first, 200, "")
	states("approved by another", "", first, action, true)
	d.ok(d.call("PATCH", "/api/v2/groups/by-name/Target", `{"text":" Computer Name starts with d"}`))
	d.approves(bob, first, 200, "") // who has approved it before has not made it his own
	d.ok(d.call("PATCH", "/api/v2/groups/by-name/Target", `{"text":" Computer Name starts with e"}`))
	d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/"+approvalSetting, `{"value":"0"}`))
	states("nobody asks for approval", "", first, action, true)
}
