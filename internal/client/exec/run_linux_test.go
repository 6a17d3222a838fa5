package exec

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// patience bounds how long a test waits for what happens at once.
const patience = 20 * time.Second

func shell(source string) Command { return Command{Language: sensor.UnixShell, Source: source} }

func said(t *testing.T, cmd Command) string {
	t.Helper()
	r, err := Run(t.Context(), cmd)
	if err != nil || r.Exit != 0 {
		t.Fatalf("%q: exit %d, %v, stderr %q", cmd.Source, r.Exit, err, r.Stderr)
	}
	return strings.TrimRight(string(r.Stdout), "\n")
}

// A wire is a pipe with a name. Scripts hold its writing end open as long as
// they live, so that a test hears of the last one's end.
type wire struct {
	name string
	in   *os.File
	out  *os.File // held by the test until it listens for the end
}

func newWire(t *testing.T) wire {
	t.Helper()
	name := filepath.Join(t.TempDir(), "wire")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	out, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	if err := in.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return wire{name, in, out}
}

// line waits for a line that a script writes.
func (w wire) line(t *testing.T) string {
	t.Helper()
	var text []byte
	for b := make([]byte, 1); len(text) == 0 || text[len(text)-1] != '\n'; {
		n, err := w.in.Read(b)
		if err != nil {
			t.Fatalf("after %q: %v", text, err)
		}
		text = append(text, b[:n]...)
	}
	return strings.TrimSpace(string(text))
}

// dead waits until nobody holds the writing end and returns what was written.
func (w wire) dead(t *testing.T) string {
	t.Helper()
	if err := w.out.Close(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(w.in)
	if err != nil {
		t.Errorf("somebody still lives after %q: %v", rest, err)
	}
	return string(rest)
}

// gone waits for the end of a process, which comes a moment after that of its
// open files.
func gone(t *testing.T, pid string) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(n, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ended, err := 0, error(unix.EINTR)
	for errors.Is(err, unix.EINTR) { // by the Go runtime's own signals
		ended, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
	}
	if ended != 1 {
		t.Errorf("process %d still runs: %v", n, err)
	}
}

func TestRunSaysWhatTheScriptSaid(t *testing.T) {
	r, err := Run(t.Context(), shell("echo out; echo err >&2; exit 3"))
	if err != nil || string(r.Stdout) != "out\n" || string(r.Stderr) != "err\n" || r.Exit != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err = Run(t.Context(), shell("kill -SEGV $$")); err != nil || r.Exit != -1 {
		t.Errorf("ended by a signal: %+v, %v", r, err)
	}
	if got := said(t, shell("printf 'a\\r\\n\\000\\377'")); got != "a\r\n\x00\xff" {
		t.Errorf("binary output came as %q", got)
	}
	if got := said(t, shell("echo a\r\necho b\r\n")); got != "a\nb" {
		t.Errorf("a script with the line ends of the Web said %q", got)
	}
}

func TestScriptsAreReadWholeBeforeInput(t *testing.T) {
	if got := said(t, shell("cat; echo after")); got != "after" {
		t.Errorf("a script that reads its input said %q", got)
	}
}

func TestRunLeavesNothingBehind(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("SECRET", "leaked")
	got := said(t, shell(`touch here "$TMPDIR/there"; pwd; stat -c %a . "$0"; env`))
	lines := strings.Split(got, "\n")
	if filepath.Dir(lines[0]) != temp || lines[1] != "700" || lines[2] != "700" {
		t.Errorf("the script ran in %s with modes %s %s", lines[0], lines[1], lines[2])
	}
	if strings.Contains(got, "SECRET") || !strings.Contains(got, "PATH="+searchPath+"\n") || !strings.Contains(got, "LC_ALL=C.UTF-8") {
		t.Errorf("its environment is\n%s", got)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPriorityIsLow(t *testing.T) {
	cmd := shell(`while [ "$(nice)" != 10 ]; do :; done; nice`) // lowered just after the start
	cmd.Limit = patience
	if got := said(t, cmd); got != "10" {
		t.Errorf("niceness %s", got)
	}
}

func TestPython(t *testing.T) {
	if find("python3", "python") == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no python3 on this machine")
		}
		t.Skip("there is no python3 on this machine")
	}
	cmd := Command{Language: sensor.Python, Source: "import sys, urllib.parse as u\nprint(u.unquote('gr%C3%BC%C3%9Fe'))\nsys.exit(4)\n"}
	r, err := Run(t.Context(), cmd)
	if err != nil || string(r.Stdout) != "grüße\n" || r.Exit != 4 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestInterpretersThatAreNotHere(t *testing.T) {
	languages := []sensor.Language{"VBScript", ""}
	if find("pwsh") == "" {
		languages = append(languages, sensor.Powershell)
	}
	for _, l := range languages {
		if _, err := Run(t.Context(), Command{Language: l, Source: "1"}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%q: %v", l, err)
		}
	}
	if _, err := Run(t.Context(), shell(strings.Repeat("#", sourceMax+1))); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a script that is too long: %v", err)
	}
}

func wantKilled(t *testing.T, err error, reason Reason, kind fault.Kind, text string) {
	t.Helper()
	k, ok := errors.AsType[*Killed](err)
	if !ok || k.Reason != reason || fault.KindOf(err) != kind || err.Error() != text {
		t.Errorf("error %q of kind %d, want %q of kind %d", err, fault.KindOf(err), text, kind)
	}
}

func TestTimeLimit(t *testing.T) {
	w := newWire(t)
	cmd := shell("exec 3>" + w.name + "; trap '' TERM INT HUP; echo begun; while :; do sleep 1000; done")
	cmd.Limit = 200 * time.Millisecond
	r, err := Run(t.Context(), cmd)
	wantKilled(t, err, TimeLimit, fault.Unavailable, "the script was stopped after 200ms")
	if string(r.Stdout) != "begun\n" {
		t.Errorf("what it had said is lost: %q", r.Stdout)
	}
	w.dead(t)
}

// TestGrandchildrenDie: whatever a script starts dies with it, however deaf it
// makes itself, when the script is killed and when it ends by itself.
func TestGrandchildrenDie(t *testing.T) {
	const family = `exec 3>%s
		(trap '' TERM INT HUP QUIT; (trap '' TERM HUP; echo $$ $(exec sh -c 'echo $PPID') >&3; while :; do sleep 1000; done) & while :; do sleep 1000; done) &
		nohup sleep 1000 >/dev/null 2>&1 &
		echo $! >&3
	`
	for _, c := range []struct {
		name, end string
		limit     time.Duration
		reason    Reason
	}{
		{"killed", "wait", 500 * time.Millisecond, TimeLimit},
		{"by itself", "exit 0", patience, 0},
		{"crashed", "kill -KILL $$", patience, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t)
			cmd := shell(strings.Replace(family, "%s", w.name, 1) + c.end)
			cmd.Limit = c.limit
			began := time.Now()
			_, err := Run(t.Context(), cmd)
			if k, killed := errors.AsType[*Killed](err); killed != (c.reason != 0) || killed && k.Reason != c.reason {
				t.Errorf("error %v", err)
			}
			if took := time.Since(began); took > patience/2 {
				t.Errorf("it took %v", took)
			}
			for _, pid := range strings.Fields(w.dead(t)) {
				gone(t, pid)
			}
		})
	}
}

// TestOutputHeldOpen: a program that left the group may keep the script's
// output open; nobody waits for it.
func TestOutputHeldOpen(t *testing.T) {
	w := newWire(t)
	cmd := shell("setsid sh -c 'exec 3>" + w.name + "; echo $$ >&3; touch left; exec sleep 1000' & echo said; while [ ! -e left ]; do :; done; exit 5")
	cmd.Limit = patience
	began := time.Now()
	done := make(chan struct{})
	var r Result
	var err error
	go func() {
		defer close(done)
		r, err = Run(t.Context(), cmd)
	}()
	pid, convErr := strconv.Atoi(w.line(t))
	if convErr != nil {
		t.Fatal(convErr)
	}
	<-done
	if killErr := unix.Kill(pid, unix.SIGKILL); killErr != nil {
		t.Errorf("the one that left was ended: %v", killErr)
	}
	if err != nil || string(r.Stdout) != "said\n" || r.Exit != 5 {
		t.Errorf("%+v, %v", r, err)
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it took %v", took)
	}
	w.dead(t)
}

func TestOutputLimit(t *testing.T) {
	w := newWire(t)
	cmd := shell("exec 3>" + w.name + "; while :; do echo 0123456789; done")
	cmd.Output = 1000
	r, err := Run(t.Context(), cmd)
	wantKilled(t, err, OutputLimit, fault.Invalid, "the script was stopped after 1000 bytes of output")
	if want := strings.Repeat("0123456789\n", 91)[:1000]; string(r.Stdout) != want {
		t.Errorf("kept %q", r.Stdout)
	}
	w.dead(t)
	// A script that has ended before anybody could stop it said too much as well.
	cmd = shell("echo 0123456789")
	cmd.Output = 10
	_, err = Run(t.Context(), cmd)
	wantKilled(t, err, OutputLimit, fault.Invalid, "the script was stopped after 10 bytes of output")
	cmd.Output = 11
	if got := said(t, cmd); got != "0123456789" {
		t.Errorf("exactly as much as it may: %q", got)
	}
}

func TestComplaintsAreCutNotKilled(t *testing.T) {
	r, err := Run(t.Context(), shell("head -c 1000000 /dev/zero >&2; echo done"))
	if err != nil || string(r.Stdout) != "done\n" || len(r.Stderr) != stderrMax {
		t.Errorf("%q, %d bytes of complaints, %v", r.Stdout, len(r.Stderr), err)
	}
}

func TestCanceled(t *testing.T) {
	w := newWire(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() {
		_, err := Run(ctx, shell("exec 3>"+w.name+"; echo up >&3; sleep 1000"))
		done <- err
	}()
	if up := w.line(t); up != "up" {
		t.Fatalf("the script wrote %q", up)
	}
	cancel(errors.New("the question is over"))
	wantKilled(t, <-done, Canceled, fault.Unavailable, "the script was stopped: the question is over")
	w.dead(t)
	r, err := Run(ctx, shell("echo never"))
	wantKilled(t, err, Canceled, fault.Unavailable, "the script was stopped: the question is over")
	if len(r.Stdout) != 0 {
		t.Errorf("a script was started although the question was over: it said %q", r.Stdout)
	}
}

func TestSensor(t *testing.T) {
	s := sensor.Sensor{
		Name:       "Pairs",
		Columns:    []sensor.Column{{Name: "A", Type: value.String}, {Name: "B", Type: value.String}},
		Parameters: []sensor.Parameter{{Key: "word"}},
		Delimiter:  "|",
		Scripts: []sensor.Script{
			{Platform: sensor.Windows, Language: sensor.Powershell, Source: "exit 1"},
			{Platform: sensor.Linux, Language: sensor.UnixShell, Source: "echo 'a|||word||'; echo; echo b; false"},
		},
	}
	rows, used, err := Sensor(t.Context(), s, []string{"c d"}, patience)
	if err != nil || len(rows) != 2 || strings.Join(rows[0], ",") != "a,c%20d" || strings.Join(rows[1], ",") != "b," {
		t.Errorf("%q, %v", rows, err)
	}
	if used.User+used.System <= 0 {
		t.Errorf("a script takes %v of the processor's time", used)
	}
	s.Scripts[1].Source = "grep -q nothing /dev/null"
	if rows, _, err := Sensor(t.Context(), s, nil, patience); err != nil || len(rows) != 0 {
		t.Errorf("a script that finds nothing: %q, %v", rows, err)
	}
	s.Scripts[1].Source = "cat /no/such/file"
	if _, _, err := Sensor(t.Context(), s, nil, patience); err == nil || err.Error() != "the script failed (exit code 1): cat: /no/such/file: No such file or directory" {
		t.Errorf("a script that fails: %v", err)
	}
	s.Scripts = s.Scripts[:1]
	if _, _, err := Sensor(t.Context(), s, nil, patience); fault.KindOf(err) != fault.NotFound {
		t.Errorf("no script for this platform: %v", err)
	}
}
