package api

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/resultset"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/value"
)

const (
	// saidFor is how old an answer may be by which a machine is known to be in a
	// group: a day, so that those are seen that are asked every night.
	saidFor = 24 * time.Hour
	// saidAfresh is how often these answers are read from the database.
	saidAfresh = time.Minute
	// sightFor is for how long it is good which machines somebody sees: pages
	// that are read one after the other need not cost it each time.
	sightFor = time.Second
	// sightsMax bounds the different management rights, and the groups in them, and
	// sightSensors the sensors, of which is kept what is known: 100,000 machines
	// that say a word each take some ten megabytes.
	sightsMax    = 32
	sightSensors = 16
	sightKept    = 10 * time.Minute
)

// A sight is the registered machines that somebody sees.
type sight struct {
	clients []endpoint.Status // all there are
	limited bool
	rows    []int32                  // of those that he sees, if limited
	ids     map[endpoint.ID]struct{} // theirs, as neighbours; nil: he sees all
}

func (v sight) len() int {
	if v.limited {
		return len(v.rows)
	}
	return len(v.clients)
}

func (v sight) at(i int) *endpoint.Status {
	if v.limited {
		i = int(v.rows[i])
	}
	return &v.clients[i]
}

func (v sight) sees(id endpoint.ID) bool {
	_, ok := v.ids[id]
	return ok || v.ids == nil
}

// choose is the machines among those seen for which is reports true.
func (v sight) choose(is func(*endpoint.Status) bool) sight {
	out := sight{clients: v.clients, limited: true, ids: v.ids}
	for i := range v.len() {
		if !is(v.at(i)) {
			continue
		}
		row := int32(i)
		if v.limited {
			row = v.rows[i]
		}
		out.rows = append(out.rows, row)
	}
	return out
}

// sights know which machines are in the groups of somebody's management rights,
// as far as that can be known without asking them: from what a machine said when
// it registered, what it said when it was last asked whether it is in the group,
// and what it has said lately to saved questions whose answers are kept. What is
// not known for certain is not seen.
type sights struct {
	mu      sync.Mutex // guards the fields below
	judges  recent[scope, *judging]
	said    recent[string, *saidOf]
	members recent[int64, *membersOf]
}

// A judging is what it takes to be in some groups.
type judging struct {
	catalogue *sensor.Catalogue
	groups    uint64 // version of the groups from which it was made
	parts     []judged

	mu    sync.Mutex // guards the fields below; one at a time looks at all machines
	last  sight
	until time.Time
}

// saidOf is what machines have said lately of one sensor.
type saidOf struct {
	mu   sync.Mutex // guards the fields below
	read time.Time
	by   map[uint32]plan.Known // computer ID
}

func newSights() *sights {
	return &sights{judges: newRecent[scope, *judging](sightsMax, sightKept), said: newRecent[string, *saidOf](sightSensors, sightKept), members: newRecent[int64, *membersOf](sightsMax, sightKept)}
}

// sight is the machines that somebody with these rights sees now.
func (s *server) sight(ctx context.Context, r rights.Rights) (sight, error) {
	clients := s.engine.Clients(ctx)
	if s.seesAll(r) {
		return sight{clients: clients}, nil
	}
	none := sight{clients: clients, limited: true, ids: map[endpoint.ID]struct{}{}}
	now := time.Now()
	j := s.judging(now, r)
	if j == nil || len(clients) == 0 {
		return none, nil // of groups that cannot be read any more, too
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if before := j.last.clients; now.Before(j.until) && len(before) == len(clients) && &before[0] == &clients[0] {
		return j.last, nil
	}
	seen, err := s.within(ctx, now, j, clients)
	if err != nil {
		return none, err
	}
	j.last, j.until = seen, now.Add(sightFor)
	return seen, nil
}

// judging is what it takes to be within somebody's management rights; nil if
// nobody can say that.
func (s *server) judging(now time.Time, r rights.Rights) *judging {
	key, catalogue, groups := scopeOf(r, 0, func(int64) string { return "" }), s.engine.Catalogue(), s.shelves.Version("group")
	s.sights.mu.Lock()
	defer s.sights.mu.Unlock()
	j, ok := s.sights.judges.get(now, key)
	if !ok || j.catalogue != catalogue || j.groups != groups {
		j = &judging{catalogue: catalogue, groups: groups}
		for _, id := range r.Groups {
			g, err := s.judged(catalogue, id)
			if err != nil {
				return nil
			}
			j.parts = append(j.parts, g)
		}
	}
	s.sights.judges.set(now, key, j)
	return j
}

// unsent compiles a question that no machine gets to see.
func (s *server) unsent(q question.Question, c *sensor.Catalogue, opt plan.Options) (plan.Plan, error) {
	opt.Groups = s.groups
	opt.Definition = func(sensor.Sensor) []byte { return []byte("unsent") }
	return plan.Compile(q, c, opt)
}

// within looks at all machines.
func (s *server) within(ctx context.Context, now time.Time, j *judging, clients []endpoint.Status) (sight, error) {
	tests := make([]func(*endpoint.Status) bool, len(j.parts))
	for i, g := range j.parts {
		var err error
		if tests[i], err = s.isIn(ctx, now, j.catalogue, g); err != nil {
			return sight{}, err
		}
	}
	out := sight{clients: clients, limited: true, ids: map[endpoint.ID]struct{}{}}
	for i := range clients {
		m := &clients[i]
		if slices.ContainsFunc(tests, func(is func(*endpoint.Status) bool) bool { return is(m) }) {
			out.rows = append(out.rows, int32(i))
			out.ids[m.ID] = struct{}{}
		}
	}
	return out, nil
}

// tells returns what is known of a sensor on a machine.
func (s *server) tells(ctx context.Context, now time.Time, c *sensor.Catalogue, u plan.Use) (func(*endpoint.Status) plan.Known, error) {
	registered := atRegistrationOf(c, u)
	if registered(&endpoint.Status{}).Whole {
		return registered, nil
	}
	said, err := s.said(ctx, now, c, u)
	return func(m *endpoint.Status) plan.Known {
		if k, ok := said[m.ComputerID]; ok {
			return k
		}
		return registered(m)
	}, err
}

// atRegistrationOf returns what a machine has said of a sensor when it registered.
func atRegistrationOf(c *sensor.Catalogue, u plan.Use) func(*endpoint.Status) plan.Known {
	if d, ok := c.ByName(u.Name); ok && d.Native() && atRegistration[u.Name] != nil {
		return atRegistration[u.Name]
	}
	return func(*endpoint.Status) plan.Known { return plan.Known{} }
}

// atRegistration are the native sensors that a machine has answered, in whole or
// in part, when it registered.
var atRegistration = map[string]func(*endpoint.Status) plan.Known{
	"Computer Name":  func(m *endpoint.Status) plan.Known { return saysOnly(m.Name) },
	"Computer ID":    func(m *endpoint.Status) plan.Known { return saysOnly(strconv.FormatUint(uint64(m.ComputerID), 10)) },
	"Client Version": func(m *endpoint.Status) plan.Known { return saysOnly(m.Version) },
	"OS Platform":    func(m *endpoint.Status) plan.Known { return saysOnly(m.Platform) },
	"Is Linux":       isPlatform(sensor.Linux),
	"Is Windows":     isPlatform(sensor.Windows),
	"Is Mac":         isPlatform(sensor.Mac),
	"IP Address": func(m *endpoint.Status) plan.Known {
		k := saysOnly(m.Reported.Unmap().String())
		if k.Whole = false; m.Reported == (netip.Addr{}) {
			k.Rows = nil
		}
		return k
	},
}

func saysOnly(text string) plan.Known { return plan.Known{Rows: [][]string{{text}}, Whole: true} }

func isPlatform(p sensor.Platform) func(*endpoint.Status) plan.Known {
	yes, no := saysOnly("True"), saysOnly("False")
	return func(m *endpoint.Status) plan.Known {
		if m.Platform == string(p) {
			return yes
		}
		return no
	}
}

// said is what machines have said lately of a sensor, as it was read a moment ago
// or, if the database is away, earlier.
func (s *server) said(ctx context.Context, now time.Time, c *sensor.Catalogue, u plan.Use) (map[uint32]plan.Known, error) {
	key := strings.Join(append([]string{u.Name}, u.Params...), "\x00")
	s.sights.mu.Lock()
	of, ok := s.sights.said.get(now, key)
	if !ok {
		of = &saidOf{}
	}
	s.sights.said.set(now, key, of)
	s.sights.mu.Unlock()
	of.mu.Lock()
	defer of.mu.Unlock()
	if !of.read.IsZero() && now.Sub(of.read) < saidAfresh {
		return of.by, nil
	}
	by, err := s.readSaid(ctx, now, c, u)
	if err != nil {
		if of.read.IsZero() || now.Sub(of.read) >= saidFor {
			return nil, err
		}
		return of.by, nil
	}
	of.read, of.by = now, by
	return by, nil
}

// readSaid reads what machines have said lately of a sensor to saved questions
// that show it and whose answers are kept.
func (s *server) readSaid(ctx context.Context, now time.Time, c *sensor.Catalogue, u plan.Use) (map[uint32]plan.Known, error) {
	by, answered := map[uint32]plan.Known{}, map[uint32]time.Time{}
	for _, r := range s.shelves.All("saved_question") {
		p, ok := s.shows(r, c, u)
		if !ok {
			continue
		}
		list, err := s.store.LastAnswers(ctx, r.ID, resultset.Shape(p), now.Add(-saidFor))
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			if !a.Answered.After(answered[a.ComputerID]) {
				continue
			}
			cells := make([]answer.Cell, len(a.Cells))
			for i, cell := range a.Cells {
				cells[i] = cell
			}
			answered[a.ComputerID] = a.Answered
			delete(by, a.ComputerID) // what it said before does not hold any more
			if k, ok := p.Said(u.Name, u.Params, cells); ok {
				by[a.ComputerID] = k
			}
		}
	}
	return by, nil
}

// shows returns the plan of a saved question, if its answers are kept and may
// tell of a sensor.
func (s *server) shows(r *shelf.Record, c *sensor.Catalogue, u plan.Use) (plan.Plan, bool) {
	text := r.Object.Text("query_text")
	if !r.Object.Is("archive_enabled_flag") || !strings.Contains(value.Fold(text), value.Fold(u.Name)) {
		return plan.Plan{}, false
	}
	q, err := question.Parse(text, c, s.groups)
	if err != nil {
		return plan.Plan{}, false // it cannot be asked any more
	}
	p, err := s.unsent(q, c, plan.Options{ComputerID: true})
	return p, err == nil
}
