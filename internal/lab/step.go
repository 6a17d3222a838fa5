package lab

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"catenary/internal/fault"
)

// A Step is one line of a scenario: a [Command] to the lab, or something that
// the one who tells the story does.
type Step interface{ String() string }

type (
	// Wait lets time pass.
	Wait struct{ For time.Duration }
	// Mark sets the byte counters to zero.
	Mark struct{}
	// NewSensor makes a script sensor.
	NewSensor struct{ Name, Script string }
	// Ask asks a question and does not wait for answers.
	Ask struct{ Text string }
	// Remember keeps the bytes since the mark under a name.
	Remember struct{ Name string }
	// Report prints something about the lab.
	Report struct{ What Subject }
	// Expect checks a claim. One that can become true has time to, for an
	// answer counted from the question.
	Expect struct {
		Claim  Claim
		Within time.Duration // 0: it holds now or never
		As     string        // what the summary calls the figure that comes of it; "": it has none
	}
)

func (s Wait) String() string      { return "wait " + s.For.String() }
func (Mark) String() string        { return "mark" }
func (s NewSensor) String() string { return "sensor " + quoteWord(s.Name) + " " + quoteWord(s.Script) }
func (s Ask) String() string       { return "ask " + quoteWord(s.Text) }
func (s Remember) String() string  { return "remember " + quoteWord(s.Name) }
func (s Report) String() string    { return "report " + s.What.String() }
func (s Expect) String() string {
	text := "expect " + s.Claim.String()
	if s.Within != 0 {
		text += " within " + s.Within.String()
	}
	if s.As != "" {
		text += " as " + quoteWord(s.As)
	}
	return text
}

// A Subject is what a report is about.
type Subject interface {
	subject()
	String() string
}

type (
	// TrafficReport is the table of bytes since the mark.
	TrafficReport struct{}
	// ChainsReport draws the chains as the kernels see them.
	ChainsReport struct{}
	// Against compares the bytes since the mark with remembered ones.
	Against struct{ Name string }
	// ClientsReport is what `catenary client list` prints.
	ClientsReport struct{}
	// QuestionReport is what `catenary question show` prints of the last question.
	QuestionReport struct{}
)

func (TrafficReport) subject()        {}
func (ChainsReport) subject()         {}
func (Against) subject()              {}
func (ClientsReport) subject()        {}
func (QuestionReport) subject()       {}
func (TrafficReport) String() string  { return "traffic" }
func (ChainsReport) String() string   { return "chains" }
func (ClientsReport) String() string  { return "clients" }
func (QuestionReport) String() string { return "question" }
func (s Against) String() string      { return "wan against " + quoteWord(s.Name) }
func (Complete) claim()               {}
func (Closed) claim()                 {}
func (Answered) claim()               {}
func (Living) claim()                 {}
func (NobodyTwice) claim()            {}
func (Registered) claim()             {}
func (Count) claim()                  {}
func (Under) claim()                  {}
func (AtLeast) claim()                {}
func (Standing) claim()               {}
func (Complete) String() string       { return "complete" }
func (Closed) String() string         { return "complete or closed" }
func (c Answered) String() string     { return fmt.Sprintf("answered %d", c.N) }
func (Living) String() string         { return "living" }
func (NobodyTwice) String() string    { return "nobody twice" }
func (c Registered) String() string   { return fmt.Sprintf("registered %d", c.N) }
func (c Under) String() string {
	return fmt.Sprintf("%s s%d under %s", c.Of, c.Site, formatBytes(c.Bytes))
}
func (c AtLeast) String() string {
	return "wan at least " + strconv.FormatFloat(c.Times, 'f', -1, 64) + " times " + quoteWord(c.Name)
}
func (c Standing) String() string { return "status " + quoteWord(c.Word) + " of " + c.Of.String() }
func (c Count) String() string {
	if c.Site == 0 {
		return fmt.Sprintf("%s %d per site", c.Of, c.N)
	}
	return fmt.Sprintf("%s %d in s%d", c.Of, c.N, c.Site)
}

// A Claim is what an expectation says about the last question or the lab.
type Claim interface {
	claim()
	String() string
}

type (
	// Complete: everybody whom the server expects has answered the question.
	Complete struct{}
	// Closed: that, or the server has closed the question.
	Closed struct{}
	// Answered: so many machines have answered, and no more.
	Answered struct{ N int }
	// Living: the rows of the question name each running host once, and
	// nobody else. The question must be for Computer Name alone.
	Living struct{}
	// NobodyTwice: no row of such a question counts more than one machine.
	NobodyTwice struct{}
	// Registered: the server counts so many clients.
	Registered struct{ N int }
	// Count: so many chains, or connections at the server, in the kernels'
	// eyes.
	Count struct {
		Of   Counted
		N    int
		Site int // 0: each site
	}
	// Under: since the mark, a site's WAN link, or the busiest link of a host
	// in its LAN, has carried less, both directions together.
	Under struct {
		Of    LinkKind
		Site  int
		Bytes int64
	}
	// AtLeast: all WAN links have carried so many times the remembered bytes.
	AtLeast struct {
		Times float64
		Name  string
	}
	// Standing: the server says this word of each of the hosts (docs/operations.md).
	Standing struct {
		Word string
		Of   Target
	}
)

// Counted is what a [Count] counts.
type Counted string

const (
	Chains      Counted = "chains"
	Connections Counted = "connections"
)

// LinkKind is which links' bytes an [Under] is about.
type LinkKind string

const (
	WAN LinkKind = "wan"
	LAN LinkKind = "lan"
)

// parseStep reads one line of a scenario's story.
func parseStep(words []string) (Step, error) {
	verb, args := words[0], words[1:]
	arity := map[string]int{"wait": 1, "mark": 0, "sensor": 2, "ask": 1, "remember": 1}
	if n, ok := arity[verb]; ok && len(args) != n {
		return nil, fault.New(fault.Invalid, "%s takes %d words, not %d; a text with spaces stands in quotes", verb, n, len(args))
	}
	switch verb {
	case "wait":
		d, err := parseDuration(args[0])
		return Wait{d}, err
	case "mark":
		return Mark{}, nil
	case "sensor":
		return NewSensor{args[0], args[1]}, nil
	case "ask":
		return Ask{args[0]}, nil
	case "remember":
		return Remember{args[0]}, nil
	case "report":
		return parseReport(args)
	case "expect":
		return parseExpect(args)
	}
	return ParseCommand(words)
}

func parseReport(args []string) (Step, error) {
	switch {
	case slices.Equal(args, []string{"traffic"}):
		return Report{TrafficReport{}}, nil
	case slices.Equal(args, []string{"chains"}):
		return Report{ChainsReport{}}, nil
	case slices.Equal(args, []string{"clients"}):
		return Report{ClientsReport{}}, nil
	case slices.Equal(args, []string{"question"}):
		return Report{QuestionReport{}}, nil
	case len(args) == 3 && args[0] == "wan" && args[1] == "against":
		return Report{Against{args[2]}}, nil
	}
	return nil, fault.New(fault.Invalid, "report traffic, report chains, report clients, report question, or report wan against NAME")
}

func parseExpect(args []string) (Step, error) {
	var e Expect
	var err error
	if n := len(args); n >= 2 && args[n-2] == "as" {
		if e.As = args[n-1]; e.As == "" {
			return nil, fault.New(fault.Invalid, "a figure needs a name")
		}
		args = args[:n-2]
	}
	if n := len(args); n >= 2 && args[n-2] == "within" {
		if e.Within, err = parseDuration(args[n-1]); err != nil {
			return nil, err
		}
		args = args[:n-2]
	}
	if e.Claim, err = parseClaim(args); err != nil {
		return nil, err
	}
	switch e.Claim.(type) {
	case Under, AtLeast, NobodyTwice:
		if e.Within != 0 {
			return nil, fault.New(fault.Invalid, "%q holds now or never: no within", e.Claim)
		}
	default:
		if e.Within == 0 {
			return nil, fault.New(fault.Invalid, "%q needs time: within 2s", e.Claim)
		}
	}
	return e, nil
}

// claimForms is what stands in an error about a claim.
const claimForms = `expect complete | complete or closed | living | nobody twice | answered N | registered N |
 chains N per site | connections N in s1 | wan s1 under 20 kB | lan s1 under 5 kB | wan at least 5 times NAME |
 status Blocked of s1h3`

func parseClaim(args []string) (Claim, error) {
	form := slices.Clone(args)
	var n int
	var err error
	switch {
	case slices.Equal(form, []string{"complete"}):
		return Complete{}, nil
	case slices.Equal(form, []string{"complete", "or", "closed"}):
		return Closed{}, nil
	case slices.Equal(form, []string{"living"}):
		return Living{}, nil
	case slices.Equal(form, []string{"nobody", "twice"}):
		return NobodyTwice{}, nil
	case len(form) == 2 && (form[0] == "answered" || form[0] == "registered"):
		n, err = parseCount(form[1])
		if form[0] == "answered" {
			return Answered{n}, err
		}
		return Registered{n}, err
	case len(form) == 4 && form[0] == "status" && form[2] == "of":
		return parseStanding(form[1], form[3])
	case len(form) == 4 && (form[0] == string(Chains) || form[0] == string(Connections)):
		return parseCounted(form)
	case len(form) == 5 && (form[0] == string(WAN) || form[0] == string(LAN)) && form[2] == "under":
		site, err := parseSite(form[1])
		if err != nil {
			return nil, err
		}
		bytes, err := parseBytes(form[3], form[4])
		return Under{LinkKind(form[0]), site, bytes}, err
	case len(form) == 6 && slices.Equal(form[:3], []string{"wan", "at", "least"}) && form[4] == "times":
		times, err := strconv.ParseFloat(form[3], 64)
		if err != nil || !(times > 0 && times <= countMax) {
			return nil, fault.New(fault.Invalid, "%q is no factor", form[3])
		}
		return AtLeast{times, form[5]}, nil
	}
	return nil, fault.New(fault.Invalid, "what is expected has one of these forms:\n %s", claimForms)
}

func parseStanding(word, of string) (Claim, error) {
	if word == "" {
		return nil, fault.New(fault.Invalid, "a status needs a word, as Leader or \"Slow Link Ahead\"")
	}
	on, err := ParseTarget(of)
	if err == nil && on.Kind != SomeHosts {
		err = fault.New(fault.Invalid, "a status is one of some hosts, not of %v", on)
	}
	return Standing{word, on}, err
}

func parseCounted(form []string) (Claim, error) {
	n, err := parseCount(form[1])
	c := Count{Of: Counted(form[0]), N: n}
	if err != nil || form[2] == "per" && form[3] == "site" {
		return c, err
	}
	if form[2] != "in" {
		return nil, fault.New(fault.Invalid, "%s N per site, or in s1", c.Of)
	}
	c.Site, err = parseSite(form[3])
	return c, err
}

func parseSite(word string) (int, error) {
	t, err := ParseTarget(word)
	if err == nil && t.Kind != ASite {
		err = fault.New(fault.Invalid, "%v is no site", t)
	}
	return t.Site, err
}
