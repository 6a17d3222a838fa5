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
