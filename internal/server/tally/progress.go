package tally

import (
	"time"

	"catenary/internal/answer"
)

// Progress is how far a question has come, in machines unless said otherwise.
type Progress struct {
	Question uint64
	Issued   time.Time
	Expires  time.Time // until then a late machine may still answer
	Version  uint64    // grows with every change
	Expected int       // registered when it was asked, and who registered since
	Answered int       // whose answer is counted, matching or not
	Passed   int       // of Answered: matched the condition
	Errors   int       // of Answered: had a sensor fail
	// NoResults of Answered had a sensor say nothing.
	NoResults int
	Pending   int // have the question and still compute
	Reports   int // bundles that chains have delivered
}

// Complete reports whether every expected machine has answered.
func (p Progress) Complete() bool { return p.Expected > 0 && p.Answered >= p.Expected }

// A Result is a question's answer so far.
type Result struct {
	Progress
	Rows answer.Rows
}
