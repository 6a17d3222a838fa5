package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"catenary/internal/fault"
)

func (p *Probe) computerName() (string, error) {
	if p.self.ComputerName != "" {
		return p.self.ComputerName, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("the host name: %w", err)
	}
	return name, nil
}

func (p *Probe) computerID() (string, error) {
	if p.self.ComputerID != nil {
		if id := p.self.ComputerID(); id != 0 {
			return strconv.FormatUint(uint64(id), 10), nil
		}
	}
	return "", fault.New(fault.Unavailable, "the client is not registered yet")
}

func (p *Probe) version() (string, error) {
	if p.self.Version == "" {
		return "", unknown("client's version", "it was built without one")
	}
	return p.self.Version, nil
}

// addresses returns every address of the machine that others could use, or
// those that the client was told to bear.
func (p *Probe) addresses(context.Context) ([]string, error) {
	var texts []string
	for _, a := range p.self.Addresses {
		texts = append(texts, a.String())
	}
	if texts != nil {
		return texts, nil
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("the network addresses: %w", err)
	}
	return reachable(all), nil
}

// reachable leaves out the addresses that mean the machine itself.
func reachable(all []net.Addr) []string {
	var texts []string
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil { // an interface may have addresses of other families
			continue
		}
		if ip := prefix.Addr().Unmap(); !ip.IsLoopback() && !ip.IsUnspecified() {
			texts = append(texts, ip.WithZone("").String())
		}
	}
	return texts
}

func hardwareAddresses(context.Context) ([]string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("the network adapters: %w", err)
	}
	var texts []string
	for _, adapter := range all {
		if mac := hardwareAddress(adapter); mac != "" {
			texts = append(texts, mac)
		}
	}
	return texts, nil
}

// hardwareAddress returns the adapter's address, or nothing if it has none:
// some tunnels have one that is all zero.
func hardwareAddress(adapter net.Interface) string {
	for _, b := range adapter.HardwareAddr {
		if b != 0 {
			return adapter.HardwareAddr.String()
		}
	}
	return ""
}

func adapters(context.Context) ([][]string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("the network adapters: %w", err)
	}
	var rows [][]string
	for _, adapter := range all {
		if adapter.Flags&net.FlagLoopback != 0 {
			continue
		}
		addresses, err := adapter.Addrs()
		if err != nil {
			return nil, fmt.Errorf("the addresses of %s: %w", adapter.Name, err)
		}
		status := "Down"
		if adapter.Flags&net.FlagUp != 0 && adapter.Flags&net.FlagRunning != 0 {
			status = "Up"
		}
		rows = append(rows, []string{
			adapter.Name, hardwareAddress(adapter), status,
			strconv.Itoa(adapter.MTU), strings.Join(reachable(addresses), ", "),
		})
	}
	return rows, nil
}

// networkFacts are told of the network on every platform.
func (p *Probe) networkFacts() map[string]fact {
	return map[string]fact{
		"IP Address":              list(p.addresses),
		"IPv4 Address":            list(p.addressesOf(func(a netip.Addr) bool { return a.Is4() })),
		"IPv6 Address":            list(p.addressesOf(func(a netip.Addr) bool { return a.Is6() && !a.IsLinkLocalUnicast() })),
		"Network Addresses":       table(networkAddresses),
		"Subnets":                 list(subnets),
		"MAC Address":             list(hardwareAddresses),
		"Network Adapters":        table(adapters),
		"Hosts File":              p.tableIn(hostsFile),
		"Default Gateway":         p.listIn(defaultGateways),
		"DNS Servers":             p.listIn(nameServers),
		"DNS Search Domains":      p.listIn(dnsSearch),
		"Network Traffic":         p.tableIn(networkTraffic),
		"Connection States":       p.tableIn(connectionStates),
		"Listening Ports":         table(p.listeningPorts),
		"Listening Port Details":  table(p.listeningDetails),
		"Established Connections": table(p.establishedConnections),
	}
}

// addressesOf are the machine's addresses of a kind.
func (p *Probe) addressesOf(wanted func(netip.Addr) bool) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		all, err := p.addresses(ctx)
		var some []string
		for _, text := range all {
			if a, err := netip.ParseAddr(text); err == nil && wanted(a) {
				some = append(some, text)
			}
		}
		return some, err
	}
}

// prefixes calls visit for every address of every adapter.
func prefixes(visit func(adapter string, p netip.Prefix)) error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("the network adapters: %w", err)
	}
	for _, adapter := range all {
		addresses, err := adapter.Addrs()
		if err != nil {
			return fmt.Errorf("the addresses of %s: %w", adapter.Name, err)
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil { // an adapter may have addresses of other families
				visit(adapter.Name, p)
			}
		}
	}
	return nil
}

func networkAddresses(context.Context) ([][]string, error) {
	var rows [][]string
	err := prefixes(func(adapter string, p netip.Prefix) {
		scope := "Global"
		switch ip := p.Addr(); {
		case ip.IsLoopback():
			scope = "Host"
		case ip.IsLinkLocalUnicast():
			scope = "Link"
		}
		rows = append(rows, []string{adapter, p.Addr().WithZone("").String(), strconv.Itoa(p.Bits()), scope})
	})
	return uniqueRows(rows), err
}

func subnets(context.Context) ([]string, error) {
	var texts []string
	err := prefixes(func(_ string, p netip.Prefix) {
		if ip := p.Addr(); !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			texts = append(texts, p.Masked().String())
		}
	})
	return texts, err
}

func hostsFile(_ context.Context, at tree) ([][]string, error) {
	text, err := smallText(at.at(hostsPath), hostsMax)
	if absent(err) {
		return nil, nil
	}
	return uniqueRows(parseHosts(text)), err
}
