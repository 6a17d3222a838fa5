package tally

import (
	"net/netip"
	"time"

	"catenary/internal/answer"
)

// Progress is how far a question has come, in machines unless said otherwise.
type Progress struct {
	Question uint64
	Issued   time.Time
	Expires  time.Time // until then a late machine may still answer
	Version  uint64    // grows with every change
	Expected int       // registered when it was asked, or since, and not known to be gone
	Answered int       // whose answer is counted, matching or not
	Passed   int       // of Answered: matched the condition
	Errors   int       // of Answered: had a sensor fail
	Stopped  int       // of Errors: had one stopped at its time limit
	// NoResults of Answered had a sensor say nothing.
	NoResults int
	// Outside of Answered may not be asked by who asks: they did not even look at
	// the condition.
	Outside  int
	Pending  int // have the question and still compute
	Reports  int // bundles that chains have delivered
	Gone     int // not expected any more: off, or found dead by their neighbours
	Rounds   int // highest number of times that a LAN was asked again
	Repeated int // how often all of it was, after the server had ended
}

// Complete reports whether every expected machine has answered.
func (p Progress) Complete() bool { return p.Expected > 0 && p.Answered >= p.Expected }

// A Result is a question's answer so far.
type Result struct {
	Progress
	Rows answer.Rows
}

// An Account says of each machine of one LAN what became of the question there.
// No machine is in two of the sets.
type Account struct {
	LAN      netip.Prefix
	Answered answer.Set // no sensor failed
	Failed   answer.Set // a sensor failed
	Stopped  answer.Set // … because it took too long
	Running  answer.Set // has the question and has not answered
	Gone     answer.Set // off, or found dead by its neighbours
	Missing  answer.Set // nothing was heard of it
}

// Again is a question that is to be asked again in a LAN.
type Again struct {
	LAN   netip.Prefix
	Round uint64
	Only  answer.Set // whose answers are missing
}
