package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

// drawnMax is how many LANs are drawn, unless one is named; of more there is
// only an overview.
const drawnMax = 10

// A lanView is what is to be seen of one LAN.
type lanView struct {
	name     string
	segments []segmentView
	isolated []clientStatus // each is to talk to the server by itself
}

// A segmentView is the clients that are to form one chain, in its order.
type segmentView struct {
	stands []stand
}

// A stand is a client in its segment.
type stand struct {
	clientStatus
	passed bool  // its neighbours are linked to each other, past it
	ahead  joint // to the next one that is neither passed over nor offline
}

// inLine reports whether the client takes part in the chain.
func (s stand) inLine() bool { return !s.Offline && !s.passed }

// A joint is how two clients hang together that stand next to each other.
type joint string

const (
	jointEnd    joint = "end"         // nobody comes after it
	jointLinked joint = "linked"      // both say so
	jointSlow   joint = "slow"        // both say so, and it is slow
	jointHalf   joint = "half-linked" // only one of them says so
	jointUnsaid joint = "unreported"  // neither has said so yet; but neither leads there
	jointGap    joint = "gap"         // one of them leads there, so that they are not linked
)

// views sorts clients by LANs and segments. Their order is that of the API.
func views(clients []clientStatus) []lanView {
	var all []lanView
	for _, s := range clients {
		if n := len(all); n == 0 || all[n-1].name != s.LAN {
			all = append(all, lanView{name: s.LAN})
		}
		v := &all[len(all)-1]
		if s.Isolated {
			v.isolated = append(v.isolated, s)
			continue
		}
		if n := len(v.segments); n == 0 || v.segments[n-1].stands[0].Chain != s.Chain {
			v.segments = append(v.segments, segmentView{})
		}
		seg := &v.segments[len(v.segments)-1]
		seg.stands = append(seg.stands, stand{clientStatus: s})
	}
	for _, v := range all {
		for _, seg := range v.segments {
			seg.hang()
		}
	}
	return all
}

// hang finds out how the clients of a segment hang together.
func (v segmentView) hang() {
	place := map[string]int{}
	for i, s := range v.stands {
		place[s.ClientID] = i
	}
	for i, s := range v.stands {
		j, ok := place[s.Forward.ClientID]
		if !ok || j <= i || !linked(s.clientStatus, v.stands[j].clientStatus) {
			continue
		}
		for k := i + 1; k < j; k++ {
			v.stands[k].passed = true
		}
	}
	last := -1
	for i := range v.stands {
		if !v.stands[i].inLine() {
			continue
		}
		v.stands[i].ahead = jointEnd
		if last >= 0 {
			v.stands[last].ahead = joined(v.stands[last].clientStatus, v.stands[i].clientStatus)
		}
		last = i
	}
}

// linked reports whether two clients both say to be linked to each other.
func linked(a, b clientStatus) bool {
	return !b.Offline && a.Forward.ClientID == b.ClientID && b.Backward.ClientID == a.ClientID
}

func joined(a, b clientStatus) joint {
	switch {
	case linked(a, b) && a.Forward.Slow:
		return jointSlow
	case linked(a, b):
		return jointLinked
	case a.Forward.Kind == kindServer || b.Backward.Kind == kindServer:
		return jointGap // whatever the other has said when it last registered
	case a.Forward.ClientID == b.ClientID || b.Backward.ClientID == a.ClientID:
		return jointHalf
	default:
		return jointUnsaid
	}
}

// A tallied LAN is its clients in numbers.
type tallied struct {
	clients, chains, leaders, gaps, slow, half, unsaid, passed, offline, blocked, isolated int
}

func (v lanView) tally() tallied {
	t := tallied{isolated: len(v.isolated), clients: len(v.isolated)}
	for _, seg := range v.segments {
		t.clients += len(seg.stands)
		for _, s := range seg.stands {
			for _, is := range []struct {
				so    bool
				count *int
			}{
				{s.leads() != "", &t.leaders}, {s.Offline, &t.offline}, {s.passed && !s.Offline, &t.passed}, {s.is("Blocked"), &t.blocked},
				{s.ahead == jointSlow, &t.slow}, {s.ahead == jointHalf, &t.half}, {s.ahead == jointUnsaid, &t.unsaid}, {s.ahead == jointGap, &t.gaps},
				{s.ahead == jointGap || s.ahead == jointEnd, &t.chains},
			} {
				if is.so {
					*is.count++
				}
			}
		}
	}
	return t
}

func (d *desk) clientChain(f *flags) *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "chain [LAN]",
		Short: "Draw the chains of a LAN",
		Long: fmt.Sprintf(`Chain draws how the clients of a LAN hang together: from the backward leader, where
questions come in, to the forward leader, where answers leave. What is not as it
should be stands in its place: a slow link, a gap, and who is offline, blocked or
passed over. Where nothing is to be said, clients are left out.

Who leads is known at any time; who stands next to whom a client says when it
registers, every 30 to 90 seconds. So a link that has just been made is shown as
half a link, or as unreported, until both have said so.

LAN is a network or an address in it. Without it, all LANs are drawn, or counted
if there are more than %d.`, drawnMax),
		Example: `  catenary client chain
  catenary client chain 10.1.7.0/24
  catenary client chain 10.1.7.20 --all
  catenary client chain --json | jq '.[] | select(.gaps > 0) | .lan'`,
		Args: words(0, 1, "at most one LAN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			lan := ""
			if len(args) > 0 {
				lan = args[0]
			}
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
			var chosen []clientStatus
			for _, s := range clients {
				if within(s) {
					chosen = append(chosen, s)
				}
			}
			return d.showChains(cmd, lan, views(chosen), asJSON, all)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of LANs with their clients and how these hang together")
	cmd.Flags().BoolVar(&all, "all", false, "leave no clients out")
	return cmd
}

func (d *desk) showChains(cmd *cobra.Command, lan string, lans []lanView, asJSON, all bool) error {
	switch drawn := len(lans) - alone(lans); {
	case asJSON:
		return printChains(cmd.OutOrStdout(), lans)
	case len(lans) == 0 && lan != "":
		return fault.New(fault.NotFound, "no client is registered in %s; `catenary client list` names them", lan)
	case len(lans) == 0:
		fmt.Fprintln(cmd.ErrOrStderr(), "no client is registered")
		return nil
	case drawn > drawnMax && lan == "":
		if err := d.print(cmd, formatTable, overview(lans)); err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "`catenary client chain LAN` draws one")
		return nil
	}
	width, _ := d.terminal(cmd.OutOrStdout())
	out := bufio.NewWriter(cmd.OutOrStdout())
	drawing{out: out, width: width, whole: all}.draw(lans)
	return out.Flush()
}

// alone counts the LANs of isolated clients only.
func alone(lans []lanView) (n int) {
	for _, v := range lans {
		if len(v.segments) == 0 {
			n++
		}
	}
	return n
}

// overview is a table of LANs. Those of isolated clients are one line.
func overview(lans []lanView) grid {
	g := grid{columns: []column{{name: "LAN"}}}
	for _, name := range []string{"Clients", "Chains", "Leaders", "Gaps", "Slow", "Unsure", "Passed", "Offline", "Blocked", "Isolated"} {
		g.columns = append(g.columns, column{name: name, right: true, number: true})
	}
	line := func(name string, t tallied) {
		row := []string{name}
		for _, n := range []int{t.clients, t.chains, t.leaders, t.gaps, t.slow, t.half + t.unsaid, t.passed, t.offline, t.blocked, t.isolated} {
			row = append(row, strconv.Itoa(n))
		}
		g.add(row...)
	}
	var rest tallied
	for _, v := range lans {
		if len(v.segments) > 0 {
			line(v.name, v.tally())
		} else {
			rest.clients += len(v.isolated)
		}
	}
	if rest.isolated = rest.clients; rest.clients > 0 {
		line("isolated", rest)
	}
	return g
}

// printChains prints for programs what is otherwise drawn.
func printChains(out io.Writer, lans []lanView) error {
	type client struct {
		ClientID string  `json:"client_id"`
		Name     string  `json:"host_name"`
		Address  string  `json:"address"`
		Leads    string  `json:"leads"` // backward, forward, both or nothing
		Status   string  `json:"status"`
		Offline  bool    `json:"offline"`
		Passed   bool    `json:"passed_over"`
		Ahead    joint   `json:"ahead,omitempty"`
		Trip     float64 `json:"round_trip_ms"`
		Files    bool    `json:"backward_link"`
	}
	type lan struct {
		LAN      string     `json:"lan"`
		Clients  int        `json:"clients"`
		Chains   int        `json:"chains"`
		Gaps     int        `json:"gaps"`
		Segments [][]client `json:"segments"`
		Isolated []client   `json:"isolated"`
	}
	of := func(s stand) client {
		c := client{s.ClientID, s.Name, s.Address, s.leads(), s.Status, s.Offline, s.passed, s.ahead, 0, s.Backward.Files}
		if s.ahead == jointLinked || s.ahead == jointSlow {
			c.Trip = s.Forward.Trip
		}
		return c
	}
	all := []lan{}
	for _, v := range lans {
		t := v.tally()
		l := lan{v.name, t.clients, t.chains, t.gaps, [][]client{}, []client{}}
		for _, seg := range v.segments {
			list := make([]client, len(seg.stands))
			for i, s := range seg.stands {
				list[i] = of(s)
			}
			l.Segments = append(l.Segments, list)
		}
		for _, s := range v.isolated {
			l.Isolated = append(l.Isolated, of(stand{clientStatus: s}))
		}
		all = append(all, l)
	}
	object, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return printObject(out, object)
}
