package sensor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"catenary/internal/value"
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

// A Catalogue is all sensors that a question may name. It is immutable; a
// changed one shares with it what has not changed, so that a change costs the
// same however many sensors there are.
//
// Names are the same if they differ only in letter case or in the width of
// their blanks.
type Catalogue struct {
	byName table[string, *entry] // by folded
	byHash table[uint32, *entry]
	places list[*entry]           // nil: the place is empty
	words  table[string, *holder] // in lower case
	size   int
	used   int // places that were ever given
	held   int // holders of words that were ever made
}

// An entry is one sensor of a catalogue.
type entry struct {
	Sensor
	folded string // the name in lower case
	place  int
}

// A holder is a sensor that has a word in its name, and those before it. One that
// was taken away stays: its place is empty.
type holder struct {
	place  int
	before *holder
	number int // of this and those before
}

// A Word is one of the words that names are made of, and whose it is.
type Word struct {
	Text    string // in lower case
	Sensors []int  // the places of those that have it in their names: see [Catalogue.Name]
}

// NewCatalogue returns the catalogue of the given sensors, each of which must
// pass [Sensor.Check]. Two sensors may share neither a name nor a hash.
func NewCatalogue(sensors []Sensor) (*Catalogue, error) {
	same := func(h uint32) uint32 { return h }
	none := &Catalogue{
		byName: newTable[string, *entry](value.Digest), byHash: newTable[uint32, *entry](same),
		words: newTable[string, *holder](value.Digest),
	}
	ordered := slices.Clone(sensors)
	slices.SortStableFunc(ordered, func(a, b Sensor) int { return strings.Compare(foldName(a.Name), foldName(b.Name)) })
	return none.Changed(nil, ordered)
}

// Changed returns the catalogue without the sensors of some names, and then with
// others, each in the place of the one that has its name.
func (c *Catalogue) Changed(without []string, with []Sensor) (*Catalogue, error) {
	next, by := *c, new(edit)
	for _, name := range without {
		if old, ok := next.byName.get(foldName(name)); ok {
			next.remove(by, old)
		}
	}
	added := make(map[string]bool, len(with))
	for _, s := range with {
		name := foldName(s.Name)
		if err := s.Check(); err != nil {
			return nil, fmt.Errorf("sensor %q: %w", s.Name, err)
		}
		if added[name] {
			return nil, fmt.Errorf("two sensors are called %q", s.Name)
		}
		added[name] = true
		if old, ok := next.byName.get(name); ok {
			next.remove(by, old)
		}
		if other, ok := next.byHash.get(s.Hash()); ok {
			return nil, fmt.Errorf("the names %q and %q have the same hash %d", other.Name, s.Name, s.Hash())
		}
		next.add(by, &entry{s, name, next.used})
	}
	if next.used > placesKept && next.used > 2*next.size {
		return NewCatalogue(next.All()) // so that places which nobody has cost no more than those in use
	}
	return &next, nil
}

// placesKept is how many places a catalogue may have before it is looked how
// many of them are empty.
const placesKept = 1024

func (c *Catalogue) add(by *edit, e *entry) {
	c.used++
	c.size++
	c.byName.set(by, e.folded, e)
	c.byHash.set(by, e.Hash(), e)
	c.places.set(by, e.place, e)
	for _, word := range wordsOnce(e.folded) {
		before, _ := c.words.get(word)
		h := &holder{place: e.place, before: before, number: 1}
		if before != nil {
			h.number += before.number
		}
		c.words.set(by, word, h)
		c.held++
	}
}

func (c *Catalogue) remove(by *edit, e *entry) {
	c.size--
	c.byName.drop(by, e.folded)
	c.byHash.drop(by, e.Hash())
	c.places.set(by, e.place, nil)
}

// wordsOnce are the words of a folded name, each once.
func wordsOnce(folded string) []string {
	words := Words(folded)
	slices.Sort(words)
	return slices.Compact(words)
}

// ByName returns the sensor of that name in any letter case.
func (c *Catalogue) ByName(name string) (Sensor, bool) {
	e, ok := c.byName.get(foldName(name))
	if !ok {
		return Sensor{}, false
	}
	return e.Sensor, true
}

// ByHash returns the sensor whose number in the public API is hash.
func (c *Catalogue) ByHash(hash uint32) (Sensor, bool) {
	e, ok := c.byHash.get(hash)
	if !ok {
		return Sensor{}, false
	}
	return e.Sensor, true
}

// All returns the sensors by name. The slice is the caller's; what the sensors
// hold is not.
func (c *Catalogue) All() []Sensor {
	entries := make([]*entry, 0, c.size)
	for place := range c.used {
		if e := c.places.get(place); e != nil {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b *entry) int { return strings.Compare(a.folded, b.folded) })
	out := make([]Sensor, len(entries))
	for i, e := range entries {
		out[i] = e.Sensor
	}
	return out
}

// Len is the number of sensors.
func (c *Catalogue) Len() int { return c.size }

// Places is how many places for sensors there are, some of which may be empty.
func (c *Catalogue) Places() int { return c.used }

// Name returns the name of the sensor at a place, as it is spelled and in lower
// case; nothing, if the place is empty.
func (c *Catalogue) Name(place int) (name, folded string) {
	if e := c.places.get(place); e != nil {
		return e.Name, e.folded
	}
	return "", ""
}

// Words returns the words of all names, each once. The caller must not change
// them.
func (c *Catalogue) Words() []Word {
	out := make([]Word, 0, c.used)
	places := make([]int, 0, c.held)
	c.words.each(func(text string, h *holder) {
		from := len(places)
		places = places[:from+h.number]
		out = append(out, Word{text, places[from:]})
		for ; h != nil; h = h.before {
			places[from+h.number-1] = h.place
		}
	})
	return out
}

// A Prefix is a sensor with whose name a text begins.
type Prefix struct {
	Sensor Sensor
	Len    int // of the name in the text, in bytes
}

// Prefixes returns the sensors with whose names text begins, the longest first.
// A name ends where a word ends. The name's blanks may be any blanks in text.
func (c *Catalogue) Prefixes(text string) []Prefix {
	var out []Prefix
	var folded []byte
	last := rune(0)
	for n := 0; n < len(text) && len(folded) < foldedMax; {
		r, size := utf8.DecodeRuneInString(text[n:])
		if unicode.IsSpace(r) {
			r, size = ' ', len(text[n:])-len(strings.TrimLeftFunc(text[n:], unicode.IsSpace))
		}
		n += size
		last = unicode.ToLower(r)
		folded = utf8.AppendRune(folded, last)
		next, _ := utf8.DecodeRuneInString(text[n:])
		if last == ' ' || n < len(text) && inWord(last) && inWord(next) {
			continue
		}
		if e, ok := c.byName.get(string(folded)); ok {
			out = append(out, Prefix{e.Sensor, n})
		}
	}
	slices.Reverse(out)
	return out
}

// foldedMax is longer, in bytes, than any name in lower case: some letters take
// a half more that way.
const foldedMax = 2 * NameMax

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
