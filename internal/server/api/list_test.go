package api

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/server/people"
)

// options calls with the header tanium-options.
func (d *desk) options(path, header string) *httptest.ResponseRecorder {
	return d.send("GET", path, "", "session", d.session, optionsHeader, header)
}

// names are those of a list's objects, and its cache info.
func names(t testing.TB, w *httptest.ResponseRecorder) ([]string, map[string]any) {
	t.Helper()
	list := data[[]map[string]any](t, w)
	info := map[string]any{}
	if n := len(list); n > 0 && list[n-1]["cache_row_count"] != nil {
		info, list = list[n-1], list[:n-1]
	}
	out := []string{}
	for _, o := range list {
		out = append(out, o["name"].(string))
	}
	return out, info
}

// pantry makes packages to choose from.
func pantry(t testing.TB) *desk {
	d := newDesk(t)
	for _, p := range []string{
		`{"name":"apple","command":"x","expire_seconds":600,"display_name":"1.10"}`,
		`{"name":"Banana","command":"x","expire_seconds":60,"display_name":"1.9","skip_lock_flag":true,"content_set":{"name":"Base"}}`,
		`{"name":"cherry","command":"y","expire_seconds":7200,"display_name":"10.0.0.1"}`,
		`{"name":"date","command":"y","expire_seconds":600,"display_name":"2MB","hidden_flag":1}`,
	} {
		d.ok(d.call("POST", "/api/v2/packages", p))
	}
	return d
}

func TestListOptions(t *testing.T) {
	d := pantry(t)
	for _, tt := range []struct {
		options string
		want    string
	}{
		{`{}`, "apple Banana cherry"}, {`null`, "apple Banana cherry"},
		{`{"include_hidden_flag":1}`, "apple Banana cherry date"},
		{`{"include_hidden_flag":"true","row_start":"2","row_count":1}`, "cherry"},
		{`{"suppress_object_list":true}`, ""},
		{`{"cache_sort_fields":"-name"}`, "cherry Banana apple"},
		{`{"cache_sort_fields":"expire_seconds,-name","include_hidden_flag":1}`, "Banana date apple cherry"},
		{`{"cache_sort_fields":["content_set.name","-id"]}`, "Banana cherry apple"},
		{`{"cache_filters":[{"field":"name","value":"A.*"}]}`, "apple"},
		{`{"cache_filters":[{"field":"name","operator":"RegexMatch","value":"an"}]}`, ""}, // the whole text
		{`{"cache_filters":[{"field":"name","value":"(?-i)banana"}]}`, ""},
		{`{"cache_filters":[{"field":"name","operator":"Equal","value":"BANANA"}]}`, "Banana"},
		{`{"cache_filters":[{"field":"name","operator":"Equal","value":"BANANA","not_flag":1}]}`, "apple cherry"},
		{`{"cache_filters":[{"field":"skip_lock_flag","operator":"Equal","value":1}]}`, "Banana"},
		{`{"cache_filters":[{"field":"skip_lock_flag","operator":"Equal","value":false}]}`, "apple cherry"},
		{`{"cache_filters":[{"field":"expire_seconds","operator":"Greater","value":"599"}]}`, "apple cherry"},
		{`{"cache_filters":[{"field":"expire_seconds","operator":"LessEqual","value":"600","type":"NumericInteger"}]}`, "apple Banana"},
		{`{"cache_filters":[{"field":"display_name","operator":"Less","value":"1.10","type":"Version"}]}`, "Banana"},
		{`{"cache_filters":[{"field":"display_name","operator":"GreaterEqual","value":"10.0.0.0","type":"IPAddress"}]}`, "cherry"},
		{`{"include_hidden_flag":1,"cache_filters":[{"field":"display_name","operator":"Greater","value":"1MB","type":"DataSize"}]}`, "date"},
		{`{"cache_filters":[{"field":"creation_time","operator":"Greater","value":"2020-01-01","type":"Date"}]}`, "apple Banana cherry"},
		{`{"cache_filters":[{"field":"creation_time","operator":"Less","value":"2020-01-01T00:00:00Z","type":"Date"}]}`, ""},
		{`{"cache_filters":[{"field":"creation_time","operator":"Equal","value":"Never","type":"Date","not_flag":1}]}`, "apple Banana cherry"},
		{`{"cache_filters":[{"field":"content_set/name","operator":"Equal","value":"Base"}]}`, "Banana"},
		{`{"cache_filters":[{"field":"mod_user.name","operator":"Equal","value":"ann"},{"field":"command","operator":"Equal","value":"y"}]}`, "cherry"},
		{`{"cache_filters":[{"and_flag":0,"sub_filters":[{"field":"name","value":"a.*"},{"field":"name","value":"c.*"}]}]}`, "apple cherry"},
		{`{"cache_filters":[{"sub_filters":[{"field":"name","value":"a.*"},{"field":"name","value":"c.*"}]}]}`, ""},
		{`{"cache_filters":[{"not_flag":true,"and_flag":false,"sub_filters":[{"field":"name","value":"a.*"},{"sub_filters":[{"field":"name","value":"c.*"}]}]}]}`, "Banana"},
		{`{"cache_filters":[{"field":"command","value":"y","and_flag":1,"sub_filters":[{"field":"name","value":"c.*"}]}]}`, "cherry"},
	} {
		got, info := names(t, d.options("/api/v2/packages", tt.options))
		if strings.Join(got, " ") != tt.want || info["page_row_count"] != float64(len(got)) {
			t.Errorf("%s: %v %v, want %s", tt.options, got, info, tt.want)
		}
	}
	// Of both the header holds, where it says something.
	got, _ := names(t, d.options("/api/v2/packages?row_start=1&row_count=5&cache_sort_fields=name", `{"row_count":1}`))
	same(t, got, []string{"Banana"})
	got, _ = names(t, d.call("GET", "/api/v2/packages?cache_sort_fields=-name&row_count=1", ""))
	same(t, got, []string{"cherry"})
}

func TestListOptionsBadly(t *testing.T) {
	d := pantry(t)
	deep := strings.Repeat(`{"sub_filters":[`, 1000) + `{"field":"name","value":"x"}` + strings.Repeat(`]}`, 1000)
	for _, tt := range []struct{ options, text string }{
		{`{`, `the header tanium-options is no JSON object: unexpected end of JSON input`},
		{`[]`, `the header tanium-options is no JSON object: it is of type array`},
		{`{"row_start":-1}`, `row_start and row_count are not negative`},
		{`{"cache_expiration":-1}`, `cache_expiration and cache_id are not negative`},
		{`{"cache_filters":[{"field":"nme","value":"x"}]}`, `cache_filters: there is no field "nme" here`},
		{`{"cache_filters":[{"field":"content_set/colour","value":"x"}]}`, `cache_filters: there is no field "content_set/colour" here`},
		{`{"cache_filters":[{"value":"x"}]}`, `cache_filters: there is no field "" here`},
		{`{"cache_filters":[{"field":"name","value":"x","operator":"Like"}]}`, `cache_filters: the operator "Like" is none of RegexMatch, Equal, Less, LessEqual, Greater, GreaterEqual`},
		{`{"cache_filters":[{"field":"name","value":"x","type":"Colour"}]}`, `cache_filters: the type "Colour" is none of DataSize, Date, IPAddress, Numeric, NumericInteger, String, Version`},
		{`{"cache_filters":[{"field":"name","value":"x","type":"Numeric","operator":"Less"}]}`, `cache_filters: the value "x" is no Numeric`},
		{`{"cache_filters":[{"field":"name","value":"soon","type":"Date","operator":"Less"}]}`, `cache_filters: the value "soon" is not a date like 2026-11-22T08:00:00Z`},
		{`{"cache_filters":[{"field":"name","value":"("}]}`, `"(" is no regular expression`},
		{`{"cache_filters":[{"field":"name","value":"(x{1000}){1000}"}]}`, `is no regular expression`},
		{`{"cache_filters":[{"field":"name","value":"((x{200}){200}){2}"}]}`, `regular expression`},
		{`{"cache_filters":[` + deep + `]}`, `cache_filters: filters are nested more than 64 deep`},
		{`{"cache_filters":[` + strings.Repeat(`{"field":"name","value":"x"},`, 1100) + `{"field":"name","value":"x"}]}`, `cache_filters: the condition has more than 1000 parts`},
		{`{"cache_sort_fields":"name,colour"}`, `cache_sort_fields: there is no field "colour" here`},
		{`{"cache_sort_fields":"a,b,c,d,e,f,g,h,i"}`, `cache_sort_fields names 9 fields, more than 8`},
		{`{"cache_sort_fields":{"name":1}}`, `the header tanium-options: cache_sort_fields: unexpected value`},
		{`{"row_count":true,"row_start":"x"}`, `the header tanium-options: row_`},
		{`{"cache_id":7}`, `CacheNotFound: the cache 7 has expired, or never was one of this list: ask again without cache_id, and with cache_expiration`},
	} {
		begun := time.Now()
		w := d.options("/api/v2/packages", tt.options)
		var out struct{ Text string }
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 400 && w.Code != 404 || !strings.Contains(out.Text, tt.text) {
			t.Errorf("%.80s: %d %.300s", tt.options, w.Code, w.Body)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%.80s took %v", tt.options, took)
		}
	}
}

// TestCache: pages of a list that is kept fit together, whatever happens
// meanwhile, until it expires.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := pantry(t)
		first, info := names(t, d.options("/api/v2/packages", `{"row_count":1,"cache_expiration":60,"cache_sort_fields":"name"}`))
		same(t, first, []string{"apple"})
		same(t, []any{info["cache_row_count"], info["filtered_row_count"], info["page_row_count"]}, []any{4.0, 3.0, 1.0})
		same(t, info["expiration"], any(time.Now().Add(time.Minute).UTC().Format(time.RFC3339)))
		id := int64(info["cache_id"].(float64))
		next := fmt.Sprintf(`{"cache_id":%d,"row_start":1,"row_count":5}`, id)

		d.ok(d.call("POST", "/api/v2/packages", `{"name":"avocado","command":"x"}`))
		d.ok(d.call("DELETE", "/api/v2/packages/2", ""))
		d.ok(d.call("PATCH", "/api/v2/packages/3", `{"name":"coconut"}`))
		rest, info := names(t, d.options("/api/v2/packages", next))
		same(t, rest, []string{"Banana", "cherry"})
		same(t, info["cache_id"], any(float64(id)))

		ann, err := d.store.UserByName(t.Context(), testUser)
		must(t, err)
		for range 3 { // each use renews it
			time.Sleep(59 * time.Second)
			d.session = d.begun(time.Now(), ann)
			rest, _ = names(t, d.options("/api/v2/packages", next))
			same(t, rest, []string{"Banana", "cherry"})
		}
		gone := fmt.Sprintf(`CacheNotFound: the cache %d has expired, or never was one of this list: ask again without cache_id, and with cache_expiration`, id)
		d.refused(d.options("/api/v2/dashboards", next), 404, gone) // of another list
		d.refusedAs(t, "bob", next, gone)
		time.Sleep(60 * time.Second)
		d.refused(d.options("/api/v2/packages", next), 404, gone)
		same(t, d.api.caches.count(), 0)
	})
}

// refusedAs asks for a cache as somebody else.
func (d *desk) refusedAs(t *testing.T, name, options, text string) {
	t.Helper()
	mine := d.session
	d.session = d.begun(time.Now(), d.person(name, people.Administrator))
	d.refused(d.options("/api/v2/packages", options), 404, text)
	d.session = mine
}

// TestCachesAreBounded: for one user, in number and in rows.
func TestCachesAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := newCaches()
	keep := func(user int64, rows int) int64 {
		return c.keep(now, holder{as: people.Identity{User: user}, path: "/x"}, &view{listing: listing{n: rows}}, time.Minute).id
	}
	used := func(user, id int64) bool {
		_, err := c.use(now, holder{as: people.Identity{User: user}, path: "/x"}, id, 0)
		return err == nil
	}
	first := keep(1, 10)
	second := keep(1, 10)
	for range cachesOfOne - 2 {
		keep(1, 10)
	}
	same(t, used(1, first), true) // now the second is the longest unused
	keep(2, 10)
	keep(1, 10)
	same(t, []bool{used(1, first), used(1, second)}, []bool{true, false})
	large := keep(3, cachedRowsMax-50)
	same(t, c.rows <= cachedRowsMax, true)
	same(t, used(3, large), true)
	huge := keep(4, 2*cachedRowsMax) // too large for any other beside it, and still served
	same(t, []any{used(4, huge), c.count(), used(3, large)}, []any{true, 1, false})
	for user := range int64(2 * cachesMax) {
		keep(100+user, 1)
	}
	same(t, c.count() <= cachesMax, true)
	now = now.Add(time.Hour)
	keep(9, 1)
	same(t, []int{c.count(), c.rows}, []int{1, 1})
}

func TestStatusOptions(t *testing.T) {
	d := newDesk(t)
	for i := range 30 {
		d.fleet.clients = append(d.fleet.clients, endpoint.Status{ComputerID: uint32(100 - i), Name: fmt.Sprintf("pc-%02d", i), Version: fmt.Sprint("7.", i%2), Platform: "Linux"})
	}
	list := data[[]map[string]any](t, d.options("/api/v2/system_status",
		`{"row_count":2,"cache_sort_fields":"computer_id","cache_filters":[{"field":"full_version","operator":"Equal","value":"7.1"}]}`))
	same(t, len(list), 4)
	same(t, []any{list[0]["host_name"], list[1]["host_name"]}, []any{"pc-29", "pc-27"})
	same(t, fmt.Sprint(list[2]["versions"]), "[map[count:15 filtered:0 version_string:7.0] map[count:15 filtered:15 version_string:7.1]]")
	same(t, []any{list[3]["cache_row_count"], list[3]["filtered_row_count"], list[3]["page_row_count"]}, []any{30.0, 15.0, 2.0})
	// Each field that is shown can be chosen by.
	for field := range statusCells {
		if w := d.options("/api/v2/system_status", fmt.Sprintf(`{"row_count":1,"cache_sort_fields":%q}`, field)); w.Code != 200 {
			t.Errorf("%s: %s", field, w.Body)
		}
	}
	shown := data[[]map[string]any](t, d.call("GET", "/api/v2/system_status?row_count=1", ""))[0]
	for field := range shown {
		if _, known := statusCells[field]; !known && !slices.Contains([]string{"cache_row_id", "backward", "forward"}, field) {
			t.Errorf("nobody can filter by %s", field)
		}
	}
}

func TestQuestionOptions(t *testing.T) {
	d := newDesk(t)
	for _, what := range []string{"Computer Name", "Operating System", "Free Memory", "Computer Name"} {
		d.ask("Get " + what + " from all machines")
	}
	list := data[[]map[string]any](t, d.options("/api/v2/questions",
		`{"cache_sort_fields":"id","cache_expiration":60,"row_count":1,"cache_filters":[{"field":"query_text","value":".*Computer.*"},{"field":"user/name","value":"ann"}]}`))
	same(t, []any{len(list), list[0]["id"], list[1]["filtered_row_count"]}, []any{2, 1.0, 2.0})
	d.ask("Get Computer Name from all machines")
	list = data[[]map[string]any](t, d.options("/api/v2/questions", fmt.Sprintf(`{"cache_id":%.0f,"row_start":1}`, list[1]["cache_id"])))
	same(t, []any{len(list), list[0]["id"]}, []any{2, 4.0})
	d.refused(d.options("/api/v2/questions", `{"cache_sort_fields":"colour"}`), 400, `cache_sort_fields: there is no field "colour" here`)
}
