package api

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
)

// access is who a route answers.
type access uint8

const (
	withSession access = iota // who sends a session or token string
	fromHere                  // whoever asks from this machine, others with a session
	anyone
)

// A route is one thing that programs can ask for.
type route struct {
	method string
	path   string
	access access
	right  rights.Privilege // what the caller needs, within at least one content set
	serve  service
}

// routes is every route there is; the mux and the tests are made from it.
func (s *server) routes() []route {
	const v2 = "/api/v2/"
	logIn := post(openMax, s.sessionLogin)
	return slices.Concat(s.subnetRoutes(), s.memberRoutes(), s.findingRoutes(), s.resultRoutes(), s.sensingRoutes(), s.objectRoutes(), s.installationRoutes(), s.diagnosisRoutes(), s.certificateRoutes(), s.laterRoutes(), s.trustRoutes(), s.rightsRoutes(), s.moveRoutes(), s.auditRoutes(), s.sensorRoutes(), s.savedRoutes(), s.copyRoutes(), s.fileRoutes(), s.contentRoutes(), s.historyRoutes(), s.actionRoutes(), s.pluginRoutes(), s.signatureRoutes(), s.factorRoutes(), s.connectorRoutes(), s.oidcRoutes(), s.samlRoutes(), s.passkeyRoutes(), s.cardRoutes(), s.scimRoutes(), s.scimServerRoutes(), []route{
		{"POST", v2 + "session/login", anyone, rights.None, logIn},
		{"GET", v2 + "session/login", anyone, rights.None, logIn}, // with a body, as an old program does
		{"GET", v2 + "session/pre_login_text", anyone, rights.None, get(s.preLogin)},
		{"POST", v2 + "session/validate", anyone, rights.None, postSpared(openMax, s.sessionValidate)},
		{"POST", v2 + "session/logout", anyone, rights.None, postSpared(openMax, s.sessionLogout)},
		{"GET", v2 + "session/current", withSession, rights.None, get(s.sessionCurrent)},
		{"POST", "/auth", anyone, rights.None, get(s.auth)},
		{"GET", "/auth", anyone, rights.None, get(s.auth)},

		{"GET", v2 + "api_tokens", withSession, rights.None, get(s.listTokens)},
		{"POST", v2 + "api_tokens", withSession, rights.None, post(bodyMax, s.createToken)},
		{"PATCH", v2 + "api_tokens", withSession, rights.None, post(bodyMax, s.rotateToken)},
		{"GET", v2 + "api_tokens/{id}", withSession, rights.None, get(s.showToken)},
		{"DELETE", v2 + "api_tokens/{id}", withSession, rights.None, get(s.deleteToken)},

		{"POST", v2 + "parse_question", withSession, rights.AskDynamicQuestion, post(bodyMax, s.parseQuestion)},
		{"GET", v2 + "questions", withSession, rights.AskDynamicQuestion, answers[[]questionObject](s.listQuestions)},
		{"POST", v2 + "questions", withSession, rights.AskDynamicQuestion, post(bodyMax, s.createQuestion)},
		{"GET", v2 + "questions/{id}", withSession, rights.AskDynamicQuestion, get(s.showQuestion)},
		{"GET", v2 + "questions/{id}/events", withSession, rights.AskDynamicQuestion, handler(s.questionEvents)},
		{"GET", v2 + "questions/{id}/account", withSession, rights.AskDynamicQuestion, get(s.questionAccount)},

		{"GET", v2 + "system_status", withSession, rights.ReadSystemStatus, handler(s.systemStatus)},
		{"GET", v2 + "client_count", withSession, rights.None, get(s.clientCount)},

		{"GET", "/openapi.json", anyone, rights.None, handler(s.serveOpenAPI)},
		{"GET", "/metrics", fromHere, rights.ReadServerStatus, handler(s.serveMetrics)},
		s.wsdlRoute(),
		{"GET", "/config/console.json", anyone, rights.None, get(s.consoleConfig)},
		{"GET", "/info.json", withSession, rights.ReadServerStatus, get(s.info)},
	})
}

// newMux routes by path here and by method in choose, so that a wrong method,
// too, is answered in JSON.
func (s *server) newMux(routes []route) *http.ServeMux {
	byPattern := map[string]map[string][]route{}
	for _, rt := range routes {
		pattern, part := patternOf(rt.path)
		if byPattern[pattern] == nil {
			byPattern[pattern] = map[string][]route{}
		}
		byPattern[pattern][part] = append(byPattern[pattern][part], rt)
	}
	mux := http.NewServeMux()
	for pattern, parts := range byPattern {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			same := parts[r.PathValue("part")]
			if same == nil {
				s.refuse(w, r, "unknown", unknownRoute(r.URL.Path))
				return
			}
			s.choose(w, r, same[0].path, same)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, "unknown", unknownRoute(r.URL.Path))
	})
	return mux
}

// patternOf is what the mux knows a path by. To it users/{id}/metadata and
// users/by-name/{name} contradict each other; users/{id}/{part} and the latter do
// not.
func patternOf(path string) (pattern, part string) {
	i := strings.LastIndexByte(path, '/')
	if last := path[i+1:]; strings.HasSuffix(path[:i], "/{id}") && !strings.HasPrefix(last, "{") {
		return path[:i] + "/{part}", last
	}
	return path, ""
}

// ServeHTTP is the edge: what comes in here is answered in our form, whatever
// happens.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ResponseWriter: w, begun: time.Now()}
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			s.crashed(rec, r, p)
		}
		s.figures.count(rec)
		s.log.DebugContext(r.Context(), "request answered", "request", rec.Header().Get(requestHeader), "remote", r.RemoteAddr,
			"route", rec.route, "status", rec.status, "took", time.Since(rec.begun))
		if p == http.ErrAbortHandler {
			panic(p) // net/http closes the connection, so that the caller sees that something is missing
		}
	}()
	guardBrowsers(rec.Header())
	rec.Header().Set(requestHeader, requestID(r))
	tidy, ok := tidyPath(r.URL)
	if !ok {
		s.refuse(rec, r, "unknown", unknownRoute(r.URL.Path))
		return
	}
	r = r.Clone(r.Context())
	r.URL = tidy
	s.mux.ServeHTTP(rec, r)
}

// requestHeader is by what an answer, and what the log says of it, can be found
// again.
const requestHeader = "X-Request-Id"

var requestForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID is what the caller calls the request, or else a name of ours.
func requestID(r *http.Request) string {
	if id := r.Header.Get(requestHeader); requestForm.MatchString(id) {
		return id
	}
	return fmt.Sprintf("%016x", rand.Uint64())
}

// crashed reports a bug in a handler: to us in full, and to the caller if
// nothing was sent yet.
func (s *server) crashed(rec *recorder, r *http.Request, p any) {
	err := fault.New(fault.Internal, "crash: %v\n%s", p, debug.Stack())
	if rec.status == 0 {
		s.refuse(rec, r, "crash", err)
		return
	}
	s.log.ErrorContext(r.Context(), "answer broke off", "request", rec.Header().Get(requestHeader), "reason", err, "remote", r.RemoteAddr, "method", r.Method, "route", rec.route)
}

// choose finds the route for the method, asks who calls, and serves.
func (s *server) choose(w http.ResponseWriter, r *http.Request, path string, routes []route) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	i := slices.IndexFunc(routes, func(rt route) bool { return rt.method == method })
	if i < 0 {
		var allowed []string
		for _, rt := range routes {
			allowed = append(allowed, rt.method)
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		s.refuse(w, r, path, refusal{http.StatusMethodNotAllowed, fault.New(fault.Invalid, "%s is not possible here; possible: %s", r.Method, strings.Join(allowed, ", "))})
		return
	}
	rt := routes[i]
	if rec, ok := w.(*recorder); ok {
		rec.route = rt.method + " " + rt.path
	}
	c := call{Request: r, origin: s.caller(r), large: &place{free: s.large}}
	defer c.large.leave()
	if c.style().Pretty {
		w = &indenter{ResponseWriter: w}
	}
	if rt.access == withSession || rt.access == fromHere && !isLocal(r) {
		changes := s.openings.seen()
		u, err := s.authenticate(r.Context(), secret(r.Header.Get("session")), s.tokenAddress(r))
		if err != nil {
			s.refuse(w, r, path, err)
			return
		}
		c.user, c.rights = u, s.rightsOf(u)
		if rt.outlasts() {
			c.opening = s.opens(w, &c, changes)
			defer c.opening.close()
		}
		if !c.rights.MayAnywhere(rt.right) {
			s.refuse(w, r, path, insufficient(rt.right))
			return
		}
		leave, err := s.admit(w, r, rt, lane{u.ID, strings.HasPrefix(r.Header.Get("session"), tokenPrefix)})
		if err != nil {
			s.refuse(w, r, path, err)
			return
		}
		defer leave()
	}
	err := c.opening.handle(w, c, rt.serve)
	if errors.Is(err, errCut) {
		s.log.InfoContext(r.Context(), "answer broken off", "reason", err, "remote", r.RemoteAddr, "route", path)
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		s.refuse(w, r, path, err)
	}
}

// isLocal reports whether a request comes from this very machine. One that
// passed a proxy on this machine comes from elsewhere.
func isLocal(r *http.Request) bool {
	return remote(r).IsLoopback() && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == ""
}

// refuse answers with an error, and notes it: the only place that does either.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, path string, err error) {
	status, text := statusOf(err)
	level, reason := slog.LevelInfo, text
	if status == http.StatusInternalServerError {
		level, reason = slog.LevelError, err.Error()
	}
	s.log.Log(r.Context(), level, "request refused",
		"request", w.Header().Get(requestHeader), "status", status, "reason", reason, "remote", r.RemoteAddr, "method", r.Method, "route", path)
	body := map[string]any{"text": text}
	if (call{Request: r}).style().ErrorObjects {
		body["data"] = map[string]any{"xml_error": errorObject{"Error", exceptionIn(text), text}}
	}
	if err := sendJSON(w, status, body); err != nil {
		s.log.ErrorContext(r.Context(), "refusal not sent", "err", err)
	}
}

// An errorObject is an error for programs that ask for objects.
type errorObject struct {
	Type      string `json:"type"`
	Exception string `json:"exception"`
	Context   string `json:"error_context"`
}

var exceptionName = regexp.MustCompile(`^(?:REST Object Not Found Exception: +)?([A-Z][A-Za-z]+): `)

// exceptionIn is the name of the error in a text that has one.
func exceptionIn(text string) string {
	if m := exceptionName.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return "RESTProcessingException"
}

// unknownRoute names the object type that was asked for, as programs expect.
func unknownRoute(path string) error {
	rest, ours := strings.CutPrefix(path, "/api/v2/")
	if !ours {
		return fault.New(fault.NotFound, "Invalid object route: %s", strings.TrimPrefix(path, "/"))
	}
	object, _, _ := strings.Cut(rest, "/")
	return fault.New(fault.Invalid, "Invalid object route: %s", object)
}

// tidyPath takes doubled slashes and the last slash from a path: programs
// write both. It works on the escaped form, where %2F belongs to a name. A
// path with . or .. names nothing.
func tidyPath(u *url.URL) (*url.URL, bool) {
	var b strings.Builder
	for part := range strings.SplitSeq(u.EscapedPath(), "/") {
		if part == "." || part == ".." {
			return nil, false
		}
		if part != "" {
			b.WriteString("/" + part)
		}
	}
	out := *u
	out.RawPath = b.String()
	if out.RawPath == "" {
		out.RawPath = "/"
	}
	var err error
	out.Path, err = url.PathUnescape(out.RawPath)
	return &out, err == nil
}

// A recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	begun  time.Time
	route  string
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
