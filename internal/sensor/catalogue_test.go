package sensor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/value"
)

func named(name string) Sensor {
	return Sensor{Name: name, Columns: []Column{{name, value.String}}}
}

func catalogueOf(t *testing.T, names ...string) *Catalogue {
	t.Helper()
	var all []Sensor
	for _, name := range names {
		all = append(all, named(name))
	}
	c, err := NewCatalogue(all)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCatalogueLookups(t *testing.T) {
	c := catalogueOf(t, "Operating System", "IP Address", "computer Name", "Größe")
	var order []string
	for i, s := range c.All() {
		order = append(order, s.Name)
		if name, folded := c.Name(i); name != s.Name || folded != strings.ToLower(name) {
			t.Errorf("Name(%d) = %q, %q", i, name, folded)
		}
	}
	if got := strings.Join(order, ", "); got != "computer Name, Größe, IP Address, Operating System" || c.Len() != 4 {
		t.Errorf("All() = %s", got)
	}
	for name, want := range map[string]string{
		"ip address": "IP Address", "COMPUTER  NAME": "computer Name", "GRÖSSE": "", "GRÖßE": "Größe",
		"\tip\u00a0address ": "IP Address", "": "", "ip": "", "zzz": "",
	} {
		if s, ok := c.ByName(name); s.Name != want || ok != (want != "") {
			t.Errorf("ByName(%q) = %q, %v, want %q", name, s.Name, ok, want)
		}
	}
	if s, ok := c.ByHash(3209138996); !ok || s.Name != "IP Address" {
		t.Errorf("ByHash = %q, %v", s.Name, ok)
	}
	if s, ok := c.ByHash(1); ok {
		t.Errorf("ByHash(1) = %q", s.Name)
	}
	c.All()[0].Name = "changed"
	if name, _ := c.Name(0); name != "computer Name" {
		t.Error("the catalogue was changed from outside")
	}
}

func TestPrefixes(t *testing.T) {
	c := catalogueOf(t, "Running Processes", "Running Processes with Hash", "Running", "IP", "IP Address", "CPU %", "[x]", "Größe")
	for text, want := range map[string]string{
		"running processes WITH hash from":  "Running Processes with Hash:27, Running Processes:17, Running:7",
		"Running  \n Processes with Hashes": "Running Processes:20, Running:7",
		"Running Processes[a]":              "Running Processes:17, Running:7",
		"running":                           "Running:7",
		"runnings":                          "",
		"IPv4":                              "",
		"IP\u00a0Address:x":                 "IP Address:11, IP:2",
		"cpu %5":                            "CPU %:5",
		"[X] y":                             "[x]:3",
		"GRÖßE and":                         "Größe:7",
		"":                                  "",
		"\xff":                              "",
		"Running\xffProcesses":              "Running:7",
	} {
		var got []string
		for _, p := range c.Prefixes(text) {
			got = append(got, fmt.Sprintf("%s:%d", p.Sensor.Name, p.Len))
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("Prefixes(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	c := catalogueOf(t, "IP Address", "MAC Address", "Address of Address", "CPU-Load %")
	var got []string
	for _, w := range c.Words() {
		got = append(got, fmt.Sprint(w.Text, w.Sensors))
	}
	slices.Sort(got)
	if got := strings.Join(got, " "); got != "address[0 2 3] cpu[1] ip[2] load[1] mac[3] of[0]" {
		t.Errorf("words: %s", got)
	}
}

func TestNewCatalogueRefuses(t *testing.T) {
	two := func(change func(*Sensor)) []Sensor {
		s := named("B")
		s.Parameters = []Parameter{{Key: "path"}}
		change(&s)
		return []Sensor{named("A"), s}
	}
	for want, sensors := range map[string][]Sensor{
		`two sensors are called "a"`:          {named("A"), named("a")},
		"have the same hash 780451815":        {named("Sensor 943880"), named("Sensor 317991"), named("plain")},
		`sensor "": a name has 1 to 256`:      two(func(s *Sensor) { s.Name = "" }),
		"a name has 1 to 256":                 two(func(s *Sensor) { s.Name = strings.Repeat("x", 257) }),
		"256 bytes of UTF-8":                  two(func(s *Sensor) { s.Name = "\xff" }),
		"no blanks at its ends":               two(func(s *Sensor) { s.Name = "B " }),
		"single ones within":                  two(func(s *Sensor) { s.Name = "B  B" }),
		"no control characters":               two(func(s *Sensor) { s.Name = "B\x00" }),
		"1 to 64 columns, not 0":              two(func(s *Sensor) { s.Columns = nil }),
		"1 to 64 columns, not 65":             two(func(s *Sensor) { s.Columns = make([]Column, 65) }),
		"at most 32 parameters, not 33":       two(func(s *Sensor) { s.Parameters = make([]Parameter, 33) }),
		"fresh from 0 to 87600h0m0s, not -1s": two(func(s *Sensor) { s.MaxAge = -time.Second }),
		"not 87600h0m1s":                      two(func(s *Sensor) { s.MaxAge = ageMax + time.Second }),
		`column "C": Type(77) is no type`:     two(func(s *Sensor) { s.Columns[0] = Column{"C", 77} }),
		`column "": a name`:                   two(func(s *Sensor) { s.Columns[0].Name = "" }),
		`two columns are called "b"`:          two(func(s *Sensor) { s.Columns = append(s.Columns, Column{"b", value.String}) }),
		`two parameters are called "path"`:    two(func(s *Sensor) { s.Parameters = append(s.Parameters, s.Parameters[0]) }),
		`parameter "": a name`:                two(func(s *Sensor) { s.Parameters[0].Key = "" }),
	} {
		if _, err := NewCatalogue(sensors); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := NewCatalogue(two(func(*Sensor) {})); err != nil {
		t.Error(err)
	}
}

func TestColumn(t *testing.T) {
	s := Sensor{Name: "Installed Applications", Columns: []Column{{"Name", value.String}, {"Install Date", value.VariousDate}}}
	for name, want := range map[string]int{"name": 0, "INSTALL  date": 1, "Version": -1, "": -1} {
		if got, ok := s.Column(name); got != want || ok != (want >= 0) {
			t.Errorf("Column(%q) = %d, %v", name, got, ok)
		}
	}
}

// TestPrefixesFindEveryName: whatever follows a name, the name is found.
func TestPrefixesFindEveryName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[abÄ%\[]{1,3}( [abÄ%]{1,2}){0,2}`), 1, 8, foldName).Draw(t, "names")
		var all []Sensor
		for _, name := range names {
			all = append(all, named(name))
		}
		c, err := NewCatalogue(all)
		if err != nil {
			t.Skip(err)
		}
		for _, name := range names {
			found := c.Prefixes(strings.ToUpper(strings.ReplaceAll(name, " ", " \t")) + rapid.SampledFrom([]string{"", " a", ":a", "[b]"}).Draw(t, "after"))
			if !slices.ContainsFunc(found, func(p Prefix) bool { return p.Sensor.Name == name }) {
				t.Fatalf("%q is not among %v", name, found)
			}
			if !slices.IsSortedFunc(found, func(p, q Prefix) int { return q.Len - p.Len }) {
				t.Fatalf("%v is not sorted by length", found)
			}
		}
	})
}

func BenchmarkNewCatalogue(b *testing.B) {
	var all []Sensor
	for i := range 3000 {
		all = append(all, named(fmt.Sprintf("Sensor %d of Group %d", i, i%70)))
	}
	for b.Loop() {
		if _, err := NewCatalogue(all); err != nil {
			b.Fatal(err)
		}
	}
}
