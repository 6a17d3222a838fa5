package cli

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
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
	Sends        string `json:"send_state"`
	Receives     string `json:"receive_state"`
	Status       string `json:"status"`

	ClientID string     `json:"client_id"`
	LAN      string     `json:"lan"`
	Chain    int        `json:"chain"` // number in the LAN
	Isolated bool       `json:"isolated_flag"`
	Offline  bool       `json:"offline_flag"`
	Backward clientLink `json:"backward"`
	Forward  clientLink `json:"forward"`
	Refused  string     `json:"registration_error_text"`
}

// A clientLink is who stands on one side of a client.
type clientLink struct {
	Kind     string  `json:"kind"` // server, peer or nobody
	ClientID string  `json:"client_id"`
	Name     string  `json:"host_name"`
	Trip     float64 `json:"round_trip_ms"`
	Slow     bool    `json:"slow_flag"`
	Files    bool    `json:"backward_link_flag"` // a backward link stands beside it
}

const (
	kindServer = "server"
	kindPeer   = "peer"
)

// leads says on which sides the client is the end of its chain.
func (s clientStatus) leads() string {
	switch backward, forward := s.Backward.Kind == kindServer, s.Forward.Kind == kindServer; {
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

// is reports whether the status has the word.
func (s clientStatus) is(word string) bool {
	return slices.ContainsFunc(strings.Split(s.Status, ", "), func(w string) bool { return strings.HasPrefix(w, word) })
}

func (d *desk) client() *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Look at the clients of the server",
		Example: `  catenary client list
  catenary client chain 10.1.7.0/24`,
	}
	cmd.AddCommand(d.clientList(f), d.clientChain(f))
	Group(cmd)
	f.bind(cmd)
	return cmd
}

// A clientFilter chooses clients. A client must be all that is asked for.
type clientFilter struct {
	lan                            string
	leaders, blocked, slow, absent bool
}

func (f *clientFilter) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.lan, "lan", "", "only clients of the LAN with this `network` or address")
	cmd.Flags().BoolVar(&f.leaders, "leaders", false, "only those that are an end of their chain")
	cmd.Flags().BoolVar(&f.blocked, "blocked", false, "only those that others cannot connect to, or that can connect to nobody")
	cmd.Flags().BoolVar(&f.slow, "slow", false, "only those with a slow link")
	cmd.Flags().BoolVar(&f.absent, "offline", false, "only those that their neighbours have found dead")
}

func (f *clientFilter) filter() (func(clientStatus) bool, error) {
	within, err := parseLAN(f.lan)
	if err != nil {
		return nil, fmt.Errorf("--lan %w", err)
	}
	return func(s clientStatus) bool {
		return within(s) && (!f.leaders || s.leads() != "") && (!f.blocked || s.is("Blocked")) &&
			(!f.slow || s.is("Slow Link")) && (!f.absent || s.Offline)
	}, nil
}

func (d *desk) clientList(f *flags) *cobra.Command {
	var how format
	var only clientFilter
	var wide bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the registered clients in the order of their chains",
		Long: `List shows every registered client, LAN by LAN in the order in which the clients
stand in their chains. A leader is an end of its chain: on the sides that are
named it speaks with the server and not with a peer. Sends says on which sides a
client says to have a peer, Receives on which sides a peer says to have it; the
two differ for a while after neighbours have changed, and for longer if a link
is broken in one direction.`,
		Example: `  catenary client list
  catenary client list --blocked
  catenary client list --leaders --lan 10.1.7.0/24 --wide
  catenary client list --format json | jq -r '.[] | select(.Leader != "") | .["Computer Name"]'`,
		Args: words(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := only.filter()
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
			clients = slices.DeleteFunc(clients, func(s clientStatus) bool { return !chosen(s) })
			return d.print(cmd, how, clientGrid(clients, d.now(), how == formatTable, wide || how != formatTable))
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	how.bind(cmd)
	only.bind(cmd)
	cmd.Flags().BoolVar(&wide, "wide", false, "all columns, as in JSON and CSV")
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
			return nil, fault.New(fault.Invalid, "%q is neither a network like 10.1.7.0/24 nor an address", text)
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

// A clientColumn is a column of the list of clients.
type clientColumn struct {
	column
	narrow bool // is there in any case
	of     func(clientStatus) string
}

// clientGrid lists clients in the order of the API, which is that of their
// chains. relative says the time of a registration as a person would; whole
// shows every column.
func clientGrid(clients []clientStatus, now time.Time, relative, whole bool) grid {
	columns := []clientColumn{
		{column{name: "Computer Name"}, true, func(s clientStatus) string { return s.Name }},
		{column{name: "Computer ID", right: true, number: true}, false, func(s clientStatus) string { return strconv.FormatUint(uint64(s.ComputerID), 10) }},
		{column{name: "Address"}, true, func(s clientStatus) string { return s.Address }},
		{column{name: "LAN"}, false, func(s clientStatus) string { return s.LAN }},
		{column{name: "Version"}, false, func(s clientStatus) string { return s.Version }},
		{column{name: "Last Registration"}, true, func(s clientStatus) string {
			if relative {
				return ago(s.Registration, now)
			}
			return s.Registration
		}},
		{column{name: "Leader"}, true, clientStatus.leads},
		{column{name: "Backward Peer"}, false, func(s clientStatus) string { return s.Backward.Name }},
		{column{name: "Forward Peer"}, false, func(s clientStatus) string { return s.Forward.Name }},
		{column{name: "Backward Link"}, false, func(s clientStatus) string { return pick(s.Backward.Files, "open", "") }},
		{column{name: "Sends"}, true, func(s clientStatus) string { return s.Sends }},
		{column{name: "Receives"}, true, func(s clientStatus) string { return s.Receives }},
		{column{name: "Status"}, true, clientStatus.standing},
	}
	columns = slices.DeleteFunc(columns, func(c clientColumn) bool { return !whole && !c.narrow })
	var g grid
	for _, c := range columns {
		g.columns = append(g.columns, c.column)
	}
	for _, s := range clients {
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = c.of(s)
		}
		g.add(row...)
	}
	return g
}

// standing is the status, with what a list should not leave out.
func (s clientStatus) standing() string {
	switch {
	case s.Offline:
		return "Offline"
	case s.Refused != "":
		return s.Status + ", Registration Error"
	}
	return s.Status
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
