package plan

import (
	"testing"

	"catenary/internal/answer"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// TestMode: the strictest sensor of a question decides, also if it stands in
// the condition only, and one that is unknown counts as sealed.
func TestMode(t *testing.T) {
	of := func(name string, m answer.Mode) sensor.Sensor {
		return sensor.Sensor{Name: name, Columns: []sensor.Column{{Name: name, Type: value.String}}, Mode: m}
	}
	all := []sensor.Sensor{of("Open", answer.Merged), of("Vouched", answer.Attested), of("Secret", answer.Sealed)}
	c, err := sensor.NewCatalogue(all)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]answer.Mode{
		"Get Open from all machines":                                                 answer.Merged,
		"Get Open and Vouched from all machines":                                     answer.Attested,
		"Get Vouched and Secret and Open from all machines":                          answer.Sealed,
		"Get Open from all machines with Secret equals x":                            answer.Sealed,
		"Get Open from all machines with ( Open equals x and not Vouched equals y )": answer.Attested,
		"Get number of machines":                                                     answer.Merged,
		"Get number of machines from all machines with Secret contains x":            answer.Sealed,
	} {
		q, err := question.Parse(text, c, nil)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		p, err := Compile(q, c, Options{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := p.Mode(c); got != want {
			t.Errorf("%s: travels %v, want %v", text, got, want)
		}
	}
	without, err := sensor.NewCatalogue(all[:1])
	if err != nil {
		t.Fatal(err)
	}
	if got := (Plan{Sensors: []Use{{Name: "Vouched"}}}).Mode(without); got != answer.Sealed {
		t.Errorf("a sensor that is gone travels %v", got)
	}
}
