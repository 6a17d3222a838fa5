package sensors

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
)

func decode(t testing.TB, body string) *object.Object {
	t.Helper()
	o, err := object.ShapeOf(Kind).Decode([]byte(body), object.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestBuiltin: what is said of the sensors that come with Catenary describes
// them.
func TestBuiltin(t *testing.T) {
	scripts := 0
	for _, s := range sensor.Builtin() {
		o := Object(s)
		if len(s.Scripts) == 0 {
			continue
		}
		scripts++
		again, err := Definition(o)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		if d := cmp.Diff(s, again, cmpopts.IgnoreFields(sensor.Sensor{}, "Shipped", "Platforms"), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: %s", s.Name, d)
		}
	}
	if scripts == 0 {
		t.Error("no sensor with a script was looked at")
	}
}

// TestForeignQueries: scripts that no client can run are kept, and do not
// count.
func TestForeignQueries(t *testing.T) {
	o := decode(t, `{"name":"Who","queries":[{"platform":"Solaris","script":"who","script_type":"UnixShell"},{"platform":"Linux","script":"who","script_type":"UnixShell"},{"platform":"Windows","script":"x","script_type":"VBScript"}]}`)
	s, err := Definition(o)
	if err != nil || len(s.Scripts) != 1 || s.Scripts[0].Platform != sensor.Linux || len(o.Objects("queries")) != 3 {
		t.Errorf("got %+v, %v", s.Scripts, err)
	}
}

func TestParameters(t *testing.T) {
	for kind, tt := range map[string]struct{ value, want string }{
		"TextInputParameter": {`"x"`, "x"}, "TextAreaParameter": {`"a\nb"`, "a\nb"}, "NumericParameter": {`7`, "7"}, "NumericIntervalParameter": {`1.5`, "1.5"},
		"DropDownListParameter": {`"two"`, "two"}, "CheckBoxParameter": {`true`, "1"}, "ListParameter": {`["a","b"]`, "a,b"}, "DateParameter": {`null`, ""},
		"DateTimeParameter": {`""`, ""}, "DateTimeRangeParameter": {`{}`, ""}, "TimeParameter": {`"08:00"`, "08:00"}, "PluginParameter": {`false`, "0"},
	} {
		list, err := parameters(`{"parameters":[{"key":"||k||","parameterType":"com.tanium.components.parameters::` + kind + `","defaultValue":` + tt.value + `}]}`)
		if err != nil || len(list) != 1 || list[0].Key != "k" || list[0].Default != tt.want {
			t.Errorf("%s: %+v, %v", kind, list, err)
		}
	}
	if _, err := parameters(`{"parameters":[` + strings.Repeat(" ", parametersMax) + `]}`); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a definition that is too long: %v", err)
	}
}

func FuzzDefinition(f *testing.F) {
	for _, seed := range []string{
		`{"name":"Who","queries":[{"platform":"Linux","script":"who","script_type":"UnixShell"}],"delimiter":"|","subcolumns":[{"name":"a"},{"name":"b"}]}`,
		`{}`, `{"name":"x","queries":[null]}`, `{"subcolumns":[null,null],"delimiter":"x","name":"n"}`, `{"parameter_definition":"{\"parameters\":[null]}"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := object.ShapeOf(Kind).Decode(body, object.Lenient)
		if err != nil {
			return
		}
		s, err := Definition(o)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("%q: %v is not the sender's fault", body, err)
			}
			return
		}
		// What was taken can be stored, signed and found again, and its object
		// describes the same.
		if _, err := sensor.NewCatalogue([]sensor.Sensor{s}); err != nil {
			t.Errorf("%q: %v", body, err)
		}
		if again, err := sensor.Decode(s.Append(nil)); err != nil || again.Name != s.Name {
			t.Errorf("%q: %v", body, err)
		}
		again, err := Definition(Object(s))
		if err != nil || !bytes.Equal(again.Append(nil), s.Append(nil)) {
			t.Errorf("%q: described as %+v, want %+v: %v", body, again, s, err)
		}
	})
}
