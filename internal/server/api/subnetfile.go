package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"catenary/internal/boundary"
	"catenary/internal/fault"
	"catenary/internal/server/store"
)

// subnetFileMax bounds a file of subnets, in bytes: as many as there may be,
// with a name and a short comment each.
const subnetFileMax = 2 << 20

// file is all subnets of the kind, in the form of a file.
func (k subnetKind) file(ctx context.Context, _ call) (plain, error) {
	list, err := k.store.Subnets(ctx)
	if err != nil {
		return "", err
	}
	var subnets []boundary.Subnet
	for _, n := range k.ours(list) {
		subnets = append(subnets, n.Subnet)
	}
	return plain(boundary.AppendFile(nil, subnets)), nil
}

// A replacement says what became of the subnets of a kind.
type replacement struct {
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Kept    int `json:"kept"`
	Removed int `json:"removed"`
}

// replace puts the subnets of a file in the place of all of the kind, or says
// which line is wrong. With check=1 it only says what would become of them.
func (k subnetKind) replace(w http.ResponseWriter, c call) error {
	data, err := readBody(w, c, subnetFileMax)
	if err != nil {
		return err
	}
	subnets, err := boundary.ReadFile(k.kind, data)
	if err != nil {
		return fault.New(fault.Invalid, "%w", err)
	}
	var done replacement
	edit := func(list []store.Subnet) ([]store.Subnet, error) {
		list, done = k.exchange(list, subnets, c.user, time.Now())
		return list, nil
	}
	if c.URL.Query().Get("check") == "1" {
		err = k.try(c.Context(), edit)
	} else {
		_, err = k.engine.EditSubnets(c.Context(), edit)
	}
	if wrong, ok := errors.AsType[*boundary.Contradiction](err); ok {
		if n := boundary.LineOf(k.kind, data, wrong.Networks...); n > 0 {
			return fault.New(fault.Conflict, "line %d: %w", n, wrong)
		}
	}
	if err == nil && c.URL.Query().Get("check") != "1" {
		err = k.noteFile(c.Context(), c, done)
	}
	if err != nil {
		return err
	}
	return reply(w, done)
}

// try finds out whether an edit would be taken.
func (k subnetKind) try(ctx context.Context, edit func([]store.Subnet) ([]store.Subnet, error)) error {
	list, err := k.store.Subnets(ctx)
	if err != nil {
		return err
	}
	if list, err = edit(list); err != nil {
		return err
	}
	all := make([]boundary.Subnet, len(list))
	for i, n := range list {
		all[i] = n.Subnet
	}
	if err := boundary.Check(all); err != nil {
		return fault.New(fault.Conflict, "%w", err)
	}
	return nil
}

// exchange returns the list with other subnets of the kind. Those of the same
// networks stay the same objects.
func (k subnetKind) exchange(list []store.Subnet, subnets []boundary.Subnet, by store.User, now time.Time) (out []store.Subnet, done replacement) {
	known := map[string]store.Subnet{}
	for _, n := range list {
		if n.Kind == k.kind {
			known[fmt.Sprint(n.Networks)] = n
		} else {
			out = append(out, n)
		}
	}
	done.Removed = len(known)
	for _, sn := range subnets {
		n, was := known[fmt.Sprint(sn.Networks)]
		if !was {
			done.Added++
			out = append(out, store.Subnet{Subnet: sn, Created: now, CreatedBy: by.ID, Modified: now, ModifiedBy: by.ID})
			continue
		}
		done.Removed--
		if k.kind == boundary.Intentional {
			sn.Name = n.Name // files do not say it
		}
		if sn.Name == n.Name && sn.Comment == n.Comment && sn.Neighborhood == n.Neighborhood {
			done.Kept++
		} else {
			done.Changed++
			n.Subnet, n.Modified, n.ModifiedBy = sn, now, by.ID
		}
		out = append(out, n)
	}
	return out, done
}

type maskObject struct {
	AddressPrefixIPv4 int  `json:"address_prefix_ipv4"` // bits; 0: no peers
	AddressPrefixIPv6 int  `json:"address_prefix_ipv6"`
	CarrierNATFlag    bool `json:"carrier_nat_flag"` // clients in 100.64.0.0/10 have peers
}

type maskRequest struct {
	AddressPrefixIPv4 *number `json:"address_prefix_ipv4"`
	AddressPrefixIPv6 *number `json:"address_prefix_ipv6"`
	CarrierNATFlag    *flag   `json:"carrier_nat_flag"`
}

func toMask(m boundary.Mask) maskObject { return maskObject{m.IPv4, m.IPv6, m.CarrierNAT} }

func (s *server) showMask(context.Context, call) (maskObject, error) {
	return toMask(s.engine.Boundaries().Mask()), nil
}

func (s *server) changeMask(ctx context.Context, c call, in maskRequest) (maskObject, error) {
	m := s.engine.Boundaries().Mask()
	was := m
	if in.AddressPrefixIPv4 != nil {
		m.IPv4 = int(*in.AddressPrefixIPv4)
	}
	if in.AddressPrefixIPv6 != nil {
		m.IPv6 = int(*in.AddressPrefixIPv6)
	}
	if in.CarrierNATFlag != nil {
		m.CarrierNAT = bool(*in.CarrierNATFlag)
	}
	if err := s.engine.SetMask(ctx, m); err != nil {
		return maskObject{}, err
	}
	return toMask(m), s.noteMask(ctx, c, was, m)
}

type areaObject struct {
	Address  string `json:"address"`  // at which the server sees the machine
	Reported string `json:"reported"` // which it says to have
	LAN      string `json:"lan"`
	Alone    bool   `json:"alone"`
	Reason   string `json:"reason"`
}

// findArea says where a machine at an address would be placed, and why.
func (s *server) findArea(_ context.Context, c call) (areaObject, error) {
	texts := []string{c.PathValue("address"), c.URL.Query().Get("reported")}
	if texts[1] == "" {
		texts[1] = texts[0]
	}
	var at [2]netip.Addr
	for i, text := range texts {
		var err error
		if at[i], err = netip.ParseAddr(text); err != nil {
			return areaObject{}, fault.New(fault.Invalid, "%q is no address", shorten(text))
		}
	}
	a := s.engine.Boundaries().Find(at[0], at[1])
	return areaObject{at[0].String(), at[1].String(), a.LAN.String(), a.Alone, a.Reason.String()}, nil
}
