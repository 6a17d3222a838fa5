package people

import (
	"fmt"
	"slices"
	"testing"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// TestMember: who acts as a member of one user group has its roles and machines,
// and never more than as himself.
func TestMember(t *testing.T) {
	w := newTown(t)
	role := func(name string, deny int, p rights.Privilege) int64 {
		return w.do("content_set_role", fmt.Sprintf(`{"name":%q,"deny_flag":%d,"content_set_role_privileges":[{"content_set_privilege":{"name":%q}}]}`, name, deny, p))
	}
	asks, reads, writes, deny := role("asks", 0, rights.AskDynamicQuestion), role("reads", 0, rights.ReadUser), role("writes", 0, rights.WriteUser), role("deny", 1, rights.WriteUser)
	a, b := w.do("group", `{"name":"a","management_rights_flag":true}`), w.do("group", `{"name":"b","management_rights_flag":true}`)
	ann := w.do("user", fmt.Sprintf(`{"name":"ann","group_id":%d,"content_set_roles":[{"id":%d},{"id":%d}]}`, a, asks, deny))
	of := func(name string, role, machines, user int64) int64 {
		return w.do("user_group", fmt.Sprintf(`{"name":%q,"content_set_roles":[{"id":%d}],"group":{"id":%d},"user_list":[{"id":%d}]}`, name, role, machines, user))
	}
	readers, writers, others := of("readers", reads, b, ann), of("writers", writes, 0, ann), of("others", reads, b, 1)
	persona := w.do("persona", fmt.Sprintf(`{"name":"p","user_list":[{"id":%d}]}`, ann))
	for _, tt := range []struct {
		as       Identity
		p        rights.Privilege
		may      bool
		machines []int64
	}{
		{Identity{User: ann}, rights.AskDynamicQuestion, true, []int64{a, b}},
		{Identity{User: ann, Group: readers}, rights.AskDynamicQuestion, false, []int64{b}},
		{Identity{User: ann, Group: readers}, rights.ReadUser, true, []int64{b}},
		{Identity{User: ann, Group: writers}, rights.ReadUser, false, []int64{a, b}},  // it says nothing about machines
		{Identity{User: ann, Group: writers}, rights.WriteUser, false, []int64{a, b}}, // denied to him as himself
	} {
		w.may(tt.as, tt.p, rights.Everywhere, tt.may)
		if r, ok := w.book.Rights(tt.as); !ok || !slices.Equal(r.Groups, tt.machines) {
			t.Errorf("%v sees %v", tt.as, r.Groups)
		}
	}
	for _, as := range []Identity{{User: ann, Group: others}, {User: ann, Group: 99}, {User: ann, Persona: persona, Group: readers}, {User: 99, Group: readers}} {
		if _, ok := w.book.Rights(as); ok {
			t.Errorf("%v may act", as)
		}
	}
	// He gives away what he has there, and no more.
	manager := w.do("user", fmt.Sprintf(`{"name":"manager","content_set_roles":[{"id":%d}]}`, asks))
	makers := of("makers", writes, 0, manager)
	give := func(group, role int64) error {
		return w.shelves.Change(t.Context(), shelf.Author{UserID: manager, UserGroupID: group}, func(c *shelf.Change) error {
			r := c.ByID("user", ann)
			o := r.Object.Clone()
			o.Set("content_set_roles", object.ListOf([]object.Ref{{ID: role}}))
			_, err := c.Update(r, o)
			return err
		})
	}
	w.do("user", fmt.Sprintf(`%d {"content_set_roles":[]}`, ann))
	w.do("user_group", fmt.Sprintf(`%d {"user_list":[]}`, readers))
	w.do("user_group", fmt.Sprintf(`%d {"user_list":[]}`, writers))
	w.do("persona", fmt.Sprintf(`%d gone`, persona))
	if err := give(makers, asks); fault.KindOf(err) != fault.Denied {
		t.Errorf("what he has as himself only: %v", err)
	}
	must(t, give(makers, writes))
	must(t, give(0, asks))
	// Who is no member any more is nobody there, at once.
	w.do("user_group", fmt.Sprintf(`%d {"user_list":[]}`, makers))
	if _, ok := w.book.Rights(Identity{User: manager, Group: makers}); ok {
		t.Error("he still may act as a member")
	}
	if err := give(makers, writes); fault.KindOf(err) != fault.Denied {
		t.Error(err)
	}
}
