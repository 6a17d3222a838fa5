package fetch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A reluctant source breaks off each answer after a while.
type reluctant struct {
	mu       sync.Mutex // guards the fields below
	text     string
	tag      string // strong, weak or empty
	modified time.Time
	after    int // bytes of an answer; 0: all
	asked    []string
	sent     int // bytes
	odd      func(w http.ResponseWriter, r *http.Request) bool
}

func (s *reluctant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, strings.TrimSpace(r.Header.Get("Range")+" "+r.Header.Get("If-Range")))
	if s.odd != nil && s.odd(w, r) {
		return
	}
	if s.tag != "" {
		w.Header().Set("ETag", s.tag)
	}
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	limited := &limited{ResponseWriter: w, left: s.after, all: s.after == 0}
	http.ServeContent(limited, r, "", s.modified, strings.NewReader(s.text))
	s.sent += limited.sent
	if limited.sent < s.after || limited.all {
		return
	}
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func (s *reluctant) set(f func(s *reluctant)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

type limited struct {
	http.ResponseWriter
	left, sent int
	all        bool
}

func (l *limited) Write(b []byte) (int, error) {
	if !l.all && len(b) > l.left {
		b = b[:l.left]
	}
	n, err := l.ResponseWriter.Write(b)
	l.left -= n
	l.sent += n
	if !l.all && l.left <= 0 {
		return n, errors.New("enough")
	}
	return n, err
}

// long is a text that does not repeat itself soon.
func long(seed string) string {
	var b bytes.Buffer
	for i := 0; b.Len() < 5<<19; i++ {
		fmt.Fprintf(&b, "%s%01000d", seed, i)
	}
	return b.String()
}

// roomy are quick limits for files that are long enough to be resumed.
func roomy() Limits {
	limits := quick
	limits.Bytes, limits.Head, limits.Idle, limits.Whole = 16<<20, 10*time.Second, 10*time.Second, time.Minute
	return limits
}

// TestResume: a file of a source that breaks off comes piece by piece, if the
// source says that it is the same; else it comes as a whole or not at all.
func TestResume(t *testing.T) {
	text := long("a")
	old := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tt := range map[string]struct {
		tag      string
		modified time.Time
		resumes  string // with which If-Range
	}{
		"tag":          {`"v1"`, time.Time{}, `"v1"`},
		"tag and time": {`"v1"`, old, `"v1"`},
		"time":         {"", old, old.Format(http.TimeFormat)},
		"weak tag":     {`W/"v1"`, time.Time{}, ""},
		"new":          {"", time.Now(), ""},
		"nothing":      {"", time.Time{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, roomy(), false)
			s := &reluctant{text: text, tag: tt.tag, modified: tt.modified, after: 9 << 17}
			b.want(s.ServeHTTP, File{ID: 1, Source: "/a", Hash: hashOf(text), Size: int64(len(text))})
			if tt.resumes == "" {
				b.until(1, "asked for again", func(State) bool { return locked(b, func() bool { return b.asked > 2 }) })
				s.set(func(s *reluctant) {
					if slices.ContainsFunc(s.asked, func(a string) bool { return a != "" }) {
						t.Errorf("asked for %q", s.asked)
					}
					s.after = 0
				})
				b.until(1, "fetched", done)
				return
			}
			if st := b.until(1, "fetched", done); st.Downloaded != int64(len(text)) || st.Total != st.Downloaded {
				t.Errorf("it is %+v of %d", st, len(text))
			}
			b.holds(text)
			s.set(func(s *reluctant) {
				first, last, both := strings.Cut(s.asked[len(s.asked)-1], " ")
				if len(s.asked) < 3 || s.asked[0] != "" || !strings.HasPrefix(first, "bytes=") || !both || last != tt.resumes {
					t.Errorf("asked for %q", s.asked)
				}
				if s.sent != len(text) {
					t.Errorf("%d bytes were sent of %d", s.sent, len(text))
				}
			})
		})
	}
}

// TestResumeOfAnother: what has changed meanwhile comes afresh, also from a source
// that does not see it, or that sends something else than it was asked for.
func TestResumeOfAnother(t *testing.T) {
	one, two := long("a"), long("b")
	rest := func(w http.ResponseWriter, r *http.Request, said string) bool {
		if r.Header.Get("Range") == "" {
			return false
		}
		var from int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err != nil {
			panic(err)
		}
		said = strings.NewReplacer("FROM", fmt.Sprint(from), "LAST", fmt.Sprint(len(two)-1), "SIZE", fmt.Sprint(len(two))).Replace(said)
		w.Header().Set("Content-Range", said)
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, two[from:])
		return true
	}
	for name, odd := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"honest":  nil,
		"blind":   func(w http.ResponseWriter, r *http.Request) bool { return rest(w, r, "bytes FROM-LAST/SIZE") },
		"unsaid":  func(w http.ResponseWriter, r *http.Request) bool { return rest(w, r, "") },
		"other":   func(w http.ResponseWriter, r *http.Request) bool { return rest(w, r, "bytes 0-LAST/SIZE") },
		"not all": func(w http.ResponseWriter, r *http.Request) bool { return rest(w, r, "bytes FROM-LAST/99999999") },
		"new tag": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("ETag", `"v2"`)
			return rest(w, r, "bytes FROM-LAST/SIZE")
		},
		"unsatisfied": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Range") == "" {
				return false
			}
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, roomy(), false)
			s := &reluctant{text: one, tag: `"v1"`, after: 9 << 17}
			gate := make(chan bool)
			open := sync.OnceFunc(func() { close(gate) })
			t.Cleanup(open)
			b.want(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Range") != "" {
					<-gate
				}
				s.ServeHTTP(w, r)
			}, File{ID: 1, Source: "/a", Hash: hashOf(two), Size: int64(len(two))})
			b.until(1, "asked for again", func(State) bool { return locked(b, func() bool { return b.asked == 2 }) })
			s.set(func(s *reluctant) { s.text, s.tag, s.after, s.odd = two, `"v2"`, 0, odd })
			open()
			b.until(1, "fetched", done)
			b.holds(two)
			s.set(func(s *reluctant) {
				if len(s.asked) > 3 || !strings.HasPrefix(s.asked[1], "bytes=") {
					t.Errorf("asked for %q", s.asked)
				}
			})
		})
	}
}
