package api

import (
	"context"
	"sync"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/plan"
	"catenary/internal/sensor"
	"catenary/internal/server/store"
)

// judged is what it takes to be in one group of management rights.
type judged struct {
	meaning
	judge plan.Judge
	good  time.Duration // for how long a machine is believed that it is in the group
}

// judged readies a group.
func (s *server) judged(catalogue *sensor.Catalogue, group int64) (judged, error) {
	m, err := s.meaningOf(catalogue, group)
	if err != nil {
		return judged{}, err
	}
	g := judged{meaning: m, good: saidFor}
	if r := s.shelves.ByID("group", group); r != nil {
		g.good = max(g.good, 2*trackEvery(r.Object)) // once it may have been off when it was asked
	}
	g.judge, err = m.plan.Judge()
	return g, err
}

// isIn returns whether machines are in a group for certain. Of one that is
// tracked, what a machine says when it registers decides, if it can, since it is
// the newest; and else what it said when it was last asked for the group. What it
// has said to saved questions may be older than that, and does not matter then.
func (s *server) isIn(ctx context.Context, now time.Time, c *sensor.Catalogue, g judged) (func(*endpoint.Status) bool, error) {
	var said map[uint32]int64
	if !g.evident {
		tracking, by, err := s.groupMembers(ctx, now, g.group)
		if err != nil {
			return nil, err
		}
		if tracking.Meaning == g.mark {
			said = by
		}
	}
	tells := make([]func(*endpoint.Status) plan.Known, len(g.plan.Sensors))
	for _, use := range g.plan.WhereUses() {
		tells[use] = atRegistrationOf(c, g.plan.Sensors[use])
		if said == nil {
			var err error
			if tells[use], err = s.tells(ctx, now, c, g.plan.Sensors[use]); err != nil {
				return nil, err
			}
		}
	}
	var of *endpoint.Status
	known := func(use int) plan.Known { return tells[use](of) }
	since := now.Add(-g.good).Unix()
	return func(m *endpoint.Status) bool {
		of = m
		if g.judge.Within(known) {
			return true
		}
		answered, ok := said[m.ComputerID]
		return ok && answered >= since && !g.judge.Outside(known)
	}, nil
}

// membersOf is what is known of the machines of a group.
type membersOf struct {
	mu       sync.Mutex // guards the fields below
	read     time.Time
	tracking store.Tracking
	by       map[uint32]int64 // by computer ID, when each was asked, in Unix seconds; nil: nothing has been heard
}

// groupMembers are the machines of a group, as they were read a moment ago or, if the
// database is away, earlier. What group that was then, its tracking says.
func (s *server) groupMembers(ctx context.Context, now time.Time, group int64) (store.Tracking, map[uint32]int64, error) {
	s.sights.mu.Lock()
	of, ok := s.sights.members.get(now, group)
	if !ok {
		of = &membersOf{}
	}
	s.sights.members.set(now, group, of)
	s.sights.mu.Unlock()
	of.mu.Lock()
	defer of.mu.Unlock()
	if !of.read.IsZero() && now.Sub(of.read) < saidAfresh {
		return of.tracking, of.by, nil
	}
	err := of.readAgain(ctx, s.store, group)
	switch {
	case err == nil:
		of.read = now
	case of.read.IsZero() || now.Sub(of.read) >= saidFor:
		return store.Tracking{}, nil, err
	}
	return of.tracking, of.by, nil
}

// readAgain reads what has changed since the last time.
func (of *membersOf) readAgain(ctx context.Context, st *store.Store, group int64) error {
	t, err := st.Tracking(ctx, group)
	if fault.KindOf(err) == fault.NotFound {
		of.tracking, of.by = store.Tracking{}, nil
		return nil
	}
	if err != nil {
		return err
	}
	var by map[uint32]int64
	switch {
	case t.Heard.IsZero():
	case of.by != nil && t.Meaning == of.tracking.Meaning && t.Heard.Equal(of.tracking.Heard):
		by = of.by
	default:
		list, err := st.Members(ctx, group)
		if err != nil {
			return err
		}
		by = make(map[uint32]int64, len(list))
		for _, m := range list {
			by[m.ComputerID] = m.Answered.Unix()
		}
	}
	of.tracking, of.by = t, by
	return nil
}
