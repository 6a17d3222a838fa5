package lab

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const tcpTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:4440 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12007 1 00000000cd3b9b5f 100 0 0 10 0
   1: 0300010A:C2A6 0400010A:4440 01 00000000:00000000 02:000001D9 00000000     0        0 12106 2 000000003e6f2f05 20 4 30 10 -1
   2: 0300010A:C2A8 FE7100CB:4440 06 00000000:00000000 03:000001D9 00000000     0        0 0 3 000000003e6f2f06
`

const tcp6Table = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: B80D0120000001000000000001000000:4440 B80D0120000001000000000002000000:D431 01 00000000:00000000 02:000001D9 00000000     0        0 12107 2 000000003e6f2f07 20 4 30 10 -1
   1: 0000000000000000FFFF00000300010A:4440 0000000000000000FFFF00000200010A:A001 01 00000000:00000000 02:000001D9 00000000     0        0 12108 2 000000003e6f2f08 20 4 30 10 -1
`

func TestParseSockets(t *testing.T) {
	addr := netip.MustParseAddrPort
	for _, c := range []struct {
		table string
		want  []socket
	}{
		{tcpTable, []socket{{addr("10.1.0.3:49830"), addr("10.1.0.4:17472")}}},
		{tcp6Table, []socket{
			{addr("[2001:db8:1::1]:17472"), addr("[2001:db8:1::2]:54321")},
			{addr("10.1.0.3:17472"), addr("10.1.0.2:40961")},
		}},
	} {
		got, err := parseSockets(c.table)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("read %v (%v), want %v", got, err, c.want)
		}
	}
	for _, line := range []string{"1: 0300010A:C2A6", "1: 0300010A 0400010A:4440 01", "1: 03:1 04:2 01", "1: 0300010A:C2A6 0400010A:14440 01"} {
		if got, err := parseSockets("head\n" + line + "\n"); err == nil {
			t.Errorf("%q is read as %v", line, got)
		}
	}
}

func FuzzSockets(f *testing.F) {
	f.Add(tcpTable)
	f.Add(tcp6Table)
	f.Fuzz(func(t *testing.T, table string) {
		all, err := parseSockets(table)
		if err != nil && all != nil {
			t.Fatal("connections and an error")
		}
		for _, s := range all {
			if !s.local.IsValid() || !s.remote.IsValid() {
				t.Fatalf("%v is no connection", s)
			}
		}
	})
}

// lan makes what the kernels of n hosts of a site see, from pairs of linked
// hosts; 0 stands for the server. A pair {a, -b} is a link that only a holds.
func lan(site, n int, pairs ...[2]int) []sight {
	hosts := make([]sight, n)
	for i := range hosts {
		hosts[i] = sight{Name: hostName(site, i+1), Site: site, Addr: host4(site, i+1)}
	}
	for i, p := range pairs {
		from := netip.AddrPortFrom(host4(site, p[0]), uint16(50000+i))
		to := netip.AddrPortFrom(host4(site, max(p[1], -p[1])), clientPort)
		if p[1] == 0 {
			to = netip.AddrPortFrom(wan4(lastHost), clientPort)
		}
		hosts[p[0]-1].Sockets = append(hosts[p[0]-1].Sockets, socket{from, to})
		if p[1] > 0 {
			hosts[p[1]-1].Sockets = append(hosts[p[1]-1].Sockets, socket{to, from})
		}
	}
	return hosts
}

func TestChains(t *testing.T) {
	for _, c := range []struct {
		name  string
		hosts []sight
		want  []string
	}{
		{"one chain", lan(1, 3, [2]int{1, 0}, [2]int{1, 2}, [2]int{3, 2}, [2]int{3, 0}),
			[]string{"s1  server ─ s1h1 ─ s1h2 ─ s1h3 ─ server"}},
		{"two links between neighbours", lan(1, 2, [2]int{1, 0}, [2]int{1, 2}, [2]int{2, 1}, [2]int{2, 0}),
			[]string{"s1  server ─ s1h1 ─ s1h2 ─ server"}},
		{"alone", lan(2, 1, [2]int{1, 0}), []string{"s2  server ─ s2h1 ─ server"}},
		{"nobody", lan(2, 1), []string{"s2  s2h1: s2h1 does not hold the server"}},
		{"a half-open link is none", lan(1, 2, [2]int{1, 0}, [2]int{2, 0}, [2]int{1, -2}),
			[]string{"s1  server ─ s1h1 ─ server", "s1  server ─ s1h2 ─ server"}},
		{"an end without the server", lan(1, 2, [2]int{1, 0}, [2]int{1, 2}),
			[]string{"s1  s1h1, s1h2: s1h2 does not hold the server"}},
		{"the server in the middle", lan(1, 3, [2]int{1, 0}, [2]int{1, 2}, [2]int{3, 2}, [2]int{3, 0}, [2]int{2, 0}),
			[]string{"s1  s1h1, s1h2, s1h3: s1h2 holds the server in the middle"}},
		{"past a neighbour", lan(1, 3, [2]int{1, 0}, [2]int{1, 3}, [2]int{2, 3}, [2]int{3, 0}),
			[]string{"s1  s1h1, s1h2, s1h3: s1h1 is not linked to s1h2; s1h1 is linked to s1h3"}},
		{"two sites", append(lan(2, 1, [2]int{1, 0}), lan(1, 1, [2]int{1, 0})...),
			[]string{"s1  server ─ s1h1 ─ server", "s2  server ─ s2h1 ─ server"}},
	} {
		var got []string
		for _, ch := range chains(c.hosts) {
			got = append(got, ch.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name       string
		names      map[string]int
		asked, now []string
		want       string // "": well
	}{
		{"all", map[string]int{"a": 1, "b": 1}, []string{"a", "b"}, []string{"a", "b"}, ""},
		{"one died before it answered", map[string]int{"a": 1}, []string{"a", "b"}, []string{"a"}, ""},
		{"one died after it answered", map[string]int{"a": 1, "b": 1}, []string{"a", "b"}, []string{"a"}, ""},
		{"one came late", map[string]int{"a": 1}, []string{"a"}, []string{"a", "b"}, ""},
		{"one came late and answers", map[string]int{"a": 1, "b": 1}, []string{"a"}, []string{"a", "b"}, ""},
		{"missing", map[string]int{"a": 1}, []string{"a", "b"}, []string{"a", "b"}, "missing: [b]"},
		{"twice", map[string]int{"a": 2}, []string{"a"}, []string{"a"}, "counted twice: [a]"},
		{"a stranger", map[string]int{"a": 1, "c": 1}, []string{"a"}, []string{"a"}, "unexpected: [c]"},
	} {
		ok, said := judge(c.names, c.asked, c.now)
		if ok != (c.want == "") || !strings.HasSuffix(said, c.want) {
			t.Errorf("%s: %v, %q, want %q", c.name, ok, said, c.want)
		}
	}
}
