package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completionTimeout is as long as somebody waits after pressing Tab.
const completionTimeout = 2 * time.Second

// sensorNames asks the server for the names of its sensors, for a shell that
// completes a line. It has nobody to complain to: on any failure there is
// nothing to suggest.
func (d *desk) sensorNames(cmd *cobra.Command, f *flags) []string {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	c, err := d.connect(f)
	if err != nil {
		return nil
	}
	sensors, err := c.sensors(ctx)
	if err != nil {
		return nil
	}
	names := make([]string, len(sensors))
	for i, s := range sensors {
		names[i] = printable(s.Name)
	}
	slices.Sort(names)
	return names
}

func (d *desk) completeSensor(f *flags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return completeName(d.sensorNames(cmd, f), args, typed, false), cobra.ShellCompDirectiveNoFileComp
	}
}

func (d *desk) completeQuestion(f *flags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 && hasPrefixFold("Get", typed) {
			return []cobra.Completion{"Get"}, cobra.ShellCompDirectiveNoFileComp
		}
		// After a name the question goes on, with or without a blank.
		return completeName(d.sensorNames(cmd, f), args, typed, true), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// beforeSensor are the words of a question that a sensor's name follows.
var beforeSensor = []string{"get", "and", "or", "not", "any", "all", "with", "having"}

// completeName finishes the last words of a line, which may have been typed as
// several arguments or as one, to a sensor's name. The results replace only
// the argument that is being typed. In a question a name may begin after any
// word, else it is the whole line.
func completeName(names, args []string, typed string, question bool) []cobra.Completion {
	done := ""
	if len(args) > 0 {
		done = strings.Join(args, " ") + " "
	}
	line := done + typed
	starts := []int{0}
	if question {
		starts = starts[:0]
		for i := range line {
			if line[i] == ' ' {
				starts = append(starts, i+1)
			}
		}
	}
	for _, at := range starts { // the longest piece that begins a name wins
		piece := line[at:]
		if piece == "" && question && !slices.Contains(beforeSensor, lastWord(line)) {
			continue
		}
		var found []cobra.Completion
		for _, name := range names {
			whole := line[:at] + name
			if hasPrefixFold(name, piece) && len(whole) > len(done) {
				found = append(found, whole[len(done):])
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

func lastWord(line string) string {
	words := strings.Fields(line)
	if len(words) == 0 {
		return ""
	}
	return strings.ToLower(words[len(words)-1])
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
