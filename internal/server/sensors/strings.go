package sensors

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

const (
	heardOfOne = 1000    // strings that are remembered of one sensor
	heardMax   = 100_000 // and of all: 20 MB
	heardBytes = 200     // of a string: longer ones are nothing that anybody types
	heardFor   = 7 * 24 * time.Hour
)

// A Kept is how much of what machines say to a sensor is kept. The zero Kept is
// as much as of any other.
type Kept struct {
	Strings int           // different ones in one answer
	Age     time.Duration // of what a machine said that is off now, and of strings
	// Unhinted: what machines say does not help to read questions.
	Unhinted bool
}

// KeptOf reads what an object says of that.
func KeptOf(o *object.Object) (k Kept, err error) {
	most, minutes := o.Int("max_strings"), o.Int("max_string_age_minutes")
	if most < 0 || most > math.MaxInt32 {
		return k, fault.New(fault.Invalid, "max_strings is %d, not 0 to %d", most, math.MaxInt32)
	}
	if longest := int64(maxAgeMax / time.Minute); minutes < 0 || minutes > longest {
		return k, fault.New(fault.Invalid, "max_string_age_minutes is %d, not 0 to %d", minutes, longest)
	}
	k = Kept{Strings: int(most), Age: time.Duration(minutes) * time.Minute}
	k.Unhinted = excluded(o) || o.Is("sensitive_data_flag") || o.Is("hidden_flag") || slices.ContainsFunc(o.Objects("subcolumns"), excluded)
	return k, nil
}

// excluded reports whether a sensor, or a column of one, is left out. Columns
// are heard together, so that one leaves out all.
func excluded(o *object.Object) bool { return o.Is("exclude_from_parse_flag") }

// KeptIn is what the shelves say of a sensor; of one that is not there, nothing.
func KeptIn(shelves *shelf.Shelves, name string) Kept {
	r := shelves.ByName(Kind, name)
	if r == nil {
		return Kept{}
	}
	k, err := KeptOf(r.Object)
	if err != nil {
		return Kept{} // objects are checked when they come, but older ones were not
	}
	return k
}

// Strings are what machines have said lately, each sensor's most frequent: what
// somebody may have meant who types a value and no sensor. They are in memory
// only, and its methods may be called from any goroutine.
type Strings struct {
	mu    sync.Mutex // guards the fields below
	of    map[string]map[string]heard
	total int
}

// heard is a string that was heard.
type heard struct {
	folded string
	at     time.Time
}

// NewStrings knows of none yet.
func NewStrings() *Strings { return &Strings{of: map[string]map[string]heard{}} }

// Hear remembers strings of a sensor, the most frequent first. What was heard
// longest ago makes room.
func (s *Strings) Hear(now time.Time, name string, k Kept, texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total > heardMax-heardOfOne {
		s.forget(now)
	}
	known := s.of[name]
	if known == nil {
		known = map[string]heard{}
		s.of[name] = known
	}
	s.total -= len(known)
	most := k.Most()
	for _, text := range texts[:min(len(texts), most)] {
		if len(text) <= heardBytes {
			known[text] = heard{strings.ToLower(text), now}
		}
	}
	k.trim(now, known, min(most, heardMax-s.total))
	s.total += len(known)
	if len(known) == 0 {
		delete(s.of, name)
	}
}

// forget makes room of what nobody has said for too long: of sensors, too, that
// are not asked for any more.
func (s *Strings) forget(now time.Time) {
	s.total = 0
	for name, known := range s.of {
		Kept{}.trim(now, known, heardOfOne)
		if s.total += len(known); len(known) == 0 {
			delete(s.of, name)
		}
	}
}

// Most is how many strings of a sensor are remembered.
func (k Kept) Most() int {
	switch {
	case k.Unhinted:
		return 0
	case k.Strings > 0:
		return min(k.Strings, heardOfOne)
	}
	return heardOfOne
}

// old reports whether what was heard then is too old.
func (k Kept) old(now, at time.Time) bool {
	return now.Sub(at) > min(cmp.Or(k.Age, heardFor), heardFor)
}

// trim takes out what is too old, and of the others the oldest beyond most.
func (k Kept) trim(now time.Time, known map[string]heard, most int) {
	type entry struct {
		text string
		at   time.Time
	}
	var all []entry
	for text, h := range known {
		if k.old(now, h.at) {
			delete(known, text)
			continue
		}
		all = append(all, entry{text, h.at})
	}
	if len(all) <= most {
		return
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.text, b.text)) })
	for _, e := range all[max(most, 0):] {
		delete(known, e.text)
	}
}

// Count is how many strings of a sensor are remembered.
func (s *Strings) Count(now time.Time, name string, k Kept) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.of[name]
	s.total -= len(known)
	k.trim(now, known, k.Most())
	s.total += len(known)
	return len(known)
}

// A Hint is what machines have said of a sensor, as far as it was looked for: in
// lower case.
type Hint struct{ Sensor, Text string }

// Who returns the sensors of which machines have said words in this order, those
// first whose strings are the nearest to these words alone. kept says how much
// of a sensor is, and whether the asker may know of it.
func (s *Strings) Who(now time.Time, words []string, most int, kept func(name string) (Kept, bool)) []Hint {
	if len(words) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	type found struct {
		Hint
		in int // bytes of the string
	}
	var all []found
	for name, known := range s.of {
		k, may := kept(name)
		if !may || k.Unhinted {
			continue
		}
		best := found{in: math.MaxInt}
		for _, h := range known {
			if len(h.folded) > best.in || k.old(now, h.at) {
				continue
			}
			text, ok := says(h.folded, words)
			if f := (found{Hint{name, text}, len(h.folded)}); ok && (f.in < best.in || f.Text < best.Text) {
				best = f
			}
		}
		if best.Sensor != "" {
			all = append(all, best)
		}
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Or(cmp.Compare(a.in, b.in), cmp.Compare(a.Sensor, b.Sensor)) })
	out := make([]Hint, 0, most)
	for _, f := range all[:min(len(all), most)] {
		out = append(out, f.Hint)
	}
	return out
}

// says returns the part of a text in lower case that has words in it, one behind
// the other.
func says(folded string, words []string) (string, bool) {
	if !strings.Contains(folded, words[0]) {
		return "", false
	}
	all := sensor.Words(folded)
	starts, at := make([]int, len(all)), 0
	for i, word := range all {
		starts[i] = at + strings.Index(folded[at:], word)
		at = starts[i] + len(word)
	}
	for i := range len(all) - len(words) + 1 {
		if last := i + len(words) - 1; slices.Equal(all[i:last+1], words) {
			return folded[starts[i] : starts[last]+len(all[last])], true
		}
	}
	return "", false
}
