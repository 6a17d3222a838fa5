package cli

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"catenary/internal/fault"
)

const (
	defaultPercent = 99               // a fleet always has machines that just went to sleep
	defaultQuiet   = 5 * time.Second  // no chain takes so long between two steps
	defaultTimeout = 60 * time.Second // the slowest sensors
	// serverExpiry is how long the server lets a question run if it is not told
	// otherwise.
	serverExpiry = 600 * time.Second
	barWidth     = 30 // cells
)

// Asking is what the command line of ask says.
type asking struct {
	flags
	patience
	format     format
	computerID bool
	resume     uint64
	estimate   bool
}

// Incomplete says that an answer, which was printed, lacks machines.
type incomplete struct {
	progress
	question uint64
	why      string
	closed   bool // the question has ended: there will be no late answers
}

func (e incomplete) Error() string {
	switch {
	case e.Expected == 0 && e.Offline > 0:
		return fmt.Sprintf("all %d machines are offline, so nobody could answer", e.Offline)
	case e.Expected == 0 && e.closed:
		return "nobody has answered: " + e.why
	case e.Expected == 0:
		return "no client is registered, so nobody could answer"
	}
	text := fmt.Sprintf("%d of %d machines have not answered: %s (%s)", e.Expected-e.Answered, e.Expected, e.why, e.lacking())
	if e.closed {
		return text
	}
	return fmt.Sprintf("%s\nto wait on: catenary ask --resume %d", text, e.question)
}

func (d *desk) ask() *cobra.Command {
	a := &asking{patience: patience{settle: d.settle, comeback: d.comeback}}
	cmd := &cobra.Command{
		Use:   "ask 'Get …'",
		Short: "Ask all machines a question and print their answer",
		Long: `Ask asks all machines a question and prints their answer, equal rows counted.

It waits until every machine has answered; or until --percent of them have and
nothing changed for a second; or until nothing changed for --quiet; or for
--timeout. Machines that are known to be offline are not waited for. Ctrl-C
prints what has come so far. An answer that lacks more machines than --percent
allows is printed too, and the exit code is then 3.

If the server ends meanwhile and comes back, it asks the question again, and ask
waits on.`,
		Example: `  catenary ask 'Get Computer Name and Operating System from all machines'
  catenary ask 'Get number of machines with Is Linux equals True'
  catenary ask --format csv 'Get Installed Packages from all machines' > packages.csv
  catenary ask --percent 100 --timeout 5m --format json 'Get Uptime from all machines' | jq .
  catenary ask --estimate 'Get Installed Packages from all machines'
  catenary ask --resume 42    # wait on for a question that was asked before`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch asked := len(args) > 0; {
			case asked && a.resume > 0:
				return UsageError(cmd, fmt.Errorf("--resume %d stands for a question: write no other", a.resume))
			case !asked && a.resume == 0:
				return UsageError(cmd, fmt.Errorf("what is the question? For example: catenary ask 'Get Computer Name from all machines'"))
			case a.percent <= 0 || a.percent > 100:
				return UsageError(cmd, fmt.Errorf("--percent %v is not between 0 and 100", a.percent))
			case a.quiet <= 0 || a.timeout <= 0:
				return UsageError(cmd, fmt.Errorf("--quiet and --timeout must be longer than nothing"))
			default:
				return nil
			}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.estimate {
				return d.runEstimate(cmd, a, strings.Join(args, " "))
			}
			return d.runAsk(cmd, a, strings.Join(args, " "))
		},
		ValidArgsFunction: d.completeQuestion(&a.flags),
	}
	a.flags.bind(cmd)
	a.format.bind(cmd)
	f := cmd.Flags()
	f.Float64Var(&a.percent, "percent", defaultPercent, "an answer of so `many` of a hundred machines is good enough")
	f.DurationVar(&a.quiet, "quiet", defaultQuiet, "wait no longer if nothing changes for this `time`")
	f.DurationVar(&a.timeout, "timeout", defaultTimeout, "wait no longer than this `time` altogether")
	f.BoolVar(&a.computerID, "computer-id", false, "one row a machine, with its computer ID in the first column")
	f.BoolVar(&a.estimate, "estimate", false, "only say what the question would cost each machine")
	f.Uint64Var(&a.resume, "resume", 0, "wait for the question with this `id` instead of asking a new one")
	return cmd
}

func (d *desk) runAsk(cmd *cobra.Command, a *asking, text string) error {
	c, err := d.connect(&a.flags)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	start := d.now()
	id := a.resume
	if id == 0 {
		q := newQuestion{Text: text, ComputerID: a.computerID}
		if a.timeout > serverExpiry {
			q.Expire = int(math.Ceil(a.timeout.Seconds()))
		}
		if id, err = c.ask(ctx, q); err != nil {
			width, _ := d.terminal(cmd.ErrOrStderr())
			return pointAt(text, err, width)
		}
	}
	bar := d.bar(cmd.ErrOrStderr())
	end, err := d.await(ctx, c, id, a.patience, bar.show)
	bar.clear()
	if err != nil {
		return err
	}
	// Ctrl-C has ended ctx, but not the wish to see the answer. A second one does.
	ctx, again := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt)
	defer again()
	result, err := c.result(ctx, id)
	if err != nil {
		return err
	}
	g, err := result.grid(a.computerID)
	if err != nil {
		return fmt.Errorf("answer of question %d: %w", id, err)
	}
	if err := d.print(cmd, a.format, g); err != nil {
		return err
	}
	if result.Repeated > 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "the server had ended meanwhile: the question was asked again")
	}
	if _, seen := d.terminal(cmd.ErrOrStderr()); seen {
		offline := ""
		if result.Offline > 0 {
			offline = fmt.Sprintf("; %d are offline", result.Offline)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d machines answered in %.1f s, %d rows%s\n",
			result.Answered, result.Expected, d.now().Sub(start).Seconds(), len(g.rows), offline)
	}
	why := "the question has ended"
	if end == expired && !result.complete() {
		if account, err := c.account(ctx, id, 1); err == nil && account.EndReason != "" { // else there is no more to be said
			why = printable(account.EndReason)
		}
	}
	return a.judge(cmd.ErrOrStderr(), end, incomplete{progress: result.progress, question: id, why: why})
}

// judge says whether an answer is good enough. Its last word is the answer
// that was printed, not the progress that was heard before.
func (a *asking) judge(stderr io.Writer, end ending, got incomplete) error {
	if got.complete() {
		return nil
	}
	switch end {
	case complete: // and somebody has registered since
		return nil
	case settled:
		fmt.Fprintf(stderr, "%d of %d machines have not answered (%s)\n", got.Expected-got.Answered, got.Expected, got.lacking())
		return nil
	case late:
		got.why = fmt.Sprintf("waited %v", a.timeout)
	case stalled:
		got.why = fmt.Sprintf("nothing changed for %v", a.quiet)
	case interrupted:
		got.why = "interrupted"
	case expired:
		got.closed = true
	}
	return got
}

// A meter shows the operator how far a question has come.
type meter struct {
	bars *mpb.Progress
	bar  *mpb.Bar
}

// bar makes a meter on stderr, which shows nothing unless that is a terminal.
func (d *desk) bar(stderr io.Writer) meter {
	if _, seen := d.terminal(stderr); !seen || d.env("TERM") == "dumb" {
		return meter{}
	}
	bars := mpb.New(mpb.WithOutput(stderr), mpb.WithAutoRefresh(), mpb.WithWidth(barWidth))
	return meter{bars, bars.AddBar(0,
		mpb.BarRemoveOnComplete(),
		mpb.AppendDecorators(decor.CountersNoUnit("%d of %d machines answered")),
	)}
}

func (m meter) show(p progress) {
	if m.bar != nil {
		m.bar.SetTotal(int64(p.Expected), false)
		m.bar.SetCurrent(int64(p.Answered))
	}
}

// clear wipes the meter away, so that the answer stands alone.
func (m meter) clear() {
	if m.bar != nil {
		m.bar.Abort(true)
		m.bars.Wait()
	}
}

var columnWord = regexp.MustCompile(`\bcolumn (\d{1,6}): `)

// pointAt adds to an error about a question the question itself and a caret
// below the place that the error names, if it names one.
func pointAt(text string, err error, width int) error {
	m := columnWord.FindStringSubmatch(err.Error())
	if m == nil || fault.KindOf(err) != fault.Invalid {
		return err
	}
	at, numErr := strconv.Atoi(m[1])
	chars := []rune(text)
	if numErr != nil || at < 1 || at > len(chars)+1 {
		return err
	}
	before, after := printable(string(chars[:at-1])), printable(string(chars[at-1:]))
	const margin = 2
	if room := width - 2*margin; width > 0 && ansi.StringWidth(before+after) > room {
		// The middle of the line is where the eye looks for the caret.
		if over := ansi.StringWidth(before) - room/2; over > 0 {
			before = ansi.TruncateLeft(before, over+1, "…")
		}
		after = truncate(after, room-ansi.StringWidth(before), "…")
	}
	indent := strings.Repeat(" ", margin)
	return fmt.Errorf("%w\n%s%s\n%s^", err, indent, before+after, indent+strings.Repeat(" ", ansi.StringWidth(before)))
}
