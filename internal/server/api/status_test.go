package api

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/endpoint"
)

func TestSystemStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that times can be said exactly
		d := newDesk(t)
		client := func(n byte, name, version string, back, fore endpoint.Neighbour) endpoint.Status {
			return endpoint.Status{
				ID: endpoint.ID{n}, ComputerID: uint32(n), Name: name, Version: version, Platform: "Linux",
				Place: endpoint.Place{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 17472), ID: endpoint.ID{n}},
				LAN:   netip.MustParsePrefix("10.0.0.0/24"), Registered: time.Now(), Backward: back, Forward: fore,
			}
		}
		third := client(3, "third", "1.1", endpoint.Peer, endpoint.Server)
		third.BackwardPeer = endpoint.ID{2}
		second := client(2, "second", "1.0", endpoint.Peer, endpoint.Peer)
		second.BackwardPeer, second.ForwardPeer = endpoint.ID{1}, endpoint.ID{3}
		second.Reported = netip.MustParseAddr("192.168.1.2")
		first := client(1, "first", "1.0", endpoint.Server, endpoint.Peer)
		first.ForwardPeer = endpoint.ID{9} // went off
		d.fleet.clients = []endpoint.Status{third, first, second, client(4, "fourth", "1.0", endpoint.Nobody, endpoint.Nobody), client(5, "fifth", "1.0", endpoint.Nobody, endpoint.Peer)}

		body := d.call("GET", "/api/v2/system_status?row_count=3", "").Body.Bytes()
		golden(t, "testdata/system_status.json", body)
		d.want(d.call("GET", "/api/v2/client_count", ""), 200, `{"data":5}`)

		var list struct{ Data []map[string]any }
		must(t, json.Unmarshal(d.call("GET", "/api/v2/system_status", "").Body.Bytes(), &list))
		var states []string
		for _, row := range list.Data[:5] {
			states = append(states, row["host_name"].(string)+" "+row["status"].(string)+" "+row["send_state"].(string))
		}
		same(t, strings.Join(states, ", "), "first Leader Normal, second Normal Normal, third Leader Normal, fourth None None, fifth Normal Forward only")
		same(t, len(list.Data), 7)
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
