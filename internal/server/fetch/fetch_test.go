package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/depot"
)

// quick are limits for tests: what is too long takes moments.
var quick = Limits{
	Files: 2, Bytes: 1 << 20, Head: 300 * time.Millisecond, Idle: 300 * time.Millisecond, Whole: 20 * time.Second, Hops: 3,
	First: 5 * time.Millisecond, Most: 50 * time.Millisecond, Listed: time.Minute,
}

// A bench is a Fetcher with a source of its own.
type bench struct {
	*testing.T
	*Fetcher
	depot  *depot.Depot
	source *httptest.Server

	mu      sync.Mutex // guards the fields below
	serve   http.HandlerFunc
	asked   int
	files   []File
	allowed []string
	ways    Ways
	learned map[int64]depot.Hash
}

// newBench starts a Fetcher; it may use its source unless told otherwise.
func newBench(t *testing.T, limits Limits, secure bool) *bench {
	t.Helper()
	d, err := depot.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, depot: d, learned: map[int64]depot.Hash{}}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.asked++
		serve := b.serve
		b.mu.Unlock()
		serve(w, r)
	})
	roots := x509.NewCertPool()
	if secure {
		b.source = httptest.NewTLSServer(h)
		roots.AddCert(b.source.Certificate())
	} else {
		b.source = httptest.NewServer(h)
	}
	b.allowed = []string{`https?://127\.0\.0\.1:\d+/.*`}
	b.Fetcher = New(Config{
		Depot: d, Limits: limits, Roots: roots, Log: slog.New(slog.DiscardHandler),
		Files:   func() []File { return locked(b, func() []File { return slices.Clone(b.files) }) },
		Allowed: func() []string { return locked(b, func() []string { return b.allowed }) },
		Ways:    func() Ways { return locked(b, func() Ways { return b.ways }) },
		Fetched: func(_ context.Context, f File, h depot.Hash, size int64) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.learned[f.ID] = h
			for i := range b.files {
				if b.files[i].ID == f.ID {
					b.files[i].Hash, b.files[i].Size, b.files[i].Learned = h, size, true
				}
			}
			return nil
		},
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Fetcher.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		b.source.CloseClientConnections()
		b.source.Close()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func locked[T any](b *bench, f func() T) T {
	b.mu.Lock()
	defer b.mu.Unlock()
	return f()
}

// want lets the Fetcher want files from a source that answers with h.
func (b *bench) want(h http.HandlerFunc, files ...File) {
	b.mu.Lock()
	b.serve, b.files = h, files
	for i := range files {
		if strings.HasPrefix(files[i].Source, "/") {
			b.files[i].Source = b.source.URL + files[i].Source
		}
	}
	b.mu.Unlock()
	b.Look()
}

// until waits for a state of a file.
func (b *bench) until(id int64, what string, ok func(State) bool) State {
	b.Helper()
	for end := time.Now().Add(15 * time.Second); ; {
		if s := b.State(id); ok(s) {
			return s
		} else if time.Now().After(end) {
			b.Fatalf("file %d is not %s: %+v", id, what, s)
		}
		<-time.After(time.Millisecond)
	}
}

func done(s State) bool { return !s.Busy && s.Status == OK }
func failedWith(status int) func(State) bool {
	return func(s State) bool { return s.Failure != "" && s.Status == status }
}

func hashOf(text string) depot.Hash {
	sum := sha256.Sum256([]byte(text))
	return depot.Hash(hex.EncodeToString(sum[:]))
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

func (b *bench) holds(text string) {
	b.Helper()
	f, err := b.depot.Open(hashOf(text))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if is, err := io.ReadAll(f); err != nil || string(is) != text {
		b.Errorf("the depot has %.80q, %v", is, err)
	}
}

// TestFetch: a file comes, over http and https, with a hash that is known and
// with one that is learned.
func TestFetch(t *testing.T) {
	for _, secure := range []bool{false, true} {
		b := newBench(t, quick, secure)
		b.want(says("hello"), File{ID: 1, Source: "/a", Hash: hashOf("hello"), Size: 5}, File{ID: 2, Source: "/b"})
		for id := range int64(2) {
			if s := b.until(id+1, "fetched", done); s.Downloaded != 5 || s.Total != 5 || s.Started.IsZero() || s.Progress.IsZero() {
				t.Errorf("%+v", s)
			}
		}
		b.holds("hello")
		if got := locked(b, func() string { return fmt.Sprint(b.learned) }); got != fmt.Sprint(map[int64]depot.Hash{2: hashOf("hello")}) {
			t.Errorf("learned %s", got)
		}
	}
}

// TestFetchFails: each way to fail has its status; when the source is healed, the
// file comes by itself, and nothing of what was wrong is kept.
func TestFetchFails(t *testing.T) {
	for name, tt := range map[string]struct {
		serve  http.HandlerFunc
		status int
		says   string
	}{
		"missing":    {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, 404, "the source answers 404 Not Found"},
		"busy":       {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, 503, "the source answers 503"},
		"no body":    {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, 204, "the source answers 204"},
		"not asked":  {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(304) }, 304, "the source answers 304"},
		"wrong hash": {says("hellO"), WrongHash, "and not " + string(hashOf("hello"))},
		"silent":     {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, TooSlow, "too slow"},
		"slow": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "he")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, TooSlow, "too slow"},
		"broken off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "he")
			panic(http.ErrAbortHandler)
		}, Unreachable, "EOF"},
		"says it is huge": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "6")
			io.WriteString(w, "hello!")
		}, TooLarge, "6 bytes, more than 5"},
		"is huge": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, TooLarge, "more bytes than the file has"},
		"in circles": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) }, Misled, "sends on more than 3 times"},
		"to a file": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, NotAllowed, "no http or https address"},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.2:1/x", http.StatusFound)
		}, NotAllowed, "no allowed URL matches http://127.0.0.2:1/x"},
		"nobody home": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/x", http.StatusFound)
		}, Unreachable, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, quick, false)
			b.want(tt.serve, File{ID: 7, Source: "/f", Hash: hashOf("hello"), Size: 5})
			s := b.until(7, "failed", failedWith(tt.status))
			if !strings.Contains(s.Failure, tt.says) {
				t.Errorf("says %q", s.Failure)
			}
			if n, bytes := b.depot.Usage(); n != 0 || bytes != 0 {
				t.Errorf("%d files with %d bytes are kept", n, bytes)
			}
			b.mu.Lock()
			b.serve = says("hello")
			b.mu.Unlock()
			b.until(7, "fetched at last", done)
			b.holds("hello")
		})
	}
}

// TestHTTPSIsKept: nobody is sent on from https to http, nor to a server whose
// certificate nobody vouches for.
func TestHTTPSIsKept(t *testing.T) {
	plain := httptest.NewServer(says("x"))
	defer plain.Close()
	b := newBench(t, quick, true)
	b.want(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) }, File{ID: 1, Source: "/a"})
	b.until(1, "refused", failedWith(Misled))

	other := newBench(t, quick, true)
	other.Fetcher.cfg.Roots.AddCert(b.source.Certificate())
	other.mu.Lock()
	other.allowed = append(other.allowed, `https://localhost:.*`) // which the certificate does not name
	other.mu.Unlock()
	other.want(says("x"), File{ID: 1, Source: strings.Replace(other.source.URL, "127.0.0.1", "localhost", 1) + "/"})
	if s := other.until(1, "refused", failedWith(Unreachable)); !strings.Contains(s.Failure, "certificate") {
		t.Errorf("%q", s.Failure)
	}
}

// TestLargest: a file that nobody knows is bounded too.
func TestLargest(t *testing.T) {
	limits := quick
	limits.Bytes = 1000
	b := newBench(t, limits, false)
	b.want(func(w http.ResponseWriter, r *http.Request) {
		n := 1000
		if r.URL.Path == "/more" {
			n++
		}
		w.Write(bytes.Repeat([]byte{'x'}, n))
	}, File{ID: 1, Source: "/enough"}, File{ID: 2, Source: "/more"})
	b.until(1, "fetched", done)
	b.until(2, "too large", failedWith(TooLarge))
}

// TestAllowed: with allowed URLs no other is asked, and when one is added what
// waited for it comes at once. Without any, what is special is not dialled.
func TestAllowed(t *testing.T) {
	limits := quick
	limits.First, limits.Most = time.Hour, time.Hour
	b := newBench(t, limits, false)
	for _, allowed := range [][]string{nil, {`https://example\.org/.*`}, {`.*`}, {`http://127\.0\.0\.1/?`}, {`.*example.*`}} {
		b.mu.Lock()
		b.allowed = allowed
		b.mu.Unlock()
		b.want(says("x"), File{ID: int64(len(fmt.Sprint(allowed))), Source: "/?https://example.org/x"})
		b.until(int64(len(fmt.Sprint(allowed))), fmt.Sprint("refused with ", allowed), failedWith(NotAllowed))
	}
	if n := locked(b, func() int { return b.asked }); n != 0 {
		t.Errorf("the source was asked %d times", n)
	}
	b.mu.Lock()
	b.allowed = []string{`http://127\.0\.0\.1:\d+/.*`}
	b.mu.Unlock()
	b.Look()
	b.until(int64(len(fmt.Sprint([]string{`.*example.*`}))), "fetched", done)
}

// TestLooksAgain: a file that may change is looked at again, for what it had no
// more is sent, and another one takes its place.
func TestLooksAgain(t *testing.T) {
	b := newBench(t, quick, false)
	var text, unchanged = "one", 0
	var mu sync.Mutex
	b.want(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("ETag", `"`+text+`"`)
		if r.Header.Get("If-None-Match") == `"`+text+`"` {
			unchanged++
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, text)
	}, File{ID: 1, Source: "/a", Every: 20 * time.Millisecond})
	b.until(1, "looked at again", func(State) bool { mu.Lock(); defer mu.Unlock(); return unchanged > 2 })
	mu.Lock()
	text = "two"
	mu.Unlock()
	b.until(1, "renewed", func(State) bool { return locked(b, func() bool { return b.learned[1] == hashOf("two") }) })
	b.holds("two")
}

// TestAgain: who asks for it gets a file now that waits for its time.
func TestAgain(t *testing.T) {
	limits := quick
	limits.First, limits.Most = time.Hour, time.Hour
	b := newBench(t, limits, false)
	b.want(func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, File{ID: 1, Source: "/a"})
	s := b.until(1, "failed", failedWith(404))
	if d := time.Until(s.Next); d < 50*time.Minute {
		t.Errorf("it is tried again in %v", d)
	}
	b.mu.Lock()
	b.serve = says("x")
	b.mu.Unlock()
	b.Again(1)
	b.until(1, "fetched", done)
	b.Again(1)
	b.until(1, "looked at", func(State) bool { return locked(b, func() bool { return b.asked == 3 }) })
}

// TestGivenUp: a fetch that nobody wants any more ends, and what is wanted
// instead begins.
func TestGivenUp(t *testing.T) {
	limits := quick
	limits.Files, limits.Head = 1, time.Hour
	b := newBench(t, limits, false)
	gone := make(chan struct{})
	b.want(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/new" {
			io.WriteString(w, "new")
			return
		}
		<-r.Context().Done()
		close(gone)
	}, File{ID: 1, Source: "/old"})
	b.until(1, "under way", func(s State) bool { return s.Busy && locked(b, func() bool { return b.asked == 1 }) })
	b.mu.Lock()
	b.files = []File{{ID: 1, Source: b.source.URL + "/new"}}
	b.mu.Unlock()
	b.Look()
	<-gone
	b.until(1, "fetched", done)
	b.holds("new")
	b.mu.Lock()
	b.files = nil
	b.mu.Unlock()
	b.Look()
	b.until(1, "forgotten", func(s State) bool { return s == State{} })
}

// TestRetryAfter: a source that is busy is left alone for as long as it says.
func TestRetryAfter(t *testing.T) {
	b := newBench(t, quick, false)
	b.want(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "1800")
		w.WriteHeader(429)
	}, File{ID: 1, Source: "/a"})
	s := b.until(1, "failed", failedWith(429))
	if d := time.Until(s.Next); d < 29*time.Minute || d > 31*time.Minute {
		t.Errorf("it is tried again in %v", d)
	}
}

// TestNotKept: what the server cannot keep is no fault of the source.
func TestNotKept(t *testing.T) {
	b := newBench(t, quick, false)
	away := true
	keep := b.Fetcher.cfg.Fetched
	var mu sync.Mutex
	b.Fetcher.cfg.Fetched = func(ctx context.Context, f File, h depot.Hash, size int64) error {
		mu.Lock()
		defer mu.Unlock()
		if away {
			return fault.New(fault.Unavailable, "the database is away")
		}
		return keep(ctx, f, h, size)
	}
	b.want(says("x"), File{ID: 1, Source: "/a"})
	b.until(1, "not kept", failedWith(NotKept))
	mu.Lock()
	away = false
	mu.Unlock()
	b.until(1, "kept", done)
}

func TestPause(t *testing.T) {
	f := New(Config{})
	for n, want := range map[int]time.Duration{0: Defaults.First, 1: 2 * Defaults.First, 3: 8 * Defaults.First, 8: time.Hour, 1000: time.Hour} {
		if got := f.pause(n); got < want || got > want+want/4 {
			t.Errorf("after %d failures %v, want %v and up to a quarter more", n, got, want)
		}
	}
}
