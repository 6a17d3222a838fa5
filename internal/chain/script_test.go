package chain

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"catenary/internal/endpoint"
)

var update = flag.Bool("update", false, "rewrite the expected effects in testdata")

// TestScripts plays each testdata/*.txt to node 5 of a LAN. A line that begins
// with a time is an event; the indented lines after it are the effects it must
// have. Node N stands at 10.0.0.N.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s\n(go test ./internal/chain -update accepts it)", got, want)
			}
		})
	}
}

// A stage is one node and the connections that a script has named so far.
type stage struct {
	node  *Node
	start time.Time
	dials map[string]Conn // by side and peer, as the script writes them
	knock Conn
}

func play(t *testing.T, script string) string {
	var out strings.Builder
	st := stage{node: New(place(5), 1), start: time.Unix(0, 0), dials: map[string]Conn{}, knock: 1}
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "\t") {
			continue // an effect from the last time
		}
		out.WriteString(line)
		at, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || at == "#" {
			continue
		}
		d, err := time.ParseDuration(at)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		now := st.start.Add(d)
		for _, ef := range st.node.Step(now, st.parse(t, rest)) {
			fmt.Fprintf(&out, "\t%s\n", st.show(ef))
		}
		for s := range Side(2) {
			if rest == "tick" { // what the script leaves to chance shows here
				fmt.Fprintf(&out, "\t(%v: %s)\n", s, name(st.node.edges[s].held))
			}
		}
		if dl := st.node.Deadline(); !dl.IsZero() && !dl.After(now) {
			t.Errorf("%q leaves something overdue", line)
		}
	}
	return out.String()
}

// parse reads an event: a verb, and for most a side and a peer.
func (st *stage) parse(t *testing.T, s string) Event {
	f := strings.Fields(s)
	if f[0] == "peers" {
		var ev Peers
		for i, p := range f[1:] {
			switch p {
			case "from":
				ev.From = placeOf(t, f[i+2])
			case "until":
				ev.Until = placeOf(t, f[i+2])
			case "moved":
				ev.Moved = true
			}
			if _, err := strconv.Atoi(p); err != nil || i > 0 && (f[i] == "from" || f[i] == "until") {
				continue
			}
			if at := placeOf(t, p); at.Compare(st.node.self) < 0 {
				ev.Back = append(ev.Back, at)
			} else {
				ev.Fore = append(ev.Fore, at)
			}
		}
		return ev
	}
	switch f[0] {
	case "tick":
		return Tick{}
	case "hint":
		return Hint{placeOf(t, f[1])}
	}
	side := map[string]Side{"back": Back, "fore": Fore}[f[1]]
	who := strings.Join(f[1:], " ")
	switch f[0] {
	case "reached":
		return Reached{st.dials[who]}
	case "up":
		return Up{st.dials[who]}
	case "failed":
		return Failed{Conn: st.dials[who]}
	case "refused": // by somebody, perhaps because of another who is nearer
		who, later := strings.CutSuffix(who, " now")
		who, nearer, _ := strings.Cut(who, " for ")
		ev := Failed{Conn: st.dials[who], Refused: true, Later: later}
		if nearer != "" {
			ev.Nearer = PeerAt(placeOf(t, nearer))
		}
		return ev
	case "suspect":
		return Suspect{side}
	case "trust":
		return Trust{side}
	case "alive":
		return Alive{side}
	case "gone": // who waits at the door
		return Down{st.node.edges[side].waiting.conn}
	case "down":
		return Down{st.node.edges[side].conn}
	case "stalled":
		return Stalled{side}
	case "knock": // and whom the knocker believes dead
		st.knock += 2
		ev := Knock{Conn: st.knock, Side: side, Peer: placeOf(t, f[2])}
		for _, x := range f[3:] {
			ev.Suspects = append(ev.Suspects, placeOf(t, x).ID)
		}
		return ev
	}
	t.Fatalf("unknown event %q", s)
	return nil
}

func (st *stage) show(ef Effect) string {
	switch ef := ef.(type) {
	case Dial:
		who := ef.Side.String() + " " + name(ef.Peer)
		st.dials[who] = ef.Conn
		out := "dial " + who
		for i, id := range ef.Suspects {
			if i == 0 {
				out += " without"
			}
			out += fmt.Sprint(" ", id[0])
		}
		return out
	case Admit:
		return fmt.Sprintf("admit %d", ef.Conn/2)
	case Refuse:
		out := fmt.Sprintf("refuse %d", ef.Conn/2)
		if ef.Nearer != Nobody {
			out += " for " + name(ef.Nearer)
		}
		if ef.Later {
			out += " now"
		}
		return out
	case Check:
		return "check " + ef.Side.String()
	case Dead:
		return "dead " + name(PeerAt(ef.Place))
	case Exhausted:
		return "exhausted " + ef.Side.String()
	case Hangup:
		return "hangup " + st.whose(ef.Conn)
	}
	panic(fmt.Sprintf("unknown effect %T", ef))
}

// whose names a connection: one that was dialled by its side and peer.
func (st *stage) whose(c Conn) string {
	for who, dial := range st.dials {
		if dial == c {
			return who
		}
	}
	return fmt.Sprintf("knock %d", c/2)
}

func name(p Peer) string {
	if p == Nobody || p == Server {
		return p.String()
	}
	return fmt.Sprint(p.Place.Addr.Addr().As4()[3])
}

func place(n byte) endpoint.Place {
	return endpoint.Place{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 17472), ID: endpoint.ID{n}}
}

func placeOf(t *testing.T, s string) endpoint.Place {
	var n byte
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatalf("%q is no machine: %v", s, err)
	}
	return place(n)
}
