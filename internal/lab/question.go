package lab

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// A question is what the last `ask` of a scenario has asked.
type question struct {
	id    uint64
	asked time.Time
	// expected are the hosts that ran when it was asked.
	expected []string
}

// A result is how far a question has come.
type result struct {
	Expected int      `json:"estimated_total"`
	Answered int      `json:"mr_tested"`
	Left     int64    `json:"expiration"` // seconds until it is closed
	Columns  []column `json:"columns"`
	Rows     []row    `json:"rows"`
}

type column struct {
	Name string `json:"name"`
}

type row struct {
	Data [][]cell `json:"data"`
}

type cell struct {
	Text string `json:"text"`
}

func (r result) complete() bool { return r.Expected > 0 && r.Answered >= r.Expected }

func (r result) String() string { return fmt.Sprintf("%d of %d", r.Answered, r.Expected) }

// names are the computer names in the rows, each with the number of machines
// that a row counts.
func (r result) names() (map[string]int, error) {
	at := slices.Index(r.Columns, column{"Computer Name"})
	if at < 0 {
		return nil, fmt.Errorf("the question does not show Computer Name")
	}
	names := map[string]int{}
	for _, row := range r.Rows {
		if len(row.Data) != len(r.Columns) || len(row.Data[at]) == 0 || len(row.Data[len(row.Data)-1]) == 0 {
			return nil, fmt.Errorf("a row does not have the columns of the question")
		}
		count, err := strconv.Atoi(row.Data[len(row.Data)-1][0].Text)
		if err != nil {
			return nil, fmt.Errorf("count: %w", err)
		}
		names[row.Data[at][0].Text] += count
	}
	delete(names, "[current results unavailable]")
	return names, nil
}

// judge compares the names in an answer with the hosts that must be there,
// those that run now and ran when it was asked, and those that may.
func judge(names map[string]int, asked, now []string) (ok bool, said string) {
	var missing, strangers, twice []string
	for _, h := range now {
		if slices.Contains(asked, h) && names[h] == 0 {
			missing = append(missing, h)
		}
	}
	for h, n := range names {
		if n > 1 {
			twice = append(twice, h)
		}
		if !slices.Contains(asked, h) && !slices.Contains(now, h) {
			strangers = append(strangers, h)
		}
	}
	for _, some := range []struct {
		what  string
		hosts []string
	}{{"missing", missing}, {"unexpected", strangers}, {"counted twice", twice}} {
		if len(some.hosts) > 0 {
			slices.Sort(some.hosts)
			said += fmt.Sprintf("; %s: %s", some.what, list(some.hosts))
		}
	}
	return said == "", fmt.Sprintf("%d hosts have answered%s", len(names), said)
}

// list writes some names, at most eight.
func list(names []string) string {
	if len(names) <= shown {
		return fmt.Sprint(names)
	}
	return fmt.Sprintf("%v and %d more", names[:shown], len(names)-shown)
}
