package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

// An auditEntry says who has done what, as the API says it.
type auditEntry struct {
	ID       int64  `json:"audit_row_id"`
	At       string `json:"creation_time"`
	User     string `json:"last_modified_by"`
	UserID   int64  `json:"modifier_user_id"`
	Address  string `json:"ip_address"`
	Deed     string `json:"type_name"`
	Kind     string `json:"object_type_name"`
	ObjectID int64  `json:"object_id"`
	Object   string `json:"object_name"`
	Details  string `json:"details"`
}

const auditsShown = 50 // entries, unless more are wanted

func (d *desk) audit() *cobra.Command {
	f := &flags{}
	var how format
	var since, until string
	var limit int
	cmd := &cobra.Command{
		Use:   "audit TYPE [NUMBER]",
		Short: "Show who has done what",
		Long: `Audit shows what was done to the objects of a type, or to one of them, the newest
first. Who has come, gone and been turned away is of the type authentication.
"catenary audit types" names all types.`,
		Example: `  catenary audit authentication
  catenary audit users 7 --since 2026-11-01
  catenary audit packages --limit 1000 --format json | jq -r '.[].Who'`,
		Args: words(1, 2, "a type and perhaps the number of an object"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := uint64(0)
			if len(args) == 2 {
				var err error
				if id, err = strconv.ParseUint(args[1], 10, 63); err != nil {
					return UsageError(cmd, fmt.Errorf("%q is not the number of an object", args[1]))
				}
			}
			if limit < 1 || limit > 10_000 {
				return UsageError(cmd, fmt.Errorf("--limit %d is not between 1 and 10000", limit))
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			if args[0] == "types" {
				return d.auditTypes(cmd, c, how)
			}
			query := url.Values{"audit_history_size": {strconv.Itoa(limit)}}
			for name, text := range map[string]string{"start_time": since, "end_time": until} {
				if text != "" {
					query.Set(name, text)
				}
			}
			var logs []struct {
				Entries []auditEntry `json:"entries"`
			}
			path := fmt.Sprintf("/api/v2/audit_logs/%s/%d?%s", url.PathEscape(args[0]), id, query.Encode())
			if err := c.call(cmd.Context(), http.MethodGet, path, nil, &logs); err != nil {
				return fmt.Errorf("audit: %w", err)
			}
			if len(logs) == 0 {
				return fault.New(fault.Internal, "audit: the answer is empty")
			}
			return d.print(cmd, how, auditGrid(logs[0].Entries))
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	how.bind(cmd)
	f.bind(cmd)
	cmd.Flags().StringVar(&since, "since", "", "only what was done at this `time` or later")
	cmd.Flags().StringVar(&until, "until", "", "only what was done before this `time`")
	cmd.Flags().IntVar(&limit, "limit", auditsShown, "how `many` entries, the newest first")
	return cmd
}

func auditGrid(list []auditEntry) grid {
	g := grid{columns: []column{{name: "Time"}, {name: "Who"}, {name: "From"}, {name: "Did"}, {name: "To"}, {name: "Number", right: true, number: true}, {name: "Details"}}}
	for _, e := range list {
		if e.User == "" && e.UserID == 0 && e.Kind != "authentication" {
			e.User = serverItself
		}
		g.rows = append(g.rows, []cell{{e.At}, {e.User}, {e.Address}, {e.Deed}, {e.Object}, {strconv.FormatInt(e.ObjectID, 10)}, {e.Details}})
	}
	return g
}

func (d *desk) auditTypes(cmd *cobra.Command, c *client, how format) error {
	var list []struct {
		Name string `json:"name"`
		Type string `json:"object_type_name"`
	}
	if err := c.call(cmd.Context(), http.MethodGet, "/api/v2/audit_types", nil, &list); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	g := grid{columns: []column{{name: "Type"}, {name: "Objects"}}}
	for _, t := range list {
		g.rows = append(g.rows, []cell{{t.Name}, {t.Type}})
	}
	return d.print(cmd, how, g)
}
