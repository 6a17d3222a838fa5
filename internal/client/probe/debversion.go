package probe

import "strings"

// compareDeb compares two versions of Debian's packages as dpkg does
// (deb-version(7)): an epoch, the upstream version, a revision.
func compareDeb(a, b string) int {
	ea, ua, ra := debParts(a)
	eb, ub, rb := debParts(b)
	for _, pair := range [][2]string{{ea, eb}, {ua, ub}, {ra, rb}} {
		if c := compareDebPart(pair[0], pair[1]); c != 0 {
			return c
		}
	}
	return 0
}

func debParts(v string) (epoch, upstream, revision string) {
	v = strings.TrimSpace(v)
	epoch = "0"
	if before, after, ok := strings.Cut(v, ":"); ok {
		epoch, v = before, after
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

// compareDebPart compares runs of other characters and runs of digits by turns.
func compareDebPart(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !digit(a[0]) || b != "" && !digit(b[0]) {
			x, y := 0, 0
			if a != "" {
				x = debOrder(a[0])
			}
			if b != "" {
				y = debOrder(b[0])
			}
			if x != y {
				return sign(x - y)
			}
			a, b = dropFirst(a), dropFirst(b)
		}
		var x, y string
		x, a = debNumber(a)
		y, b = debNumber(b)
		if len(x) != len(y) {
			return sign(len(x) - len(y))
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// debOrder puts a tilde before the end, a digit with the end, then letters,
// then all else.
func debOrder(c byte) int {
	switch {
	case c == '~':
		return -1
	case digit(c):
		return 0
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		return int(c)
	}
	return int(c) + 256
}

func dropFirst(s string) string {
	if s == "" {
		return s
	}
	return s[1:]
}

// debNumber takes the digits off the beginning, without leading zeros.
func debNumber(s string) (number, rest string) {
	i := 0
	for i < len(s) && digit(s[i]) {
		i++
	}
	return strings.TrimLeft(s[:i], "0"), s[i:]
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
