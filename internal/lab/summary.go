package lab

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// A Figure is what a story has measured: an expectation that has a name.
type Figure struct {
	Name  string
	Seen  string
	Limit string // what was allowed
	Ok    bool
}

// An Outcome is how one story has ended.
type Outcome struct {
	Story   string
	Took    time.Duration
	Load    float64 // processes that wanted to run, on the average of the last minute
	Misses  int     // expectations that were not met
	Broken  error   // why it could not be told to its end
	Figures []Figure
}

// Ok reports whether the story has ended as it must.
func (o Outcome) Ok() bool { return o.Misses == 0 && o.Broken == nil }

// String says it in a few words.
func (o Outcome) String() string {
	switch {
	case o.Broken != nil:
		return "BROKEN: " + o.Broken.Error()
	case o.Misses > 0:
		return "FAILED, " + counted(o.Misses, "expectation")
	}
	return "ok"
}

// busy is how many processes may want to run for each processor before times
// say more of the machine than of the product. A story itself is one or two.
const busy = 2

// A Summary is how the stories of one run have ended.
type Summary struct {
	Outcomes   []Outcome
	Processors int
	Patience   float64
}

// Ok reports whether all have ended as they must.
func (s Summary) Ok() bool {
	for _, o := range s.Outcomes {
		if !o.Ok() {
			return false
		}
	}
	return true
}

// Write writes the summary as tables for people.
func (s Summary) Write(w io.Writer) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "story\ttime\tload\tresult")
	good, most := 0, 0.0
	for _, o := range s.Outcomes {
		fmt.Fprintf(tab, "%s\t%.1f s\t%.1f\t%v\n", o.Story, o.Took.Seconds(), o.Load, o)
		most = max(most, o.Load)
		if o.Ok() {
			good++
		}
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	if err := s.writeFigures(w); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "\n%d of %d stories have ended as they must", good, len(s.Outcomes)); err != nil {
		return err
	}
	if s.Patience > 1 {
		fmt.Fprintf(w, ", with %g times the time", s.Patience)
	}
	_, err := fmt.Fprintln(w)
	if err == nil && most > busy*float64(s.Processors) {
		_, err = fmt.Fprintf(w, "The machine was busy (load up to %.1f on %s): the times are upper bounds.\n",
			most, counted(s.Processors, "processor"))
	}
	return err
}

// writeFigures lists what has been measured, story by story.
func (s Summary) writeFigures(w io.Writer) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, o := range s.Outcomes {
		if len(o.Figures) > 0 {
			fmt.Fprintf(tab, "\n%s\n", o.Story)
		}
		for _, f := range o.Figures {
			cells := "  " + f.Name + "\t" + f.Seen
			if f.Limit != "" {
				cells += "\t" + f.Limit
			}
			if !f.Ok {
				cells += "  FAILED"
			}
			fmt.Fprintln(tab, cells)
		}
	}
	return tab.Flush()
}
