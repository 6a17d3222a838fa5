package api

import (
	"encoding/json"
	"strconv"
	"time"

	"catenary/internal/fault"
)

// A page is the part of a list that is asked for.
type page struct{ start, count int } // count 0: to the end

// page reads row_start and row_count from the query string, or else from the
// header tanium-options.
func (c call) page() (page, error) {
	var opt struct {
		Start number `json:"row_start"`
		Count number `json:"row_count"`
	}
	if h := c.Header.Get("tanium-options"); h != "" {
		if err := json.Unmarshal([]byte(h), &opt); err != nil {
			return page{}, fault.New(fault.Invalid, "the header tanium-options: %w", err)
		}
	}
	p := page{int(opt.Start), int(opt.Count)}
	query := c.URL.Query()
	for name, to := range map[string]*int{"row_start": &p.start, "row_count": &p.count} {
		if text := query.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return page{}, fault.New(fault.Invalid, "%s is %q, not a number", name, text)
			}
			*to = n
		}
	}
	if p.start < 0 || p.count < 0 {
		return page{}, fault.New(fault.Invalid, "row_start and row_count are not negative")
	}
	return p, nil
}

// limited is the page of a list that is read from the database, of which nobody
// gets more than pageMax at once.
func (p page) limited() (page, error) {
	if p.count == 0 {
		p.count = pageMax
	}
	if p.count > pageMax {
		return page{}, fault.New(fault.Invalid, "row_count is %d, more than %d", p.count, pageMax)
	}
	return p, nil
}

// bounds returns where the page begins and ends in a list of n.
func (p page) bounds(n int) (from, to int) {
	from, to = min(p.start, n), n
	if p.count > 0 && p.count < n-from {
		to = from + p.count
	}
	return from, to
}

// cacheInfo stands last in a list. There is no cache behind it: every page is
// read afresh.
type cacheInfo struct {
	CacheID          int      `json:"cache_id"`
	CacheRowCount    int      `json:"cache_row_count"`
	FilteredRowCount int      `json:"filtered_row_count"`
	PageRowCount     int      `json:"page_row_count"`
	Expiration       isoTime  `json:"expiration"`
	Errors           []string `json:"errors"`
}

func newCacheInfo(total, page int) cacheInfo {
	return cacheInfo{
		CacheRowCount: total, FilteredRowCount: total, PageRowCount: page,
		Expiration: isoTime(time.Now()), Errors: []string{},
	}
}

// listed is a page of objects with the cache info last, as programs expect:
// one of them drops the last element unseen.
func listed[T any](objects []T, total int) []any {
	out := make([]any, 0, len(objects)+1)
	for _, o := range objects {
		out = append(out, o)
	}
	return append(out, newCacheInfo(total, len(objects)))
}
