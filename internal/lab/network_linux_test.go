package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests need namespaces of their own: the test runs itself again in them
// when the environment says so.
const insideEnv = "CATENARY_TEST_INSIDE_LAB"

// inNamespaces runs the test anew as a lab's inner process is run, and reports
// whether this is that run.
func inNamespaces(t *testing.T) bool {
	if os.Getenv(insideEnv) != "" {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if err := tools(); err != nil {
		t.Skip(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS, Pdeathsig: syscall.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) {
		t.Skipf("this system does not let root make namespaces: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// A bench is a network with a listener on the server and on each host.
type bench struct {
	*testing.T
	*inner
}

func newBench(t *testing.T, l Layout) *bench {
	if err := isolate(); err != nil {
		t.Fatal(err)
	}
	n, err := newNetwork(l)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t, &inner{order: order{Layout: l}, network: n, mark: map[string]Bytes{}}}
	b.serve(n.server)
	for _, h := range n.hosts {
		b.serve(h.namespace)
	}
	return b
}

// padding makes what comes in clearly more than what goes out.
const padding = 10_000 // bytes

// serve answers connections in a namespace with the address they come from.
func (b *bench) serve(n namespace) {
	var ln net.Listener
	err := n.do(func() (err error) {
		ln, err = net.Listen("tcp", fmt.Sprintf("[::]:%d", clientPort))
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	go func() { // ends with the listener
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if _, err := fmt.Fprintf(conn, "%-*v", padding, conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()); err != nil {
				b.Log(err)
			}
			conn.Close()
		}
	}()
}

const (
	// reachTimeout is longer than repeated SYNs take, so that a lost frame does
	// not look like a wall.
	reachTimeout = 10 * time.Second
	// wallTimeout is how long a wall is believed to be one; each is tried
	// without it as well.
	wallTimeout = 300 * time.Millisecond
	nobody      = "nobody"
)

// dial says as whom the host `from` is seen at an address, or nobody.
func (b *bench) dial(from string, to netip.Addr, timeout time.Duration) (seen string, took time.Duration) {
	n := b.network.server
	for _, h := range b.hosts {
		if h.name == from {
			n = h.namespace
		}
	}
	began := time.Now()
	err := n.do(func() error {
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(to, clientPort).String(), timeout)
		if err != nil {
			return err
		}
		took = time.Since(began)
		defer conn.Close()
		all, err := io.ReadAll(conn)
		seen = strings.TrimSpace(string(all))
		return err
	})
	if err != nil {
		return nobody, took
	}
	return seen, took
}

// quickest is the best of several dials: the first has to find out the hardware
// address, and the machine has other things to do.
func (b *bench) quickest(from string, to netip.Addr) (seen string, least time.Duration) {
	least = reachTimeout
	for range 3 {
		as, took := b.dial(from, to, reachTimeout)
		if seen = as; as == nobody {
			return seen, least
		}
		least = min(least, took)
	}
	return seen, least
}

func (b *bench) want(from string, to netip.Addr, as string) {
	b.Helper()
	timeout := reachTimeout
	if as == nobody {
		timeout = wallTimeout
	}
	if got, _ := b.dial(from, to, timeout); got != as {
		b.Errorf("%s is seen at %v as %s, want %s", from, to, got, as)
	}
}

func (b *bench) do(commands ...string) {
	b.Helper()
	for _, c := range commands {
		if err := b.command(c); err != nil {
			b.Fatalf("%s: %v", c, err)
		}
	}
}

func layout(t *testing.T, text string) Layout {
	t.Helper()
	s, err := ParseScenario("test", "title x\n"+text+"\nmark")
	if err != nil {
		t.Fatal(err)
	}
	return s.Layout
}

// TestWays: who can reach whom, in each family of addresses, and as whom.
func TestWays(t *testing.T) {
	if !inNamespaces(t) {
		return
	}
	b := newBench(t, layout(t, "sites 4\nhosts 2\nnat 2\nipv6 3\ndual 4"))
	four, six := wan4(lastHost), wan6(lastHost)
	b.want("s1h1", four, "10.1.0.1")
	b.want("s1h1", six, nobody)
	b.want("s2h1", four, "203.0.113.2")
	b.want("s2h2", four, "203.0.113.2")
	b.want("s3h1", six, "2001:db8:0:3::1")
	b.want("s3h1", four, nobody)
	b.want("s4h2", four, "10.4.0.2")
	b.want("s4h2", six, "2001:db8:0:4::2")
	b.want("s1h1", host4(1, 2), "10.1.0.1")
	b.want("s3h1", host6(3, 2), "2001:db8:0:3::1")
	b.want("s1h1", host4(4, 1), nobody) // the firewalls let nobody in
	b.want("server", host4(1, 1), nobody)
	if err := b.hosts[0].do(func() error {
		name, err := os.Hostname()
		if err == nil && name != "s1h1" {
			err = fmt.Errorf("the host is called %s", name)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// TestTroubles: each command does what it says, and heal undoes it.
func TestTroubles(t *testing.T) {
	if !inNamespaces(t) {
		return
	}
	b := newBench(t, layout(t, "sites 2\nhosts 3"))
	server := wan4(lastHost)
	b.do("cut s1h1")
	b.want("s1h1", server, nobody)
	b.want("s1h2", server, "10.1.0.2")
	b.do("heal s1h1", "cut s1")
	b.want("s1h1", server, nobody)
	b.want("s1h1", host4(1, 2), "10.1.0.1")
	b.want("s2h1", server, "10.2.0.1")
	b.do("heal s1", "cut server")
	b.want("s1h1", server, nobody)
	b.do("heal server")
	b.want("s1h1", server, "10.1.0.1")

	b.do("block s1h1 s1h2..3")
	b.want("s1h1", host4(1, 2), nobody)
	b.want("s1h2", host4(1, 1), nobody) // its packets pass, the replies do not
	b.want("s1h1", server, "10.1.0.1")
	b.do("heal s1h2..3", "block-dials s1h1 s1h2")
	b.want("s1h1", host4(1, 2), nobody)
	b.want("s1h2", host4(1, 1), "10.1.0.2")
	b.do("heal all", "block-dials all s1h2")
	b.want("s1h1", host4(1, 2), nobody)
	b.want("s1h2", host4(1, 1), "10.1.0.2")
	b.do("heal s1h2", "block s2 s2")
	b.want("s2h1", host4(2, 2), nobody)
	b.want("s2h1", server, "10.2.0.1")
	b.want("s1h1", host4(1, 2), "10.1.0.1")
	b.do("heal all")

	b.do("move s1h3 s2")
	b.want("s1h3", server, "10.2.0.4")
	b.want("s1h3", host4(2, 1), "10.2.0.4")
	if err := b.command("move s1h3 s2"); err == nil {
		t.Error("a host moves to where it is")
	}
	if err := b.command("kill s3h1"); err == nil {
		t.Error("a host of no site is killed")
	}
}

// TestRelay: frames are held, in both directions, also after a move.
func TestRelay(t *testing.T) {
	if !inNamespaces(t) {
		return
	}
	b := newBench(t, layout(t, "sites 2\nhosts 2"))
	const held = 25 * time.Millisecond
	slow := func(from string, to netip.Addr, want time.Duration) {
		t.Helper()
		seen, took := b.quickest(from, to)
		// Less than twice as long: who waits more waits for something else.
		if seen == nobody || took < want || want > 0 && took > 2*want+10*time.Millisecond {
			t.Errorf("%s reaches %v as %s after %v, want %v", from, to, seen, took, want)
		}
	}
	b.do("delay s1 25ms")
	slow("s1h1", wan4(lastHost), 2*held)
	slow("s1h1", host4(1, 2), 0)
	b.do("delay s1h1 25ms")
	slow("s1h1", wan4(lastHost), 4*held)
	b.do("heal s1", "delay s1h1 25ms")
	slow("s1h1", wan4(lastHost), 2*held)
	slow("s1h1", host4(1, 2), 2*held)
	b.do("move s1h1 s2")
	slow("s1h1", host4(2, 2), 2*held)
	b.do("cut s1h1")
	b.want("s1h1", host4(2, 2), nobody)
	b.do("heal s1h1")
	if _, took := b.quickest("s1h1", host4(2, 2)); took > held {
		t.Errorf("after the healing a connection takes %v", took)
	}
	b.do("loss s1h2 100%")
	b.want("s1h2", wan4(lastHost), nobody)
	if got := b.hosts[1].trouble(); got != "loss 100%" {
		t.Errorf("trouble: %q", got)
	}
	b.do("heal all")
	b.want("s1h2", wan4(lastHost), "10.1.0.2")
}

// TestCounters: the bytes of a connection are counted where it passes.
func TestCounters(t *testing.T) {
	if !inNamespaces(t) {
		return
	}
	b := newBench(t, layout(t, "sites 2\nhosts 2"))
	b.want("s1h1", wan4(lastHost), "10.1.0.1")
	if err := b.setMark(); err != nil {
		t.Fatal(err)
	}
	b.want("s1h1", wan4(lastHost), "10.1.0.1")
	tr, err := b.traffic()
	if err != nil {
		t.Fatal(err)
	}
	wan, host := tr.Sites[0].WAN, tr.Sites[0].Hosts[0].Bytes
	// SYN, ACKs and FIN go out, at 66 to 74 bytes each; in come eight frames
	// of at most 1514, as a cable would see them.
	if wan.OutPackets < 3 || wan.Out < 200 || wan.Out > 2000 || wan.InPackets < 8 || wan.In < padding || wan.In > 2*padding {
		t.Errorf("the WAN link has carried %+v", wan)
	}
	if host.Out < wan.Out || host.In < wan.In {
		t.Errorf("the host's link has carried %+v, the WAN link %+v", host, wan)
	}
	if tr.Sites[0].busiest().Host != "s1h1" || tr.Sites[1].WAN.OutPackets > 5 {
		t.Errorf("traffic is %+v", tr)
	}
	var table strings.Builder
	if err := tr.Table(&table, true); err != nil {
		t.Fatal(err)
	}
	rows := slices.Collect(strings.Lines(table.String()))
	if len(rows) != 10 || !strings.Contains(rows[1], "s1 WAN") || !strings.Contains(rows[3], "s1h1") {
		t.Errorf("the table is\n%s", table.String())
	}
}
