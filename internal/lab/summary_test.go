package lab

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestSummary: what people read at the end of a run.
func TestSummary(t *testing.T) {
	good := Outcome{Story: "quick", Took: 4840 * time.Millisecond, Load: 3.94}
	missed := Outcome{Story: "power-loss", Took: 18 * time.Second, Load: 2, Misses: 1, Figures: []Figure{
		{"in the middle", "1.359 s", "within 2s", true},
		{"at the end", "not after 2.004 s", "within 2s", false},
		{"status", "s1h3: Blocked", "", true},
	}}
	broken := Outcome{Story: "nat", Took: time.Second, Load: 4.06, Broken: errors.New("line 7: no")}
	for _, c := range []struct {
		Summary
		ok   bool
		want string
	}{
		{Summary{[]Outcome{good}, 2, 1}, true, `
story  time   load  result
quick  4.8 s  3.9   ok

1 of 1 stories have ended as they must
`},
		{Summary{[]Outcome{good, missed, broken}, 2, 2.5}, false, `
story       time    load  result
quick       4.8 s   3.9   ok
power-loss  18.0 s  2.0   FAILED, 1 expectation
nat         1.0 s   4.1   BROKEN: line 7: no

power-loss
  in the middle  1.359 s            within 2s
  at the end     not after 2.004 s  within 2s  FAILED
  status         s1h3: Blocked

1 of 3 stories have ended as they must, with 2.5 times the time
The machine was busy (load up to 4.1 on 2 processors): the times are upper bounds.
`},
	} {
		var b strings.Builder
		if err := c.Write(&b); err != nil {
			t.Fatal(err)
		}
		if got := "\n" + b.String(); got != c.want || c.Ok() != c.ok {
			t.Errorf("ok is %v, and it reads%s\nwant%s", c.Ok(), got, c.want)
		}
	}
}
