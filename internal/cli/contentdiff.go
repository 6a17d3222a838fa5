package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

const (
	diffLinesMax = 2000 // lines of a text that are compared one by one
	inLineMax    = 60   // characters of a list or an object that stand in one line
	diffAround   = 2    // lines that are the same, before and behind a difference
)

// The colours of a diff on a terminal.
const (
	green, red, yellow, plainText = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"
)

// errConflict ends a command whose import has changed nothing.
var errConflict = errors.New("nothing was imported: --conflicts says what is to become of what is there already")

// deedSigns are what a line of a diff begins with, and its colour.
var deedSigns = map[string][2]string{
	"create": {"+", green}, "change": {"~", yellow}, "delete": {"-", red}, "conflict": {"!", red},
	"keep": {"=", ""}, "ignore": {"=", ""}, "same": {"=", ""},
}

// printDeeds shows what an import has done, or would do.
func (d *desk) printDeeds(cmd *cobra.Command, done importDone) error {
	out := cmd.OutOrStdout()
	_, seen := d.terminal(out)
	colour := seen && d.styled()
	counts := map[string]int{}
	var b strings.Builder
	for _, x := range done.Deeds {
		counts[x.Deed]++
		if x.Deed != "same" {
			writeDeed(&b, x, colour)
		}
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return err
	}
	verb := "Applied"
	if !done.Applied {
		verb = "Not applied"
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d new, %d changed, %d deleted, %d kept as changed here, %d the same.\n",
		verb, counts["create"], counts["change"], counts["delete"], counts["keep"]+counts["ignore"], counts["same"])
	if counts["conflict"] > 0 {
		return errConflict
	}
	return nil
}

func writeDeed(b *strings.Builder, x importDeed, colour bool) {
	sign, ok := deedSigns[x.Deed]
	if !ok {
		sign = [2]string{"?", ""}
	}
	note := map[string]string{"keep": "  (was changed here: stays)", "ignore": "  (is there: stays)", "delete": "  (the folder holds it no more)", "conflict": "  (is there, and different)"}[x.Deed]
	paint(b, sign[1], colour, fmt.Sprintf("%s %s %s%s", sign[0], strings.ReplaceAll(strings.TrimSuffix(printable(x.Type), "s"), "_", " "), printable(x.Name), note))
	if x.Deed == "create" || x.Deed == "delete" {
		return
	}
	for _, diff := range x.Diff {
		was, now := printableLines(laidOut(diff.Was)), printableLines(laidOut(diff.Now))
		if !strings.Contains(was+now, "\n") {
			b.WriteString("    " + printable(diff.Field) + ": ")
			paintPart(b, red, colour, orNothing(was))
			b.WriteString(" → ")
			paintPart(b, green, colour, orNothing(now))
			b.WriteByte('\n')
			continue
		}
		b.WriteString("    " + printable(diff.Field) + ":\n")
		for _, line := range diffLines(strings.Split(was, "\n"), strings.Split(now, "\n")) {
			paint(b, map[byte]string{'+': green, '-': red}[line[0]], colour, "      "+line)
		}
	}
}

// laidOut writes JSON, as lists and objects are said in a difference, over
// several lines, with texts of several lines as they are.
func laidOut(text string) string {
	if text == "" || text[0] != '[' && text[0] != '{' || len(text) < inLineMax {
		return text
	}
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return strings.ReplaceAll(b.String(), `\n`, "\n")
}

func orNothing(text string) string {
	if text == "" {
		return "(nothing)"
	}
	return text
}

func paint(b *strings.Builder, with string, colour bool, line string) {
	paintPart(b, with, colour, line)
	b.WriteByte('\n')
}

func paintPart(b *strings.Builder, with string, colour bool, text string) {
	if colour && with != "" {
		b.WriteString(with + text + plainText)
		return
	}
	b.WriteString(text)
}

// diffLines compares texts line by line: lines of the first begin with -, of the
// second with +, of both with a blank, if they stand near a difference.
func diffLines(was, now []string) []string {
	var all []string
	if len(was) > diffLinesMax || len(now) > diffLinesMax {
		return []string{fmt.Sprintf("-%d lines", len(was)), fmt.Sprintf("+%d lines", len(now))}
	}
	// common[i][j] is how many lines was[i:] and now[j:] have in common, in order.
	common := make([][]int, len(was)+1)
	for i := range common {
		common[i] = make([]int, len(now)+1)
	}
	for i := len(was) - 1; i >= 0; i-- {
		for j := len(now) - 1; j >= 0; j-- {
			if was[i] == now[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(was) || j < len(now) {
		switch {
		case i < len(was) && j < len(now) && was[i] == now[j]:
			all = append(all, " "+was[i])
			i, j = i+1, j+1
		case j == len(now) || i < len(was) && common[i+1][j] >= common[i][j+1]:
			all = append(all, "-"+was[i])
			i++
		default:
			all = append(all, "+"+now[j])
			j++
		}
	}
	return near(all)
}

// near leaves out lines that stand far from any difference.
func near(all []string) (out []string) {
	left := false
	for i, line := range all {
		close := false
		for k := max(0, i-diffAround); k <= min(len(all)-1, i+diffAround); k++ {
			close = close || all[k][0] != ' '
		}
		switch {
		case close:
			out = append(out, line)
		case !left:
			out = append(out, " …")
		}
		left = !close
	}
	return out
}
