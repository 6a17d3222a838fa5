package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// A findingObject is a sign that answers were tampered with on their way, as the
// API says it.
type findingObject struct {
	Question uint64          `json:"question_id"`
	Kind     string          `json:"kind"`
	LAN      string          `json:"lan"`
	Last     string          `json:"last_time"`
	Times    int             `json:"times"`
	Clients  []machineObject `json:"clients"`
	Suspects []machineObject `json:"suspects"`
}

type machineObject struct {
	ClientID string `json:"client_id"`
	Name     string `json:"host_name"`
}

// findingKinds are how the API calls what may be found, and what that means.
var findingKinds = map[string]string{
	"forged_box":   "a sealed or attested answer is not its machine's, or of an unknown key",
	"altered_sums": "rows and counts are not those that the machines vouch for",
	"wrong_mode":   "an answer did not come sealed or attested, as it was asked for",
	"forged_row":   "a row does not have its hash",
	"missing_row":  "a row that a machine has given is not in the answer",
	"low_count":    "a row counts fewer machines than have given it",
	"not_counted":  "a machine has answered, and nothing brings its answer",
}

// named are the machines by name, or by what else is known of them.
func named(list []machineObject) (names cell) {
	for _, m := range list {
		if m.Name == "" {
			m.Name = m.ClientID
		}
		names = append(names, m.Name)
	}
	return names
}

// writeFindings says below an account what was found about its question.
func (d *desk) writeFindings(cmd *cobra.Command, a accountObject) error {
	if len(a.Findings) == 0 {
		return nil
	}
	if _, err := io.WriteString(cmd.OutOrStdout(), "\nThere are signs that the answer was tampered with on its way; who has passed it\non can have done it, but need not (docs/trust.md):\n\n"); err != nil {
		return err
	}
	g := grid{columns: []column{
		{name: "What Was Found"}, {name: "LAN"}, {name: "Answers Of"}, {name: "Passed On By"}, {name: "Times", right: true, number: true}, {name: "Last"},
	}}
	for _, f := range a.Findings {
		what, known := findingKinds[f.Kind]
		if !known {
			what = f.Kind
		}
		g.rows = append(g.rows, []cell{{what}, {f.LAN}, named(f.Clients), named(f.Suspects), {strconv.Itoa(f.Times)}, {ago(f.Last, d.now())}})
	}
	if err := d.print(cmd, formatTable, g); err != nil {
		return err
	}
	if rest := a.FindingCount - len(a.Findings); rest > 0 {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "… and %d more: `catenary question findings` names them\n", rest)
		return err
	}
	return nil
}

func (d *desk) questionFindings(f *flags) *cobra.Command {
	return newest(d, f, &cobra.Command{
		Use:   "findings",
		Short: "List the signs that answers were tampered with on their way",
		Long: `Findings lists what audits and broken seals have shown of all questions that the
server still knows, the newest first. Who has passed an answer on can have
tampered with it, but need not. What each kind means, and which have an honest
cause, is in docs/trust.md.`,
		Example: `  catenary question findings
  catenary question findings --json | jq -r '.[] | .["Passed On By"]'`,
	}, "findings", (*client).findings, findingGrid)
}

// findingGrid lists findings. relative says times as a person would.
func findingGrid(list []findingObject, now time.Time, relative bool) grid {
	g := grid{columns: []column{
		{name: "Question", right: true, number: true}, {name: "Kind"}, {name: "LAN"}, {name: "Answers Of"}, {name: "Passed On By"},
		{name: "Times", right: true, number: true}, {name: "Last"},
	}}
	for _, f := range list {
		last := f.Last
		if relative {
			last = ago(last, now)
		}
		g.rows = append(g.rows, []cell{
			{strconv.FormatUint(f.Question, 10)}, {f.Kind}, {f.LAN}, named(f.Clients), named(f.Suspects), {strconv.Itoa(f.Times)}, {last},
		})
	}
	return g
}

func (c *client) findings(ctx context.Context, limit int) ([]findingObject, error) {
	var list []findingObject
	if err := c.call(ctx, http.MethodGet, "/api/v2/audit_findings?row_count="+strconv.Itoa(limit), nil, &list); err != nil {
		return nil, fmt.Errorf("findings: %w", err)
	}
	return withoutCache(list), nil
}

// withoutCache is a list without its last element, which describes a cache.
func withoutCache[T any](list []T) []T { return list[:max(len(list)-1, 0)] }
