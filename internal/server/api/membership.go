package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/server/reissue"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

const (
	// trackDefault is how often the machines of a group are asked for, if it does
	// not say itself. A question is cheap for machines, and people move rarely.
	trackDefault = 4 * time.Hour
	// trackMin is how often they are asked for at most: each question is to have
	// ended before the next begins.
	trackMin = 5 * time.Minute
	// trackMax is how rarely: who is off twice in a row is still known.
	trackMax = 7 * 24 * time.Hour
	// trackLife is for how long such a question can be answered: every machine that
	// is on registers within 100 seconds, and a sensor may take 60.
	trackLife = 3 * time.Minute
	// trackGap is the time between two of them at least: a thousand groups take three
	// hours, and no more than two dozen of their questions are open at once.
	trackGap = 10 * time.Second
	// trackLook is how often it is looked at least which groups there are: sensors
	// change what they mean, and tell nobody.
	trackLook = time.Minute
	// trackPriority is below that of what somebody waits for.
	trackPriority = -1
)

// trackSays is what programs have to know of that.
const trackSays = "With track_computer_id_flag the server asks for the group's machines every track_computer_id_interval seconds (5 minutes to 7 days; 0: 4 hours); groups/{id}/members lists them. Groups with management rights are tracked without it where registrations do not tell who is in them."

// tracked is how a group is tracked.
type tracked struct {
	meaning string
	every   time.Duration
}

// A tracker asks for the machines of groups. One goroutine owns it.
type tracker struct {
	*server
	planner   reissue.Planner
	kept      map[int64]store.Tracking
	planned   map[int64]tracked
	catalogue *sensor.Catalogue // as of the last look
	groups    uint64            // version of the groups then
	rests     time.Time         // until then nothing is tried: the database is away
}

// openTracker goes on where the server was when it ended.
func (s *server) openTracker(ctx context.Context) (*tracker, error) {
	t := &tracker{server: s, planner: reissue.Planner{Gap: trackGap}, kept: map[int64]store.Tracking{}, planned: map[int64]tracked{}}
	list, err := s.store.Trackings(ctx)
	for _, k := range list {
		t.kept[k.Group] = k
	}
	return t, err
}

// step asks for the machines of one group, if it is time, and returns when to
// come again.
func (t *tracker) step(ctx context.Context, now time.Time) time.Time {
	if now.Before(t.rests) {
		return t.rests
	}
	if err := t.look(ctx); err != nil {
		if ctx.Err() == nil {
			t.log.WarnContext(ctx, "what is known of groups could not be dropped", "reason", err)
		}
		t.rests = now.Add(trackLook)
		return t.rests
	}
	if id, ok := t.planner.Due(now); ok {
		if err := t.ask(ctx, now, id); err != nil && ctx.Err() == nil {
			t.planner.Failed(now, id)
			t.log.WarnContext(ctx, "the machines of a group could not be asked for", "group", id, "name", t.shelves.NameOf("group", id), "reason", err)
		}
		return now // for the next one
	}
	again := now.Add(trackLook)
	if due, ok := t.planner.Next(); ok && due.Before(again) {
		return due
	}
	return again
}

// look finds out which groups are to be tracked, and drops what is known of
// others, and of those that mean something else by now.
func (t *tracker) look(ctx context.Context) error {
	catalogue, groups := t.engine.Catalogue(), t.shelves.Version("group")
	if catalogue == t.catalogue && groups == t.groups {
		return nil
	}
	now := time.Now()
	want := map[int64]tracked{}
	for _, r := range t.shelves.All("group") {
		if w, ok := t.tracks(catalogue, r); ok {
			want[r.ID] = w
		}
	}
	for id, k := range t.kept {
		if want[id].meaning == k.Meaning {
			continue
		}
		if err := t.store.ForgetTracking(ctx, id); err != nil {
			return err
		}
		delete(t.kept, id)
	}
	for id := range t.planned {
		if _, ok := want[id]; !ok {
			t.planner.Remove(id)
		}
	}
	for id, w := range want {
		if t.planned[id] != w {
			t.planner.Set(now, reissue.Entry{ID: id, Every: w.every, Last: t.kept[id].Asked})
		}
	}
	t.planned, t.catalogue, t.groups = want, catalogue, groups
	return nil
}

// ask asks all machines of a group to name themselves.
func (t *tracker) ask(ctx context.Context, now time.Time, group int64) error {
	id, err := t.engine.Ask(ctx, question.Asking{
		Question: question.Question{Selects: []question.Select{{Ref: question.Ref{Sensor: sensorComputerID}}}, Where: question.Member{ID: group}},
		Life:     trackLife, Groups: t.server.groups, Priority: trackPriority, Tracks: group,
	})
	if err != nil {
		return err
	}
	k := store.Tracking{Group: group, Meaning: t.planned[group].meaning, Question: id, Asked: now}
	if err := t.store.TrackGroup(context.WithoutCancel(ctx), k); err != nil {
		return err
	}
	t.kept[group] = k
	return nil
}

// sensorComputerID is what machines name themselves by.
const sensorComputerID = "Computer ID"

// tracks returns how a group is tracked, and false if it is not: those are that
// want it, and those with management rights of which the server does not know
// from every registration which machines are in them.
func (s *server) tracks(catalogue *sensor.Catalogue, r *shelf.Record) (tracked, bool) {
	wanted := r.Object.Is("track_computer_id_flag")
	if !wanted && !r.Object.Is("management_rights_flag") || reservedGroup(r.ID) || r.Object.Int("type") == groupAdHoc {
		return tracked{}, false
	}
	g, err := s.meaningOf(catalogue, r.ID)
	if err != nil || g.evident && !wanted {
		return tracked{}, false // of one that cannot be read any more, too
	}
	return tracked{g.mark, trackEvery(r.Object)}, true
}

// trackEvery is how often the machines of a group are asked for.
func trackEvery(o *object.Object) time.Duration {
	seconds := o.Int("track_computer_id_interval")
	if seconds <= 0 {
		return trackDefault
	}
	return time.Duration(min(max(seconds, int64(trackMin/time.Second)), int64(trackMax/time.Second))) * time.Second
}

// A meaning is what it takes to be in a group.
type meaning struct {
	group   int64
	plan    plan.Plan
	mark    string // stands for the condition, also where groups within it are called otherwise
	evident bool   // each registration says whether a machine is in it
}

// meaningOf is what a group means now.
func (s *server) meaningOf(catalogue *sensor.Catalogue, group int64) (meaning, error) {
	p, err := s.unsent(question.Question{}, catalogue, plan.Options{Rights: question.Or{question.Member{ID: group}}})
	if err != nil {
		return meaning{}, err
	}
	sum := sha256.Sum256(p.Append(nil))
	m := meaning{group: group, plan: p, mark: hex.EncodeToString(sum[:]), evident: true}
	for _, use := range p.WhereUses() {
		m.evident = m.evident && atRegistrationOf(catalogue, p.Sensors[use])(&endpoint.Status{}).Whole
	}
	return m, nil
}
