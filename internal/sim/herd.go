package sim

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// A herd is machines that share a processor, as virtual desktops do, each of whose
	// handshakes takes so long on both sides. What all of them make when nobody
	// knows who lives would take longer than anybody waits for it.
	herdLeast, herdMost        = 60, 120
	herdTakesMin, herdTakesMax = 20 * time.Millisecond, 40 * time.Millisecond
	// herdMax is how long a herd may take to stand in order again. A dial to each
	// neighbour keeps the processor busy for 10 s, and those beside them, which come
	// 1, 2, 4 s later, for as long again each.
	herdMax = 90 * time.Second
	// herdNever is when it is clear that a herd under a control never will.
	herdNever = 3 * time.Minute
)

// A HerdReport is what became of a herd.
type HerdReport struct {
	Seed     uint64
	Machines int
	Events   int
	Formed   time.Duration // until the machines stood in order after their start
	Took     time.Duration // and after all links had broken
	Stands   bool
	Dialled  int // links, since then
	Hash     uint64
}

// RunHerd plays the story of a herd: the machines of one LAN, all on one processor,
// form a chain; all their links break in one moment; and they must stand in order
// soon, and be counted. Under a control it is only told whether they do.
func RunHerd(seed uint64, c Control, opt Options) (rep HerdReport, err error) {
	w := newWorld(seed, nil)
	w.watch(Herd, opt)
	defer w.survive(&err)
	w.lans = 1
	w.addLANs(herdLeast+w.rng.IntN(herdMost-herdLeast+1), scaleMax)
	w.hire()
	w.startWithin(formSpread)
	w.untilWhole()
	w.run(formSettle)
	rep = HerdReport{Seed: seed, Machines: len(w.hosts), Formed: w.now - formSettle}

	w.control, w.dialled = c, 0
	w.crowd(w.between(herdTakesMin, herdTakesMax))
	w.stampede(w.hosts[0], herdNever)
	from, most := w.now, herdMax
	if c != (Control{}) {
		most = herdNever
	}
	rep.Stands = w.runUntil(from+most, func() bool { return w.now > from+time.Second && !w.disordered() })
	rep.Took, rep.Dialled = w.now-from, w.dialled
	if c == (Control{}) {
		w.checkHealed()
		w.restored, w.cleared = w.now, w.now
		w.askAndCheck()
		w.checkAll()
	}
	rep.Events, rep.Hash = w.events, uint64(w.hash)
	return rep, w.err
}

// Herds plays herds. It ends with the first that breaks a law; under a control, they
// are only watched.
func (s Seeds) Herds(ctx context.Context, c Control) (HerdsReport, error) {
	var mu sync.Mutex // guards sum
	sum := HerdsReport{Control: c}
	began := time.Now()
	err := s.each(ctx, func(seed uint64) error {
		rep, err := RunHerd(seed, c, Options{})
		mu.Lock()
		defer mu.Unlock()
		sum.add(rep)
		return seen(err, Herd, seed, c)
	})
	sum.Wall = time.Since(began)
	return sum, err
}

// A HerdsReport is what became of many herds.
type HerdsReport struct {
	Control  Control
	Herds    int
	Standing int // those that stood in order in the end
	Machines int
	Dialled  int
	Longest  time.Duration // of the herds that stood
	Wall     time.Duration
}

func (r *HerdsReport) add(x HerdReport) {
	r.Herds++
	r.Machines += x.Machines
	r.Dialled += x.Dialled
	if x.Stands {
		r.Standing++
		r.Longest = max(r.Longest, x.Took)
	}
}

func (r HerdsReport) String() string {
	text := fmt.Sprintf(`%d herds with %d machines, all of whose links broke at once (%v)
in order again       %d, after %v at the latest
dials                %.1f for each machine`,
		r.Herds, r.Machines, r.Wall.Round(time.Second), r.Standing, r.Longest.Round(time.Millisecond),
		float64(r.Dialled)/float64(max(1, r.Machines)))
	if r.Control != (Control{}) {
		text = fmt.Sprintf("control: %v\n%s", r.Control, text)
	}
	return text
}
