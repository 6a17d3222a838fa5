package api

import (
	"context"
	"maps"
	"slices"

	"catenary/internal/endpoint"
)

// protocolVersion is the number of the client protocol in the public API.
const protocolVersion = 1

// A statusObject is one machine in system_status. The fields from client_id on
// are Catenary's own.
type statusObject struct {
	CacheRowID        int     `json:"cache_row_id"`
	ComputerID        uint32  `json:"computer_id"`
	HostName          string  `json:"host_name"`
	IPAddressClient   string  `json:"ipaddress_client"`
	IPAddressServer   string  `json:"ipaddress_server"`
	PortNumber        uint16  `json:"port_number"`
	ProtocolVersion   int     `json:"protocol_version"`
	FullVersion       string  `json:"full_version"`
	LastRegistration  isoTime `json:"last_registration"`
	SendState         string  `json:"send_state"`
	ReceiveState      string  `json:"receive_state"`
	Status            string  `json:"status"`
	PublicKeyValid    bool    `json:"public_key_valid"`
	RegisteredWithTLS bool    `json:"registered_with_tls"`
	RegistrationError bool    `json:"registration_error"`

	ClientID string `json:"client_id"`
	Platform string `json:"platform"`
	LAN      string `json:"lan"`
	Backward string `json:"backward"` // a neighbour's computer name, "server", or empty
	Forward  string `json:"forward"`
}

type versionCount struct {
	VersionString string `json:"version_string"`
	Count         int    `json:"count"`
	Filtered      int    `json:"filtered"`
}

// An aggregateObject stands behind the machines: how many are in which state.
type aggregateObject struct {
	BlockedCount           int            `json:"blocked_count"`
	LeaderCount            int            `json:"leader_count"`
	NormalCount            int            `json:"normal_count"`
	SlowlinkCount          int            `json:"slowlink_count"`
	SendOKCount            int            `json:"send_ok_count"`
	SendForwardCount       int            `json:"send_forward_count"`
	SendBackwardCount      int            `json:"send_backward_count"`
	SendNoneCount          int            `json:"send_none_count"`
	ReceiveOKCount         int            `json:"receive_ok_count"`
	ReceiveForwardCount    int            `json:"receive_forward_count"`
	ReceiveBackwardCount   int            `json:"receive_backward_count"`
	ReceiveNoneCount       int            `json:"receive_none_count"`
	RegisteredWithTLSCount int            `json:"registered_with_tls_count"`
	Versions               []versionCount `json:"versions"`
}

// The states of a machine's two links.
const (
	linkBoth     = "Normal"
	linkForward  = "Forward only"
	linkBackward = "Backward only"
	linkNone     = "None"
)

func (s *server) systemStatus(ctx context.Context, c call) ([]any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	clients := slices.Clone(s.engine.Clients(ctx))
	slices.SortFunc(clients, func(a, b endpoint.Status) int { return a.Place.Compare(b.Place) })
	names := make(map[endpoint.ID]string, len(clients))
	for _, cl := range clients {
		names[cl.ID] = cl.Name
	}
	from, to := p.bounds(len(clients))
	out := make([]any, 0, to-from+2)
	for i, cl := range clients[from:to] {
		out = append(out, toStatus(from+i, cl, names))
	}
	return append(out, aggregate(clients), newCacheInfo(len(clients), to-from)), nil
}

func (s *server) clientCount(ctx context.Context, _ call) (int, error) {
	return len(s.engine.Clients(ctx)), nil
}

func toStatus(row int, c endpoint.Status, names map[endpoint.ID]string) statusObject {
	o := statusObject{
		CacheRowID: row, ComputerID: c.ComputerID, HostName: c.Name,
		PortNumber: c.Place.Addr.Port(), ProtocolVersion: protocolVersion, FullVersion: c.Version,
		LastRegistration: isoTime(c.Registered), SendState: links(c), ReceiveState: links(c), Status: standing(c),
		// Nobody registers without: the link is TLS with keys on both sides.
		PublicKeyValid: true, RegisteredWithTLS: true,
		ClientID: c.ID.String(), Platform: c.Platform,
		Backward: neighbour(c.Backward, c.BackwardPeer, names), Forward: neighbour(c.Forward, c.ForwardPeer, names),
	}
	if c.Place.Addr.IsValid() {
		o.IPAddressServer = c.Place.Addr.Addr().Unmap().String()
	}
	o.IPAddressClient = o.IPAddressServer
	if c.Reported.IsValid() {
		o.IPAddressClient = c.Reported.Unmap().String()
	}
	if c.LAN.IsValid() {
		o.LAN = c.LAN.String()
	}
	return o
}

func neighbour(n endpoint.Neighbour, id endpoint.ID, names map[endpoint.ID]string) string {
	switch n {
	case endpoint.Server:
		return "server"
	case endpoint.Peer:
		if name := names[id]; name != "" {
			return name
		}
		return id.String() // off by now, or never named
	}
	return ""
}

// links says on which sides a machine has somebody. What it can send there it
// can also receive: links are connections.
func links(c endpoint.Status) string {
	switch back, fore := c.Backward != endpoint.Nobody, c.Forward != endpoint.Nobody; {
	case back && fore:
		return linkBoth
	case fore:
		return linkForward
	case back:
		return linkBackward
	}
	return linkNone
}

func standing(c endpoint.Status) string {
	if c.Leader() {
		return "Leader"
	}
	if links(c) == linkNone {
		return "None"
	}
	return "Normal"
}

func aggregate(clients []endpoint.Status) aggregateObject {
	a := aggregateObject{RegisteredWithTLSCount: len(clients), Versions: []versionCount{}}
	versions := map[string]int{}
	for _, c := range clients {
		versions[c.Version]++
		switch standing(c) {
		case "Leader":
			a.LeaderCount++
		case "Normal":
			a.NormalCount++
		}
		switch links(c) {
		case linkBoth:
			a.SendOKCount++
		case linkForward:
			a.SendForwardCount++
		case linkBackward:
			a.SendBackwardCount++
		case linkNone:
			a.SendNoneCount++
		}
	}
	a.ReceiveOKCount, a.ReceiveForwardCount = a.SendOKCount, a.SendForwardCount
	a.ReceiveBackwardCount, a.ReceiveNoneCount = a.SendBackwardCount, a.SendNoneCount
	for _, v := range slices.Sorted(maps.Keys(versions)) {
		a.Versions = append(a.Versions, versionCount{v, versions[v], versions[v]})
	}
	return a
}
