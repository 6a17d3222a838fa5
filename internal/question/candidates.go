package question

import (
	"cmp"
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

// A Candidate is a question that a text may stand for.
type Candidate struct {
	Question Question
	// Canonical: the text is this question, in whatever dialect.
	Canonical bool
	// Extra are values that stand in brackets in the text, and that no sensor of
	// the question takes.
	Extra []string
}

// Candidates returns the questions that text may stand for, the likeliest
// first: exactly one if it is a question, with or without Get, and otherwise
// questions whose names and words are the nearest to its own. Parameters that
// the text lacks are empty in them.
func Candidates(text string, names *sensor.Catalogue, groups Groups) []Candidate {
	began := text
	if p := (parser{text: text}); !p.keyword("get") {
		began = "Get " + text
	}
	for _, t := range slices.Compact([]string{text, began}) {
		if q, err := Parse(t, names, groups); err == nil {
			return []Candidate{{Question: q, Canonical: true}}
		}
	}
	if len(text) > looseMax || invalidAt(text) < len(text) {
		return nil
	}
	r := repairs{names: names, groups: groups}
	r.try(began, attempt{})
	if len(r.found) == 0 {
		r.guess(text)
	}
	// What lacks a parameter comes after what can be asked as it is.
	slices.SortStableFunc(r.found, func(a, b found) int { return cmp.Compare(a.missing, b.missing) })
	out := make([]Candidate, len(r.found))
	for i, f := range r.found {
		out[i] = Candidate{Question: f.question, Extra: f.extra}
	}
	return out
}

// A repairs tries a text again and again, each time with one error's
// suggestions put in its place.
type repairs struct {
	names    *sensor.Catalogue
	groups   Groups
	attempts int
	found    []found
}

// An attempt is what was done to the parameters of a text so far.
type attempt struct {
	extra   []string // was taken out
	missing int      // was made up
}

type found struct {
	question Question
	attempt
}

func (r *repairs) try(text string, so attempt) {
	if r.attempts++; r.attempts > attemptsMax || len(r.found) == CandidatesMax {
		return
	}
	q, err := Parse(text, r.names, r.groups)
	if err == nil {
		r.add(q, so)
		return
	}
	e, ok := errors.AsType[*SyntaxError](err)
	if !ok {
		return
	}
	if m := e.miscount; m != nil {
		r.try(text[:e.from]+m.fitting+text[e.to:], so.with(*m))
		return
	}
	if e.insert != "" {
		r.try(text[:e.from]+e.insert+" "+text[e.from:], so)
		return
	}
	for _, s := range e.Suggestions {
		r.try(text[:e.from]+bareOrQuoted(s, !e.words && needsQuotes(s))+text[e.to:], so)
	}
}

// A miscount is a wrong number of parameters.
type miscount struct {
	fitting string   // brackets with the right number of parameters, or nothing
	extra   []string // those of the given ones that are too many
	missing int      // how many of the fitting ones were not given
}

func (so attempt) with(m miscount) attempt {
	return attempt{slices.Concat(so.extra, m.extra), so.missing + m.missing}
}

// fit makes as many parameters of the given ones as s takes.
func fit(s sensor.Sensor, given []string) miscount {
	want := min(max(len(given), leastParams(s)), len(s.Parameters))
	params := slices.Clone(given)
	for len(params) < want {
		params = append(params, "")
	}
	m := miscount{extra: params[want:], missing: len(params) - len(given)}
	if want > 0 {
		m.fitting = bracketed(params[:want])
	}
	return m
}

// add keeps q unless it was found by another way.
func (r *repairs) add(q Question, so attempt) {
	text := q.String()
	if len(r.found) < CandidatesMax && !slices.ContainsFunc(r.found, func(other found) bool { return other.question.String() == text }) {
		r.found = append(r.found, found{q, so})
	}
}

// fillers are words of loose sentences that name nothing.
var fillers = []string{
	"a", "all", "and", "are", "computers", "every", "each", "find", "for", "from", "get", "has", "have", "how", "in", "is",
	"list", "machine", "machines", "many", "me", "my", "of", "on", "or", "please", "show", "that", "the", "to", "us",
	"what", "which", "whose", "with",
}

// guess asks for the sensors whose names come near a loose sentence without its
// fillers and its brackets: for the best of each of several things that it
// lists, or else for those that are like all of it, or else for those that are
// like one of its words.
func (r *repairs) guess(text string) {
	text, given := withoutBrackets(text)
	best := r.listed(text)
	if len(best) > 1 {
		r.ask(given, best...)
		return
	}
	for _, name := range r.like(text) {
		r.ask(given, name)
	}
	if len(r.found) > 0 {
		return
	}
	words := telling(text)
	if len(best) > 0 {
		words = nil
		r.ask(given, best...)
	}
	for _, word := range words[:min(len(words), wordsMax)] {
		for _, name := range r.like(word) {
			r.ask(given, name)
		}
	}
}

// listed returns the best name for each of the things that a sentence lists, as
// far as there is one.
func (r *repairs) listed(text string) (best []string) {
	all := parts(text)
	for _, part := range all[:min(len(all), wordsMax)] {
		if names := r.like(part); len(names) > 0 && !slices.Contains(best, names[0]) {
			best = append(best, names[0])
		}
	}
	return best
}

// like returns the names that come near a part of a sentence.
func (r *repairs) like(part string) []string {
	return Suggest(strings.Join(telling(part), " "), r.names, CandidatesMax)
}

// Telling returns the words of a loose sentence that may name something, in lower
// case.
func Telling(text string) []string {
	words := telling(text)
	return words[:min(len(words), wordsMax)]
}

// telling returns the words of a part of a sentence that may name something.
func telling(part string) []string {
	return slices.DeleteFunc(sensor.Words(strings.ToLower(part)), func(w string) bool { return slices.Contains(fillers, w) })
}

// parts takes a sentence apart where it lists things.
func parts(text string) (out []string) {
	from := 0
	words := strings.Fields(strings.ReplaceAll(text, ",", " and "))
	for i, w := range append(words, "and") {
		if strings.EqualFold(w, "and") {
			out = append(out, strings.Join(words[from:i], " "))
			from = i + 1
		}
	}
	return out
}

// ask tries a question for sensors, of which the first that can takes the given
// parameters.
func (r *repairs) ask(given []string, names ...string) {
	var texts []string
	var so attempt
	for _, name := range names {
		s, _ := r.names.ByName(name) // it was suggested from there
		m := miscount{}
		if len(s.Parameters) > 0 {
			m = fit(s, given)
			given = m.extra
			m.extra = nil
		}
		so = so.with(m)
		texts = append(texts, bareOrQuoted(s.Name, needsQuotes(s.Name))+m.fitting)
	}
	so.extra = given
	r.try("Get "+strings.Join(texts, " and "), so)
}

// withoutBrackets takes the first brackets out of a text, and what stands in
// them apart at its commas.
func withoutBrackets(text string) (rest string, params []string) {
	before, after, ok := strings.Cut(text, "[")
	inner, after, closed := strings.Cut(after, "]")
	if !ok || !closed {
		return text, nil
	}
	return before + " " + after, strings.Split(inner, ",")
}
