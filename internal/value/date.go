package value

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// timeDiffMax bounds a time difference, in microseconds: 290,000 years, so
// that sums stay within 64 bits.
const timeDiffMax = math.MaxInt64 / 2

// variousLayouts are the date forms that systems write besides BESDate and
// WMIDate. A form without a zone is UTC; 1/2/2006 puts the month first.
// Fractions of a second are accepted after each form's seconds.
var variousLayouts = []string{
	time.RFC3339,
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05 -0700",
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04",
	"2006-01-02",
	"2006/01/02 15:04:05 GMT-0700",
	"2006/01/02 15:04:05",
	"2006/01/02",
	"1/2/2006 3:04:05 PM",
	"1/2/2006 15:04:05",
	"1/2/2006",
	"Mon Jan _2 15:04:05 2006",
	"2 Jan 2006 15:04:05 -0700",
	"2 Jan 2006 15:04:05",
	"2 Jan 2006",
	"Jan 2, 2006",
	"20060102",
}

func readVariousDate(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	for _, layout := range variousLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	if t, ok := readBESDate(s); ok {
		return t, true
	}
	return readWMIDate(s)
}

// readBESDate reads Sun, 22 Nov 2026 01:30:00 +0000, or GMT for the zone.
func readBESDate(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutSuffix(s, " GMT"); ok {
		s = rest + " +0000"
	}
	t, err := time.Parse("Mon, 2 Jan 2006 15:04:05 -0700", s)
	return t, err == nil
}

// readWMIDate reads 20261122013000.000000+060, whose zone is in minutes.
func readWMIDate(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	const form = "20060102150405.000000"
	if len(s) != len(form)+4 {
		return time.Time{}, false
	}
	t, err := time.Parse(form, s[:len(form)])
	sign, minutes := s[len(form)], s[len(form)+1:]
	if err != nil || sign != '+' && sign != '-' || !digitsOnly(minutes) {
		return time.Time{}, false
	}
	zone, err := strconv.Atoi(s[len(form):])
	if err != nil {
		return time.Time{}, false
	}
	return t.Add(-time.Duration(zone) * time.Minute), true
}

// Lengths of a time difference's units in microseconds. A month has 30 days
// and a year 365, since the text does not say which ones are meant.
const (
	second = 1_000_000
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// readTimeDiff reads 2 years, 3 months and 4.2 hours, each unit in full, in
// short or by its letter, and a lone number as seconds. The result is in
// microseconds.
func readTimeDiff(s string) (int64, bool) {
	s, negative := strings.CutPrefix(strings.TrimSpace(s), "-")
	if s == "" {
		return 0, false
	}
	sum := int64(0)
	for first := true; s != ""; first = false {
		number, rest := splitUnit(s)
		unit := strings.TrimLeft(rest, " ")
		end := strings.IndexAny(unit, " ,0123456789.")
		if end < 0 {
			end = len(unit)
		}
		part, ok := timeUnits(number, unit[:end], first && rest == "")
		if !ok || part > timeDiffMax-sum {
			return 0, false
		}
		sum += part
		s = strings.TrimLeft(strings.TrimPrefix(strings.TrimLeft(unit[end:], " "), ","), " ")
	}
	if negative {
		sum = -sum
	}
	return sum, true
}

// timeUnits returns number times unit in microseconds. lone says that no unit
// is given and seconds are meant.
func timeUnits(number, unit string, lone bool) (int64, bool) {
	length := unitLength(strings.ToLower(unit))
	if unit == "" && lone {
		length = second
	}
	n, err := strconv.ParseFloat(number, 64)
	if length == 0 || err != nil {
		return 0, false
	}
	// Rounded to microseconds, so that 4.2 hours is 252 minutes.
	micros := math.Round(n * float64(length))
	return int64(micros), micros < timeDiffMax
}

func unitLength(unit string) int64 {
	switch strings.TrimSuffix(unit, "s") {
	case "m", "min", "minute":
		if unit == "ms" {
			return second / 1000
		}
		return minute
	case "millisecond":
		return second / 1000
	case "", "sec", "second":
		if unit == "" {
			return 0
		}
		return second
	case "h", "hr", "hour":
		return hour
	case "d", "day":
		return day
	case "w", "week":
		return 7 * day
	case "month", "mo":
		return 30 * day
	case "y", "yr", "year":
		return 365 * day
	}
	return 0
}
