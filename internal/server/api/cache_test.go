package api

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

// keep has a list kept for somebody and returns how its pages are asked for.
func (d *desk) keep(u store.User, path string) (again func() int) {
	d.t.Helper()
	session := d.begun(time.Now(), u)
	w := d.send("GET", "/api/v2/"+path, "", "session", session, optionsHeader, `{"cache_expiration":600}`)
	list := data[[]map[string]any](d.t, w)
	info := list[len(list)-1]
	if info["cache_id"] == nil || info["cache_id"] == 0.0 {
		d.t.Fatalf("%s: nothing is kept: %v", path, info)
	}
	return func() int {
		d.t.Helper()
		return d.send("GET", "/api/v2/"+path, "", "session", session, optionsHeader, fmt.Sprintf(`{"cache_id":%.0f}`, info["cache_id"])).Code
	}
}

// TestKeptListsFollowRights: a list that is kept is read only by who could make
// it now, however often it is renewed; and what changes for others does not
// matter.
func TestKeptListsFollowRights(t *testing.T) {
	d := newDesk(t)
	in := func(p rights.Privilege, set int) string {
		return fmt.Sprintf(`{"content_set":{"id":%d},"content_set_privilege":{"name":%q}}`, set, p)
	}
	role := func(name string, of ...string) int64 {
		return d.made("content_set_roles", fmt.Sprintf(`{"name":%q,"content_set_role_privileges":[%s]}`, name, strings.Join(of, ",")))
	}
	reads := role("reads", in(rights.ReadPackage, 1), in(rights.ReadPackage, 2))
	bob, eve := d.person("bob", "reads"), d.person("eve", "reads")
	pack := func(name string, set int) int64 {
		return d.made("packages", fmt.Sprintf(`{"name":%q,"command":"x","content_set":{"id":%d}}`, name, set))
	}
	pack("one", 1)
	two := pack("two", 2)

	bobs, eves := d.keep(bob, "packages"), d.keep(eve, "packages")
	same(t, []int{bobs(), eves()}, []int{200, 200})
	role("another", in(rights.ReadPackage, 3)) // nobody's yet
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/users/%d", eve.ID), `{"content_set_roles":[]}`))
	same(t, []int{bobs(), eves()}, []int{200, 403})
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/users/%d", eve.ID), `{"content_set_roles":[{"name":"another"}]}`))
	same(t, eves(), 404) // he may read packages, but not these

	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/content_set_roles/%d", reads), fmt.Sprintf(`{"content_set_role_privileges":[%s]}`, in(rights.ReadPackage, 1))))
	same(t, bobs(), 404)
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/content_set_roles/%d", reads), fmt.Sprintf(`{"content_set_role_privileges":[%s,%s]}`, in(rights.ReadPackage, 1), in(rights.ReadPackage, 2))))
	bobs = d.keep(bob, "packages")
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/packages/%d", two), `{"content_set":{"id":3}}`)) // away from him
	same(t, bobs(), 404)
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/packages/%d", two), `{"content_set":{"id":1}}`))
	same(t, bobs(), 404) // it is gone
}

// TestKeptQuestionsFollowRights: so is a list whose rows lie in no content set.
func TestKeptQuestionsFollowRights(t *testing.T) {
	d := newDesk(t)
	d.role("asks", false, rights.AskDynamicQuestion, rights.ReadSensor)
	d.role("looks back", false, rights.ReadQuestionHistory)
	bob := d.person("bob", "asks", "looks back")
	d.ask("Get Computer Name from all machines")
	again := d.keep(bob, "questions")
	same(t, again(), 200)
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/users/%d", bob.ID), `{"content_set_roles":[{"name":"asks"}]}`))
	same(t, again(), 404)
}

// TestKeptAnswersFollowRights: so is an answer that is paged through.
func TestKeptAnswersFollowRights(t *testing.T) {
	d := newDesk(t)
	d.role("asks", false, rights.AskDynamicQuestion, rights.ReadSensor)
	d.role("looks back", false, rights.ReadQuestionHistory)
	bob := d.person("bob", "asks", "looks back")
	id := d.ask("Get Computer Name from all machines")
	d.fleet.say(id, func(r *tally.Result) { r.Rows = rows("a") })
	session := d.begun(time.Now(), bob)
	page := func(options string) resultSet {
		t.Helper()
		return d.setOf(d.send("GET", fmt.Sprint("/api/v2/result_data/question/", id), "", "session", session, optionsHeader, options))
	}
	kept := `{"cache_id":` + page(`{"cache_expiration":600}`).CacheID + `}`
	same(t, len(page(kept).Rows), 1)
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/users/%d", bob.ID), `{"content_set_roles":[{"name":"asks"}]}`))
	w := d.send("GET", fmt.Sprint("/api/v2/result_data/question/", id), "", "session", session, optionsHeader, kept)
	same(t, []any{w.Code, strings.Contains(w.Body.String(), rights.ReadQuestionHistory.String())}, []any{403, true})
}

// TestSumsAreCountedOnce: what stands behind a list that is kept is worked out
// for the first page, also if several ask at once.
func TestSumsAreCountedOnce(t *testing.T) {
	d := newDesk(t)
	var mu sync.Mutex
	counted := 0
	l := statusListing(sight{clients: make([]endpoint.Status, 5)})
	sums := l.sums
	l.sums = func(chosen func(yield func(i int) bool)) any {
		mu.Lock()
		defer mu.Unlock()
		counted++
		return sums(chosen)
	}
	v, err := l.choose(listOptions{})
	must(t, err)
	where := holder{path: "/x"}
	kept := d.api.caches.keep(time.Now(), where, v, time.Minute)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			v, err := d.api.caches.use(time.Now(), where, kept.id, 0)
			if err != nil {
				t.Error(err)
				return
			}
			if n := v.sum().(aggregateObject).RegisteredWithTLSCount; n != 5 {
				t.Errorf("%d machines are counted", n)
			}
		})
	}
	all.Wait()
	same(t, counted, 1)
}
