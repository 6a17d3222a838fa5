package sim

import (
	"crypto/ed25519"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/seal"
	"catenary/internal/wire"
)

// TestScale: ten thousand machines in chains of a hundred form by themselves
// and answer as one, twice the same. On each link there are a question, an
// answer and what acknowledges them.
func TestScale(t *testing.T) {
	const machines = 10_000 / slowdown
	scale := Scale{Endpoints: machines, Chain: 100, Seed: 1}
	rep, err := scale.Run()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v", rep)
	if rep.Neighbours.Frames > 5*machines || rep.Reports != rep.Chains || rep.All > 150*time.Millisecond {
		t.Errorf("the question took %v between neighbours, %d reports and %v", rep.Neighbours, rep.Reports, rep.All)
	}
	if rep.Signatures != 2 {
		t.Errorf("%d signatures were checked, want those of the voucher and of the question", rep.Signatures)
	}
	if slowdown == 1 && rep.HeapAll > heapMax { // a smaller world says nothing of a large one
		t.Errorf("a machine takes %d bytes, at most %d leave a million room in %d MB", rep.HeapAll, heapMax, scaleMemory>>20)
	}
	again, err := scale.Run()
	if err != nil || again.Hash != rep.Hash {
		t.Errorf("the same seed gives %x, then %x (%v)", rep.Hash, again.Hash, err)
	}
}

// TestScaleAnywhere: how many processors play a large installation, and how often
// they have to stop for garbage, changes nothing in it.
func TestScaleAnywhere(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	scale := Scale{Endpoints: 2_000 / slowdown, Chain: 40, Seed: 7}
	var want ScaleReport
	for i, processors := range []int{1, 2, 3, 2} {
		if i == 3 {
			scale.memory = 1
		}
		runtime.GOMAXPROCS(processors)
		got, err := scale.Run()
		if err != nil {
			t.Fatal(err)
		}
		got.FormWall, got.AskWall, got.Processors, got.HeapFormed, got.HeapAll, got.Peak = 0, 0, 0, 0, 0, 0
		if i == 0 {
			want = got
		}
		if got != want {
			t.Errorf("with %d processors:\n%v\nwith 1:\n%v", processors, got, want)
		}
	}
	scale.Seed++
	if other, err := scale.Run(); err != nil || other.Hash == want.Hash {
		t.Errorf("another seed gives the same hash %x (%v)", other.Hash, err)
	}
}

// TestFingerprint: whatever differs changes it.
func TestFingerprint(t *testing.T) {
	seen := map[fingerprint]string{}
	for _, text := range []string{
		"", "\x00", "\x00\x00", "a", "b", "ab", "ba", "abcdefg", "abcdefg\x00", "abcdefgh", "abcdefgh\x00", "bacdefgh", "abcdefghi", "abcdefghabcdefgh",
	} {
		var once, twice fingerprint
		once.addBytes([]byte(text))
		twice.addBytes([]byte(text))
		twice.addBytes([]byte(text))
		for f, what := range map[fingerprint]string{once: text, twice: text + " twice"} {
			if other, known := seen[f]; known || f == 0 {
				t.Errorf("%q and %q both give %x", what, other, f)
			}
			seen[f] = what
		}
	}
}

// heapMax is what a machine may take after the question, in bytes. A million then
// leave a fifth of scaleMemory to garbage: with 2,730 bytes it is collected seven times
// while the question is answered, which is a quarter of that time. A small world adds
// some 50 that do not grow.
const heapMax = 2900

// TestSlowSensors: if the sensors of all machines take up to 200 ms although
// they were expected to take 100, answers leave at the points of a grid. Were
// each said when it is ready, a link would carry 17 messages instead of 12.
func TestSlowSensors(t *testing.T) {
	const machines = 1000
	rep, err := Scale{Endpoints: machines, Chain: 100, Seed: 1}.in(func(x *weather) {
		x.work, x.heavy, x.hold = 200*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v", rep)
	if rep.First > 250*time.Millisecond || rep.All > 370*time.Millisecond {
		t.Errorf("the first answer came after %v, the last after %v", rep.First, rep.All)
	}
}

// TestColdStart: a hundred machines that start in the same moment stand in
// their chain before they have registered a second time.
func TestColdStart(t *testing.T) {
	for seed := range uint64(10) {
		w := newWorld(seed, nil)
		w.unwatched = true
		w.weather.lagMin, w.weather.lagMax = time.Millisecond, 40*time.Millisecond
		w.addLANs(100, 100)
		for _, h := range w.hosts {
			w.at(w.upto(time.Millisecond), func() { w.start(h) })
		}
		w.run(200 * time.Millisecond)
		w.form(w.chains(), func(int) {})
		if t.Log(w.now); w.err != nil || w.now > 9*time.Second {
			t.Errorf("seed %d: the chain stood after %v (%v)", seed, w.now, w.err)
		}
	}
}

// TestQueue: what was asked for happens in the order of time, and what was asked
// for the same moment in the order of asking; a timer that is set again rings
// once, at the newer time.
func TestQueue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var q queue
	type due struct {
		at    time.Duration
		order int
	}
	var want []due
	var got []int
	hosts := make([]*host, 50)
	winds := map[*host]due{}
	for i := range hosts {
		hosts[i] = &host{index: i}
	}
	for range 2000 {
		at := time.Duration(rng.IntN(500))
		if h := hosts[rng.IntN(len(hosts))]; rng.IntN(3) == 0 {
			q.wind(h, at)
			winds[h] = due{at, q.order}
			continue
		}
		order := q.order + 1
		q.add(at, func() { got = append(got, order) })
		want = append(want, due{at, order})
	}
	for _, x := range winds {
		want = append(want, x)
	}
	slices.SortFunc(want, func(a, b due) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return a.order - b.order
	})
	for i, x := range want {
		at, some := q.next()
		if !some || at != x.at {
			t.Fatalf("%d: next is at %v, %v, want %v", i, at, some, x.at)
		}
		if !q.ringsNext() {
			q.take()()
		} else if h := q.ring(); winds[h] != x || h.timed != 0 {
			t.Fatalf("%d: the timer of %d rings, set for %+v, want %+v", i, h.index, winds[h], x)
		} else {
			got = append(got, x.order)
		}
		if got[i] != x.order {
			t.Fatalf("%d: happens %d, want %d", i, got[i], x.order)
		}
	}
	if _, some := q.next(); some {
		t.Error("something is left")
	}
}

// TestShared: in a large world equal things are one thing, and nothing else is.
func TestShared(t *testing.T) {
	w := newWorld(1, nil)
	w.unwatched = true
	w.addLANs(200, 100)
	w.share()
	places := func(of ...int) (all []endpoint.Place) {
		for _, i := range of {
			all = append(all, w.hosts[i].place)
		}
		return all
	}
	for _, tt := range []struct {
		back, fore       []endpoint.Place
		oneBack, oneFore bool
	}{
		{back: places(4, 3, 2), fore: places(6, 7, 8), oneBack: true, oneFore: true},
		{back: places(4, 2), fore: places(7, 6)},
		{back: places(1, 0), fore: places(199), oneBack: true, oneFore: true},
		{},
	} {
		m := wire.Registered{Back: slices.Clone(tt.back), Fore: slices.Clone(tt.fore)}
		w.shared.thin(w, &m)
		if !slices.Equal(m.Back, tt.back) || !slices.Equal(m.Fore, tt.fore) {
			t.Errorf("%v and %v have become %v and %v", tt.back, tt.fore, m.Back, m.Fore)
		}
		if inside(m.Back, w.shared.down) != tt.oneBack || inside(m.Fore, w.shared.up) != tt.oneFore {
			t.Errorf("%v and %v: shared %v and %v", tt.back, tt.fore, inside(m.Back, w.shared.down), inside(m.Fore, w.shared.up))
		}
	}
}

// inside reports whether a list lies in the memory of another.
func inside(list, all []endpoint.Place) bool {
	for i := range all {
		if len(list) > 0 && &all[i] == &list[0] {
			return true
		}
	}
	return false
}

// TestOpener: a right signature is checked once, a wrong one each time, and what
// was sealed for one purpose does not open for another.
func TestOpener(t *testing.T) {
	k := installation()
	o := &opener{ring: seal.NewRing(k.root.public), right: map[string]opened{}}
	sealed := seal.Sign(k.signing.private, seal.Question, []byte("payload"))
	open := func(p seal.Purpose, b []byte) error {
		_, err := o.Open(epoch, p, b)
		return err
	}
	if open(seal.Question, sealed) == nil {
		t.Error("a question opens before its key is known")
	}
	for range 3 {
		if err := o.Add(k.voucher); err != nil {
			t.Fatal(err)
		}
		if payload, err := o.Open(epoch, seal.Question, slices.Clone(sealed)); err != nil || string(payload) != "payload" {
			t.Fatalf("%q, %v", payload, err)
		}
	}
	if o.checked != 3 {
		t.Errorf("%d signatures were checked, want 3", o.checked)
	}
	if open(seal.Sensor, sealed) == nil {
		t.Error("a question opens as a sensor")
	}
	forged := slices.Clone(sealed)
	forged[len(forged)-1] ^= 1
	stranger := seal.Sign(ed25519.PrivateKey(k.stranger.private), seal.Question, []byte("payload"))
	for range 2 {
		if open(seal.Question, forged) == nil || open(seal.Question, stranger) == nil {
			t.Error("a forged question opens")
		}
	}
	if o.checked != 8 {
		t.Errorf("%d signatures were checked, want 8", o.checked)
	}
}
