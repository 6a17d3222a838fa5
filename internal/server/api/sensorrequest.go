package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"catenary/internal/answer"
	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

const (
	scriptMax      = 256 << 10            // bytes of one script; all of a sensor's share sensor.BytesMax
	descriptionMax = 16 << 10             // bytes
	delimiterMax   = 16                   // bytes
	maxAgeDefault  = 15 * time.Minute     // when a sensor says nothing
	maxAgeMax      = 366 * 24 * time.Hour // older answers are no answers
)

// languages are the script types that clients have an interpreter for.
var languages = []sensor.Language{sensor.UnixShell, sensor.Python, sensor.Powershell}

var platforms = []sensor.Platform{sensor.Linux, sensor.Windows, sensor.Mac}

// A sensorRequest is a sensor as a program sends it.
type sensorRequest struct {
	Name                string          `json:"name"`
	Description         string          `json:"description"`
	Category            string          `json:"category"`
	ValueType           string          `json:"value_type"`
	Delimiter           string          `json:"delimiter"`
	MaxAgeSeconds       number          `json:"max_age_seconds"` // 0: the default
	KeepDuplicatesFlag  flag            `json:"keep_duplicates_flag"`
	IgnoreCaseFlag      *flag           `json:"ignore_case_flag"`
	ParameterDefinition *string         `json:"parameter_definition"`
	Subcolumns          []columnRequest `json:"subcolumns"`
	Queries             []queryObject   `json:"queries"`
	AnswerMode          string          `json:"answer_mode"` // merged if it is not said
}

type columnRequest struct {
	Index     number `json:"index"`
	Name      string `json:"name"`
	ValueType string `json:"value_type"`
}

// sensor checks the request and returns the sensor that it describes.
func (q sensorRequest) sensor() (sensor.Sensor, error) {
	s := sensor.Sensor{
		Name: q.Name, Description: q.Description, Category: q.Category, Delimiter: q.Delimiter,
		KeepDuplicates: bool(q.KeepDuplicatesFlag), IgnoreCase: q.IgnoreCaseFlag == nil || bool(*q.IgnoreCaseFlag),
		MaxAge: maxAgeDefault,
	}
	if err := checkSensorName(q.Name); err != nil {
		return s, err
	}
	for _, text := range []struct {
		name, text string
		max        int
	}{
		{"description", q.Description, descriptionMax}, {"category", q.Category, nameMax}, {"delimiter", q.Delimiter, delimiterMax},
	} {
		if len(text.text) > text.max {
			return s, fault.New(fault.Invalid, "%s has %d bytes, more than %d", text.name, len(text.text), text.max)
		}
	}
	if q.MaxAgeSeconds < 0 || q.MaxAgeSeconds > number(maxAgeMax/time.Second) {
		return s, fault.New(fault.Invalid, "max_age_seconds is %d, not 1 to %d", q.MaxAgeSeconds, maxAgeMax/time.Second)
	}
	if q.MaxAgeSeconds > 0 {
		s.MaxAge = time.Duration(q.MaxAgeSeconds) * time.Second
	}
	var err error
	if s.Columns, err = q.columns(); err != nil {
		return s, err
	}
	if s.Scripts, err = q.scripts(); err != nil {
		return s, err
	}
	for _, sc := range s.Scripts {
		s.Platforms = append(s.Platforms, sc.Platform)
	}
	if q.AnswerMode != "" {
		var ok bool
		if s.Mode, ok = answer.ParseMode(q.AnswerMode); !ok {
			return s, fault.New(fault.Invalid, "answer_mode: %q is not one of [merged attested sealed]", shorten(q.AnswerMode))
		}
	}
	if q.ParameterDefinition != nil {
		if s.Parameters, err = parseParameters(*q.ParameterDefinition); err != nil {
			return s, err
		}
	}
	if err := s.Check(); err != nil {
		return s, fault.New(fault.Invalid, "sensor %q: %w", shorten(s.Name), err)
	}
	if n := len(s.Append(nil)); n > sensor.BytesMax {
		return s, fault.New(fault.Invalid, "the sensor has %d bytes in all, more than %d", n, sensor.BytesMax)
	}
	return s, nil
}

// checkSensorName refuses names that read as something else in a question, and
// those with a platform in front, which some programs cut off.
func checkSensorName(name string) error {
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

func (q sensorRequest) columns() ([]sensor.Column, error) {
	if len(q.Subcolumns) == 0 {
		t, err := columnType("value_type", q.ValueType)
		return []sensor.Column{{Name: q.Name, Type: t}}, err
	}
	if q.Delimiter == "" {
		return nil, fault.New(fault.Invalid, "a sensor with subcolumns needs a delimiter")
	}
	ordered := slices.Clone(q.Subcolumns)
	slices.SortStableFunc(ordered, func(a, b columnRequest) int { return cmp.Compare(a.Index, b.Index) })
	var out []sensor.Column
	for _, c := range ordered {
		t, err := columnType(fmt.Sprintf("value_type of subcolumn %q", shorten(c.Name)), c.ValueType)
		if err != nil {
			return nil, err
		}
		out = append(out, sensor.Column{Name: c.Name, Type: t})
	}
	return out, nil
}

func columnType(where, name string) (value.Type, error) {
	if name == "" {
		return value.String, nil
	}
	t, ok := value.ParseType(name)
	if !ok {
		return 0, fault.New(fault.Invalid, "%s: %q is no type of values", where, shorten(name))
	}
	return t, nil
}

func (q sensorRequest) scripts() ([]sensor.Script, error) {
	if len(q.Queries) == 0 {
		return nil, fault.New(fault.Invalid, "queries: a sensor needs at least one, with platform, script_type and script")
	}
	var out []sensor.Script
	for i, query := range q.Queries {
		where := fmt.Sprintf("queries[%d]", i)
		sc := sensor.Script{Platform: sensor.Platform(query.Platform), Language: sensor.Language(query.ScriptType), Source: query.Script}
		switch {
		case !slices.Contains(platforms, sc.Platform):
			return nil, fault.New(fault.Invalid, "%s.platform: %q is not one of %v", where, shorten(query.Platform), platforms)
		case slices.ContainsFunc(out, func(o sensor.Script) bool { return o.Platform == sc.Platform }):
			return nil, fault.New(fault.Invalid, "%s.platform: there are two for %s", where, sc.Platform)
		case !slices.Contains(languages, sc.Language):
			return nil, fault.New(fault.Invalid, "%s.script_type: %q is not one of %v", where, shorten(query.ScriptType), languages)
		case strings.TrimSpace(sc.Source) == "":
			return nil, fault.New(fault.Invalid, "%s.script is empty", where)
		case len(sc.Source) > scriptMax:
			return nil, fault.New(fault.Invalid, "%s.script has %d bytes, more than %d", where, len(sc.Source), scriptMax)
		case strings.ContainsRune(sc.Source, 0):
			return nil, fault.New(fault.Invalid, "%s.script has a zero byte", where)
		}
		out = append(out, sc)
	}
	return out, nil
}

// The parameter types are named in the namespace of the system that the
// public API was made for; programs look for these names.
const (
	parameterNamespace = "com.tanium.components.parameters::"
	parameterArray     = parameterNamespace + "ParametersArray"
	parameterText      = parameterNamespace + "TextInputParameter"
	parameterSeparator = parameterNamespace + "SeparatorParameter" // only drawn; takes no value
)

type parameterObject struct {
	Key           string `json:"key"`
	Label         string `json:"label"`
	HelpString    string `json:"helpString"`
	DefaultValue  any    `json:"defaultValue"` // a text, but a number or a list in some programs
	ParameterType string `json:"parameterType"`
}

type parameterList struct {
	ParameterType string            `json:"parameterType"`
	Parameters    []parameterObject `json:"parameters"`
}

// parseParameters reads the JSON that parameter_definition holds.
func parseParameters(definition string) ([]sensor.Parameter, error) {
	if strings.TrimSpace(definition) == "" {
		return nil, nil
	}
	var list parameterList
	dec := json.NewDecoder(bytes.NewReader([]byte(definition)))
	dec.UseNumber()
	if err := dec.Decode(&list); err != nil {
		return nil, fault.New(fault.Invalid, "parameter_definition is not JSON of parameters: %w", err)
	}
	var out []sensor.Parameter
	for i, p := range list.Parameters {
		if p.ParameterType == parameterSeparator {
			continue
		}
		key := bareKey(p.Key)
		switch {
		case key == "" || strings.ContainsFunc(key, func(r rune) bool { return r == '|' || unicode.IsSpace(r) }):
			return nil, fault.New(fault.Invalid, "parameter_definition: parameters[%d].key: %q is no key", i, shorten(p.Key))
		case len(p.Label) > notesMax || len(p.HelpString) > notesMax:
			return nil, fault.New(fault.Invalid, "parameter_definition: parameters[%d]: label and helpString have at most %d bytes", i, notesMax)
		}
		out = append(out, sensor.Parameter{Key: key, Label: p.Label, Help: p.HelpString, Default: defaultText(p.DefaultValue)})
	}
	return out, nil
}

// bareKey takes the bars from a key: ||file|| and file are the same.
func bareKey(key string) string {
	if k, ok := strings.CutPrefix(key, "||"); ok {
		if k, ok := strings.CutSuffix(k, "||"); ok {
			return k
		}
	}
	return key
}

func defaultText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return "" // none, or of a kind that no text stands for
}

// printParameters is the reverse of parseParameters.
func printParameters(params []sensor.Parameter) (string, error) {
	if len(params) == 0 {
		return "", nil
	}
	list := parameterList{ParameterType: parameterArray}
	for _, p := range params {
		list.Parameters = append(list.Parameters, parameterObject{p.Key, p.Label, p.Help, p.Default, parameterText})
	}
	b, err := marshal(list)
	return string(bytes.TrimSpace(b)), err
}
