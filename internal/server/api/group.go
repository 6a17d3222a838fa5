package api

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"

	"catenary/internal/fault"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/server/people"
	"catenary/internal/server/shelf"
)

// The types of groups, as programs number them.
const (
	groupFilter = 0 // with a name and a condition
	groupAdHoc  = 3 // of one question or action, without a name
	groupManual = 4 // lists its machines
)

// The groups that each installation has, and nobody changes.
const (
	allComputers = 1
	noComputers  = 2
)

// reservedGroup reports whether nobody changes the group.
func reservedGroup(id int64) bool { return id == allComputers || id == noComputers }

// A groupBook knows the computer groups as questions name them: the shelf's
// groups, with their conditions read.
type groupBook struct {
	shelves *shelf.Shelves
	sensors func() *sensor.Catalogue

	mu     sync.Mutex // guards the fields below
	read   map[int64]readGroup
	groups uint64 // version of the groups of which the marks are
	marks  map[int64]string
}

// A readGroup is a group's condition, and from what it was read.
type readGroup struct {
	record  *shelf.Record
	sensors *sensor.Catalogue
	where   question.Condition
	err     error
}

func newGroupBook(shelves *shelf.Shelves, sensors func() *sensor.Catalogue) *groupBook {
	return &groupBook{shelves: shelves, sensors: sensors, read: map[int64]readGroup{}}
}

// GroupByName implements question.Groups.
func (b *groupBook) GroupByName(name string) (question.Group, bool) {
	return b.group(b.shelves.ByName("group", name))
}

// GroupByID implements question.Groups.
func (b *groupBook) GroupByID(id int64) (question.Group, bool) {
	return b.group(b.shelves.ByID("group", id))
}

// group returns a record as a question names it. One whose condition cannot be
// read any more is none: whoever is kept within it sees nothing then, and not
// everything.
func (b *groupBook) group(r *shelf.Record) (question.Group, bool) {
	if r == nil {
		return question.Group{}, false
	}
	sensors := b.sensors()
	b.mu.Lock()
	g, ok := b.read[r.ID]
	b.mu.Unlock()
	if !ok || g.record != r || g.sensors != sensors {
		g = readGroup{record: r, sensors: sensors}
		g.where, g.err = groupCondition(r.Object, sensors, groupNames{b.shelves})
		b.mu.Lock()
		b.read[r.ID] = g
		b.mu.Unlock()
	}
	return question.Group{ID: r.ID, Name: r.Name, Where: g.where}, g.err == nil
}

// mark stands for what a group means now.
func (b *groupBook) mark(id int64) string {
	v := b.shelves.Version("group") // first: what changes meanwhile makes the marks old again
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.marks == nil || b.groups != v {
		b.groups, b.marks = v, map[int64]string{}
	}
	m, ok := b.marks[id]
	if !ok {
		m = people.Mark(b.shelves, id)
		b.marks[id] = m
	}
	return m
}

// changed drops the condition of a group that is no more.
func (b *groupBook) changed(_ context.Context, _ call, was, is *shelf.Record) {
	if is == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.read, was.ID)
	}
}

// A namer finds groups: the shelves, or a change with what it has done so far.
type namer interface {
	ByID(kind string, id int64) *shelf.Record
	ByName(kind, name string) *shelf.Record
}

// groupNames knows the groups by their names only, which is enough to read a
// condition, and cannot go round in circles.
type groupNames struct{ from namer }

func (n groupNames) GroupByName(name string) (question.Group, bool) {
	return n.group(n.from.ByName("group", name))
}

func (n groupNames) GroupByID(id int64) (question.Group, bool) {
	return n.group(n.from.ByID("group", id))
}

func (n groupNames) group(r *shelf.Record) (question.Group, bool) {
	if r == nil {
		return question.Group{}, false
	}
	return question.Group{ID: r.ID, Name: r.Name}, true
}

// groupCondition reads what a group's machines have in common; nil: nothing, it
// is all machines.
func groupCondition(o *object.Object, sensors *sensor.Catalogue, groups question.Groups) (question.Condition, error) {
	if o.Int("type") == groupManual {
		return manualCondition(o.Objects("computer_specs")), nil
	}
	if strings.TrimSpace(o.Text("text")) == "" {
		return nil, nil
	}
	return question.ParseCondition(o.Text("text"), sensors, groups)
}

// The sensors by which the machines of a manual group are known.
const (
	sensorComputerName = "Computer Name"
	sensorIPAddress    = "IP Address"
)

// manualPatternMax is the length in bytes of one pattern of names: a little below what
// a value in a question may have.
const manualPatternMax = 4000

// manualCondition is the condition that a machine is one of a list, by name or
// by address. Many names stand in one pattern, since a question has fewer
// conditions than a group may have machines. An empty list is no machine.
func manualCondition(specs []*object.Object) question.Condition {
	var names, addresses []string
	for _, spec := range specs {
		if name := spec.Text("computer_name"); name != "" {
			names = append(names, regexp.QuoteMeta(name))
		}
		if addr := spec.Text("ip_address"); addr != "" {
			addresses = append(addresses, regexp.QuoteMeta(addr))
		}
	}
	any := slices.Concat(patterns(sensorComputerName, names), patterns(sensorIPAddress, addresses))
	switch len(any) {
	case 0:
		return question.Not{Of: question.Test{Ref: question.Ref{Sensor: sensorComputerName}, Op: question.Matches, Value: ".*"}}
	case 1:
		return any[0]
	}
	return question.Or(any)
}

func patterns(name string, texts []string) (out []question.Condition) {
	for len(texts) > 0 {
		n, length := 1, len(texts[0])
		for n < len(texts) && length+1+len(texts[n]) <= manualPatternMax {
			length += 1 + len(texts[n])
			n++
		}
		out = append(out, question.Test{
			Ref: question.Ref{Sensor: name}, Op: question.Matches, Value: strings.Join(texts[:n], "|"),
		})
		texts = texts[n:]
	}
	return out
}

// members returns the numbers of the groups that a condition names.
func members(c question.Condition) (out []int64) {
	eachPart(c, func(c question.Condition) {
		if m, ok := c.(question.Member); ok {
			out = append(out, m.ID)
		}
	})
	return out
}

// eachPart calls f for a condition and everything within it.
func eachPart(c question.Condition, f func(question.Condition)) {
	if c == nil {
		return
	}
	f(c)
	switch c := c.(type) {
	case question.Not:
		eachPart(c.Of, f)
	case question.And:
		for _, part := range c {
			eachPart(part, f)
		}
	case question.Or:
		for _, part := range c {
			eachPart(part, f)
		}
	}
}

// renamed returns the condition with another name for a group.
func renamed(c question.Condition, id int64, name string) question.Condition {
	parts := func(in []question.Condition) []question.Condition {
		out := make([]question.Condition, len(in))
		for i, part := range in {
			out[i] = renamed(part, id, name)
		}
		return out
	}
	switch c := c.(type) {
	case question.Member:
		if c.ID == id {
			c.Name = name
		}
		return c
	case question.Not:
		return question.Not{Of: renamed(c.Of, id, name)}
	case question.And:
		return question.And(parts(c))
	case question.Or:
		return question.Or(parts(c))
	}
	return c
}

// checkCircle refuses a group that is part of itself.
func checkCircle(id int64, where question.Condition, sensors *sensor.Catalogue, from namer) error {
	seen := map[int64]bool{}
	var look func(c question.Condition) error
	look = func(c question.Condition) error {
		for _, m := range members(c) {
			if m == id {
				return fault.New(fault.Invalid, "InvalidGroupQueryText: the group is part of itself")
			}
			r := from.ByID("group", m)
			if seen[m] || r == nil {
				continue
			}
			seen[m] = true
			inner, err := groupCondition(r.Object, sensors, groupNames{from})
			if err != nil {
				return nil // it cannot be asked, by this group neither
			}
			if err := look(inner); err != nil {
				return err
			}
		}
		return nil
	}
	return look(where)
}
