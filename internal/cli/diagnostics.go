package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

const diagnosticsPath = "/api/v2/server_diagnostics"

// A reportObject is a report on the server, as the API says it.
type reportObject struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Made string `json:"made_time"`
}

// ServerCommands returns the operator's commands about a server that runs, ready
// to be added to the command that runs one.
func ServerCommands() []*cobra.Command {
	cmd := newDesk().diagnostics()
	cmd.SetFlagErrorFunc(UsageError)
	return []*cobra.Command{cmd}
}

func (d *desk) diagnostics() *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "diagnostics",
		Short: "Look at the reports on a server, or make one now",
		Long: `A server writes a report on itself every day, or as often as the setting
diagnostics_export_minutes says, and keeps the newest: its version and uptime,
memory and disk, the database, the clients by their states, chains, questions
and queues with their limits. Nothing in it is secret.`,
		Example: `  catenary server diagnostics list
  catenary server diagnostics make
  catenary server diagnostics download --output report.json`,
	}
	cmd.AddCommand(d.diagnosticsList(f), d.diagnosticsMake(f), d.diagnosticsDownload(f))
	Group(cmd)
	f.bind(cmd)
	return cmd
}

func (c *client) reports(ctx context.Context) (list []reportObject, err error) {
	if err := c.call(ctx, http.MethodGet, diagnosticsPath, nil, &list); err != nil {
		return nil, fmt.Errorf("diagnostics: %w", err)
	}
	return list, nil
}

func (d *desk) diagnosticsList(f *flags) *cobra.Command {
	return d.listing(f, &cobra.Command{
		Use:     "list",
		Short:   "List the reports that are kept, the newest first",
		Example: `  catenary server diagnostics list`,
	}, func(cmd *cobra.Command, c *client, how format) (grid, error) {
		list, err := c.reports(cmd.Context())
		g := grid{columns: []column{{name: "Name"}, {name: "Made"}, {name: "Bytes", right: true, number: true}}}
		for _, r := range list {
			made := r.Made
			if how == formatTable {
				made = ago(made, d.now())
			}
			g.add(r.Name, made, strconv.FormatInt(r.Size, 10))
		}
		return g, err
	})
}

func (d *desk) diagnosticsMake(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:     "make",
		Short:   "Make a report now, and print its name",
		Example: `  catenary server diagnostics make`,
		Args:    words(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			var made reportObject
			if err := c.call(cmd.Context(), http.MethodPost, diagnosticsPath, nil, &made); err != nil {
				return fmt.Errorf("diagnostics: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), printable(made.Name))
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func (d *desk) diagnosticsDownload(f *flags) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "download [NAME]",
		Short: "Print a report, or write it to a file",
		Long:  `Download prints the newest report, or the one of a name, as indented JSON; a file gets it as it is.`,
		Example: `  catenary server diagnostics download --output report.json
  catenary server diagnostics download | jq .Diagnostics.Queues`,
		Args: words(0, 1, "the name of a report"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				list, err := c.reports(cmd.Context())
				if err != nil {
					return err
				}
				if len(list) == 0 {
					return fault.New(fault.NotFound, "there is no report yet: `catenary server diagnostics make` makes one")
				}
				args = []string{list[0].Name}
			}
			resp, err := c.send(cmd.Context(), http.MethodGet, diagnosticsPath+"/"+url.PathEscape(args[0]), nil)
			if err != nil {
				return fmt.Errorf("diagnostics: %w", err)
			}
			defer resp.Body.Close()
			if output == "" {
				var whole json.RawMessage
				if err := json.NewDecoder(resp.Body).Decode(&whole); err != nil {
					return fmt.Errorf("diagnostics: %w", err)
				}
				return printObject(cmd.OutOrStdout(), whole)
			}
			size, err := writeWhole(output, resp.Body)
			if err == nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "Wrote %d bytes to %s.\n", size, printable(output))
			}
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&output, "output", "", "write it to this `file`")
	return cmd
}
