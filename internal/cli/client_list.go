package cli

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

// A clientStatus is a row of system_status. The API documents the upper
// fields; the lower ones are the server's own.
type clientStatus struct {
	ComputerID   uint32 `json:"computer_id"`
	Name         string `json:"host_name"`
	Address      string `json:"ipaddress_client"`
	Version      string `json:"full_version"`
	Registration string `json:"last_registration"`
	Status       string `json:"status"`

	ClientID string `json:"client_id"`
	LAN      string `json:"lan"`
	Backward string `json:"backward"` // "server", a peer's computer name, or nobody
	Forward  string `json:"forward"`
}

// leads says on which sides the client is the end of its chain.
func (s clientStatus) leads() string {
	const server = "server"
	switch backward, forward := s.Backward == server, s.Forward == server; {
	case s.Status != "Leader": // a peer may be called "server"
		return ""
	case backward && forward:
		return "both"
	case backward:
		return "backward"
	case forward:
		return "forward"
	default:
		return ""
	}
}

// peer is a neighbour's name as a list shows it: a leader has none on its side.
func (s clientStatus) peer(name, side string) string {
	if l := s.leads(); l == side || l == "both" {
		return ""
	}
	return name
}

func (d *desk) client() *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:     "client",
		Short:   "Look at the clients of the server",
		Example: `  catenary client list`,
	}
	cmd.AddCommand(d.clientList(f))
	Group(cmd)
	f.bind(cmd)
	return cmd
}

func (d *desk) clientList(f *flags) *cobra.Command {
	var how format
	var lan string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the registered clients in the order of their chains",
		Long: `List shows every registered client, in the order in which the clients of a LAN
stand in their chain. A leader is an end of its chain: on the sides that are
named it speaks with the server and not with a peer.`,
		Example: `  catenary client list
  catenary client list --lan 10.1.7.0/24
  catenary client list --format json | jq -r '.[] | select(.Leader != "") | .["Computer Name"]'`,
		Args: words(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			within, err := parseLAN(lan)
			if err != nil {
				return UsageError(cmd, err)
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			clients, err := c.clients(cmd.Context())
			if err != nil {
				return err
			}
			clients = slices.DeleteFunc(clients, func(s clientStatus) bool { return !within(s) })
			return d.print(cmd, how, clientGrid(clients, d.now(), how == formatTable))
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	how.bind(cmd)
	cmd.Flags().StringVar(&lan, "lan", "", "only clients of the LAN with this `network` or address")
	return cmd
}

// parseLAN reads a network, which its LANs lie in, or an address, which lies
// in its LAN. The empty text is every LAN.
func parseLAN(text string) (within func(clientStatus) bool, err error) {
	if text == "" {
		return func(clientStatus) bool { return true }, nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fault.New(fault.Invalid, "--lan %q is neither a network like 10.1.7.0/24 nor an address", text)
		}
		return func(s clientStatus) bool {
			lan, err := netip.ParsePrefix(s.LAN)
			return err == nil && lan.Contains(addr)
		}, nil
	}
	network = network.Masked()
	return func(s clientStatus) bool {
		lan, err := netip.ParsePrefix(s.LAN)
		return err == nil && lan.Bits() >= network.Bits() && network.Contains(lan.Addr())
	}, nil
}

// clientGrid lists clients in the order of the API, which is that of their
// chains. relative says the
// time of a registration as a person would.
func clientGrid(clients []clientStatus, now time.Time, relative bool) grid {
	g := grid{columns: []column{
		{name: "Computer Name"}, {name: "Computer ID", right: true, number: true}, {name: "Address"}, {name: "LAN"},
		{name: "Version"}, {name: "Last Registration"}, {name: "Leader"}, {name: "Backward Peer"}, {name: "Forward Peer"}, {name: "Status"},
	}}
	for _, s := range clients {
		registered := s.Registration
		if relative {
			registered = ago(registered, now)
		}
		g.add(s.Name, strconv.FormatUint(uint64(s.ComputerID), 10), s.Address, s.LAN, s.Version, registered,
			s.leads(), s.peer(s.Backward, "backward"), s.peer(s.Forward, "forward"), s.Status)
	}
	return g
}

// ago says how long before now a moment of the API was, "never" for its
// moment before all others, or the text itself if it is no moment.
func ago(text string, now time.Time) string {
	t, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return text
	case t.Year() <= 2001:
		return "never"
	case now.Sub(t) < time.Second: // clocks differ
		return "now"
	default:
		return humanize.RelTime(t, now, "ago", "")
	}
}
