package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/endpoint"
)

// A statusObject is one machine in system_status, as programs know it.
type statusObject struct {
	CacheRowID            int        `json:"cache_row_id"`
	ComputerID            uint32     `json:"computer_id"`
	HostName              string     `json:"host_name"`
	IPAddressClient       string     `json:"ipaddress_client"`
	IPAddressServer       string     `json:"ipaddress_server"`
	PortNumber            uint16     `json:"port_number"`
	ProtocolVersion       int        `json:"protocol_version"`
	FullVersion           string     `json:"full_version"`
	LastRegistration      isoTime    `json:"last_registration"`
	SendState             string     `json:"send_state"`
	ReceiveState          string     `json:"receive_state"`
	Status                string     `json:"status"`
	PublicKeyValid        bool       `json:"public_key_valid"`
	RegisteredWithTLS     bool       `json:"registered_with_tls"`
	RegistrationError     bool       `json:"registration_error"`
	ClientID              string     `json:"client_id"`
	Platform              string     `json:"platform"`
	LAN                   string     `json:"lan"`
	Chain                 int        `json:"chain"`
	IsolatedFlag          bool       `json:"isolated_flag"`
	OfflineFlag           bool       `json:"offline_flag"`
	Backward              linkObject `json:"backward"`
	Forward               linkObject `json:"forward"`
	RegistrationWay       string     `json:"registration_way"`
	RegistrationErrorText string     `json:"registration_error_text"`
}

type linkObject struct {
	Kind        string   `json:"kind"`
	ClientID    *string  `json:"client_id,omitempty"`
	HostName    *string  `json:"host_name,omitempty"`
	RoundTripMS *float64 `json:"round_trip_ms,omitempty"`
	SlowFlag    *bool    `json:"slow_flag,omitempty"`

	BackwardLinkFlag *bool `json:"backward_link_flag,omitempty"`
}

func address(n byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 17472)
}

func TestSystemStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that times can be said exactly
		d := newDesk(t)
		client := func(n byte, name, version string, back, fore endpoint.Link) endpoint.Status {
			return endpoint.Status{
				ID: endpoint.ID{n}, ComputerID: uint32(n), Name: name, Version: version, Platform: "Linux",
				Place: endpoint.Place{Addr: address(n), ID: endpoint.ID{n}},
				LAN:   netip.MustParsePrefix("10.0.0.0/24"), Registered: time.Now(), Way: "tls", Backward: back, Forward: fore,
			}
		}
		server := endpoint.Link{Kind: endpoint.Server}
		peer := func(n byte, name string) endpoint.Link {
			return endpoint.Link{Kind: endpoint.Peer, Peer: endpoint.ID{n}, Name: name, Held: true, Trip: 1234 * time.Microsecond}
		}
		first := client(1, "first", "1.0", server, peer(2, "server"))
		second := client(2, "server", "1.0", peer(1, "first"), peer(3, "third"))
		second.Forward.Trip, second.Forward.Held, second.Backward.Files = time.Second, false, true
		second.Reported, second.Way, second.Refused = netip.MustParseAddr("192.168.1.2"), "datagram", `"replayed" <&>`
		third := client(3, "third", "1.1", peer(9, ""), server) // its neighbour went off
		third.Backward.Held, third.Blocked, third.Segment = false, true, 1
		alone := client(4, "fourth", "1.0", server, server)
		alone.Alone = true
		gone := client(5, "fifth", "1.0", endpoint.Link{}, endpoint.Link{})
		gone.Gone = true
		d.fleet.clients = []endpoint.Status{first, second, third, alone, gone}

		body := d.call("GET", "/api/v2/system_status?row_count=3", "").Body.Bytes()
		golden(t, "testdata/system_status.json", body)
		d.want(d.call("GET", "/api/v2/client_count", ""), 200, `{"data":5}`)

		var list struct{ Data []map[string]any }
		must(t, json.Unmarshal(d.call("GET", "/api/v2/system_status", "").Body.Bytes(), &list))
		var states []string
		for _, row := range list.Data[:5] {
			states = append(states, fmt.Sprint(row["host_name"], ": ", row["status"], ", ", row["send_state"], ", ", row["receive_state"]))
		}
		same(t, strings.Join(states, "\n"), `first: Leader, Forward only, Forward only
server: Slow Link Ahead, Normal, Backward only
third: Leader, Blocked, Backward only, (None)
fourth: Leader, (None), (None)
fifth: (None), (None), (None)`)
		same(t, len(list.Data), 7)
		page := d.call("GET", "/api/v2/system_status?row_start=4&row_count=9", "").Body.Bytes()
		must(t, json.Unmarshal(page, &list))
		same(t, []any{len(list.Data), list.Data[0]["cache_row_id"], list.Data[2]["page_row_count"]}, []any{3, 4.0, 1.0})
	})
}

func TestSystemStatusOfNobody(t *testing.T) {
	d := newDesk(t)
	var list struct{ Data []map[string]any }
	must(t, json.Unmarshal(d.call("GET", "/api/v2/system_status", "").Body.Bytes(), &list))
	same(t, len(list.Data), 2)
	same(t, list.Data[0]["leader_count"], any(0.0))
	same(t, list.Data[1]["cache_row_count"], any(0.0))
}

// TestStatusIsJSON: what is written by hand is, to the byte, what the library
// would write, whatever machines call themselves.
func TestStatusIsJSON(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z "\\<&>\x00-\x1f\x7f-\xff]{0,12}`), rapid.SampledFrom([]string{`a\b`, `"`, "\t", "\x7f", "é", "<b>&", "\u2028\xff\xed\xa0\x80"}))
	link := func(t *rapid.T) (l endpoint.Link, o linkObject) {
		if l.Kind = endpoint.Neighbour(rapid.IntRange(0, 2).Draw(t, "kind")); l.Kind != endpoint.Peer {
			o.Kind = map[endpoint.Neighbour]string{endpoint.Server: "server"}[l.Kind]
			return l, o
		}
		l.Peer, l.Name = endpoint.ID{byte(rapid.Int().Draw(t, "peer"))}, text.Draw(t, "name")
		l.Trip = time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "trip")).Truncate(time.Microsecond)
		l.Files = rapid.Bool().Draw(t, "files")
		id, ms, slow := l.Peer.String(), float64(l.Trip.Microseconds())/1000, l.Trip > endpoint.SlowTrip
		return l, linkObject{"peer", &id, &l.Name, &ms, &slow, &l.Files}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := endpoint.Status{
			ID: endpoint.ID{7}, ComputerID: rapid.Uint32().Draw(t, "number"), Name: text.Draw(t, "name"), Version: text.Draw(t, "version"),
			Platform: text.Draw(t, "platform"), Place: endpoint.Place{Addr: address(rapid.Byte().Draw(t, "addr"))},
			Segment: rapid.IntRange(0, 300).Draw(t, "segment"), Alone: rapid.Bool().Draw(t, "alone"), Gone: rapid.Bool().Draw(t, "gone"),
			Way: "leader", Refused: text.Draw(t, "refused"), Blocked: rapid.Bool().Draw(t, "blocked"),
		}
		o := statusObject{
			CacheRowID: 12, ComputerID: s.ComputerID, HostName: s.Name, PortNumber: 17472, ProtocolVersion: 1, FullVersion: s.Version,
			PublicKeyValid: true, RegisteredWithTLS: true, RegistrationError: s.Refused != "",
			ClientID: s.ID.String(), Platform: s.Platform, Chain: s.Segment, IsolatedFlag: s.Alone, OfflineFlag: s.Gone,
			RegistrationWay: "leader", RegistrationErrorText: s.Refused, IPAddressServer: s.Place.Addr.Addr().String(),
		}
		o.IPAddressClient = o.IPAddressServer
		if rapid.Bool().Draw(t, "whole") {
			s.LAN, s.Reported = netip.MustParsePrefix("2001:db8::/64"), netip.MustParseAddr("::ffff:192.0.2.1")
			s.Registered = time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "registered"), 0)
			o.LAN, o.IPAddressClient, o.LastRegistration = "2001:db8::/64", "192.0.2.1", isoTime(s.Registered)
		}
		s.Backward, o.Backward = link(t)
		s.Forward, o.Forward = link(t)
		o.SendState, o.ReceiveState, o.Status = sideStates[s.Sends()], "(None)", s.Standing().String()
		want, err := marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(appendStatus(nil, 12, &s, sight{}.sees)) + "\n"; got != string(want) {
			t.Fatalf("%s\nwant %s", got, want)
		}
	})
}

// BenchmarkSystemStatus is the whole list of 100,000 machines, and a page of it.
func BenchmarkSystemStatus(b *testing.B) {
	d := newDesk(b)
	d.fleet.clients = make([]endpoint.Status, 100_000)
	for i := range d.fleet.clients {
		id := endpoint.ID{1, byte(i >> 16), byte(i >> 8), byte(i)}
		link := endpoint.Link{Kind: endpoint.Peer, Peer: id, Name: fmt.Sprintf("workstation-%06d", i+1), Held: true, Trip: 412 * time.Microsecond}
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		d.fleet.clients[i] = endpoint.Status{
			ID: id, ComputerID: uint32(i) * 40_001, Name: fmt.Sprintf("workstation-%06d", i), Version: "1.0.0", Platform: "Windows",
			Place: endpoint.Place{Addr: netip.AddrPortFrom(addr, 17472), ID: id}, Reported: addr, LAN: netip.PrefixFrom(addr, 24).Masked(),
			Registered: time.Now(), Way: "datagram", Backward: link, Forward: link,
		}
	}
	for name, path := range map[string]string{"whole": "/api/v2/system_status", "page": "/api/v2/system_status?row_start=50000&row_count=1000"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r := httptest.NewRequestWithContext(b.Context(), "GET", path, nil)
			r.RemoteAddr = d.from
			r.Header.Set("session", d.session)
			for b.Loop() {
				w := sink{head: http.Header{}}
				d.api.ServeHTTP(&w, r)
				b.SetBytes(w.bytes)
			}
		})
	}
}

// A sink is an answer that nobody keeps.
type sink struct {
	head  http.Header
	bytes int64
}

func (s *sink) Header() http.Header { return s.head }
func (s *sink) WriteHeader(int)     {}
func (s *sink) Write(b []byte) (int, error) {
	s.bytes += int64(len(b))
	return len(b), nil
}
