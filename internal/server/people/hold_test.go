package people

import (
	"fmt"
	"testing"
	"time"

	"catenary/internal/fault"
)

// TestHold: nobody comes to see all machines instead of some by a change of
// nobody's, and it stands in the audit; a person who may do so lets him.
func TestHold(t *testing.T) {
	w := newTown(t)
	root := Identity{User: 1}
	w.do("group", `{"name":"All Computers","management_rights_flag":true}`)
	if none := w.do("group", `{"name":"No Computers","management_rights_flag":true}`); none != noComputers {
		t.Fatalf("No Computers is group %d", none)
	}
	some := w.do("user_group", `{"name":"some"}`)
	ann, bob := w.do("user", `{"name":"ann"}`), w.do("user", `{"name":"bob"}`)
	other, lab := w.do("group", `{"name":"Other","management_rights_flag":true}`), w.do("group", `{"name":"Lab","management_rights_flag":true}`)
	same := func(user int64, want ...int64) {
		t.Helper()
		if got := w.book.State().Machines(Identity{User: user}); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("user %d sees %v, want %v", user, got, want)
		}
	}
	limit := func(group int64) string { return fmt.Sprintf(`%d {"group":{"id":%d}}`, some, group) }
	members := func(users string) string { return fmt.Sprintf(`%d {"user_list":[%s]}`, some, users) }
	w.do("user_group", members(fmt.Sprintf(`{"id":%d},{"id":%d}`, ann, bob)))
	same(ann)
	w.do("user_group", limit(other))
	same(ann, other)
	second := w.do("user_group", fmt.Sprintf(`{"name":"second","group":{"id":%d},"user_list":[{"id":%d}]}`, lab, bob))
	w.do("user_group", members("")) // bob is in another still
	same(ann, noComputers)
	same(bob, lab)
	w.do("user_group", members(fmt.Sprintf(`{"id":%d}`, ann)))
	same(ann, noComputers, other)
	w.do("user_group", members(""))
	same(ann, noComputers)
	if _, err := w.try(root, "user", fmt.Sprintf(`%d {"group_id":0}`, ann)); err != nil {
		t.Error(err)
	}
	same(ann)
	w.do("user_group", fmt.Sprintf("%d gone", second))
	same(bob, noComputers)
	w.do("user", fmt.Sprintf("%d gone", bob)) // who is no more sees nothing
	if _, err := w.try(root, "user_group", members(fmt.Sprintf(`{"id":%d}`, ann))); err != nil {
		t.Error(err)
	}
	if _, err := w.try(root, "user_group", members("")); err != nil { // somebody has said so
		t.Error(err)
	}
	same(ann)

	list, err := w.store.Audits(t.Context(), "user", 0, time.Time{}, time.Time{}, 100, 0)
	must(t, err)
	held := map[string]int{}
	for _, e := range list {
		if e.Type == "held" {
			held[e.ObjectName]++
		}
	}
	if fmt.Sprint(held) != "map[ann:1 bob:1]" {
		t.Errorf("the audit says of %v that they are held", held)
	}
}

// TestHoldWithoutNone: if there is nothing to hold somebody back with, nothing
// happens.
func TestHoldWithoutNone(t *testing.T) {
	w := newTown(t)
	lab := w.do("group", `{"name":"Lab","management_rights_flag":true}`)
	ann := w.do("user", fmt.Sprintf(`{"name":"ann","group_id":%d}`, lab))
	if _, err := w.try(Identity{}, "user", fmt.Sprintf(`%d {"group_id":0}`, ann)); fault.KindOf(err) != fault.Conflict {
		t.Error(err)
	}
	if got := w.book.State().Machines(Identity{User: ann}); len(got) != 1 {
		t.Errorf("ann sees %v", got)
	}
}
