package sim

import (
	"fmt"
	"strconv"
	"time"

	"catenary/internal/answer"
	"catenary/internal/server/tally"
)

// An asked question is what the server has asked, and what it counts.
type asked struct {
	id          uint64
	kind        kind
	mode        answer.Mode
	at, expires time.Duration
	letter      []byte
	sealed      []byte
	tally       *tally.Tally
	names       map[int]bool            // machines counted when last looked
	next        *asked                  // the same, asked again by a server that has been started
	naive       answer.Rows             // of every report, under [Control].NoSetRule
	counted     map[*host]time.Duration // when each machine was first counted
	taken       []taken                 // what was counted when, in an unwatched world
	delivered   []delivered             // every report that was taken, in order
	cut         uint64                  // of the answer when last looked
	doubted     bool                    // liars were about
	audited     map[*host]bool          // whose evidence has come
}

// limit is how long a sensor may run.
func (q *asked) limit() time.Duration { return min(q.expires-q.at, time.Minute) }

// taken is a report that was counted.
type taken struct {
	at       time.Duration
	machines int
}

// A kind of question says what each machine answers.
type kind uint8

const (
	// census: each machine says a row of its own, one that all share, and one
	// that it shares with every third machine.
	census kind = iota
	// crowd: each machine says the same rows, more than a message may hold.
	crowd
	// survey: each machine says one of five rows, as if asked for its operating
	// system. It is for worlds in which each row of a census would be too much.
	survey
)

func (k kind) String() string { return [...]string{"census", "crowd", "survey"}[k] }

// crowdRows are more than answer.ChainLimits let through.
var crowdRows = func() []answer.Row {
	rows := make([]answer.Row, answer.ChainLimits.Rows+500)
	for i := range rows {
		rows[i] = rowKey.Row([]answer.Cell{{"crowd"}, {strconv.Itoa(i)}})
	}
	return rows
}()

// crowdInBox is how many of them a box holds.
var crowdInBox = len(answer.RowsOf(answer.BoxLimits, crowdRows...).List)

// surveyRows are the rows of a survey; machine i says row i modulo their number.
var surveyRows = func() (rows [5]answer.Rows) {
	for i := range rows {
		rows[i] = answer.RowsOf(answer.ChainLimits, rowKey.Row([]answer.Cell{{"survey"}, {strconv.Itoa(i)}}))
	}
	return rows
}()

// answerOf is what a machine says.
func (q *asked) answerOf(h *host) (answer.Rows, answer.Counts) {
	switch q.kind {
	case crowd:
		return answer.RowsOf(answer.ChainLimits, crowdRows...), answer.Counts{Passed: 1}
	case survey:
		return surveyRows[h.index%len(surveyRows)], countsOf(h.index)
	}
	return answer.RowsOf(answer.ChainLimits,
		rowKey.Row([]answer.Cell{{"machine"}, {strconv.Itoa(h.index)}}),
		rowKey.Row([]answer.Cell{{"all"}, {""}}),
		rowKey.Row([]answer.Cell{{"group"}, {strconv.Itoa(h.index % 3)}}),
	), countsOf(h.index)
}

// countsOf are the sums that a machine adds to.
func countsOf(machine int) answer.Counts {
	one := func(divisor int) uint64 {
		if machine%divisor == 0 {
			return 1
		}
		return 0
	}
	if machine%7 == 3 {
		return answer.Counts{Outside: 1}
	}
	return answer.Counts{Passed: one(2), Errors: one(3), NoResults: one(5)}
}

// check compares a result with the truth: each machine's own row is there at
// most once, and everything else is the sum over the machines whose rows are.
func (q *asked) check() error {
	r := q.tally.Result()
	if q.kind == crowd {
		return checkCrowd(q.mode, r)
	}
	names := map[int]bool{}
	groups := map[string]uint64{}
	var want answer.Counts
	for _, row := range r.Rows.List {
		if row.Cells[0][0] != "machine" {
			continue
		}
		n, err := strconv.Atoi(row.Cells[1][0])
		if err != nil {
			return err
		}
		if row.Count != 1 {
			return fmt.Errorf("counts machine %d %d times", n, row.Count)
		}
		names[n] = true
		groups[strconv.Itoa(n%3)]++
		want = want.Add(countsOf(n))
	}
	q.names = names
	if got := (answer.Counts{Passed: uint64(r.Passed), Errors: uint64(r.Errors), NoResults: uint64(r.NoResults), Outside: uint64(r.Outside)}); got != want {
		return fmt.Errorf("sums are %+v, want %+v", got, want)
	}
	if r.Answered != len(names) {
		return fmt.Errorf("says that %d machines answered, but has rows of %d", r.Answered, len(names))
	}
	for _, row := range r.Rows.List {
		want := uint64(1)
		switch row.Cells[0][0] {
		case "all":
			want = uint64(len(names))
		case "group":
			want = groups[row.Cells[1][0]]
			delete(groups, row.Cells[1][0])
		}
		if row.Count != want {
			return fmt.Errorf("row %v counts %d, want %d", row.Cells, row.Count, want)
		}
	}
	if len(groups) > 0 {
		return fmt.Errorf("rows of groups %v are missing", groups)
	}
	return nil
}

// checkCrowd: the rows that were kept are those with the smallest hashes, and
// count everyone.
func checkCrowd(m answer.Mode, r tally.Result) error {
	for _, row := range r.Rows.List {
		if row.Count != uint64(r.Answered) {
			return fmt.Errorf("row %v counts %d, want %d", row.Cells, row.Count, r.Answered)
		}
	}
	if r.Passed != r.Answered {
		return fmt.Errorf("%d machines passed of %d", r.Passed, r.Answered)
	}
	want := answer.ChainLimits.Rows
	if m != answer.Merged {
		want = crowdInBox
	}
	if kept := len(r.Rows.List); r.Answered > 0 && kept != want {
		return fmt.Errorf("%d rows were kept, want %d", kept, want)
	}
	return nil
}
