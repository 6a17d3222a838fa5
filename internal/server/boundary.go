package server

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"catenary/internal/boundary"
	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/server/store"
)

// boundaries are how far LANs reach, as operators have said.
type boundaries struct {
	mu  sync.Mutex // held while they are changed, so that the hub hears of changes in their order
	now atomic.Pointer[boundary.Boundaries]
}

// The settings that hold the mask.
const (
	settingIPv4       = "lan_prefix_ipv4"
	settingIPv6       = "lan_prefix_ipv6"
	settingCarrierNAT = "lan_carrier_nat"
)

// Boundaries say how far LANs reach as of now.
func (s *Server) Boundaries() boundary.Boundaries { return *s.boundaries.now.Load() }

// loadBoundaries reads what operators have said, before anybody is served.
func (s *Server) loadBoundaries(ctx context.Context) error {
	settings, err := s.store.Settings(ctx)
	if err != nil {
		return err
	}
	m := boundary.DefaultMask
	for key, to := range map[string]*int{settingIPv4: &m.IPv4, settingIPv6: &m.IPv6} {
		text, said := settings[key]
		if !said {
			continue
		}
		if *to, err = strconv.Atoi(text); err != nil {
			return fault.New(fault.Invalid, "setting %s: %q is no number of bits", key, text)
		}
	}
	m.CarrierNAT = settings[settingCarrierNAT] == "1"
	subnets, err := s.store.Subnets(ctx)
	if err != nil {
		return err
	}
	b, err := made(m, subnets)
	if err == nil {
		s.boundaries.now.Store(&b)
	}
	return err
}

// made makes boundaries; what contradicts itself is a conflict.
func made(m boundary.Mask, subnets []store.Subnet) (boundary.Boundaries, error) {
	if err := m.Check(); err != nil {
		return boundary.Boundaries{}, fault.New(fault.Invalid, "%w", err)
	}
	// In the order in which they were made, what is new last, as they will be
	// read again: the first network of a neighbourhood names its LAN.
	subnets = slices.Clone(subnets)
	slices.SortStableFunc(subnets, func(a, b store.Subnet) int {
		if a.ID == 0 || b.ID == 0 {
			return cmp.Compare(b.ID, a.ID)
		}
		return cmp.Compare(a.ID, b.ID)
	})
	list := make([]boundary.Subnet, len(subnets))
	for i, n := range subnets {
		list[i] = n.Subnet
	}
	b, err := boundary.New(m, list)
	if err != nil {
		return b, fault.New(fault.Conflict, "%w", err)
	}
	return b, nil
}

// EditSubnets puts what edit makes of the subnets in their place, or changes
// nothing if they contradict each other. Every client is placed anew at its next
// registration.
func (s *Server) EditSubnets(ctx context.Context, edit func([]store.Subnet) ([]store.Subnet, error)) ([]store.Subnet, error) {
	s.boundaries.mu.Lock()
	defer s.boundaries.mu.Unlock()
	var b boundary.Boundaries
	list, err := s.store.EditSubnets(ctx, func(list []store.Subnet) ([]store.Subnet, error) {
		list, err := edit(list)
		if err == nil {
			b, err = made(s.Boundaries().Mask(), list)
		}
		return list, err
	})
	if err != nil {
		return nil, err
	}
	return list, s.setBoundaries(ctx, b, len(list))
}

// SetMask changes how far LANs reach of which nothing else is said.
func (s *Server) SetMask(ctx context.Context, m boundary.Mask) error {
	s.boundaries.mu.Lock()
	defer s.boundaries.mu.Unlock()
	subnets, err := s.store.Subnets(ctx)
	if err != nil {
		return err
	}
	b, err := made(m, subnets)
	if err != nil {
		return err
	}
	carrier := "0"
	if m.CarrierNAT {
		carrier = "1"
	}
	for key, value := range map[string]string{
		settingIPv4: strconv.Itoa(m.IPv4), settingIPv6: strconv.Itoa(m.IPv6), settingCarrierNAT: carrier,
	} {
		if err := s.store.SetSetting(ctx, key, value); err != nil {
			return err
		}
	}
	return s.setBoundaries(ctx, b, len(subnets))
}

func (s *Server) setBoundaries(ctx context.Context, b boundary.Boundaries, subnets int) error {
	s.boundaries.now.Store(&b)
	m := b.Mask()
	s.log.Info("boundaries changed", "subnets", subnets, "ipv4", m.IPv4, "ipv6", m.IPv6, "carrier_nat", m.CarrierNAT)
	// What is in the database holds, whether or not the caller waits.
	return s.do(context.WithoutCancel(ctx), func(h *hub) { h.roster.SetBoundaries(b) })
}

// hangUp ends the connections on which a client leads the chains of other LANs
// than the one that it is in now: it would speak there of slots that mean other
// machines.
func (h *hub) hangUp(id endpoint.ID, lan netip.Prefix) {
	for _, l := range h.leaders {
		if l.id == id && l.lan != lan {
			l.link.Close()
		}
	}
}
