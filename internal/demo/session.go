package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// A Session asks a server that was started here, as any program would.
type Session struct {
	api  string
	key  string
	http *http.Client
}

const (
	callTimeout = 10 * time.Second
	replyMax    = 1 << 20 // bytes
)

// LogIn opens a session with the server that has announced itself.
func LogIn(ctx context.Context, a Announcement, password string) (*Session, error) {
	pem, err := os.ReadFile(a.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", a.CA)
	}
	s := &Session{api: a.API, http: &http.Client{
		Timeout:   callTimeout,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}},
	}}
	var reply struct {
		Session string `json:"session"`
	}
	err = s.Call(ctx, "POST", "session/login", map[string]string{"username": a.User, "password": password}, &reply)
	s.key = reply.Session
	return s, err
}

// MakeToken makes an API token of the given name and uses it from then on: it
// outlives a restart of the server.
func (s *Session) MakeToken(ctx context.Context, name string) (string, error) {
	var reply struct {
		Token string `json:"token_string"`
	}
	err := s.Call(ctx, "POST", "api_tokens", map[string]any{"name": name, "expire_in_days": 7}, &reply)
	if err == nil {
		s.key = reply.Token
	}
	return reply.Token, err
}

// ClientCount is how many clients the server counts as registered.
func (s *Session) ClientCount(ctx context.Context) (n int, err error) {
	err = s.Call(ctx, "GET", "client_count", nil, &n)
	return n, err
}

// Call sends in, unless it is nil, to a route of the API and reads the reply's
// data into out.
func (s *Session) Call(ctx context.Context, method, route string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.api+"/api/v2/"+route, body)
	if err != nil {
		return err
	}
	req.Header.Set("session", s.key)
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, replyMax))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, route, resp.Status, data)
	}
	return json.Unmarshal(data, &struct {
		Data any `json:"data"`
	}{out})
}

// A bar shows how many clients have registered, on a terminal only.
type bar struct {
	pool *mpb.Progress
	bar  *mpb.Bar
}

func newBar(w io.Writer, total int) bar {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return bar{}
	}
	pool := mpb.New(mpb.WithOutput(w), mpb.WithWidth(40))
	return bar{pool, pool.AddBar(int64(total),
		mpb.PrependDecorators(decor.Name("clients ")),
		mpb.AppendDecorators(decor.CountersNoUnit("%d of %d")),
		mpb.BarRemoveOnComplete())}
}

func (b bar) at(n int) {
	if b.bar != nil {
		b.bar.SetCurrent(int64(n))
	}
}

func (b bar) stop() {
	if b.bar != nil {
		b.bar.Abort(true)
		b.pool.Wait()
	}
}
