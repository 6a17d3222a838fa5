package sim

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// A Family is a kind of story that a seed tells.
type Family uint8

const (
	Storm     Family = iota // ten minutes of a few LANs: [Run]
	Trial                   // one chain, and bad luck around a question: [RunTrial]
	Byzantine               // a few LANs in which some machines lie: [RunByzantine]
	Herd                    // one LAN on one processor that loses all its links: [RunHerd]
)

func (f Family) String() string { return [...]string{"seed", "trial", "byzantine seed", "herd"}[f] }

// Replay is how to see a story again.
func (f Family) Replay(seed uint64, c Control) string {
	which := [...]string{"--seed", "--trial", "--byzantine --seed", "--herd"}[f]
	command := fmt.Sprintf("catenary sim %s %d", which, seed)
	if c != (Control{}) {
		command += " --control " + c.String()
	}
	name := [...]string{"seed", "trial", "byzantine", "herd"}[f]
	return fmt.Sprintf("replay with: %s\ndraw with:   %s --svg %s-%d.svg", command, command, name, seed)
}

// Seeds are which stories of a family are played.
type Seeds struct {
	First, Count uint64
	Workers      int            // stories at a time
	Progress     func(Progress) // is told now and then how far they are; nil: nobody is
}

// Progress is how far seeds are.
type Progress struct {
	Done, Of uint64
	Wall     time.Duration
}

func (p Progress) String() string {
	left := time.Duration(float64(p.Wall) / float64(p.Done) * float64(p.Of-p.Done))
	return fmt.Sprintf("%d of %d played in %v, about %v to go", p.Done, p.Of, p.Wall.Round(time.Second), left.Round(time.Second))
}

const (
	// While worlds are small and soon gone, collecting what is left of them
	// takes a third of the time; so it is left until there is much.
	seedsGarbage = 1600 // per cent of what is in use
	seedsMemory  = 1 << 30
)

// each plays the stories, several at a time, until one returns an error or ctx
// ends. What play shares it must guard.
func (s Seeds) each(ctx context.Context, play func(seed uint64) error) error {
	defer debug.SetGCPercent(debug.SetGCPercent(seedsGarbage))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(seedsMemory))
	var (
		mu         sync.Mutex // guards the variables below
		next, done uint64
		failed     error
		began      = time.Now()
		told       = began
	)
	take := func() (seed uint64, some bool) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil || next == s.Count || ctx.Err() != nil {
			return 0, false
		}
		next++
		return s.First + next - 1, true
	}
	finish := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if done++; failed == nil {
			failed = err
		}
		if s.Progress != nil && time.Since(told) >= stageEvery && done < s.Count {
			told = time.Now()
			s.Progress(Progress{done, s.Count, told.Sub(began)})
		}
	}
	var all sync.WaitGroup
	for range max(s.Workers, 1) {
		all.Go(func() {
			for seed, some := take(); some; seed, some = take() {
				finish(play(seed))
			}
		})
	}
	all.Wait()
	if failed != nil {
		return failed
	}
	return ctx.Err()
}

// Storms plays storms. The error says how to see the one that broke a law.
func (s Seeds) Storms(ctx context.Context) (StormsReport, error) {
	var mu sync.Mutex // guards sum
	var sum StormsReport
	began := time.Now()
	err := s.each(ctx, func(seed uint64) error {
		rep, err := Run(seed, Options{})
		mu.Lock()
		defer mu.Unlock()
		sum.add(rep)
		return seen(err, Storm, seed, Control{})
	})
	sum.Wall = time.Since(began)
	return sum, err
}

// seen adds to an error how to see it again.
func seen(err error, f Family, seed uint64, c Control) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w\n%s", err, f.Replay(seed, c))
}

// A StormsReport is what happened in many storms.
type StormsReport struct {
	Seeds  int
	Wall   time.Duration
	Sum    Report        // Closed is the longest
	Healed time.Duration // the longest that chains took to stand in order
}

func (r *StormsReport) add(x Report) {
	r.Seeds++
	s := &r.Sum
	s.Machines += x.Machines
	s.LANs += x.LANs
	s.Events += x.Events
	s.Faults += x.Faults
	s.Virtual += x.Virtual
	s.Questions += x.Questions
	s.Answers += x.Answers
	s.Frames += x.Frames
	s.Bytes += x.Bytes
	s.Closed = max(s.Closed, x.Closed)
	r.Healed = max(r.Healed, x.Healed)
}

func (r StormsReport) String() string {
	s := r.Sum
	return fmt.Sprintf(`%d seeds with %d machines in %d LANs, %v of chain life, %d events and %d faults (%v)
questions            %d, with %d answers, each counted once
chains in order      %v after the last fault at the latest; closed %v after a crash in calm weather`,
		r.Seeds, s.Machines, s.LANs, s.Virtual.Round(time.Minute), s.Events, s.Faults, r.Wall.Round(time.Second),
		s.Questions, s.Answers, r.Healed.Round(time.Millisecond), s.Closed.Round(time.Millisecond))
}
