package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

const (
	// lookEvery is how often it is looked, in memory, whether who has something
	// open still may: what ends by time alone tells nobody. It counts as use of
	// the session.
	lookEvery = time.Second
	// farewellTime is for the last that is said to somebody.
	farewellTime = time.Second
)

// rightsDepend are the kinds of objects of which it depends what somebody may do
// and see, and how long he is let in.
var rightsDepend = []string{"user", "user_group", "persona", "content_set_role", "content_set_privilege", "group", "system_setting"}

// A footing is what somebody may do, and on which machines, when something begins
// that lasts.
type footing struct {
	rights rights.Rights
	groups map[int64]*shelf.Record // with management rights, and those within them; nil of one that is gone
}

// footing is on what somebody with these rights stands now.
func (s *server) footing(r rights.Rights) footing {
	f := footing{rights: r}
	if r.Groups != nil {
		f.groups = map[int64]*shelf.Record{}
		s.addGroups(f.groups, r.Groups)
	}
	return f
}

func (s *server) addGroups(to map[int64]*shelf.Record, ids []int64) {
	for _, id := range ids {
		if _, known := to[id]; known {
			continue
		}
		r := s.shelves.ByID("group", id)
		to[id] = r
		if g, ok := s.book.group(r); ok {
			s.addGroups(to, members(g.Where))
		}
	}
}

// lasts refuses what was begun on a footing to who has these rights now, unless
// he may do as much, on as many machines, and his groups are what they were.
func (s *server) lasts(f footing, now rights.Rights) error {
	machines := now.Groups == nil || f.rights.Groups != nil && !slices.ContainsFunc(f.rights.Groups, func(id int64) bool {
		return !slices.Contains(now.Groups, id)
	})
	if !machines || !f.rights.Within(now) {
		return fault.New(fault.Denied, "RBACInsufficientPrivilege: the rights with which this was begun are not there any more: begin it again")
	}
	for id, was := range f.groups {
		if s.shelves.ByID("group", id) != was {
			return fault.New(fault.Denied, "RBACInsufficientPrivilege: a computer group that says which machines may be seen has changed: begin this again")
		}
	}
	return nil
}

// openings are the requests that are being answered and end as soon as who has
// made them may not go on: their rights are looked at when they begin, and
// whenever something has changed of which rights depend.
type openings struct {
	mu      sync.Mutex // guards the fields below
	all     map[*opening]struct{}
	changes uint64 // that there have been
}

func newOpenings() *openings { return &openings{all: map[*opening]struct{}{}} }

// seen is how many changes there have been.
func (l *openings) seen() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes
}

// look looks at what a user has open; user 0: at what anybody has.
func (l *openings) look(user int64) {
	l.mu.Lock()
	l.changes++
	var some []*opening
	for o := range l.all {
		if user == 0 || o.user == user {
			some = append(some, o)
		}
	}
	l.mu.Unlock()
	for _, o := range some {
		o.look()
	}
}

func (l *openings) add(o *opening) (changes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[o] = struct{}{}
	return l.changes
}

func (l *openings) remove(o *opening) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, o)
}

// An opening is one request that is being answered.
type opening struct {
	api     *server
	request *http.Request
	user    int64
	footing footing
	stop    context.CancelCauseFunc
	timer   *time.Timer
	way     http.ResponseWriter // to the caller
	control *http.ResponseController

	mu      sync.Mutex // guards the fields below
	why     error      // nil: it goes on
	closed  bool
	reading bool
	writing bool
	headed  bool // the caller has the head of the answer
	lost    bool // something that he was to have was kept back
	told    bool // he has been told why
}

// outlasts reports whether a request may take so long that it has to end when its
// caller may not go on: what only reads, and what reads on and on from him.
// A change is none: it happens as a whole or not at all.
func (rt route) outlasts() bool {
	const v2 = "/api/v2/"
	return rt.method == http.MethodGet || rt.path == v2+"export" || rt.path == v2+"upload_file_stream"
}

// opens makes an opening of a call whose caller was looked at after so many
// changes. Who makes one lets it handle the call.
func (s *server) opens(w http.ResponseWriter, c *call, changes uint64) *opening {
	ctx, stop := context.WithCancelCause(c.Context())
	o := &opening{
		api: s, request: c.Request, user: c.user.ID, footing: s.footing(c.rights), stop: stop,
		way: w, control: http.NewResponseController(w),
	}
	o.mu.Lock()
	o.timer = time.AfterFunc(lookEvery, o.looks)
	o.mu.Unlock()
	c.Request = c.Request.WithContext(ctx)
	if c.Body != nil {
		c.Body = openBody{c.Body, o}
	}
	if s.openings.add(o) != changes {
		o.look() // something has changed while the rights were looked at
	}
	return o
}

// handle lets h answer a call, as long as its caller may go on.
func (o *opening) handle(w http.ResponseWriter, c call, h service) error {
	if o == nil {
		return h.handle(w, c)
	}
	return o.settle(h.handle(gate{w, o}, c))
}

// looks looks, and again after a while.
func (o *opening) looks() {
	o.look()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.why == nil && !o.closed {
		o.timer.Reset(lookEvery)
	}
}

// look ends the opening if its caller may not go on.
func (o *opening) look() {
	u, err := o.api.authenticate(context.WithoutCancel(o.request.Context()), secret(o.request.Header.Get("session")), o.api.tokenAddress(o.request))
	switch {
	case err == nil:
		err = o.api.lasts(o.footing, o.api.rightsOf(u))
	case fault.KindOf(err) != fault.Stranger:
		return // the database is away: nobody knows better
	}
	if err != nil {
		o.end(err)
	}
}

func (o *opening) end(why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.why != nil || o.closed {
		return
	}
	o.why = why
	o.stop(why)
	// Who waits for a slow caller is woken up; a connection that cannot do that
	// (in tests) has no slow callers.
	if o.writing {
		_ = o.control.SetWriteDeadline(time.Now()) // see above
	}
	if o.reading {
		_ = o.control.SetReadDeadline(time.Now()) // see above
	}
}

// ended says why the opening has ended; nil: it has not.
func (o *opening) ended() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.why
}

// farewell is the way to the caller, for the last that he is told.
func (o *opening) farewell() http.ResponseWriter {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = true
	return o.way
}

// errCut says that an answer has to break off so that it is not taken for whole.
var errCut = errors.New("the answer breaks off")

// settle returns what the caller has to be told when his request was handled with
// err.
func (o *opening) settle(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	switch {
	case o.why == nil:
		return err
	case o.told, err == nil && !o.lost: // he has everything
		return nil
	case o.headed:
		return errors.Join(errCut, o.why)
	}
	return o.why
}

// close forgets the opening.
func (o *opening) close() {
	o.api.openings.remove(o)
	o.timer.Stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.stop(nil)
}

// enter begins to read or write, unless that is over.
func (o *opening) enter(busy *bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.why != nil {
		o.lost = true
		return o.why
	}
	*busy = true
	return nil
}

func (o *opening) leave(busy *bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	*busy = false
}

// A gate is the way to a caller until the opening ends.
type gate struct {
	http.ResponseWriter
	o *opening
}

// Unwrap lets http.ResponseController reach the connection.
func (g gate) Unwrap() http.ResponseWriter { return g.ResponseWriter }

func (g gate) WriteHeader(status int) {
	if g.o.enter(&g.o.headed) == nil { // else Write says so
		g.ResponseWriter.WriteHeader(status)
	}
}

func (g gate) Write(b []byte) (int, error) {
	if err := g.o.enter(&g.o.writing); err != nil {
		return 0, err
	}
	defer g.o.leave(&g.o.writing)
	g.o.mu.Lock()
	g.o.headed = true
	g.o.mu.Unlock()
	return g.ResponseWriter.Write(b)
}

// FlushError does what http.ResponseController wants.
func (g gate) FlushError() error {
	if err := g.o.enter(&g.o.writing); err != nil {
		return err
	}
	defer g.o.leave(&g.o.writing)
	return http.NewResponseController(g.ResponseWriter).Flush()
}

// An openBody is what the caller sends until the opening ends.
type openBody struct {
	io.ReadCloser
	o *opening
}

func (b openBody) Read(p []byte) (int, error) {
	if err := b.o.enter(&b.o.reading); err != nil {
		return 0, err
	}
	defer b.o.leave(&b.o.reading)
	return b.ReadCloser.Read(p)
}
