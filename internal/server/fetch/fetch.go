// Package fetch brings files from their sources into the depot: those which
// packages name by an address instead of having been uploaded.
//
// A [Fetcher] looks at what is wanted, fetches a few files at a time, checks
// what it gets, and tries again later what has failed. Where it may look is
// decided for every address anew, also for those that it is sent on to, and
// again for the machine behind a name when it is dialled. What a file is for,
// and where it is noted down, is its caller's business.
package fetch

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"

	"catenary/internal/server/depot"
)

// Limits are what a fetch may take.
type Limits struct {
	Files  int           // fetched at once
	Bytes  int64         // of one file
	Head   time.Duration // until a source begins to answer
	Idle   time.Duration // without a byte
	Whole  time.Duration // for one file
	Hops   int           // addresses that one is sent on to
	First  time.Duration // until a fetch that failed is tried again; twice as long each time
	Most   time.Duration // and never more than this
	Listed time.Duration // between two looks at what is wanted, unless told to look
}

// Defaults leave other uses of the server's line and disk alone.
var Defaults = Limits{
	Files: 4, Bytes: depot.FileMax, Head: 30 * time.Second, Idle: time.Minute, Whole: 6 * time.Hour, Hops: 5,
	First: 15 * time.Second, Most: time.Hour, Listed: time.Minute,
}

// retryAfterMax bounds how long a source may tell to stay away.
const retryAfterMax = 24 * time.Hour

// A File is what is wanted.
type File struct {
	ID     int64 // tells it from others
	Source string
	// Hash is what the file must have; empty: whatever the source has. If Learned,
	// it is what the source had, and may have changed.
	Hash    depot.Hash
	Learned bool
	Size    int64         // in bytes, if Hash must be and somebody knows
	Every   time.Duration // until a Learned one is looked at again; 0: never
}

// same reports whether f wants what g did, whatever was learned between.
func (f File) same(g File) bool {
	return f.Source == g.Source && (f.Hash == g.Hash || f.Learned && (g.Learned || g.Hash == ""))
}

// A Config is where files come from and go to.
type Config struct {
	Depot *depot.Depot
	Files func() []File // all that are wanted now
	// Allowed are the patterns of addresses that may be used; none: any may.
	Allowed func() []string
	// Ways are how sources are reached now; nil: directly, as nobody.
	Ways func() Ways
	// Fetched notes what a source has, of files that want whatever it has.
	Fetched func(ctx context.Context, f File, h depot.Hash, size int64) error
	Log     *slog.Logger
	Limits  Limits
	Roots   *x509.CertPool // of sources' certificates; nil: the system's
}

// A State is what has become of a file.
type State struct {
	Busy       bool
	Status     int    // 0: nothing to tell; see the constants
	Failure    string // why the last try has failed; empty: it has not
	Downloaded int64
	Total      int64 // 0: the source does not tell
	Started    time.Time
	Progress   time.Time // when the last byte came
	Next       time.Time // when it is tried again; zero: it is not
}

// A Fetcher fetches files. Its methods may be called from any goroutine.
type Fetcher struct {
	cfg    Config
	looks  chan struct{} // a look is wanted
	worker sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	jobs     map[int64]*job
	busy     int
	patterns []string // of allowed addresses, as of the last look
}

// A job is one file. The Fetcher's mutex guards it.
type job struct {
	file     File
	state    State
	failures int
	retry    time.Time // when to try again after a failure
	looked   time.Time // when the source was last found to have what is here
	again    bool      // look at the source though the file is here
	stop     context.CancelFunc
	version  version
}

// New makes a Fetcher. It fetches nothing until Run.
func New(cfg Config) *Fetcher {
	if cfg.Limits == (Limits{}) {
		cfg.Limits = Defaults
	}
	if cfg.Ways == nil {
		cfg.Ways = func() Ways { return Ways{} }
	}
	return &Fetcher{cfg: cfg, looks: make(chan struct{}, 1), jobs: map[int64]*job{}}
}

// Look says that something else may be wanted now, or allowed.
func (f *Fetcher) Look() {
	select {
	case f.looks <- struct{}{}:
	default: // it will be looked
	}
}

// Anew says that sources may be reached in other ways now: what has failed is
// tried again.
func (f *Fetcher) Anew() {
	f.mu.Lock()
	for _, j := range f.jobs {
		j.retry = time.Time{}
	}
	f.mu.Unlock()
	f.Look()
}

// Again fetches a file now, or looks whether its source has another.
func (f *Fetcher) Again(id int64) {
	f.mu.Lock()
	if j := f.jobs[id]; j != nil {
		j.again = true
	} else {
		f.jobs[id] = &job{again: true}
	}
	f.mu.Unlock()
	f.Look()
}

// State is what has become of a file; the zero State if nothing has yet.
func (f *Fetcher) State(id int64) State {
	f.mu.Lock()
	defer f.mu.Unlock()
	if j := f.jobs[id]; j != nil {
		return j.state
	}
	return State{}
}

// Run fetches until ctx ends. When it returns, every fetch has ended.
func (f *Fetcher) Run(ctx context.Context) error {
	defer f.worker.Wait()
	for {
		wait := time.NewTimer(f.start(ctx, time.Now()))
		select {
		case <-wait.C:
		case <-f.looks:
		case <-ctx.Done():
			return nil
		}
		wait.Stop()
	}
}

// start begins what is due, as far as there are places, and returns after how
// long there is more to do.
func (f *Fetcher) start(ctx context.Context, now time.Time) time.Duration {
	files := f.cfg.Files()
	patterns := f.cfg.Allowed()
	rules, ways := rulesOf(patterns), f.cfg.Ways()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle(files)
	if !slices.Equal(patterns, f.patterns) {
		f.patterns = patterns
		for _, j := range f.jobs {
			if j.state.Status == NotAllowed {
				j.retry = time.Time{}
			}
		}
	}
	wait := f.cfg.Limits.Listed
	for _, file := range files {
		j := f.jobs[file.ID]
		due, wanted := j.due(f.cfg.Depot)
		if j.state.Busy || !wanted {
			continue
		}
		if d := due.Sub(now); d > 0 {
			wait = min(wait, d)
			continue
		}
		if f.busy == f.cfg.Limits.Files {
			continue // the next that ends looks again
		}
		f.begin(ctx, j, rules, ways, now)
	}
	return wait
}

// settle makes the jobs those of the files that are wanted now.
func (f *Fetcher) settle(files []File) {
	wanted := make(map[int64]bool, len(files))
	for _, file := range files {
		wanted[file.ID] = true
		j := f.jobs[file.ID]
		if j == nil || j.file.ID == 0 || !file.same(j.file) {
			was := j
			j = &job{again: was != nil && was.again}
			f.jobs[file.ID] = j
			if was != nil && was.stop != nil {
				was.stop() // its end finds another in its place
			}
		}
		j.file = file
	}
	for id, j := range f.jobs {
		if !wanted[id] {
			if j.stop != nil {
				j.stop()
			}
			delete(f.jobs, id)
		}
	}
}

// due is when to fetch; wanted is false if there is nothing to.
func (j *job) due(d *depot.Depot) (at time.Time, wanted bool) {
	came, here := d.Came(j.file.Hash)
	switch {
	case here && !j.file.Learned, here && j.file.Every == 0 && !j.again:
		return at, false
	case j.again:
		return at, true
	case j.failures > 0:
		return j.retry, true
	case !here:
		return at, true
	case j.looked.After(came):
		came = j.looked
	}
	return came.Add(j.file.Every), true
}

func (f *Fetcher) begin(ctx context.Context, j *job, rules rules, ways Ways, now time.Time) {
	f.busy++
	ctx, stop := context.WithTimeoutCause(ctx, f.cfg.Limits.Whole, errSlow)
	j.stop = stop
	j.state = State{Busy: true, Status: Waiting, Started: now}
	j.again = false
	file, had := j.file, j.version
	f.worker.Go(func() {
		defer stop()
		t := &try{f: f, job: j, rules: rules, ways: ways, had: had}
		if _, here := f.cfg.Depot.Has(file.Hash); !here {
			t.had = version{}
		}
		got, err := t.fetch(ctx, file)
		f.end(ctx, j, file, got, err)
	})
}

// end notes what has come of a fetch.
func (f *Fetcher) end(ctx context.Context, j *job, file File, got found, err error) {
	if err == nil && !got.unchanged && (file.Hash == "" || file.Learned && got.hash != file.Hash) {
		err = f.cfg.Fetched(ctx, file, got.hash, got.size)
	}
	stopped := ctx.Err() != nil && context.Cause(ctx) == context.Canceled
	log := f.cfg.Log.With("file", file.ID, "source", redacted(file.Source))
	f.mu.Lock()
	f.busy--
	current := f.jobs[file.ID] == j
	now := time.Now()
	j.stop, j.state.Busy = nil, false
	if err == nil {
		j.failures, j.version, j.looked = 0, got.version, now
		j.state.Status, j.state.Failure, j.state.Next = OK, "", time.Time{}
	} else {
		why := failureOf(err)
		j.state.Status, j.state.Failure = why.status, why.Error()
		j.retry = now.Add(max(f.pause(j.failures), min(why.after, retryAfterMax)))
		j.state.Next = j.retry
		j.failures++
	}
	failures := j.failures
	f.mu.Unlock()
	f.Look()
	switch {
	case stopped || !current: // nobody wants it any more
	case err == nil && !got.unchanged:
		log.InfoContext(ctx, "file fetched", "bytes", got.size, "hash", got.hash)
	case err != nil && failures == 1: // the state tells of the others
		log.WarnContext(ctx, "file not fetched; trying again", "because", err)
	}
}

// pause is how long to wait after so many failures, spread so that what failed
// together is not tried together.
func (f *Fetcher) pause(failures int) time.Duration {
	most := f.cfg.Limits.Most
	wait := f.cfg.Limits.First
	for range min(failures, 30) {
		wait = min(2*wait, most)
	}
	return wait + rand.N(wait/4+1)
}

// redacted is an address without the password that may be in it.
func redacted(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return cmp.Or(source, "-") // packages have none that cannot be read
	}
	return u.Redacted()
}
