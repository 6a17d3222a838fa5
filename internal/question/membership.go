package question

import (
	"strconv"
	"strings"
)

// ManualMembership is how programs of this kind write that a machine is in a
// group that lists its machines: as if there were a sensor of this name whose
// value is the group's number. We read it and write the group's name.
const ManualMembership = "Manual Group Membership"

// membership takes "Manual Group Membership equals 7", if it stands here for a
// whole condition and no sensor bears that name. negative says that a machine
// must not be in the group.
func (p *parser) membership() (m Member, negative, ok bool, err error) {
	if p.groups == nil {
		return Member{}, false, false, nil
	}
	p.blanks()
	begin, ahead := p.pos, p.look(p.pos)
	if _, taken := p.names.ByName(ManualMembership); taken || !ahead.callsMembership() {
		return Member{}, false, false, nil
	}
	op, negative, ok := ahead.operator()
	if !ok || op != Equals {
		return Member{}, false, false, nil
	}
	ahead.blanks()
	value, err := ahead.value()
	if err != nil || !ahead.endsTerm() {
		return Member{}, false, false, nil // a sensor would have been wrong, too: the parser says how
	}
	id, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return Member{}, false, false, p.fail(begin, "%s is compared with the number of a computer group, not with %s", ManualMembership, excerpt(value))
	}
	g, known := p.groups.GroupByID(id)
	if !known || g.Name == "" { // one without a name could not be written
		return Member{}, false, false, p.fail(begin, "%s", unknownGroup(Member{ID: id}))
	}
	p.pos = ahead.pos
	return Member{ID: g.ID, Name: g.Name}, negative, true, nil
}

// callsMembership takes the name of the sensor that there is not, bare or in
// quotes.
func (p *parser) callsMembership() bool {
	if p.next('"') {
		name, err := p.quoted()
		return err == nil && strings.EqualFold(name, ManualMembership)
	}
	return p.keyword(strings.Fields(ManualMembership)...)
}
