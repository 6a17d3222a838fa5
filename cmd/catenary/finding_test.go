//go:build unix

package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/link"
	"catenary/internal/wire"
)

// TestLyingPeer: an enrolled machine hands the server a sealed answer in the name
// of another. The answer is not counted, and an operator sees what was tried, at
// whom, and by whom.
func TestLyingPeer(t *testing.T) {
	in := startDemo(t, 3, 3) // one in each LAN
	script := filepath.Join(in.dir, "secret.sh")
	if err := os.WriteFile(script, []byte("echo true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := catenary(t, "sensor", "create", "--name", "Secret", "--platform", "Linux", "--language", "UnixShell", "--file", script, "--mode", "sealed"); err != nil {
		t.Fatal(err)
	}
	ask(t, "Get Secret from all machines")

	_, tr, cert, id := in.enrolStranger()
	place := endpoint.Place{Addr: netip.MustParseAddrPort("127.10.1.77:9"), ID: id}
	dial := func(protocol string) *link.Link {
		from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 10, 1, 77)}}
		conn, err := tls.DialWithDialer(from, "tcp", fmt.Sprintf("127.0.0.1:%d", in.port), tr.ToServer(protocol, cert))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return link.New(conn)
	}
	reg := dial(link.ProtocolRegister)
	if err := reg.Write(wire.Register{Version: wire.Version, Initial: true, Incarnation: 1, Sequence: 1, Place: place, Name: "liar"}, patience); err != nil {
		t.Fatal(err)
	}
	placed, err := link.Expect[wire.Registered](reg, patience)
	if err != nil {
		t.Fatal(err)
	}
	leader := dial(link.ProtocolLeader)
	if err := leader.Write(wire.Hello{Version: wire.Version, Role: wire.ForwardLeader, Place: place, LAN: placed.LAN}, patience); err != nil {
		t.Fatal(err)
	}
	if _, err := link.Expect[wire.HelloOK](leader, patience); err != nil {
		t.Fatal(err)
	}
	victim := answer.Slot(0) // demo-001 was the first in the LAN
	lie := answer.BundleOf(1, victim, answer.Rows{}, answer.Counts{}).Boxed(answer.Sealed, answer.Box{Slot: victim, Bytes: make([]byte, 104)})
	lie.Tainted = true
	if err := leader.Write(wire.Answer{Report: answer.Report{Seq: 1, Question: 1, Bundle: lie}}, patience); err != nil {
		t.Fatal(err)
	}
	if _, err := link.Expect[wire.Ack](leader, patience); err != nil {
		t.Fatal(err)
	}

	out, err := catenary(t, "ask", "--resume", "1", "--quiet", "100ms", "--format", "csv") // the liar's own answer is missing
	if out != "Secret,Count\r\ntrue,3\r\n" {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = catenary(t, "question", "show", "1")
	if err != nil || !strings.Contains(out, "a sealed or attested answer is not its machine's") || !strings.Contains(out, "demo-001") || !strings.Contains(out, "liar") {
		t.Errorf("%v\n%s", err, out)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C { // it is written down a little later
		if out, err = catenary(t, "question", "findings", "--json"); err != nil || time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, out)
		}
		if strings.Contains(out, `"Question": 1, "Kind": "forged_box", "LAN": "127.10.1.0/24", "Answers Of": "demo-001", "Passed On By": "liar", "Times": 1`) {
			return
		}
	}
}
