package sim

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// A pair is two machines, the second of which starts after a second. The first is
// told of it, and dials it.
type pair struct {
	*world
	heard bytes.Buffer
	dial  time.Duration // when
	conn  string        // … and on which connection
}

const pairLag = 10 * time.Millisecond

func newPair(t *testing.T) *pair {
	p := &pair{world: newLine(1, 2)}
	p.trace = &p.heard
	p.weather.lagMin, p.weather.lagMax = pairLag, pairLag
	p.hire()
	for _, h := range p.hosts {
		h.porter.takes, h.porter.usually = 0, 0
	}
	p.walls[[2]*host{p.hosts[1], p.hosts[0]}] = true // only the first dials
	p.start(p.hosts[0])
	p.run(time.Second)
	p.start(p.hosts[1])
	dials := regexp.MustCompile(`(?m)^ *([0-9.]+)  0\.1 +-> node\.Dial\{Conn:(\d+) Peer:10\.`)
	if !p.runUntil(2*time.Second, func() bool { return dials.Match(p.heard.Bytes()) }) {
		t.Fatalf("the first has not dialled the second: %v", p.err)
	}
	m := dials.FindStringSubmatch(p.heard.String())
	p.dial, p.conn = momentOf(t, m[1]), m[2]
	return p
}

func momentOf(t *testing.T, text string) time.Duration {
	t.Helper()
	s, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(s*1e6+0.5) * time.Microsecond
}

// since is how long after the dial its first event of a kind came; negative: it did
// not.
func (p *pair) since(t *testing.T, event string) time.Duration {
	t.Helper()
	m := regexp.MustCompile(fmt.Sprintf(`(?m)^ *([0-9.]+)  0\.1 +(?:<-|->) node\.%s\{Conn:%s[ }]`, event, p.conn)).FindStringSubmatch(p.heard.String())
	if m == nil {
		return -1
	}
	return momentOf(t, m[1]) - p.dial
}

// TestHandshake: who is dialled has been reached after one round trip and has
// answered after three, and what the two take for their parts.
func TestHandshake(t *testing.T) {
	for _, takes := range []time.Duration{0, 20 * time.Millisecond} {
		p := newPair(t)
		for _, h := range p.hosts {
			h.porter.takes, h.porter.usually = takes, takes
		}
		p.run(time.Second)
		if got := p.since(t, "Reached"); got != 2*pairLag {
			t.Errorf("reached after %v", got)
		}
		if got := p.since(t, "Up") - 6*pairLag; got < takes || got > 3*takes {
			t.Errorf("up %v after three round trips, when each takes %v", got, takes)
		}
	}
}

// TestHandshakeEnds: who is overloaded, or mute, answers late, or never; if it ends
// meanwhile, its system says so at once, and if it loses its power nothing does, but
// keep-alive.
func TestHandshakeEnds(t *testing.T) {
	for _, tt := range []struct {
		name     string
		happens  func(*pair)
		event    string
		from, to time.Duration
	}{
		{"overloaded", func(p *pair) { p.hosts[1].porter.takes = 30 * time.Second }, "Up", 15 * time.Second, 46 * time.Second},
		{"mute", func(p *pair) { p.silence(p.hosts[1], time.Hour) }, "Hangup", time.Minute, time.Minute},
		{"ends", func(p *pair) {
			p.hosts[1].porter.takes = time.Hour
			p.after(100*time.Millisecond, func() { p.stop(p.hosts[1], false) })
		}, "Failed", 110 * time.Millisecond, 110 * time.Millisecond},
		{"ends before it is asked", func(p *pair) {
			p.after(25*time.Millisecond, func() { p.stop(p.hosts[1], false) })
		}, "Failed", 40 * time.Millisecond, 40 * time.Millisecond},
		{"starts anew", func(p *pair) {
			p.after(25*time.Millisecond, func() { p.stop(p.hosts[1], false); p.start(p.hosts[1]) })
		}, "Failed", 40 * time.Millisecond, 40 * time.Millisecond},
		{"loses its power", func(p *pair) {
			p.hosts[1].porter.takes = time.Hour
			p.after(100*time.Millisecond, func() { p.stop(p.hosts[1], true) })
		}, "Failed", 100*time.Millisecond + silentTime/2, 100*time.Millisecond + silentTime},
		{"loses its power before it is asked", func(p *pair) {
			p.after(25*time.Millisecond, func() { p.stop(p.hosts[1], true) })
		}, "Failed", silentTime / 2, silentTime + 30*time.Millisecond},
		{"is heard no more", func(p *pair) {
			p.after(25*time.Millisecond, func() { p.block(p.hosts[0], p.hosts[1], time.Hour) })
		}, "Failed", silentMin, 2*silentMax + time.Second},
		{"is heard again", func(p *pair) {
			p.after(25*time.Millisecond, func() { p.block(p.hosts[0], p.hosts[1], time.Second) })
		}, "Up", time.Second, 3 * time.Second},
	} {
		p := newPair(t)
		tt.happens(p)
		p.run(2 * time.Minute)
		if got := p.since(t, tt.event); got < tt.from || got > tt.to || p.err != nil {
			t.Errorf("who is dialled %s: %s after %v, want %v to %v (%v)", tt.name, tt.event, got, tt.from, tt.to, p.err)
		}
	}
}

// TestCrowd: a processor does one part after the other, for all who share it, but not
// what an overloaded machine has to do besides; others are not kept waiting.
func TestCrowd(t *testing.T) {
	p := newPair(t)
	p.hosts[0].porter.takes, p.hosts[0].porter.usually = 10*time.Millisecond, 10*time.Millisecond
	for range 10 {
		if d := p.done(p.hosts[0]) - p.now; d < 5*time.Millisecond || d > 15*time.Millisecond {
			t.Errorf("one that has a processor for itself is done after %v", d)
		}
	}
	p.crowd(10 * time.Millisecond)
	last := p.now
	for i := range 10 {
		at := p.done(p.hosts[i%2])
		if d := at - last; d < 5*time.Millisecond || d > 15*time.Millisecond {
			t.Errorf("part %d is done %v after the one before", i, d)
		}
		last = at
	}
	p.hosts[1].porter.takes = time.Minute
	if d := p.done(p.hosts[1]) - p.now; d < 30*time.Second {
		t.Errorf("who is overloaded is done after %v", d)
	}
	if d := p.done(p.hosts[0]) - last; d > 15*time.Millisecond {
		t.Errorf("the other waits for it until %v later", d)
	}
	p.hosts[1].porter.takes = p.hosts[1].porter.usually
	if p.prompt(p.hosts[1]) || !p.prompt(p.hosts[0]) {
		t.Error("who still does what it began when it was overloaded is taken for prompt, or the other is not")
	}
}

// TestCut: what will not arrive any more because one end sleeps does not arrive
// because the connection breaks besides.
func TestCut(t *testing.T) {
	p := newPair(t)
	for range 20 {
		c := &conn{reset: true}
		c.ends[0].host, c.ends[1].host = p.hosts[0], p.hosts[1]
		if p.cut(c); !c.reset {
			t.Fatal("a connection that was reset is not, when it is cut")
		}
	}
}
