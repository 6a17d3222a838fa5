package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// TestSealedFromPeers: machines answer a script sensor with a text of their
// own. The operator sees all; the memory of each machine, of which nothing can
// be hidden that ever reached it, holds the texts of others if the sensor is
// merged or attested, and only its own if it is sealed.
func TestSealedFromPeers(t *testing.T) {
	in := startDemo(t, 6, 1)
	for _, mode := range []string{"merged", "attested", "sealed"} {
		script, mark := filepath.Join(in.dir, mode+".sh"), mode[:3]+"fish-"
		// The mark is put together by the shell: it is not in the question.
		if err := os.WriteFile(script, []byte("echo \""+mode[:3]+"\"\"fish-$PPID\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := catenary(t, "sensor", "create", "--name", "Own "+mode, "--platform", "Linux", "--language", "UnixShell",
			"--file", script, "--mode", mode); err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, row := range ask(t, "Get Own "+mode+" from all machines") {
			got = append(got, fmt.Sprint(row["Own "+mode]))
		}
		for _, pid := range in.ready.ClientPIDs {
			want = append(want, fmt.Sprint(mark, pid))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%s: the answer is %q, want %q", mode, got, want)
		}
		others := 0
		for _, pid := range in.ready.ClientPIDs {
			seen := inMemory(t, pid, mark)
			if own := fmt.Sprint(mark, pid); !seen[own] {
				t.Fatalf("%s: client %d does not even hold its own text; it holds %v", mode, pid, seen)
			}
			others += len(seen) - 1
		}
		if mode == "sealed" && others != 0 {
			t.Errorf("sealed: clients hold %d texts of others", others)
		}
		if mode != "sealed" && others == 0 {
			t.Errorf("%s: no client holds a text of another: the test sees nothing", mode)
		}
	}
}

// heapMax is more than the heap of a client takes, in bytes; what is larger
// belongs to the race detector.
const heapMax = 64 << 20

// inMemory finds texts that begin with the mark and go on in digits in the
// memory of a process.
func inMemory(t *testing.T, pid int, mark string) map[string]bool {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("this user may not look into the memory of other processes:", err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	seen := map[string]bool{}
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to int64
		var flags string
		_, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &flags)
		if err != nil || !strings.HasPrefix(flags, "rw") || to-from > heapMax {
			continue
		}
		area := make([]byte, to-from)
		n, err := mem.ReadAt(area, from)
		if err != nil && n == 0 {
			continue // not mapped any more
		}
		for rest := area[:n]; ; {
			at := bytes.Index(rest, []byte(mark))
			if at < 0 {
				break
			}
			rest = rest[at:]
			end := len(mark)
			for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
				end++
			}
			if end > len(mark) {
				seen[string(rest[:end])] = true
			}
			rest = rest[len(mark):]
		}
	}
	return seen
}

// startModes runs a server that clients visit all the time, with a few of them.
func startModes(t *testing.T, clients int) (*relay, *running, string) {
	r, dir := startRelay(t), t.TempDir()
	r.open.Store(true)
	s := r.startServer(dir)
	r.startClients(s.Server, clients)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		n := s.CountClients(t.Context())
		if time.Now().After(deadline) {
			t.Fatalf("%d clients have come", n)
		}
		if n == clients {
			break
		}
	}
	return r, s, dir
}

// asks asks and waits until so many machines have answered.
func (s *running) asks(t *testing.T, text string, machines int) uint64 {
	t.Helper()
	q, err := question.Parse(text, s.Catalogue(), nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Ask(t.Context(), question.Asking{Question: q, Life: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.After(patience)
	for {
		r, err := s.Result(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if r.Answered == machines {
			return id
		}
		select {
		case <-deadline:
			t.Fatalf("%d of %d have answered", r.Answered, machines)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// sealedSensor makes a sensor that only the server can read.
func (s *running) sealedSensor(t *testing.T) {
	t.Helper()
	if _, err := s.CreateSensor(t.Context(), sensor.Sensor{
		Name: "Secret", Columns: []sensor.Column{{Name: "Secret", Type: value.String}}, MaxAge: time.Minute, Mode: 2,
		Platforms: []sensor.Platform{sensor.Linux}, Scripts: []sensor.Script{{Platform: sensor.Linux, Language: sensor.UnixShell, Source: "echo s"}},
	}, "test"); err != nil {
		t.Fatal(err)
	}
}

// TestHonestAudit: clients that are audited bring the evidence by themselves, in
// whichever way they register, and that of honest ones agrees.
func TestHonestAudit(t *testing.T) {
	_, s, _ := startModes(t, 5)
	id := s.asks(t, "Get Computer Name and Operating System from all machines", 5)
	count := func(outcome string) int { return s.figure(t, "catenary_audits_total", outcome) }
	deadline := time.After(patience)
	for count("agrees") == 0 {
		select {
		case <-deadline:
			t.Fatal("no evidence has come")
		case <-time.After(20 * time.Millisecond):
		}
	}
	if n := count("disagrees"); n != 0 {
		t.Errorf("%d disagree", n)
	}
	if found, err := s.Findings(t.Context(), id); err != nil || len(found) != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
}

// figure is one of the server's counters.
func (s *running) figure(t *testing.T, name, label string) int {
	t.Helper()
	families, err := s.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// TestSealedAfterLoss: a server that has lost the secrets of its registration
// keys cannot open what comes first, and then gets all answers all the same.
func TestSealedAfterLoss(t *testing.T) {
	r, s, dir := startModes(t, 5)
	s.sealedSensor(t)
	s.asks(t, "Get Secret from all machines", 5)
	s.stop()
	if err := os.Remove(filepath.Join(dir, "keys", "registration.secrets")); err != nil {
		t.Fatal(err)
	}
	r.open.Store(false) // nobody hears by datagram that its key is unknown
	again := r.startServer(dir)
	again.asks(t, "Get Secret from all machines", 5)
}
