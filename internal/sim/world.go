package sim

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"sync"
	"time"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/seal"
	"catenary/internal/wire"
)

// epoch is when every story begins, by the server's clock.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A world is a server, its machines and the network between them, from one seed. A
// large one is played as many sites, each with a world of its own that shares the
// rest with all others.
type world struct {
	*commons
	site
}

// commons are what all sites of a world share. While sites are played beside each
// other, none of them changes any of it.
type commons struct {
	called  string // what kind of story it is
	seed    uint64
	sites   *sites // nil in a small world, which is one site
	weather weather
	hosts   []*host // in the order of their places
	lans    int
	liars   int             // of the hosts
	lying   bool            // they have begun, and go on
	lies    ByzantineReport // so far
	nowhere *host           // where nobody is; nil: nobody is sent there
	flooded bool            // somebody has been told much …
	drowned bool            // … and one machine as much as may be
	server  *server
	walls   map[[2]*host]bool // dials from one to the other vanish
	fabric  fabric
	control Control
	mode    answer.Mode // of all questions
	keys    keys
	shared  *shared // nil in a small world

	roughly []*asked // questions of the rough phase, all of which must be answered in full
	closed  time.Duration
	healed  []time.Duration // how long the chains took to stand in order after bad luck

	cleared   time.Duration // when all bad luck last ended
	restored  time.Duration // when somebody could last reach again who could not
	slowUntil time.Duration // until then some are slow at handshakes, or mute
	calm      bool          // nothing is slow or broken
	faults    int
	sum       sums
	bills     map[int]*bill // of each machine, by its index
	unwatched bool          // counts are checked at the end only
	trace     io.Writer
	traced    [2]time.Duration // from when until when; 0: to the end
	history   *History         // nil: nobody wants a picture
}

// A site is what a part of the world has for itself that is played by itself: its
// clock, its chance, and the record of what has happened there.
type site struct {
	now     time.Duration // since epoch
	rng     *rand.Rand
	todo    queue
	near    []*host       // machines of a LAN, or nil
	away    []parting     // is to happen on other sites
	before  [2]chain.Peer // who held the sides of a machine before the step in progress
	slowest time.Duration // sensor
	decoded int
	toll
	hash    fingerprint
	scratch []byte
	err     error // the first law that was broken
}

// A toll is how much there was to do.
type toll struct {
	events  int            // steps of nodes
	dialled int            // links of chains
	traffic [kinds]traffic // by kind of message
	wan     [kinds]traffic // of that, what went over leaders' connections
}

func newWorld(seed uint64, trace io.Writer) *world {
	w := &world{
		commons: &commons{
			called: "seed", seed: seed, trace: trace, weather: fairWeather(),
			walls: map[[2]*host]bool{}, fabric: newFabric(), bills: map[int]*bill{},
			keys: installation(),
		},
		site: newSite(seed, 0),
	}
	w.server = newServer(w)
	return w
}

func newSite(seed, number uint64) site {
	return site{rng: rand.New(rand.NewPCG(seed, 0x73696d+number<<32))}
}

// ---- time and chance ----

// at lets something happen at a moment.
func (w *world) at(t time.Duration, do func()) {
	w.todo.add(max(t, w.now), do)
}

func (w *world) after(d time.Duration, do func()) { w.at(w.now+d, do) }

// run lets time pass, until a law is broken.
func (w *world) run(d time.Duration) {
	w.runUntil(w.now+d, func() bool { return false })
}

// runUntil lets time pass until the end or until done says so, and reports
// which. A large world is asked at the end only.
func (w *world) runUntil(end time.Duration, done func() bool) bool {
	if w.sites != nil {
		w.sites.run(end)
		return false
	}
	for w.err == nil && w.next(end) {
		if done() {
			return true
		}
	}
	if w.err == nil {
		w.now = end
	}
	return false
}

// next lets happen what is next, if that is not after the end.
func (w *world) next(end time.Duration) bool {
	at, some := w.todo.next()
	if !some || at > end {
		return false
	}
	w.now = at
	if w.todo.ringsNext() {
		w.rouse(w.todo.ring())
	} else {
		w.todo.take()()
	}
	return true
}

// upto draws a duration evenly below d.
func (w *world) upto(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

// between draws a duration evenly, both bounds included.
func (w *world) between(a, b time.Duration) time.Duration { return a + w.upto(b-a+1) }

// oneIn is true once in n draws.
func (w *world) oneIn(n int) bool { return w.rng.IntN(n) == 0 }

// ---- record ----

// A mark says what kind of thing went into the hash.
type mark byte

const (
	markEvent mark = iota + 1
	markEffect
	markFrame
	markServer
)

// note mixes what happened into the hash that two runs of a seed must share.
func (w *world) note(m mark, h *host, what uint64, body []byte) {
	who := uint64(0)
	if h != nil {
		who = uint64(h.index+1)<<32 | h.life
	}
	w.hash.add(uint64(w.now)<<8 | uint64(m))
	w.hash.add(who)
	w.hash.add(what)
	w.hash.addBytes(body)
}

// A fingerprint is a hash of everything that happened, each frame included: it must
// be quick, and nobody is about to deceive it.
type fingerprint uint64

func (f *fingerprint) add(x uint64) {
	hi, lo := bits.Mul64(uint64(*f)^x^0x9e3779b97f4a7c15, 0xd1342543de82ef95)
	*f = fingerprint(hi ^ lo)
}

func (f *fingerprint) addBytes(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		f.add(binary.LittleEndian.Uint64(b))
	}
	var rest [8]byte
	rest[7] = byte(copy(rest[:], b))
	f.add(binary.LittleEndian.Uint64(rest[:]))
}

// lineMax bounds what the trace says of one event: sealed bytes tell nothing.
const lineMax = 400

// say writes a line of the trace.
func (w *world) say(h *host, arrow string, what any) {
	if w.trace == nil || w.now < w.traced[0] || w.traced[1] > 0 && w.now > w.traced[1] {
		return
	}
	name := "world"
	if h != nil {
		name = h.String()
	}
	text := fmt.Sprintf("%T%+v", what, what)
	if s, ok := what.(string); ok {
		text = s
	} else if err, ok := what.(error); ok {
		text = err.Error()
	}
	if len(text) > lineMax {
		text = text[:lineMax] + "…"
	}
	if _, err := fmt.Fprintf(w.trace, "%12.6f  %-8s %s %s\n", w.now.Seconds(), name, arrow, text); err != nil {
		w.trace = nil // nobody reads any more
	}
}

// mark says what happens to a machine, or to all, from outside.
func (w *world) mark(h *host, text string) {
	w.say(h, "--", text)
	w.history.mark(w.now, h, text)
}

// traffic is how much of a kind of message was sent.
type traffic struct {
	frames int
	bytes  int64
}

const kinds = wire.KindHint + 1

// keys are the installation's: the root, and the key that signs questions.
type keys struct {
	root, signing, stranger keyPair
	voucher                 []byte
}

var installation = sync.OnceValue(func() keys {
	k := keys{root: keyFrom(1), signing: keyFrom(2), stranger: keyFrom(3)}
	const year = 365 * 24 * time.Hour
	k.voucher = seal.Vouch(k.root.private, k.signing.public, epoch.Add(-year), epoch.Add(year))
	return k
})
