package dispatch

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/server/roster"
	"catenary/internal/server/tally"
	"catenary/internal/wire"
)

// A counter is a desk with clients that stand still, and leaders that the test
// calls by their lines.
type counter struct {
	*Desk
	*testing.T
	roster *roster.Roster
	now    time.Time
}

func newCounter(t *testing.T) *counter {
	r := roster.New(roster.DefaultBoundaries)
	return &counter{New(r, 0), t, r, time.Unix(1_800_000_000, 0)}
}

func lan(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n), 0}), 24)
}

func idOf(lan, n int) endpoint.ID { return endpoint.ID{byte(lan), byte(n)} }

// come registers client n of a LAN.
func (c *counter) come(lan, n int, known ...uint64) (News, []Effect) {
	place := endpoint.Place{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(lan), byte(n)}), 17472), ID: idOf(lan, n)}
	pl, _ := c.roster.Register(c.now, roster.Claim{Place: place})
	return c.Register(c.now, pl.Place, pl, known)
}

// lead lets client n of a LAN lead on a line.
func (c *counter) lead(line Line, role wire.Role, on, n int, known ...uint64) []Effect {
	return slices.Clone(c.Lead(c.now, line, idOf(on, n), role, lan(on), known))
}

// put asks a question of so many bytes.
func (c *counter) put(id uint64, bytes int) []Effect {
	return slices.Clone(c.Ask(c.now, Question{
		ID: id, Sealed: slices.Repeat([]byte{byte(id)}, bytes), Issued: c.now, Expires: c.now.Add(time.Hour), Limit: time.Minute,
	}))
}

func (c *counter) wait(d time.Duration) []Effect {
	c.now = c.now.Add(d)
	return slices.Clone(c.Tick(c.now))
}

// says hands a message in, and wants an error or none.
func (c *counter) says(line Line, m wire.Message, wrong bool) []Effect {
	c.Helper()
	effects, err := c.Got(c.now, line, m)
	if (err != nil) != wrong {
		c.Errorf("line %d says %T: %v", line, m, err)
	}
	return slices.Clone(effects)
}

// want compares effects, each in a word or two.
func (c *counter) want(when string, effects []Effect, want string) {
	c.Helper()
	var got []string
	for _, ef := range effects {
		got = append(got, show(ef))
	}
	if text := strings.Join(got, ", "); text != want {
		c.Errorf("%s: %q, want %q", when, text, want)
	}
}

func show(ef Effect) string {
	switch ef := ef.(type) {
	case Send:
		switch m := ef.Message.(type) {
		case wire.Question:
			text := fmt.Sprintf("%d:question %d", ef.Line, m.Sealed[0])
			if m.Round > 0 {
				text += fmt.Sprintf(" round %d of %v", m.Round, m.Only)
			}
			return text
		case wire.Ack:
			return fmt.Sprintf("%d:ack %d", ef.Line, m.Seq)
		case wire.Ping:
			return fmt.Sprintf("%d:ping %d %v", ef.Line, m.Number, m.Reply)
		case wire.Hint:
			return fmt.Sprintf("%d:hint %v", ef.Line, m.Place.ID[1])
		}
	case Taken:
		return fmt.Sprintf("%v from %d", ef.Verdict, ef.Line)
	case Changed:
		return fmt.Sprintf("changed %d", ef.Question)
	case Again:
		return fmt.Sprintf("again %d", ef.Question)
	}
	return fmt.Sprintf("%+v", ef)
}

// said is the answer of some machines to a question, as one bundle.
func said(question, seq uint64, slots ...answer.Slot) wire.Answer {
	rows := answer.RowsOf(answer.ChainLimits, answer.Key{}.Row([]answer.Cell{{"yes"}}))
	rows.List[0].Count = uint64(len(slots))
	return wire.Answer{Report: answer.Report{Seq: seq, Question: question, Bundle: answer.Bundle{
		Question: question, Set: answer.SetOf(slots...), Rows: rows,
	}}}
}

// TestAsk: a question goes to all backward leaders of a LAN, or if there is none
// to the forward leaders, and to nobody who has left.
func TestAsk(t *testing.T) {
	c := newCounter(t)
	c.lead(1, wire.ForwardLeader, 1, 9)
	c.lead(2, wire.BackwardLeader, 1, 1)
	c.lead(3, wire.ForwardLeader, 2, 9)
	c.lead(4, wire.BackwardLeader, 3, 1)
	c.lead(5, wire.BackwardLeader, 3, 7)
	c.lead(6, wire.ForwardLeader, 3, 6)
	c.lead(7, wire.Witness, 4, 6)
	c.want("four LANs", c.put(1, 1), "2:question 1, 3:question 1, 4:question 1, 5:question 1")
	for _, line := range []Line{2, 4, 7, 99} {
		c.Leave(line)
	}
	c.want("some have left", c.put(2, 1), "1:question 2, 3:question 2, 5:question 2")
	if c.Highest() != 2 || len(c.lines) != 4 || len(c.lans) != 3 {
		t.Errorf("question %d is the highest; %d lines in %d LANs", c.Highest(), len(c.lines), len(c.lans))
	}
	for _, line := range []Line{1, 3, 5, 6} {
		c.Leave(line)
	}
	if len(c.lines) != 0 || len(c.lans) != 0 {
		t.Errorf("all have left, but of %d lines in %d LANs something is kept", len(c.lines), len(c.lans))
	}
}

// TestReverse: a question whose receipt has not come within a second goes in at
// the other end, once.
func TestReverse(t *testing.T) {
	c := newCounter(t)
	c.lead(1, wire.ForwardLeader, 1, 9)
	c.lead(2, wire.BackwardLeader, 1, 1)
	for id := uint64(1); id <= 4; id++ {
		c.put(id, 1)
	}
	c.says(2, wire.Ack{Questions: []uint64{2, 9}}, false)
	c.Close(3)
	c.want("before its time", c.wait(999*time.Millisecond), "")
	c.want("after a second", c.wait(time.Millisecond), "1:question 1, 1:question 4")
	c.want("later", c.wait(time.Second), "")
	c.put(5, 1)
	c.Leave(2)
	c.want("the leader has left", c.wait(time.Second), "")
}

// TestAgain: only who is missing is asked again, by all backward leaders.
func TestAgain(t *testing.T) {
	c := newCounter(t)
	for n := range 3 {
		c.come(1, 1+n)
	}
	c.lead(1, wire.ForwardLeader, 1, 3)
	c.lead(2, wire.BackwardLeader, 1, 1)
	c.put(7, 1)
	c.says(2, wire.Ack{Questions: []uint64{7}}, false)
	c.want("one answers", c.says(1, said(7, 1, 1), false), "1:ack 1, counted from 1, changed 7")
	c.want("too early", c.wait(1500*time.Millisecond), "")
	c.want("two are missing", c.wait(50*time.Millisecond), "again 7, 2:question 7 round 1 of [0 2]")
	c.want("no receipt", c.wait(time.Second), "1:question 7")
	c.Close(7)
	c.want("over", c.wait(time.Minute), "")
}

// TestLead: a backward leader gets the live questions that it does not know,
// oldest first, as far as they fit; and it owes receipts for them.
func TestLead(t *testing.T) {
	c := newCounter(t)
	for _, id := range []uint64{3, 1, 2, 5, 4} {
		c.put(id, 1)
	}
	c.Close(2)
	c.want("as forward leader", c.lead(1, wire.ForwardLeader, 1, 9), "")
	c.want("as backward leader", c.lead(2, wire.BackwardLeader, 1, 1, 3), "2:question 1, 2:question 4, 2:question 5")
	c.want("no receipts", c.wait(time.Second), "1:question 1, 1:question 4, 1:question 5")
	c = newCounter(t)
	for id := range uint64(20) {
		c.put(id+1, 200<<10)
	}
	if n := len(c.lead(1, wire.BackwardLeader, 1, 1)); n != leadBytes/(200<<10) {
		t.Errorf("%d large questions at once", n)
	}
	c = newCounter(t)
	for id := range uint64(wire.QuestionsMax + 9) {
		c.put(id+1, 1)
	}
	if n := len(c.lead(1, wire.BackwardLeader, 1, 1)); n != wire.QuestionsMax {
		t.Errorf("%d questions at once", n)
	}
	news, _ := c.come(1, 1)
	if n := len(news.Questions); n != wire.QuestionsMax || news.Questions[0][0] != 1 {
		t.Errorf("%d questions at once with a registration", n)
	}
}

// TestPriority: if not all questions can be sent at once, those wait that matter
// least, and of these the youngest.
func TestPriority(t *testing.T) {
	c := newCounter(t)
	const n = wire.QuestionsMax + 2
	for id := range uint64(n) {
		q := Question{ID: id + 1, Sealed: []byte{byte(id + 1), byte((id + 1) >> 8)}, Issued: c.now, Expires: c.now.Add(time.Hour), Limit: time.Minute}
		switch id + 1 {
		case 5:
			q.Priority = -1
		case n:
			q.Priority = 1
		}
		c.Ask(c.now, q)
	}
	news, _ := c.come(1, 1)
	var got []uint64
	for _, sealed := range news.Questions {
		got = append(got, uint64(sealed[0])|uint64(sealed[1])<<8)
	}
	var want []uint64
	for id := range uint64(n) {
		if id+1 != 5 && id+1 != n-1 {
			want = append(want, id+1)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("sent %v", got)
	}
}

// TestWhoMaySay is the table of docs/protocol.md §2 for the server's links.
func TestWhoMaySay(t *testing.T) {
	c := newCounter(t)
	c.come(1, 1)
	c.put(7, 1)
	c.lead(3, wire.BackwardLeader, 1, 1)
	c.lead(4, wire.ForwardLeader, 1, 1)
	c.lead(5, wire.Witness, 1, 1)
	for _, tt := range []struct {
		m    wire.Message
		by   string // the roles that may say it
		want string // what comes of it, at the line before the colon
	}{
		{said(7, 1, 0), "45", ":ack 1, "},
		{wire.Ack{Seq: 1}, "3", ""},
		{wire.Gone{}, "4", ""},
		{wire.Ping{Number: 8}, "345", ":ping 8 true"},
		{wire.Ping{Number: 8, Reply: true}, "345", ""},
		{wire.Question{Sealed: []byte{1}}, "", ""},
		{wire.Hello{}, "", ""},
		{nil, "", ""},
	} {
		for line := Line(3); line <= 5; line++ {
			may := strings.Contains(tt.by, fmt.Sprint(line))
			effects := c.says(line, tt.m, !may)
			if want := fmt.Sprint(line) + tt.want; may && tt.want != "" && (len(effects) == 0 || !strings.HasPrefix(want, show(effects[0]))) {
				t.Errorf("line %d says %T: %v", line, tt.m, effects)
			}
		}
	}
	for line, may := range map[Line]bool{3: false, 4: true, 5: true, 6: true} { // of line 6, which has ended, nothing is left
		if _, err := c.Opened(c.now, line, said(7, 1, 0).Report, nil); (err == nil) != may {
			t.Errorf("opened answers on line %d: %v", line, err)
		}
	}
	if effects := c.says(6, said(7, 1, 0), false); effects != nil {
		t.Errorf("a line that has ended: %v", effects)
	}
}

// TestWitness: a witness speaks for its own slot, where it is registered, and
// what it says counts as tainted.
func TestWitness(t *testing.T) {
	c := newCounter(t)
	for n := range 3 {
		c.come(1, 1+n)
	}
	c.come(2, 4)
	c.put(7, 1)
	c.lead(1, wire.ForwardLeader, 1, 3)
	c.lead(2, wire.Witness, 1, 2)
	c.lead(3, wire.Witness, 2, 2)
	c.lead(4, wire.Witness, 1, 77)
	c.says(2, said(7, 1, 0), true)
	c.says(2, said(7, 1, 1, 2), true)
	c.says(3, said(7, 1, 1), true)
	c.says(4, said(7, 1, 1), true)
	c.Lead(c.now, 5, idOf(1, 2), wire.Witness, lan(2), nil) // where it does not stand
	c.says(5, said(7, 1, 1), true)
	c.want("a witness", c.says(2, said(7, 1, 1), false), "2:ack 1, counted from 2, changed 7")
	c.want("what it said is in a bundle", c.says(1, said(7, 1, 0, 1, 2), false), "1:ack 1, replaced from 1, changed 7")
}

// TestOver: answers to a question that is over, or never was, are acknowledged,
// and nothing becomes of them.
func TestOver(t *testing.T) {
	c := newCounter(t)
	c.come(1, 1)
	c.put(7, 1)
	c.lead(1, wire.ForwardLeader, 1, 1)
	c.Close(7)
	c.Close(8)
	c.want("over", c.says(1, said(7, 1, 0), false), "1:ack 1")
	c.want("unknown", c.says(1, said(8, 2, 0), false), "1:ack 2")
	if count, ok := c.Desk.Tally(7); !ok || count.Progress().Answered != 0 {
		t.Error("an answer was counted after the end")
	}
	if _, live := c.Desk.Question(7); live {
		t.Error("the question is still live")
	}
	if news, effects := c.come(1, 1); len(news.Questions) != 0 || len(effects) != 0 {
		t.Errorf("who registers is told %v, %v", news, effects)
	}
	c.Forget(7)
	if _, ok := c.Desk.Tally(7); ok {
		t.Error("the question is not forgotten")
	}
}

// TestHint: of who has just come the leaders next to it hear, and nobody else.
func TestHint(t *testing.T) {
	c := newCounter(t)
	for _, n := range []int{2, 4, 8} {
		c.come(1, n)
	}
	c.lead(1, wire.ForwardLeader, 1, 4)
	c.lead(2, wire.BackwardLeader, 1, 8)
	c.lead(3, wire.BackwardLeader, 1, 2)
	c.lead(4, wire.ForwardLeader, 2, 4)
	_, effects := c.come(1, 6)
	c.want("between two leaders", effects, "1:hint 6, 2:hint 6")
	_, effects = c.come(1, 6)
	c.want("comes again", effects, "")
	_, effects = c.come(1, 1)
	c.want("the first of all", effects, "3:hint 1")
}

// TestSpread: the more leaders there are, the longer they take to come back.
func TestSpread(t *testing.T) {
	c := newCounter(t)
	for lines, want := range map[int]time.Duration{0: spreadMin, 20: spreadMin, 3000: 1500 * time.Millisecond, 100_000: spreadMax} {
		c.lines = make(map[Line]*line, lines)
		for n := range Line(lines) {
			c.lines[n] = nil
		}
		if got := c.Spread(); got != want {
			t.Errorf("of %d leaders: %v, want %v", lines, got, want)
		}
	}
}

// TestLeads: who holds which lines.
func TestLeads(t *testing.T) {
	c := newCounter(t)
	c.lead(1, wire.BackwardLeader, 1, 1)
	c.lead(2, wire.ForwardLeader, 1, 2)
	c.lead(3, wire.BackwardLeader, 1, 3)
	c.lead(4, wire.ForwardLeader, 1, 3)
	for n, want := range [][2]bool{{}, {true, false}, {false, true}, {true, true}} {
		if backward, forward := c.Leads(lan(1), idOf(1, n)); [2]bool{backward, forward} != want {
			t.Errorf("client %d leads %v and %v", n, backward, forward)
		}
	}
	if backward, forward := c.Leads(lan(2), idOf(1, 3)); backward || forward {
		t.Error("leads in another LAN")
	}
}

// TestDirect: who was asked again in vain is asked directly when it registers
// and says that it knows the question, unless it has answered.
func TestDirect(t *testing.T) {
	c := newCounter(t)
	c.come(1, 1)
	c.come(1, 2)
	c.put(7, 1)
	c.lead(1, wire.ForwardLeader, 1, 2)
	c.says(1, said(7, 1, 1), false)
	for range tally.Rounds {
		if news, _ := c.come(1, 1, 7); len(news.Direct) > 0 {
			t.Error("is asked directly before its time")
		}
		c.wait(10 * time.Second)
	}
	for n, tt := range map[int]struct {
		known []uint64
		want  int
	}{1: {[]uint64{7}, 1}, 2: {[]uint64{7}, 0}} {
		if news, _ := c.come(1, n, tt.known...); len(news.Direct) != tt.want {
			t.Errorf("client %d is asked directly for %v", n, news.Direct)
		}
	}
	if news, _ := c.come(1, 1); len(news.Direct) != 0 || len(news.Questions) != 1 {
		t.Errorf("who does not know the question is told %+v", news)
	}
}
