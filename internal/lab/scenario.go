package lab

import (
	"bufio"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"catenary/internal/fault"
)

// A Scenario is a story that a lab plays, and what must come of it.
//
// It is a text of one line for each thing. The head says what the story is
// called and what the lab is made of; the story follows:
//
//	title  Twenty consecutive machines die in a LAN of forty
//	sites  1
//	hosts  40                # or one number for each site
//	nat    1                 # these sites have NAT; likewise ipv6 and dual
//	server --register-min 30s
//
//	expect chains 1 per site within 60s
//	kill s1h11..30
//	expect chains 1 per site within 10s
type Scenario struct {
	Name   string
	Title  string
	Layout Layout
	Steps  []NumberedStep
}

// A NumberedStep is a step with its line in the file.
type NumberedStep struct {
	Line int
	Step
}

// String writes the scenario so that ParseScenario reads it.
func (s Scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "title %s\n%v\n", quoteWord(s.Title), s.Layout)
	for _, st := range s.Steps {
		b.WriteString(st.String() + "\n")
	}
	return b.String()
}

//go:embed scenarios/*.txt
var scenarioFiles embed.FS

// Scenarios are the ones that the program brings along, by name.
func Scenarios() ([]Scenario, error) {
	files, err := fs.Glob(scenarioFiles, "scenarios/*.txt")
	if err != nil {
		return nil, err
	}
	var all []Scenario
	for _, file := range files {
		text, err := scenarioFiles.ReadFile(file)
		if err != nil {
			return nil, err
		}
		s, err := ParseScenario(file, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// scenarioMax bounds a scenario's text; the longest story has some kilobytes.
const scenarioMax = 1 << 20 // bytes

// ParseScenario reads a scenario from the text of a file. Errors begin with
// the file's name and the line.
func ParseScenario(file, text string) (Scenario, error) {
	s := Scenario{Name: strings.TrimSuffix(path.Base(file), ".txt")}
	if len(text) > scenarioMax {
		return s, fault.New(fault.Invalid, "%s: longer than %d bytes", file, scenarioMax)
	}
	h := head{lines: map[string]int{}}
	sc := bufio.NewScanner(strings.NewReader(text))
	sc.Buffer(nil, scenarioMax+1)
	line := 0
	for sc.Scan() {
		line++
		if err := s.parseLine(&h, line, sc.Text()); err != nil {
			return s, fault.New(fault.KindOf(err), "%s:%d: %w", file, line, err)
		}
	}
	if err := sc.Err(); err != nil {
		return s, fault.New(fault.Invalid, "%s: %w", file, err)
	}
	if !h.closed {
		if err := s.closeHead(&h); err != nil {
			return s, fault.New(fault.KindOf(err), "%s: %w", file, err)
		}
	}
	if len(s.Steps) == 0 {
		return s, fault.New(fault.Invalid, "%s: a scenario needs a story", file)
	}
	return s, nil
}

// A head is what has been said of a scenario's head.
type head struct {
	lines           map[string]int // of each word, where
	sites           int
	hosts           []int
	nat, ipv6, dual []int
	server          []string
	closed          bool // the story has begun
}

func (s *Scenario) parseLine(h *head, line int, text string) error {
	words, err := splitWords(text)
	if err != nil || len(words) == 0 {
		return err
	}
	if s.isHead(words) {
		if h.closed {
			return fault.New(fault.Invalid, "%q belongs before the story", words[0])
		}
		if at := h.lines[words[0]]; at > 0 {
			return fault.New(fault.Invalid, "%q is in line %d already", words[0], at)
		}
		h.lines[words[0]] = line
		return s.parseHead(h, words[0], words[1:])
	}
	if !h.closed {
		if err := s.closeHead(h); err != nil {
			return err
		}
	}
	st, err := parseStep(words)
	if err != nil {
		return err
	}
	if err := s.checkStep(st); err != nil {
		return err
	}
	s.Steps = append(s.Steps, NumberedStep{line, st})
	return nil
}

// isHead tells a line of the head from one of the story: `server` with flags
// is the one, `server stop` the other.
func (s *Scenario) isHead(words []string) bool {
	if words[0] == "server" {
		return len(words) != 2 || strings.HasPrefix(words[1], "-")
	}
	return slices.Contains([]string{"title", "sites", "hosts", "nat", "ipv6", "dual"}, words[0])
}

func (s *Scenario) parseHead(h *head, word string, args []string) (err error) {
	if len(args) == 0 {
		return fault.New(fault.Invalid, "%s needs more words", word)
	}
	switch word {
	case "title":
		s.Title = strings.Join(args, " ")
		return nil
	case "server":
		h.server = args
		return nil
	case "sites":
		if len(args) != 1 {
			return fault.New(fault.Invalid, "sites takes one number")
		}
		h.sites, err = parseCount(args[0])
		return err
	}
	numbers := make([]int, len(args))
	for i, a := range args {
		if numbers[i], err = strconv.Atoi(a); err != nil {
			return fault.New(fault.Invalid, "%q is no number", a)
		}
	}
	*map[string]*[]int{"hosts": &h.hosts, "nat": &h.nat, "ipv6": &h.ipv6, "dual": &h.dual}[word] = numbers
	return nil
}

// closeHead makes the layout, once the head is complete.
func (s *Scenario) closeHead(h *head) (err error) {
	h.closed = true
	for _, word := range []string{"title", "sites", "hosts"} {
		if h.lines[word] == 0 {
			return fault.New(fault.Invalid, "the head has no line %q", word)
		}
	}
	s.Layout, err = NewLayout(h.sites, h.hosts, h.nat, h.ipv6, h.dual, h.server)
	return err
}

// checkStep finds what can be known to be wrong before the lab runs.
func (s *Scenario) checkStep(st Step) error {
	has := func(is func(Step) bool) bool {
		return slices.ContainsFunc(s.Steps, func(n NumberedStep) bool { return is(n.Step) })
	}
	remembered := func(name string) error {
		if has(func(st Step) bool { return st == Step(Remember{name}) }) {
			return nil
		}
		return fault.New(fault.Invalid, "no line above remembers %q", name)
	}
	asked := func() error {
		if has(func(st Step) bool { _, ok := st.(Ask); return ok }) {
			return nil
		}
		return fault.New(fault.Invalid, "no question was asked above")
	}
	site := func(n int) error { return Target{Kind: ASite, Site: max(n, 1)}.within(s.Layout) }
	switch st := st.(type) {
	case Command:
		for _, t := range targets(st) {
			if err := t.within(s.Layout); err != nil {
				return err
			}
		}
	case Report:
		switch what := st.What.(type) {
		case Against:
			return remembered(what.Name)
		case QuestionReport:
			return asked()
		}
	case Expect:
		switch c := st.Claim.(type) {
		case Complete, Closed, Answered, Living, NobodyTwice:
			return asked()
		case Standing:
			return c.Of.within(s.Layout)
		case Count:
			return site(c.Site)
		case Under:
			return site(c.Site)
		case AtLeast:
			return remembered(c.Name)
		}
	}
	return nil
}
