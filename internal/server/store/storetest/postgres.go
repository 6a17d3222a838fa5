// Package storetest gives tests fresh databases of both kinds.
//
// PostgreSQL is that of the Debian package postgresql. A test program starts
// one of its own when the first test asks, which listens on a socket in a
// folder of its own and ends with the program. Nothing here knows what is kept
// in the databases.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// install says what to do where there is no PostgreSQL.
const install = "run scripts/setup, or install the Debian package postgresql as root"

// A Postgres is a PostgreSQL of this program's own. Its methods may be called
// from one goroutine at a time.
type Postgres struct {
	dir   string
	bin   string
	flags []string            // of the server
	as    *syscall.Credential // nil: who we are
	guard *exec.Cmd
	leash io.Closer // while it is open, the guard lets PostgreSQL live
}

// Start starts a PostgreSQL that ends with the test. It may be crashed, frozen
// and started again; what has been committed survives that.
func Start(t testing.TB) *Postgres {
	t.Helper()
	p, err := New(careless...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// careless makes a server fast that only has to outlive its own death, not the
// machine's.
var careless = []string{"fsync=off", "full_page_writes=off", "shared_buffers=16MB", "max_wal_size=64MB", "jit=off"}

// shared is the one for all tests that only want a database. It ends with the
// program: its guard sees that.
var shared = sync.OnceValues(func() (*Postgres, error) { return New(careless...) })

// New starts a PostgreSQL with these settings, besides its own. It ends with
// Stop, or with the program.
func New(settings ...string) (*Postgres, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_ctl")
	if err != nil {
		return nil, err
	}
	if path, err := exec.LookPath("pg_ctl"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		return nil, errors.New("there is no PostgreSQL: " + install)
	}
	slices.Sort(found)
	p := &Postgres{bin: filepath.Dir(found[len(found)-1])}
	for _, s := range append(settings, "listen_addresses=") {
		p.flags = append(p.flags, "-c", s)
	}
	if err := p.whoRuns(); err != nil {
		return nil, err
	}
	// Not t.TempDir: the path of a socket has at most 107 bytes, and the folder
	// is PostgreSQL's own.
	if p.dir, err = os.MkdirTemp("/tmp", "catenary-pg-"); err != nil {
		return nil, err
	}
	if p.as != nil {
		err = os.Chown(p.dir, int(p.as.Uid), int(p.as.Gid))
	}
	if err == nil {
		err = p.watch()
	}
	if err == nil {
		err = p.run("initdb", "--no-sync", "--auth=trust", "--username=catenary", "--encoding=UTF8", "--no-locale", "-D", p.data())
	}
	if err == nil {
		err = p.Run()
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// whoRuns finds out under which user PostgreSQL runs: it refuses root.
func (p *Postgres) whoRuns() error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("PostgreSQL does not run as root: %w: %s", err, install)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return err
	}
	p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return nil
}

// watch starts the guard, which ends PostgreSQL and removes its folder when
// its input closes: also when the test's program is killed.
func (p *Postgres) watch() error {
	p.guard = p.command("/bin/sh", "-c", `cat >/dev/null; "$1/pg_ctl" -D "$2/data" -m immediate stop >/dev/null 2>&1; cd /; rm -rf "$2"`, "sh", p.bin, p.dir)
	in, err := p.guard.StdinPipe()
	if err != nil {
		return err
	}
	p.leash = in
	p.guard.SysProcAttr.Setpgid = true // what ends the test's whole group is not to end the guard
	return p.guard.Start()
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *Postgres) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = p.dir // the test's may be closed to that user
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	return cmd
}

// run runs one of PostgreSQL's programs.
func (p *Postgres) run(program string, args ...string) error {
	out, err := p.command(filepath.Join(p.bin, program), args...).CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(p.dir, "log")) // there may be none yet
		return fmt.Errorf("%s: %w: %s%s", program, err, out, log)
	}
	return nil
}

// Run starts PostgreSQL and returns when it takes connections.
func (p *Postgres) Run() error {
	return p.run("pg_ctl", "-D", p.data(), "-l", filepath.Join(p.dir, "log"), "-w", "-o",
		"-k "+p.dir+" "+strings.Join(p.flags, " "), "start")
}

// Stop ends PostgreSQL and removes all that it had.
func (p *Postgres) Stop() error { return errors.Join(p.leash.Close(), p.guard.Wait()) }

// Crash ends PostgreSQL at once: it has to recover when it is run again.
func (p *Postgres) Crash() error {
	return p.run("pg_ctl", "-D", p.data(), "-m", "immediate", "-w", "stop")
}

// Freeze stops all of PostgreSQL's processes where they are, until Thaw: it
// neither answers nor hangs up.
func (p *Postgres) Freeze() error { return p.signal(syscall.SIGSTOP) }

// Thaw lets a frozen PostgreSQL go on.
func (p *Postgres) Thaw() error { return p.signal(syscall.SIGCONT) }

func (p *Postgres) signal(s syscall.Signal) error {
	data, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(data), "\n")
	parent, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	// The parent first, so that it makes no more children.
	if err := syscall.Kill(parent, s); err != nil {
		return err
	}
	children, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	for _, path := range children {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		// pid (name) state ppid …
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) < 2 || fields[1] != first {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// Address is where one of its databases is.
func (p *Postgres) Address(name string) string {
	return "postgres://catenary@/" + name + "?host=" + url.QueryEscape(p.dir)
}

// Do runs a statement on the server.
func (p *Postgres) Do(ctx context.Context, statement string) error {
	c, err := pgx.Connect(ctx, p.Address("postgres"))
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, statement)
	return errors.Join(err, c.Close(ctx))
}

// doTimeout is how long the server may take to make or drop a database.
const doTimeout = time.Minute
