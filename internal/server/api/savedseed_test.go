package api

import (
	"fmt"
	"testing"

	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

// TestSeeds: a saved question that begins with questions has their newest answer
// without being asked, and begins with nothing that asks something else.
func TestSeeds(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	const text = "Get Computer Name from all machines"
	older, newer, other := d.ask(text), d.ask(text), d.ask("Get Operating System from all machines")
	about := d.made("questions", `{"query_text":"`+text+`","context_group":{"id":1}}`)
	body := func(name, seeds string) string {
		return fmt.Sprintf(`{"name":%q,"query_text":"get computer name from all machines","seeding_question_ids":%q}`, name, seeds)
	}
	id := d.made("saved_questions", body("Seeded", fmt.Sprintf(" %d, %d", older, newer)))
	asked := len(d.fleet.asked)
	set := d.shown(fmt.Sprintf("result_data/saved_question/%d", id))["result_sets"].([]any)[0].(map[string]any)
	if set["question_id"] != float64(newer) || len(d.fleet.asked) != asked {
		t.Errorf("the answer is that of question %v, not %d; asked again: %t", set["question_id"], newer, len(d.fleet.asked) != asked)
	}
	if s := d.shown(fmt.Sprintf("saved_questions/%d", id)); s["most_recent_question_id"] != float64(newer) {
		t.Errorf("the saved question is %v", s)
	}
	if got := d.questionsOf(id, `{"saved_question_qids_include_expired_flag":1,"saved_question_qids_allow_multiple_flags":1}`); len(got) != 2 {
		t.Errorf("its questions are %v", got)
	}
	for seeds, tt := range map[string]struct {
		status int
		text   string
	}{
		fmt.Sprint(other): {400, `question ` + fmt.Sprint(other) + ` asks something else`}, fmt.Sprint(newer): {400, "for a saved question already"},
		fmt.Sprint(about): {400, "or about a group"}, "999": {404, "QuestionNotFound"}, "a": {400, "numbers of questions"}, "1,,2": {400, "numbers of questions"},
	} {
		d.denies("POST", "saved_questions", body("x", seeds), tt.status, tt.text)
	}
	mine := d.ask(text)
	d.person("eve")
	may := rights.Of([]rights.Role{{Grants: []rights.Grant{{Privilege: rights.WriteSavedQuestion}, {Privilege: rights.ReadSensor}}}}, nil)
	d.api.rightsOf = func(store.User) rights.Rights { return may }
	d.session = d.logIn("eve", testPassword)
	d.denies("POST", "saved_questions", body("Eve's", fmt.Sprint(mine)), 403, "Read Question History")
}
