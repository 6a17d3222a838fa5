package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
	"catenary/internal/server/signin"
	"catenary/internal/value"
)

// Why a user who comes from elsewhere may not log in, as programs know the
// numbers of locked_out.
const (
	lockedDisabled = 1 // disabled there
	lockedMissing  = 2 // not found there
)

// fewMissing is how many users may be missing from a directory at once. More,
// and more than half of those that come from it, is a wrong filter rather than
// the end of a company, and nothing happens until somebody insists.
const fewMissing = 10

// A syncPlan is what has to be done so that users and user groups are what a
// directory says.
type syncPlan struct {
	users    []plannedUser
	groups   []plannedGroup
	people   map[string]int64 // numbers of the users that there are, by what the directory knows them by
	problems []string
	missing  int // users who would be locked out as they are not found
	active   int // users of the directory who may log in now
}

type plannedUser struct {
	deed    string // create, update, lock, unlock
	subject string
	was     *shelf.Record // nil: a new one
	object  *object.Object
}

type plannedGroup struct {
	deed    string
	was     *shelf.Record
	object  *object.Object
	members []string // subjects
}

// planSync compares. It changes nothing.
func planSync(connector *shelf.Record, l signin.Listing, all func(kind string) []*shelf.Record) syncPlan {
	p := syncPlan{people: map[string]int64{}, problems: slices.Clone(l.Problems)}
	if l.More > 0 {
		p.problems = append(p.problems, fmt.Sprintf("and %d more like these", l.More))
	}
	source := ldapSource(connector.ID)
	p.planUsers(source, connector.Object.Text("domain"), l.People, all("user"))
	p.planGroups(source, l.Groups, all("user_group"))
	return p
}

// known are the records that come from a source, by what it knows them by, and
// everybody's names.
func known(source string, all []*shelf.Record) (bySubject, byName map[string]*shelf.Record) {
	bySubject, byName = map[string]*shelf.Record{}, map[string]*shelf.Record{}
	for _, r := range all {
		byName[value.Fold(r.Name)] = r
		if r.Object.Text("identity_source") == source {
			bySubject[r.Object.Text("identity_subject")] = r
		}
	}
	return bySubject, byName
}

func (p *syncPlan) planUsers(source, domain string, people []signin.Person, users []*shelf.Record) {
	bySubject, byName := known(source, users)
	found := map[string]bool{}
	for _, person := range people {
		found[person.ID] = true
		was := bySubject[person.ID]
		other := byName[value.Fold(person.Name)]
		if was == nil && other != nil && unclaimed(other) {
			was = other
		}
		taken := other != nil && other != was
		if was == nil && taken {
			p.problems = append(p.problems, fmt.Sprintf("user %q: there is another user of that name, who is not from this directory", person.Name))
			continue
		}
		o := object.New(object.ShapeOf("user"))
		if was != nil {
			p.people[person.ID] = was.ID
			o = was.Object.Clone()
		}
		if taken {
			p.problems = append(p.problems, fmt.Sprintf("user %q is now called %q there, but another user has that name", was.Name, person.Name))
		} else {
			o.Set("name", person.Name)
		}
		set(o, "display_name", person.DisplayName)
		set(o, "domain", domain)
		o.Set("external_flag", int64(1))
		o.Set("identity_source", source)
		o.Set("identity_subject", person.ID)
		lock := o.Int("locked_out")
		switch {
		case person.Disabled:
			o.Set("locked_out", int64(lockedDisabled))
		case lock == lockedDisabled || lock == lockedMissing:
			o.Set("locked_out", int64(0))
		}
		p.user(person.ID, was, o)
	}
	for subject, r := range bySubject {
		lock := r.Object.Int("locked_out")
		if lock == 0 {
			p.active++
		}
		if found[subject] || lock != 0 && lock != lockedDisabled {
			continue
		}
		if lock == 0 {
			p.missing++
		}
		o := r.Object.Clone()
		o.Set("locked_out", int64(lockedMissing))
		p.user(subject, r, o)
	}
	slices.SortFunc(p.users, func(a, b plannedUser) int { return strings.Compare(a.object.Text("name"), b.object.Text("name")) })
}

// set says a text unless it is said already, or there is nothing to say.
func set(o *object.Object, field, text string) {
	if o.Text(field) != text {
		o.Set(field, text)
	}
}

// user adds what has to be done to a user, if anything.
func (p *syncPlan) user(subject string, was *shelf.Record, o *object.Object) {
	deed := "create"
	if was != nil {
		before, after := was.Object.Int("locked_out"), o.Int("locked_out")
		switch {
		case before == 0 && after != 0:
			deed = "lock"
		case before != 0 && after == 0:
			deed = "unlock"
		case string(was.Object.Store()) != string(o.Store()):
			deed = "update"
		default:
			return
		}
	}
	p.users = append(p.users, plannedUser{deed, subject, was, o})
}

func (p *syncPlan) planGroups(source string, groups []signin.Membership, all []*shelf.Record) {
	bySubject, byName := known(source, all)
	found := map[string]bool{}
	for _, g := range groups {
		found[g.ID] = true
		was := bySubject[g.ID]
		other := byName[value.Fold(g.Name)]
		if was == nil && other != nil && unclaimed(other) {
			was = other
		}
		taken := other != nil && other != was
		if was == nil && taken {
			// It may have roles: who is in it is not for the directory to say.
			p.problems = append(p.problems, fmt.Sprintf("user group %q: there is another of that name, which is not from this directory", g.Name))
			continue
		}
		o := object.New(object.ShapeOf("user_group"))
		if was != nil {
			o = was.Object.Clone()
		}
		if taken {
			p.problems = append(p.problems, fmt.Sprintf("user group %q is now called %q there, but another has that name", was.Name, g.Name))
		} else {
			o.Set("name", g.Name)
		}
		o.Set("identity_source", source)
		o.Set("identity_subject", g.ID)
		p.group(was, o, g.Members)
	}
	for subject, r := range bySubject {
		if !found[subject] && len(r.Object.Refs("user_list")) > 0 {
			p.group(r, r.Object.Clone(), nil)
		}
	}
	slices.SortFunc(p.groups, func(a, b plannedGroup) int { return strings.Compare(a.object.Text("name"), b.object.Text("name")) })
}

// group adds what has to be done to a group, if anything. Members that are not
// users yet, and will be, count.
func (p *syncPlan) group(was *shelf.Record, o *object.Object, members []string) {
	deed := "create"
	if was != nil {
		if was.Name == o.Text("name") && was.Object.Text("identity_source") == o.Text("identity_source") && slices.Equal(refsOf(p.numbers(members)), was.Object.Refs("user_list")) && !p.anyNew(members) {
			return
		}
		deed = "update"
	}
	p.groups = append(p.groups, plannedGroup{deed, was, o, members})
}

// anyNew reports whether one of the members is about to become a user.
func (p *syncPlan) anyNew(members []string) bool {
	return slices.ContainsFunc(p.users, func(u plannedUser) bool { return u.was == nil && slices.Contains(members, u.subject) })
}

// numbers are those of the members who are users.
func (p *syncPlan) numbers(members []string) []int64 {
	var out []int64
	for _, m := range members {
		if id, ok := p.people[m]; ok {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func refsOf(ids []int64) []object.Ref {
	out := make([]object.Ref, len(ids))
	for i, id := range ids {
		out[i] = object.Ref{ID: id}
	}
	return out
}

// allowed refuses a plan that would lock out most of a directory's users.
func (p *syncPlan) allowed(force bool) error {
	if !force && p.missing > fewMissing && 2*p.missing > p.active {
		return fault.New(fault.Conflict, "%d of %d users are not found any more: nothing was changed; if that is so, start the sync with force", p.missing, p.active)
	}
	return nil
}

// carryOut does what is planned, within a change.
func (s *server) carryOut(ctx context.Context, ch *shelf.Change, p syncPlan) error {
	for _, u := range p.users {
		var r *shelf.Record
		var err error
		if u.was == nil {
			r, err = s.createUser(ctx, call{}, ch, u.object)
		} else {
			r, err = s.updateUser(ctx, call{}, ch, u.was, u.object)
		}
		if err != nil {
			return err
		}
		p.people[u.subject] = r.ID
	}
	for _, g := range p.groups {
		g.object.Set("user_list", object.ListOf(refsOf(p.numbers(g.members))))
		var err error
		if g.was == nil {
			_, err = ch.Create("user_group", 0, g.object)
		} else {
			_, err = ch.Update(g.was, g.object)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// released is the source of users and groups whose own is no more. Who describes
// it anew gets them back, by their names.
const released = "released"

// unclaimed reports whether a user or a group is to be somebody's who comes from
// elsewhere, and is nobody's yet.
func unclaimed(r *shelf.Record) bool {
	from := r.Object.Text("identity_source")
	return from == released || from == "" && r.Kind.Name == "user" && r.Object.Int("external_flag") != 0
}

// lockSource locks out everybody who comes from a source that is not asked any
// more.
func (s *server) lockSource(ctx context.Context, ch *shelf.Change, source string) error {
	return s.eachOf(ctx, ch, source, func(o *object.Object) {
		if o.Int("locked_out") == 0 {
			o.Set("locked_out", int64(lockedMissing))
		}
	})
}

// releaseSource locks out everybody who comes from a source that is about to be
// deleted, and lets go of them and of its groups.
func (s *server) releaseSource(ctx context.Context, ch *shelf.Change, source string) error {
	if err := s.lockSource(ctx, ch, source); err != nil {
		return err
	}
	letGo := func(o *object.Object) {
		o.Set("identity_source", released)
		o.Set("identity_subject", "")
	}
	if err := s.eachOf(ctx, ch, source, letGo); err != nil {
		return err
	}
	for _, r := range ch.All("user_group") {
		if r.Object.Text("identity_source") != source {
			continue
		}
		o := r.Object.Clone()
		letGo(o)
		if _, err := ch.Update(r, o); err != nil {
			return err
		}
	}
	return nil
}

// eachOf changes the users of a source.
func (s *server) eachOf(ctx context.Context, ch *shelf.Change, source string, change func(o *object.Object)) error {
	for _, r := range ch.All("user") {
		if r.Object.Text("identity_source") != source {
			continue
		}
		o := r.Object.Clone()
		if change(o); string(o.Store()) == string(r.Object.Store()) {
			continue
		}
		if _, err := s.updateUser(ctx, call{}, ch, r, o); err != nil {
			return err
		}
	}
	return nil
}
