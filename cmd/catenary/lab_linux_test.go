package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"catenary/internal/lab"
)

// A labBench is where labs of a test run: with the real programs, built for it,
// and a temporary folder of its own, so that it meets no other lab.
type labBench struct {
	*testing.T
	program string
	tmp     string
}

func newLabBench(t *testing.T) *labBench {
	if os.Geteuid() != 0 {
		t.Skip("a lab needs root")
	}
	for _, tool := range []string{"ip", "nft", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("a lab needs %s (scripts/setup installs it): %v", tool, err)
		}
	}
	try := exec.Command("true")
	try.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS}
	if err := try.Run(); errors.Is(err, syscall.EPERM) {
		t.Skipf("this system does not let root make namespaces: %v", err)
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", "catenary/cmd/catenary", "catenary/cmd/catenary-client")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	// The path of the lab's socket must be short.
	tmp, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(tmp); err != nil {
			t.Error(err)
		}
	})
	return &labBench{t, filepath.Join(bin, "catenary"), tmp}
}

// command is the program with arguments, in the bench's temporary folder.
func (b *labBench) command(args ...string) *exec.Cmd { return b.commandFor(patience, args...) }

func (b *labBench) commandFor(most time.Duration, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(b.Context(), most)
	b.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, b.program, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+b.tmp, "XDG_CONFIG_HOME="+b.tmp+"/config")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (b *labBench) run(args ...string) string {
	b.Helper()
	out, err := b.command(args...).CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// up starts a lab and returns when it is ready.
func (b *labBench) up(args ...string) (*exec.Cmd, lab.Ready) {
	b.Helper()
	cmd := b.command(append([]string{"lab", "up", "--json"}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	var r lab.Ready
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&r); err != nil {
		ended := cmd.Wait() // it has said all then
		b.Fatalf("the lab did not start: %v, %v\n%s", err, ended, said.String())
	}
	return cmd, r
}

// processes are the ids of those whose command line names the bench's folder.
func (b *labBench) processes() []string {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		b.Fatal(err)
	}
	var ids []string
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err == nil && bytes.Contains(line, []byte(b.tmp)) { // else it has just ended
			ids = append(ids, filepath.Base(filepath.Dir(f)))
		}
	}
	return ids
}

// left waits until nothing but the given files is left of the bench's labs.
func (b *labBench) left(files int) {
	b.Helper()
	deadline := time.Now().Add(patience)
	for {
		found, err := filepath.Glob(filepath.Join(b.tmp, "*lab*"))
		if err != nil {
			b.Fatal(err)
		}
		ids := b.processes()
		if len(ids) == 0 && len(found) == files {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("processes %v and files %v are left, want %d files", ids, found, files)
		}
	}
}

// links are the names of the links outside of labs.
func (b *labBench) links() []string {
	all, err := net.Interfaces()
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	for _, l := range all {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	return names
}

func TestLab(t *testing.T) {
	b := newLabBench(t)
	on := func(test func(*labBench)) func(*testing.T) {
		return func(t *testing.T) { test(&labBench{t, b.program, b.tmp}) }
	}
	t.Run("stories", on(labStories))
	t.Run("misses", on(labMisses))
	t.Run("crash", on(labCrash))
	t.Run("two", on(labTwo))
}

// labStories plays the shortest stories, with the real programs on up to ten
// machines: a first question and a death, a power loss and a death of the server
// in the middle of a question, and a firewall. They have ten times as long as
// their bounds say, for other tests run meanwhile; `make lab` takes those at
// their word.
func labStories(b *labBench) {
	stories := []string{"quick", "quick-power-loss", "quick-restart", "one-way-firewall"}
	out, err := b.commandFor(5*time.Minute, append([]string{"lab", "run", "--patience", "10"}, stories...)...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\n4 of 4 stories have ended as they must, with 10 times the time\n") {
		b.Errorf("the stories went (%v)\n%s", err, out)
	}
	for _, s := range stories {
		if !strings.Contains(string(out), "\n== "+s+": ok\n") {
			b.Errorf("%s was not played", s)
		}
	}
	b.left(0)
}

// labMisses: an expectation that is not met is a failure of the program, and
// the story goes on.
func labMisses(b *labBench) {
	story := b.story("sites 1\nhosts 2\nexpect registered 3 within 10ms as \"three\"\nexpect chains 1 in s1 within 60s as whole")
	out, err := b.command("lab", "run", story).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		b.Errorf("the program has ended with %v", err)
	}
	for _, want := range []string{"FAILED: 2 are registered", "ok: s1 has 1 chains", "== story: FAILED, 1 expectation", "\n  three  not after ", "\n0 of 1 stories"} {
		if !strings.Contains(string(out), want) {
			b.Errorf("%q is not in\n%s", want, out)
		}
	}
}

// labCrash: a lab is killed with -9. Its programs die with it, and the next
// one removes all that is left: its folder, and what tells `catenary ask` of it.
func labCrash(b *labBench) {
	before := b.links()
	profile := filepath.Join(b.tmp, "config", "catenary", "demo.toml")
	cmd, ready := b.up("--sites", "2", "--hosts", "2")
	if n := len(b.processes()); n < 5 { // four clients and the server
		b.Errorf("%d processes run", n)
	}
	if got := b.run("lab", "exec", "s2h1", "--", "hostname"); got != "s2h1\n" {
		b.Errorf("the host is called %q", got)
	}
	b.crash(cmd, 1)
	for _, file := range []string{ready.Data, profile} {
		if _, err := os.Stat(file); err != nil {
			b.Errorf("what the dead lab has left: %v", err)
		}
	}
	if out, err := b.command("lab", "status").CombinedOutput(); err == nil || !strings.Contains(string(out), "no lab runs") {
		b.Errorf("the dead lab answers: %v, %s", err, out)
	}
	if out := b.run("lab", "down"); !strings.Contains(out, "left by a dead lab") {
		b.Errorf("lab down says %q", out)
	}
	b.left(0)
	if _, err := os.Stat(profile); !errors.Is(err, os.ErrNotExist) {
		b.Errorf("the dead lab's profile: %v", err)
	}

	story := b.command("lab", "run", b.story("sites 1\nhosts 2\nwait 1h"))
	if err := story.Start(); err != nil {
		b.Fatal(err)
	}
	b.await("a client", func() bool { return len(b.processes()) >= 4 }) // two programs of the lab, the server
	b.crash(story, 1)
	cmd, next := b.up("--sites", "1", "--hosts", "1")
	b.run("lab", "--dir", next.Data, "down")
	if err := cmd.Wait(); err != nil {
		b.Errorf("told to end, the lab has ended with: %v", err)
	}
	b.left(0)
	if after := b.links(); !slices.Equal(before, after) {
		b.Errorf("links outside are %v, were %v", after, before)
	}
}

// crash kills a lab with -9 and waits until only so many files are left.
func (b *labBench) crash(cmd *exec.Cmd, files int) {
	b.Helper()
	if err := cmd.Process.Kill(); err != nil {
		b.Fatal(err)
	}
	cmd.Wait() // says that it was killed
	b.left(files)
}

// labTwo: two labs at the same time have the same addresses and names, and
// nothing to do with each other; commands must say which one they mean.
func labTwo(b *labBench) {
	one, first := b.up("--sites", "1", "--hosts", "3")
	two, second := b.up("--sites", "1", "--hosts", "2")
	if out, err := b.command("lab", "status").CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "several labs run; choose one with --dir: ") || !strings.Contains(string(out), first.Data) {
		b.Errorf("status of two labs: %v, %s", err, out)
	}
	b.run("lab", "--dir", first.Data, "kill", "s1h2")
	for _, c := range []struct {
		lab.Ready
		want string
	}{{first, "signal: killed"}, {second, "s1  server ─ s1h1 ─ s1h2 ─ server"}} {
		b.await(c.want, func() bool { return strings.Contains(b.run("lab", "--dir", c.Data, "status"), c.want) })
	}
	// The dead one's folder is all that the next command takes away.
	b.crashOne(one, first)
	b.run("lab", "down")
	if err := two.Wait(); err != nil {
		b.Errorf("told to end, the lab has ended with: %v", err)
	}
	b.left(0)
}

// crashOne kills a lab with -9 beside which another lives.
func (b *labBench) crashOne(cmd *exec.Cmd, r lab.Ready) {
	b.Helper()
	if err := cmd.Process.Kill(); err != nil {
		b.Fatal(err)
	}
	cmd.Wait() // says that it was killed
	b.await("the end of the lab", func() bool {
		return !slices.ContainsFunc(b.processes(), func(id string) bool { return b.names(id, r.Data) })
	})
}

// names reports whether a process' command line names a folder.
func (b *labBench) names(process, folder string) bool {
	line, err := os.ReadFile(filepath.Join("/proc", process, "cmdline"))
	return err == nil && bytes.Contains(line, []byte(folder)) // else it has just ended
}

// await waits until something is so.
func (b *labBench) await(what string, so func() bool) {
	b.Helper()
	for deadline := time.Now().Add(patience); !so(); {
		if time.Now().After(deadline) {
			b.Fatalf("in vain for %s", what)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-b.Context().Done():
		}
	}
}

// story writes a scenario to a file.
func (b *labBench) story(text string) string {
	b.Helper()
	path := filepath.Join(b.tmp, "story.txt")
	if err := os.WriteFile(path, []byte("title x\n"+text+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}
