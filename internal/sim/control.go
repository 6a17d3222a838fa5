package sim

import (
	"fmt"
	"slices"
	"strings"

	"catenary/internal/answer"
	"catenary/internal/server/tally"
	"catenary/internal/wire"
)

// A Control takes one thing out of the protocol that the laws rest on. A law
// that holds without it was not tested.
type Control struct {
	NoSetRule bool // the server adds up whatever comes
	NoTaint   bool // bundles that are sent again look like all others
	NoCustody bool // a neighbour's receipt is enough: nobody keeps what it has passed on
	NoAgain   bool // the server does not ask again
	NoReached bool // nobody hears that who is dialled lives
}

// String is the control as ParseControl reads it.
func (c Control) String() string {
	var names []string
	for i, on := range []bool{c.NoSetRule, c.NoTaint, c.NoCustody, c.NoAgain, c.NoReached} {
		if on {
			names = append(names, ControlNames[i])
		}
	}
	return strings.Join(names, ",")
}

// ControlNames are what ParseControl takes.
var ControlNames = []string{"no-set-rule", "no-taint", "no-custody", "no-again", "no-reached"}

// ParseControl reads the names of controls, with commas between them. The empty
// text is none.
func ParseControl(text string) (Control, error) {
	var c Control
	if text == "" {
		return c, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		switch slices.Index(ControlNames, name) {
		case 0:
			c.NoSetRule = true
		case 1:
			c.NoTaint = true
		case 2:
			c.NoCustody = true
		case 3:
			c.NoAgain = true
		case 4:
			c.NoReached = true
		default:
			return c, fmt.Errorf("there is no control %q, but %s", name, strings.Join(ControlNames, ", "))
		}
	}
	return c, nil
}

// twisted is a message as it leaves a machine under the control.
func (c Control) twisted(m wire.Message) wire.Message {
	if c == (Control{}) {
		return m
	}
	switch m := m.(type) {
	case wire.Answer:
		if c.NoTaint {
			m.Bundle.Tainted = false
		}
		return m
	case wire.Ack:
		if c.NoCustody {
			m.Unsafe = nil
		}
		return m
	}
	return m
}

// withholds reports whether the server does not say this under the control.
func (c Control) withholds(m wire.Message) bool {
	q, ok := m.(wire.Question)
	return c.NoAgain && ok && q.Round > 0
}

// sums are what became of the reports.
type sums struct {
	verdicts  [tally.Foreign + 1]int
	counted   int // machines, over all questions
	again     int // questions that were asked again, in a LAN
	direct    int // machines that were asked directly
	witnessed int // answers that were given directly
	doubled   int // contributions counted beyond one for each machine, at the worst moment
}

// add takes whatever comes, as a server without the set rule does.
func (q *asked) add(rows answer.Rows) {
	q.naive = answer.MergeRows(answer.ServerLimits, q.naive, rows)
}

// doubled is how often machines are counted beyond once.
func doubled(rows answer.Rows) int {
	n := 0
	for _, r := range rows.List {
		if r.Cells[0][0] == "machine" {
			n += int(r.Count) - 1
		}
	}
	return n
}
