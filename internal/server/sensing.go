package server

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/plan"
	"catenary/internal/seal"
	"catenary/internal/sensor"
	"catenary/internal/server/setting"
	"catenary/internal/server/store"
	"catenary/internal/wire"
)

const (
	// statsEvery is how often statistics of sensors are written behind.
	statsEvery = time.Minute
	// statsMax bounds the sensors of which statistics are kept: more than any
	// installation has.
	statsMax = 20_000
	// runsBelieved bounds the runs that one registration counts for: a machine
	// that says more has counted wrongly, or lies.
	runsBelieved = 10_000
	// quarantinedShown bounds the machines that are named for a sensor.
	quarantinedShown = 100

	rulesSetting = "sensor_rules" // of the store: the rules as clients have them
)

// sensing is what the server knows of how sensors run on its clients.
type sensing struct {
	mu    sync.Mutex // guards the fields below
	stats map[uint32]store.SensorStat
	dirty map[uint32]bool
	wrote time.Time

	change sync.Mutex // one change of the rules at a time
	rules  atomic.Pointer[signedRules]
}

// signedRules are rules as clients get them.
type signedRules struct {
	sensor.Rules
	sealed []byte
}

// loadSensing reads what the database has.
func (s *Server) loadSensing(ctx context.Context) error {
	list, err := s.store.SensorStats(ctx)
	if err != nil {
		return err
	}
	s.sensing.stats, s.sensing.dirty = map[uint32]store.SensorStat{}, map[uint32]bool{}
	for _, x := range list {
		s.sensing.stats[x.Hash] = x
	}
	text, err := s.store.Setting(ctx, rulesSetting)
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	var rules sensor.Rules
	if err == nil {
		err = json.Unmarshal([]byte(text), &rules)
	}
	if err != nil {
		return fault.New(fault.Internal, "rules of sensors in the database: %w", err)
	}
	s.sensing.rules.Store(s.signed(rules))
	return nil
}

// current are the rules as they are; those that clients go by anyway, if nobody
// has changed them yet.
func (s *sensing) current() signedRules {
	if r := s.rules.Load(); r != nil {
		return *r
	}
	return signedRules{Rules: sensor.DefaultRules}
}

func (s *Server) signed(r sensor.Rules) *signedRules {
	return &signedRules{r, s.keys.Sign(seal.Rules, r.Append(nil))}
}

// ---- how long sensors run ----

// sensed takes in what a registration says of sensors' run times. Of sensors
// that nobody knows nothing is kept.
func (s *Server) sensed(runs []wire.Run) {
	if len(runs) == 0 {
		return
	}
	catalogue := s.Catalogue()
	s.sensing.mu.Lock()
	defer s.sensing.mu.Unlock()
	for _, r := range runs {
		d, known := catalogue.ByHash(r.Sensor)
		if !known || r.Count > runsBelieved {
			continue
		}
		x, had := s.sensing.stats[r.Sensor]
		if !had && len(s.sensing.stats) >= statsMax {
			continue
		}
		if x.Name != d.Name {
			x = store.SensorStat{Hash: r.Sensor, Name: d.Name}
		}
		add(&x, r)
		s.sensing.stats[r.Sensor], s.sensing.dirty[r.Sensor] = x, true
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func add(x *store.SensorStat, r wire.Run) {
	spend := func(s *store.Spread, more wire.Spent) {
		s.Sum, s.Squares = s.Sum+milliseconds(more.Sum), s.Squares+float64(more.Squares)
	}
	if x.Count == 0 || milliseconds(r.Min) < x.Min {
		x.Min = milliseconds(r.Min)
	}
	x.Max = max(x.Max, milliseconds(r.Max))
	x.Count, x.Measured = x.Count+r.Count, x.Measured+r.Measured
	spend(&x.Real, r.Real)
	spend(&x.User, r.User)
	spend(&x.Sys, r.System)
}

// SensorStats are how long sensors have run on all machines, by name.
func (s *Server) SensorStats() []store.SensorStat {
	s.sensing.mu.Lock()
	defer s.sensing.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.sensing.stats), func(a, b store.SensorStat) int { return cmp.Compare(a.Name, b.Name) })
}

// Runtimes are how long sensors run, by name, for estimates of questions.
func (s *Server) Runtimes() map[string]plan.Runtime {
	out := map[string]plan.Runtime{}
	for _, x := range s.SensorStats() {
		if x.Count == 0 {
			continue // only its answers are known
		}
		ms := func(n float64) time.Duration { return time.Duration(math.Round(n * float64(time.Millisecond))) }
		out[x.Name] = plan.Runtime{Average: ms(x.Real.Sum / float64(x.Count)), Max: ms(x.Max)}
	}
	return out
}

// writeStats hands what has changed to the writer.
func (h *hub) writeStats(now time.Time) {
	s := &h.sensing
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.dirty) == 0 || now.Sub(s.wrote) < statsEvery {
		return
	}
	if h.writeBehind(func() writing { return writing{stats: s.changed()} }) {
		clear(s.dirty)
		s.wrote = now
	}
}

func (s *sensing) changed() []store.SensorStat {
	out := make([]store.SensorStat, 0, len(s.dirty))
	for hash := range s.dirty {
		out = append(out, s.stats[hash])
	}
	return out
}

// lastStats are those that are not written down when the server stops.
func (h *hub) lastStats() []store.SensorStat {
	h.sensing.mu.Lock()
	defer h.sensing.mu.Unlock()
	return h.sensing.changed()
}

// ---- which sensors are not run ----

// rulesFor are the rules that a client is to hear, if it holds older ones.
func (s *Server) rulesFor(held uint64) []byte {
	if r := s.sensing.current(); r.Number > held {
		return r.sealed
	}
	return nil
}

// Quarantine returns the sensors that some machines do not run, those of the
// most machines first: of the machines that sees reports; nil: of all.
func (s *Server) Quarantine(ctx context.Context, sees func(endpoint.ID) bool) ([]store.Quarantined, error) {
	found := map[uint32]*store.Quarantined{}
	released := map[uint32]uint64{}
	for _, r := range s.sensing.current().Released {
		released[r.Sensor] = r.Number
	}
	if err := s.do(ctx, func(h *hub) {
		for id, c := range h.clients {
			if len(c.quarantined) == 0 || sees != nil && !sees(id) {
				continue
			}
			for _, hash := range c.quarantined {
				q := found[hash]
				if q == nil {
					q = &store.Quarantined{Hash: hash, Releasing: true}
					found[hash] = q
				}
				if q.Machines++; len(q.Some) < quarantinedShown {
					q.Some = append(q.Some, store.Machine{Client: c.status.ID, ComputerID: c.status.ComputerID, Name: c.status.Name})
				}
				q.Releasing = q.Releasing && released[hash] > c.rules
			}
		}
	}); err != nil {
		return nil, err
	}
	catalogue := s.Catalogue()
	out := make([]store.Quarantined, 0, len(found))
	for _, q := range found {
		if d, ok := catalogue.ByHash(q.Hash); ok {
			q.Name = d.Name
		}
		slices.SortFunc(q.Some, func(a, b store.Machine) int { return cmp.Compare(a.Name, b.Name) })
		out = append(out, *q)
	}
	slices.SortFunc(out, func(a, b store.Quarantined) int {
		return cmp.Or(cmp.Compare(b.Machines, a.Machines), cmp.Compare(a.Hash, b.Hash))
	})
	return out, nil
}

// ReleaseSensor lets all machines run a sensor again. Each hears of it with its
// next registration.
func (s *Server) ReleaseSensor(ctx context.Context, hash uint32) error {
	return s.changeRules(ctx, func(r sensor.Rules) sensor.Rules { return r.Release(hash, uint64(time.Now().UnixMilli())) })
}

// changeRules keeps changed rules and lets clients hear of them.
func (s *Server) changeRules(ctx context.Context, change func(sensor.Rules) sensor.Rules) error {
	s.sensing.change.Lock()
	defer s.sensing.change.Unlock()
	r := change(s.sensing.current().Rules)
	if err := r.Check(); err != nil {
		return fault.New(fault.Invalid, "%w", err)
	}
	text, err := json.Marshal(r)
	if err == nil {
		err = s.store.SetSetting(ctx, rulesSetting, string(text))
	}
	if err == nil {
		s.sensing.rules.Store(s.signed(r))
	}
	return err
}

// wanted are the rules that the settings ask for, with what else r says.
func (s *Server) wanted(r sensor.Rules) sensor.Rules {
	number := func(name string) int64 {
		known, _ := setting.Find(name)
		text := known.Default
		if rec := s.shelves.ByName(setting.Kind, name); rec != nil {
			text = setting.Value(rec.Object)
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0 // the table has a default for each number
		}
		return n
	}
	r.Off = number(setting.Quarantine) == 0
	r.Overruns = int(number(setting.QuarantineOverruns))
	r.After = time.Duration(number(setting.QuarantineSeconds)) * time.Second
	return r
}

// followSettings keeps the rules as the settings want them, until ctx ends.
func (s *Server) followSettings(ctx context.Context) {
	look := time.NewTicker(settingsEvery)
	defer look.Stop()
	for {
		now := s.sensing.current().Rules
		if w := s.wanted(now); w.Off != now.Off || w.Overruns != now.Overruns || w.After != now.After {
			err := s.changeRules(ctx, func(r sensor.Rules) sensor.Rules {
				r = s.wanted(r)
				r.Number = max(r.Number+1, uint64(time.Now().UnixMilli()))
				return r
			})
			if err != nil && ctx.Err() == nil {
				s.log.Warn("the rules for slow sensors are not changed; trying again", "because", err)
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// settingsEvery is how often settings are looked at. A client hears of new rules
// half a minute later at the earliest.
const settingsEvery = 2 * time.Second
