// Package sim is the world: machines that are real [node.Node]s, a server made of
// the real roster and tally, the network between them with its faults, and
// checkers that look on after every step. Time is virtual and all chance comes
// from one seed, so that a seed is a story that can be told again. One goroutine
// plays a world; only the LANs of a large one are played by several (see sites).
//
// The machines' hosts are deliberately dumb. They keep the connections that
// they were told to keep and nothing else; whatever goes right, the nodes did.
// Every message goes through package wire, there and back.
package sim

import (
	"fmt"
	"io"
	"runtime/debug"
	"time"
)

// Options say how a run is watched.
type Options struct {
	Trace io.Writer // gets one line of text for each event and effect; nil for none
	// From and Until bound what is traced, in virtual time; Until 0 is no bound.
	From, Until time.Duration
	History     *History // is kept for a picture; nil: none is
}

// A Report is what happened in a run.
type Report struct {
	Seed      uint64
	Machines  int
	LANs      int
	Events    int           // steps of all nodes
	Faults    int           // crashes, cuts, walls, …
	Virtual   time.Duration // how long it took in the simulated world
	Questions int
	Answers   int           // machines counted, over all questions
	Frames    int           // messages on all connections
	Bytes     int64         // … and their size
	Closed    time.Duration // longest time in which a chain closed again after a crash in its middle
	Healed    time.Duration // longest time in which all chains stood in order after bad luck
	Hash      uint64        // of everything that happened
}

const (
	bootTime  = time.Minute     // within which the machines start
	stormTime = 4 * time.Minute // of faults of every kind
	roughTime = time.Minute     // of faults that nobody's answer may be lost by

	// healTime is how long the chains may take to stand in order when all bad luck
	// is over. Who could not be reached is left alone for 2 minutes at the most, by
	// its neighbours and by the server's lists, and the next registration comes
	// within 90 s. Half of all seeds stand at once, and nine in ten within half a
	// minute.
	healTime = 2*time.Minute + 90*time.Second
	// countedMax is how long a machine may take to be counted that is up and
	// within reach (I2). The server waits for who has said that it computes until
	// 5 s after the sensor's time, 60 s; asks four times in 12 s; and then directly
	// at the next registration, within 90 s.
	countedMax = 65*time.Second + 12*time.Second + 90*time.Second + 13*time.Second
	// answerTime is how long an ordinary question may take, sensors included.
	answerTime = 40 * time.Second
	// boxTime is how long one may take that wants boxes: a machine whose key has
	// ended computes its answer twice, 15 s each, with up to 10 s until it comes
	// for a new one, and says it at the next grid point, which may be as far away
	// again.
	boxTime = 2 * (15 + 10 + 15) * time.Second
	// closeMax is how long a chain may stay open after a crash in calm weather: a
	// reset, a dial that is refused with the name of who stands nearer, and one to
	// that one, at 50 ms for each way, six of them for a dial, and 30 ms for each end.
	closeMax = 800 * time.Millisecond
)

// Run plays the story of a seed: a storm, after which the chains must stand
// again; a rough phase, in which no answer may be lost; a crash in calm weather,
// after which the chain must close at once; in some, a machine that cannot
// register and a server that starts anew. The error names the first law that
// was broken.
func Run(seed uint64, opt Options) (rep Report, err error) {
	w := newWorld(seed, nil)
	w.watch(Storm, opt)
	defer w.survive(&err)
	w.drawWeather()
	w.story()
	return w.report(), w.err
}

// watch lets somebody look on.
func (w *world) watch(f Family, opt Options) {
	w.called, w.trace, w.traced, w.history = f.String(), opt.Trace, [2]time.Duration{opt.From, opt.Until}, opt.History
	w.history.begins(0, nil)
}

// survive turns a panic into the error of the story, deferred: a node may panic
// only by a bug, and the seed must not be lost with it.
func (w *world) survive(err *error) {
	if p := recover(); p != nil {
		w.fail("panic: %v\n%s", p, debug.Stack())
		*err = w.err
	}
	w.history.end(w)
}

func (w *world) story() {
	w.boot(bootTime)
	w.storm(bootTime + stormTime)
	w.clear()
	w.ensureOne()
	w.heal(healTime)
	w.settle()
	w.askAndCheck()

	w.rough(roughTime)
	w.clear()
	w.heal(healTime)
	w.settle()
	w.checkRough()
	w.checkHealed()

	w.weather.calm()
	w.disperse()
	w.run(time.Minute) // whoever was slow catches up
	w.calm = true
	w.crashInTheMiddle()
	w.askAndCheck()
	if w.oneIn(3) {
		w.stranger()
	}
	if w.oneIn(3) {
		w.afterRestart()
	}
	w.checkAll()
}

func (w *world) report() Report {
	r := Report{
		Seed: w.seed, Machines: len(w.hosts), LANs: w.lans, Events: w.events, Faults: w.faults,
		Virtual: w.now, Questions: len(w.server.asked),
		Closed: w.closed, Hash: uint64(w.hash),
	}
	for _, d := range w.healed {
		r.Healed = max(r.Healed, d)
	}
	for _, t := range w.traffic {
		r.Frames += t.frames
		r.Bytes += t.bytes
	}
	for _, q := range w.server.asked {
		r.Answers += q.tally.Progress().Answered
	}
	return r
}

// fail notes the first law that was broken, and ends the story.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("%s %d after %v: %w", w.called, w.seed, w.now, fmt.Errorf(format, args...))
		w.say(nil, "!!", w.err)
	}
}
