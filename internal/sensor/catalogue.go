package sensor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// NameMax bounds the names of sensors, columns and parameter keys, in bytes.
	NameMax = 256
	// ColumnsMax and ParametersMax bound what one sensor may have: a screen
	// shows no more columns, a dialogue no more fields.
	ColumnsMax    = 64
	ParametersMax = 32
	// ageMax bounds how long an answer may stay fresh.
	ageMax = 10 * 365 * 24 * time.Hour
)

// A Catalogue is all sensors that a question may name. It is immutable.
//
// Names are the same if they differ only in letter case or in the width of
// their blanks.
type Catalogue struct {
	all     []Sensor // ascending by folded
	folded  []string // their names in lower case
	byHash  map[uint32]int
	byStart map[string][]int // a name's first letters and digits → names, longest first
	words   []Word
}

// A Word is one of the words that names are made of, and whose it is.
type Word struct {
	Text    string // in lower case
	Sensors []int  // which of [Catalogue.All] have it in their names
}

// NewCatalogue returns the catalogue of the given sensors, each of which must
// pass [Sensor.Check]. Two sensors may share neither a name nor a hash.
func NewCatalogue(sensors []Sensor) (*Catalogue, error) {
	c := &Catalogue{byHash: make(map[uint32]int, len(sensors)), byStart: map[string][]int{}}
	order := make([]int, len(sensors))
	folded := make([]string, len(sensors))
	for i, s := range sensors {
		order[i], folded[i] = i, foldName(s.Name)
	}
	slices.SortFunc(order, func(i, j int) int { return strings.Compare(folded[i], folded[j]) })
	for i, at := range order {
		s, name := sensors[at], folded[at]
		if err := s.Check(); err != nil {
			return nil, fmt.Errorf("sensor %q: %w", s.Name, err)
		}
		if i > 0 && c.folded[i-1] == name {
			return nil, fmt.Errorf("two sensors are called %q", s.Name)
		}
		if j, ok := c.byHash[s.Hash()]; ok {
			return nil, fmt.Errorf("the names %q and %q have the same hash %d", c.all[j].Name, s.Name, s.Hash())
		}
		c.all, c.folded = append(c.all, s), append(c.folded, name)
		c.byHash[s.Hash()] = i
		c.byStart[start(name)] = append(c.byStart[start(name)], i)
	}
	for _, names := range c.byStart {
		slices.SortFunc(names, func(i, j int) int {
			return cmp.Or(cmp.Compare(len(c.folded[j]), len(c.folded[i])), cmp.Compare(i, j))
		})
	}
	c.collectWords()
	return c, nil
}

func (c *Catalogue) collectWords() {
	at := map[string]int{}
	for i, name := range c.folded {
		for _, text := range Words(name) {
			j, ok := at[text]
			if !ok {
				j = len(c.words)
				at[text] = j
				c.words = append(c.words, Word{Text: text})
			}
			if w := &c.words[j]; len(w.Sensors) == 0 || w.Sensors[len(w.Sensors)-1] != i {
				w.Sensors = append(w.Sensors, i)
			}
		}
	}
}

// ByName returns the sensor of that name in any letter case.
func (c *Catalogue) ByName(name string) (Sensor, bool) {
	i, ok := slices.BinarySearch(c.folded, foldName(name))
	if !ok {
		return Sensor{}, false
	}
	return c.all[i], true
}

// ByHash returns the sensor whose number in the public API is hash.
func (c *Catalogue) ByHash(hash uint32) (Sensor, bool) {
	i, ok := c.byHash[hash]
	if !ok {
		return Sensor{}, false
	}
	return c.all[i], true
}

// All returns the sensors by name. The slice is the caller's; what the sensors
// hold is not.
func (c *Catalogue) All() []Sensor { return slices.Clone(c.all) }

// Len is the number of sensors.
func (c *Catalogue) Len() int { return len(c.all) }

// Name returns the name of the i-th sensor of [Catalogue.All], as it is
// spelled and in lower case.
func (c *Catalogue) Name(i int) (name, folded string) { return c.all[i].Name, c.folded[i] }

// Words returns the words of all names, each once. The caller must not change
// them.
func (c *Catalogue) Words() []Word { return c.words }

// A Prefix is a sensor with whose name a text begins.
type Prefix struct {
	Sensor Sensor
	Len    int // of the name in the text, in bytes
}

// Prefixes returns the sensors with whose names text begins, the longest first.
// A name ends where a word ends. The name's blanks may be any blanks in text.
func (c *Catalogue) Prefixes(text string) []Prefix {
	var out []Prefix
	for _, i := range c.byStart[strings.ToLower(start(text))] {
		if n, ok := beginsWith(text, c.folded[i]); ok {
			out = append(out, Prefix{c.all[i], n})
		}
	}
	return out
}

// BeginsWith reports whether text begins with name in any letter case and with
// any blanks for its blanks, up to the end of a word, and after how many bytes.
func BeginsWith(text, name string) (n int, ok bool) { return beginsWith(text, foldName(name)) }

// beginsWith is BeginsWith for a name that is folded already.
func beginsWith(text, folded string) (n int, ok bool) {
	last := rune(0)
	for _, want := range folded {
		r, size := utf8.DecodeRuneInString(text[n:])
		switch {
		case size == 0:
			return 0, false
		case want == ' ' && unicode.IsSpace(r):
			n += len(text[n:]) - len(strings.TrimLeftFunc(text[n:], unicode.IsSpace))
		case unicode.ToLower(r) == want:
			n += size
		default:
			return 0, false
		}
		last = want
	}
	next, _ := utf8.DecodeRuneInString(text[n:])
	return n, !inWord(last) || n == len(text) || !inWord(next)
}

// Words takes a text apart into its words: runs of letters and digits.
func Words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !inWord(r) })
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

// start returns the letters and digits that text begins with.
func start(text string) string {
	if i := strings.IndexFunc(text, func(r rune) bool { return !inWord(r) }); i >= 0 {
		return text[:i]
	}
	return text
}

func foldName(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), " ")) }

// Check reports what keeps s from being in a catalogue.
func (s Sensor) Check() error {
	if err := checkName(s.Name); err != nil {
		return err
	}
	if len(s.Columns) == 0 || len(s.Columns) > ColumnsMax {
		return fmt.Errorf("a sensor has 1 to %d columns, not %d", ColumnsMax, len(s.Columns))
	}
	if len(s.Parameters) > ParametersMax {
		return fmt.Errorf("a sensor has at most %d parameters, not %d", ParametersMax, len(s.Parameters))
	}
	if s.MaxAge < 0 || s.MaxAge > ageMax {
		return fmt.Errorf("an answer stays fresh from 0 to %v, not %v", ageMax, s.MaxAge)
	}
	if !s.Mode.Valid() {
		return fmt.Errorf("answers travel merged, attested or sealed, not in %v", s.Mode)
	}
	seen := map[string]bool{}
	for _, col := range s.Columns {
		if err := checkName(col.Name); err != nil {
			return fmt.Errorf("column %q: %w", col.Name, err)
		}
		if !col.Type.Valid() {
			return fmt.Errorf("column %q: %v is no type", col.Name, col.Type)
		}
		if seen[foldName(col.Name)] {
			return fmt.Errorf("two columns are called %q", col.Name)
		}
		seen[foldName(col.Name)] = true
	}
	clear(seen)
	for _, p := range s.Parameters {
		if err := checkName(p.Key); err != nil {
			return fmt.Errorf("parameter %q: %w", p.Key, err)
		}
		if seen[p.Key] {
			return fmt.Errorf("two parameters are called %q", p.Key)
		}
		seen[p.Key] = true
	}
	return nil
}

func checkName(name string) error {
	switch {
	case name == "" || len(name) > NameMax || !utf8.ValidString(name):
		return fmt.Errorf("a name has 1 to %d bytes of UTF-8", NameMax)
	case name != strings.Join(strings.Fields(name), " "):
		return errors.New("a name has no blanks at its ends, and single ones within")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("a name has no control characters")
	}
	return nil
}

// Column returns the place of the column of that name in any letter case.
func (s Sensor) Column(name string) (int, bool) {
	i := slices.IndexFunc(s.Columns, func(c Column) bool { return foldName(c.Name) == foldName(name) })
	return i, i >= 0
}
