package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"catenary/internal/fault"
)

const (
	requestTimeout = 30 * time.Second // for one request and its answer, streams aside
	replyMax       = 256 << 20        // bytes of one answer; a result set of a million rows is smaller
	faultTextMax   = 4 << 10          // characters of the server's words in an error
)

// A client asks one server by its public API.
type client struct {
	base    string // https://host[:port]
	session string // API token or session, sent with every request
	http    *http.Client
	token   bool   // session is an API token, which a new one can replace
	hint    string // added when the server cannot be reached
	options string // sent as the header tanium-options, if not empty
}

// newClient makes a client that knows the server by c, with no right yet to
// ask anything if c has no token.
func newClient(c Config) (*client, error) {
	conf, err := c.trust()
	if err != nil {
		return nil, err
	}
	return &client{
		base:    c.URL,
		session: c.Token,
		token:   c.Token != "",
		http: &http.Client{
			Transport: newTransport(conf),
			// A redirect would carry the token to wherever it points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func newTransport(conf *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     conf,
		TLSHandshakeTimeout: requestTimeout,
		ForceAttemptHTTP2:   true,
	}
}

// connect makes a client for the configured server.
func (d *desk) connect(f *flags) (*client, error) {
	conf, demo, err := d.config(f)
	if err != nil {
		return nil, err
	}
	if conf.URL == "" {
		return nil, fault.New(fault.Stranger, "no server is configured: run `catenary demo` or `catenary login URL`")
	}
	if conf.Token == "" {
		return nil, fault.New(fault.Stranger, "not logged in to %s: run `catenary login %[1]s`", conf.URL)
	}
	c, err := newClient(conf)
	if err != nil {
		return nil, err
	}
	if demo {
		c.hint = "; is `catenary demo` still running?"
	}
	return c, nil
}

// call sends one request and reads the data of its answer into out. Both in
// and out may be nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	return c.callWithin(ctx, requestTimeout, method, path, in, out)
}

// callWithin is call with as much time as the work takes.
func (c *client) callWithin(ctx context.Context, most time.Duration, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	resp, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, replyMax+1))
	if err != nil {
		return c.unreachable(err)
	}
	if len(body) > replyMax {
		return fmt.Errorf("%s %s: the answer is larger than %d MiB", method, path, replyMax>>20)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, &struct {
		Data any `json:"data"`
	}{out}); err != nil {
		return fmt.Errorf("%s %s: the answer is not what a server of this kind says: %w", method, path, err)
	}
	return nil
}

// verbatim is a request's body that is sent as it is.
type verbatim []byte

// octets are a request's body that is read while it is sent.
type octets struct {
	io.Reader
	size int64
}

// send sends one request and returns its answer if it is a success.
func (c *client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	contentType := "application/json"
	if plain, ok := in.(verbatim); ok {
		body, contentType = bytes.NewReader(plain), "text/plain; charset=utf-8"
	} else if file, ok := in.(octets); ok {
		body, contentType = file.Reader, "application/octet-stream"
	} else if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if file, ok := in.(octets); ok {
		req.ContentLength = file.size
	}
	req.Header.Set("User-Agent", "catenary")
	if in != nil {
		req.Header.Set("Content-Type", contentType)
	}
	if c.session != "" {
		req.Header.Set("session", c.session)
	}
	if c.options != "" {
		req.Header.Set("tanium-options", c.options)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.refused(resp)
}

// refused turns an answer that is no success into an error of its kind.
func (c *client) refused(resp *http.Response) error {
	if resp.StatusCode >= 300 && resp.StatusCode <= 399 {
		return fault.New(fault.Invalid, "%s points to %q: use that address", c.base, resp.Header.Get("Location"))
	}
	text := resp.Status
	body, err := io.ReadAll(io.LimitReader(resp.Body, faultTextMax))
	if err != nil {
		return c.unreachable(err)
	}
	var said struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(body, &said) == nil && said.Text != "" { // else some proxy's page
		text = printable(said.Text)
	}
	return c.refusal(resp.StatusCode, text)
}

// refusal is the error that a status and its text are.
func (c *client) refusal(status int, text string) error {
	switch status {
	case http.StatusBadRequest:
		return fault.New(fault.Invalid, "%s", text)
	case http.StatusUnauthorized:
		if c.token {
			text += "; `catenary login` makes a new token"
		}
		return fault.New(fault.Stranger, "%s", text)
	case http.StatusForbidden:
		return fault.New(fault.Denied, "%s", text)
	case http.StatusNotFound:
		return fault.New(fault.NotFound, "%s", text)
	case http.StatusConflict:
		return fault.New(fault.Conflict, "%s", text)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fault.New(fault.Unavailable, "%s: %s", c.base, text)
	default:
		return fmt.Errorf("%s: %s", c.base, text)
	}
}

func (c *client) unreachable(err error) error {
	if err = unreachable(c.base, err); fault.KindOf(err) == fault.Unavailable && c.hint != "" {
		return fmt.Errorf("%w%s", err, c.hint)
	}
	return err
}

// unreachable gives the failure of a connection its kind. A certificate that
// nobody vouches for is a matter of trust: trying again does not help.
func unreachable(base string, err error) error {
	// The outer error repeats method and address, with a path that says nothing.
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	if errors.Is(err, context.Canceled) || fault.KindOf(err) == fault.Stranger {
		return fmt.Errorf("%s: %w", base, err)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fault.New(fault.Stranger, "%s cannot be trusted: %w; run `catenary login %[1]s`, or name its CA with --ca", base, err)
	}
	if wait, ok := errors.AsType[net.Error](err); ok && wait.Timeout() {
		return fault.New(fault.Unavailable, "no answer from %s in time", base)
	}
	return fault.New(fault.Unavailable, "no connection to %s: %w", base, err)
}

// What follows is the part of the API that the commands use, one method a
// route.

// preLogin is what everybody is shown before he logs in; empty: nothing, as from
// a server that does not know of such a text.
func (c *client) preLogin(ctx context.Context) (string, error) {
	var out struct {
		Text string `json:"text"`
	}
	err := c.call(ctx, http.MethodGet, "/api/v2/session/pre_login_text", nil, &out)
	if kind := fault.KindOf(err); kind == fault.Invalid || kind == fault.NotFound {
		return "", nil
	}
	return out.Text, err
}

func (c *client) openSession(ctx context.Context, user, password string) (session string, err error) {
	var out struct {
		Session string `json:"session"`
	}
	err = c.call(ctx, http.MethodPost, "/api/v2/session/login", map[string]string{"username": user, "password": password}, &out)
	return out.Session, err
}

// openByCertificate opens a session over connections that show a certificate,
// and lets c go on without.
func (c *client) openByCertificate(ctx context.Context, pair tls.Certificate) (session string, err error) {
	plain := c.http
	defer func() { c.http = plain }()
	conf := plain.Transport.(*http.Transport).TLSClientConfig.Clone()
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	transport := newTransport(conf)
	defer transport.CloseIdleConnections()
	c.http = &http.Client{Transport: transport, CheckRedirect: plain.CheckRedirect}
	var out struct {
		Session string `json:"session"`
	}
	err = c.call(ctx, http.MethodPost, "/api/v2/session/certificate", nil, &out)
	return out.Session, err
}

func (c *client) closeSession(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/api/v2/session/logout", map[string]string{"session": c.session}, nil)
}

type apiToken struct {
	ID    int64  `json:"id,omitempty"`
	Name  string `json:"name,omitempty"`
	Days  int    `json:"expire_in_days,omitempty"`
	Token string `json:"token_string,omitempty"`
}

func (c *client) makeToken(ctx context.Context, name string, days int) (apiToken, error) {
	var out apiToken
	err := c.call(ctx, http.MethodPost, "/api/v2/api_tokens", apiToken{Name: name, Days: days}, &out)
	return out, err
}

func (c *client) deleteToken(ctx context.Context, id int64) error {
	return c.call(ctx, http.MethodDelete, "/api/v2/api_tokens/"+strconv.FormatInt(id, 10), nil, nil)
}

type newQuestion struct {
	Text       string `json:"query_text"`
	Expire     int    `json:"expire_seconds,omitempty"`
	ComputerID bool   `json:"force_computer_id_flag,omitempty"`
}

func (c *client) ask(ctx context.Context, q newQuestion) (uint64, error) {
	var out struct {
		ID uint64 `json:"id"`
	}
	err := c.call(ctx, http.MethodPost, "/api/v2/questions", q, &out)
	return out.ID, err
}

func (c *client) result(ctx context.Context, question uint64) (resultSet, error) {
	var out struct {
		Sets []resultSet `json:"result_sets"`
	}
	path := "/api/v2/result_data/question/" + strconv.FormatUint(question, 10)
	if err := c.call(ctx, http.MethodGet, path, nil, &out); err != nil {
		return resultSet{}, fmt.Errorf("answer of question %d: %w", question, err)
	}
	if len(out.Sets) != 1 {
		return resultSet{}, fmt.Errorf("answer of question %d: %d result sets, not one", question, len(out.Sets))
	}
	return out.Sets[0], nil
}

// stream opens the live events of a question. The caller closes it. Of the rows
// that come along only one is asked for: the whole answer is read at the end.
func (c *client) stream(ctx context.Context, question uint64) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodGet, "/api/v2/questions/"+strconv.FormatUint(question, 10)+"/events?row_count=1", nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (c *client) sensors(ctx context.Context) ([]sensorObject, error) {
	var out []sensorObject
	if err := c.call(ctx, http.MethodGet, "/api/v2/sensors", nil, &out); err != nil {
		return nil, err
	}
	// The last element of the list is the cache's description and has no name.
	named := out[:0]
	for _, s := range out {
		if s.Name != "" && !s.Hidden {
			named = append(named, s)
		}
	}
	return named, nil
}

func (c *client) sensorByName(ctx context.Context, name string, out any) error {
	return c.call(ctx, http.MethodGet, "/api/v2/sensors/by-name/"+url.PathEscape(name), nil, out)
}

func (c *client) createSensor(ctx context.Context, s sensorObject) error {
	return c.call(ctx, http.MethodPost, "/api/v2/sensors", s, nil)
}

func (c *client) clients(ctx context.Context) ([]clientStatus, error) {
	var out []clientStatus
	if err := c.call(ctx, http.MethodGet, "/api/v2/system_status", nil, &out); err != nil {
		return nil, err
	}
	// The last two elements are sums and the cache's description.
	machines := out[:0]
	for _, s := range out {
		if s.ComputerID != 0 {
			machines = append(machines, s)
		}
	}
	return machines, nil
}
