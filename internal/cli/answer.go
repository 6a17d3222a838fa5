package cli

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"catenary/internal/fault"
)

const (
	// exportTimeout is how long a server may take to write an answer into a file
	// of its own: a million rows.
	exportTimeout = 5 * time.Minute
	// answerAges are the ages, in seconds, that tell old answers apart.
	answerAges = "600,3600,86400,604800"
	// topShown is how many of the most frequent rows a line of a history names.
	topShown = 3
)

// exportFormats are those in which a server writes answers, by its numbers for
// them.
var exportFormats = []string{"csv", "xml", "cef", "csv-lines", "json"}

// An exporting is what the command line says of a file with an answer.
type exporting struct {
	format, output string
	recent, force  bool
}

const exportHelp = `The server writes the file, and the command fetches it: whole or not at all.
Formats:
  csv        one line a row; several values of a cell stand below each other in it
  csv-lines  a line for each value
  json       the columns, then an object a line
  xml        with the counters of the answer
  cef        an event for each value

Without --output the answer goes to standard output. Values are not changed to
disarm formulas: import CSV into a spreadsheet with all columns as text.`

func (e *exporting) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&e.format, "format", "csv", "how to write: "+strings.Join(exportFormats, ", "))
	f.StringVarP(&e.output, "output", "o", "", "the `file` to write, which must not be there yet")
	f.BoolVar(&e.force, "force", false, "replace the file if it is there")
	cmd.ValidArgsFunction = cobra.NoFileCompletions
}

func (d *desk) questionExport(f *flags) *cobra.Command {
	var e exporting
	cmd := &cobra.Command{
		Use:   "export ID",
		Short: "Write the answer to a question into a file",
		Long:  "Export writes the answer to a question, as it is now, into a file.\n\n" + exportHelp,
		Example: `  catenary question export 42 --output answer.csv
  catenary question export 42 --format json | tail -n +2 | jq .`,
		Args: words(1, 1, "the ID of a question"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 63)
			if err != nil {
				return UsageError(cmd, fmt.Errorf("%q is not the ID of a question", args[0]))
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			return d.export(cmd, c, "question/"+strconv.FormatUint(id, 10), e)
		},
	}
	e.bind(cmd)
	return cmd
}

func (d *desk) savedExport(n *noun, f *flags) *cobra.Command {
	var e exporting
	cmd := &cobra.Command{
		Use:   "export NAME|ID",
		Short: "Write the newest answer to a saved question into a file",
		Long: "Export writes the newest answer to a saved question into a file; with --recent\n" +
			"also what machines have said last that are not in it.\n\n" + exportHelp,
		Example: n.call("export", n.quoted(), "--output answer.csv") + "\n" + n.call("export", n.quoted(), "--recent --format json"),
		Args:    words(1, 1, "one name or number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, o, err := n.reach(d, f, cmd, args[0])
			if err != nil {
				return err
			}
			return d.export(cmd, c, "saved_question/"+url.PathEscape(o.text("id")), e)
		},
	}
	e.bind(cmd)
	cmd.Flags().BoolVar(&e.recent, "recent", false, "with the last answers of machines that are off")
	cmd.ValidArgsFunction = n.complete(d, f)
	return cmd
}

// export lets the server write an answer into a file, and fetches it.
func (d *desk) export(cmd *cobra.Command, c *client, of string, e exporting) error {
	format := slices.Index(exportFormats, e.format)
	if format < 0 {
		return UsageError(cmd, fmt.Errorf("--format %q: write %s", e.format, strings.Join(exportFormats, ", ")))
	}
	if _, err := os.Lstat(e.output); e.output != "" && !e.force && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Conflict, "%s is there already: --force replaces it", e.output)
	}
	options := map[string]any{"export_flag": 1, "export_format": format}
	if e.recent {
		options["most_recent_flag"], options["recent_result_buckets"] = 1, answerAges
	}
	text, err := json.Marshal(options)
	if err != nil {
		return err
	}
	c.options = string(text)
	var out struct {
		ID   string     `json:"export_id"`
		Sets []progress `json:"result_sets"`
	}
	if err := c.callWithin(cmd.Context(), exportTimeout, http.MethodGet, "/api/v2/result_data/"+of, nil, &out); err != nil {
		return err
	}
	c.options = ""
	size, err := d.fetch(cmd, c, "/export/"+url.PathEscape(out.ID)+".gz", e)
	if err != nil {
		return err
	}
	stderr := cmd.ErrOrStderr()
	if e.output != "" {
		fmt.Fprintf(stderr, "Wrote %d bytes to %s.\n", size, printable(e.output))
	}
	if len(out.Sets) == 1 && !out.Sets[0].complete() {
		fmt.Fprintf(stderr, "%d of %d machines have not answered: they are not in it.\n", out.Sets[0].Expected-out.Sets[0].Answered, out.Sets[0].Expected)
	}
	return nil
}

// fetch brings a compressed file from the server to where it is wanted.
func (d *desk) fetch(cmd *cobra.Command, c *client, path string, e exporting) (size int64, err error) {
	resp, err := c.send(cmd.Context(), http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	bar := d.byteBar(cmd.ErrOrStderr(), resp.ContentLength)
	defer bar.clear()
	unpacked, err := gzip.NewReader(bar.reading(resp.Body))
	if err != nil {
		return 0, fmt.Errorf("%s: the export cannot be read: %w", c.base, err)
	}
	if e.output != "" {
		return writeWhole(e.output, unpacked)
	}
	out := cmd.OutOrStdout()
	if _, seen := d.terminal(out); seen {
		return 0, printText(out, unpacked)
	}
	return io.Copy(out, unpacked)
}

// writeWhole makes the file only when it is whole. Only its owner reads it.
func writeWhole(path string, from io.Reader) (size int64, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return 0, fault.New(fault.Invalid, "%w", err)
	}
	size, err = io.Copy(tmp, from)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return size, errors.Join(err, os.Remove(tmp.Name()))
	}
	return size, nil
}

// byteBar shows how much of a file has come, if stderr is a terminal.
func (d *desk) byteBar(stderr io.Writer, size int64) meter {
	if _, seen := d.terminal(stderr); !seen || d.env("TERM") == "dumb" {
		return meter{}
	}
	bars := mpb.New(mpb.WithOutput(stderr), mpb.WithAutoRefresh(), mpb.WithWidth(barWidth))
	return meter{bars, bars.AddBar(max(size, 0), mpb.BarRemoveOnComplete(), mpb.AppendDecorators(decor.CountersKibiByte("% .1f of % .1f")))}
}

func (m meter) reading(from io.Reader) io.Reader {
	if m.bar == nil {
		return from
	}
	return m.bar.ProxyReader(from)
}

// A savedSet is the newest answer to a saved question.
type savedSet struct {
	resultSet
	Question uint64 `json:"question_id"`
	Age      int64  `json:"seconds_since_issued"`
	Recent   int    `json:"recent_count"`
}

func (d *desk) savedAnswers(n *noun, f *flags) *cobra.Command {
	var how format
	var recent bool
	var ages string
	cmd := &cobra.Command{
		Use:   "answers NAME|ID",
		Short: "Print the newest answer to a saved question",
		Long: `Answers prints the newest answer to a saved question, which is not asked anew. If
it has archive_enabled_flag, --recent adds what machines have said last that are
not in it, as those that are off; the column Age says how old that is.`,
		Example: n.call("answers", n.quoted()) + "\n" + n.call("answers", n.quoted(), "--recent --ages 3600,86400"),
		Args:    words(1, 1, "one name or number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, o, err := n.reach(d, f, cmd, args[0])
			if err != nil {
				return err
			}
			if recent || cmd.Flags().Changed("ages") {
				text, err := json.Marshal(map[string]any{"most_recent_flag": 1, "recent_result_buckets": ages})
				if err != nil {
					return err
				}
				c.options = string(text)
			}
			var out struct {
				Sets []savedSet `json:"result_sets"`
			}
			if err := c.call(cmd.Context(), http.MethodGet, "/api/v2/result_data/saved_question/"+url.PathEscape(o.text("id")), nil, &out); err != nil {
				return err
			}
			if len(out.Sets) != 1 {
				return fmt.Errorf("%s %q: %d result sets, not one", n.what, args[0], len(out.Sets))
			}
			g, err := out.Sets[0].grid(false)
			if err != nil {
				return err
			}
			if err := d.print(cmd, how, g); err != nil {
				return err
			}
			fmt.Fprintln(cmd.ErrOrStderr(), out.Sets[0].summary())
			return nil
		},
		ValidArgsFunction: n.complete(d, f),
	}
	how.bind(cmd)
	cmd.Flags().BoolVar(&recent, "recent", false, "with the last answers of machines that are off")
	cmd.Flags().StringVar(&ages, "ages", answerAges, "tell old answers apart by these ages, in `seconds`")
	return cmd
}

// summary is what the rows do not say.
func (s savedSet) summary() string {
	text := fmt.Sprintf("question %d, asked %s: %d of %d machines answered", s.Question, spanAgo(s.Age), s.Answered, s.Expected)
	if s.Recent > 0 {
		text += fmt.Sprintf("; %d more by what they have said last", s.Recent)
	}
	return text
}

func spanAgo(seconds int64) string {
	return (time.Duration(seconds) * time.Second).String() + " ago"
}

// A trend is what came of a saved question once.
type trend struct {
	Question uint64 `json:"question_id"`
	Closed   string `json:"closed_time"`
	Expected int    `json:"estimated_total"`
	Answered int    `json:"mr_tested"`
	Passed   int    `json:"passed"`
	Errors   int    `json:"error_count"`
	Rows     int    `json:"row_count"`
	Top      []struct {
		Texts []string `json:"texts"`
		Count uint64   `json:"count"`
	} `json:"rows"`
}

func (d *desk) savedHistory(n *noun, f *flags) *cobra.Command {
	var how format
	var limit int
	cmd := &cobra.Command{
		Use:   "history NAME|ID",
		Short: "Show how the answers have changed with time",
		Long: `History shows what came of a saved question each time that it was asked, the
newest first: how many machines have answered and how many of them match, how
many rows there were, and the most frequent ones. It is kept for 30 days.`,
		Example: n.call("history", n.quoted()) + "\n" + n.call("history", n.quoted(), "--limit 500 --format csv"),
		Args:    words(1, 1, "one name or number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > questionsMax {
				return UsageError(cmd, fmt.Errorf("--limit %d is not between 1 and %d", limit, questionsMax))
			}
			c, o, err := n.reach(d, f, cmd, args[0])
			if err != nil {
				return err
			}
			all, err := c.objects(cmd.Context(), fmt.Sprintf("saved_questions/%s/history?row_count=%d", url.PathEscape(o.text("id")), limit))
			if err != nil {
				return err
			}
			g, err := historyGrid(all, d.now(), how == formatTable)
			if err != nil {
				return err
			}
			return d.print(cmd, how, g)
		},
		ValidArgsFunction: n.complete(d, f),
	}
	how.bind(cmd)
	cmd.Flags().IntVar(&limit, "limit", questionsShown, "how `many` times, the newest first")
	return cmd
}

func historyGrid(all []apiObject, now time.Time, relative bool) (grid, error) {
	number := func(name string) column { return column{name: name, right: true, number: true} }
	g := grid{columns: []column{{name: "Closed"}, number("Question"), number("Answered"), number("Machines"), number("Match"), number("Errors"), number("Rows"), {name: "Most Frequent"}}}
	for _, o := range all {
		var t trend
		if err := json.Unmarshal(o.raw, &t); err != nil {
			return g, fmt.Errorf("history: %w", err)
		}
		if relative {
			t.Closed = ago(t.Closed, now)
		}
		row := []cell{{t.Closed}}
		for _, n := range []int{int(t.Question), t.Answered, t.Expected, t.Passed, t.Errors, t.Rows} {
			row = append(row, cell{strconv.Itoa(n)})
		}
		top := cell{}
		for i := range min(topShown, len(t.Top)) {
			top = append(top, fmt.Sprintf("%s (%d)", strings.Join(t.Top[i].Texts, ", "), t.Top[i].Count))
		}
		g.rows = append(g.rows, append(row, top))
	}
	return g, nil
}
