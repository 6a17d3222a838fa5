package api

import (
	"context"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"catenary/internal/endpoint"
)

// protocolVersion is the number of the client protocol in the public API.
const protocolVersion = 1

type versionCount struct {
	VersionString string `json:"version_string"`
	Count         int    `json:"count"`
	Filtered      int    `json:"filtered"`
}

// An aggregateObject stands behind the machines: how many are in which state.
type aggregateObject struct {
	BlockedCount              int            `json:"blocked_count"`
	LeaderCount               int            `json:"leader_count"`
	NormalCount               int            `json:"normal_count"`
	SlowlinkCount             int            `json:"slowlink_count"`
	SendOKCount               int            `json:"send_ok_count"`
	SendForwardCount          int            `json:"send_forward_count"`
	SendBackwardCount         int            `json:"send_backward_count"`
	SendNoneCount             int            `json:"send_none_count"`
	ReceiveOKCount            int            `json:"receive_ok_count"`
	ReceiveForwardCount       int            `json:"receive_forward_count"`
	ReceiveBackwardCount      int            `json:"receive_backward_count"`
	ReceiveNoneCount          int            `json:"receive_none_count"`
	RegisteredWithTLSCount    int            `json:"registered_with_tls_count"`
	RegisteredWithErrorsCount int            `json:"registered_with_errors_count"`
	Versions                  []versionCount `json:"versions"`
}

// sideStates are the states of what a machine sends and receives.
var sideStates = [...]string{
	endpoint.NoSide: "(None)", endpoint.ForwardSide: "Forward only", endpoint.BackwardSide: "Backward only", endpoint.BothSides: "Normal",
}

var neighbourKinds = [...]string{endpoint.Nobody: "", endpoint.Peer: "peer", endpoint.Server: "server"}

// systemStatus lists the machines that the caller sees.
func (s *server) systemStatus(w http.ResponseWriter, c call) error {
	o, err := c.listOptions()
	if err != nil {
		return err
	}
	if o.CacheID != 0 {
		return s.sendList(w, c, listing{}) // the cache has it
	}
	seen, err := s.sight(c.Context(), c.rights)
	if err != nil {
		return err
	}
	return s.sendList(w, c, statusListing(seen))
}

// statusListing lists machines, and behind them how many are in which state.
func statusListing(seen sight) listing {
	return listing{
		n: seen.len(), info: true, weight: len(seen.clients), limited: seen.limited,
		has:  func(path string) bool { return statusCells[path] != nil },
		cell: func(i int, path string) string { return statusCells[path](seen.at(i)) },
		append: func(b []byte, i int) []byte {
			return appendStatus(b, i, seen.at(i), seen.sees)
		},
		sums: func(chosen func(yield func(i int) bool)) any { return aggregate(seen, chosen) },
	}
}

// statusCells are the fields of a machine by which lists can be filtered and
// sorted.
var statusCells = map[string]func(*endpoint.Status) string{
	"computer_id":             func(s *endpoint.Status) string { return strconv.FormatUint(uint64(s.ComputerID), 10) },
	"host_name":               func(s *endpoint.Status) string { return s.Name },
	"ipaddress_client":        func(s *endpoint.Status) string { return reportedAddress(s).String() },
	"ipaddress_server":        func(s *endpoint.Status) string { return s.Place.Addr.Addr().Unmap().String() },
	"port_number":             func(s *endpoint.Status) string { return strconv.Itoa(int(s.Place.Addr.Port())) },
	"protocol_version":        func(*endpoint.Status) string { return strconv.Itoa(protocolVersion) },
	"full_version":            func(s *endpoint.Status) string { return s.Version },
	"last_registration":       func(s *endpoint.Status) string { return unquote(isoTime(s.Registered).append(nil)) },
	"send_state":              func(s *endpoint.Status) string { return sideStates[s.Sends()] },
	"receive_state":           func(s *endpoint.Status) string { return sideStates[s.Receives()] },
	"status":                  func(s *endpoint.Status) string { return s.Standing().String() },
	"public_key_valid":        func(*endpoint.Status) string { return "true" },
	"registered_with_tls":     func(*endpoint.Status) string { return "true" },
	"registration_error":      func(s *endpoint.Status) string { return strconv.FormatBool(s.Refused != "") },
	"client_id":               func(s *endpoint.Status) string { return s.ID.String() },
	"platform":                func(s *endpoint.Status) string { return s.Platform },
	"lan":                     func(s *endpoint.Status) string { return lanText(s) },
	"chain":                   func(s *endpoint.Status) string { return strconv.Itoa(s.Segment) },
	"isolated_flag":           func(s *endpoint.Status) string { return strconv.FormatBool(s.Alone) },
	"offline_flag":            func(s *endpoint.Status) string { return strconv.FormatBool(s.Gone) },
	"registration_way":        func(s *endpoint.Status) string { return s.Way },
	"registration_error_text": func(s *endpoint.Status) string { return s.Refused },
}

func unquote(b []byte) string { return string(b[1 : len(b)-1]) }

func lanText(s *endpoint.Status) string {
	if !s.LAN.IsValid() {
		return ""
	}
	return s.LAN.String()
}

// reportedAddress is the address that the machine says to have; without one,
// that at which the server sees it.
func reportedAddress(s *endpoint.Status) netip.Addr {
	if a := s.Reported.Unmap(); a.IsValid() {
		return a
	}
	return s.Place.Addr.Addr().Unmap()
}

// clientCount is how many machines the caller sees.
func (s *server) clientCount(ctx context.Context, c call) (int, error) {
	if s.seesAll(c.rights) {
		return s.engine.CountClients(ctx), nil
	}
	seen, err := s.sight(ctx, c.rights)
	return seen.len(), err
}

// appendStatus writes one machine of system_status. The members from client_id
// on are Catenary's own. A neighbour that the caller does not see is a peer
// without a name.
func appendStatus(b []byte, row int, s *endpoint.Status, sees func(endpoint.ID) bool) []byte {
	b = append(b, `{"cache_row_id":`...)
	b = strconv.AppendInt(b, int64(row), 10)
	b = append(b, `,"computer_id":`...)
	b = strconv.AppendUint(b, uint64(s.ComputerID), 10)
	b = appendMember(b, "host_name", s.Name)
	b = append(b, `,"ipaddress_client":"`...)
	b = reportedAddress(s).AppendTo(b)
	b = append(b, `","ipaddress_server":"`...)
	b = s.Place.Addr.Addr().Unmap().AppendTo(b)
	b = append(b, `","port_number":`...)
	b = strconv.AppendUint(b, uint64(s.Place.Addr.Port()), 10)
	b = append(b, `,"protocol_version":`...)
	b = strconv.AppendInt(b, protocolVersion, 10)
	b = appendMember(b, "full_version", s.Version)
	b = append(b, `,"last_registration":`...)
	b = isoTime(s.Registered).append(b)
	b = appendMember(b, "send_state", sideStates[s.Sends()])
	b = appendMember(b, "receive_state", sideStates[s.Receives()])
	b = appendMember(b, "status", s.Standing().String())
	// Nobody registers without having shown its key over TLS: a datagram is
	// sealed with what was given there.
	b = append(b, `,"public_key_valid":true,"registered_with_tls":true`...)
	b = appendFlag(b, "registration_error", s.Refused != "")

	b = append(b, `,"client_id":"`...)
	b = s.ID.Append(b)
	b = append(b, '"')
	b = appendMember(b, "platform", s.Platform)
	b = append(b, `,"lan":"`...)
	if s.LAN.IsValid() {
		b = s.LAN.AppendTo(b)
	}
	b = append(b, `","chain":`...)
	b = strconv.AppendInt(b, int64(s.Segment), 10)
	b = appendFlag(b, "isolated_flag", s.Alone)
	b = appendFlag(b, "offline_flag", s.Gone)
	b = appendLink(b, "backward", &s.Backward, sees)
	b = appendLink(b, "forward", &s.Forward, sees)
	b = appendMember(b, "registration_way", s.Way)
	b = appendMember(b, "registration_error_text", s.Refused)
	return append(b, '}')
}

func appendLink(b []byte, side string, l *endpoint.Link, sees func(endpoint.ID) bool) []byte {
	b = append(append(b, `,"`...), side...)
	b = append(b, `":{"kind":"`...)
	b = append(b, neighbourKinds[l.Kind]...)
	b = append(b, '"')
	if l.Kind == endpoint.Peer {
		if sees(l.Peer) {
			b = append(b, `,"client_id":"`...)
			b = l.Peer.Append(b)
			b = append(b, '"')
			b = appendMember(b, "host_name", l.Name)
		}
		b = append(b, `,"round_trip_ms":`...)
		b = strconv.AppendFloat(b, float64(l.Trip.Microseconds())/1000, 'f', -1, 64)
		b = appendFlag(b, "slow_flag", l.Slow())
		b = appendFlag(b, "backward_link_flag", l.Files)
	}
	return append(b, '}')
}

func appendMember(b []byte, name, text string) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return appendText(b, text)
}

func appendFlag(b []byte, name string, is bool) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendBool(b, is)
}

// appendText writes a text that is as plain as most are, and lets others be
// written with more care.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := marshal(text)
			if err != nil {
				panic("api: " + err.Error()) // every text can be written
			}
			return append(b, quoted[:len(quoted)-1]...) // without the line end
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

func (t isoTime) append(b []byte) []byte {
	if time.Time(t).IsZero() {
		return append(b, never...)
	}
	b = time.Time(t).UTC().AppendFormat(append(b, '"'), time.RFC3339)
	return append(b, '"')
}

// aggregate counts the machines chosen, and of each version also all that the
// caller sees.
func aggregate(seen sight, chosen func(yield func(i int) bool)) aggregateObject {
	a := aggregateObject{Versions: []versionCount{}}
	versions := map[string]*versionCount{}
	for i := range seen.len() {
		version := seen.at(i).Version
		v := versions[version]
		if v == nil {
			v = &versionCount{VersionString: version}
			versions[v.VersionString] = v
		}
		v.Count++
	}
	send := [...]*int{
		endpoint.NoSide: &a.SendNoneCount, endpoint.ForwardSide: &a.SendForwardCount,
		endpoint.BackwardSide: &a.SendBackwardCount, endpoint.BothSides: &a.SendOKCount,
	}
	receive := [...]*int{
		endpoint.NoSide: &a.ReceiveNoneCount, endpoint.ForwardSide: &a.ReceiveForwardCount,
		endpoint.BackwardSide: &a.ReceiveBackwardCount, endpoint.BothSides: &a.ReceiveOKCount,
	}
	for i := range chosen {
		s := seen.at(i)
		a.RegisteredWithTLSCount++
		versions[s.Version].Filtered++
		*send[s.Sends()]++
		*receive[s.Receives()]++
		standing := s.Standing()
		for _, is := range []struct {
			words endpoint.Standing
			count *int
		}{
			{endpoint.Leads, &a.LeaderCount}, {endpoint.Blocked, &a.BlockedCount}, {endpoint.Normal, &a.NormalCount},
			{endpoint.SlowAhead | endpoint.SlowBehind, &a.SlowlinkCount},
		} {
			if standing&is.words != 0 {
				*is.count++
			}
		}
		if s.Refused != "" {
			a.RegisteredWithErrorsCount++
		}
	}
	for _, v := range slices.Sorted(maps.Keys(versions)) {
		a.Versions = append(a.Versions, *versions[v])
	}
	return a
}
