package probe

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// Flags of a route (linux/route.h): it is in use, and it leads to a gateway.
const (
	routeUp      = 0x1
	routeGateway = 0x2
)

func defaultGateways(_ context.Context, at tree) ([]string, error) {
	v4, err := at.read("proc/net/route")
	if err != nil && !absent(err) {
		return nil, err
	}
	v6, err := at.read("proc/net/ipv6_route")
	if err != nil && !absent(err) {
		return nil, err
	}
	return append(gateways4(string(v4)), gateways6(string(v6))...), nil
}

// gateways4 reads the default routes of /proc/net/route. Its addresses are
// numbers of the machine's byte order, in hex.
func gateways4(table string) []string {
	var found []string
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" || !leadsOut(f[3]) {
			continue
		}
		if b, err := hex.DecodeString(f[2]); err == nil && len(b) == 4 {
			var ip [4]byte
			binary.NativeEndian.PutUint32(ip[:], binary.BigEndian.Uint32(b))
			found = append(found, netip.AddrFrom4(ip).String())
		}
	}
	return found
}

// gateways6 reads the default routes of /proc/net/ipv6_route: destination,
// prefix length, source, its length, gateway, metric, two counters, flags.
func gateways6(table string) []string {
	var found []string
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 9 || strings.Trim(f[0], "0") != "" || f[1] != "00" || !leadsOut(f[8]) {
			continue
		}
		if b, err := hex.DecodeString(f[4]); err == nil && len(b) == 16 {
			found = append(found, netip.AddrFrom16([16]byte(b)).String())
		}
	}
	return found
}

func leadsOut(flags string) bool {
	n, err := strconv.ParseUint(flags, 16, 32)
	return err == nil && n&routeUp != 0 && n&routeGateway != 0
}
