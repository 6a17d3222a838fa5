package question

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"catenary/internal/sensor"
)

const (
	wordsMax = 12   // words of a text that are looked at: names have fewer
	wordMax  = 48   // bytes of a word or a squashed name that are compared
	nearest  = 0.65 // the least score worth a suggestion, found by trying names on real catalogues
)

// Suggest returns the names that text may have meant, the nearest first and at
// most so many. It finds misspelt and swapped words, beginnings, abbreviations,
// initials and words that were run together.
func Suggest(text string, names *sensor.Catalogue, most int) []string {
	query := sensor.Words(strings.ToLower(text))
	query = query[:min(len(query), wordsMax)]
	if len(query) == 0 {
		return nil
	}
	scores, lengths := scoreWords(query, names)
	scoreWhole(query, names, scores, lengths)
	var found []int
	for i, score := range scores {
		if name, _ := names.Name(i); score >= nearest && name != "" {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(i, j int) int {
		return cmp.Or(cmp.Compare(scores[j], scores[i]), cmp.Compare(lengths[i], lengths[j]), byName(names, i, j))
	})
	var out []string
	for _, i := range found[:min(len(found), most)] {
		name, _ := names.Name(i)
		out = append(out, name)
	}
	return out
}

func byName(names *sensor.Catalogue, i, j int) int {
	_, a := names.Name(i)
	_, b := names.Name(j)
	return strings.Compare(a, b)
}

// scoreWords gives each name a score from 0 to 1: mostly for how much of the
// query is found in it, a little for how much of it is in the query. lengths
// are the bytes of each name's words.
func scoreWords(query []string, names *sensor.Catalogue) (scores, lengths []float64) {
	words := names.Words()
	masks := make([]uint32, len(words))
	for i, w := range words {
		masks[i] = letters(w.Text)
	}
	scores, lengths = make([]float64, names.Places()), make([]float64, names.Places())
	covered := make([]float64, names.Places())
	now := make([]float64, names.Places()) // what the present word of the query finds
	best := make([]float64, len(words))
	asked := 0.0
	for _, q := range query {
		asked += float64(len(q))
		mask := letters(q)
		var touched []int
		for i, w := range words {
			s := likeness(q, w.Text, mask, masks[i])
			if s == 0 {
				continue
			}
			best[i] = max(best[i], s)
			for _, k := range w.Sensors {
				if now[k] == 0 {
					touched = append(touched, k)
				}
				now[k] = max(now[k], s)
			}
		}
		for _, k := range touched {
			scores[k] += now[k] * float64(len(q))
			now[k] = 0
		}
	}
	for i, w := range words {
		for _, k := range w.Sensors {
			lengths[k] += float64(len(w.Text))
			covered[k] += best[i] * float64(len(w.Text))
		}
	}
	for k := range scores {
		if scores[k] > 0 {
			scores[k] = 0.7*scores[k]/asked + 0.3*covered[k]/lengths[k]
		}
	}
	return scores, lengths
}

// scoreWhole raises the scores of names that the query begins, spells with
// blanks in other places, or gives the initials of.
func scoreWhole(query []string, names *sensor.Catalogue, scores, lengths []float64) {
	beginning, squashed := strings.Join(query, " "), strings.Join(query, "")
	mask := letters(squashed)
	allowed := min(3, len(squashed)/5)
	for k := range scores {
		_, name := names.Name(k)
		if name == "" {
			continue
		}
		if strings.HasPrefix(name, beginning) {
			scores[k] = max(scores[k], 0.8+0.2*float64(len(beginning))/float64(len(name)))
		}
		if len(query) == 1 && len(squashed) > 1 && isInitials(squashed, name) {
			scores[k] = max(scores[k], 0.75)
		}
		if d := len(squashed) - int(lengths[k]); d > allowed || d < -allowed || bits.OnesCount32(mask^letters(name)) > 2*allowed {
			continue
		}
		if d := distance(squashed, strings.Join(sensor.Words(name), ""), allowed); d <= allowed {
			scores[k] = max(scores[k], 0.95*(1-float64(d)/float64(len(squashed))))
		}
	}
}

func isInitials(text, name string) bool {
	begins := true
	for i := range len(name) {
		if name[i] == ' ' {
			begins = true
			continue
		}
		if begins {
			if text == "" || text[0] != name[i] {
				return false
			}
			text = text[1:]
		}
		begins = false
	}
	return text == ""
}

// likeness is from 0 to 1 how likely q was meant to be w. The masks are their
// letters, and spare most pairs the counting of edits.
func likeness(q, w string, qMask, wMask uint32) float64 {
	switch {
	case q == w:
		return 1
	case len(q) < 2:
		return 0
	case strings.HasPrefix(w, q):
		return 0.6 + 0.4*float64(len(q))/float64(len(w))
	}
	longer := max(len(q), len(w))
	allowed := edits(longer)
	if abs(len(q)-len(w)) <= allowed && bits.OnesCount32(qMask^wMask) <= 2*allowed {
		if d := distance(q, w, allowed); d <= allowed {
			return 1 - 1.2*float64(d)/float64(longer)
		}
	}
	if qMask&^wMask == 0 && isAbbreviation(q, w) {
		return 0.5
	}
	return 0
}

// edits is how many typing errors a word of n bytes may have.
func edits(n int) int {
	switch {
	case n < 3:
		return 0
	case n < 6:
		return 1
	case n < 9:
		return 2
	}
	return 3
}

// misspelt reports whether a word was likely meant to be another.
func misspelt(given, want string) bool {
	allowed := edits(max(len(given), len(want)))
	return distance(strings.ToLower(given), strings.ToLower(want), allowed) <= allowed
}

// near reports whether a short name was likely meant to be another, or begins
// it.
func near(given, want string) bool {
	begins := given != "" && strings.HasPrefix(strings.ToLower(want), strings.ToLower(given))
	return begins || misspelt(given, want)
}

// isAbbreviation reports whether q is w with letters left out, but not the
// first and not most of them.
func isAbbreviation(q, w string) bool {
	if q[0] != w[0] || 3*len(q) < len(w) {
		return false
	}
	i := 0
	for j := 0; i < len(q) && j < len(w); j++ {
		if q[i] == w[j] {
			i++
		}
	}
	return i == len(q)
}

// letters is the set of letters in s, blanks aside. One edit changes at most
// two of its members.
func letters(s string) uint32 {
	mask := uint32(0)
	for i := range len(s) {
		if s[i] != ' ' {
			mask |= 1 << (s[i] % 32)
		}
	}
	return mask
}

// distance counts the insertions, deletions, substitutions and transpositions
// of neighbours between a and b. It stops counting beyond most, and looks at no
// more than wordMax bytes.
func distance(a, b string, most int) int {
	a, b = a[:min(len(a), wordMax)], b[:min(len(b), wordMax)]
	var rows [3][wordMax + 1]int
	before, last, now := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			d := last[j-1]
			if a[i-1] != b[j-1] {
				d = 1 + min(d, last[j], now[j-1])
				if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
					d = min(d, 1+before[j-2])
				}
			}
			now[j] = d
			least = min(least, d)
		}
		if least > most {
			return most + 1
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}

func abs(n int) int { return max(n, -n) }
