package signin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"catenary/internal/fault"
)

const problemsMost = 100 // that a listing names; the others are only counted

// A Listing is everything that a directory has of use.
type Listing struct {
	People []Person
	Groups []Membership
	// Problems are entries that were passed over, and why.
	Problems []string
	More     int // problems that are not listed
}

// A Membership is a group and who is in it, also by way of other groups.
type Membership struct {
	ID, Name string
	Members  []string // IDs of people, sorted
}

func (l *Listing) problem(format string, args ...any) {
	if len(l.Problems) == problemsMost {
		l.More++
		return
	}
	l.Problems = append(l.Problems, fmt.Sprintf(format, args...))
}

// Read lists the directory. It returns everything or an error.
func (d Directory) Read(ctx context.Context) (Listing, error) {
	d = d.settled()
	conn, end, err := d.connect(ctx)
	if err != nil {
		return Listing{}, err
	}
	defer end()
	people, err := d.search(ctx, conn, d.People, d.personAttributes())
	if err != nil {
		return Listing{}, err
	}
	var groups []*ldap.Entry
	if d.Groups.Base != "" {
		if groups, err = d.search(ctx, conn, d.Groups, []string{d.Groups.ID, d.Groups.Name, d.Groups.Links}); err != nil {
			return Listing{}, err
		}
	}
	return d.list(people, groups)
}

// search reads all entries of a branch, page by page.
func (d Directory) search(ctx context.Context, conn *ldap.Conn, b Branch, attributes []string) (all []*ldap.Entry, err error) {
	paging := ldap.NewControlPaging(ldapPage)
	request := ldap.NewSearchRequest(b.Base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0,
		int(replyTimeout/time.Second), false, b.Filter, attributes, []ldap.Control{paging})
	for {
		page, err := conn.Search(request)
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return nil, d.away(err)
		}
		if all = append(all, page.Entries...); len(all) > ldapMost {
			return nil, fault.New(fault.Invalid, "more than %d entries below %s match %s: narrow the base or the filter", ldapMost, b.Base, b.Filter)
		}
		next, ok := ldap.FindControl(page.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok || len(next.Cookie) == 0 {
			return all, nil
		}
		paging.SetCookie(next.Cookie)
	}
}

// list works out who is who.
func (d Directory) list(people, groups []*ldap.Entry) (out Listing, err error) {
	byDN, byName := map[string]string{}, map[string]string{} // IDs of people
	said := map[string][]string{}                            // IDs of people by their group's DN, as they say
	names, ids := map[string]int{}, map[string]int{}
	for _, e := range people {
		names[strings.ToLower(e.GetEqualFoldAttributeValue(d.People.Name))]++
		ids[identity(e, d.People.ID)]++
	}
	for _, e := range people {
		p, ok := d.person(e)
		switch {
		case !ok:
			out.problem("%s: it has no usable %s or %s", printable(e.DN), d.People.ID, d.People.Name)
			continue
		case names[strings.ToLower(p.Name)] > 1 || ids[p.ID] > 1:
			out.problem("%s: another has the same %s or %s", printable(e.DN), d.People.ID, d.People.Name)
			continue
		}
		out.People = append(out.People, p)
		byDN[plainDN(e.DN)], byName[strings.ToLower(p.Name)] = p.ID, p.ID
		for _, group := range e.GetEqualFoldAttributeValues(d.People.Links) {
			said[plainDN(group)] = append(said[plainDN(group)], p.ID)
		}
	}
	tree := membership{byDN: byDN, byName: byName, groups: map[string]*ldap.Entry{}, said: said, links: d.Groups.Links}
	taken := map[string]int{}
	for _, e := range groups {
		tree.groups[plainDN(e.DN)] = e
		taken[strings.ToLower(e.GetEqualFoldAttributeValue(d.Groups.Name))]++
	}
	for _, e := range groups {
		g := Membership{ID: identity(e, d.Groups.ID), Name: e.GetEqualFoldAttributeValue(d.Groups.Name)}
		switch {
		case g.ID == "" || !isName(g.Name):
			out.problem("%s: it has no usable %s or %s", printable(e.DN), d.Groups.ID, d.Groups.Name)
			continue
		case taken[strings.ToLower(g.Name)] > 1:
			out.problem("%s: another group has the same %s", printable(e.DN), d.Groups.Name)
			continue
		}
		if g.Members, err = tree.members(plainDN(e.DN)); err != nil {
			return Listing{}, err
		}
		out.Groups = append(out.Groups, g)
	}
	return out, nil
}

// membership is what is known of who is in which group.
type membership struct {
	byDN, byName map[string]string
	groups       map[string]*ldap.Entry // by DN
	said         map[string][]string
	links        string
}

// members are the people in a group and in the groups within it.
func (m membership) members(group string) ([]string, error) {
	in, seen := map[string]bool{}, map[string]bool{group: true}
	for todo := []string{group}; len(todo) > 0; todo = todo[1:] {
		for _, id := range m.said[todo[0]] {
			in[id] = true
		}
		e := m.groups[todo[0]]
		if e == nil {
			continue
		}
		for _, a := range e.Attributes {
			if name, _, ranged := strings.Cut(a.Name, ";range="); ranged && strings.EqualFold(name, m.links) {
				return nil, fault.New(fault.Invalid, "%s lists its members in parts: set user_member_of, so that people say in which groups they are", e.DN)
			}
		}
		for _, link := range e.GetEqualFoldAttributeValues(m.links) {
			dn := plainDN(link)
			if id, ok := m.byDN[dn]; ok {
				in[id] = true
			} else if id, ok := m.byName[strings.ToLower(link)]; ok {
				in[id] = true
			} else if m.groups[dn] != nil && !seen[dn] {
				seen[dn] = true
				todo = append(todo, dn)
			}
		}
	}
	list := make([]string, 0, len(in))
	for id := range in {
		list = append(list, id)
	}
	slices.Sort(list)
	return list, nil
}

// plainDN is a distinguished name in the one form in which names are compared.
func plainDN(dn string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return strings.ToLower(dn)
	}
	return strings.ToLower(parsed.String())
}
