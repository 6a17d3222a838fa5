package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

const (
	questionsShown  = 20   // of a list, unless more are asked for
	exceptionsShown = 20   // of an account, unless all are asked for
	questionsMax    = 1000 // in one list
)

// A questionObject is a question as the API says it.
type questionObject struct {
	ID            uint64 `json:"id"`
	Text          string `json:"query_text"`
	Expiration    string `json:"expiration"`
	ExpireSeconds int64  `json:"expire_seconds"`
	Expired       bool   `json:"is_expired"`
	User          struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	} `json:"user"`
}

// by is who has asked: a user who is gone has a number only.
func (q questionObject) by() string {
	switch {
	case q.User.Name != "":
		return q.User.Name
	case q.User.ID != 0:
		return strconv.FormatInt(q.User.ID, 10)
	}
	return serverItself
}

// asked is when the question was asked, as the API says moments.
func (q questionObject) asked() string {
	expires, err := time.Parse(time.RFC3339, q.Expiration)
	if err != nil {
		return q.Expiration
	}
	return expires.Add(-time.Duration(q.ExpireSeconds) * time.Second).Format(time.RFC3339)
}

// An accountObject says what has become of a question on each machine.
type accountObject struct {
	State      string `json:"state"`
	EndReason  string `json:"end_reason"`
	Answered   *int   `json:"answered_count"` // nil: who sees some machines only is not told
	Failed     int    `json:"failed_count"`
	Stopped    int    `json:"stopped_count"`
	Running    int    `json:"running_count"`
	Offline    int    `json:"offline_count"`
	NotReached int    `json:"not_reached_count"`
	Rounds     int    `json:"round_count"`
	Repeated   int    `json:"repeat_count"`
	RepeatTime string `json:"repeat_time"`
	Exceptions []struct {
		ComputerID uint32 `json:"computer_id"`
		Name       string `json:"host_name"`
		LAN        string `json:"lan"`
		Outcome    string `json:"outcome"`
	} `json:"exceptions"`
	ExceptionCount int `json:"exception_count"`
	LeftOut        int `json:"exceptions_left_out"`

	Findings     []findingObject `json:"findings"`
	FindingCount int             `json:"finding_count"`
}

// outcomes are how the API calls what a machine may have come to, and what that
// means.
var outcomes = []struct{ name, meaning string }{
	{"answered", "answered"},
	{"failed", "a sensor failed"},
	{"stopped", "a sensor took too long and was stopped"},
	{"running", "has the question and has not answered"},
	{"not_reached", "nothing was heard of it"},
	{"offline", "off, or found dead by its neighbours"},
}

func (a accountObject) count(outcome string) int {
	answered := 0
	if a.Answered != nil {
		answered = *a.Answered
	}
	return map[string]int{
		"answered": answered, "failed": a.Failed, "stopped": a.Stopped,
		"running": a.Running, "not_reached": a.NotReached, "offline": a.Offline,
	}[outcome]
}

func (d *desk) question() *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "question",
		Short: "Look at the questions that were asked",
		Example: `  catenary question list
  catenary question show 42
  catenary question export 42 --output answer.csv
  catenary question findings`,
	}
	cmd.AddCommand(d.questionList(f), d.questionShow(f), d.questionExport(f), d.questionFindings(f))
	Group(cmd)
	f.bind(cmd)
	return cmd
}

func (d *desk) questionList(f *flags) *cobra.Command {
	return newest(d, f, &cobra.Command{
		Use:   "list",
		Short: "List the newest questions",
		Example: `  catenary question list
  catenary question list --limit 500 --json | jq -r '.[] | select(.By == "ada") | .Question'`,
	}, "questions", (*client).questions, questionGrid)
}

// newest completes a command that lists the newest of something. show says
// times as a person would if relative.
func newest[T any](d *desk, f *flags, cmd *cobra.Command, what string,
	fetch func(c *client, ctx context.Context, limit int) ([]T, error), show func(list []T, now time.Time, relative bool) grid) *cobra.Command {
	var limit int
	d.listing(f, cmd, func(cmd *cobra.Command, c *client, how format) (g grid, err error) {
		if limit < 1 || limit > questionsMax {
			return g, UsageError(cmd, fmt.Errorf("--limit %d is not between 1 and %d", limit, questionsMax))
		}
		list, err := fetch(c, cmd.Context(), limit)
		return show(list, d.now(), how == formatTable), err
	})
	cmd.Flags().IntVar(&limit, "limit", questionsShown, "how `many` "+what+", the newest first")
	return cmd
}

// questionGrid lists questions. relative says times as a person would.
func questionGrid(list []questionObject, now time.Time, relative bool) grid {
	g := grid{columns: []column{{name: "ID", right: true, number: true}, {name: "Asked"}, {name: "By"}, {name: "State"}, {name: "Question"}}}
	for _, q := range list {
		asked, state := q.asked(), "open"
		if relative {
			asked = ago(asked, now)
		}
		if q.Expired {
			state = "ended"
		}
		g.add(strconv.FormatUint(q.ID, 10), asked, q.by(), state, q.Text)
	}
	return g
}

func (d *desk) questionShow(f *flags) *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "show [ID]",
		Short: "Show what has become of a question on each machine",
		Long: `Show accounts for every machine that a question went to: how many have answered,
and the others by name, with what is known of them; and what was found if the
answer may have been tampered with on its way. The rows of the answer are printed
by 'catenary ask --resume ID'. Without an ID it is the newest question that
'catenary question list' shows.`,
		Example: `  catenary question show
  catenary question show 42
  catenary question show 42 --json | jq -r '.account.exceptions[] | select(.outcome == "not_reached") | .host_name'`,
		Args: words(0, 1, "the ID of a question"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := uint64(0)
			if len(args) == 1 {
				var err error
				if id, err = strconv.ParseUint(args[0], 10, 64); err != nil {
					return UsageError(cmd, fmt.Errorf("%q is not the ID of a question", args[0]))
				}
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				if id, err = c.newestQuestion(cmd.Context()); err != nil {
					return err
				}
			}
			if asJSON {
				return c.printQuestion(cmd.Context(), cmd.OutOrStdout(), id)
			}
			limit := exceptionsShown
			if all {
				limit = 0
			}
			return d.showQuestion(cmd, c, id, limit)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what the API says, as one object with question, info and account")
	cmd.Flags().BoolVar(&all, "all", false, fmt.Sprintf("name all machines that have not answered, not only the first %d", exceptionsShown))
	return cmd
}

func (d *desk) showQuestion(cmd *cobra.Command, c *client, id uint64, limit int) error {
	ctx := cmd.Context()
	var q questionObject
	if err := c.call(ctx, http.MethodGet, questionPath(id), nil, &q); err != nil {
		return fmt.Errorf("question %d: %w", id, err)
	}
	info, err := c.resultInfo(ctx, id)
	if err != nil {
		return err
	}
	a, err := c.account(ctx, id, limit)
	if fault.KindOf(err) == fault.NotFound {
		return fmt.Errorf("question %d: %w", id, err)
	}
	if err != nil {
		return err
	}
	if err := d.writeQuestion(cmd.OutOrStdout(), q, info, a); err != nil {
		return err
	}
	counts := grid{columns: []column{{name: "Machines", right: true, number: true}, {name: "What Became of the Question"}}}
	for _, o := range outcomes {
		if n := a.count(o.name); n > 0 || o.name == "answered" && a.Answered != nil {
			counts.add(strconv.Itoa(n), o.meaning)
		}
	}
	if a.Answered == nil { // who sees some machines only
		if _, err := io.WriteString(cmd.OutOrStdout(), "Named and counted are the machines that you see; who has answered is not named.\n\n"); err != nil {
			return err
		}
	}
	if len(counts.rows) > 0 {
		if err := d.print(cmd, formatTable, counts); err != nil {
			return err
		}
	}
	if err := d.writeExceptions(cmd, a); err != nil {
		return err
	}
	return d.writeFindings(cmd, a)
}

// writeExceptions names the machines that have not plainly answered.
func (d *desk) writeExceptions(cmd *cobra.Command, a accountObject) error {
	if len(a.Exceptions) == 0 {
		return nil
	}
	names := grid{columns: []column{{name: "Computer Name"}, {name: "Computer ID", right: true, number: true}, {name: "LAN"}, {name: "Why There Is No Plain Answer"}}}
	for _, x := range a.Exceptions {
		names.add(x.Name, strconv.FormatUint(uint64(x.ComputerID), 10), x.LAN, meaning(x.Outcome))
	}
	if _, err := io.WriteString(cmd.OutOrStdout(), "\n"); err != nil {
		return err
	}
	if err := d.print(cmd, formatTable, names); err != nil {
		return err
	}
	return writeRest(cmd.OutOrStdout(), a)
}

func meaning(outcome string) string {
	for _, o := range outcomes {
		if o.name == outcome {
			return o.meaning
		}
	}
	return outcome
}

// writeRest says how many machines are not named.
func writeRest(out io.Writer, a accountObject) error {
	rest, what := a.ExceptionCount-len(a.Exceptions), ""
	switch {
	case rest > 0 && a.LeftOut > 0:
		what = fmt.Sprintf("… and %d more, of which the server names %d with --all\n", rest+a.LeftOut, rest)
	case rest > 0:
		what = fmt.Sprintf("… and %d more: --all names them\n", rest)
	case a.LeftOut > 0:
		what = fmt.Sprintf("… and %d more, which the server does not name\n", a.LeftOut)
	}
	_, err := io.WriteString(out, what)
	return err
}

// writeQuestion writes what is to be known of a question above its account.
func (d *desk) writeQuestion(out io.Writer, q questionObject, info progress, a accountObject) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Question %d: %s\n", q.ID, printable(q.Text))
	fmt.Fprintf(&b, "  asked   %s by %s\n", ago(q.asked(), d.now()), printable(q.by()))
	state := "ended " + ago(q.Expiration, d.now())
	if expires, err := time.Parse(time.RFC3339, q.Expiration); a.State == "open" && err == nil {
		left := strings.TrimSpace(humanize.RelTime(expires, d.now(), "", ""))
		if state = "open for another " + left; info.complete() {
			state = "complete; who comes late may answer for another " + left
		}
	}
	if a.EndReason != "" {
		state += ": " + printable(a.EndReason)
	}
	fmt.Fprintf(&b, "  state   %s\n", state)
	answer := fmt.Sprintf("%d of %s, %s", info.Answered, counted(info.Expected, "machine"), counted(info.Rows, "row"))
	if info.Expected == 0 && a.EndReason != "" {
		answer = "nothing has been kept of it"
	}
	fmt.Fprintf(&b, "  answer  %s\n", answer)
	if a.Repeated > 0 {
		last := ""
		if when := ago(a.RepeatTime, d.now()); when != "never" {
			last = ", last " + when
		}
		fmt.Fprintf(&b, "  again   asked anew %s%s: the server had ended\n", times(a.Repeated), last)
	}
	if a.Rounds > 0 {
		fmt.Fprintf(&b, "  again   up to %s in a LAN in which answers were missing\n", times(a.Rounds))
	}
	_, err := io.WriteString(out, b.String()+"\n")
	return err
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// ---- the routes ----

func questionPath(id uint64) string { return "/api/v2/questions/" + strconv.FormatUint(id, 10) }

func (c *client) questions(ctx context.Context, limit int) ([]questionObject, error) {
	var list []questionObject
	if err := c.call(ctx, http.MethodGet, "/api/v2/questions?row_count="+strconv.Itoa(limit), nil, &list); err != nil {
		return nil, err
	}
	return withoutCache(list), nil
}

func (c *client) newestQuestion(ctx context.Context) (uint64, error) {
	list, err := c.questions(ctx, 1)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "nothing has been asked yet; try: catenary ask 'Get Computer Name from all machines'")
	}
	if err != nil {
		return 0, err
	}
	return list[0].ID, nil
}

func (c *client) resultInfo(ctx context.Context, id uint64) (progress, error) {
	var out struct {
		Infos []progress `json:"result_infos"`
	}
	err := c.call(ctx, http.MethodGet, "/api/v2/result_info/question/"+strconv.FormatUint(id, 10), nil, &out)
	if err == nil && len(out.Infos) != 1 {
		err = fmt.Errorf("%d result infos, not one", len(out.Infos))
	}
	if err != nil {
		return progress{}, fmt.Errorf("answer of question %d: %w", id, err)
	}
	return out.Infos[0], nil
}

// account reads an account with at most so many exceptions; 0: all that the
// server names.
func (c *client) account(ctx context.Context, id uint64, exceptions int) (a accountObject, err error) {
	err = c.call(ctx, http.MethodGet, accountPath(id, exceptions), nil, &a)
	return a, err
}

func accountPath(id uint64, exceptions int) string {
	return questionPath(id) + "/account?row_count=" + strconv.Itoa(exceptions)
}

// printQuestion prints all that the API says of a question.
func (c *client) printQuestion(ctx context.Context, out io.Writer, id uint64) error {
	var question, account json.RawMessage
	var info struct {
		Infos []json.RawMessage `json:"result_infos"`
	}
	for _, part := range []struct {
		path string
		to   any
	}{
		{questionPath(id), &question},
		{"/api/v2/result_info/question/" + strconv.FormatUint(id, 10), &info},
		{accountPath(id, 0), &account},
	} {
		if err := c.call(ctx, http.MethodGet, part.path, nil, part.to); err != nil {
			return fmt.Errorf("question %d: %w", id, err)
		}
	}
	if len(info.Infos) != 1 {
		return fmt.Errorf("question %d: %d result infos, not one", id, len(info.Infos))
	}
	return printObject(out, fmt.Appendf(nil, `{"question":%s,"info":%s,"account":%s}`, question, info.Infos[0], account))
}
