package lab

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"catenary/internal/fault"
)

// splitWords cuts a line of a scenario into words. A word with spaces in it
// stands in double quotes, as in Go, or in back quotes; # begins a comment.
func splitWords(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t\r")
		switch {
		case line == "" || line[0] == '#':
			return words, nil
		case line[0] == '"' || line[0] == '`':
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fault.New(fault.Invalid, "the quotation that begins with %.20s does not end", line)
			}
			word, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, fault.New(fault.Invalid, "%s: %w", quoted, err)
			}
			line = line[len(quoted):]
			if line != "" && !strings.ContainsRune(" \t\r", rune(line[0])) {
				return nil, fault.New(fault.Invalid, "a space is missing behind %s", quoted)
			}
			words = append(words, word)
		default:
			end := strings.IndexAny(line, " \t\r")
			if end < 0 {
				end = len(line)
			}
			words = append(words, line[:end])
			line = line[end:]
		}
	}
}

// quoteWord writes a word so that splitWords reads it.
func quoteWord(w string) string {
	plain := w != "" && w[0] != '#' && w[0] != '"' && w[0] != '`' &&
		!strings.ContainsFunc(w, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	if plain && strconv.Quote(w) == `"`+strings.ReplaceAll(strings.ReplaceAll(w, `\`, `\\`), `"`, `\"`)+`"` {
		return w
	}
	return strconv.Quote(w)
}

// durationMax bounds waits and delays: a scenario is a story of minutes.
const durationMax = time.Hour

func parseDuration(word string) (time.Duration, error) {
	d, err := time.ParseDuration(word)
	if err != nil || d <= 0 || d > durationMax {
		return 0, fault.New(fault.Invalid, "%q is no time between 1ns and %v, as 40ms or 2s", word, durationMax)
	}
	return d, nil
}

// parseCount reads a number of things.
func parseCount(word string) (int, error) {
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 || n > countMax {
		return 0, fault.New(fault.Invalid, "%q is no number from 0 to %d", word, countMax)
	}
	return n, nil
}

const countMax = 1_000_000 // far more than a lab has of anything

// byteUnits are how amounts of bytes are written.
var byteUnits = []struct {
	name string
	size int64
}{{"MB", 1_000_000}, {"kB", 1000}, {"B", 1}}

// parseBytes reads an amount like `20 kB`.
func parseBytes(number, unit string) (int64, error) {
	n, err := parseCount(number)
	if err != nil {
		return 0, err
	}
	for _, u := range byteUnits {
		if u.name == unit {
			return int64(n) * u.size, nil
		}
	}
	return 0, fault.New(fault.Invalid, "%q is no unit of bytes: B, kB or MB", unit)
}

func formatBytes(n int64) string {
	for _, u := range byteUnits {
		if n > 0 && n%u.size == 0 || u.size == 1 {
			return strconv.FormatInt(n/u.size, 10) + " " + u.name
		}
	}
	panic("lab: the last unit divides everything")
}
