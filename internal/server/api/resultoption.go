package api

import (
	"math"
	"strconv"
	"strings"
	"time"

	"catenary/internal/expr"
	"catenary/internal/fault"
	"catenary/internal/filter"
	"catenary/internal/server/resultset"
	"catenary/internal/value"
)

const (
	patternMax = 1 << 10 // bytes of filter_string: it is compared with every row
	bucketsMax = 16      // ages into which the last answers are sorted
)

// resultOptions are what a caller wants of a result set.
type resultOptions struct {
	Start number `json:"row_start"`
	Count number `json:"row_count"` // 0: to the end

	FilterString  filter.Text   `json:"filter_string"`
	FilterNotFlag flag          `json:"filter_not_flag"`
	CacheFilters  []cacheFilter `json:"cache_filters"`
	SortOrder     sortFields    `json:"sort_order"`
	HideErrors    flag          `json:"hide_errors_flag"`
	HideNoResults flag          `json:"hide_no_results_flag"`
	NoCollation   flag          `json:"no_result_row_collation_flag"`
	Hashes        flag          `json:"include_hashes_flag"`

	CacheID    number `json:"cache_id"`
	Expiration number `json:"cache_expiration"` // seconds

	MostRecent flag        `json:"most_recent_flag"`
	Buckets    filter.Text `json:"recent_result_buckets"` // seconds, with commas
	ContextID  number      `json:"context_id"`

	Export         flag        `json:"export_flag"`
	ExportFormat   number      `json:"export_format"`
	ExportHideHead flag        `json:"export_hide_csv_header_flag"`
	ExportLeading  filter.Text `json:"export_leading_text"`
	ExportTrailing filter.Text `json:"export_trailing_text"`
}

func (c call) resultOptions() (o resultOptions, err error) {
	if err := c.options(&o); err != nil {
		return o, err
	}
	switch {
	case o.Start < 0 || o.Count < 0 || o.Start > math.MaxInt32 || o.Count > math.MaxInt32:
		return o, fault.New(fault.Invalid, "row_start and row_count are 0 to %d", math.MaxInt32)
	case o.Expiration < 0 || o.CacheID < 0:
		return o, fault.New(fault.Invalid, "cache_expiration and cache_id are not negative")
	case len(o.FilterString) > patternMax:
		return o, fault.New(fault.Invalid, "filter_string has %d bytes, more than %d", len(o.FilterString), patternMax)
	}
	return o, nil
}

func (o resultOptions) page() page { return page{int(o.Start), int(o.Count)} }

// life is how long the set is to be kept for further pages; 0: not at all.
func (o resultOptions) life() time.Duration {
	return min(time.Duration(min(o.Expiration, 1<<20))*time.Second, cacheMax)
}

// query makes of the options what they mean of a set.
func (o resultOptions) query(s *resultset.Set) (resultset.Query, error) {
	q := resultset.Query{HideErrors: bool(o.HideErrors), HideNoResults: bool(o.HideNoResults), Apart: bool(o.NoCollation)}
	for _, field := range o.SortOrder {
		name, down := strings.CutPrefix(field, "-")
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 {
			return q, fault.New(fault.Invalid, "sort_order: %q is no column's number from 1", shorten(field))
		}
		if down {
			n = -n
		}
		q.Order = append(q.Order, n)
	}
	var all expr.And
	if o.FilterString != "" {
		c, err := containing(string(o.FilterString), bool(o.FilterNotFlag))
		if err != nil {
			return q, err
		}
		all = append(all, c)
	}
	if len(o.CacheFilters) > 0 {
		c, err := rowCondition(s, o.CacheFilters)
		if err != nil {
			return q, err
		}
		all = append(all, c)
	}
	if len(all) > 0 {
		q.Filter = all
	}
	return q, nil
}

// containing is the condition that a pattern is found somewhere in a row.
func containing(pattern string, not bool) (expr.Condition, error) {
	t := expr.Test{Name: resultset.AnyColumn, Op: expr.Matches, Value: pattern, IgnoreCase: true}
	// By itself first: a)(b is no pattern, though it is one in brackets.
	if err := new(expr.Gauge).Test(t); err != nil {
		return nil, fault.New(fault.Invalid, "filter_string: %w", err)
	}
	t.Value = ".*(?:" + pattern + ").*"
	if not {
		return expr.Not{Of: t}, nil
	}
	return t, nil
}

// rowCondition makes a condition on the rows of a set from filters on its
// columns, which are named, or numbered from 1. Texts compare as their column
// says, unless the filter says otherwise.
func rowCondition(s *resultset.Set, filters []cacheFilter) (expr.Condition, error) {
	c, err := condition(typed(s, filters, 0), func(field string) bool { _, ok := s.Find(field); return ok })
	if err != nil {
		return nil, err
	}
	return numbered(s, c), nil
}

// typed says of filters that do not how texts compare.
func typed(s *resultset.Set, filters []cacheFilter, depth int) []cacheFilter {
	if depth > expr.DepthMax {
		return filters // refused by condition
	}
	out := make([]cacheFilter, len(filters))
	for i, f := range filters {
		if column, ok := s.Find(f.Field); ok && f.Type == "" {
			name := s.Type(column).String()
			if _, known := filterTypes[name]; known {
				f.Type = name
			}
		}
		f.SubFilters = typed(s, f.SubFilters, depth+1)
		out[i] = f
	}
	return out
}

// numbered puts the columns' numbers in the place of their names.
func numbered(s *resultset.Set, c expr.Condition) expr.Condition {
	all := func(parts []expr.Condition) []expr.Condition {
		out := make([]expr.Condition, len(parts))
		for i, part := range parts {
			out[i] = numbered(s, part)
		}
		return out
	}
	switch c := c.(type) {
	case expr.And:
		return expr.And(all(c))
	case expr.Or:
		return expr.Or(all(c))
	case expr.Not:
		return expr.Not{Of: numbered(s, c.Of)}
	case expr.Test:
		column, ok := s.Find(c.Name)
		if !ok {
			return c
		}
		c.Name = resultset.Name(column)
		switch t := s.Type(column); t {
		case value.BESDate, value.WMIDate, value.VariousDate, value.TimeDiff: // which a filter cannot name
			if _, readable := value.Compare(t, c.Value, c.Value); readable && c.Type == value.String {
				c.Type = t
			}
		}
		return c
	}
	return c
}

// buckets are ages, the least first.
func (o resultOptions) buckets() (out []time.Duration, err error) {
	for text := range strings.FieldsFuncSeq(string(o.Buckets), func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n <= 0 || len(out) == bucketsMax || len(out) > 0 && time.Duration(n)*time.Second <= out[len(out)-1] {
			return nil, fault.New(fault.Invalid, "recent_result_buckets: up to %d ages in seconds, the least first, as in 600,3600,86400,604800", bucketsMax)
		}
		out = append(out, time.Duration(n)*time.Second)
	}
	return out, nil
}
