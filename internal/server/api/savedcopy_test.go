package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"catenary/internal/server/rights"
	"catenary/internal/server/tally"
)

// deeds are what was done to all objects of a kind, the newest first.
func (d *desk) deeds(of string) string {
	d.t.Helper()
	var deeds []string
	for _, e := range d.list("/api/v2/audit_logs/"+of+"/0", true)[0]["entries"].([]any) {
		deeds = append(deeds, e.(map[string]any)["last_modified_by"].(string)+" "+e.(map[string]any)["type_name"].(string))
	}
	return strings.Join(deeds, ", ")
}

// TestCopies: who may not change a saved question keeps his own version of it,
// which stands in its place for him, and for nobody else.
func TestCopies(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.role("asker", false, rights.ReadSavedQuestion, rights.AskDynamicQuestion, rights.ReadSensor)
	d.role("reader", false, rights.ReadSavedQuestion)
	ann, bob, cem := d.session, d.begun(time.Now(), d.person("bob", "asker")), d.begun(time.Now(), d.person("cem", "reader"))
	const original, edited = "Get Operating System from all machines", "Get Is Linux from all machines"
	id := d.saved(`{"name":"Systems","query_text":"` + original + `","public_flag":true,"issue_seconds":60}`)
	path := fmt.Sprintf("saved_questions/%d", id)
	result := fmt.Sprintf("result_data/saved_question/%d", id)

	d.denies("POST", path+"/copy", `{"query_text":"`+edited+`"}`, 400, "SavedQuestionNotCopied")
	d.session = bob
	d.denies("GET", path+"/copy", "", 404, "SavedQuestionCopyNotFound")
	d.denies("DELETE", path+"/copy", "", 404, "SavedQuestionCopyNotFound")
	d.denies("POST", path+"/copy", `{"query_text":"Get Nothing from all machines"}`, 400, "Nothing")
	d.denies("POST", "saved_questions/99/copy", `{"query_text":"`+edited+`"}`, 404, "SavedQuestionNotFound")
	before := d.setOf(d.optioned(result, `{}`)).QuestionID
	d.ok(d.call("POST", "/api/v2/"+path+"/copy", `{"query_text":"get computer name from all machines"}`))
	d.ok(d.call("POST", "/api/v2/"+path+"/copy", `{"query_text":"`+strings.ToLower(edited)+`"}`))
	own := d.shown(path + "/copy")
	same(t, []any{own["query_text"], own["user"].(map[string]any)["name"], own["saved_question"].(map[string]any)["name"]}, []any{edited, "bob", "Systems"})

	seen := func(session string) string {
		d.session = session
		of := d.shown(path)
		q := d.list("/api/v2/saved_questions", true)[0]
		same(t, q["query_text"], of["query_text"])
		same(t, of["question"].(map[string]any)["query_text"], of["query_text"])
		return of["query_text"].(string)
	}
	asked := func(session string) string {
		d.session = session
		set := d.setOf(d.optioned(result, `{}`))
		same(t, d.questionsOf(id, ""), []uint64{set.QuestionID})
		same(t, d.setOf(d.optioned(result, `{}`)).QuestionID, set.QuestionID) // not anew each time
		same(t, set.SavedQuestionID, uint64(id))
		q, err := d.store.Question(t.Context(), set.QuestionID)
		must(t, err)
		return q.Text
	}
	same(t, []string{seen(bob), seen(cem), seen(ann)}, []string{edited, original, original})
	same(t, []string{asked(bob), asked(cem), asked(ann)}, []string{edited, original, original})

	// His question is that of the saved question to him, and has no part in what is
	// kept of that.
	d.session = bob
	question := d.questionsOf(id, "")[0]
	same(t, d.shown(fmt.Sprintf("questions/%d", question))["saved_question"], any(map[string]any{"id": float64(id), "name": "Systems"}))
	same(t, d.shown(path)["most_recent_question_id"], any(float64(question)))
	d.fleet.say(question, func(r *tally.Result) { r.Rows, r.Answered, r.Passed = rows("True"), 1, 1 })
	same(t, words(d.setOf(d.optioned(result, `{}`))), "True")
	d.api.reissuer = newReissuer()
	must(t, d.api.readReissues(t.Context()))
	same(t, d.questionsOf(id, ""), []uint64{question}) // also after a restart
	// A change of the saved question leaves his version alone.
	d.session = ann
	d.ok(d.call("PATCH", "/api/v2/"+path, `{"query_text":"Get Free Memory from all machines"}`))
	same(t, []string{seen(bob), seen(ann)}, []string{edited, "Get Free Memory from all machines"})
	d.ok(d.call("PATCH", "/api/v2/"+path, `{"query_text":"`+original+`"}`))

	d.session = bob
	d.ok(d.call("DELETE", "/api/v2/"+path+"/copy", ""))
	same(t, []string{seen(bob), asked(bob)}, []string{original, original})
	if now := d.setOf(d.optioned(result, `{}`)).QuestionID; now == question || now < before {
		t.Errorf("question %d after the copy was dropped", now)
	}
	d.session = ann
	same(t, d.deeds("saved_question_copies"), "bob delete, bob update, bob create")
}

// TestCopiesEnd: with the saved question, with their users, and for those who come
// to change the saved question itself or may not ask any more.
func TestCopiesEnd(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.made("groups", `{"name":"Mine","text":"Is Linux equals true"}`)
	d.role("asker", false, rights.ReadSavedQuestion, rights.AskDynamicQuestion, rights.ReadSensor)
	u := d.person("bob", "asker")
	ann, bob := d.session, d.begun(time.Now(), u)
	var ids []int64
	for _, name := range []string{"One", "Two"} {
		id := d.saved(`{"name":"` + name + `","query_text":"Get Operating System from all machines","public_flag":true}`)
		d.session = bob
		d.ok(d.call("POST", fmt.Sprintf("/api/v2/saved_questions/%d/copy", id), `{"query_text":"Get Computer Name from all machines with Mine"}`))
		d.session = ann
		ids = append(ids, id)
	}
	copies := func() int { return len(d.api.shelves.All(copyKind)) }
	group := d.shown("groups/by-name/Mine")["id"]
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/groups/%v", group), `{"name":"Ours"}`))
	text := func() any {
		d.session = bob
		defer func() { d.session = ann }()
		return d.shown(fmt.Sprintf("saved_questions/%d", ids[0]))["query_text"]
	}
	same(t, text(), any("Get Computer Name from all machines with Ours"))
	same(t, copies(), 2)
	d.ok(d.call("DELETE", fmt.Sprintf("/api/v2/saved_questions/%d", ids[1]), ""))
	same(t, copies(), 1)

	d.role("keeper", false, rights.WriteSavedQuestion)
	d.role("mute", true, rights.AskDynamicQuestion)
	d.ok(d.call("PATCH", "/api/v2/users/by-name/bob", `{"content_set_roles":[{"name":"asker"},{"name":"mute"}]}`))
	d.session = bob
	d.denies("GET", fmt.Sprintf("result_data/saved_question/%d", ids[0]), "", 403, "Ask Dynamic Question")
	d.denies("GET", fmt.Sprintf("saved_questions/%d/questions", ids[0]), "", 403, "Ask Dynamic Question")
	d.session = ann
	d.ok(d.call("PATCH", "/api/v2/users/by-name/bob", `{"content_set_roles":[{"name":"asker"},{"name":"keeper"}]}`))
	same(t, text(), any("Get Operating System from all machines"))
	d.ok(d.call("DELETE", fmt.Sprintf("/api/v2/users/%d", u.ID), ""))
	same(t, copies(), 0)
}
