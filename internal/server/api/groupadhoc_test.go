package api

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// TestAdHocGroupsGo: a group without a name goes a day after its last use, from
// the shelf and from the database, and not while anything names it.
func TestAdHocGroupsGo(t *testing.T) {
	d := newDesk(t)
	d.actors()
	adHoc := func(text string) int64 { return d.made("groups", fmt.Sprintf(`{"text":%q}`, text)) }
	loose, around, asked := adHoc(" Computer Name equals a"), adHoc(" Penguins and Computer Name equals b"), adHoc(" Computer Name equals c")
	listed := adHoc(" Computer Name equals d")
	d.made("action_groups", fmt.Sprintf(`{"name":"Listed","groups":[{"id":%d},{"id":1}]}`, listed))
	d.made("actions", `{"package_spec":{"id":1},"action_group":{"id":1},"target_group":{"text":"Computer Name equals f"}}`)
	target := int64(d.shown("actions/1")["target_group"].(map[string]any)["id"].(float64))

	now := time.Now()
	_, err := d.store.CreateQuestion(t.Context(), store.Question{Text: "x", Plan: []byte{1}, Issued: now.Add(2 * time.Hour), Expires: now.Add(3 * time.Hour), ContextGroup: asked})
	must(t, err)
	left := func(after time.Duration, gone ...int64) {
		t.Helper()
		must(t, d.api.forgetAdHoc(t.Context(), now.Add(after)))
		kept, err := d.store.Objects(t.Context())
		must(t, err)
		for _, id := range []int64{loose, asked, around, listed, target} {
			inStore := slices.ContainsFunc(kept, func(o store.Object) bool { return o.Kind == "group" && o.ID == id })
			if onShelf := d.api.shelves.ByID("group", id) != nil; onShelf != inStore || onShelf == slices.Contains(gone, id) {
				t.Errorf("after %v: group %d is on the shelf: %v, in the database: %v", after, id, onShelf, inStore)
			}
		}
	}
	left(adHocLife - time.Hour)
	left(adHocLife+time.Hour, loose, around)
	left(adHocLife+3*time.Hour, loose, around, asked)
	for _, name := range []string{"Penguins", "All Computers", "No Computers"} {
		if d.api.shelves.ByName("group", name) == nil {
			t.Errorf("%s is gone", name)
		}
	}
	if _, kept := d.api.book.read[loose]; kept {
		t.Error("its condition is remembered")
	}
}

// TestAdHocGroupsAreBounded: who makes groups without end is told so, and nobody
// else; what he uses does not count.
func TestAdHocGroupsAreBounded(t *testing.T) {
	d := newDesk(t)
	d.actors()
	bob := d.person("bob", "Administrator")
	fill := func(u int64, n int, used bool) {
		t.Helper()
		must(t, d.api.shelves.Change(t.Context(), shelf.Author{UserID: u, UserName: "x"}, func(ch *shelf.Change) error {
			var all []any
			for range n {
				o := object.New(object.ShapeOf("group"))
				o.Set("type", int64(groupAdHoc))
				o.Set("text", " Computer Name equals a")
				r, err := ch.Create("group", 0, o)
				if err != nil {
					return err
				}
				all = append(all, object.Ref{ID: r.ID})
			}
			if !used {
				return nil
			}
			o := object.New(object.ShapeOf("action_group"))
			o.Set("name", "used")
			o.Set("groups", all)
			_, err := ch.Create("action_group", 0, o)
			return err
		}))
	}
	const group, action = `{"text":" Computer Name equals b"}`, `{"package_spec":{"id":1},"action_group":{"id":1},"target_group":{"text":"Computer Name equals f"}}`
	fill(bob.ID, adHocMax, true)
	fill(bob.ID, adHocMax-1, false)
	d.ok(d.as(bob, "POST", "/api/v2/groups", group))
	for path, body := range map[string]string{"groups": group, "actions": action} {
		w := d.as(bob, "POST", "/api/v2/"+path, body)
		same(t, status(w), "429 Too many groups: 1000 without a name are yours, and nothing uses them; those are deleted that were not used for 24 hours")
		d.ok(d.call("POST", "/api/v2/"+path, body))
	}
	d.ok(d.as(bob, "POST", "/api/v2/groups", `{"name":"Named","text":" Computer Name equals b"}`))
	must(t, d.api.forgetAdHoc(t.Context(), time.Now().Add(adHocLife+time.Hour))) // more than go at once
	same(t, len(d.api.shelves.All("group")), adHocMax+5)
	d.ok(d.as(bob, "POST", "/api/v2/actions", action))
}
