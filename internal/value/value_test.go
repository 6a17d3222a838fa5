package value

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTypeNames(t *testing.T) {
	for n := range len(typeNames) {
		typ := Type(n)
		if got, ok := ParseType(typ.String()); !ok || got != typ {
			t.Errorf("ParseType(%q) = %v, %v", typ, got, ok)
		}
	}
	for _, name := range []string{"", "string", "Date", "Type(12)"} {
		if got, ok := ParseType(name); ok {
			t.Errorf("ParseType(%q) = %v, want none", name, got)
		}
	}
	if got := Type(12).String(); got != "Type(12)" {
		t.Errorf("Type(12) prints as %q", got)
	}
	if _, ok := Compare(Type(12), "a", "a"); ok {
		t.Error("texts of an unknown type compare")
	}
}

// TestCompare: each line holds texts in ascending order; = joins spellings of
// one value.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		typ   Type
		order []string
	}{
		{String, []string{"", "a = A", "Straße = STRAßE", "ß = ẞ", "Ω = Ω"}},
		{Hash, []string{"0a1b = 0A1B", "ff = FF"}},
		{RegexMatch, []string{".*a = .*A", ".*b"}},
		{Version, []string{
			"1.0~rc1", "1.0~1", "1.0-alpha", "1.0beta2", "1.0rc1 = 1.0-RC1 = v1.0.rc.1", "1 = 1.0 = 1.0.0 = 1-0 = 01.00",
			"1.0n", "1.0.1", "1.9", "1.10 = 1.010", "1.10.1-3ubuntu4", "1.10.1-3ubuntu10", "7.4.5.1225",
			"10.0.9", "10.0.19045 = 10.0.19045.0", "99999999999999999999", "100000000000000000000",
		}},
		{Numeric, []string{
			"-1e3 = -1000", "-2", "-1.5 = -1.50 = -15e-1", "-0.001", "0 = -0 = 0.0 = 0e7 = .0", "1e-9999", "0.0009 = 9e-4",
			".5 = 0.5 = +0.5 = 50e-2", "1 = 1. = 01", "79.9 %", "80% = 80 = 80 % = 8e1", "9007199254740992", "9007199254740993", "1e9999",
		}},
		{NumericInteger, []string{
			"-9223372036854775809", "-1", "0 = -0 = +0", "1 = 001", "80 = 80%", "18446744073709551615", "18446744073709551616",
			"123456789012345678901234567890",
		}},
		{IPAddress, []string{
			"0.0.0.0", "9.255.255.255", "10.0.0.0/8", "10.0.0.0 = 10.0.0.0/32 = ::ffff:10.0.0.0", "10.0.0.2", "10.0.0.10",
			"::1", "fe80::1 = FE80:0::1", "fe80::1%eth0",
		}},
		{DataSize, []string{
			"0", "512", "1KB = 1024 = 1 kib = 1024 bytes = 1k", "125MB = 125 M", "1023.5 MB", "1 GB = 1024MB = 1GiB", "1.5 GB = 1536 MB",
			"2TB", "1PB", "1EB",
		}},
		{TimeDiff, []string{
			"-1 day", "0 seconds", "1 ms", "59 seconds = 59 = 59s", "1 minute = 60 sec = 60", "4.2 hours = 252 minutes = 4h 12m",
			"1 day = 24 hours", "1 week", "11 months", "12 months", "1 year = 365 days", "2 years, 3 months", "2 years, 3 months, 1 day = 2y 3mo 1d",
		}},
		{BESDate, []string{
			"Sun, 22 Nov 2026 01:30:00 +0100", "Sun, 22 Nov 2026 01:30:00 +0000 = Sun, 22 Nov 2026 01:30:00 GMT = Sat, 21 Nov 2026 20:30:00 -0500",
			"Wed, 2 Dec 2026 01:30:00 +0000 = Wed, 02 Dec 2026 01:30:00 +0000",
		}},
		{WMIDate, []string{
			"20261122013000.000000+060", "20261122013000.000000+000 = 20261122003000.000000-060", "20261122013000.000001+000",
		}},
		{VariousDate, []string{
			"2026-11-21", "2026-11-22 = 11/22/2026 = 20261122 = 22 Nov 2026 = Nov 22, 2026 = 2026/11/22 = 2026-11-22T00:00:00Z",
			"2026-11-22T01:30:00Z = 2026-11-22T02:30:00+01:00 = 2026-11-22 01:30:00 = 2026-11-22 01:30 = 11/22/2026 1:30:00 AM" +
				" = Sun, 22 Nov 2026 01:30:00 +0000 = 20261122013000.000000+000 = 2026/11/22 01:30:00 GMT-0000 = Sun Nov 22 01:30:00 2026",
			"2026-11-22T01:30:00.25Z", "2026-11-22 01:30:00 -0500", "11/22/2026 1:30:00 PM = 11/22/2026 13:30:00",
		}},
	} {
		t.Run(c.typ.String(), func(t *testing.T) { ascending(t, c.typ, c.order) })
	}
}

func ascending(t *testing.T, typ Type, order []string) {
	for i, x := range order {
		for j, y := range order {
			want := 0
			if i != j {
				want = 2*min(1, max(0, i-j)) - 1
			}
			for a := range strings.SplitSeq(x, " = ") {
				for b := range strings.SplitSeq(y, " = ") {
					if got, ok := Compare(typ, a, b); !ok || got != want {
						t.Errorf("Compare(%q, %q) = %d, %v, want %d", a, b, got, ok, want)
					}
				}
			}
		}
	}
}

func TestNotComparable(t *testing.T) {
	for typ, texts := range map[Type][]string{
		Version:        {"", "v", "[no results]", "TSE-Error: exit 1", "unknown"},
		Numeric:        {"", "-", "%", ".", "1.2.3", "NaN", "Inf", "0x10", "1e", "1e10000", "1,000", "12 apples", "1 2"},
		NumericInteger: {"", "1.0", "1e3", "[no results]"},
		IPAddress:      {"", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.0/33", "localhost"},
		DataSize:       {"", "MB", "1.5.5 GB", "1 XB", "1 GBs", "-1 MB", "1.5 GB free", strings.Repeat("9", 400)},
		TimeDiff:       {"", "-", "days", "2 fortnights", "1 day 5", "1..5 hours", "2 years, , 3 days", "999999999 years", "1 year, 300000000000 days"},
		BESDate:        {"", "22 Nov 2026", "Sun, 31 Feb 2026 01:30:00 +0000", "2026-11-22"},
		WMIDate:        {"", "20261122013000", "20261122013000.000000", "20261322013000.000000+000", "20261122013000.000000 060", "20261122013000.000000+0x0", "20261122******.******+***"},
		VariousDate:    {"", "yesterday", "2026-13-01", "31/12/2026", "1732239000"},
	} {
		for _, text := range texts {
			if _, ok := Compare(typ, text, text); ok {
				t.Errorf("%q can be read as %v", text, typ)
			}
		}
	}
}

func TestCompareText(t *testing.T) {
	for _, c := range []struct {
		a, b       string
		ignoreCase bool
		want       int
	}{
		{"abc", "ABC", true, 0}, {"abc", "ABC", false, 1}, {"K", "\u212a", true, 0}, {"K", "\u212a", false, -1},
		{"ab", "ABC", true, -1}, {"b", "A", true, 1}, {"\xff", "\xfe", true, 0}, {"\xff", "\xfe", false, 1},
	} {
		if got := CompareText(c.a, c.b, c.ignoreCase); got != c.want {
			t.Errorf("CompareText(%q, %q, %v) = %d, want %d", c.a, c.b, c.ignoreCase, got, c.want)
		}
	}
}

func TestFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringMatching(`[aAkKßẞσςΣſsS\x{212a}é]{0,4}`).Draw(t, "a"), rapid.StringMatching(`[aAkKßẞσςΣſsS\x{212a}é]{0,4}`).Draw(t, "b")
		if got, want := Fold(a) == Fold(b), strings.EqualFold(a, b); got != want {
			t.Fatalf("%q and %q: folds equal %v, EqualFold %v", a, b, got, want)
		}
		if got, want := CompareText(a, b, true) == 0, strings.EqualFold(a, b); got != want {
			t.Fatalf("%q and %q: compare equal %v, EqualFold %v", a, b, got, want)
		}
	})
}

// drawText draws a text that can often be read as typ.
func drawText(typ Type) *rapid.Generator[string] {
	forms := map[Type]string{
		Version:        `v?[0-9]{1,3}([.~-]?([0-9]{1,3}|rc|n|beta|[a-z]{1,2})){0,4}`,
		Numeric:        `[+-]?(0{0,2}[0-9]{0,3}\.?[0-9]{0,3})(e[+-]?[0-9]{1,2})?( ?%)?`,
		NumericInteger: `[+-]?[0-9]{1,25}`,
		IPAddress:      `([0-9]{1,2}\.){3}[0-9]{1,2}(/[0-9]{1,2})?|(::ffff:)?1\.2\.3\.[4-6]|fe80::[0-3](%[a-b])?`,
		TimeDiff:       `-?[0-9]{1,3}(\.[0-9]{1,2})? ?(s|sec|minutes|h|days|weeks|mo|years)(,? [0-9] (hours|ms|min))?|[0-9]{1,6}`,
		DataSize:       `[0-9]{1,4}(\.[0-9]{1,3})? ?([kmgtpe]?b?|KiB|bytes)`,
		WMIDate:        `2026(0[1-9]|1[0-2])1[0-9]0130[0-5][0-9]\.[0-9]{6}[+-]0[0-9]{2}`,
		BESDate:        `(Sun|Mon), 1?[1-9] (Jan|Dec) 2026 0[0-9]:30:00 ([+-]0[0-9]00|GMT)`,
		VariousDate:    `2026-0[1-3]-1[0-9]([T ]0[0-9]:30:00(Z|[+-]0[0-9]:00)?)?|0?[1-3]/1[0-9]/2026|2026011[0-9]|1[0-9] Jan 2026`,
	}
	if form, ok := forms[typ]; ok {
		return rapid.StringMatching(form)
	}
	return rapid.StringMatching(`[aAbBkßſσς ]{0,3}`)
}

// TestCompareIsATotalPreorder: on the texts that can be read, each is equal to
// itself, the order turns with its operands, and it is transitive.
func TestCompareIsATotalPreorder(t *testing.T) {
	for n := range len(typeNames) {
		typ := Type(n)
		t.Run(typ.String(), func(t *testing.T) {
			readable := 0
			rapid.Check(t, func(t *rapid.T) {
				texts := rapid.SliceOfN(drawText(typ), 3, 3).Draw(t, "texts")
				a, b, c := texts[0], texts[1], texts[2]
				if order, ok := Compare(typ, a, a); ok && order != 0 {
					t.Fatalf("%q is %d to itself", a, order)
				}
				ab, ok1 := Compare(typ, a, b)
				ba, ok2 := Compare(typ, b, a)
				if ok1 != ok2 || ab != -ba {
					t.Fatalf("%q to %q is %d %v, the other way %d %v", a, b, ab, ok1, ba, ok2)
				}
				bc, ok3 := Compare(typ, b, c)
				ac, ok4 := Compare(typ, a, c)
				if !ok1 || !ok3 {
					return
				}
				readable++
				if !ok4 || ab <= 0 && bc <= 0 && (ac > 0 || ac == 0 && ab+bc < 0) {
					t.Fatalf("%q to %q is %d, %q to %q is %d, but %q to %q is %d %v", a, b, ab, b, c, bc, a, c, ac, ok4)
				}
			})
			if readable < 30 {
				t.Errorf("only %d of the drawn triples could be compared", readable)
			}
		})
	}
}

// TestNumbersAgreeWithBig holds the comparison of digits against big numbers.
func TestNumbersAgreeWithBig(t *testing.T) {
	draw := rapid.StringMatching(`[+-]?[0-9]{1,24}\.[0-9]{1,5}(e[+-]?[0-9])?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if got, ok := Compare(Numeric, a, b); !ok || got != x.Cmp(y) {
			t.Fatalf("Compare(%s, %s) = %d, %v, want %d", a, b, got, ok, x.Cmp(y))
		}
	})
}

// TestDatesAgreeWithTime: an instant compares as itself in every form.
func TestDatesAgreeWithTime(t *testing.T) {
	forms := []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "Mon, 02 Jan 2006 15:04:05 -0700", "2006/01/02 15:04:05 GMT-0700"}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) (time.Time, string) {
			zone := time.FixedZone("", rapid.IntRange(-11, 11).Draw(t, label+" zone")*3600)
			at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, label), 0).In(zone)
			return at, at.Format(rapid.SampledFrom(forms).Draw(t, label+" form"))
		}
		x, a := draw("a")
		y, b := draw("b")
		if got, ok := Compare(VariousDate, a, b); !ok || got != x.Compare(y) {
			t.Fatalf("Compare(%q, %q) = %d, %v, want %d", a, b, got, ok, x.Compare(y))
		}
	})
}

func FuzzCompare(f *testing.F) {
	for n := range len(typeNames) {
		f.Add(uint8(n), "1.10", "1.9rc1")
		f.Add(uint8(n), "2 years, 3 months", "4.2 hours")
		f.Add(uint8(n), "2026-11-22T01:30:00Z", "Sun, 22 Nov 2026 01:30:00 +0000")
		f.Add(uint8(n), "125MB", "10.0.0.0/8")
	}
	f.Fuzz(func(t *testing.T, n uint8, a, b string) {
		typ := Type(n)
		if order, ok := Compare(typ, a, a); ok && order != 0 {
			t.Fatalf("%v: %q is %d to itself", typ, a, order)
		}
		ab, ok1 := Compare(typ, a, b)
		ba, ok2 := Compare(typ, b, a)
		if ab != -ba || ok1 != ok2 {
			t.Fatalf("%v: %q to %q is %d %v, the other way %d %v", typ, a, b, ab, ok1, ba, ok2)
		}
	})
}

func BenchmarkCompare(b *testing.B) {
	for typ, text := range map[Type]string{
		String: "Ubuntu 24.04.1 LTS", Version: "10.0.19045.4529", Numeric: "80.25", IPAddress: "10.20.30.40",
		DataSize: "125.5 MB", TimeDiff: "2 years, 3 months", VariousDate: "2026-11-22 01:30:00",
	} {
		b.Run(fmt.Sprint(typ), func(b *testing.B) {
			compare := Against(typ, text)
			for b.Loop() {
				compare(text)
			}
		})
	}
}
