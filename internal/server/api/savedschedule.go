package api

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/question"
	"catenary/internal/server/object"
	"catenary/internal/server/reissue"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

const (
	// reissueLifeMin is the shortest life of a question that is asked again and
	// again: the one before it has this long to be answered.
	reissueLifeMin = 60 * time.Second
	// scopesMax is how many different rights a saved question has answers for at
	// once; the least recently asked goes.
	scopesMax = 100
	// reissuesShown bounds the list of the questions of a saved question.
	reissuesShown = 1000
)

// A scope is which machines an asking could reach at all: by its asker's rights,
// with what their groups meant, and by the group that it was about. Who has the
// same scope may see what came of it; "" is all machines.
type scope string

// scope is that of rights and a group; 0: about all machines.
func (s *server) scope(r rights.Rights, group int64) scope {
	return scopeOf(r, group, func(id int64) string { return "=" + s.book.mark(id) })
}

// scopeOf is a scope in which mark says what a group means.
func scopeOf(r rights.Rights, group int64, mark func(group int64) string) scope {
	var b strings.Builder
	if !r.Anything && r.Groups != nil {
		ids := slices.Clone(r.Groups)
		slices.Sort(ids)
		b.WriteString("within")
		for _, id := range slices.Compact(ids) {
			b.WriteString(" " + strconv.FormatInt(id, 10) + mark(id))
		}
	}
	if group != 0 {
		b.WriteString("about " + strconv.FormatInt(group, 10))
	}
	return scope(b.String())
}

// A reissuer knows the last questions of saved questions, and when each is asked
// again.
type reissuer struct {
	mu      sync.Mutex // guards the fields below
	planner reissue.Planner
	last    map[int64]map[scope]store.Reissue
	wake    chan struct{} // holds one token when the plan has changed
}

func newReissuer() *reissuer {
	return &reissuer{last: map[int64]map[scope]store.Reissue{}, wake: make(chan struct{}, 1)}
}

func (r *reissuer) woken() {
	select {
	case r.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// set plans a saved question as it is now.
func (r *reissuer) set(now time.Time, rec *shelf.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	every := time.Duration(rec.Object.Int("issue_seconds")) * time.Second
	if every <= 0 || rec.Object.Is("disabled_flag") || rec.Object.Is("issue_seconds_never_flag") {
		r.planner.Remove(rec.ID)
		return
	}
	var last time.Time
	for _, asked := range r.last[rec.ID] {
		if asked.Asked.After(last) {
			last = asked.Asked
		}
	}
	r.planner.Set(now, reissue.Entry{ID: rec.ID, Every: every, Last: last})
	r.woken()
}

// remove forgets a saved question that is no more.
func (r *reissuer) remove(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.planner.Remove(id)
	delete(r.last, id)
}

// forget drops the answers to a saved question that asks something else now.
func (r *reissuer) forget(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, id)
}

// keep remembers an asking.
func (r *reissuer) keep(a store.Reissue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.last[a.SavedQuestion]
	if of == nil {
		of = map[scope]store.Reissue{}
		r.last[a.SavedQuestion] = of
	}
	of[scope(a.Scope)] = a
	if len(of) <= scopesMax {
		return
	}
	oldest := scope(a.Scope)
	for sc, other := range of {
		if other.Question < of[oldest].Question {
			oldest = sc
		}
	}
	delete(of, oldest)
}

// latest is the last asking in a scope.
func (r *reissuer) latest(id int64, sc scope) (store.Reissue, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.last[id][sc]
	return a, ok
}

// due is the saved question to ask now, or else when to look again; zero: when
// the plan changes.
func (r *reissuer) due(now time.Time) (id int64, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id, ok := r.planner.Due(now); ok {
		return id, time.Time{}
	}
	next, _ = r.planner.Next()
	return 0, next
}

func (r *reissuer) failed(now time.Time, id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.planner.Failed(now, id)
}

// readReissues plans all saved questions, from what was asked before.
func (s *server) readReissues(ctx context.Context) error {
	list, err := s.store.LatestReissues(ctx)
	if err != nil {
		return err
	}
	for _, a := range list {
		r := s.shelves.ByID("saved_question", a.SavedQuestion)
		if a.SavedQuestion < 0 {
			r = s.shelves.ByID(copyKind, -a.SavedQuestion)
		}
		if r == nil || r.Object.Text("query_text") != a.Text {
			continue // deleted, or asks something else now
		}
		s.reissuer.keep(a)
		s.amendRecent(a)
	}
	for _, r := range s.shelves.All("saved_question") {
		s.reissuer.set(time.Now(), r)
	}
	return nil
}

// runReissues asks saved questions again, and for the machines of groups, when
// their time has come, until ctx ends.
func (s *server) runReissues(ctx context.Context) error {
	if err := s.readReissues(ctx); err != nil {
		return err
	}
	groups, err := s.openTracker(ctx)
	if err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-s.reissuer.wake:
		}
		id, next := s.reissuer.due(time.Now())
		if id != 0 {
			s.reissueOne(ctx, id)
			timer.Reset(0)
			continue
		}
		again := groups.step(ctx, time.Now())
		if next.IsZero() || again.Before(next) {
			next = again
		}
		timer.Reset(time.Until(next))
	}
}

// reissueOne asks a saved question as its owner would.
func (s *server) reissueOne(ctx context.Context, id int64) {
	r := s.shelves.ByID("saved_question", id)
	if r == nil {
		s.reissuer.remove(id)
		return
	}
	may, err := s.rightsOfOwner(ctx, r.Object.Ref("user").ID)
	if err == nil {
		_, err = s.askSaved(ctx, version{Record: r}, asker{userID: r.Object.Ref("user").ID, rights: may}, 0)
	}
	if err != nil && ctx.Err() == nil {
		s.reissuer.failed(time.Now(), id)
		s.log.WarnContext(ctx, "saved question could not be asked", "saved question", id, "name", r.Name, "reason", err)
	}
}

// rightsOfOwner is what the owner of an object may do; who is locked out or gone
// may do nothing. Catenary's own objects have no owner, and may ask everything.
func (s *server) rightsOfOwner(ctx context.Context, id int64) (rights.Rights, error) {
	if id == 0 {
		return rights.Rights{Anything: true}, nil
	}
	u, err := s.store.UserByID(ctx, id)
	if err != nil {
		return rights.Rights{}, err
	}
	if !s.mayAct(u) {
		return rights.Rights{}, fault.New(fault.Denied, "its owner %s may not act any more", u.Name)
	}
	return s.rightsOf(u), nil
}

// An asker is for whom a question is asked.
type asker struct {
	userID  int64
	persona int64 // 0: himself
	rights  rights.Rights
}

func (c call) asker() asker { return asker{c.user.ID, c.user.Persona, c.rights} }

// askSaved asks a saved question now; group says which machines it is about, 0:
// all.
func (s *server) askSaved(ctx context.Context, r version, who asker, group int64) (store.Reissue, error) {
	q, err := question.Parse(r.Object.Text("query_text"), s.engine.Catalogue(), s.groups)
	if err != nil {
		return store.Reissue{}, err
	}
	// Before the groups are read: what they come to mean meanwhile is not claimed.
	sc := s.scope(who.rights, group)
	a := question.Asking{
		Question: q, Life: savedLife(r.Object), ComputerID: q.ComputerID, UserID: who.userID,
		Groups: s.groups, Rights: within(who.rights), ContextGroup: group, Scope: string(s.scope(who.rights, 0)),
		Archive: r.Object.Is("archive_enabled_flag"), Persona: who.persona, InWords: true,
	}
	if group != 0 {
		a.Context = question.Member{ID: group}
	}
	id, err := s.engine.Ask(ctx, a)
	if err != nil {
		return store.Reissue{}, err
	}
	now := time.Now()
	asked := store.Reissue{
		Question: int64(id), SavedQuestion: r.asked(), Scope: string(sc), Asked: now,
		Text: r.Object.Text("query_text"), Expires: now.Add(a.Life),
	}
	if err := s.store.KeepReissue(context.WithoutCancel(ctx), asked); err != nil {
		return store.Reissue{}, err
	}
	s.reissuer.keep(asked)
	s.amendRecent(asked)
	return asked, nil
}

// amendRecent shows the number of a question at its saved question.
func (s *server) amendRecent(a store.Reissue) {
	if a.Scope != "" || a.SavedQuestion < 0 {
		return // of some, or for one; everybody would see it
	}
	s.shelves.Amend("saved_question", a.SavedQuestion, func(o *object.Object) {
		if a.Question > o.Int("most_recent_question_id") {
			o.Set("most_recent_question_id", a.Question)
		}
	})
}

// savedLife is how long a question of a saved one may be answered: as it says,
// and not much longer than until it is asked again.
func savedLife(o *object.Object) time.Duration {
	life := cmp.Or(time.Duration(o.Int("expire_seconds"))*time.Second, expireDefault)
	if every := time.Duration(o.Int("issue_seconds")) * time.Second; every > 0 && !o.Is("issue_seconds_never_flag") {
		life = min(life, max(every, reissueLifeMin))
	}
	return life
}

// savedQuestion finds a saved question that the caller may see, as he sees it.
func (s *server) savedQuestion(c call, id int64) (version, error) {
	r := s.shelves.ByID("saved_question", id)
	if r == nil || hidesSaved(c, r.Object) {
		return version{}, missing("SavedQuestion", "saved question")
	}
	if p := rights.ReadSavedQuestion; !c.rights.May(p, r.Object.Ref("content_set").ID) {
		return version{}, insufficient(p)
	}
	return s.versions(c)(r), nil
}

// questionOf returns the question whose answer is that of a saved question for
// the caller: the last one within the caller's rights, about a group of machines
// (0: all). If there is none, or none since it would have been asked again, or
// it was closed long ago and is not asked by itself, it is asked now.
func (s *server) questionOf(ctx context.Context, c call, saved, group int64) (uint64, error) {
	r, err := s.savedQuestion(c, saved)
	if err != nil {
		return 0, err
	}
	if group != 0 && s.shelves.ByID("group", group) == nil {
		return 0, missing("Group", "group")
	}
	now := time.Now()
	if last, ok := s.reissuer.latest(r.asked(), s.scope(c.rights, group)); ok && !stale(r.Object, last, now) {
		return uint64(last.Question), nil
	}
	if p := rights.AskDynamicQuestion; r.Object.Is("disabled_flag") && !c.rights.May(p, rights.Everywhere) {
		return 0, fault.New(fault.Denied, "the saved question is disabled")
	}
	if err := s.allowVersion(c, r); err != nil {
		return 0, err
	}
	asked, err := s.askSaved(ctx, r, c.asker(), group)
	return uint64(asked.Question), err
}

// stale reports whether an answer is older than the saved question promises. One
// that is never asked by itself keeps its last answer until somebody asks.
func stale(o *object.Object, last store.Reissue, now time.Time) bool {
	every := time.Duration(o.Int("issue_seconds")) * time.Second
	return every > 0 && !o.Is("issue_seconds_never_flag") && !o.Is("disabled_flag") && now.Sub(last.Asked) > every+every/2+reissueLifeMin
}
