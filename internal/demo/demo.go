// Package demo runs a whole installation on one machine for a newcomer: a
// server with the embedded database, and real clients on loopback addresses
// that form several LANs. It only starts the programs' own parts as child
// processes, so that each side can be measured and killed by itself; nothing
// in it is simulated.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Options are what a user may choose.
type Options struct {
	Clients    int
	DataDir    string // kept; empty for a temporary folder that is removed at the end
	API        string // host:port of the API
	ClientPort int    // TCP port of the server and of every client
	PerProcess int    // clients in one process; 0 lets the demo choose
	JSON       bool   // print one line for programs instead of a text for people
	Program    string // path of the catenary program
	Profile    string // file that tells `catenary ask` of the running demo
}

const (
	// LANSize is how many clients one demo LAN has at most.
	LANSize = 100
	// lansMin makes several chains also of a few clients.
	lansMin = 3
	// ClientsMax is bounded by the addresses 127.10.S.K with K up to LANSize.
	ClientsMax = 255 * LANSize
	// aloneMax is up to how many clients each has a process of its own.
	aloneMax = 32
	// shareMax is how many clients one process hosts beyond that; each needs
	// about five descriptors.
	shareMax = 250

	// underWayMax is how many clients may be starting at a time before another
	// process is started.
	underWayMax = 250

	startTimeout = 20 * time.Second       // the server is up long before
	readyBase    = 60 * time.Second       // for every client to register, and
	readyEach    = 100 * time.Millisecond // for each client on top
	pollEvery    = 50 * time.Millisecond
	stopTimeout  = 1500 * time.Millisecond // children that do not end by then are killed
)

// Ready is what the demo says when every client has registered.
type Ready struct {
	API        string  `json:"api"`
	User       string  `json:"user"`
	Password   string  `json:"password"`
	Token      string  `json:"token"`
	CA         string  `json:"ca"` // file with the certificate that vouches for the API's
	Clients    int     `json:"clients"`
	ServerPID  int     `json:"server_pid"`
	ClientPIDs []int   `json:"client_pids"`
	Seconds    float64 `json:"ready_s"`
}

// A Seat is one demo client: its name, the address it listens on and dials
// from, and its state folder.
type Seat struct {
	Name   string         `json:"name"`
	Listen netip.AddrPort `json:"listen"`
	State  string         `json:"state"`
}

// A Fleet is what one client process hosts; it is given on its standard input.
type Fleet struct {
	Init  string `json:"init"` // path of catenary-init.dat
	Seats []Seat `json:"seats"`
}

// Announcement is the line that the server process prints when it serves.
type Announcement struct {
	API          string `json:"api"`
	Clients      string `json:"clients"` // host:port
	Init         string `json:"init"`    // path of the first catenary-init.dat
	CA           string `json:"ca"`
	User         string `json:"user"`
	PasswordFile string `json:"password_file"`
}

// Seats places n clients on the addresses 127.10.S.K, in at least three LANs
// of at most LANSize clients.
func Seats(n, port int, stateDir string) []Seat {
	lans := max(min(lansMin, n), (n+LANSize-1)/LANSize)
	digits := max(3, len(fmt.Sprint(n)))
	seats := make([]Seat, n)
	for i := range seats {
		addr := netip.AddrFrom4([4]byte{127, 10, byte(1 + i%lans), byte(1 + i/lans)})
		name := fmt.Sprintf("demo-%0*d", digits, i+1)
		seats[i] = Seat{name, netip.AddrPortFrom(addr, uint16(port)), filepath.Join(stateDir, name)}
	}
	return seats
}

// Run runs the demo until ctx ends, which is not an error.
func Run(ctx context.Context, opt Options, out, progress io.Writer) (err error) {
	if opt.Clients < 1 || opt.Clients > ClientsMax {
		return fmt.Errorf("a demo has 1 to %d clients, not %d", ClientsMax, opt.Clients)
	}
	if opt.DataDir == "" {
		if opt.DataDir, err = os.MkdirTemp("", "catenary-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(opt.DataDir)) }()
	} else if opt.DataDir, err = filepath.Abs(opt.DataDir); err != nil {
		return err
	}
	d := &demo{Options: opt, out: out, progress: progress, began: time.Now()}
	defer func() { err = errors.Join(err, d.stop()) }()
	err = d.run(ctx)
	if ctx.Err() != nil {
		return nil // Ctrl-C
	}
	return err
}

type demo struct {
	Options
	out, progress io.Writer
	began         time.Time
	server        *child
	clients       []*child
}

func (d *demo) run(ctx context.Context) error {
	if err := d.portsFree(); err != nil {
		return err
	}
	a, err := d.startServer(ctx)
	if err != nil {
		return err
	}
	r := Ready{API: a.API, User: a.User, CA: a.CA, Clients: d.Clients, ServerPID: d.server.cmd.Process.Pid}
	s, err := d.logIn(ctx, a, &r)
	if err != nil {
		return err
	}
	// The clients come last: a thousand of them keep a small machine busy.
	ready, err := d.raise(ctx, a, s, r)
	if err != nil {
		return err
	}
	if err := d.announce(ready); err != nil {
		return err
	}
	return d.watch(ctx)
}

// portsFree says early and clearly what a child would say in its log.
func (d *demo) portsFree() error {
	for _, addr := range []string{d.API, fmt.Sprintf("127.0.0.1:%d", d.ClientPort)} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("%w\nIs another demo running? Otherwise choose other ports: --api 127.0.0.1:9443 --client-port 27472", err)
		}
		if err := ln.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) startServer(ctx context.Context) (Announcement, error) {
	var a Announcement
	c, err := d.start("server", "server", "--announce", "--until-stdin-closes",
		"--data-dir", filepath.Join(d.DataDir, "server"),
		"--listen", fmt.Sprintf("127.0.0.1:%d", d.ClientPort), "--api", d.API)
	if err != nil {
		return a, err
	}
	d.server = c
	select {
	case line := <-c.firstLine:
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			return a, c.failed("the server did not start")
		}
		return a, nil
	case <-time.After(startTimeout):
		return a, c.failed("the server did not start in time")
	case <-ctx.Done():
		return a, context.Cause(ctx)
	}
}

// startFleet starts one process with the given clients.
func (d *demo) startFleet(init string, seats []Seat) error {
	c, err := d.start(fmt.Sprintf("clients-%d", len(d.clients)+1), "demo", "clients")
	if err != nil {
		return err
	}
	d.clients = append(d.clients, c)
	if err := json.NewEncoder(c.stdin).Encode(Fleet{init, seats}); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// share is how many clients one process hosts.
func (d *demo) share() int {
	switch {
	case d.PerProcess > 0:
		return d.PerProcess
	case d.Clients > aloneMax:
		return shareMax
	}
	return 1
}

// logIn opens a session and makes the token that users of the demo get.
func (d *demo) logIn(ctx context.Context, a Announcement, r *Ready) (*Session, error) {
	password, err := os.ReadFile(a.PasswordFile)
	if err != nil {
		return nil, err
	}
	r.Password = strings.TrimSpace(string(password))
	s, err := LogIn(ctx, a, r.Password)
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	if r.Token, err = s.MakeToken(ctx, "demo"); err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	return s, nil
}

// raise starts the clients, a process at a time while few are on their way, and
// waits until the server counts all of them: the machines of a site do not boot
// in the same second either, and here they share one processor.
func (d *demo) raise(ctx context.Context, a Announcement, s *Session, r Ready) (Ready, error) {
	limit := readyBase + time.Duration(d.Clients)*readyEach
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not every client has registered within %v", limit))
	defer cancel()
	seats := Seats(d.Clients, d.ClientPort, filepath.Join(d.DataDir, "clients"))
	bar := newBar(d.progress, d.Clients)
	defer bar.stop()
	for {
		n, err := s.ClientCount(ctx)
		if err != nil {
			return r, fmt.Errorf("count clients: %w", err)
		}
		bar.at(n)
		for len(seats) > 0 && d.Clients-len(seats)-n < underWayMax {
			fleet := seats[:min(d.share(), len(seats))]
			seats = seats[len(fleet):]
			if err := d.startFleet(a.Init, fleet); err != nil {
				return r, err
			}
		}
		if n >= d.Clients {
			for _, c := range d.clients {
				r.ClientPIDs = append(r.ClientPIDs, c.cmd.Process.Pid)
			}
			r.Seconds = time.Since(d.began).Round(time.Millisecond).Seconds()
			return r, nil
		}
		select {
		case <-time.After(pollEvery):
		case <-d.server.done:
			return r, d.server.failed("the server has ended")
		case <-ctx.Done():
			return r, context.Cause(ctx)
		}
	}
}

func (d *demo) announce(r Ready) error {
	profile := fmt.Sprintf("url = %q\ntoken = %q\nca = %q\n", r.API, r.Token, r.CA)
	if err := os.MkdirAll(filepath.Dir(d.Profile), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(d.Profile, []byte(profile), 0o600); err != nil {
		return err
	}
	if d.JSON {
		return json.NewEncoder(d.out).Encode(r)
	}
	lans := max(min(lansMin, d.Clients), (d.Clients+LANSize-1)/LANSize)
	_, err := fmt.Fprintf(d.out, `%d clients in %d LANs are ready after %.1f s.

  API       %s   (certificate authority: %s)
  user      %s
  password  %s
  token     %s

In another terminal, try:

  %[9]s ask 'Get Computer Name and Operating System from all machines'
  %[9]s client list

Ctrl-C ends the demo.
`, r.Clients, lans, r.Seconds, r.API, r.CA, r.User, r.Password, r.Token, d.Program)
	return err
}

// watch waits for the end. That a client process ends is no failure: people
// kill them to see their chains heal.
func (d *demo) watch(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.server.done:
		return d.server.failed("the server has ended")
	}
}

// stop ends every child, and removes the profile if it is still ours.
func (d *demo) stop() error {
	if data, err := os.ReadFile(d.Profile); err == nil && d.server != nil && strings.Contains(string(data), d.DataDir) {
		if err := os.Remove(d.Profile); err != nil {
			return err
		}
	}
	// The clients first: the server need not see them off.
	children := d.clients
	if d.server != nil {
		children = append(children, d.server)
	}
	for _, c := range children {
		c.stdin.Close()
	}
	deadline := time.After(stopTimeout)
	for _, c := range children {
		select {
		case <-c.done:
		case <-deadline:
			for _, c := range children {
				c.kill()
			}
			deadline = nil // never again
			<-c.done
		}
	}
	return nil
}
