//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catenary/internal/demo"
)

// A lone server runs as a process of its own, so that it can be killed and
// started again while its clients run in the test's process.
type loneServer struct {
	t       *testing.T
	dir     string
	listen  string
	flags   []string // more of them
	api     string
	log     *os.File
	process *exec.Cmd
}

func newLoneServer(t *testing.T, dir string, port int) *loneServer {
	t.Helper()
	t.Setenv(beProgram, "1")
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	s := &loneServer{
		t: t, dir: filepath.Join(dir, "server"), log: log,
		listen: fmt.Sprintf("127.0.0.1:%d", port), api: fmt.Sprintf("127.0.0.1:%d", freePort(t)),
	}
	t.Cleanup(func() {
		if s.process.ProcessState == nil {
			s.kill()
		}
		if data, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s", data)
		}
		log.Close()
	})
	return s
}

func (s *loneServer) start() (a demo.Announcement) {
	s.t.Helper()
	program, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = exec.Command(program, append([]string{"server", "--announce", "--data-dir", s.dir, "--listen", s.listen, "--api", s.api}, s.flags...)...)
	s.process.Stderr = s.log
	out, err := s.process.StdoutPipe()
	if err == nil {
		err = s.process.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		s.t.Fatalf("the server did not start: %v", err)
	}
	return a
}

// kill ends the process as a power cut would.
func (s *loneServer) kill() {
	s.t.Helper()
	if err := s.process.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.process.Wait(); err == nil {
		s.t.Fatal("a killed server ends well")
	}
}

// TestServerKilledDuringAQuestion: the server is killed while every machine
// computes, and started again. Who asks waits across that and gets the whole
// answer, and nothing is counted twice.
func TestServerKilledDuringAQuestion(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	s := newLoneServer(t, dir, port)
	a := s.start()
	session := s.logIn(a)

	const clients = 9
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- runFleet(ctx, demo.Fleet{Init: a.Init, Seats: demo.Seats(clients, port, filepath.Join(dir, "clients"))}, slog.New(slog.DiscardHandler))
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("clients: %v", err)
		}
	}()
	s.until("every client has registered", func() bool {
		n, err := session.ClientCount(t.Context())
		return err == nil && n == clients
	})
	script := filepath.Join(dir, "script.sh")
	if err := os.WriteFile(script, []byte("sleep 3; echo done\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := catenary(t, "sensor", "create", "--name", "Slow", "--platform", "Linux", "--language", "UnixShell", "--file", script, "--max-age", "1s"); err != nil {
		t.Fatal(err)
	}

	type said struct {
		out, errs string
		err       error
	}
	answered := make(chan said, 1)
	go func() {
		root := command()
		var out, errs bytes.Buffer
		root.SetArgs([]string{"ask", "Get Slow from all machines", "--percent", "100", "--timeout", "80s", "--format", "json"})
		root.SetOut(&out)
		root.SetErr(&errs)
		err := root.ExecuteContext(t.Context())
		answered <- said{out.String(), errs.String(), err}
	}()
	s.until("every machine computes", func() bool { return s.account(1).Running == clients })
	s.kill()
	s.start()
	got := <-answered
	if got.err != nil || got.out != "[\n  {\"Slow\": \"done\", \"Count\": 9}\n]\n" || !strings.Contains(got.errs, "the question was asked again") {
		t.Errorf("the answer is %s%s, %v", got.out, got.errs, got.err)
	}
	if x := s.account(1); x.Answered != clients || x.Machines != clients || x.Repeated != 1 {
		t.Errorf("the account says %+v", x)
	}
	if list, err := catenary(t, "question", "list", "--format", "csv"); err != nil || strings.Count(list, "\n") != 2 {
		t.Errorf("%v, the list shows\n%s", err, list)
	}
}

func (s *loneServer) logIn(a demo.Announcement) *demo.Session {
	s.t.Helper()
	password, err := os.ReadFile(a.PasswordFile)
	if err != nil {
		s.t.Fatal(err)
	}
	session, err := demo.LogIn(s.t.Context(), a, strings.TrimSpace(string(password)))
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := session.MakeToken(s.t.Context(), "test")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Setenv("CATENARY_URL", a.API)
	s.t.Setenv("CATENARY_TOKEN", token)
	s.t.Setenv("CATENARY_CA", a.CA)
	s.t.Setenv("CATENARY_CONFIG", filepath.Join(s.dir, "none.toml"))
	return session
}

// until asks again and again until it is so.
func (s *loneServer) until(what string, so func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !so(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("in vain waited until %s", what)
		}
	}
}

type machineCounts struct {
	Machines int `json:"machine_count"`
	Answered int `json:"answered_count"`
	Running  int `json:"running_count"`
	Repeated int `json:"repeat_count"`
}

func (s *loneServer) account(id int) machineCounts {
	var shown struct {
		Account machineCounts `json:"account"`
	}
	out, err := catenary(s.t, "question", "show", fmt.Sprint(id), "--json")
	if err != nil {
		return machineCounts{} // it has not been asked yet
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		s.t.Fatal(err)
	}
	return shown.Account
}
