package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"catenary/internal/expr"
	"catenary/internal/fault"
	"catenary/internal/value"
)

// A listing is a list before anybody has chosen from it: a snapshot. What
// it says does not change while pages of it are read.
type listing struct {
	n int
	// has reports whether rows have a field: "name", "user/name".
	has func(path string) bool
	// cell is what stands in a field as a text.
	cell func(i int, path string) string
	// append writes a row as JSON.
	append func(b []byte, i int) []byte
	// hidden reports whether a row is shown only to who asks for hidden ones;
	// nil: all are shown.
	hidden func(i int) bool
	// info says that cache info is the list's last element.
	info bool
	// sums is an element between the rows and the cache info, about the rows
	// chosen; nil: there is none.
	sums func(chosen func(yield func(i int) bool)) any
	// sees reports whether the caller may see a row now: a list that is kept is
	// looked at again. nil: who has the rights with which it was made sees all.
	sees func(c call, i int) bool
	// limited says that the rows are some machines, of computer groups.
	limited bool
	// weight is how many rows the snapshot holds in memory if a cache keeps it,
	// where that is more than the rows chosen.
	weight int
}

func (l listing) all(yield func(i int) bool) {
	for i := range l.n {
		if !yield(i) {
			return
		}
	}
}

// A view is what somebody has chosen from a list.
type view struct {
	listing
	sum     func() any // of the rows chosen, worked out once; nil: there is none
	order   []int32    // the rows chosen, in their order; nil: all, as they are
	id      int64      // of the cache; 0: it is in none
	expires time.Time
}

func (v *view) len() int {
	if v.order == nil {
		return v.n
	}
	return len(v.order)
}

func (v *view) at(i int) int {
	if v.order == nil {
		return i
	}
	return int(v.order[i])
}

func (v *view) all(yield func(i int) bool) {
	for i := range v.len() {
		if !yield(v.at(i)) {
			return
		}
	}
}

// choose filters and sorts.
func (r listing) choose(o listOptions) (*view, error) {
	v := &view{listing: r}
	if r.sums != nil {
		v.sum = sync.OnceValue(func() any { return r.sums(v.all) })
	}
	hide := r.hidden != nil && !bool(o.Hidden)
	if len(o.Filters) == 0 && len(o.Sort) == 0 && !hide {
		return v, nil
	}
	which, err := condition(o.Filters, r.has)
	if err != nil {
		return nil, err
	}
	m, err := expr.Compile(which)
	if err != nil {
		return nil, fault.New(fault.Invalid, "cache_filters: %w", err)
	}
	v.order = make([]int32, 0, r.n)
	var text [1]string
	for i := range r.n {
		if hide && r.hidden(i) {
			continue
		}
		if len(o.Filters) == 0 || m.Match(func(path string) []string { text[0] = r.cell(i, path); return text[:] }) {
			v.order = append(v.order, int32(i))
		}
	}
	return v, v.sort(o.Sort)
}

// A sortKey orders numbers as such, and before texts.
type sortKey struct {
	number float64
	text   string // folded; empty for numbers
}

func (a sortKey) compare(b sortKey) int {
	return cmp.Or(cmp.Compare(a.text, b.text), cmp.Compare(a.number, b.number))
}

// sort keeps rows that are equal in every field in their order.
func (v *view) sort(fields []string) error {
	descends := make([]bool, len(fields))
	keys := make([][]sortKey, len(fields))
	for f, name := range fields {
		name, descends[f] = strings.CutPrefix(name, "-")
		if !v.has(name) {
			return fault.New(fault.Invalid, "cache_sort_fields: there is no field %q here", shorten(name))
		}
		keys[f] = make([]sortKey, v.n)
		for _, i := range v.order {
			keys[f][i] = keyOf(v.cell(int(i), name))
		}
	}
	if len(fields) == 0 {
		return nil
	}
	slices.SortStableFunc(v.order, func(i, j int32) int {
		for f := range fields {
			if c := keys[f][i].compare(keys[f][j]); c != 0 {
				if descends[f] {
					return -c
				}
				return c
			}
		}
		return 0
	})
	return nil
}

func keyOf(text string) sortKey {
	if text != "" && (text[0] == '-' || text[0] >= '0' && text[0] <= '9') {
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return sortKey{number: n}
		}
	}
	return sortKey{text: value.Fold(text)}
}

// sendList answers with the part of a list that is asked for.
func (s *server) sendList(w http.ResponseWriter, c call, r listing) error {
	o, err := c.listOptions()
	if err != nil {
		return err
	}
	v, err := s.view(c, r, o)
	if err != nil {
		return err
	}
	from, to := o.page().bounds(v.len())
	if o.Suppress {
		to = from
	}
	if err := s.stillSeen(c, v, o, from, to); err != nil {
		return err
	}
	var end []any
	if v.sum != nil {
		end = append(end, v.sum())
	}
	if v.info {
		end = append(end, v.cacheInfo(to-from))
	}
	return writeList(w, end, func(yield func(i int) bool) {
		for i := from; i < to && yield(v.at(i)); i++ {
		}
	}, v.append)
}

// view is a new look at a list, or the one that a cache has kept.
func (s *server) view(c call, r listing, o listOptions) (*view, error) {
	now := time.Now()
	where := holder{identity(c.user), c.URL.Path, c.rights, s.shelves.Version("group")}
	if o.CacheID != 0 {
		return s.caches.use(now, where, int64(o.CacheID), o.life())
	}
	v, err := r.choose(o)
	if err != nil || o.Expiration == 0 {
		return v, err
	}
	return s.caches.keep(now, where, v, o.life()), nil
}

// stillSeen drops a kept list if the caller may not see a row of a page of it any
// more, though his rights are what they were: it has been moved meanwhile.
func (s *server) stillSeen(c call, v *view, o listOptions, from, to int) error {
	if o.CacheID == 0 || v.sees == nil {
		return nil
	}
	for i := from; i < to; i++ {
		if !v.sees(c, v.at(i)) {
			s.caches.forget(v.id)
			return cacheNotFound(v.id)
		}
	}
	return nil
}

// pieceBytes is how much of a list is written at once: it may have a hundred
// thousand rows. Smaller pieces cost more calls of the system than rows cost
// otherwise.
const pieceBytes = 256 << 10

// writeList writes rows piece by piece, and then the elements that end the
// list.
func writeList(w http.ResponseWriter, end []any, chosen func(yield func(i int) bool), row func([]byte, int) []byte) error {
	var tail []byte
	for _, e := range end {
		b, err := marshal(e)
		if err != nil {
			return err
		}
		tail = append(append(tail, ','), b[:len(b)-1]...) // without the line end
	}
	beginJSON(w, http.StatusOK)
	b := append(make([]byte, 0, 4096), `{"data":[`...)
	begun := false
	for i := range chosen {
		if begun {
			b = append(b, ',')
		}
		begun = true
		if b = row(b, i); len(b) < pieceBytes {
			continue
		}
		if _, err := w.Write(b); err != nil {
			return nil // the caller has hung up
		}
		b = b[:0]
	}
	if !begun && len(tail) > 0 {
		tail = tail[1:]
	}
	return send(w, append(append(b, tail...), "]}\n"...))
}

// A page is the part of a list that is asked for.
type page struct{ start, count int } // count 0: to the end

// page reads row_start and row_count.
func (c call) page() (page, error) {
	o, err := c.listOptions()
	return o.page(), err
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

// cacheInfo stands last in a list.
type cacheInfo struct {
	CacheID          int64    `json:"cache_id"` // 0: each page is read afresh
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

func (v *view) cacheInfo(page int) cacheInfo {
	info := newCacheInfo(v.n, page)
	info.FilteredRowCount = v.len()
	if v.id != 0 {
		info.CacheID, info.Expiration = v.id, isoTime(v.expires)
	}
	return info
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

// listingOf lists Go values, in the order of the slice.
func listingOf[T any](list []T, info bool) listing {
	return listingBy(len(list), info, func(i int) T { return list[i] })
}

// listingBy lists n Go values. Each is made and written as JSON when it is first
// needed, and read again where somebody filters or sorts by it.
func listingBy[T any](n int, info bool, value func(i int) T) listing {
	var mu sync.Mutex // guards texts and read: a cache may be looked at by several
	texts := make([][]byte, n)
	read := make([]any, n)
	text := func(i int) []byte {
		if texts[i] == nil {
			b, err := marshal(value(i))
			if err != nil {
				panic("api: " + err.Error()) // our own types can be written
			}
			texts[i] = b[:len(b)-1] // without the line end
		}
		return texts[i]
	}
	return listing{
		n: n, info: info,
		has: func(path string) bool { return hasMember(reflect.TypeFor[T](), fieldPath(path)) },
		cell: func(i int, path string) string {
			mu.Lock()
			defer mu.Unlock()
			if read[i] == nil {
				dec := json.NewDecoder(bytes.NewReader(text(i)))
				dec.UseNumber()
				if err := dec.Decode(&read[i]); err != nil {
					panic("api: " + err.Error()) // it was written by us
				}
			}
			return cellIn(read[i], fieldPath(path))
		},
		append: func(b []byte, i int) []byte {
			mu.Lock()
			defer mu.Unlock()
			return append(b, text(i)...)
		},
	}
}

func fieldPath(path string) []string { return strings.Split(strings.ReplaceAll(path, ".", "/"), "/") }

// hasMember reports whether values of a type have a member at a path when they
// are written as JSON.
func hasMember(t reflect.Type, path []string) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if len(path) == 0 {
		return true
	}
	if t.Kind() != reflect.Struct {
		return t.Kind() == reflect.Map || t.Kind() == reflect.Interface
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" && hasMember(f.Type, path) || name == path[0] && hasMember(f.Type, path[1:]) {
			return true
		}
	}
	return false
}

func cellIn(v any, path []string) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case []any:
		texts := make([]string, len(v))
		for i, e := range v {
			texts[i] = cellIn(e, path)
		}
		return strings.Join(texts, ",")
	case map[string]any:
		if len(path) > 0 {
			return cellIn(v[path[0]], path[1:])
		}
		if id, ok := v["id"]; ok {
			return cellIn(id, nil)
		}
	}
	return ""
}
