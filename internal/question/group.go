package question

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"catenary/internal/sensor"
)

// A Group is a computer group as a question may name it.
type Group struct {
	ID    int64
	Name  string
	Where Condition // its machines; nil: all. It may name other groups
}

// Groups knows the computer groups. A nil Groups knows none.
type Groups interface {
	// GroupByName returns the group of that name in any letter case.
	GroupByName(name string) (Group, bool)
	// GroupByID returns the group of that number.
	GroupByID(id int64) (Group, bool)
}

// A Member is the condition that a machine is in a computer group.
type Member struct {
	ID   int64
	Name string // as the group's name is spelled
}

// knownGroup finds the group that m means, by its number if it has one.
func knownGroup(m Member, groups Groups) (Group, bool) {
	if groups == nil {
		return Group{}, false
	}
	if m.ID != 0 {
		return groups.GroupByID(m.ID)
	}
	return groups.GroupByName(m.Name)
}

func unknownGroup(m Member) string {
	if m.ID != 0 {
		return "there is no computer group " + strconv.FormatInt(m.ID, 10)
	}
	return "there is no computer group " + excerpt(m.Name)
}

// groupNameMax bounds a group's name in bytes.
const groupNameMax = sensor.NameMax

// member takes the name of a computer group, if one stands here for a whole
// condition: the longest, where there is a choice.
func (p *parser) member() (Member, bool) {
	if p.groups == nil {
		return Member{}, false
	}
	p.blanks()
	if p.next('"') {
		ahead := p.look(p.pos)
		name, err := ahead.quoted()
		if err != nil || !ahead.endsTerm() {
			return Member{}, false
		}
		return p.memberTo(ahead.pos, name)
	}
	ends := p.groupEnds()
	for i := len(ends) - 1; i >= 0; i-- {
		name := strings.Join(strings.Fields(p.text[p.pos:ends[i]]), " ")
		if !p.loose && groupNeedsQuotes(name) {
			continue
		}
		if m, ok := p.memberTo(ends[i], name); ok {
			return m, true
		}
	}
	return Member{}, false
}

func (p *parser) memberTo(end int, name string) (Member, bool) {
	g, ok := p.groups.GroupByName(name)
	if ok {
		p.pos = end
	}
	return Member{ID: g.ID, Name: g.Name}, ok
}

// endsTerm reports whether a condition may end here.
func (p *parser) endsTerm() bool {
	ahead := p.look(p.pos)
	return ahead.done() || ahead.next(')') || ahead.keyword("and") || ahead.keyword("or")
}

// groupEnds returns where a bare name of a group may end: before each place at
// which a condition may, or if it may hold no reserved word, before the first.
func (p *parser) groupEnds() (ends []int) {
	last := p.pos // behind the last character that is no blank
	depth := 0
	for at := p.pos; at < len(p.text) && last-p.pos <= groupNameMax; {
		r, n := utf8.DecodeRuneInString(p.text[at:])
		if unicode.IsSpace(r) {
			if ahead := p.look(at); last > p.pos && (ahead.keyword("and") || ahead.keyword("or")) {
				if ends = append(ends, last); !p.loose {
					return ends
				}
			}
			at += n
			continue
		}
		if r == '(' {
			depth++
		}
		if r == ')' {
			if depth--; depth < 0 {
				break
			}
		}
		at += n
		last = at
	}
	if last > p.pos && p.look(last).endsTerm() {
		ends = append(ends, last)
	}
	return ends
}

// groupNeedsQuotes is needsQuotes for a computer group's name. All Computers
// needs none, since no sensor with an operator follows the word.
func groupNeedsQuotes(name string) bool {
	if first, rest, more := strings.Cut(name, " "); more && (strings.EqualFold(first, "all") || strings.EqualFold(first, "any")) {
		name = rest
	}
	return needsQuotes(name)
}
