//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"catenary/internal/demo"
)

// These tests run the real program: the test binary plays it when the
// environment says so.
const beProgram = "CATENARY_TEST_IS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(beProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience bounds waits for what should take milliseconds to seconds, on a
// machine under the race detector and whatever else it does.
const patience = 90 * time.Second

// An installation is a demo that runs in child processes.
type installation struct {
	t     *testing.T
	ready demo.Ready
	port  int
	dir   string
	stop  func() error // ends it and returns what demo.Run returned
}

func startDemo(t *testing.T, clients, perProcess int) *installation {
	t.Helper()
	t.Setenv(beProgram, "1")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in := &installation{t: t, port: freePort(t), dir: t.TempDir()}
	ctx, cancel := context.WithCancel(context.Background())
	out, w := io.Pipe()
	ended := make(chan error, 1)
	var said bytes.Buffer
	go func() {
		err := demo.Run(ctx, demo.Options{
			Clients: clients, DataDir: in.dir, API: "127.0.0.1:0", ClientPort: in.port,
			PerProcess: perProcess, JSON: true, Program: program, Profile: filepath.Join(in.dir, "demo.toml"),
		}, w, &said)
		w.CloseWithError(fmt.Errorf("the demo has ended: %v", err))
		ended <- err
	}()
	in.stop = func() error {
		cancel()
		err := <-ended
		ended <- err // for the clean-up
		return err
	}
	t.Cleanup(func() {
		if err := in.stop(); err != nil {
			t.Errorf("demo: %v", err)
		}
		if t.Failed() {
			in.showLogs()
		}
	})
	if err := json.NewDecoder(out).Decode(&in.ready); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CATENARY_URL", in.ready.API)
	t.Setenv("CATENARY_TOKEN", in.ready.Token)
	t.Setenv("CATENARY_CA", in.ready.CA)
	t.Setenv("CATENARY_CONFIG", filepath.Join(in.dir, "none.toml"))
	return in
}

func (in *installation) showLogs() {
	logs, err := filepath.Glob(filepath.Join(in.dir, "logs", "*.log"))
	if err != nil {
		in.t.Error(err)
	}
	for _, path := range logs {
		data, err := os.ReadFile(path)
		if err != nil {
			in.t.Error(err)
		}
		lines := strings.Split(string(data), "\n")
		in.t.Logf("%s:\n%s", filepath.Base(path), strings.Join(lines[max(0, len(lines)-25):], "\n"))
	}
}

func freePort(t *testing.T) int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// catenary runs the command line in this process.
func catenary(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	root := command()
	var out, errOut bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&errOut)
	err = root.ExecuteContext(ctx)
	if errOut.Len() > 0 {
		t.Logf("%v: %s", args, errOut.String())
	}
	return out.String(), err
}

// ask returns the rows of a question's answer. The exit code for an incomplete
// answer is no failure here: the rows are.
func ask(t *testing.T, text string, flags ...string) []map[string]any {
	t.Helper()
	out, err := catenary(t, append([]string{"ask", text, "--format", "json"}, flags...)...)
	if err != nil {
		t.Logf("ask: %v", err)
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	return rows
}

// names are the computer names that have answered, each as often as it has.
func names(rows []map[string]any) []string {
	var all []string
	for _, r := range rows {
		for range int(r["Count"].(float64)) {
			all = append(all, r["Computer Name"].(string))
		}
	}
	slices.Sort(all)
	return all
}

func seatNames(n int, but ...string) []string {
	var all []string
	for _, s := range demo.Seats(n, 1, "") {
		if !slices.Contains(but, s.Name) {
			all = append(all, s.Name)
		}
	}
	slices.Sort(all)
	return all
}

// TestDemoAnswers: every client answers exactly once through its chain, and
// the server holds two connections for each of the three chains.
func TestDemoAnswers(t *testing.T) {
	in := startDemo(t, 21, 7)
	if got, want := names(ask(t, "Get Computer Name from all machines")), seatNames(21); !slices.Equal(got, want) {
		t.Errorf("answered: %v, want %v", got, want)
	}
	rows := ask(t, "Get Computer Name and Operating System from all machines")
	if got, want := names(rows), seatNames(21); !slices.Equal(got, want) {
		t.Errorf("answered: %v, want %v", got, want)
	}
	rows = ask(t, "Get Is Linux from all machines")
	if len(rows) != 1 || rows[0]["Count"] != 21.0 || rows[0]["Is Linux"] != "True" {
		t.Errorf("rows are %v, want one of 21 machines", rows)
	}
	rows = ask(t, `Get Computer Name from all machines with Computer Name ends with 7 or Computer Name equals demo-001`)
	if got, want := names(rows), []string{"demo-001", "demo-007", "demo-017"}; !slices.Equal(got, want) {
		t.Errorf("answered: %v, want %v", got, want)
	}
	in.wantConnections(6)
}

// wantConnections waits until the server holds so many connections of clients,
// as the kernel counts them.
func (in *installation) wantConnections(want int) {
	in.t.Helper()
	deadline := time.Now().Add(patience)
	filter := fmt.Sprintf("( sport = :%d and src 127.0.0.1 )", in.port)
	for {
		out, err := exec.Command("ss", "-Htn", "state", "established", filter).Output()
		if err != nil {
			in.t.Fatalf("ss (Debian package iproute2): %v", err)
		}
		got := strings.Count(string(out), "\n")
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			in.t.Fatalf("the server holds %d connections, want %d:\n%s", got, want, out)
		}
	}
}

// TestKilledClient: a client process is killed with -9 in the middle of its
// chain. The next question counts all that live.
func TestKilledClient(t *testing.T) {
	in := startDemo(t, 21, 1)
	ask(t, "Get Computer Name from all machines")
	// Client i+1 has the (i+1)th process, and seats go round the three LANs:
	// demo-010 is the fourth of seven in the first.
	if err := syscall.Kill(in.ready.ClientPIDs[9], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	rows := ask(t, "Get Computer Name from all machines", "--quiet", "3s")
	if got, want := names(rows), seatNames(21, "demo-010"); !slices.Equal(got, want) {
		t.Errorf("answered: %v, want %v", got, want)
	}
	in.wantConnections(6)
}

// TestCutLink: the link between two clients in the middle of a chain is torn
// down by the kernel. The next question counts everyone.
func TestCutLink(t *testing.T) {
	in := startDemo(t, 21, 7)
	ask(t, "Get Computer Name from all machines")
	pair := "( src 127.10.1.4 and dst 127.10.1.5 ) or ( src 127.10.1.5 and dst 127.10.1.4 )"
	out, err := exec.Command("ss", "-HKtn", "state", "established", pair).CombinedOutput()
	if err != nil {
		t.Fatalf("ss (Debian package iproute2): %v: %s", err, out)
	}
	if !strings.Contains(string(out), fmt.Sprintf(":%d", in.port)) {
		t.Skipf("this kernel does not let ss -K end connections (CONFIG_INET_DIAG_DESTROY), or may not as this user: %q", out)
	}
	rows := ask(t, "Get Computer Name from all machines")
	if got, want := names(rows), seatNames(21); !slices.Equal(got, want) {
		t.Errorf("answered: %v, want %v", got, want)
	}
	in.wantConnections(6)
}

// TestScriptSensor: a sensor made now is answered now, with its parameter.
func TestScriptSensor(t *testing.T) {
	in := startDemo(t, 6, 3)
	script := filepath.Join(in.dir, "script.sh")
	if err := os.WriteFile(script, []byte("echo \"||word|||$((6*7))\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := catenary(t, "sensor", "create", "--name", "Echo Word", "--platform", "Linux", "--language", "UnixShell", "--file", script,
		"--parameter", "word=Word", "--delimiter", "|", "--column", "Word:String", "--column", "Answer:NumericInteger"); err != nil {
		t.Fatal(err)
	}
	rows := ask(t, "Get Echo Word[tea] from all machines with Echo Word[tea]:Answer > 41")
	if len(rows) != 1 || rows[0]["Word"] != "tea" || rows[0]["Count"] != 6.0 {
		t.Errorf("rows are %v", rows)
	}
}

// TestLateClient: a client that registers while a question lives still answers.
func TestLateClient(t *testing.T) {
	in := startDemo(t, 6, 3)
	if got, want := names(ask(t, "Get Computer Name from all machines")), seatNames(6); !slices.Equal(got, want) {
		t.Fatalf("answered: %v, want %v", got, want)
	}
	defer in.run(t, "late", "127.10.1.77", t.TempDir())()
	want := append(seatNames(6), "late")
	deadline := time.Now().Add(patience)
	for got := []string(nil); !slices.Equal(got, want); {
		if time.Now().After(deadline) {
			t.Fatalf("answered: %v, want %v", got, want)
		}
		out, err := catenary(t, "ask", "--resume", "1", "--format", "json")
		if err != nil {
			t.Fatal(err)
		}
		var rows []map[string]any
		if err := json.Unmarshal([]byte(out), &rows); err != nil {
			t.Fatal(err)
		}
		got = names(rows)
	}
}

// TestDemoEnds: no process is left when the demo has ended.
func TestDemoEnds(t *testing.T) {
	in := startDemo(t, 6, 2)
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range append(in.ready.ClientPIDs, in.ready.ServerPID) {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is left", pid)
		}
	}
}
