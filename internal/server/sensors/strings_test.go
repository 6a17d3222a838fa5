package sensors

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"catenary/internal/fault"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestKeptOf(t *testing.T) {
	for body, want := range map[string]Kept{
		`{}`: {},
		`{"max_strings":5,"max_string_age_minutes":90,"exclude_from_parse_flag":true}`: {5, 90 * time.Minute, true},
		`{"sensitive_data_flag":true}`: {Unhinted: true},
		`{"hidden_flag":true}`:         {Unhinted: true},

		`{"subcolumns":[{"name":"a"},{"name":"b","exclude_from_parse_flag":true}]}`: {Unhinted: true},
	} {
		if got, err := KeptOf(decode(t, body)); got != want || err != nil {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for _, body := range []string{`{"max_strings":-1}`, `{"max_strings":4294967296}`, `{"max_string_age_minutes":-1}`, `{"max_string_age_minutes":527041}`} {
		if _, err := KeptOf(decode(t, body)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// who asks with one bound for all sensors.
func who(s *Strings, k Kept, words ...string) (out []string) {
	for _, h := range s.Who(noon, words, 3, func(name string) (Kept, bool) { return k, name != "Secret" }) {
		out = append(out, h.Sensor+": "+h.Text)
	}
	return out
}

// TestStringsHeard: whole words find the sensors that machines said them of, the
// nearest first, but not for who may not know, nor of sensors that are left out.
func TestStringsHeard(t *testing.T) {
	s := NewStrings()
	s.Hear(noon, "System", Kept{}, []string{"Debian GNU/Linux 12", "Windows 10"})
	s.Hear(noon, "Application", Kept{}, []string{"Windows 10 Update Assistant|1.2"})
	s.Hear(noon, "Secret", Kept{}, []string{"windows 10"})
	s.Hear(noon, "Left Out", Kept{Unhinted: true}, []string{"windows 10"})
	for _, tt := range []struct {
		words, want []string
	}{
		{[]string{"windows", "10"}, []string{"System: windows 10", "Application: windows 10"}}, {[]string{"debian"}, []string{"System: debian"}},
		{[]string{"gnu", "linux", "12"}, []string{"System: gnu/linux 12"}}, {[]string{"10", "windows"}, nil}, {[]string{"window"}, nil},
		{[]string{"update"}, []string{"Application: update"}}, {[]string{"2"}, []string{"Application: 2"}}, {nil, nil},
	} {
		if got := who(s, Kept{}, tt.words...); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.words, got, tt.want)
		}
	}
	if got := who(s, Kept{Unhinted: true}, "debian"); len(got) != 0 {
		t.Errorf("of sensors that are left out by now: %q", got)
	}
}

// TestStringsBounded: no more are remembered than may, the newest; what is old is
// forgotten, also if the bound was made narrower since.
func TestStringsBounded(t *testing.T) {
	s := NewStrings()
	var many []string
	for i := range 3 * heardOfOne {
		many = append(many, fmt.Sprint("text ", i))
	}
	s.Hear(noon.Add(-time.Hour), "A", Kept{}, many)
	if n := s.Count(noon, "A", Kept{}); n != heardOfOne {
		t.Errorf("%d strings", n)
	}
	s.Hear(noon, "A", Kept{}, []string{"new"})
	if n := s.Count(noon, "A", Kept{}); n != heardOfOne || len(who(s, Kept{}, "new")) != 1 {
		t.Errorf("%d strings", n)
	}
	if n := s.Count(noon, "A", Kept{Age: time.Minute}); n != 1 {
		t.Errorf("%d strings of the last minute", n)
	}
	s.Hear(noon, "A", Kept{Strings: 3}, many)
	if n := s.Count(noon, "A", Kept{Strings: 3}); n != 3 {
		t.Errorf("%d strings with a bound of 3", n)
	}
	if n := s.Count(noon.Add(heardFor+1), "A", Kept{}); n != 0 {
		t.Errorf("%d strings after a week", n)
	}
	for i := range 2 * heardMax / heardOfOne {
		s.Hear(noon, fmt.Sprint("Sensor ", i), Kept{}, many)
	}
	total := 0
	for name := range s.of {
		total += len(s.of[name])
	}
	if total > heardMax || total != s.total {
		t.Errorf("%d strings in all, counted as %d", total, s.total)
	}
	s.Hear(noon.Add(heardFor+time.Hour), "Late", Kept{}, []string{"new"})
	if len(s.of) != 1 || s.total != 1 {
		t.Errorf("a week later %d sensors have %d strings", len(s.of), s.total)
	}
}
