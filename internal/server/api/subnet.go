package api

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"catenary/internal/boundary"
	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

// A Boundary is the engine's part in how far chains reach. What is changed
// holds for each machine from its next registration on.
type Boundary interface {
	// Boundaries are the rules as of now.
	Boundaries() boundary.Boundaries
	// EditSubnets puts what edit makes of all subnets in their place and returns
	// it with the numbers of what is new. It changes nothing if edit fails, or
	// if the result contradicts itself.
	EditSubnets(ctx context.Context, edit func([]store.Subnet) ([]store.Subnet, error)) ([]store.Subnet, error)
	// SetMask changes the rule for what no subnet says anything of.
	SetMask(ctx context.Context, m boundary.Mask) error
}

// subnetNouns are how the kinds are called in paths and errors.
var subnetNouns = map[boundary.Kind]struct{ path, object, what string }{
	boundary.Separated:   {"separated_subnets", "SeparatedSubnet", "separated subnet"},
	boundary.Isolated:    {"isolated_subnets", "IsolatedSubnet", "isolated subnet"},
	boundary.Intentional: {"intentional_subnets", "IntentionalSubnet", "intentional subnet"},
}

// subnetRoutes are the routes of all kinds of subnets.
func (s *server) subnetRoutes() (out []route) {
	for _, kind := range boundary.Kinds {
		path := "/api/v2/" + subnetNouns[kind].path
		k := subnetKind{s, kind}
		out = append(out,
			route{"GET", path, withSession, rights.ReadSubnets, answers[[]subnetObject](k.list)},
			route{"POST", path, withSession, rights.WriteSubnets, post(bodyMax, k.create)},
			route{"GET", path + "/{id}", withSession, rights.ReadSubnets, get(k.show)},
			route{"PATCH", path + "/{id}", withSession, rights.WriteSubnets, post(bodyMax, k.change)},
			route{"DELETE", path + "/{id}", withSession, rights.WriteSubnets, get(k.remove)},
			route{"GET", path + "/file", withSession, rights.ReadSubnets, get(k.file)},
			route{"POST", path + "/file", withSession, rights.WriteSubnets, handler(k.replace)},
		)
	}
	return append(out,
		route{"GET", "/api/v2/boundaries", withSession, rights.ReadSubnets, get(s.showMask)},
		route{"PATCH", "/api/v2/boundaries", withSession, rights.WriteSubnets, post(bodyMax, s.changeMask)},
		route{"GET", "/api/v2/boundaries/{address}", withSession, rights.ReadSubnets, get(s.findArea)},
	)
}

// A subnetKind serves the subnets of one kind.
type subnetKind struct {
	*server
	kind boundary.Kind
}

type subnetUser struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

type subnetObject struct {
	ID         int64  `json:"id"`
	CIDRString string `json:"cidr_string"` // of an intentional one: several, with commas
	Name       string `json:"name"`
	Comment    string `json:"comment"`
	// Neighborhood is what intentional subnets have, and others have not.
	Neighborhood *string    `json:"neighborhood,omitempty"`
	CreatedTime  isoTime    `json:"created_time"`
	CreatedUser  subnetUser `json:"created_user"`
	ModifiedTime isoTime    `json:"modified_time"`
	ModifiedUser subnetUser `json:"modified_user"`
	DeletedFlag  int        `json:"deleted_flag"`
}

// A subnetRequest is a subnet as a program sends it, or what it wants changed.
type subnetRequest struct {
	CIDRString   *string `json:"cidr_string"`
	Name         *string `json:"name"`
	Comment      *string `json:"comment"`
	Neighborhood *string `json:"neighborhood"`
}

func toSubnet(n store.Subnet, names map[int64]string) subnetObject {
	o := subnetObject{
		ID: n.ID, CIDRString: networksText(n.Networks), Name: n.Name, Comment: n.Comment,
		CreatedTime: isoTime(n.Created), CreatedUser: subnetUser{n.CreatedBy, names[n.CreatedBy]},
		ModifiedTime: isoTime(n.Modified), ModifiedUser: subnetUser{n.ModifiedBy, names[n.ModifiedBy]},
	}
	if n.Kind == boundary.Intentional {
		o.Neighborhood = &n.Neighborhood
	}
	return o
}

func networksText(list []netip.Prefix) string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return strings.Join(texts, ",")
}

func (k subnetKind) missing() error {
	noun := subnetNouns[k.kind]
	return missing(noun.object, noun.what)
}

// ours are the subnets of the kind.
func (k subnetKind) ours(list []store.Subnet) []store.Subnet {
	return slices.DeleteFunc(list, func(n store.Subnet) bool { return n.Kind != k.kind })
}

// find returns where the subnet stands that the path names.
func (k subnetKind) find(c call, list []store.Subnet) (int, error) {
	id, err := c.number("id", subnetNouns[k.kind].what)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(list, func(n store.Subnet) bool { return n.Kind == k.kind && uint64(n.ID) == id })
	if i < 0 {
		return 0, k.missing()
	}
	return i, nil
}

func (k subnetKind) object(ctx context.Context, n store.Subnet) (subnetObject, error) {
	names, err := k.userNames(ctx)
	return toSubnet(n, names), err
}

// list has no cache info behind it: programs expect none here.
func (k subnetKind) list(w http.ResponseWriter, c call) error {
	all, err := k.store.Subnets(c.Context())
	if err != nil {
		return err
	}
	names, err := k.userNames(c.Context())
	if err != nil {
		return err
	}
	all = k.ours(all)
	objects := make([]subnetObject, len(all))
	for i, n := range all {
		objects[i] = toSubnet(n, names)
	}
	return k.sendList(w, c, listingOf(objects, false))
}

func (k subnetKind) show(ctx context.Context, c call) (subnetObject, error) {
	list, err := k.store.Subnets(ctx)
	if err != nil {
		return subnetObject{}, err
	}
	i, err := k.find(c, list)
	if err != nil {
		return subnetObject{}, err
	}
	return k.object(ctx, list[i])
}

func (k subnetKind) create(ctx context.Context, c call, in subnetRequest) (subnetObject, error) {
	if in.CIDRString == nil {
		return subnetObject{}, fault.New(fault.Invalid, "cidr_string is needed: a network like 10.1.2.0/24")
	}
	now := time.Now()
	n := store.Subnet{Subnet: boundary.Subnet{Kind: k.kind}, Created: now, CreatedBy: c.user.ID}
	if err := in.apply(&n, c.user, now); err != nil {
		return subnetObject{}, err
	}
	list, err := k.engine.EditSubnets(ctx, func(list []store.Subnet) ([]store.Subnet, error) { return append(list, n), nil })
	if err != nil {
		return subnetObject{}, err
	}
	made := list[len(list)-1]
	if err := k.note(ctx, c, "create", made, store.Subnet{}); err != nil {
		return subnetObject{}, err
	}
	return k.object(ctx, made)
}

func (k subnetKind) change(ctx context.Context, c call, in subnetRequest) (subnetObject, error) {
	at, was := 0, store.Subnet{}
	list, err := k.engine.EditSubnets(ctx, func(list []store.Subnet) (_ []store.Subnet, err error) {
		if at, err = k.find(c, list); err != nil {
			return nil, err
		}
		was = list[at]
		return list, in.apply(&list[at], c.user, time.Now())
	})
	if err == nil {
		err = k.note(ctx, c, "update", list[at], was)
	}
	if err != nil {
		return subnetObject{}, err
	}
	return k.object(ctx, list[at])
}

func (k subnetKind) remove(ctx context.Context, c call) (subnetObject, error) {
	var gone store.Subnet
	_, err := k.engine.EditSubnets(ctx, func(list []store.Subnet) ([]store.Subnet, error) {
		i, err := k.find(c, list)
		if err != nil {
			return nil, err
		}
		gone = list[i]
		return slices.Delete(list, i, i+1), nil
	})
	if err == nil {
		err = k.note(ctx, c, "delete", gone, gone)
	}
	if err != nil {
		return subnetObject{}, err
	}
	o, err := k.object(ctx, gone)
	o.DeletedFlag = 1
	return o, err
}

// apply makes the changes that are asked for.
func (in subnetRequest) apply(n *store.Subnet, by store.User, now time.Time) error {
	if in.CIDRString != nil {
		n.Networks = nil
		for text := range strings.SplitSeq(*in.CIDRString, ",") {
			p, err := boundary.ParseNetwork(strings.TrimSpace(text))
			if err != nil {
				return fault.New(fault.Invalid, "cidr_string: %w", err)
			}
			n.Networks = append(n.Networks, p)
		}
	}
	for _, t := range []struct {
		from *string
		to   *string
	}{{in.Name, &n.Name}, {in.Comment, &n.Comment}, {in.Neighborhood, &n.Neighborhood}} {
		if t.from != nil {
			*t.to = strings.TrimSpace(*t.from)
		}
	}
	n.Modified, n.ModifiedBy = now, by.ID
	return nil
}
