package cli

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"
)

// office is a LAN in which much is wrong, and two others.
func office(f *fleet) {
	const lan = "10.1.7.0/24"
	row := func(n int, back, fore, status string, change ...string) map[string]any {
		o := statusRow(n, fmt.Sprintf("pc-%02d", n), fmt.Sprintf("10.1.7.%d", n), lan, back, fore, status)
		for _, name := range change {
			o[name] = true
		}
		return o
	}
	f.status = []map[string]any{
		row(1, "server", "pc-02", "Leader"),
		row(2, "pc-01", "pc-03", "Normal"),
		row(3, "pc-02", "pc-05 (slow)", "Slow Link Ahead"),
		row(4, "", "server", "Leader, Blocked"), // stands between, and nobody knows it
		row(5, "pc-03 (slow)", "pc-06", "Slow Link Behind"),
		row(6, "pc-05", "", "Normal"),
		row(7, "pc-06", "server", "Leader"),
		row(8, "", "", "(None)", "offline_flag"),
		row(9, "server", "server", "Leader"),
		row(10, "pc-77", "pc-11", "Normal"),
	}
	f.status[8]["registration_error_text"] = "replayed \x1b[2J"
	for n := 11; n <= 40; n++ {
		f.status = append(f.status, row(n, fmt.Sprintf("pc-%02d", n-1), fmt.Sprintf("pc-%02d", n+1), "Normal"))
	}
	for n := 41; n <= 43; n++ { // the next segment
		o := row(n, fmt.Sprintf("pc-%02d", n-1), fmt.Sprintf("pc-%02d", n+1), "Normal")
		o["chain"] = 1
		f.status = append(f.status, o)
	}
	f.status[9]["forward"], f.status[10]["backward"], f.status[39]["forward"], f.status[40]["backward"], f.status[42]["forward"] = side("pc-66"), side("pc-66"), side("server"), side("server"), side("server")
	alone := statusRow(90, "vpn-1", "10.8.0.5", "10.8.0.5/32", "server", "server", "Leader")
	alone["isolated_flag"] = true
	single := statusRow(91, "kiosk", "10.9.0.5", "10.9.0.0/24", "server", "server", "Leader")
	f.status = append(f.status, alone, single)
}

const officeDrawn = `10.1.7.0/24: 43 clients, 4 chains, 7 leaders, 2 gaps, 1 slow link, 1 half link, 1 unreported link, 1 passed over, 1 offline, 1 blocked

  ┌ server
  ├ 10.1.7.1   pc-01  backward leader
  ├ 10.1.7.2   pc-02
  ├ 10.1.7.3   pc-03
  ╎ slow link: 143 ms there and back
  ┊ 10.1.7.4   pc-04  passed over: its neighbours are linked to each other
  ├ 10.1.7.5   pc-05
  ├ 10.1.7.6   pc-06
  ╎ half a link: so far only one of the two says that it is there
  ├ 10.1.7.7   pc-07  forward leader
  └ server
  ✗ gap: these two have no link to each other
    10.1.7.8   pc-08  offline
  ┌ server
  ├ 10.1.7.9   pc-09  leads on both sides, not registered again: replayed \x1b[2J
  └ server
  ✗ gap: these two have no link to each other
  ┌ pc-10 says that pc-77 stands behind it
  ├ 10.1.7.10  pc-10
  ╎ link not reported: both named others when they last registered
  ├ 10.1.7.11  pc-11
  ├ 10.1.7.12  pc-12
  ├ 10.1.7.13  pc-13
  ⋮ 23 more, to 10.1.7.36
  ├ 10.1.7.37  pc-37
  ├ 10.1.7.38  pc-38
  ├ 10.1.7.39  pc-39
  ├ 10.1.7.40  pc-40  forward leader
  └ server

  ┌ server
  ├ 10.1.7.41  pc-41  backward leader
  ├ 10.1.7.42  pc-42
  ├ 10.1.7.43  pc-43  forward leader
  └ server

10.9.0.0/24: 1 client, 1 chain, 1 leader

  ┌ server
  ├ 10.9.0.5  kiosk  leads on both sides
  └ server

isolated: 1 client, each by itself with the server

  · 10.8.0.5  vpn-1
`

func TestClientChain(t *testing.T) {
	f := newFleet(t)
	office(f)
	p := newPlace(t).at(f)
	out, errs, code := p.run("client", "chain")
	if out != officeDrawn || errs != "" || code != exitOK {
		t.Errorf("got\n%s%s\nwant\n%s", out, errs, officeDrawn)
	}
	out = p.says(t, "client", "chain", "10.1.7.99", "--all")
	if n := strings.Count(out, "pc-"); n != 43+2 || strings.Contains(out, "⋮") || strings.Contains(out, "10.9.0") {
		t.Errorf("%d clients in\n%s", n, out)
	}
	p.width = 40
	out = p.says(t, "client", "chain")
	for line := range strings.Lines(out) {
		if ansi.StringWidth(strings.TrimSpace(line)) > 40 {
			t.Errorf("too wide: %s", line)
		}
	}
}

func TestClientChainOfNobody(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	if out, errs, code := p.run("client", "chain"); out != "" || errs != "no client is registered\n" || code != exitOK {
		t.Errorf("%q, %q, code %d", out, errs, code)
	}
	if _, errs, code := p.run("client", "chain", "10.1.7.0/24"); errs != "catenary: no client is registered in 10.1.7.0/24; `catenary client list` names them\n" || code != exitFailed {
		t.Errorf("%q, code %d", errs, code)
	}
	if out := p.says(t, "client", "chain", "--json"); out != "[]\n" {
		t.Errorf("%q", out)
	}
	for args, says := range map[string]string{"office": `"office" is neither a network`, "10.1.7.0/24 10.1.8.0/24": "takes at most one LAN, but got 2"} {
		if _, errs, code := p.run(append([]string{"client", "chain"}, strings.Fields(args)...)...); code != exitUsage || !strings.Contains(errs, says) {
			t.Errorf("%s: %q, code %d", args, errs, code)
		}
	}
}

// TestClientChainOfMany: more LANs than anybody wants to see drawn are counted.
func TestClientChainOfMany(t *testing.T) {
	f := newFleet(t)
	for n := range drawnMax + 1 {
		lan := fmt.Sprintf("10.1.%d.0/24", n)
		f.status = append(f.status,
			statusRow(10*n+1, fmt.Sprint("a", n), "10.1.0.1", lan, "server", fmt.Sprint("b", n), "Leader"),
			statusRow(10*n+2, fmt.Sprint("b", n), "10.1.0.2", lan, fmt.Sprint("a", n), "server", "Leader"))
	}
	for n := range 7 {
		o := statusRow(900+n, "vpn", "10.8.0.1", fmt.Sprintf("10.8.0.%d/32", n), "server", "server", "Leader")
		o["isolated_flag"] = true
		f.status = append(f.status, o)
	}
	f.status[5]["forward"] = side("")
	p := newPlace(t).at(f)
	out, errs, code := p.run("client", "chain")
	want := `LAN           Clients  Chains  Leaders  Gaps  Slow  Unsure  Passed  Offline  Blocked  Isolated
10.1.0.0/24         2       1        2     0     0       0       0        0        0         0
10.1.1.0/24         2       1        2     0     0       0       0        0        0         0
10.1.2.0/24         2       1        1     0     0       0       0        0        0         0
`
	if !strings.HasPrefix(out, want) || !strings.HasSuffix(out, "\nisolated            7       0        0     0     0       0       0        0        0         7\n") ||
		strings.Count(out, "\n") != drawnMax+3 || code != exitOK || errs != "`catenary client chain LAN` draws one\n" {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	if out := p.says(t, "client", "chain", "10.1.0.0/16"); strings.Count(out, "┌") != drawnMax+1 {
		t.Errorf("LANs that are asked for are not drawn:\n%s", out)
	}
}

func TestClientChainAsJSON(t *testing.T) {
	f := newFleet(t)
	office(f)
	out, errs, code := newPlace(t).at(f).run("client", "chain", "--json")
	var lans []struct {
		LAN      string
		Clients  int
		Chains   int
		Gaps     int
		Segments [][]struct {
			Name   string `json:"host_name"`
			Leads  string
			Ahead  joint
			Passed bool    `json:"passed_over"`
			Trip   float64 `json:"round_trip_ms"`
			Files  bool    `json:"backward_link"`
		}
		Isolated []struct {
			Name string `json:"host_name"`
		}
	}
	if err := json.Unmarshal([]byte(out), &lans); err != nil || code != exitOK {
		t.Fatalf("%v, %s", err, errs)
	}
	if len(lans) != 3 || lans[0].Clients != 43 || lans[0].Chains != 4 || lans[0].Gaps != 2 || len(lans[0].Segments) != 2 || lans[1].Isolated[0].Name != "vpn-1" {
		t.Errorf("%+v", lans)
	}
	var ahead []string
	for _, c := range lans[0].Segments[0][:10] {
		ahead = append(ahead, string(c.Ahead))
	}
	if got := strings.Join(ahead, " "); got != "linked linked slow  linked half-linked gap  gap unreported" {
		t.Errorf("%q", got)
	}
	if c := lans[0].Segments[0]; !c[3].Passed || c[2].Trip != 143.2 || c[0].Leads != "backward" || c[6].Trip != 0 || c[0].Files || !c[1].Files {
		t.Errorf("%+v", c[:8])
	}
}

// TestJoined: how two neighbours hang together, by what both say.
func TestJoined(t *testing.T) {
	const a, b, c = "a", "b", "c"
	link := func(to string, slow bool) clientLink {
		switch to {
		case "":
			return clientLink{}
		case kindServer:
			return clientLink{Kind: kindServer}
		}
		return clientLink{Kind: kindPeer, ClientID: to, Slow: slow}
	}
	for _, tt := range []struct {
		fore, back string
		slow       bool
		want       joint
	}{
		{b, a, false, jointLinked}, {b, a, true, jointSlow},
		{b, "", false, jointHalf}, {"", a, false, jointHalf}, {b, c, false, jointHalf}, {c, a, false, jointHalf},
		{kindServer, a, false, jointGap}, {b, kindServer, false, jointGap}, {kindServer, kindServer, false, jointGap},
		{"", "", false, jointUnsaid}, {c, c, true, jointUnsaid}, {kindServer, "", false, jointGap},
	} {
		x := clientStatus{ClientID: a, Forward: link(tt.fore, tt.slow)}
		y := clientStatus{ClientID: b, Backward: link(tt.back, false)}
		if got := joined(x, y); got != tt.want {
			t.Errorf("%q ahead, %q behind: %s, want %s", tt.fore, tt.back, got, tt.want)
		}
	}
}

var moreLine = regexp.MustCompile(`⋮ (\d+) more, to (\S+)$`)

// TestDrawingIsWhole: whatever clients say, a drawing shows each of them once or
// counts it as left out, in order and within the terminal.
func TestDrawingIsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "clients")
		ids := rapid.IntRange(-1, n+1)
		link := func(usual int) clientLink {
			to := usual
			if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
				to = ids.Draw(t, "to")
			}
			switch {
			case to < 0:
				return clientLink{Kind: kindServer}
			case to >= n:
				return clientLink{}
			}
			return clientLink{Kind: kindPeer, ClientID: fmt.Sprint("id", to), Name: fmt.Sprint("pc", to), Slow: rapid.IntRange(0, 30).Draw(t, "slow") == 0}
		}
		var all []clientStatus
		for i := range n {
			all = append(all, clientStatus{
				ClientID: fmt.Sprint("id", i), Name: rapid.SampledFrom([]string{"pc", "日本の長い名前の計算機", strings.Repeat("long", 30)}).Draw(t, "name"),
				Address: fmt.Sprintf("10.0.0.%d", i+1), LAN: "10.0.0.0/24", Chain: 2 * i / n, Status: "Normal",
				Backward: link(i - 1), Forward: link(i + 1), Offline: rapid.IntRange(0, 15).Draw(t, "offline") == 0,
			})
		}
		width := rapid.SampledFrom([]int{0, 40, 80}).Draw(t, "width")
		var b strings.Builder
		drawing{out: &b, width: width, whole: rapid.IntRange(0, 3).Draw(t, "whole") == 0}.draw(views(all))
		next := 0
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if width > 0 && ansi.StringWidth(line) > width {
				t.Fatalf("%q is wider than %d", line, width)
			}
			if m := moreLine.FindStringSubmatch(line); m != nil {
				k, err := strconv.Atoi(m[1])
				if next += k; err != nil || k < foldMin || m[2] != all[next-1].Address {
					t.Fatalf("%q, but the %dth is %s", line, next, all[next-1].Address)
				}
			} else if i := strings.Index(line, "10.0.0."); i > 0 && i < 10 {
				if word := strings.Fields(line[i:])[0]; word != all[next].Address {
					t.Fatalf("%q, want %s next", line, all[next].Address)
				}
				next++
			}
		}
		if next != n {
			t.Fatalf("%d of %d are accounted for in\n%s", next, n, b.String())
		}
		if up, down := strings.Count(b.String(), "┌"), strings.Count(b.String(), "└"); up != down || up != views(all)[0].tally().chains {
			t.Fatalf("%d chains begin, %d end, of %d\n%s", up, down, views(all)[0].tally().chains, b.String())
		}
	})
}
