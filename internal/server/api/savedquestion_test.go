package api

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"catenary/internal/question"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

func TestSavedQuestions(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	id := d.made("saved_questions", `{"name":"Names","query_text":"get computer name from all machines with Operating System contains \"x\"","issue_seconds":"60","packages":[]}`)
	const text = `Get Computer Name from all machines with Operating System contains x`
	q := d.shown("saved_questions/by-name/NAMES")
	if q["query_text"] != text || q["issue_seconds"] != 60.0 || q["public_flag"] != false || q["user"].(map[string]any)["name"] != testUser {
		t.Errorf("the saved question is %v", q)
	}
	inner := q["question"].(map[string]any)
	if inner["query_text"] != text || len(inner["selects"].([]any)) != 1 || inner["group"] == nil {
		t.Errorf("its question is %v", inner)
	}
	path := fmt.Sprintf("saved_questions/%d", id)
	d.ok(d.call("PATCH", "/api/v2/"+path, `{"query_text":"get operating system from all machines"}`))
	if got := d.shown(path)["question"].(map[string]any)["query_text"]; got != "Get Operating System from all machines" {
		t.Errorf("after a new text: %v", got)
	}
	d.ok(d.call("PATCH", "/api/v2/"+path, `{"question":{"selects":[{"sensor":{"name":"Free Memory"}}]}}`))
	if got := d.shown(path)["query_text"]; got != "Get Free Memory from all machines" {
		t.Errorf("after new selects: %v", got)
	}
	d.ok(d.call("PATCH", "/api/v2/"+path, `{"name":"Memory"}`))
	asked := d.ask("Get Is Linux from all machines")
	copied := d.made("saved_questions", fmt.Sprintf(`{"name":"Of a question","question":{"id":%d}}`, asked))
	if got := d.shown(fmt.Sprintf("saved_questions/%d", copied))["query_text"]; got != "Get Is Linux from all machines" {
		t.Errorf("of a question: %v", got)
	}
	d.want(d.call("DELETE", "/api/v2/"+path, ""), 200, fmt.Sprintf(`{"data":{"id":%d}}`, id))
	for _, tt := range []struct {
		body   string
		status int
		text   string
	}{
		{`{"query_text":"Get Computer Name from all machines"}`, 400, "SavedQuestionNameRequired"},
		{`{"name":"of A question","query_text":"Get Computer Name from all machines"}`, 400, "SavedQuestionNameNotUnique"},
		{`{"name":"x"}`, 400, "query_text or selects is needed"},
		{`{"name":"x","query_text":"Get Nothing from all machines"}`, 400, "Nothing"},
		{`{"name":"x","question":{"id":99}}`, 404, "QuestionNotFound"},
		{`{"name":"x","question":{"selects":[{"sensor":{"name":"Nothing"}}]}}`, 404, "SensorNotFound"},
		{`{"name":"x","question":[]}`, 400, `the field \"question\"`},
		{`{"name":"x","query_text":"Get Computer Name from all machines","issue_seconds":1}`, 400, "issue_seconds is 1"},
		{`{"name":"x","query_text":"Get Computer Name from all machines","expire_seconds":1}`, 400, "expire_seconds is 1"},
		{`{"name":"x","query_text":"Get Computer Name from all machines","packages":[{"id":5}]}`, 400, "there is no package with number 5"},
	} {
		d.denies("POST", "saved_questions", tt.body, tt.status, tt.text)
	}
}

// TestSavedQuestionsOfOthers: what is not public is its owner's, and answers are
// those of the machines that the caller may ask.
func TestSavedQuestionsOfOthers(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.made("groups", `{"name":"Mine","text":"Is Linux equals true"}`)
	private := d.made("saved_questions", `{"name":"Private","query_text":"Get Computer Name from all machines"}`)
	public := d.made("saved_questions", `{"name":"Public","query_text":"Get Computer Name from all machines","public_flag":true}`)
	first := d.questionsOf(public, "")
	if len(first) != 1 || d.questionsOf(public, "")[0] != first[0] {
		t.Errorf("asked anew while one is open: %v", first)
	}
	of := map[string]any{"id": float64(public), "name": "Public"}
	if got := d.shown(fmt.Sprintf("questions/%d", first[0]))["saved_question"]; !reflect.DeepEqual(got, of) {
		t.Errorf("the question says that it was asked for %v, not %v", got, of)
	}
	if got := d.list("/api/v2/questions", true)[0]["saved_question"]; !reflect.DeepEqual(got, of) {
		t.Errorf("a list of questions says that it was asked for %v, not %v", got, of)
	}
	if got := d.shown(fmt.Sprintf("saved_questions/%d", public))["most_recent_question_id"]; got != float64(first[0]) {
		t.Errorf("the most recent question is %v, not %v", got, first)
	}
	bob, err := d.store.CreateUser(t.Context(), store.User{Name: "bob", Created: time.Now()})
	must(t, err)
	must(t, d.api.shelves.Change(t.Context(), shelf.Author{}, func(ch *shelf.Change) error {
		o := object.New(object.ShapeOf("user"))
		o.Set("name", bob.Name)
		_, err := ch.Create("user", bob.ID, o)
		return err
	}))
	may := rights.Of([]rights.Role{{Grants: []rights.Grant{{Privilege: rights.ReadSavedQuestion}, {Privilege: rights.AskDynamicQuestion}}}}, []int64{3})
	d.api.rightsOf = func(store.User) rights.Rights { return may }
	d.session = d.begun(time.Now(), bob)
	if list := d.list("/api/v2/saved_questions", true); len(list) != 1 || list[0]["name"] != "Public" {
		t.Errorf("another sees %v", list)
	}
	d.denies("GET", fmt.Sprintf("saved_questions/%d", private), "", 404, "SavedQuestionNotFound")
	d.denies("GET", fmt.Sprintf("saved_questions/%d/questions", private), "", 404, "SavedQuestionNotFound")
	second := d.questionsOf(public, "")
	if len(second) != 1 || second[0] == first[0] {
		t.Errorf("who may ask some machines only gets %v, as who may ask all does", second)
	}
	if n := len(d.fleet.asked); n != 2 || d.fleet.asked[1].Rights == nil || d.fleet.asked[0].Rights != nil {
		t.Errorf("asked %+v", d.fleet.asked)
	}
	if got := d.shown(fmt.Sprintf("saved_questions/%d", public))["most_recent_question_id"]; got != float64(first[0]) {
		t.Errorf("everybody sees the question of somebody: %v", got)
	}
	if got := d.questionsOf(public, `{"saved_question_qids_include_expired_flag":1,"saved_question_qids_allow_multiple_flag":1,"saved_question_qids_reissue_flag":0}`); len(got) != 1 {
		t.Errorf("all of the caller's questions are %v", got)
	}
}

// questionsOf are the numbers of the questions of a saved question.
func (d *desk) questionsOf(saved int64, options string) (out []uint64) {
	d.t.Helper()
	w := d.send("GET", fmt.Sprintf("/api/v2/saved_questions/%d/questions", saved), "", "session", d.session, "tanium-options", options)
	d.ok(w)
	for _, q := range data[[]map[string]any](d.t, w) {
		out = append(out, uint64(q["id"].(float64)))
	}
	return out
}

// TestReissues: saved questions are asked again while the server runs, and go on
// where they were after a restart.
// TestReissueForNobody: who has been locked out asks nothing by a saved question
// that he has left, least of all beyond his management rights.
func TestReissueForNobody(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	bob := d.made("users", `{"name":"bob","password":"correct horse battery"}`)
	id := d.made("saved_questions", `{"name":"Left","query_text":"Get Computer Name from all machines","issue_seconds":60}`)
	alter(d, "saved_question", "Left", func(o *object.Object) { o.Set("user", object.Ref{ID: bob}) })
	asked := 0
	d.fleet.heard = func(question.Asking) { asked++ }
	d.api.reissueOne(t.Context(), id)
	if asked != 1 {
		t.Fatalf("asked %d times while bob is there\n%s", asked, d.logs)
	}
	alter(d, "user", "bob", func(o *object.Object) { o.Set("locked_out", int64(1)) })
	d.api.reissueOne(t.Context(), id)
	if asked != 1 || !strings.Contains(d.logs.String(), "its owner bob may not act any more") {
		t.Errorf("asked %d times\n%s", asked, d.logs)
	}
}

func TestReissues(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.made("saved_questions", `{"name":"Each minute","query_text":"Get Computer Name from all machines","issue_seconds":60,"expire_seconds":600}`)
	d.made("saved_questions", `{"name":"Never","query_text":"Get Computer Name from all machines","issue_seconds":60,"issue_seconds_never_flag":true}`)
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan question.Asking, 10)
	d.fleet.heard = func(a question.Asking) { asked <- a }
	done := make(chan error, 1)
	go func() { done <- d.api.runReissues(ctx) }()
	a := <-asked // within the first seconds
	cancel()
	must(t, <-done)
	if a.Life != time.Minute || a.UserID == 0 {
		t.Errorf("asked %+v", a)
	}
	list, err := d.store.LatestReissues(t.Context())
	must(t, err)
	if len(list) != 1 || list[0].SavedQuestion != 1 || list[0].Text != "Get Computer Name from all machines" {
		t.Fatalf("on record are %+v", list)
	}

	again := newReissuer()
	d.api.reissuer = again
	must(t, d.api.readReissues(t.Context()))
	if id, next := again.due(time.Now()); id != 0 || time.Until(next) < 30*time.Second {
		t.Errorf("after a restart %d is due at %v", id, next)
	}
	if last, ok := again.latest(1, ""); !ok || last.Question != list[0].Question {
		t.Errorf("after a restart the last question is %+v", last)
	}
}
