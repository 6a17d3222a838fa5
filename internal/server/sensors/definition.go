// Package sensors is what sensors are to operators: objects of the public API
// on the shelf, beside the definitions that clients compute.
//
// An object says all that a definition says, and more that only programs need.
// Definition and Object lead from one to the other; Seed puts the sensors that
// there are onto the shelf. What is signed and sent is the server's business.
package sensors

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"catenary/internal/answer"
	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/value"
)

// Kind is the kind of objects that sensors are.
const Kind = "sensor"

// ScriptMax bounds one script, in bytes; all of a sensor's share
// sensor.BytesMax.
const ScriptMax = 256 << 10

const (
	descriptionMax = 16 << 10             // bytes
	nameMax        = 255                  // bytes of a category
	delimiterMax   = 16                   // bytes
	maxAgeDefault  = 15 * time.Minute     // when a sensor says nothing
	maxAgeMax      = 366 * 24 * time.Hour // older answers are no answers
)

// languages are the script types that clients have an interpreter for.
var languages = []sensor.Language{sensor.UnixShell, sensor.Python, sensor.Powershell}

// platforms are those that there are clients for.
var platforms = []sensor.Platform{sensor.Linux, sensor.Windows, sensor.Mac}

// Definition checks an object and returns the sensor that it describes.
func Definition(o *object.Object) (sensor.Sensor, error) {
	s := sensor.Sensor{
		Name: o.Text("name"), Description: o.Text("description"), Category: o.Text("category"), Delimiter: o.Text("delimiter"),
		KeepDuplicates: o.Is("keep_duplicates_flag"), IgnoreCase: o.Is("ignore_case_flag"), MaxAge: maxAgeDefault,
	}
	if err := checkName(s.Name); err != nil {
		return s, err
	}
	for _, text := range []struct {
		name, text string
		max        int
	}{
		{"description", s.Description, descriptionMax}, {"category", s.Category, nameMax}, {"delimiter", s.Delimiter, delimiterMax},
	} {
		if len(text.text) > text.max {
			return s, fault.New(fault.Invalid, "%s has %d bytes, more than %d", text.name, len(text.text), text.max)
		}
	}
	age := o.Int("max_age_seconds")
	if age < 0 || age > int64(maxAgeMax/time.Second) {
		return s, fault.New(fault.Invalid, "max_age_seconds is %d, not 1 to %d", age, maxAgeMax/time.Second)
	}
	if age > 0 {
		s.MaxAge = time.Duration(age) * time.Second
	}
	var err error
	if s.Columns, err = columns(o); err != nil {
		return s, err
	}
	if s.Scripts, err = scripts(o.Objects("queries")); err != nil {
		return s, err
	}
	for _, sc := range s.Scripts {
		s.Platforms = append(s.Platforms, sc.Platform)
	}
	var ok bool
	if s.Mode, ok = answer.ParseMode(o.Text("answer_mode")); !ok {
		return s, fault.New(fault.Internal, "%q is no mode", o.Text("answer_mode")) // the shape has none but ours
	}
	if s.Parameters, err = parameters(o.Text("parameter_definition")); err != nil {
		return s, err
	}
	if err := s.Check(); err != nil {
		return s, fault.New(fault.Invalid, "sensor %q: %w", shorten(s.Name), err)
	}
	if n := len(s.Append(nil)); n > sensor.BytesMax {
		return s, fault.New(fault.Invalid, "the sensor has %d bytes in all, more than %d", n, sensor.BytesMax)
	}
	return s, nil
}

// checkName refuses names that read as something else in a question, and those
// with a platform in front, which some programs cut off.
func checkName(name string) error {
	var why string
	switch prefix, _, colon := strings.Cut(name, ":"); {
	case strings.TrimSpace(name) == "":
		why = "it is empty"
	case strings.ContainsAny(name, `"[]`):
		why = `it has one of the characters " [ ]`
	case colon && slices.Contains([]string{"windows", "linux", "mac", "solaris", "aix"}, strings.ToLower(prefix)):
		why = "it begins with a platform"
	default:
		return nil
	}
	return fault.New(fault.Invalid, "SensorNameInvalid: %q is no name for a sensor: %s", shorten(name), why)
}

// shorten keeps what is enough to recognise a text in a message.
func shorten(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

func columns(o *object.Object) ([]sensor.Column, error) {
	parts := o.Objects("subcolumns")
	if len(parts) == 0 {
		t, err := columnType("value_type", o.Text("value_type"))
		return []sensor.Column{{Name: o.Text("name"), Type: t}}, err
	}
	if o.Text("delimiter") == "" {
		return nil, fault.New(fault.Invalid, "a sensor with subcolumns needs a delimiter")
	}
	ordered := slices.Clone(parts)
	slices.SortStableFunc(ordered, func(a, b *object.Object) int { return cmp.Compare(a.Int("index"), b.Int("index")) })
	var out []sensor.Column
	for _, c := range ordered {
		t, err := columnType(fmt.Sprintf("value_type of subcolumn %q", shorten(c.Text("name"))), c.Text("value_type"))
		if err != nil {
			return nil, err
		}
		out = append(out, sensor.Column{Name: c.Text("name"), Type: t})
	}
	return out, nil
}

func columnType(where, name string) (value.Type, error) {
	t, ok := value.ParseType(name)
	if !ok {
		return 0, fault.New(fault.Invalid, "%s: %q is no type of values", where, shorten(name))
	}
	return t, nil
}

// scripts are those that a client can run. Others, for platforms and in
// languages that no client knows, stay in the object: content from elsewhere
// often has a script for each.
func scripts(queries []*object.Object) ([]sensor.Script, error) {
	if len(queries) == 0 {
		return nil, fault.New(fault.Invalid, "queries: a sensor needs at least one, with platform, script_type and script")
	}
	var out []sensor.Script
	var unknown error
	for i, query := range queries {
		where := fmt.Sprintf("queries[%d]", i)
		sc := sensor.Script{
			Platform: sensor.Platform(query.Text("platform")), Language: sensor.Language(query.Text("script_type")), Source: query.Text("script"),
		}
		switch {
		case slices.ContainsFunc(queries[:i], func(q *object.Object) bool { return q.Text("platform") == string(sc.Platform) }):
			return nil, fault.New(fault.Invalid, "%s.platform: there are two for %s", where, sc.Platform)
		case strings.TrimSpace(sc.Source) == "":
			return nil, fault.New(fault.Invalid, "%s.script is empty", where)
		case len(sc.Source) > ScriptMax:
			return nil, fault.New(fault.Invalid, "%s.script has %d bytes, more than %d", where, len(sc.Source), ScriptMax)
		case strings.ContainsRune(sc.Source, 0):
			return nil, fault.New(fault.Invalid, "%s.script has a zero byte", where)
		case !slices.Contains(platforms, sc.Platform):
			unknown = cmp.Or(unknown, fault.New(fault.Invalid, "%s.platform: %q is not one of %v", where, sc.Platform, platforms))
		case !slices.Contains(languages, sc.Language):
			unknown = cmp.Or(unknown, fault.New(fault.Invalid, "%s.script_type: %q is not one of %v", where, sc.Language, languages))
		default:
			out = append(out, sc)
		}
	}
	if len(out) == 0 {
		return nil, unknown
	}
	return out, nil
}

// Object is what the public API says of a sensor. What was made from an object
// is best shown as that object: it may say more.
func Object(s sensor.Sensor) *object.Object {
	o := object.New(object.ShapeOf(Kind))
	o.Set("name", s.Name)
	o.Set("hash", int64(s.Hash()))
	o.Set("description", s.Description)
	o.Set("category", s.Category)
	o.Set("delimiter", s.Delimiter)
	o.Set("max_age_seconds", int64(s.MaxAge/time.Second))
	o.Set("keep_duplicates_flag", s.KeepDuplicates)
	o.Set("ignore_case_flag", s.IgnoreCase)
	o.Set("answer_mode", s.Mode.String())
	o.Set("sensitive_data_flag", s.Mode == answer.Sealed)
	o.Set("parameter_definition", printParameters(s.Parameters))
	var queries, parts []*object.Object
	for _, sc := range s.Scripts {
		q := object.New(object.ShapeOf("sensor_query"))
		q.Set("platform", string(sc.Platform))
		q.Set("script", sc.Source)
		q.Set("script_type", string(sc.Language))
		queries = append(queries, q)
	}
	o.Set("queries", object.ListOf(queries))
	if len(s.Columns) == 1 && s.Columns[0].Name == s.Name {
		o.Set("value_type", s.Columns[0].Type.String())
		return o
	}
	for i, col := range s.Columns {
		c := object.New(object.ShapeOf("sensor_subcolumn"))
		c.Set("index", int64(i))
		c.Set("name", col.Name)
		c.Set("value_type", col.Type.String())
		c.Set("ignore_case_flag", s.IgnoreCase)
		parts = append(parts, c)
	}
	o.Set("subcolumns", object.ListOf(parts))
	return o
}
