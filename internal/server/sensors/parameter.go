package sensors

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"catenary/internal/fault"
	"catenary/internal/sensor"
)

const (
	parametersMax = 64 << 10 // bytes of parameter_definition
	labelMax      = 4096     // bytes of what a person reads of a parameter
)

// The parameter types are named in the namespace of the system that the public
// API was made for; programs look for these names.
const (
	parameterNamespace = "com.tanium.components.parameters::"
	parameterArray     = parameterNamespace + "ParametersArray"
	parameterText      = parameterNamespace + "TextInputParameter"
	parameterSeparator = parameterNamespace + "SeparatorParameter" // only drawn; takes no value
)

// parameterKinds are the ways in which programs let people say a value. To a
// sensor, all values are texts.
var parameterKinds = []string{
	"", // of programs that say no kind
	"TextInputParameter", "TextAreaParameter", "NumericParameter", "NumericIntervalParameter", "DropDownListParameter",
	"CheckBoxParameter", "ListParameter", "DateParameter", "DateTimeParameter", "DateTimeRangeParameter", "TimeParameter",
	"SeparatorParameter", "PluginParameter",
}

type parameterObject struct {
	Key           string          `json:"key"`
	Label         string          `json:"label"`
	HelpString    string          `json:"helpString"`
	DefaultValue  json.RawMessage `json:"defaultValue"` // a text, but a number or a list in some programs
	ParameterType string          `json:"parameterType"`
}

// parameters reads the JSON that parameter_definition holds.
func parameters(definition string) ([]sensor.Parameter, error) {
	if strings.TrimSpace(definition) == "" {
		return nil, nil
	}
	if len(definition) > parametersMax {
		return nil, fault.New(fault.Invalid, "parameter_definition has %d bytes, more than %d", len(definition), parametersMax)
	}
	var list struct {
		Parameters []parameterObject `json:"parameters"`
	}
	if err := json.Unmarshal([]byte(definition), &list); err != nil {
		return nil, fault.New(fault.Invalid, "parameter_definition is not JSON of parameters: %w", err)
	}
	var out []sensor.Parameter
	for i, p := range list.Parameters {
		kind := p.ParameterType[strings.LastIndexByte(p.ParameterType, ':')+1:]
		if !slices.Contains(parameterKinds, kind) {
			return nil, fault.New(fault.Invalid, "parameter_definition: parameters[%d].parameterType: %q is no kind of parameter", i, shorten(p.ParameterType))
		}
		if kind == "SeparatorParameter" {
			continue
		}
		key := bareKey(p.Key)
		switch {
		case key == "" || strings.ContainsFunc(key, func(r rune) bool { return r == '|' || unicode.IsSpace(r) }):
			return nil, fault.New(fault.Invalid, "parameter_definition: parameters[%d].key: %q is no key", i, shorten(p.Key))
		case len(p.Label) > labelMax || len(p.HelpString) > labelMax:
			return nil, fault.New(fault.Invalid, "parameter_definition: parameters[%d]: label and helpString have at most %d bytes", i, labelMax)
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

// defaultText is the text that stands for a default: of a list its elements with
// commas between, of a box that is ticked 1.
func defaultText(raw json.RawMessage) string {
	var text string
	var number json.Number
	var ticked bool
	var list []json.RawMessage
	switch {
	case json.Unmarshal(raw, &text) == nil:
		return text
	case json.Unmarshal(raw, &number) == nil:
		return number.String()
	case json.Unmarshal(raw, &ticked) == nil && ticked:
		return "1"
	case json.Unmarshal(raw, &ticked) == nil:
		return "0"
	case json.Unmarshal(raw, &list) == nil:
		texts := make([]string, len(list))
		for i, e := range list {
			texts[i] = defaultText(e)
		}
		return strings.Join(texts, ",")
	}
	return "" // none, or of a kind that no text stands for
}

// printParameters is the reverse of parameters.
func printParameters(params []sensor.Parameter) string {
	if len(params) == 0 {
		return ""
	}
	type one struct {
		Key           string `json:"key"`
		Label         string `json:"label"`
		HelpString    string `json:"helpString"`
		DefaultValue  string `json:"defaultValue"`
		ParameterType string `json:"parameterType"`
	}
	list := struct {
		ParameterType string `json:"parameterType"`
		Parameters    []one  `json:"parameters"`
	}{ParameterType: parameterArray}
	for _, p := range params {
		list.Parameters = append(list.Parameters, one{p.Key, p.Label, p.Help, p.Default, parameterText})
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic("sensors: " + err.Error()) // texts can be written
	}
	return string(b)
}
