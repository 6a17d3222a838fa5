package cli

import (
	"strings"
	"testing"
	"time"
)

func chainOfThree(f *fleet) {
	row := func(id int, name, addr, lan, backward, forward, status string, age time.Duration) map[string]any {
		return map[string]any{
			"computer_id": id, "host_name": name, "ipaddress_client": addr, "ipaddress_server": "10.0.0.1", "port_number": 17472,
			"full_version": "1.0.0", "last_registration": noon.Add(-age).Format(time.RFC3339), "status": status, "send_state": "Normal",
			"client_id": strings.Repeat("a", 32), "lan": lan, "backward": backward, "forward": forward,
		}
	}
	f.status = []map[string]any{
		row(4000000000, "a", "10.1.7.2", "10.1.7.0/24", "server", "b", "Leader", 12*time.Second),
		row(14, "b", "10.1.7.9", "10.1.7.0/24", "a", "c", "Normal", 26*time.Hour),
		row(11, "c", "10.1.7.10", "10.1.7.0/24", "b", "server", "Leader", 3*time.Minute),
		row(12, "server", "10.1.8.1", "10.1.8.0/24", "server", "server", "Leader", 0),
		row(15, "x", "10.2.0.1", "10.2.0.0/16", "server", "", "Normal", 0), // its neighbour is called so
	}
	f.status[4]["last_registration"] = "2001-01-01T00:00:00Z"
}

func TestClientList(t *testing.T) {
	f := newFleet(t)
	chainOfThree(f)
	p := newPlace(t).at(f)
	out, errs, code := p.run("client", "list")
	want := `Computer Name  Computer ID  Address    LAN          Version  Last Registration  Leader    Backward Peer  Forward Peer  Status
a               4000000000  10.1.7.2   10.1.7.0/24  1.0.0    12 seconds ago     backward                 b             Leader
b                       14  10.1.7.9   10.1.7.0/24  1.0.0    1 day ago                    a              c             Normal
c                       11  10.1.7.10  10.1.7.0/24  1.0.0    3 minutes ago      forward   b                            Leader
server                  12  10.1.8.1   10.1.8.0/24  1.0.0    now                both                                   Leader
x                       15  10.2.0.1   10.2.0.0/16  1.0.0    never                        server                       Normal
`
	if out != want || code != exitOK {
		t.Errorf("got\n%s%s\nwant\n%s", out, errs, want)
	}
	out, _, _ = p.run("client", "list", "--format", "json", "--lan", "10.1.8.77")
	want = `[
  {"Computer Name": "server", "Computer ID": 12, "Address": "10.1.8.1", "LAN": "10.1.8.0/24", "Version": "1.0.0", "Last Registration": "2026-11-22T12:00:00Z", "Leader": "both", "Backward Peer": "", "Forward Peer": "", "Status": "Leader"}
]
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
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
