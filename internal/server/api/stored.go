package api

import (
	"context"
	"net/netip"
	"strings"

	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

const actsLater = "It is kept and checked now; a later version acts on it."

// storedFaces are objects that are kept and checked, and on which nothing acts
// yet.
func (s *server) storedFaces() []*face {
	const numbered = canAll &^ canName
	return []*face{
		{path: "server_throttles", kind: "server_throttle", verbs: numbered | goneSaysID, read: rights.ReadThrottles, write: rights.WriteThrottles,
			prepare: prepareThrottle, says: "Limits of this server. " + actsLater},
		{path: "site_throttles", kind: "site_throttle", verbs: numbered | goneSaysID, read: rights.ReadThrottles, write: rights.WriteThrottles,
			prepare: prepareThrottle, says: "Limits of subnets, of which the smallest holds. " + actsLater},
		{path: "server_trusts", kind: "server_trust", verbs: canList | canCreate, read: rights.ReadServerStatus, write: rights.WriteTrust,
			says: "Other servers that are trusted. " + actsLater},
		{path: "zone_servers", kind: "zone_server", verbs: canAll, read: rights.ReadServerStatus, write: rights.WriteTrust,
			says: "Servers in front of the installation. " + actsLater},
	}
}

// prepareThrottle checks that limits are numbers that can limit, and addresses
// addresses.
func prepareThrottle(_ context.Context, _ call, _ *shelf.Change, _ *shelf.Record, o *object.Object) error {
	for _, f := range o.Shape().Fields {
		if strings.HasSuffix(f.Name, "_limit") && o.Int(f.Name) < 0 {
			return object.Bad(f.Name, "a limit is not negative; 0 is none")
		}
	}
	if text := o.Text("ip_address"); text != "" {
		if _, err := netip.ParseAddr(text); err != nil {
			return object.Bad("ip_address", "%q is no address", shorten(text))
		}
	}
	for _, subnet := range o.Objects("subnets") {
		if _, err := netip.ParsePrefix(subnet.Text("range")); err != nil {
			return object.Bad("subnets", "%q is no range like 10.1.0.0/16", shorten(subnet.Text("range")))
		}
	}
	return nil
}
