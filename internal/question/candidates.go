package question

import (
	"errors"
	"slices"
	"strings"

	"catenary/internal/sensor"
)

const (
	// CandidatesMax is how many questions a loose text may stand for.
	CandidatesMax = 5
	// looseMax bounds the loose text that is repaired, in bytes: people type no
	// more, and each repair reads it again.
	looseMax = 2 << 10
	// attemptsMax bounds the repairs that are tried.
	attemptsMax = 60
)

// Candidates returns the questions that text may stand for, the likeliest
// first: exactly one if it is a question, with or without Get, and otherwise
// questions whose names and words are the nearest to its own.
func Candidates(text string, names *sensor.Catalogue) []Question {
	if q, err := Parse(text, names); err == nil {
		return []Question{q}
	}
	if len(text) > looseMax {
		return nil
	}
	r := repairs{names: names}
	if words := strings.Fields(text); len(words) > 0 && strings.EqualFold(words[0], "get") {
		r.try(text)
	} else {
		r.try("Get " + text)
	}
	if len(r.found) == 0 {
		r.guess(text)
	}
	return r.found
}

// A repairs tries a text again and again, each time with one error's
// suggestions put in its place.
type repairs struct {
	names    *sensor.Catalogue
	attempts int
	found    []Question
}

func (r *repairs) try(text string) {
	if r.attempts++; r.attempts > attemptsMax || len(r.found) == CandidatesMax {
		return
	}
	q, err := Parse(text, r.names)
	if err == nil {
		r.add(q)
		return
	}
	e, ok := errors.AsType[*SyntaxError](err)
	if !ok {
		return
	}
	for _, s := range e.Suggestions {
		r.try(text[:e.from] + bareOrQuoted(s, !e.words && needsQuotes(s)) + text[e.to:])
	}
}

// add keeps q unless it was found by another way.
func (r *repairs) add(q Question) {
	text := q.String()
	if !slices.ContainsFunc(r.found, func(other Question) bool { return other.String() == text }) {
		r.found = append(r.found, q)
	}
}

// fillers are words of loose sentences that name nothing.
var fillers = []string{
	"a", "all", "and", "are", "computers", "every", "each", "find", "for", "from", "get", "has", "have", "how", "in", "is",
	"list", "machine", "machines", "many", "me", "my", "of", "on", "or", "please", "show", "that", "the", "to", "us",
	"what", "which", "whose", "with",
}

// guess asks for each of the sensors whose names come near what remains of a
// loose sentence without its fillers.
func (r *repairs) guess(text string) {
	words := slices.DeleteFunc(sensor.Words(strings.ToLower(text)), func(w string) bool { return slices.Contains(fillers, w) })
	for _, name := range Suggest(strings.Join(words, " "), r.names, CandidatesMax) {
		if s, ok := r.names.ByName(name); ok && wrongCount(s, 0) == "" {
			r.add(Question{Selects: []Ref{{Sensor: s.Name}}})
		}
	}
}
