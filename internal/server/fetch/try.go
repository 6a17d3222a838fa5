package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/depot"
)

// What a State's Status says, besides what HTTP says. Programs know that those
// below 100 are under way, and those above 1000 failures.
const (
	Waiting     = 2 // for the source to answer
	Downloading = 4
	OK          = 200

	Unreachable = 1001 // no connection, or it broke
	NotAllowed  = 1002 // by the allowed URLs, or an address that only these may name
	TooSlow     = 1003
	TooLarge    = 1004
	WrongHash   = 1005
	Misled      = 1006 // too many redirects, or to http
	NotKept     = 1007 // by the server: no room, or its database is away
)

// A failure is why a file was not fetched.
type failure struct {
	status int
	after  time.Duration // the source says when to come again
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func failed(status int, format string, args ...any) error {
	return &failure{status: status, err: fmt.Errorf(format, args...)}
}

var errSlow = failed(TooSlow, "the source is too slow")

// failureOf is the failure that an error is of.
func failureOf(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	status := Unreachable
	if kind := fault.KindOf(err); kind == fault.Unavailable || kind == fault.Conflict {
		status = NotKept
	}
	return &failure{status: status, err: err}
}

// A version is what a source says about the file that it has.
type version struct{ tag, modified string }

// found is what a source has.
type found struct {
	hash      depot.Hash
	size      int64
	unchanged bool // since the version that was known
	version   version
}

// A try fetches one file once.
type try struct {
	f     *Fetcher
	job   *job
	rules rules
	ways  Ways
	had   version
}

// errAfresh says that what has come before of a file is of no use.
var errAfresh = errors.New("the file has to come afresh")

// fetch asks the source, and puts what it sends into the depot.
func (t *try) fetch(ctx context.Context, file File) (got found, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer func() {
		if cause := context.Cause(ctx); err != nil && cause != nil && cause != context.Canceled {
			err = cause // and not that something was cancelled
		}
	}()
	idle := time.AfterFunc(t.f.cfg.Limits.Head, func() { stop(errSlow) })
	defer idle.Stop()
	if err := t.rules.check(file.Source); err != nil {
		return got, err
	}
	key := depot.KeyOf(fmt.Sprint(file.ID, " ", file.Source))
	got, err = t.ask(ctx, file, key, idle)
	if errors.Is(err, errAfresh) {
		if err := t.f.cfg.Depot.Forget(key); err != nil {
			return got, err
		}
		idle.Reset(t.f.cfg.Limits.Head)
		t.note(func(s *State) { s.Downloaded = 0 })
		got, err = t.ask(ctx, file, key, idle)
	}
	return got, err
}

// ask asks the source for a file, or for the rest of it. It returns errAfresh if
// the rest does not go with what has come before.
func (t *try) ask(ctx context.Context, file File, key string, idle *time.Timer) (got found, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, file.Source, nil)
	if err != nil {
		return got, failed(NotAllowed, "%w", err)
	}
	req.Header.Set("User-Agent", "Catenary")
	if t.had.tag != "" {
		req.Header.Set("If-None-Match", t.had.tag)
	}
	if t.had.modified != "" {
		req.Header.Set("If-Modified-Since", t.had.modified)
	}
	from := t.f.cfg.Depot.Beginning(key)
	if from.Size > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from.Size))
		req.Header.Set("If-Range", from.Note)
	}
	res, err := t.client().Do(req)
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	got.version = version{res.Header.Get("ETag"), res.Header.Get("Last-Modified")}
	switch {
	case res.StatusCode == http.StatusNotModified && t.had != version{}:
		got.unchanged, got.version = true, t.had
		return got, nil
	case res.StatusCode == http.StatusOK: // all of it
		from = depot.Beginning{Note: validator(res.Header)}
	case from.Size > 0 && (res.StatusCode == http.StatusRequestedRangeNotSatisfiable || res.StatusCode == http.StatusPartialContent && !isRest(res.Header, from)):
		return got, errAfresh
	case from.Size > 0 && res.StatusCode == http.StatusPartialContent:
	default:
		return got, t.refused(res)
	}
	got, err = t.take(file, got, key, from, res, idle)
	if err != nil && from.Size > 0 && failureOf(err).status == WrongHash {
		err = errors.Join(errAfresh, err)
	}
	return got, err
}

// refused is the failure that an answer says which has no file in it.
func (t *try) refused(res *http.Response) error {
	if res.StatusCode == http.StatusProxyAuthRequired {
		return proxyRefuses(res)
	}
	return &failure{status: res.StatusCode, after: retryAfter(res), err: fmt.Errorf("the source answers %s", res.Status)}
}

// lastChange is how long before it was sent a file must have changed last, so
// that its time tells it from every other that is there later.
const lastChange = time.Minute

// validator is by which a source says whether the rest of a file still goes with
// its beginning; empty: by nothing.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	sent, err2 := http.ParseTime(h.Get("Date"))
	if err != nil || err2 != nil || sent.Sub(modified) < lastChange {
		return ""
	}
	return h.Get("Last-Modified")
}

var rangeForm = regexp.MustCompile(`^bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)$`)

// isRest reports whether a part that a source sends is the rest of what has come
// before, to the end.
func isRest(h http.Header, from depot.Beginning) bool {
	if tag := h.Get("ETag"); tag != "" && strings.HasPrefix(from.Note, `"`) && tag != from.Note {
		return false
	}
	m := rangeForm.FindStringSubmatch(h.Get("Content-Range"))
	if m == nil || m[1] != strconv.FormatInt(from.Size, 10) {
		return false
	}
	last, err := strconv.ParseInt(m[2], 10, 64)
	return err == nil && (m[3] == "*" || m[3] == strconv.FormatInt(last+1, 10))
}

// take puts the body of an answer into the depot, behind what has come before.
func (t *try) take(file File, got found, key string, from depot.Beginning, res *http.Response, idle *time.Timer) (found, error) {
	limits := t.f.cfg.Limits
	most := limits.Bytes
	if file.Size > 0 && file.Hash != "" && !file.Learned {
		most = min(most, file.Size)
	}
	if from.Size+max(res.ContentLength, 0) > most {
		return got, failed(TooLarge, "the source has %d bytes, more than %d", from.Size+res.ContentLength, most)
	}
	t.note(func(s *State) {
		s.Status, s.Downloaded, s.Total = Downloading, from.Size, 0
		if res.ContentLength > 0 {
			s.Total = from.Size + res.ContentLength
		}
	})
	body := &body{r: res.Body, left: most - from.Size, read: func(n int) {
		idle.Reset(limits.Idle)
		t.note(func(s *State) { s.Downloaded, s.Progress = s.Downloaded+int64(n), time.Now() })
	}}
	var err error
	got.hash, got.size, err = t.f.cfg.Depot.PutBehind(key, from, body, func(h depot.Hash, size int64) error {
		if file.Hash != "" && !file.Learned && h != file.Hash {
			return failed(WrongHash, "the source has a file with the hash %s, and not %s", h, file.Hash)
		}
		return nil
	})
	if _, known := errors.AsType[*failure](err); err != nil && !known && body.err == nil {
		err = &failure{status: NotKept, err: err}
	}
	return got, err
}

func (t *try) note(f func(*State)) {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	f(&t.job.state)
}

// retryAfter is what a source says that is busy: a number of seconds, or a date.
func retryAfter(res *http.Response) time.Duration {
	text := res.Header.Get("Retry-After")
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return time.Until(at)
	}
	return 0
}

// A body stops at what one may have.
type body struct {
	r    io.Reader
	left int64
	read func(n int)
	err  error // of r, but its end
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if n > 0 {
		b.read(n)
	}
	if b.left -= int64(n); b.left < 0 {
		return 0, failed(TooLarge, "the source sends more bytes than the file has, or may have")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// client makes a client for one try. It looks at every address before it uses
// it, and at every machine before it dials it.
func (t *try) client() *http.Client {
	return &http.Client{Transport: hops{t}, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		switch last := via[len(via)-1]; {
		case len(via) > t.f.cfg.Limits.Hops:
			return failed(Misled, "the source sends on more than %d times", t.f.cfg.Limits.Hops)
		case last.URL.Scheme == "https" && req.URL.Scheme == "http":
			return failed(Misled, "the source sends on from https to http")
		}
		return nil
	}}
}

// hops is a transport that uses no address which is not allowed, and each in its
// own way.
type hops struct{ *try }

func (h hops) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := h.rules.checkURL(req.URL); err != nil {
		return nil, err
	}
	way, err := h.hop(req.URL)
	if err != nil {
		return nil, err
	}
	if way.login != nil && req.Header.Get("Authorization") == "" {
		req = req.Clone(req.Context()) // the next address has another
		req.SetBasicAuth(way.login.User, way.login.Password)
	}
	return way.transport.RoundTrip(req)
}

// watched looks at the machine that an address turns out to be.
type watched struct{ named bool } // an allowed URL says the address's host

// control is called with the address that is dialled, after names were looked
// up.
func (w watched) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return failed(NotAllowed, "%q is no address of a machine: %w", address, err)
	}
	if isSpecial(at.Addr()) && !w.named {
		return failed(NotAllowed, "the source is at %v, which is used only if an allowed URL says its host", at.Addr())
	}
	return nil
}
