package exec

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

func TestFill(t *testing.T) {
	params := []sensor.Parameter{{Key: "path"}, {Key: "||depth||", Default: "3"}}
	for _, c := range []struct {
		source string
		values []string
		want   string
	}{
		{"cat ||path||", []string{"/etc/hosts"}, "cat %2Fetc%2Fhosts"},
		{"||path||||depth||", []string{"a", "b"}, "ab"},
		{"||path|| ||depth||", []string{"a"}, "a 3"},
		{"||path|| ||path||", []string{"A-z_0.9"}, "A-z_0.9 A-z_0.9"},
		{"'||path||'", []string{"'; rm -rf ~ #"}, "'%27%3B%20rm%20-rf%20%7E%20%23'"},
		{"||path|| ||depth||", []string{"||depth||", "x"}, "%7C%7Cdepth%7C%7C x"},
		{"||path||", []string{"é"}, "%C3%A9"},
		{"||unknown|| a||b", []string{"x"}, "||unknown|| a||b"},
		{"||path||", nil, ""},
	} {
		got, err := Fill(c.source, params, c.values)
		if err != nil || got != c.want {
			t.Errorf("Fill(%q, %q) = %q, %v, want %q", c.source, c.values, got, err, c.want)
		}
	}
	if _, err := Fill("", params, []string{"1", "2", "3"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("three values for two parameters: %v", err)
	}
}

// TestFillLaws: what is put in is made of characters that mean nothing to an
// interpreter, and the script gets back exactly what the asker gave.
func TestFillLaws(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		v := rapid.String().Draw(r, "value")
		got, err := Fill("||x||", []sensor.Parameter{{Key: "x"}}, []string{v})
		if err != nil {
			r.Fatal(err)
		}
		if i := strings.IndexFunc(got, func(c rune) bool { return c >= 0x80 || strings.ContainsRune(" \t\n'\"`$\\|&;<>()*?~#!{}[]=^@", c) }); i >= 0 {
			r.Fatalf("%q became %q", v, got)
		}
		if back, err := url.PathUnescape(got); err != nil || back != v {
			r.Fatalf("%q became %q and then %q, %v", v, got, back, err)
		}
	})
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		said string
		want []string
	}{
		{"", nil},
		{"\n\r\n\n", nil},
		{"a", []string{"a"}},
		{"a\nb\n", []string{"a", "b"}},
		{"a\r\nb\r\n", []string{"a", "b"}},
		{"a\n\n b \n", []string{"a", " b "}},
		{"\xef\xbb\xbfa\n", []string{"a"}},
		{"gr\xfc\xdfe\n", []string{"gr\uFFFDe"}},
		{"a\x00b\n", []string{"a\uFFFDb"}},
		{"grüße\n", []string{"grüße"}},
	} {
		if got := Lines([]byte(c.said)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Lines(%q) = %q, want %q", c.said, got, c.want)
		}
	}
}

func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "a\r\nb", "\xff\xfe\x00", "\ufeff\n\r"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		lines := Lines(b)
		for _, l := range lines {
			if l == "" || !utf8.ValidString(l) || strings.ContainsAny(l, "\n\x00") || strings.HasSuffix(l, "\r") {
				t.Fatalf("%q gives the line %q", b, l)
			}
		}
		again := Lines([]byte("\ufeff" + strings.Join(lines, "\r\n")))
		if !reflect.DeepEqual(again, lines) {
			t.Fatalf("%q gives %q, which gives %q", b, lines, again)
		}
	})
}

func TestRows(t *testing.T) {
	one := []sensor.Column{{Name: "A", Type: value.String}}
	three := []sensor.Column{{Name: "A", Type: value.String}, {Name: "B", Type: value.String}, {Name: "C", Type: value.String}}
	for _, c := range []struct {
		columns []sensor.Column
		delim   string
		line    string
		want    []string
	}{
		{one, "|", "a|b", []string{"a|b"}},
		{one, "", "a b", []string{"a b"}},
		{three, "|", "a|b|c", []string{"a", "b", "c"}},
		{three, "|", "a", []string{"a", "", ""}},
		{three, "|", "a|", []string{"a", "", ""}},
		{three, "|", "|b", []string{"", "b", ""}},
		{three, "|", "a|b|c|d|e", []string{"a", "b", "c|d|e"}},
		{three, "~~", "a~~b~~c", []string{"a", "b", "c"}},
		{three, "", "a b c", []string{"a b c", "", ""}},
	} {
		got := Rows(sensor.Sensor{Columns: c.columns, Delimiter: c.delim}, []string{c.line})
		if want := [][]string{c.want}; !reflect.DeepEqual(got, want) {
			t.Errorf("Rows(%q by %q) = %q, want %q", c.line, c.delim, got, want)
		}
	}
	if got := Rows(sensor.Sensor{Columns: one}, nil); len(got) != 0 {
		t.Errorf("no lines give %q", got)
	}
}

func TestHeadKeepsTheBeginning(t *testing.T) {
	full := 0
	h := &head{max: 5, full: func() { full++ }}
	for i, part := range []string{"abc", "de", "", "f", "ghi"} {
		n, err := h.Write([]byte(part))
		if n != len(part) || err != nil {
			t.Errorf("write %d: %d, %v", i, n, err)
		}
		if h.over != (i >= 3) {
			t.Errorf("after write %d over is %t", i, h.over)
		}
	}
	if string(h.kept) != "abcde" || full != 2 {
		t.Errorf("kept %q, called %d times", h.kept, full)
	}
}

// TestHas: a native sensor may have scripts for other platforms than this.
func TestHas(t *testing.T) {
	script := func(p sensor.Platform) sensor.Sensor {
		return sensor.Sensor{Name: "x", Shipped: true, Scripts: []sensor.Script{{Platform: p}}}
	}
	if !Has(script(platform)) || Has(script("Plan 9")) || Has(sensor.Sensor{Name: "x"}) {
		t.Error("a script for this platform and one for another are taken for each other")
	}
}
