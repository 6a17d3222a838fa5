package cli

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"catenary/internal/boundary"
	"catenary/internal/value"
)

// A fleet is a small server in memory with machines that answer at once,
// except for those that are asleep. It understands questions of the form
// "Get A and B from all machines".
type fleet struct {
	*httptest.Server

	mu        sync.Mutex // guards the fields below
	changed   chan struct{}
	machines  []machine
	sensors   []sensorObject
	questions []fakeQuestion
	sessions  map[string]bool
	tokens    map[int64]string
	banner    string // before a login
	drops     int    // so many event streams break off after their first event
	status    []map[string]any
	accounts  map[string]map[string]any // by the ID of their question
	findings  []any
	repeats   int      // how often questions were asked again
	restarts  bool     // each drop is because the server ends
	busy      bool     // no event stream is served
	offline   int      // machines that are not expected
	calls     []string // "GET /path", in order
	subnets   map[boundary.Kind][]subnetObject
	mask      map[string]any
	objects   map[string][]map[string]any // by path

	heard func() // called when a question's progress was told, if set before
}

type machine struct {
	name   string
	values map[string][]string // by sensor
	asleep bool
}

type fakeQuestion struct {
	text    string
	sensors []sensorObject
	expire  int
	ended   bool
	asked   time.Time
}

const (
	fakeUser     = "ada"
	fakePassword = "correct horse"
)

func newFleet(t testing.TB) *fleet {
	f := &fleet{
		changed:  make(chan struct{}),
		sessions: map[string]bool{},
		subnets:  map[boundary.Kind][]subnetObject{},
		mask:     map[string]any{"address_prefix_ipv4": 24, "address_prefix_ipv6": 64, "carrier_nat_flag": false},
		tokens:   map[int64]string{1: "token-00ff"},
		sensors: []sensorObject{
			{Name: "Computer Name", ValueType: "String", Category: "Reserved", Description: "Name of the computer", MaxAgeSeconds: 3600},
			{Name: "Free Memory", ValueType: "DataSize", Category: "Hardware", MaxAgeSeconds: 60},
			{Name: "Uptime Days", ValueType: "NumericInteger", Category: "Hardware", MaxAgeSeconds: 600},
		},
		machines: []machine{
			{name: "alpha", values: map[string][]string{"Free Memory": {"512MB"}, "Uptime Days": {"3"}}},
			{name: "beta", values: map[string][]string{"Free Memory": {"512MB"}, "Uptime Days": {"12"}}},
			{name: "gamma", values: map[string][]string{"Free Memory": {"2GB"}, "Uptime Days": {"7"}}},
			{name: "delta", values: map[string][]string{"Free Memory": {"512MB"}, "Uptime Days": {"3"}}},
		},
	}
	for i := range f.machines {
		f.machines[i].values["Computer Name"] = []string{f.machines[i].name}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/session/login", f.logIn)
	mux.HandleFunc("GET /api/v2/session/pre_login_text", f.preLogin)
	mux.HandleFunc("POST /api/v2/session/certificate", f.logInByCertificate)
	mux.HandleFunc("POST /api/v2/session/logout", f.logOut)
	mux.HandleFunc("POST /api/v2/api_tokens", f.makeToken)
	mux.HandleFunc("DELETE /api/v2/api_tokens/{id}", f.deleteToken)
	mux.HandleFunc("POST /api/v2/questions", f.ask)
	mux.HandleFunc("GET /api/v2/questions/{id}/events", f.events)
	f.serveQuestions(mux)
	mux.HandleFunc("GET /api/v2/result_data/question/{id}", f.result)
	mux.HandleFunc("GET /api/v2/sensors", f.listSensors)
	mux.HandleFunc("GET /api/v2/sensors/by-name/{name}", f.sensorByName)
	mux.HandleFunc("POST /api/v2/sensors", f.createSensor)
	mux.HandleFunc("GET /api/v2/system_status", f.systemStatus)
	f.serveSubnets(mux)
	f.serveObjects(mux)
	servePeople(mux)
	f.serveSensing(mux)
	f.serveAnswers(mux)
	serveGroups(mux)
	f.serveCertificates(mux)
	f.serveDiagnostics(mux)
	f.serveContent(mux)
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.calls = append(f.calls, r.Method+" "+r.URL.Path)
		f.mu.Unlock()
		if r.URL.Path != "/api/v2/session/login" && r.URL.Path != "/api/v2/session/pre_login_text" && r.URL.Path != "/api/v2/session/certificate" && !f.known(r.Header.Get("session")) {
			refuse(w, http.StatusForbidden, "Invalid session")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	f.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it
	f.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

// caFile writes the server's certificate to a file.
func (f *fleet) caFile(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// change alters the fleet and tells all event streams.
func (f *fleet) change(alter func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	alter()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fleet) sleep(names ...string) {
	f.change(func() {
		for i, m := range f.machines {
			f.machines[i].asleep = slices.Contains(names, m.name)
		}
	})
}

func (f *fleet) known(session string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sessions[session] {
		return true
	}
	for _, token := range f.tokens {
		if token == session {
			return true
		}
	}
	return false
}

func reply(w http.ResponseWriter, data any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(map[string]any{"data": data}); err != nil {
		panic(err)
	}
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(map[string]any{"text": text}); err != nil {
		panic(err)
	}
}

func read[T any](w http.ResponseWriter, r *http.Request) (in T, ok bool) {
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return in, false
	}
	return in, true
}

func (f *fleet) logIn(w http.ResponseWriter, r *http.Request) {
	in, ok := read[struct{ Username, Password string }](w, r)
	if !ok {
		return
	}
	if in.Username != fakeUser || in.Password != fakePassword {
		refuse(w, http.StatusForbidden, "Wrong user name or password")
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	session := fmt.Sprintf("1-%d-aa", len(f.calls))
	f.sessions[session] = true
	reply(w, map[string]string{"session": session})
}

// logInByCertificate lets in everybody whose certificate is Ada's.
func (f *fleet) logInByCertificate(w http.ResponseWriter, r *http.Request) {
	if certs := r.TLS.PeerCertificates; len(certs) == 0 || certs[0].Subject.CommonName != "Ada" {
		refuse(w, http.StatusUnauthorized, "Unauthorized: no certificate of Ada's")
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions["1-1-card"] = true
	reply(w, map[string]string{"session": "1-1-card"})
}

func (f *fleet) preLogin(w http.ResponseWriter, _ *http.Request) {
	if f.banner == "?" { // of a server that knows no such text
		refuse(w, http.StatusBadRequest, "Invalid object route: session")
		return
	}
	reply(w, map[string]string{"text": f.banner})
}

func (f *fleet) logOut(w http.ResponseWriter, r *http.Request) {
	in, ok := read[struct{ Session string }](w, r)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sessions, in.Session)
	reply(w, in)
}

func (f *fleet) makeToken(w http.ResponseWriter, r *http.Request) {
	in, ok := read[apiToken](w, r)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	in.ID = int64(len(f.calls))
	in.Token = fmt.Sprintf("token-%04x", in.ID)
	f.tokens[in.ID] = in.Token
	reply(w, in)
}

func (f *fleet) deleteToken(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.tokens[id]; err != nil || !ok {
		refuse(w, http.StatusNotFound, "APITokenNotFound")
		return
	}
	delete(f.tokens, id)
	reply(w, map[string]any{"id": id, "deleted_flag": 1})
}

func (f *fleet) ask(w http.ResponseWriter, r *http.Request) {
	in, ok := read[newQuestion](w, r)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	q := fakeQuestion{text: in.Text, expire: in.Expire}
	what := strings.TrimSuffix(strings.TrimPrefix(in.Text, "Get "), " from all machines")
	if what != "number of machines" {
		for _, name := range strings.Split(what, " and ") {
			i := slices.IndexFunc(f.sensors, func(s sensorObject) bool { return strings.EqualFold(s.Name, name) })
			if i < 0 {
				column := len([]rune(in.Text[:strings.Index(in.Text, name)])) + 1
				refuse(w, http.StatusBadRequest, fmt.Sprintf("column %d: %q is not a sensor; did you mean %q?", column, name, f.sensors[0].Name))
				return
			}
			q.sensors = append(q.sensors, f.sensors[i])
		}
	}
	f.questions = append(f.questions, q)
	reply(w, map[string]int{"id": len(f.questions)})
}

// question returns a question and how far it has come. It is called with mu
// held.
func (f *fleet) question(r *http.Request) (fakeQuestion, progress, bool) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 1 || id > len(f.questions) {
		return fakeQuestion{}, progress{}, false
	}
	p := progress{Expected: len(f.machines) - f.offline, Offline: f.offline, Repeated: f.repeats}
	for _, m := range f.machines {
		if !m.asleep {
			p.Answered++
		}
	}
	p.Passed, p.Reports = p.Answered, p.Answered
	return f.questions[id-1], p, true
}

func (f *fleet) events(w http.ResponseWriter, r *http.Request) {
	for greeted := false; ; greeted = true {
		f.mu.Lock()
		q, p, ok := f.question(r)
		changed := f.changed
		drop := f.drops > 0
		if drop {
			f.drops--
			if f.restarts {
				f.repeats++
			}
		}
		busy := f.busy
		f.mu.Unlock()
		if busy {
			refuse(w, http.StatusServiceUnavailable, "too many streams")
			return
		}
		if !ok {
			refuse(w, http.StatusNotFound, "QuestionNotFound")
			return
		}
		if !greeted {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, ": hello\n\n")
		}
		data, err := json.Marshal(p)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(w, "event: progress\ndata: %s\n\n", data)
		if drop {
			return
		}
		fmt.Fprintf(w, "event: rows\ndata: %s\n\n", strings.Repeat("x", 2*eventMax))
		if p.complete() || q.ended {
			reason := map[bool]string{true: "complete", false: "expired"}[p.complete()]
			fmt.Fprintf(w, "event: end\ndata: {\"reason\":%q}\n\n", reason)
			return
		}
		w.(http.Flusher).Flush()
		if f.heard != nil {
			f.heard()
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func (f *fleet) result(w http.ResponseWriter, r *http.Request) {
	if exports(w, r) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	q, p, ok := f.question(r)
	if !ok {
		refuse(w, http.StatusNotFound, "QuestionNotFound")
		return
	}
	type text struct {
		Text string `json:"text"`
	}
	type row struct {
		ID   int      `json:"id"`
		Data [][]text `json:"data"`
	}
	columns := []map[string]any{}
	for _, s := range q.sensors {
		typ, _ := value.ParseType(s.ValueType)
		columns = append(columns, map[string]any{"hash": 7, "name": s.Name, "type": typ})
	}
	columns = append(columns, map[string]any{"hash": 0, "name": "Count", "type": 3})
	counts, rows := map[string]int{}, map[string][][]text{}
	for _, m := range f.machines {
		if m.asleep {
			continue
		}
		data := [][]text{}
		for _, s := range q.sensors {
			var c []text
			for _, v := range m.values[s.Name] {
				c = append(c, text{v})
			}
			data = append(data, c)
		}
		key := fmt.Sprint(data)
		counts[key]++
		rows[key] = data
	}
	var out []row
	for key, data := range rows {
		out = append(out, row{ID: len(out), Data: append(data, []text{{strconv.Itoa(counts[key])}})})
	}
	set := map[string]any{
		"columns": columns, "rows": out, "cache_id": "1",
		"estimated_total": p.Expected, "mr_tested": p.Answered, "passed": p.Passed, "report_count": p.Reports,
		"offline_count": p.Offline, "repeat_count": p.Repeated,
	}
	reply(w, map[string]any{"now": "2026/11/22 01:30:00 GMT-0000", "result_sets": []any{set}})
}

func (f *fleet) listSensors(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []any{}
	for _, s := range f.sensors {
		list = append(list, s)
	}
	reply(w, append(list, map[string]any{"cache_id": 1, "page_row_count": len(f.sensors), "errors": []any{}}))
}

func (f *fleet) sensorByName(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sensors {
		if strings.EqualFold(s.Name, r.PathValue("name")) {
			reply(w, s)
			return
		}
	}
	refuse(w, http.StatusNotFound, "REST Object Not Found Exception:  SensorNotFound: The requested sensor was not found")
}

func (f *fleet) createSensor(w http.ResponseWriter, r *http.Request) {
	in, ok := read[sensorObject](w, r)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.ContainsFunc(f.sensors, func(s sensorObject) bool { return strings.EqualFold(s.Name, in.Name) }) {
		refuse(w, http.StatusBadRequest, "SensorNameAlreadyExists")
		return
	}
	f.sensors = append(f.sensors, in)
	reply(w, map[string]int{"id": len(f.sensors)})
}

func (f *fleet) systemStatus(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []any{}
	for _, s := range f.status {
		list = append(list, s)
	}
	list = append(list, map[string]any{"leader_count": 2, "versions": []any{}}, map[string]any{"cache_id": 1, "errors": []any{}})
	reply(w, list)
}
