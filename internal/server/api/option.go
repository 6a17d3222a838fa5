package api

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"catenary/internal/expr"
	"catenary/internal/fault"
	"catenary/internal/filter"
	"catenary/internal/server/object"
	"catenary/internal/value"
)

// optionsHeader says how a caller wants a list, a result or an export. What can
// be said in it is one flat JSON object; each route reads the members it knows.
const optionsHeader = "tanium-options"

const (
	sortMax  = 8         // fields by which a list is sorted; more is a mistake
	cacheMax = time.Hour // a cache that nobody asks for lives so long at most
)

// queryOptions are the options that may also stand in the query string. Where
// the header says one of them, too, the header holds.
var queryOptions = []string{
	"row_start", "row_count", "json_pretty_print", "use_error_objects", "include_hidden_flag", "suppress_object_list",
	"cache_id", "cache_expiration", "cache_sort_fields",
	"most_recent_flag", "context_id", "include_hashes_flag", "include_user_details", "summary",
}

// options reads what the request says in the header and in the query string
// into a struct with the JSON names of the options that the route knows.
func (c call) options(into any) error {
	all := map[string]json.RawMessage{}
	if h := c.Header.Get(optionsHeader); h != "" {
		if err := json.Unmarshal([]byte(h), &all); err != nil {
			return badHeader(err)
		}
		if all == nil { // it was null
			all = map[string]json.RawMessage{}
		}
	}
	if c.URL.RawQuery != "" {
		if err := addQuery(all, c.URL.Query()); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		return nil
	}
	whole, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(whole, into); err != nil {
		if e := decode(whole, into); e != nil { // says which member
			err = e
		}
		_, text, behind := strings.Cut(err.Error(), ": ") // the place is that in whole, which nobody has sent
		if !behind || !strings.HasPrefix(err.Error(), "line ") {
			text = err.Error()
		}
		return fault.New(fault.Invalid, "the header %s: %s", optionsHeader, text)
	}
	return nil
}

// badHeader says what a header is that is no JSON object.
func badHeader(err error) error {
	why := err.Error()
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		why = "it is of type " + kindOfJSON(e.Value)
	}
	return fault.New(fault.Invalid, "the header %s is no JSON object: %s", optionsHeader, why)
}

func addQuery(all map[string]json.RawMessage, query url.Values) error {
	for _, name := range queryOptions {
		text := query.Get(name)
		if _, said := all[name]; said || text == "" {
			continue
		}
		if name == "row_start" || name == "row_count" {
			if _, err := strconv.Atoi(text); err != nil {
				return fault.New(fault.Invalid, "%s is %q, not a number", name, text)
			}
		}
		quoted, err := json.Marshal(text)
		if err != nil {
			return err
		}
		all[name] = quoted
	}
	return nil
}

// A style is how an answer is to be written, whatever it is.
type style struct {
	Pretty       flag `json:"json_pretty_print"`
	ErrorObjects flag `json:"use_error_objects"`
}

// style is read for every request, so what is wrong with other options is no
// matter here.
func (c call) style() (s style) {
	if c.Header.Get(optionsHeader) == "" && c.URL.RawQuery == "" {
		return s
	}
	if c.options(&s) != nil {
		return style{}
	}
	return s
}

// listOptions are what a caller wants of a list.
type listOptions struct {
	Start      number        `json:"row_start"`
	Count      number        `json:"row_count"` // 0: to the end
	CacheID    number        `json:"cache_id"`
	Expiration number        `json:"cache_expiration"` // seconds
	Filters    []cacheFilter `json:"cache_filters"`
	Sort       sortFields    `json:"cache_sort_fields"`
	Hidden     flag          `json:"include_hidden_flag"`
	Suppress   flag          `json:"suppress_object_list"`
}

func (c call) listOptions() (o listOptions, err error) {
	if err := c.options(&o); err != nil {
		return o, err
	}
	switch {
	case o.Start < 0 || o.Count < 0:
		return o, fault.New(fault.Invalid, "row_start and row_count are not negative")
	case o.Expiration < 0 || o.CacheID < 0:
		return o, fault.New(fault.Invalid, "cache_expiration and cache_id are not negative")
	case len(o.Sort) > sortMax:
		return o, fault.New(fault.Invalid, "cache_sort_fields names %d fields, more than %d", len(o.Sort), sortMax)
	}
	return o, nil
}

func (o listOptions) page() page { return page{int(o.Start), int(o.Count)} }

// plain reports whether only a page is wanted, of the list as it is.
func (o listOptions) plain() bool {
	return o.CacheID == 0 && o.Expiration == 0 && len(o.Filters) == 0 && len(o.Sort) == 0 && !bool(o.Suppress)
}

// life is how long the list is to be kept for further pages; 0: not at all.
func (o listOptions) life() time.Duration {
	if o.Expiration > number(cacheMax/time.Second) {
		return cacheMax
	}
	return time.Duration(o.Expiration) * time.Second
}

// sortFields are fields with a minus before those that are to descend, as a
// text with commas or as a list of texts. Columns are numbers.
type sortFields []string

func (s *sortFields) UnmarshalJSON(b []byte) error {
	var text filter.Text
	if err := json.Unmarshal(b, &text); err != nil {
		var list []filter.Text
		if err := json.Unmarshal(b, &list); err != nil {
			return &json.UnmarshalTypeError{Value: "value"}
		}
		for _, field := range list {
			text += field + ","
		}
	}
	*s = strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || r == ' ' })
	return nil
}

// A cacheFilter chooses rows of a list: those where the field is as the value
// says, and that the filters within choose.
type cacheFilter struct {
	Field      string        `json:"field"`
	Value      filter.Text   `json:"value"`
	Operator   string        `json:"operator"`
	Type       string        `json:"type"`
	NotFlag    flag          `json:"not_flag"`
	AndFlag    *flag         `json:"and_flag"` // of the filters within; all must choose if it is not said
	SubFilters []cacheFilter `json:"sub_filters"`
}

var filterOperators = map[string]expr.Op{
	"": expr.Matches, "RegexMatch": expr.Matches, "Equal": expr.Equal,
	"Less": expr.Less, "LessEqual": expr.LessEqual, "Greater": expr.Greater, "GreaterEqual": expr.GreaterEqual,
}

var filterTypes = map[string]value.Type{
	"DataSize": value.DataSize, "IPAddress": value.IPAddress, "Numeric": value.Numeric, "NumericInteger": value.NumericInteger,
	"String": value.String, "Version": value.Version, "Date": value.String, // see dated
}

// condition makes of filters what they mean. has knows the fields that there
// are.
func condition(filters []cacheFilter, has func(path string) bool) (expr.Condition, error) {
	var all expr.And
	for _, f := range filters {
		c, err := f.condition(has, 1)
		if err != nil {
			return nil, fault.New(fault.Invalid, "cache_filters: %w", err)
		}
		all = append(all, c)
	}
	return all, nil
}

func (f cacheFilter) condition(has func(string) bool, depth int) (expr.Condition, error) {
	if depth > expr.DepthMax {
		return nil, fault.New(fault.Invalid, "filters are nested more than %d deep", expr.DepthMax)
	}
	var parts []expr.Condition
	for _, sub := range f.SubFilters {
		c, err := sub.condition(has, depth+1)
		if err != nil {
			return nil, err
		}
		parts = append(parts, c)
	}
	var out expr.Condition = expr.And(parts)
	if f.AndFlag != nil && !bool(*f.AndFlag) && len(parts) > 0 {
		out = expr.Or(parts)
	}
	if f.Field != "" || len(parts) == 0 {
		test, err := f.test(has)
		if err != nil {
			return nil, err
		}
		if out = expr.Condition(expr.And{test, out}); len(parts) == 0 {
			out = test
		}
	}
	if f.NotFlag {
		out = expr.Not{Of: out}
	}
	return out, nil
}

func (f cacheFilter) test(has func(string) bool) (expr.Condition, error) {
	if !has(f.Field) {
		return nil, fault.New(fault.Invalid, "there is no field %q here", shorten(f.Field))
	}
	op, ok := filterOperators[f.Operator]
	if !ok {
		return nil, fault.New(fault.Invalid, "the operator %q is none of RegexMatch, Equal, Less, LessEqual, Greater, GreaterEqual", shorten(f.Operator))
	}
	t := expr.Test{Name: f.Field, Op: op, Value: string(f.Value), Type: value.String, IgnoreCase: true}
	if f.Type != "" {
		if t.Type, ok = filterTypes[f.Type]; !ok {
			return nil, fault.New(fault.Invalid, "the type %q is none of DataSize, Date, IPAddress, Numeric, NumericInteger, String, Version", shorten(f.Type))
		}
	} else if _, isNumber := value.Compare(value.Numeric, t.Value, t.Value); isNumber && op != expr.Matches && op != expr.Equal {
		t.Type = value.Numeric
	}
	if f.Type == "Date" && op != expr.Matches {
		if t.Value, ok = dated(t.Value); !ok {
			return nil, fault.New(fault.Invalid, "the value %q is not a date like 2026-11-22T08:00:00Z", shorten(string(f.Value)))
		}
	}
	if _, readable := value.Compare(t.Type, t.Value, t.Value); !readable && op != expr.Matches {
		return nil, fault.New(fault.Invalid, "the value %q is no %s", shorten(t.Value), t.Type)
	}
	if err := expr.Check(t); err != nil { // here, where the field can be named
		return nil, fault.New(fault.Invalid, "the field %q: %w", shorten(f.Field), err)
	}
	if other, isFlag := otherSpelling[t.Value]; isFlag && op == expr.Equal {
		same := t
		same.Value = other
		return expr.Or{t, same}, nil
	}
	return t, nil
}

// otherSpelling lets programs ask for flags in either form.
var otherSpelling = map[string]string{"true": "1", "false": "0", "1": "true", "0": "false"}

// dated brings a date into the form of those in objects, which order as texts
// do.
func dated(text string) (string, bool) {
	t, err := object.ParseTime(text)
	if err != nil {
		return "", false
	}
	if t.IsZero() {
		return object.Never, true
	}
	return t.UTC().Format("2006-01-02T15:04:05Z"), true
}
