package value

import (
	"cmp"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Compare reads both texts as t and returns -1, 0 or +1 as a is less than,
// equal to or greater than b. ok is false if one of them cannot be read as t.
// On the texts that can be read the order is a total preorder: different
// spellings of one value are equal.
func Compare(t Type, a, b string) (order int, ok bool) { return Against(t, b)(a) }

// Against returns the comparison of texts with b, which is read only once.
func Against(t Type, b string) func(a string) (order int, ok bool) {
	if r, ok := readings[t]; ok {
		return r.against(b)
	}
	if t == Hash || t == String || t == RegexMatch {
		return func(a string) (int, bool) { return CompareText(a, b, true), true }
	}
	return func(string) (int, bool) { return 0, false }
}

// A reading is how texts of a type are read to be compared.
type reading interface {
	against(b string) func(a string) (order int, ok bool)
	order(texts []string) func(i, j int) int
}

// readings are those of all types whose texts are not compared as they are.
var readings = map[Type]reading{
	Version:        reader[string]{readVersion, compareVersions},
	Numeric:        reader[decimal]{readDecimal, decimal.compare},
	NumericInteger: reader[decimal]{readInteger, decimal.compare},
	IPAddress:      reader[address]{readAddress, address.compare},
	BESDate:        reader[time.Time]{readBESDate, time.Time.Compare},
	WMIDate:        reader[time.Time]{readWMIDate, time.Time.Compare},
	VariousDate:    reader[time.Time]{readVariousDate, time.Time.Compare},
	TimeDiff:       reader[int64]{readTimeDiff, cmp.Compare[int64]},
	DataSize:       reader[float64]{readDataSize, cmp.Compare[float64]},
}

// A reader reads texts as Ts; it reports false of those that it cannot.
type reader[T any] struct {
	read    func(string) (T, bool)
	compare func(x, y T) int
}

func (r reader[T]) against(b string) func(string) (int, bool) {
	y, known := r.read(b)
	return func(a string) (int, bool) {
		if !known {
			return 0, false
		}
		x, ok := r.read(a)
		if !ok {
			return 0, false
		}
		return r.compare(x, y), true
	}
}

// CompareText compares two texts rune by rune, or, without regard to case, by
// their [Fold]s.
func CompareText(a, b string, ignoreCase bool) int {
	if !ignoreCase {
		return strings.Compare(a, b)
	}
	for a != "" && b != "" {
		x, n := utf8.DecodeRuneInString(a)
		y, m := utf8.DecodeRuneInString(b)
		if x != y {
			if x, y = foldRune(x), foldRune(y); x != y {
				return cmp.Compare(x, y)
			}
		}
		a, b = a[n:], b[m:]
	}
	return cmp.Compare(len(a), len(b))
}

// Fold returns a text that is the same for all texts that differ only in
// letter case. It agrees with (?i) in a regular expression.
func Fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, s)
		}
	}
	return strings.ToUpper(s)
}

// foldRune returns the least of the runes that r equals but for case.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return least
}

// An address is an IP address and how many of its leading bits are meant.
type address struct {
	addr netip.Addr
	bits int
}

func readAddress(s string) (address, bool) {
	s = strings.TrimSpace(s)
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return address{p.Addr(), p.Bits()}, err == nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return address{}, false
	}
	a = a.Unmap()
	return address{a, a.BitLen()}, true
}

// compare puts IPv4 before IPv6 and a network before the addresses in it that
// follow.
func (x address) compare(y address) int {
	return cmp.Or(x.addr.Compare(y.addr), cmp.Compare(x.bits, y.bits))
}
