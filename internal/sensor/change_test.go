package sensor

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// describe is everything that a catalogue says, but for the numbers of places.
func describe(c *Catalogue) string {
	var b strings.Builder
	var words []string
	for _, s := range c.All() {
		byName, _ := c.ByName(strings.ToUpper(s.Name))
		byHash, _ := c.ByHash(s.Hash())
		fmt.Fprintln(&b, s.Name, s.Description, byName.Description, byHash.Description, c.Prefixes(s.Name+" x"))
	}
	for _, w := range c.Words() {
		var of []string
		for _, place := range w.Sensors {
			if name, _ := c.Name(place); name != "" {
				of = append(of, name)
			}
		}
		if slices.Sort(of); len(of) > 0 {
			words = append(words, w.Text+fmt.Sprint(of))
		}
	}
	slices.Sort(words)
	fmt.Fprintln(&b, c.Len(), words)
	return b.String()
}

// TestChangedLaw: a catalogue that was changed again and again says what one says
// that is made anew, and what it was made from says what it said.
func TestChangedLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.StringMatching(`[ab]( [ab])?( [cÄ])?`)
		now, err := NewCatalogue(nil)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]Sensor{}
		for i := range rapid.IntRange(1, 30).Draw(t, "changes") {
			was := describe(now)
			without := rapid.SliceOfN(names, 0, 3).Draw(t, "without")
			var with []Sensor
			for _, name := range rapid.SliceOfNDistinct(names, 0, 3, strings.ToLower).Draw(t, "with") {
				s := named(name)
				s.Description = fmt.Sprint("change ", i)
				with = append(with, s)
			}
			next, err := now.Changed(without, with)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range without {
				delete(want, strings.ToLower(name))
			}
			for _, s := range with {
				want[strings.ToLower(s.Name)] = s
			}
			if is := describe(now); is != was {
				t.Fatalf("the catalogue before the change says now\n%s, and said\n%s", is, was)
			}
			var all []Sensor
			for _, s := range want {
				all = append(all, s)
			}
			fresh, err := NewCatalogue(all)
			if err != nil {
				t.Fatal(err)
			}
			if is, made := describe(next), describe(fresh); is != made {
				t.Fatalf("changed:\n%s\nmade anew:\n%s", is, made)
			}
			now = next
		}
	})
}

// TestChangedForgets: names that come and go leave no places behind for good.
func TestChangedForgets(t *testing.T) {
	c := catalogueOf(t, "Stays")
	for i := range 3 * placesKept {
		var err error
		if c, err = c.Changed([]string{fmt.Sprint("Goes ", i-1)}, []Sensor{named(fmt.Sprint("Goes ", i))}); err != nil {
			t.Fatal(err)
		}
	}
	if c.Len() != 2 || c.Places() > placesKept+1 {
		t.Errorf("%d sensors in %d places", c.Len(), c.Places())
	}
}

// costOfChange is how many bytes a change of one sensor takes.
func costOfChange(t testing.TB, sensors int) uint64 {
	c := manySensors(t, sensors)
	const changes = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range changes {
		if _, err := c.Changed(nil, []Sensor{named(fmt.Sprint("Sensor number ", i))}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / changes
}

func manySensors(t testing.TB, n int) *Catalogue {
	all := make([]Sensor, n)
	for i := range all {
		all[i] = named(fmt.Sprint("Sensor number ", i))
	}
	c, err := NewCatalogue(all)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCostOfChange: a change takes the same, however many sensors there are.
func TestCostOfChange(t *testing.T) {
	few, many := costOfChange(t, 300), costOfChange(t, 30_000)
	if many > 2*few {
		t.Errorf("a change takes %d bytes with 300 sensors and %d with 30,000", few, many)
	}
}

func BenchmarkChanged(b *testing.B) {
	for _, n := range []int{300, 10_000} {
		c := manySensors(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Changed(nil, []Sensor{named("Sensor number 7")}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
