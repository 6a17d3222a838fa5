package value

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// exponentMax bounds the exponent that a number's text may state; a greater
// one is a typing error and not a quantity.
const exponentMax = 9999

// A decimal is an exact number of any length: sign · 0.digits · 10^exponent.
type decimal struct {
	sign     int    // -1, 0 or +1
	exponent int    // 0 for the number zero
	digits   string // begins with the first digit that is not 0; may hold one point
}

// readDecimal reads 12, -0.5, .5, 1e6 and 80%; a percent sign says nothing
// about the size, so that 80% compares with 80.
func readDecimal(s string) (decimal, bool) {
	s = strings.TrimRight(strings.TrimSuffix(strings.TrimSpace(s), "%"), " ")
	d := decimal{sign: 1}
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			d.sign = -1
		}
		s = s[1:]
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(s[i+1:])
		if err != nil || e > exponentMax || e < -exponentMax {
			return decimal{}, false
		}
		s, d.exponent = s[:i], e
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if !digitsOnly(whole) || !digitsOnly(fraction) || whole+fraction == "" {
		return decimal{}, false
	}
	if whole = strings.TrimLeft(whole, "0"); whole != "" {
		d.exponent += len(whole)
		d.digits = s[strings.IndexAny(s, "123456789"):]
		return d, true
	}
	d.digits = strings.TrimLeft(fraction, "0")
	if d.digits == "" {
		return decimal{}, true // all spellings of zero are one
	}
	d.exponent -= len(fraction) - len(d.digits)
	return d, true
}

// readInteger reads a whole number of any length.
func readInteger(s string) (decimal, bool) {
	if strings.ContainsAny(s, ".eE") {
		return decimal{}, false
	}
	return readDecimal(s)
}

func (x decimal) compare(y decimal) int {
	if x.sign != y.sign || x.sign == 0 {
		return cmp.Compare(x.sign, y.sign)
	}
	return x.sign * cmp.Or(cmp.Compare(x.exponent, y.exponent), compareDigits(x.digits, y.digits))
}

// compareDigits compares two fractions 0.a and 0.b, skipping points; missing
// digits are zeros.
func compareDigits(a, b string) int {
	for a != "" || b != "" {
		var x, y byte
		x, a = nextDigit(a)
		y, b = nextDigit(b)
		if x != y {
			return cmp.Compare(x, y)
		}
	}
	return 0
}

func nextDigit(s string) (digit byte, rest string) {
	if s != "" && s[0] == '.' {
		s = s[1:]
	}
	if s == "" {
		return '0', ""
	}
	return s[0], s[1:]
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// readDataSize reads 125MB, 1.5 GB and plain bytes. Units are powers of 1024,
// with or without the i of KiB. The result is in bytes and exact below 2^53.
func readDataSize(s string) (float64, bool) {
	number, unit := splitUnit(strings.TrimSpace(s))
	if number == "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, false
	}
	unit = strings.ToLower(strings.TrimSpace(unit))
	switch unit {
	case "", "b", "byte", "bytes":
		return n, true
	}
	power := strings.IndexByte("kmgtpe", unit[0]) + 1
	if rest := unit[1:]; power == 0 || rest != "" && rest != "b" && rest != "ib" {
		return 0, false
	}
	return math.Ldexp(n, 10*power), true
}

// splitUnit cuts s after its leading digits and points.
func splitUnit(s string) (number, rest string) {
	i := 0
	for i < len(s) && (isDigit(s[i]) || s[i] == '.') {
		i++
	}
	return s[:i], s[i:]
}
