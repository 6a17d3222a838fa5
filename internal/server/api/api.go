// Package api is the server's face to programs: JSON over HTTP, in the routes
// and shapes that existing programs expect (docs/api.md), and an event stream
// for live answers.
//
// It reads requests, knows who asks, and turns the server's nouns into JSON
// objects and back. It asks no client anything itself: that is what its
// [Engine] does. Records that need no engine (users, tokens, questions) it
// takes from the store.
package api

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catenary/internal/endpoint"
	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/certificate"
	"catenary/internal/server/depot"
	"catenary/internal/server/diagnosis"
	"catenary/internal/server/fetch"
	"catenary/internal/server/people"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/signin"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

// An Engine puts questions to the machines. Its errors have kinds (package
// fault); their texts are shown to the asker, except those of Internal ones.
type Engine interface {
	// Catalogue holds the sensors, native and script, as of now.
	Catalogue() *sensor.Catalogue
	// Ask compiles, signs, records and sends a question and returns its number.
	Ask(ctx context.Context, a question.Asking) (uint64, error)
	// Result is the answer so far of a live question, or the last one of a
	// closed question.
	Result(ctx context.Context, question uint64) (tally.Result, error)
	// Await is Result as soon as it has a higher version than the given one. It
	// returns ctx.Err() if that does not happen before ctx ends.
	Await(ctx context.Context, question, version uint64) (tally.Result, error)
	// SignSensor returns a script sensor's definition in canonical form, and the
	// same with the signature that clients want.
	SignSensor(s sensor.Sensor) (definition, signed []byte)
	// ReloadSensors brings the catalogue in line with what the database has of the
	// sensors of some numbers, and without numbers of all.
	ReloadSensors(ctx context.Context, ids ...int64) error
	// Account says what has become of a question on each machine, so far or in
	// the end.
	Account(ctx context.Context, question uint64) (store.Account, error)
	// Findings are the signs that its answer was tampered with, newest first.
	Findings(ctx context.Context, question uint64) ([]store.Finding, error)
	// Clients is what is known of every registered machine, LAN by LAN in the
	// order of their chains. The list is shared: nobody changes it.
	Clients(ctx context.Context) []endpoint.Status
	// CountClients is how many there are.
	CountClients(ctx context.Context) int

	Boundary
	Sensing
	Installation
}

// Options are what a Handler needs beside its engine and store, all of them.
type Options struct {
	Version string // of the server program
	Log     *slog.Logger
	// Metrics is served at /metrics; the handler adds its own figures.
	Metrics *prometheus.Registry
	// Shelves are the objects that operators make.
	Shelves *shelf.Shelves
	// Sealer signs content.
	Sealer Sealer
	// Files are those of packages.
	Files *depot.Depot
	// Hostname is what the server's machine is called.
	Hostname string
	// Exports is a folder of the handler's own for exported answers; empty: nothing
	// can be exported.
	Exports string
	// Reports is where diagnostics are kept; nil: they are not.
	Reports *diagnosis.Folder
	// Certificates keeps the one with which the API is served.
	Certificates *certificate.Folder
	// Cards say whose client certificates let people in; nil: nobody's do.
	Cards *signin.Cards
	// Runtimes are how long sensors have run so far, by name; nil: nothing is
	// known of that.
	Runtimes func() map[string]plan.Runtime
}

const (
	bodyMax    = 1 << 20 // bytes of a request body; the largest are sensors with a script for each platform
	streamsMax = 200     // event streams at once; each holds a goroutine and a socket
	rendersMax = 4       // result sets built at once; one of 200,000 rows takes 100 MB
	pageMax    = 10_000  // objects in one page of a list

	headerTimeout = 10 * time.Second  // reading a request's head
	readTimeout   = 60 * time.Second  // reading a whole request
	writeTimeout  = 120 * time.Second // a large result set over a slow line; event streams renew it
	idleTimeout   = 120 * time.Second // between two requests of a connection
	headerMax     = 64 << 10          // bytes of a request's head
)

// NewServer returns a server for h with every limit set. Its caller adds the
// address and the base context.
func NewServer(h http.Handler, tlsConfig *tls.Config) *http.Server {
	return &http.Server{
		Handler:           h,
		TLSConfig:         tlsConfig,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerMax,
	}
}

// A server is what the routes share.
type server struct {
	engine       Engine
	store        *store.Store
	shelves      *shelf.Shelves
	book         *groupBook
	groups       question.Groups // book, but in tests of questions
	reissuer     *reissuer
	depot        *depot.Depot
	fetcher      *fetch.Fetcher
	imports      *imports
	sealer       Sealer
	pending      pending
	hostname     string
	certificates *certificate.Folder
	cards        *signin.Cards
	runtimes     func() map[string]plan.Runtime
	people       *people.Book
	rightsOf     func(store.User) rights.Rights
	logins       lastLogins
	log          *slog.Logger
	version      string
	metrics      http.Handler
	registry     *prometheus.Registry
	document     func() ([]byte, error) // the OpenAPI description
	figures      figures
	sessions     *sessions
	tokens       *tokens
	attempts     *attempts
	caches       *caches
	sights       *sights
	limits       *limits
	reload       reload
	results      *keptSets
	exports      *exports
	reports      *diagnosis.Folder
	began        time.Time
	openings     *openings
	passwords    passwords
	outside      chan struct{} // one place per question to a directory or an identity provider
	directories  *directories
	providers    *providers
	ceremonies   *ceremonies
	scimUse      *scimUse
	streams      chan struct{} // one place per event stream
	renders      chan struct{} // one place per result set being built
	large        chan struct{} // one place per large body
	mux          *http.ServeMux
}

// A Service is the whole API: a handler, and what has to happen without anybody
// asking for it.
type Service struct{ *server }

// Run asks saved questions again and clears away what nobody needs, until ctx
// ends.
func (s Service) Run(ctx context.Context) error { return s.run(ctx) }

// Handler serves the whole API.
func Handler(e Engine, s *store.Store, opt Options) Service { return Service{newServer(e, s, opt)} }

func newServer(e Engine, st *store.Store, opt Options) *server {
	s := &server{
		engine:       e,
		store:        st,
		shelves:      opt.Shelves,
		book:         newGroupBook(opt.Shelves, e.Catalogue),
		reissuer:     newReissuer(),
		imports:      newImports(),
		sealer:       opt.Sealer,
		depot:        opt.Files,
		hostname:     opt.Hostname,
		certificates: opt.Certificates,
		cards:        opt.Cards,
		runtimes:     opt.Runtimes,
		people:       people.Open(opt.Shelves),
		log:          opt.Log,
		version:      opt.Version,
		sessions:     newSessions(),
		tokens:       newTokens(),
		attempts:     newAttempts(),
		caches:       newCaches(),
		sights:       newSights(),
		limits:       newLimits(),
		results:      newKeptSets(),
		exports:      openExports(opt.Exports),
		reports:      opt.Reports,
		began:        time.Now(),
		openings:     newOpenings(),
		passwords:    newPasswords(),
		outside:      make(chan struct{}, outsideMax),
		providers:    newProviders(),
		ceremonies:   newCeremonies(),
		scimUse:      &scimUse{last: map[int64]time.Time{}},
		directories:  newDirectories(),
		streams:      make(chan struct{}, streamsMax),
		renders:      make(chan struct{}, rendersMax),
		large:        make(chan struct{}, largeMax),
	}
	s.groups = s.book
	s.fetcher = s.newFetcher(fetch.Defaults)
	s.rightsOf = s.effective
	if s.runtimes == nil {
		s.runtimes = func() map[string]plan.Runtime { return nil }
	}
	s.sessions.rules, s.sessions.gone = s.sessionRules, s.openings.look
	anybody := func() { s.openings.look(0) }
	s.tokens.gone = anybody
	opt.Shelves.Watch(anybody, rightsDepend...)
	opt.Shelves.Watch(s.reissuer.woken, "group")
	s.registry = opt.Metrics
	s.metrics, s.figures = newFigures(opt.Metrics, s)
	s.document = s.documented()
	s.mux = s.newMux(s.routes())
	return s
}
