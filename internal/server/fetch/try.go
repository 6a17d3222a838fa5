package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
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
	had   version
}

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
	client, done := t.client()
	defer done()
	res, err := client.Do(req)
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	got.version = version{res.Header.Get("ETag"), res.Header.Get("Last-Modified")}
	switch {
	case res.StatusCode == http.StatusNotModified && t.had != version{}:
		got.unchanged, got.version = true, t.had
		return got, nil
	case res.StatusCode != http.StatusOK:
		return got, &failure{status: res.StatusCode, after: retryAfter(res), err: fmt.Errorf("the source answers %s", res.Status)}
	}
	return t.take(file, got, res, idle)
}

// take puts the body of an answer into the depot.
func (t *try) take(file File, got found, res *http.Response, idle *time.Timer) (found, error) {
	limits := t.f.cfg.Limits
	most := limits.Bytes
	if file.Size > 0 && file.Hash != "" && !file.Learned {
		most = min(most, file.Size)
	}
	if res.ContentLength > most {
		return got, failed(TooLarge, "the source has %d bytes, more than %d", res.ContentLength, most)
	}
	t.note(func(s *State) { s.Status, s.Total = Downloading, max(res.ContentLength, 0) })
	body := &body{r: res.Body, left: most, read: func(n int) {
		idle.Reset(limits.Idle)
		t.note(func(s *State) { s.Downloaded, s.Progress = s.Downloaded+int64(n), time.Now() })
	}}
	var err error
	got.hash, got.size, err = t.f.cfg.Depot.PutIf(body, func(h depot.Hash, size int64) error {
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
// it, and at every machine before it dials it; done ends its connections.
func (t *try) client() (client *http.Client, done func()) {
	w := &watched{rules: t.rules}
	dialer := &net.Dialer{Timeout: t.f.cfg.Limits.Head, ControlContext: w.control}
	w.transport = &http.Transport{
		DialContext:        dialer.DialContext,
		TLSClientConfig:    &tls.Config{RootCAs: t.f.cfg.Roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:  true, // the next address is dialled by its own right
		DisableCompression: true, // the hash is that of what is there
	}
	return &http.Client{Transport: w, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		switch last := via[len(via)-1]; {
		case len(via) > t.f.cfg.Limits.Hops:
			return failed(Misled, "the source sends on more than %d times", t.f.cfg.Limits.Hops)
		case last.URL.Scheme == "https" && req.URL.Scheme == "http":
			return failed(Misled, "the source sends on from https to http")
		}
		return nil
	}}, w.transport.CloseIdleConnections
}

// watched is a transport that uses no address which is not allowed.
type watched struct {
	rules     rules
	transport *http.Transport

	mu    sync.Mutex // guards named
	named bool       // the address of now is one that an allowed URL names
}

func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := w.rules.checkURL(req.URL); err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.named = w.rules.names(req.URL)
	w.mu.Unlock()
	return w.transport.RoundTrip(req)
}

// control is called with the address that is dialled, after names were looked
// up.
func (w *watched) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return failed(NotAllowed, "%q is no address of a machine: %w", address, err)
	}
	w.mu.Lock()
	named := w.named
	w.mu.Unlock()
	if isSpecial(at.Addr()) && !named {
		return failed(NotAllowed, "the source is at %v, which is used only if an allowed URL says its host", at.Addr())
	}
	return nil
}
