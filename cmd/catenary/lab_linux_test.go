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
func (b *labBench) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(b.Context(), patience)
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
		b.Fatalf("the lab did not start: %v\n%s", err, said.String())
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
	t.Run("quick", on(labQuick))
	t.Run("misses", on(labMisses))
	t.Run("crash", on(labCrash))
}

// labQuick plays the shortest story, with the real programs on ten machines.
func labQuick(b *labBench) {
	out := b.run("lab", "run", "quick")
	if !strings.HasSuffix(out, "== quick: ok\n\n") || strings.Count(out, "ok: ") != 7 {
		b.Errorf("the story went\n%s", out)
	}
	b.left(0)
}

// labMisses: an expectation that is not met is a failure of the program, and
// the story goes on.
func labMisses(b *labBench) {
	story := filepath.Join(b.tmp, "wrong.txt")
	const text = "title x\nsites 1\nhosts 2\nexpect registered 3 within 10ms\nexpect chains 1 in s1 within 60s\n"
	if err := os.WriteFile(story, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	out, err := b.command("lab", "run", story).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		b.Errorf("the program has ended with %v", err)
	}
	for _, want := range []string{"FAILED: 2 are registered", "ok: s1 has 1 chains", "== wrong: FAILED, 1 expectation"} {
		if !strings.Contains(string(out), want) {
			b.Errorf("%q is not in\n%s", want, out)
		}
	}
}

// labCrash: a lab is killed with -9. Its programs die with it, and the next
// one removes the only thing that is left, its folder.
func labCrash(b *labBench) {
	before := b.links()
	cmd, ready := b.up("--sites", "2", "--hosts", "2")
	if n := len(b.processes()); n < 5 { // four clients and the server
		b.Errorf("%d processes run", n)
	}
	if got := b.run("lab", "exec", "s2h1", "--", "hostname"); got != "s2h1\n" {
		b.Errorf("the host is called %q", got)
	}
	if err := cmd.Process.Kill(); err != nil {
		b.Fatal(err)
	}
	cmd.Wait() // says that it was killed
	b.left(1)
	if _, err := os.Stat(ready.Data); err != nil {
		b.Errorf("the dead lab's data: %v", err)
	}
	if out, err := b.command("lab", "status").CombinedOutput(); err == nil || !strings.Contains(string(out), "no lab runs") {
		b.Errorf("the dead lab answers: %v, %s", err, out)
	}

	cmd, next := b.up("--sites", "1", "--hosts", "1")
	if _, err := os.Stat(ready.Data); !errors.Is(err, os.ErrNotExist) {
		b.Errorf("the next start has left the dead lab's data: %v", err)
	}
	b.run("lab", "--dir", next.Data, "down")
	if err := cmd.Wait(); err != nil {
		b.Errorf("told to end, the lab has ended with: %v", err)
	}
	b.left(0)
	if after := b.links(); !slices.Equal(before, after) {
		b.Errorf("links outside are %v, were %v", after, before)
	}
}
