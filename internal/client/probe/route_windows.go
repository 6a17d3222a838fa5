package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

// adaptersTries is how often the adapters are asked for: between the answer to
// how much room they need and the question itself they can become more.
const adaptersTries = 3

func defaultGateways(context.Context, tree) ([]string, error) {
	first, err := windowsAdapters()
	if err != nil {
		return nil, err
	}
	var found []string
	for a := first; a != nil; a = a.Next {
		for g := a.FirstGatewayAddress; g != nil; g = g.Next {
			found = appendAddress(found, g.Address)
		}
	}
	return found, nil
}

func nameServers(context.Context, tree) ([]string, error) {
	first, err := windowsAdapters()
	if err != nil {
		return nil, err
	}
	var found []string
	for a := first; a != nil; a = a.Next {
		if a.OperStatus != windows.IfOperStatusUp {
			continue
		}
		for s := a.FirstDnsServerAddress; s != nil; s = s.Next {
			found = appendAddress(found, s.Address)
		}
	}
	return found, nil
}

func appendAddress(to []string, a windows.SocketAddress) []string {
	if ip, ok := netip.AddrFromSlice(a.IP()); ok {
		return append(to, ip.Unmap().String())
	}
	return to
}

// windowsAdapters returns the first of a list of the machine's adapters.
func windowsAdapters() (*windows.IpAdapterAddresses, error) {
	size := uint32(16 << 10) // bytes; enough for most machines at the first try
	for range adaptersTries {
		b := make([]byte, size)
		first := (*windows.IpAdapterAddresses)(unsafe.Pointer(&b[0]))
		err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, windows.GAA_FLAG_INCLUDE_GATEWAYS, 0, first, &size)
		if err == nil {
			return first, nil
		}
		if !errors.Is(err, windows.ERROR_BUFFER_OVERFLOW) {
			return nil, fmt.Errorf("the network adapters: %w", err)
		}
	}
	return nil, fmt.Errorf("the network adapters: they changed %d times while they were read", adaptersTries)
}
