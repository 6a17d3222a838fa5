package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"catenary/internal/boundary"
	"catenary/internal/fault"
)

// subnetFileMax bounds a file of subnets, in bytes, as the server does.
const subnetFileMax = 2 << 20

// A subnetObject is a subnet as the API says it.
type subnetObject struct {
	ID           int64   `json:"id,omitempty"`
	Networks     string  `json:"cidr_string"` // with commas, if there are several
	Name         string  `json:"name"`
	Comment      string  `json:"comment"`
	Neighborhood *string `json:"neighborhood,omitempty"` // of intentional ones only
}

func (d *desk) subnet() *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "subnet",
		Short: "Say how far chains may reach",
		Long: `Clients form one chain in each LAN. A LAN is what an address mask makes of the
clients' addresses, unless something else is said of a subnet:

  separated    its clients form chains within it only, whatever the mask says
  isolated     its clients have no peers: each talks to the server by itself
  intentional  its clients, by the address at which the server sees them, form one
               LAN, together with those of other subnets of the same neighbourhood

What is changed holds for each client from its next registration on, within
90 seconds.`,
		Example: `  catenary subnet add --kind isolated --name VPN 10.8.0.0/16
  catenary subnet set --kind separated offices.txt
  catenary subnet find 10.1.7.20`,
	}
	cmd.AddCommand(d.subnetList(f), d.subnetAdd(f), d.subnetRemove(f), d.subnetSet(f), d.subnetPrint(f), d.subnetMask(f), d.subnetFind(f))
	Group(cmd)
	f.bind(cmd)
	return cmd
}

// A kindFlag is the flag --kind.
type kindFlag struct{ text string }

func (k *kindFlag) bind(cmd *cobra.Command, usage string) {
	cmd.Flags().StringVar(&k.text, "kind", "", usage+": separated, isolated or intentional")
	names := make([]cobra.Completion, len(boundary.Kinds))
	for i, kind := range boundary.Kinds {
		names[i] = kind.String()
	}
	if err := cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic("cli: " + err.Error()) // the flag has just been made
	}
}

func (k *kindFlag) kind(cmd *cobra.Command) (boundary.Kind, error) {
	kind, ok := boundary.ParseKind(k.text)
	switch {
	case k.text == "":
		return 0, UsageError(cmd, errors.New("which --kind? separated, isolated or intentional"))
	case !ok:
		return 0, UsageError(cmd, fmt.Errorf("--kind %q: write separated, isolated or intentional", k.text))
	}
	return kind, nil
}

func (d *desk) subnetList(f *flags) *cobra.Command {
	var k kindFlag
	cmd := d.listing(f, &cobra.Command{
		Use:   "list",
		Short: "List the subnets of which something is said",
		Example: `  catenary subnet list
  catenary subnet list --kind intentional --format json`,
	}, func(cmd *cobra.Command, c *client, _ format) (g grid, err error) {
		kinds := boundary.Kinds
		if k.text != "" {
			kind, err := k.kind(cmd)
			if err != nil {
				return g, err
			}
			kinds = []boundary.Kind{kind}
		}
		g.columns = []column{{name: "Kind"}, {name: "Networks"}, {name: "Neighbourhood"}, {name: "Name"}, {name: "Comment"}}
		for _, kind := range kinds {
			list, err := c.subnets(cmd.Context(), kind)
			if err != nil {
				return g, err
			}
			for _, s := range list {
				neighborhood := ""
				if s.Neighborhood != nil {
					neighborhood = *s.Neighborhood
				}
				g.rows = append(g.rows, []cell{{kind.String()}, strings.Split(s.Networks, ","), {neighborhood}, {s.Name}, {s.Comment}})
			}
		}
		return g, nil
	})
	k.bind(cmd, "only of this `kind`")
	return cmd
}

func (d *desk) subnetAdd(f *flags) *cobra.Command {
	var k kindFlag
	var s subnetObject
	var neighborhood string
	cmd := &cobra.Command{
		Use:   "add --kind KIND NETWORK…",
		Short: "Say something of a subnet",
		Long: `Add makes a subnet of each network. Several networks of an intentional subnet
become one, and form one LAN; --neighborhood joins it with others of the name.`,
		Example: `  catenary subnet add --kind separated --name 'Building 7' 10.20.7.0/24
  catenary subnet add --kind isolated --name VPN 10.8.0.0/16 10.9.0.0/16
  catenary subnet add --kind intentional --neighborhood London 203.0.113.7 198.51.100.0/28`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return UsageError(cmd, errors.New("which network? write it like 10.1.2.0/24"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := k.kind(cmd)
			if err != nil {
				return err
			}
			if err := checkNetworks(cmd, args); err != nil {
				return err
			}
			if kind == boundary.Intentional {
				s.Neighborhood = &neighborhood
				args = []string{strings.Join(args, ",")}
			} else if neighborhood != "" {
				return UsageError(cmd, errors.New("--neighborhood goes with --kind intentional only"))
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			for _, networks := range args {
				s.Networks = networks
				if err := c.createSubnet(cmd.Context(), kind, s); err != nil {
					return fmt.Errorf("subnet %s: %w", networks, err)
				}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	k.bind(cmd, "what is said of it, its `kind`")
	cmd.Flags().StringVar(&s.Name, "name", "", "what it is called")
	cmd.Flags().StringVar(&s.Comment, "comment", "", "a `text` for those who look it up")
	cmd.Flags().StringVar(&neighborhood, "neighborhood", "", "`name` of the LAN that several intentional subnets form")
	return cmd
}

func checkNetworks(cmd *cobra.Command, args []string) error {
	for _, text := range args {
		if _, err := boundary.ParseNetwork(text); err != nil {
			return UsageError(cmd, err)
		}
	}
	return nil
}

func (d *desk) subnetRemove(f *flags) *cobra.Command {
	var k kindFlag
	cmd := &cobra.Command{
		Use:     "remove --kind KIND NETWORK",
		Short:   "Take back what was said of a subnet",
		Example: `  catenary subnet remove --kind isolated 10.8.0.0/16`,
		Args:    words(1, 1, "one network"),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := k.kind(cmd)
			if err != nil {
				return err
			}
			network, err := boundary.ParseNetwork(args[0])
			if err != nil {
				return UsageError(cmd, err)
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			list, err := c.subnets(cmd.Context(), kind)
			if err != nil {
				return err
			}
			for _, s := range list {
				for text := range strings.SplitSeq(s.Networks, ",") {
					if p, err := netip.ParsePrefix(text); err == nil && p == network {
						return c.deleteSubnet(cmd.Context(), kind, s.ID)
					}
				}
			}
			return fault.New(fault.NotFound, "%v is no %v subnet; `catenary subnet list` names them", network, kind)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	k.bind(cmd, "its `kind`")
	return cmd
}

func (d *desk) subnetSet(f *flags) *cobra.Command {
	var k kindFlag
	var check bool
	cmd := &cobra.Command{
		Use:   "set --kind KIND FILE",
		Short: "Replace all subnets of a kind by those of a file",
		Long: `Set replaces all subnets of a kind by those of a file ("-" is standard input). In
each line stands a network, then a name if there is one, then a comment behind a
semicolon. For intentional subnets the name is the neighbourhood's, and several
networks may stand in one line with commas between them. Empty lines and those
that begin with # or ; say nothing. If any line is wrong, nothing is changed.`,
		Example: `  catenary subnet print --kind separated > offices.txt
  catenary subnet set --kind separated --check offices.txt
  catenary subnet set --kind separated offices.txt`,
		Args: words(1, 1, "one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := k.kind(cmd)
			if err != nil {
				return err
			}
			data, err := readInput(cmd, args[0], subnetFileMax)
			if err != nil {
				return err
			}
			if _, err := boundary.ReadFile(kind, data); err != nil {
				return fault.New(fault.Invalid, "%s: %w", args[0], err)
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			done, err := c.replaceSubnets(cmd.Context(), kind, data, check)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			would := ""
			if check {
				would = "would be "
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s%d added, %d changed, %d removed; %d stay as they are\n", would, done.Added, done.Changed, done.Removed, done.Kept)
			return nil
		},
	}
	k.bind(cmd, "which `kind` to replace")
	cmd.Flags().BoolVar(&check, "check", false, "change nothing, only say what would be changed, or which line is wrong")
	return cmd
}

func (d *desk) subnetPrint(f *flags) *cobra.Command {
	var k kindFlag
	cmd := &cobra.Command{
		Use:     "print --kind KIND",
		Short:   "Print the subnets of a kind as a file that set takes",
		Example: `  catenary subnet print --kind separated > offices.txt`,
		Args:    words(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			kind, err := k.kind(cmd)
			if err != nil {
				return err
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			text, err := c.subnetFile(cmd.Context(), kind)
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), printableLines(text))
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	k.bind(cmd, "which `kind` to print")
	return cmd
}

// A maskObject says how far LANs reach of which nothing else is said. What is
// nil is not to be changed.
type maskObject struct {
	IPv4       *int  `json:"address_prefix_ipv4,omitempty"`
	IPv6       *int  `json:"address_prefix_ipv6,omitempty"`
	CarrierNAT *bool `json:"carrier_nat_flag,omitempty"`
}

func (d *desk) subnetMask(f *flags) *cobra.Command {
	var four, six int
	var carrier bool
	cmd := &cobra.Command{
		Use:   "mask",
		Short: "Show or change the address mask of LANs",
		Long: `Mask shows how many bits of an address are those of its LAN, and changes what is
given. 0 bits leave clients of that family without peers. Clients behind a
carrier's translator (100.64.0.0/10) have no peers unless --carrier-nat is on.`,
		Example: `  catenary subnet mask
  catenary subnet mask --ipv4 22 --ipv6 64
  catenary subnet mask --carrier-nat=false`,
		Args: words(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var m maskObject
			set := cmd.Flags().Changed
			if set("ipv4") {
				m.IPv4 = &four
			}
			if set("ipv6") {
				m.IPv6 = &six
			}
			if set("carrier-nat") {
				m.CarrierNAT = &carrier
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			method := http.MethodGet
			var in any
			if m != (maskObject{}) {
				method, in = http.MethodPatch, m
			}
			var now struct {
				IPv4       int  `json:"address_prefix_ipv4"`
				IPv6       int  `json:"address_prefix_ipv6"`
				CarrierNAT bool `json:"carrier_nat_flag"`
			}
			if err := c.call(cmd.Context(), method, "/api/v2/boundaries", in, &now); err != nil {
				return err
			}
			g := grid{columns: []column{{name: "IPv4", right: true, number: true}, {name: "IPv6", right: true, number: true}, {name: "Carrier-grade NAT"}}}
			g.add(strconv.Itoa(now.IPv4), strconv.Itoa(now.IPv6), map[bool]string{true: "peers", false: "no peers"}[now.CarrierNAT])
			return d.print(cmd, formatTable, g)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().IntVar(&four, "ipv4", 0, "`bits` of an IPv4 address, 8 to 32, or 0")
	cmd.Flags().IntVar(&six, "ipv6", 0, "`bits` of an IPv6 address, 16 to 128, or 0")
	cmd.Flags().BoolVar(&carrier, "carrier-nat", false, "clients in 100.64.0.0/10 have peers")
	return cmd
}

func (d *desk) subnetFind(f *flags) *cobra.Command {
	var reported string
	cmd := &cobra.Command{
		Use:   "find ADDRESS",
		Short: "Say to which LAN a client would belong, and why",
		Example: `  catenary subnet find 10.1.7.20
  catenary subnet find 203.0.113.7 --reported 192.168.1.5    # behind a translator`,
		Args: words(1, 1, "one address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			var area struct {
				LAN    string `json:"lan"`
				Alone  bool   `json:"alone"`
				Reason string `json:"reason"`
			}
			path := "/api/v2/boundaries/" + url.PathEscape(args[0])
			if reported != "" {
				path += "?reported=" + url.QueryEscape(reported)
			}
			if err := c.call(cmd.Context(), http.MethodGet, path, nil, &area); err != nil {
				return err
			}
			g := grid{columns: []column{{name: "LAN"}, {name: "Peers"}, {name: "Because Of"}}}
			g.add(area.LAN, map[bool]string{true: "none", false: "others of the LAN"}[area.Alone], area.Reason)
			return d.print(cmd, formatTable, g)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&reported, "reported", "", "the `address` that the client itself says to have, if the server sees another")
	return cmd
}

// ---- the routes ----

func subnetPath(kind boundary.Kind) string { return "/api/v2/" + kind.String() + "_subnets" }

func (c *client) subnets(ctx context.Context, kind boundary.Kind) (list []subnetObject, err error) {
	err = c.call(ctx, http.MethodGet, subnetPath(kind), nil, &list)
	return list, err
}

func (c *client) createSubnet(ctx context.Context, kind boundary.Kind, s subnetObject) error {
	return c.call(ctx, http.MethodPost, subnetPath(kind), s, nil)
}

func (c *client) deleteSubnet(ctx context.Context, kind boundary.Kind, id int64) error {
	return c.call(ctx, http.MethodDelete, subnetPath(kind)+"/"+strconv.FormatInt(id, 10), nil, nil)
}

func (c *client) subnetFile(ctx context.Context, kind boundary.Kind) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := c.send(ctx, http.MethodGet, subnetPath(kind)+"/file", nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, replyMax))
	if err != nil {
		return "", c.unreachable(err)
	}
	return string(body), nil
}

type subnetReplacement struct {
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Kept    int `json:"kept"`
	Removed int `json:"removed"`
}

func (c *client) replaceSubnets(ctx context.Context, kind boundary.Kind, file []byte, check bool) (done subnetReplacement, err error) {
	path := subnetPath(kind) + "/file"
	if check {
		path += "?check=1"
	}
	err = c.call(ctx, http.MethodPost, path, verbatim(file), &done)
	return done, err
}
