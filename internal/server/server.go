// Package server is the server's host: it owns the roster, the tallies and the
// connections of clients, and joins the stages of a question.
//
// One goroutine, in [Server.Run], owns all that changes with every message (the
// [hub]); connections, the API and the database talk to it by handing it a
// function. It never waits for the database: what is to be kept is written
// behind.
package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catenary/internal/fault"
	"catenary/internal/link"
	"catenary/internal/sensor"
	"catenary/internal/server/roster"
	"catenary/internal/server/sensors"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
	"catenary/internal/trust"
	"catenary/internal/wire"
)

// A Config is everything an operator may choose.
type Config struct {
	DataDir   string         // keys, and the database unless it is elsewhere
	Database  string         // its address; empty: a file in DataDir
	Listen    string         // host:port for clients
	Servers   []string       // addresses that new clients are told to dial
	Intervals wire.Intervals // of registrations
	Version   string         // of this program
}

// DatabaseAddress is where the database is.
func (c Config) DatabaseAddress() string {
	return cmp.Or(c.Database, filepath.Join(c.DataDir, "catenary.db"))
}

// DefaultIntervals are those of a large installation.
var DefaultIntervals = wire.Intervals{
	NormalMin: 30 * time.Second, NormalMax: 90 * time.Second,
	InitialMin: 2 * time.Hour, InitialMax: 6 * time.Hour,
}

// NormalMax bounds the longest interval between two registrations: a client
// that misses one must still come before it counts as off (roster.StaleAfter)
// or as a stranger to its own chain.
const NormalMax = 100 * time.Second

// A Server serves clients, and the API through its methods.
type Server struct {
	cfg     Config
	log     *slog.Logger
	keys    *Keys
	store   *store.Store
	shelves *shelf.Shelves
	trust   link.Trust
	listen  *net.TCPListener
	metrics *metrics

	datagrams *net.UDPConn
	secrets   *secrets
	turns     turns
	notices   quota

	loading sync.Mutex                       // held while the catalogue is read; guards scripts
	scripts map[int64]string                 // names of its script sensors, by their numbers
	content atomic.Pointer[sensor.Catalogue] // as of now
	calls   chan func(*hub)
	written chan writing
	// Who enrols, or has got a slot, waits for the database, and the hub does not.
	enrolments together[*store.Enrolment]
	seats      together[store.Touch]
	boundaries boundaries
	sensing    sensing
	strings    *sensors.Strings
	worker     sync.WaitGroup
	stopped    chan struct{} // closed when the hub takes no more calls
}

const (
	callsMax = 1024 // functions waiting for the hub
	bundleIn = 7 * 24 * time.Hour
	bundleOf = 100_000 // machines that the first bundle enrols
)

// New opens the database and the listening socket. Nothing is served until
// [Server.Run].
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Server, error) {
	keys, err := OpenKeys(filepath.Join(cfg.DataDir, "keys"), time.Now())
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, cfg.DatabaseAddress())
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, log: log, keys: keys, store: db,
		trust:   link.Trust{Installation: keys.Installation, Authority: keys.Authority},
		calls:   make(chan func(*hub), callsMax),
		written: make(chan writing, writingsMax),
		stopped: make(chan struct{}),

		enrolments: keptTogether(func(ctx context.Context, list []*store.Enrolment) error { return db.Enrol(ctx, time.Now(), list) }),
		seats:      keptTogether(db.TouchClients),
		notices:    quota{most: noticesMax},
	}
	s.metrics = newMetrics()
	s.strings = sensors.NewStrings()
	err = UnlockDatabase(ctx, db, cfg.DatabaseKeyPath())
	if err == nil {
		err = s.open(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) error {
	if err := s.store.SyncBuiltin(ctx, sensor.Builtin(), time.Now()); err != nil {
		return err
	}
	records, err := s.loadContent(ctx)
	if err != nil {
		return err
	}
	if err := s.loadBoundaries(ctx); err != nil {
		return err
	}
	if err := s.loadSensing(ctx); err != nil {
		return err
	}
	if err := s.openShelves(ctx, records); err != nil {
		return err
	}
	addr, err := net.ResolveTCPAddr("tcp", s.cfg.Listen)
	if err != nil {
		return fault.New(fault.Invalid, "address for clients: %w", err)
	}
	if s.secrets, err = openSecrets(filepath.Join(s.cfg.DataDir, "keys", secretsFile), time.Now()); err != nil {
		return err
	}
	s.listen, s.datagrams, err = listenBoth(addr)
	return err
}

// Keys are the installation's keys.
func (s *Server) Keys() *Keys { return s.keys }

// Store is the database.
func (s *Server) Store() *store.Store { return s.store }

// Metrics is where the server's figures can be read.
func (s *Server) Metrics() *prometheus.Registry { return s.metrics.registry }

// Addr is where clients are served.
func (s *Server) Addr() net.Addr { return s.listen.Addr() }

// Run serves until ctx ends. When it returns, every goroutine it started has
// ended and what was to be kept is kept.
func (s *Server) Run(ctx context.Context) error {
	enrolled, err := s.store.Clients(ctx)
	if err != nil {
		return err
	}
	cert, err := s.keys.LinkCertificate(time.Now())
	if err != nil {
		return err
	}
	now := time.Now().Truncate(time.Millisecond)
	cutOff, err := s.takeUp(ctx, now)
	if err != nil {
		return err
	}
	highest, err := s.store.HighestQuestion(ctx)
	if err != nil {
		return err
	}
	r := roster.New(s.Boundaries())
	r.Restore(now, held(enrolled))
	h := newHub(s, r, highest, enrolled)
	for _, q := range cutOff {
		h.ask(now, q.letter, q.asked) // leaders get it when they come
		h.live[q.letter.ID].recall(q.found)
	}
	var writer sync.WaitGroup
	writing, giveUp := context.WithCancelCause(context.WithoutCancel(ctx)) // outlives ctx: nothing is lost at the end
	defer giveUp(nil)
	writer.Go(func() { s.write(writing) })
	s.worker.Go(func() { s.enrolments.run(ctx) })
	s.worker.Go(func() { s.seats.run(ctx) })
	s.worker.Go(func() { s.accept(ctx, s.trust.FromClients(cert)) })
	s.worker.Go(func() { s.serveDatagrams(ctx) })
	s.worker.Go(func() { s.followSettings(ctx) })
	s.log.Info("server started", "clients", s.listen.Addr(), "installation", s.keys.Installation, "enrolled", len(enrolled))
	h.run(ctx)
	close(s.stopped)
	s.listen.Close()
	s.worker.Wait()
	s.lastWritings(h, giveUp, &writer)
	return errors.Join(context.Cause(ctx), s.store.Close())
}

// do lets the hub's goroutine run f, and returns when it has.
func (s *Server) do(ctx context.Context, f func(*hub)) error {
	done := make(chan struct{})
	select {
	case s.calls <- func(h *hub) { f(h); close(done) }:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.stopped:
		return errStopping
	}
	select {
	case <-done:
		return nil
	case <-s.stopped:
		return errStopping
	}
}

var errStopping = fault.New(fault.Unavailable, "the server is stopping")

// MakeBundle makes a catenary-init.dat that enrols so many machines until the
// given time and names them the servers to dial.
func MakeBundle(ctx context.Context, k *Keys, db *store.Store, servers []string, name string, uses int, expires time.Time) (trust.Bundle, error) {
	secret := make([]byte, trust.SecretSize)
	rand.Read(secret) // never fails: crypto/rand ends the program instead
	err := db.CreateSecret(ctx, store.Secret{
		Hash: store.HashOf(string(secret)), Name: name, Created: time.Now(), Expires: expires, Uses: uses,
	})
	return trust.Bundle{
		Installation: k.Installation,
		Servers:      servers,
		Root:         k.Root,
		Vouchers:     k.Vouchers,
		CA:           k.AuthorityPEM,
		Secret:       secret,
		Expires:      expires.UTC().Truncate(time.Second),
	}, err
}

// FirstBundle writes a catenary-init.dat into the data folder, unless there is
// one for the same servers, and returns its path. It makes no new one when that
// has expired: a secret that renews itself would never end.
func (s *Server) FirstBundle(ctx context.Context) (string, error) {
	path := filepath.Join(s.cfg.DataDir, trust.FileName)
	if data, err := os.ReadFile(path); err == nil {
		b, err := trust.Parse(data)
		if err == nil && slices.Equal(b.Servers, s.cfg.Servers) {
			if time.Now().After(b.Expires) {
				s.log.Info("the first bundle lets nobody in any more", "path", path, "next", "catenary server bundle")
			}
			return path, nil
		}
	}
	b, err := MakeBundle(ctx, s.keys, s.store, s.cfg.Servers, "first bundle", bundleOf, time.Now().Add(bundleIn))
	if err != nil {
		return "", err
	}
	data, err := b.Marshal()
	if err != nil {
		return "", err
	}
	return path, os.WriteFile(path, data, 0o600)
}
