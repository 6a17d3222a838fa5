package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"catenary/internal/answer"
	"catenary/internal/boundary"
	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/depot"
	"catenary/internal/server/diagnosis"
	"catenary/internal/server/people"
	"catenary/internal/server/sensors"
	"catenary/internal/server/setting"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
	"catenary/internal/server/store/storetest"
	"catenary/internal/server/tally"
	"catenary/internal/value"
)

// A fleet is a small engine in memory: it compiles and records questions as
// the real one does, and its machines have said what a test lets them say.
type fleet struct {
	store *store.Store

	mu        sync.Mutex // guards the fields below
	sensors   []sensor.Sensor
	catalogue *sensor.Catalogue
	results   map[uint64]tally.Result
	accounts  map[uint64]store.Account
	findings  []store.Finding
	changed   chan struct{} // closed and made anew with every change
	clients   []endpoint.Status
	asked     []question.Asking
	stats     []store.SensorStat
	held      []store.Quarantined
	released  []uint32
	reloaded  [][]int64 // sensors that it was told to read
	strings   *sensors.Strings
	heard     func(question.Asking) // called for each question, if set before
	mask      boundary.Mask
}

var key = answer.Key{1, 2, 3}

func testSensors() []sensor.Sensor {
	single := func(name string, t value.Type, params ...sensor.Parameter) sensor.Sensor {
		return sensor.Sensor{
			Name: name, Category: "Test", Description: "About " + name, Parameters: params, MaxAge: time.Minute, IgnoreCase: true,
			Platforms: []sensor.Platform{sensor.Linux}, Columns: []sensor.Column{{Name: name, Type: t}},
		}
	}
	apps := single("Installed Applications", value.String)
	apps.Columns = []sensor.Column{{Name: "Name", Type: value.String}, {Name: "Version", Type: value.Version}}
	return []sensor.Sensor{
		single("Computer Name", value.String), single("Operating System", value.String), single("Free Memory", value.DataSize),
		single("Is Linux", value.String), apps,
		single("Folder Contents", value.String, sensor.Parameter{Key: "path", Label: "Path"}),
		single("Application Crashes in Last X Days", value.String, sensor.Parameter{Key: "days", Label: "Days", Default: "5"}),
		single("Between", value.Numeric, sensor.Parameter{Key: "low", Label: "Low"}, sensor.Parameter{Key: "high", Label: "High"}),
	}
}

func newFleet(t testing.TB, st *store.Store) *fleet {
	t.Helper()
	f := &fleet{store: st, strings: sensors.NewStrings(), sensors: testSensors(), results: map[uint64]tally.Result{}, accounts: map[uint64]store.Account{}, changed: make(chan struct{}), mask: boundary.DefaultMask}
	must(t, st.SyncBuiltin(t.Context(), f.sensors, time.Now()))
	must(t, f.renew())
	return f
}

func (f *fleet) renew() (err error) {
	f.catalogue, err = sensor.NewCatalogue(f.sensors)
	return err
}

func (f *fleet) Catalogue() *sensor.Catalogue {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.catalogue
}

func (f *fleet) Ask(ctx context.Context, a question.Asking) (uint64, error) {
	catalogue := f.Catalogue()
	if a.Preview != nil {
		var err error
		if catalogue, err = catalogue.Changed(nil, []sensor.Sensor{*a.Preview}); err != nil {
			return 0, err
		}
	}
	p, err := plan.Compile(a.Question, catalogue, plan.Options{Definition: func(d sensor.Sensor) []byte { return d.Append(nil) }, ComputerID: a.ComputerID || a.Archive, Groups: a.Groups, Rights: a.Rights, Context: a.Context})
	if err != nil {
		return 0, err
	}
	now := time.Now()
	id, err := f.store.CreateQuestion(ctx, store.Question{
		Text: p.Text, UserID: a.UserID, Plan: p.Append(nil), ComputerID: a.ComputerID, Issued: now, Expires: now.Add(a.Life), Scope: a.Scope,
		ContextGroup: a.ContextGroup, Priority: a.Priority,
		Name: a.Name, Index: a.Index, Persona: a.Persona, InWords: a.InWords, Tracks: a.Tracks,
	})
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, a)
	if f.heard != nil {
		f.heard(a)
	}
	f.results[id] = tally.Result{Progress: tally.Progress{Question: id, Issued: now, Expires: now.Add(a.Life), Version: 1, Expected: 4}}
	return id, nil
}

func (f *fleet) Result(_ context.Context, id uint64) (tally.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.results[id]
	if !ok {
		return r, fault.New(fault.NotFound, "question %d", id)
	}
	return r, nil
}

func (f *fleet) Await(ctx context.Context, id, version uint64) (tally.Result, error) {
	for {
		r, err := f.Result(ctx, id)
		if err != nil || r.Version > version {
			return r, err
		}
		f.mu.Lock()
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return tally.Result{}, ctx.Err()
		}
	}
}

// say changes a question's answer.
func (f *fleet) say(id uint64, change func(*tally.Result)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.results[id]
	change(&r)
	r.Question = id
	r.Version++
	f.results[id] = r
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fleet) Strings() *sensors.Strings { return f.strings }

func (f *fleet) SignSensor(d sensor.Sensor) (definition, signed []byte) {
	definition = d.Append(nil)
	return definition, append([]byte("signed "), definition...)
}

func (f *fleet) ReloadSensors(ctx context.Context, ids ...int64) error {
	records, err := f.store.Sensors(ctx)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reloaded = append(f.reloaded, ids)
	f.sensors = testSensors()
	for _, r := range records {
		if len(r.Definition) > 0 {
			d, err := sensor.Decode(r.Definition)
			if err != nil {
				return err
			}
			f.sensors = append(f.sensors, d)
		}
	}
	return f.renew()
}

func (f *fleet) Clients(context.Context) []endpoint.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.clients
}

func (f *fleet) Queues() map[string][2]int                { return map[string][2]int{"database_writes": {3, 64}} }
func (f *fleet) Disk() (capacity, free uint64, err error) { return 1000, 400, nil }

func (f *fleet) PublicKey() []byte {
	return []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
}

func (f *fleet) InitBundle(_ context.Context, name string, servers []string, uses int, life time.Duration) ([]byte, error) {
	return fmt.Appendf(nil, "%s %v %d %v", name, servers, uses, life), nil
}

func (f *fleet) SensorStats() []store.SensorStat { return f.stats }

func (f *fleet) Quarantine(_ context.Context, sees func(endpoint.ID) bool) (out []store.Quarantined, err error) {
	for _, q := range f.held {
		if sees != nil {
			q.Some = slices.DeleteFunc(slices.Clone(q.Some), func(m store.Machine) bool { return !sees(m.Client) })
			q.Machines = len(q.Some)
		}
		if q.Machines > 0 {
			out = append(out, q)
		}
	}
	return out, nil
}

func (f *fleet) ReleaseSensor(_ context.Context, hash uint32) error {
	f.released = append(f.released, hash)
	return nil
}

func (f *fleet) CountClients(context.Context) int { return len(f.clients) }

func (f *fleet) Account(_ context.Context, id uint64) (store.Account, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.accounts[id]
	if !ok {
		return a, fault.New(fault.NotFound, "account of question %d", id)
	}
	return a, nil
}

func (f *fleet) Findings(_ context.Context, id uint64) (list []store.Finding, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.findings {
		if x.Question == id {
			list = append(list, x)
		}
	}
	return list, nil
}

// rows are said by as many machines as each text stands there.
func rows(texts ...string) answer.Rows {
	var list []answer.Row
	for _, text := range texts {
		list = append(list, key.Row([]answer.Cell{{text}}))
	}
	return answer.RowsOf(answer.ServerLimits, list...)
}

const (
	testUser     = "ann"
	testPassword = "correct horse battery"
)

// testHash is cheap to compare with.
var testHash = sync.OnceValue(func() string {
	h, err := argon2id.CreateHash(testPassword, &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		panic(err)
	}
	return h
})

// A desk is a handler with what stands behind it, and a user who is logged in.
type desk struct {
	t       testing.TB
	api     *server
	store   *store.Store
	fleet   *fleet
	logs    *logbook
	session string
	from    string // the remote address of requests
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	st, err := store.Open(t.Context(), storetest.SQLite.Prepared(t, storetest.Opened(store.Open)))
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	key, err := store.NewKey(make([]byte, store.KeySize))
	must(t, err)
	must(t, st.Unlock(t.Context(), []*store.Key{key}, shelf.Secrets(shelf.Kinds)))
	u, err := st.CreateUser(t.Context(), store.User{Name: testUser, Password: testHash(), Created: time.Unix(1_000_000_000, 0)})
	must(t, err)
	d := &desk{t: t, store: st, fleet: newFleet(t, st), logs: &logbook{}, from: "192.0.2.1:4711"}
	files, err := depot.Open(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, files.Close()) })
	reports, err := diagnosis.Open(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, reports.Close()) })
	shelves, err := shelf.Open(t.Context(), st, shelf.Kinds, nil)
	must(t, err)
	records, err := st.Sensors(t.Context())
	must(t, err)
	must(t, shelves.Change(t.Context(), shelf.Author{}, func(c *shelf.Change) error {
		return errors.Join(people.Seed(c, []store.User{u}), sensors.Seed(c, records, d.fleet.catalogue), setting.Seed(c))
	}))
	d.api = newServer(d.fleet, st, Options{
		Shelves: shelves, Files: files, Sealer: testSealer{}, Hostname: "server.example.org", Certificates: testCertificates(t),
		Reports: reports, Version: "1.2.3", Metrics: prometheus.NewRegistry(),
		Log: slog.New(slog.NewTextHandler(d.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	d.session = d.begun(time.Now(), u)
	return d
}

// A logbook is read while what goes on in the background still writes.
type logbook struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// send makes a request; headers are pairs.
func (d *desk) send(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(d.t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr = d.from
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.api.ServeHTTP(w, r)
	theContract.hold(d.t, d.api, r, w)
	return w
}

// call is send with the desk's session.
func (d *desk) call(method, path, body string) *httptest.ResponseRecorder {
	return d.send(method, path, body, "session", d.session)
}

// want checks an answer as a whole.
func (d *desk) want(w *httptest.ResponseRecorder, status int, body string) {
	d.t.Helper()
	if got := strings.TrimSpace(w.Body.String()); w.Code != status || got != body {
		d.t.Errorf("answer is %d %s\nwant         %d %s", w.Code, got, status, body)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/json" {
		d.t.Errorf("Content-Type is %q, want exactly application/json", ct)
	}
}

// data reads the data of an answer that must be a success.
func data[T any](t testing.TB, w *httptest.ResponseRecorder) T {
	t.Helper()
	var out struct {
		Data T `json:"data"`
	}
	dec := json.NewDecoder(w.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil || w.Code != http.StatusOK {
		t.Fatalf("answer is %d and not data: %v", w.Code, err)
	}
	return out.Data
}

// ask asks a question by its text.
func (d *desk) ask(text string) uint64 {
	d.t.Helper()
	body, err := json.Marshal(map[string]string{"query_text": text})
	must(d.t, err)
	w := d.call("POST", "/api/v2/questions", string(body))
	if w.Code != http.StatusOK {
		d.t.Fatalf("%s: %d %s", text, w.Code, w.Body)
	}
	return data[idObject](d.t, w).ID
}

// UnmarshalJSON lets tests read answers back.
func (t *isoTime) UnmarshalJSON(b []byte) error {
	at, err := time.Parse(`"2006-01-02T15:04:05Z"`, string(b))
	if string(b) != never {
		*t = isoTime(at)
	}
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A failer is a test of whatever kind.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func same[T any](t failer, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("-want +got\n%s", d)
	}
}
