package cli

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// memberPage is how many members of a group are fetched at once.
const memberPage = 10_000

// groupMembers are the machines of a group, or a page of them, as the API says
// it.
type groupMembers struct {
	Tracked  bool          `json:"tracked_flag"`
	Interval int64         `json:"track_computer_id_interval"`
	Answered string        `json:"answered_time"`
	Count    int           `json:"member_count"`
	Members  []groupMember `json:"members"`
}

type groupMember struct {
	ComputerID uint32 `json:"computer_id"`
	ClientID   string `json:"client_id"`
	HostName   string `json:"host_name"`
	Answered   string `json:"answered_time"`
}

func (d *desk) groupMembers(n *noun, f *flags) *cobra.Command {
	var how format
	cmd := &cobra.Command{
		Use:   "members NAME|ID",
		Short: "List the machines that are in a group",
		Long: `Members lists the machines of a group for which the server asks now and again: of
one with track_computer_id_flag, as often as track_computer_id_interval says (in
seconds; each 4 hours, if it is 0), and of one with management rights. A machine
that is off stays what it was. Who sees some machines only gets those.`,
		Example: n.call("members", n.quoted()) + "\n" + n.call("members", n.quoted(), "--format csv > members.csv") + "\n" +
			n.call("change", n.quoted(), "--set track_computer_id_flag=1"),
		Args: words(1, 1, "one name or number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, o, err := n.reach(d, f, cmd, args[0])
			if err != nil {
				return err
			}
			all, err := c.groupMembers(cmd.Context(), n.route(o)+"/members")
			if err != nil {
				return err
			}
			g := grid{columns: []column{{name: "Computer Name"}, {name: "Computer ID", right: true, number: true}, {name: "Asked"}, {name: "Client ID"}}}
			for _, m := range all.Members {
				if how == formatTable {
					m.Answered = ago(m.Answered, d.now())
				}
				g.add(m.HostName, strconv.FormatUint(uint64(m.ComputerID), 10), m.Answered, m.ClientID)
			}
			if err := d.print(cmd, how, g); err != nil {
				return err
			}
			all.explain(cmd, args[0], d.now())
			return nil
		},
		ValidArgsFunction: n.complete(d, f),
	}
	how.bind(cmd)
	return cmd
}

// explain says why there may be no machines.
func (m groupMembers) explain(cmd *cobra.Command, group string, now time.Time) {
	switch out := cmd.ErrOrStderr(); {
	case !m.Tracked:
		fmt.Fprintf(out, "The server does not ask for the machines of this group. Unless it is one of those that nobody changes, let it: catenary group change '%s' --set track_computer_id_flag=1\n", printable(group))
	case ago(m.Answered, now) == "never":
		fmt.Fprintln(out, "The server has asked for the machines of this group, or will soon; what they say is known some minutes later.")
	}
}

// groupMembers fetches all members of a group, page by page.
func (c *client) groupMembers(ctx context.Context, path string) (all groupMembers, err error) {
	for {
		var page groupMembers
		if err := c.call(ctx, http.MethodGet, fmt.Sprintf("%s?row_start=%d&row_count=%d", path, len(all.Members), memberPage), nil, &page); err != nil {
			return all, err
		}
		page.Members = append(all.Members, page.Members...)
		grown := len(page.Members) > len(all.Members)
		if all = page; !grown || len(all.Members) >= all.Count {
			return all, nil
		}
	}
}
