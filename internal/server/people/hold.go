package people

import (
	"maps"
	"slices"

	"catenary/internal/fault"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// noComputers is the group of no machine that each installation has.
const noComputers = 2

// hold sees to it that a change by nobody, as when a directory or an identity
// provider says who is in which user group, lets no user see all machines who has
// seen some: he sees none until somebody says which. Who is taken out of a group
// is to lose by it, and not to gain.
func hold(c *shelf.Change, before, after *State) error {
	for _, u := range slices.Sorted(maps.Keys(after.users)) {
		id := Identity{User: u}
		if _, was := before.users[u]; !was || before.Machines(id) == nil || after.Machines(id) != nil {
			continue
		}
		r := c.ByID("user", u)
		if c.ByID("group", noComputers) == nil {
			return fault.New(fault.Conflict, "the user %q would see all machines, as the user group is left that says which he sees, and there is no group %d of none", r.Name, noComputers)
		}
		o := r.Object.Clone()
		o.Set("group_id", int64(noComputers))
		if _, err := c.Update(r, o); err != nil {
			return err
		}
		err := c.Audit(store.AuditEntry{
			Type: "held", Kind: "user", ObjectID: r.ID, ObjectName: r.Name,
			Details: "sees no machines until somebody changes his group_id: he is in no user group any more that says which machines he sees",
		})
		if err != nil {
			return err
		}
	}
	return nil
}
