package probe

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"
)

// defaultGateways asks the kernel for its routes. The addresses of a message
// stand in the order of the RTAX constants: destination, gateway, mask.
func defaultGateways(context.Context, tree) ([]string, error) {
	table, err := syscall.RouteRIB(syscall.NET_RT_DUMP, 0)
	if err != nil {
		return nil, fmt.Errorf("the routes: %w", err)
	}
	messages, err := syscall.ParseRoutingMessage(table)
	if err != nil {
		return nil, fmt.Errorf("the routes: %w", err)
	}
	var found []string
	for _, m := range messages {
		route, ok := m.(*syscall.RouteMessage)
		if !ok || route.Header.Flags&syscall.RTF_UP == 0 || route.Header.Flags&syscall.RTF_GATEWAY == 0 {
			continue
		}
		ends, err := syscall.ParseRoutingSockaddr(route)
		if err != nil || len(ends) <= syscall.RTAX_NETMASK {
			continue
		}
		to, ok1 := sockaddr(ends[syscall.RTAX_DST])
		by, ok2 := sockaddr(ends[syscall.RTAX_GATEWAY])
		mask, masked := sockaddr(ends[syscall.RTAX_NETMASK])
		if ok1 && ok2 && to.IsUnspecified() && (!masked || mask.IsUnspecified()) {
			found = append(found, by.WithZone("").String())
		}
	}
	return found, nil
}

func sockaddr(s syscall.Sockaddr) (netip.Addr, bool) {
	switch s := s.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrFrom4(s.Addr), true
	case *syscall.SockaddrInet6:
		return netip.AddrFrom16(s.Addr), true
	}
	return netip.Addr{}, false
}
