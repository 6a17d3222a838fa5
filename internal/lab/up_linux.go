package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"catenary/internal/demo"
	"catenary/internal/fault"
)

// Options are what a user may choose.
type Options struct {
	Layout  Layout
	Dir     string // kept; empty for a folder that is removed at the end
	JSON    bool   // say in one line for programs what is ready
	Program string // path of the program catenary; catenary-client lies beside it
	Profile string // file that tells `catenary ask` of the lab; none if empty
	// Patience is how many times as long as a story says Run waits for what it
	// expects; below 1 counts as 1.
	Patience float64
}

// Ready is what a lab says when every client has registered.
type Ready struct {
	API      string  `json:"api"`
	User     string  `json:"user"`
	Password string  `json:"password"`
	Token    string  `json:"token"`
	CA       string  `json:"ca"`
	Clients  int     `json:"clients"`
	PID      int     `json:"pid"` // of the process inside
	Data     string  `json:"data"`
	Seconds  float64 `json:"ready_s"`
}

const (
	buildTimeout = 120 * time.Second      // namespaces, links and the server, and
	readyBase    = 60 * time.Second       // for every client to register, and
	readyEach    = 300 * time.Millisecond // for each client on top
	pollEvery    = 50 * time.Millisecond
	closeTimeout = 10 * time.Second // an inner process that does not end by then is killed
)

// Up runs a lab until ctx ends, which is not an error, or somebody tells it to
// end.
func Up(ctx context.Context, opt Options, out, progress io.Writer) (err error) {
	l, err := open(ctx, opt, progress)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r, err := l.await(ctx)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	if err := l.announce(r, opt, out); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-l.done:
		return l.ended
	}
}

// unlessEnded is err, unless it comes from Ctrl-C.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// An outer is the process where the operator stands.
type outer struct {
	folder
	Layout
	began   time.Time
	stdin   io.Closer     // whose end ends the inner process
	done    chan struct{} // closed when the inner process has ended
	ended   error         // how; set before
	log     string        // file with what the inner process says
	server  demo.Announcement
	session *demo.Session
}

// open starts a lab and returns when the server serves and every client has
// been started.
func open(ctx context.Context, opt Options, progress io.Writer) (*outer, error) {
	client := filepath.Join(filepath.Dir(opt.Program), "catenary-client")
	if _, err := os.Stat(client); err != nil {
		return nil, fault.New(fault.Unavailable, "a lab needs the client program: %w\n`make build` builds both", err)
	}
	if os.Geteuid() != 0 {
		return nil, fault.New(fault.Denied, "a lab needs root, for its network namespaces")
	}
	if err := errors.Join(opt.Layout.check(), tools()); err != nil {
		return nil, err
	}
	l := &outer{Layout: opt.Layout, began: time.Now(), done: make(chan struct{})}
	live, dead, err := folders()
	if err != nil {
		return nil, err
	}
	if err := clearAway(dead, progress); err != nil {
		return nil, err
	}
	for _, f := range live {
		if opt.Dir != "" && sameFile(opt.Dir, f.Data) {
			return nil, fault.New(fault.Conflict, "a lab runs in %s already", opt.Dir)
		}
	}
	if l.folder, err = newFolder(); err != nil {
		return nil, err
	}
	if err := l.start(ctx, opt, client); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// start starts the inner process and logs in to the server in it.
func (l *outer) start(ctx context.Context, opt Options, client string) (err error) {
	if opt.Dir != "" {
		if l.Data, err = filepath.Abs(opt.Dir); err != nil {
			return err
		}
	}
	if err := errors.Join(l.write(), os.MkdirAll(l.Data, 0o700)); err != nil {
		return err
	}
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer api.Close()
	l.log = filepath.Join(l.Data, "lab.log")
	line, err := l.spawn(opt.Program, order{Layout: opt.Layout, Socket: l.socket(), Data: l.Data, Server: opt.Program, Client: client}, api)
	if err != nil {
		return err
	}
	select {
	case text := <-line:
		if err := json.Unmarshal([]byte(text), &l.server); err != nil {
			return failed("the lab did not start", l.log)
		}
	case <-time.After(buildTimeout):
		return failed("the lab did not start in time", l.log)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	l.server.API = "https://" + api.Addr().String()
	return l.logIn(ctx)
}

// spawn starts the inner process as the first of its namespaces. The line that
// it says when it is ready comes on the channel; "" if it ends before.
func (l *outer) spawn(program string, o order, api net.Listener) (<-chan string, error) {
	log, err := os.OpenFile(l.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	file, err := api.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd := exec.Command(program, "lab", "inside")
	cmd.Stderr, cmd.ExtraFiles = log, []*os.File{file, l.lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL, // and with the first process, all in the namespace
		Setpgid:    true,            // a terminal's Ctrl-C is for us: we end it in order
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started, line := make(chan error), make(chan string, 1)
	go func() { // ends with the process, which close waits for
		runtime.LockOSThread() // the death of a thread is one of a parent, too
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		if lines := bufio.NewScanner(stdout); lines.Scan() {
			line <- lines.Text()
		}
		close(line)
		if err := cmd.Wait(); err != nil {
			l.ended = failed(fmt.Sprintf("the lab has ended: %v", err), l.log)
		}
		close(l.done)
	}()
	if err := <-started; err != nil {
		return nil, fault.New(fault.Denied, "start the lab in namespaces of its own: %w", err)
	}
	l.stdin, l.PID = stdin, cmd.Process.Pid
	if err := l.write(); err != nil {
		return nil, err
	}
	return line, json.NewEncoder(stdin).Encode(o)
}

// logIn opens a session with the server in the lab.
func (l *outer) logIn(ctx context.Context) (err error) {
	password, err := os.ReadFile(l.server.PasswordFile)
	if err != nil {
		return err
	}
	l.session, err = demo.LogIn(ctx, l.server, strings.TrimSpace(string(password)))
	return err
}

// await waits until every client has registered, and makes a token.
func (l *outer) await(ctx context.Context) (r Ready, err error) {
	limit := readyBase + time.Duration(l.Hosts())*readyEach
	for late := time.After(limit); ; {
		n, err := l.session.ClientCount(ctx)
		if err != nil {
			return r, fmt.Errorf("count clients: %w", err)
		}
		if n >= l.Hosts() {
			break
		}
		select {
		case <-time.After(pollEvery):
		case <-late:
			return r, fmt.Errorf("%d of %d clients have registered within %v; --dir keeps their logs", n, l.Hosts(), limit)
		case <-l.done:
			return r, l.ended
		case <-ctx.Done():
			return r, context.Cause(ctx)
		}
	}
	password, err := os.ReadFile(l.server.PasswordFile)
	if err != nil {
		return r, err
	}
	token, err := l.session.MakeToken(ctx, "lab")
	return Ready{
		API: l.server.API, User: l.server.User, Password: strings.TrimSpace(string(password)), Token: token,
		CA: l.server.CA, Clients: l.Hosts(), PID: l.PID, Data: l.Data,
		Seconds: time.Since(l.began).Round(time.Millisecond).Seconds(),
	}, err
}

func (l *outer) announce(r Ready, opt Options, out io.Writer) error {
	if opt.Profile != "" {
		// Whoever clears away after a crash must know of it.
		l.Profile = opt.Profile
		if err := l.write(); err != nil {
			return err
		}
		profile := fmt.Sprintf("url = %q\ntoken = %q\nca = %q\n", r.API, r.Token, r.CA)
		if err := os.MkdirAll(filepath.Dir(opt.Profile), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(opt.Profile, []byte(profile), 0o600); err != nil {
			return err
		}
	}
	if opt.JSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprintf(out, `%s: ready after %.1f s; data and logs in %s

  API       %s   (certificate authority: %s)
  user      %s
  password  %s

In another terminal, try:

  %[8]s ask 'Get Computer Name from all machines'
  %[8]s lab status
  %[8]s lab kill s1h3
  %[8]s lab traffic

Ctrl-C ends the lab.
`, l.Size(), r.Seconds, r.Data, r.API, r.CA, r.User, r.Password, opt.Program)
	return err
}

// close ends the inner process, if it has been started, and clears away.
func (l *outer) close() error {
	var errs []error
	if l.stdin != nil {
		if err := l.stdin.Close(); !errors.Is(err, os.ErrClosed) { // by the end of the process
			errs = append(errs, err)
		}
		select {
		case <-l.done:
		case <-time.After(closeTimeout):
			errs = append(errs, syscall.Kill(l.PID, syscall.SIGKILL))
			<-l.done
		}
	}
	return errors.Join(append(errs, l.dropProfile(), l.remove())...)
}
