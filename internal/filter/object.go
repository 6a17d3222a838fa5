// Package filter is questions as programs write them: the objects of the public
// API that select, filter and group, ⇄ package question's tree.
//
// A [Writer] turns a resolved question into objects. [Read] and [ReadGroup] take
// what programs send, which is often less than a whole object, and sometimes
// what older servers have taught them. The objects' types are their JSON; where
// they come from and go to is the business of package api.
package filter

import (
	"catenary/internal/question"
)

// A Sensor is a sensor as it stands in a question.
type Sensor struct {
	ID         Number      `json:"id,omitempty"` // read only, and only by NameSensors
	Hash       Number      `json:"hash"`
	Name       string      `json:"name"`
	SourceHash Number      `json:"source_hash,omitempty"` // of the template, if it has parameters
	Parameters []Parameter `json:"parameters,omitempty"`
}

// A Parameter is what a sensor is asked with.
type Parameter struct {
	Key   string `json:"key"` // between keyBars
	Value Text   `json:"value"`
	Type  Number `json:"type"`
}

// keyBars enclose a parameter's key on the wire.
const keyBars = "||"

// A Filter is a condition on the texts of a sensor.
type Filter struct {
	Sensor        *Sensor `json:"sensor,omitempty"` // of a select: the select's own
	Operator      string  `json:"operator"`
	Value         Text    `json:"value"`
	ValueType     string  `json:"value_type"`
	NotFlag       Flag    `json:"not_flag"`
	AllValuesFlag Flag    `json:"all_values_flag"`
	// IgnoreCaseFlag is true if it is left out.
	IgnoreCaseFlag *Flag  `json:"ignore_case_flag"`
	MaxAgeSeconds  Number `json:"max_age_seconds"` // 0: as the sensor says
	// Delimiter and DelimiterIndex choose a column, the first by 0; without a
	// delimiter all columns are meant. Of a sensor with a single column they
	// choose a piece of its texts.
	Delimiter      string `json:"delimiter"`
	DelimiterIndex Number `json:"delimiter_index"`
	// SubstringStart and SubstringLength choose characters of the texts, if
	// SubstringFlag is set. A length of 0 is up to the end.
	SubstringFlag   Flag   `json:"substring_flag"`
	SubstringStart  Number `json:"substring_start"`
	SubstringLength Number `json:"substring_length"`
	// What old programs send and nothing depends on.
	Aggregation  string `json:"aggregation"`
	AllTimesFlag Flag   `json:"all_times_flag"`
	UTF8Flag     Flag   `json:"utf8_flag"`
}

// A Group is a condition on machines: its filters and groups, of which all, or
// one, must hold; or, by its number or name, a computer group.
type Group struct {
	ID        Number   `json:"id"`
	Name      string   `json:"name"`
	Type      Number   `json:"type"`
	Text      string   `json:"text"`     // begins with a blank, as programs know it
	AndFlag   *Flag    `json:"and_flag"` // true if it is left out
	NotFlag   Flag     `json:"not_flag"`
	Filters   []Filter `json:"filters"`
	SubGroups []Group  `json:"sub_groups"`
}

// A Select is a sensor to show.
type Select struct {
	Sensor Sensor  `json:"sensor"`
	Filter *Filter `json:"filter,omitempty"`
	// Having are filters of other columns of the same row: Catenary's own.
	Having []Filter `json:"having,omitempty"`
}

// A Question is a question as a program sends it, or a candidate of its text.
type Question struct {
	Selects []Select `json:"selects"` // nil if the member is not there
	Group   *Group   `json:"group,omitempty"`
	// ParameterValues are for the sensors that have none of their own, in the
	// order of [Writer.Parameters].
	ParameterValues     []Text `json:"parameter_values,omitempty"`
	ForceComputerIDFlag Flag   `json:"force_computer_id_flag,omitempty"`
	// QuestionText is that of a candidate: its values may be more than its
	// sensors take.
	QuestionText string `json:"question_text,omitempty"`
}

// A Candidate is a question that a text may stand for. Sent back whole, it reads
// as a [Question].
type Candidate struct {
	QuestionText        string      `json:"question_text"`
	FromCanonicalText   int         `json:"from_canonical_text"`
	Selects             []Select    `json:"selects"`
	Group               *Group      `json:"group,omitempty"`
	ParameterValues     []Text      `json:"parameter_values,omitempty"`
	SensorReferences    []Reference `json:"sensor_references"`
	ForceComputerIDFlag Flag        `json:"force_computer_id_flag,omitempty"`
}

// A Reference is where a candidate's text names a sensor.
type Reference struct {
	Name      string `json:"name"`
	StartChar string `json:"start_char"` // in characters, the first is 0; a text by tradition
	RealMsAvg int64  `json:"real_ms_avg"`
}

// The operators of filters. Those of the question language that look into
// texts are all patterns here.
const (
	operatorPattern = "RegexMatch"
	operatorLess    = "Less"
	operatorHash    = "HashMatch"
)

var operators = map[question.Op]string{
	question.Equals: "Equal", question.Less: operatorLess, question.LessEqual: "LessEqual",
	question.Greater: "Greater", question.GreaterEqual: "GreaterEqual", question.HasHash: operatorHash,
}
