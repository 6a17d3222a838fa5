package cli

import (
	"strings"
	"testing"
	"time"
)

// side is one side of a client: "server", nothing, or a peer's name.
func side(kind string) map[string]any {
	switch kind {
	case "server", "":
		return map[string]any{"kind": kind}
	}
	name, slow := strings.CutSuffix(kind, " (slow)")
	name = strings.TrimPrefix(name, "peer ")
	trip := 0.4
	if slow {
		trip = 143.2
	}
	return map[string]any{"kind": "peer", "client_id": "id of " + name, "host_name": name, "round_trip_ms": trip, "slow_flag": slow, "backward_link_flag": true}
}

func statusRow(id int, name, addr, lan, backward, forward, status string) map[string]any {
	return map[string]any{
		"computer_id": id, "host_name": name, "ipaddress_client": addr, "ipaddress_server": "10.0.0.1", "port_number": 17472,
		"full_version": "1.0.0", "last_registration": noon.Format(time.RFC3339), "status": status, "send_state": "Normal", "receive_state": "Normal",
		"client_id": "id of " + name, "lan": lan, "backward": side(backward), "forward": side(forward),
	}
}

func chainOfThree(f *fleet) {
	row := func(id int, name, addr, lan, backward, forward, status string, age time.Duration) map[string]any {
		o := statusRow(id, name, addr, lan, backward, forward, status)
		o["last_registration"] = noon.Add(-age).Format(time.RFC3339)
		return o
	}
	f.status = []map[string]any{
		row(4000000000, "a", "10.1.7.2", "10.1.7.0/24", "server", "b", "Leader", 12*time.Second),
		row(14, "b", "10.1.7.9", "10.1.7.0/24", "a", "c (slow)", "Slow Link Ahead", 26*time.Hour),
		row(11, "c", "10.1.7.10", "10.1.7.0/24", "b", "server", "Leader, Blocked, Slow Link Behind", 3*time.Minute),
		row(12, "server", "10.1.8.1", "10.1.8.0/24", "server", "server", "Leader", 0),
		row(15, "x", "10.2.0.1", "10.2.0.0/16", "peer server", "", "Normal", 0), // its neighbour is called so
	}
	f.status[0]["send_state"], f.status[0]["receive_state"] = "Forward only", "Forward only"
	f.status[3]["registration_error_text"] = "replayed"
	f.status[4]["last_registration"], f.status[4]["offline_flag"] = "2001-01-01T00:00:00Z", true
}

func TestClientList(t *testing.T) {
	f := newFleet(t)
	chainOfThree(f)
	p := newPlace(t).at(f)
	out, errs, code := p.run("client", "list")
	want := `Computer Name  Address    Last Registration  Leader    Sends         Receives      Status
a              10.1.7.2   12 seconds ago     backward  Forward only  Forward only  Leader
b              10.1.7.9   1 day ago                    Normal        Normal        Slow Link Ahead
c              10.1.7.10  3 minutes ago      forward   Normal        Normal        Leader, Blocked, Slow Link Behind
server         10.1.8.1   now                both      Normal        Normal        Leader, Registration Error
x              10.2.0.1   never                        Normal        Normal        Offline
`
	if out != want || code != exitOK {
		t.Errorf("got\n%s%s\nwant\n%s", out, errs, want)
	}
	out = p.says(t, "client", "list", "--wide", "--lan", "10.0.0.0/8", "--blocked")
	want = `Computer Name  Computer ID  Address    LAN          Version  Last Registration  Leader   Backward Peer  Forward Peer  Backward Link  Sends   Receives  Status
c                       11  10.1.7.10  10.1.7.0/24  1.0.0    3 minutes ago      forward  b                            open           Normal  Normal    Leader, Blocked, Slow Link Behind
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	out = p.says(t, "client", "list", "--format", "json", "--lan", "10.1.8.77")
	want = `[
  {"Computer Name": "server", "Computer ID": 12, "Address": "10.1.8.1", "LAN": "10.1.8.0/24", "Version": "1.0.0", "Last Registration": "2026-11-22T12:00:00Z", "Leader": "both", "Backward Peer": "", "Forward Peer": "", "Backward Link": "", "Sends": "Normal", "Receives": "Normal", "Status": "Leader, Registration Error"}
]
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

// TestClientFilters: what each choice leaves, also together.
func TestClientFilters(t *testing.T) {
	f := newFleet(t)
	chainOfThree(f)
	p := newPlace(t).at(f)
	for flags, want := range map[string]string{
		"":                                "a b c server x",
		"--leaders":                       "a c server",
		"--blocked":                       "c",
		"--slow":                          "b c",
		"--offline":                       "x",
		"--leaders --slow":                "c",
		"--leaders --lan 10.1.8.0/24":     "server",
		"--offline --leaders":             "",
		"--blocked --lan 10.1.8.0/24":     "",
		"--slow --blocked --lan 10.1.7.1": "c",
	} {
		out, errs, code := p.run(append([]string{"client", "list", "--format", "csv"}, strings.Fields(flags)...)...)
		var names []string
		for _, line := range strings.Split(strings.TrimSpace(out), "\r\n")[1:] {
			name, _, _ := strings.Cut(line, ",")
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != want || code != exitOK {
			t.Errorf("%s: got %q, %s, want %q", flags, got, errs, want)
		}
	}
}

func TestClientListOfALAN(t *testing.T) {
	f := newFleet(t)
	chainOfThree(f)
	p := newPlace(t).at(f)
	tests := map[string]string{
		"10.1.7.0/24": "a b c",
		"10.1.7.9/24": "a b c", // as an interface's address is written
		"10.1.7.0/25": "",      // only a part of the LAN
		"10.1.0.0/16": "a b c server",
		"10.2.200.1":  "x",
		"::1":         "",
	}
	for lan, want := range tests {
		out, errs, code := p.run("client", "list", "--format", "csv", "--lan", lan)
		var names []string
		for _, line := range strings.Split(strings.TrimSpace(out), "\r\n")[1:] {
			name, _, _ := strings.Cut(line, ",")
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != want || code != exitOK {
			t.Errorf("%s: got %q, %s, want %q", lan, got, errs, want)
		}
	}
	if _, errs, code := p.run("client", "list", "--lan", "office"); code != exitUsage || !strings.Contains(errs, `--lan "office" is neither`) {
		t.Errorf("got %q, code %d", errs, code)
	}
}

func TestAgo(t *testing.T) {
	tests := map[string]string{
		"2026-11-22T11:59:00Z":      "1 minute ago",
		"2026-11-22T12:59:59+01:00": "1 second ago",
		"2026-11-22T12:00:09Z":      "now", // the server's clock is ahead
		"2001-01-01T00:00:00Z":      "never",
		"Never":                     "Never",
	}
	for text, want := range tests {
		if got := ago(text, noon); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
