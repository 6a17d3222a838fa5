package api

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/filter"
	"catenary/internal/question"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

// quoted is text as a JSON string.
func quoted(t testing.TB, text string) string {
	b, err := marshal(text)
	must(t, err)
	return strings.TrimSpace(string(b))
}

func (d *desk) refused(w *httptest.ResponseRecorder, status int, text string) {
	d.t.Helper()
	d.want(w, status, `{"text":`+quoted(d.t, text)+`}`)
}

func TestParseCanonical(t *testing.T) {
	d := newDesk(t)
	for text, want := range map[string]string{
		`Get Operating System from all machines`: `{"question_text":"Get Operating System from all machines","from_canonical_text":1,` +
			`"selects":[{"sensor":{"hash":45421433,"name":"Operating System"}}],"sensor_references":[{"name":"Operating System","start_char":"4","real_ms_avg":0}]}`,
		`get number of machines`: `{"question_text":"Get number of machines","from_canonical_text":1,"selects":[],"sensor_references":[]}`,
	} {
		d.want(d.call("POST", "/api/v2/parse_question", `{"text":`+quoted(t, text)+`}`), 200, `{"data":[`+want+`]}`)
	}
}

func TestParseWithCondition(t *testing.T) {
	d := newDesk(t)
	list := data[[]filter.Candidate](t, d.call("POST", "/api/v2/parse_question",
		`{"text":"get ?forceComputerIdFlag=1 Folder Contents[/tmp] and Operating System from all machines with (Folder Contents[/etc] contains x or Is Linux = True) and Between[1,2] > 3"}`))
	if len(list) != 1 {
		t.Fatalf("%d candidates, want 1", len(list))
	}
	c := list[0]
	same(t, c.QuestionText, "Get ?forceComputerIdFlag=1 Folder Contents[/tmp] and Operating System from all machines with (Folder Contents[/etc] contains x or Is Linux equals True) and Between[1,2] > 3")
	same(t, c.ParameterValues, []filter.Text{"/tmp", "1", "2", "/etc"}) // filters before the groups within
	same(t, c.ForceComputerIDFlag, true)
	same(t, c.Group.Text, " (Folder Contents[/etc] contains x or Is Linux equals True) and Between[1,2] > 3")
	same(t, c.Group.Filters[0].Sensor.Name, "Between")
	same(t, c.Group.SubGroups[0].Filters[0].Value, ".*x.*")
	var at []string
	for _, r := range c.SensorReferences {
		at = append(at, r.StartChar+" "+r.Name)
	}
	same(t, at, []string{"27 Folder Contents", "53 Operating System", "94 Folder Contents", "130 Is Linux", "156 Between"})
	for _, r := range c.SensorReferences {
		var n int
		_, err := fmt.Sscan(r.StartChar, &n)
		must(t, err)
		if !strings.HasPrefix(c.QuestionText[n:], r.Name) {
			t.Errorf("%s is not at character %d", r.Name, n)
		}
	}
}

func TestParseLoose(t *testing.T) {
	d := newDesk(t)
	list := data[[]filter.Candidate](t, d.call("POST", "/api/v2/parse_question", `{"text":"operating system"}`))
	same(t, list[0].QuestionText, "Get Operating System from all machines")
	same(t, list[0].FromCanonicalText, 1)
	list = data[[]filter.Candidate](t, d.call("POST", "/api/v2/parse_question", `{"text":"Get Opperating Sistem from all machines"}`))
	same(t, list[0].QuestionText, "Get Operating System from all machines")
	same(t, list[0].FromCanonicalText, 0)
	for _, text := range []string{"zzzz qqqq", "", "("} {
		d.want(d.call("POST", "/api/v2/parse_question", `{"text":`+quoted(t, text)+`}`), 200, `{"data":[]}`)
	}
	list = data[[]filter.Candidate](t, d.call("POST", "/api/v2/parse_question", `{"text":"opperating sistem [5]"}`))
	same(t, list[0].ParameterValues, []filter.Text{"5"})
	// Sent back whole, a candidate asks what it stands for.
	body, err := json.Marshal(list[0])
	must(t, err)
	id := data[idObject](t, d.call("POST", "/api/v2/questions", string(body))).ID
	same(t, data[questionObject](t, d.call("GET", "/api/v2/questions/"+fmt.Sprint(id), "")).QueryText, list[0].QuestionText)
}

func TestAskBadly(t *testing.T) {
	d := newDesk(t)
	for _, tt := range []struct {
		body   string
		status int
		text   string
	}{
		{`{"query_text":"Get Opperating System from all machines"}`, 400, `column 5: no sensor is called "Opperating System"; did you mean "Operating System"?`},
		{`{"query_text":"Get Operating System from all machines with"}`, 400, `column 44: expected a sensor, found the end`},
		{`{"query_text":"Get Operating System frm all machines"}`, 400, `column 22: expected "and", "from all machines" or the end, found "frm"; did you mean "from"?`},
		{`{"query_text":"Get Between[1] from all machines"}`, 400, `column 12: Between takes 2 parameters in brackets (Low, High), but 1 are given`},
		{`{"query_text":"Get Operating System","expire_seconds":-1}`, 400, `expire_seconds is -1, not 10 to 3600`},
		{`{"query_text":"Get Operating System","expire_seconds":3601}`, 400, `expire_seconds is 3601, not 10 to 3600`},
		{`{"query_text":"Get Operating System","context_group":{"id":7}}`, 404, `REST Object Not Found Exception:  GroupNotFound: The requested group was not found (context_group)`},
		{`{"selects":[{"sensor":{"name":"Nothing"}}]}`, 404, `REST Object Not Found Exception:  SensorNotFound: The requested sensor was not found (selects[0].sensor: "Nothing")`},
		{`{"selects":[{"sensor":{"hash":5}}]}`, 404, `REST Object Not Found Exception:  SensorNotFound: The requested sensor was not found (selects[0].sensor: hash 5)`},
		{`{"selects":[{}]}`, 404, `REST Object Not Found Exception:  SensorNotFound: The requested sensor was not found (selects[0].sensor: hash 0)`},
		{`{"selects":[{"sensor":{"name":"Operating System from all machines with Is Linux = True"}}]}`, 404, `REST Object Not Found Exception:  SensorNotFound: The requested sensor was not found (selects[0].sensor: "Operating System from all machines with Is Linux = True")`},
		{`{"selects":[{"sensor":{"name":"Between","parameters":[{"key":"||low||","value":"1"}]}}]}`, 400, `selects[0].sensor.parameters: Between needs a value for "high"`},
		{`{"selects":[{"sensor":{"name":"Between","parameters":[{"key":"||lo||","value":"1"}]}}]}`, 400, `selects[0].sensor.parameters: Between has no parameter "||lo||"`},
		{`{"selects":[{"sensor":{"name":"Between"}}]}`, 400, `Between takes 2 parameters in brackets (Low, High), but 0 are given`},
		{`{"selects":[{"sensor":{"name":"Between"}}],"parameter_values":["1"]}`, 400, `parameter_values: too few: Between takes 2, 1 are left`},
		{`{"selects":[{"sensor":{"name":"Between"}}],"parameter_values":["1","2","3"]}`, 400, `parameter_values: 1 more than the sensors have parameters`},
		{`{"selects":[{"sensor":{"name":"Operating System"},"filter":{"operator":"Contains","value":"x"}}]}`, 400, `selects[0].filter.operator: "Contains" is not RegexMatch, Equal, Less, LessEqual, Greater, GreaterEqual or HashMatch`},
		{`{"selects":[{"sensor":{"name":"Operating System"},"filter":{"max_age_seconds":-60}}]}`, 400, `Operating System: the age of an answer is a number of whole seconds, at most 315360000`},
		{`{"selects":[{"sensor":{"name":"Installed Applications"},"filter":{"delimiter":"|","delimiter_index":2}}]}`, 400, `selects[0].filter.delimiter_index: Installed Applications has 2 columns, and the first is 0`},
		{`{"selects":[],"group":{"filters":[{"sensor":{"name":"Free Memory"},"operator":"Less","value":"lots"}]}}`, 400, `Free Memory < lots: "lots" cannot be read as DataSize, such as 1.5 GB`},
		{`{"selects":[],"group":` + strings.Repeat(`{"sub_groups":[`, 1000) + strings.Repeat(`]}`, 1000) + `}`, 400, `groups are nested more than 64 deep`},
		{`{"query_text":"Get number of machines with ` + strings.Repeat("(", 1000) + `Is Linux = True` + strings.Repeat(")", 1000) + `"}`, 400, `column 129: parentheses and nots are nested more than 100 deep`},
		{`{"selects":[],"group":{"sub_groups":[{"filters":[{"sensor":{"name":"Nothing"},"operator":"Equal"}]}]}}`, 404, `REST Object Not Found Exception:  SensorNotFound: The requested sensor was not found (group.sub_groups[0].filters[0].sensor: "Nothing")`},
		{`{"selects":[],"group":{"name":"Nobody"}}`, 404, `REST Object Not Found Exception:  GroupNotFound: The requested group was not found (group: "Nobody")`},
		{`{"selects":[],"group":{"text":"Is Linux equals"}}`, 400, `group.text: column 16: expected a value, found the end`},
		{`{"selects":[],"group":{"id":12}}`, 404, `REST Object Not Found Exception:  GroupNotFound: The requested group was not found (group: 12)`},
	} {
		d.refused(d.call("POST", "/api/v2/questions", tt.body), tt.status, tt.text)
	}
	same(t, len(d.fleet.asked), 0)
}

// Every way to ask ends as one canonical text.
func TestAsk(t *testing.T) {
	d := newDesk(t)
	d.api.groups = testGroups
	os := func(rest string) string { return "Get Operating System from all machines" + rest }
	for _, tt := range []struct{ body, want string }{
		{`{"query_text":"get operating system"}`, os("")},
		{`{"query_text":"Get Between[1,2] from all machines","selects":[{"sensor":{"name":"operating system"}}]}`, os("")}, // selects win
		{`{"query_text":"get number of machines","selects":null}`, "Get number of machines"},
		{`{"selects":[]}`, "Get number of machines"},
		{`{"selects":[{"sensor":{"hash":45421433}}],"group":{},"context_group":{"id":0}}`, os("")},
		{`{"selects":[{"sensor":{"hash":"45421433","name":"ignored then"}}]}`, os("")},
		{`{"selects":[{"sensor":{"source_hash":45421433,"hash":1,"name":"x"},"filter":{"operator":"Less","value":""}}],"skip_lock_flag":1}`, os("")},
		{`{"selects":[{"sensor":{"name":"Between","parameters":[{"key":"high","value":2},{"key":"||low||","value":"1","type":0}]}}]}`, "Get Between[1,2] from all machines"},
		{`{"selects":[{"sensor":{"name":"Between[1,2]"}}]}`, "Get Between[1,2] from all machines"},
		{`{"selects":[{"sensor":{"name":"Application Crashes in Last X Days"}}]}`, `Get "Application Crashes in Last X Days" from all machines`},
		{`{"selects":[{"sensor":{"name":"Application Crashes in Last X Days","parameters":[]}}],"parameter_values":["9"]}`, `Get "Application Crashes in Last X Days"[9] from all machines`},
		{`{"selects":[{"sensor":{"name":"Operating System"}}],"group":{"text":" Is Linux = True"}}`, os(" with Is Linux equals True")},
		{`{"selects":[{"sensor":{"name":"Operating System"}}],"group":{"text":"Is Linux = True","not_flag":1}}`, os(" with Is Linux not equals True")},
		{`{"selects":[{"sensor":{"name":"Installed Applications"},"filter":{"delimiter":"|","delimiter_index":1}}]}`, "Get Installed Applications:Version from all machines"},
		{`{"selects":[{"sensor":{"name":"Operating System"},"filter":{"operator":"RegexMatch","value":".*x.*","max_age_seconds":60}}]}`, "Get Operating System?maxAge=60 contains x from all machines"},
		{`{"query_text":"get free memory < 1 GB having free memory > 2"}`, "Get Free Memory < 1 GB having Free Memory > 2 from all machines"},
		{`{"selects":[],"group":{"filters":[{"sensor":{"name":"Is Linux"},"value":"True"}]}}`, "Get number of machines from all machines with Is Linux equals True"},
		{`{"selects":[],"group":{"id":4}}`, "Get number of machines from all machines with Sales"},
		{`{"query_text":"get number of machines with sales or not all computers","context_group":{"id":4}}`, "Get number of machines from all machines with Sales or not All Computers"},
		{`{"selects":[{"sensor":{"name":"Operating System"}}],"group":{"and_flag":0,"filters":[
			{"sensor":{"name":"Is Linux"},"operator":"Equal","value":true},
			{"sensor":{"hash":3409330187},"operator":"RegexMatch","value":".*x.*","not_flag":1,"all_values_flag":1,"ignore_case_flag":0}]}}`,
			os(" with Is Linux equals true or Computer Name not contains x matching case")},
		{`{"selects":[{"sensor":{"name":"Operating System"}}],"group":{"not_flag":true,"sub_groups":[
			{"filters":[{"sensor":{"name":"Free Memory"},"operator":"GreaterEqual","value":"1GB"}]},
			{"filters":[{"sensor":{"name":"Computer Name"},"operator":"RegexMatch","value":"a.*"}]}]}}`,
			os(" with not (Free Memory >= 1GB and Computer Name starts with a)")},
		{`{"query_text":"Get Operating System","force_computer_id_flag":1}`, "Get ?forceComputerIdFlag=1 Operating System from all machines"},
	} {
		w := d.call("POST", "/api/v2/questions", tt.body)
		if w.Code != 200 {
			t.Errorf("%s: %s", tt.body, w.Body)
			continue
		}
		id := data[idObject](t, w).ID
		if got := data[questionObject](t, d.call("GET", "/api/v2/questions/"+fmt.Sprint(id), "")).QueryText; got != tt.want {
			t.Errorf("%s\nasks %s\nwant %s", tt.body, got, tt.want)
		}
	}
	a := d.fleet.asked[len(d.fleet.asked)-1]
	same(t, []any{a.ComputerID, a.UserID, a.Life}, []any{true, int64(1), expireDefault})
	d.call("POST", "/api/v2/questions", `{"query_text":"Get Operating System","expire_seconds":30}`)
	same(t, d.fleet.asked[len(d.fleet.asked)-1].Life, 30*time.Second)
}

// groups are computer groups in memory, by their numbers.
type groups map[int64]question.Group

func (g groups) GroupByID(id int64) (question.Group, bool) {
	found, ok := g[id]
	return found, ok
}

func (g groups) GroupByName(name string) (question.Group, bool) {
	for _, found := range g {
		if strings.EqualFold(found.Name, name) {
			return found, true
		}
	}
	return question.Group{}, false
}

var testGroups = groups{1: {ID: 1, Name: "All Computers"}, 4: {ID: 4, Name: "Sales", Where: question.Test{Ref: question.Ref{Sensor: "Computer Name"}, Op: question.StartsWith, Value: "s"}}}

// TestAskWithRights: the groups of who asks, and those that the question is
// about, go to the engine beside the question.
func TestAskWithRights(t *testing.T) {
	d := newDesk(t)
	d.api.groups = testGroups
	asked := func() question.Asking {
		d.ask("Get number of machines with Sales")
		return d.fleet.asked[len(d.fleet.asked)-1]
	}
	same(t, asked().Rights, nil)
	var may rights.Rights
	d.api.rightsOf = func(store.User) rights.Rights { return may }
	may = rights.Rights{Anything: true, Groups: []int64{4}}
	same(t, asked().Rights, nil)
	read := rights.Role{Grants: []rights.Grant{{Privilege: rights.AskDynamicQuestion}}}
	may = rights.Of([]rights.Role{read}, []int64{4, 1})
	same(t, asked().Rights, question.Condition(question.Or{question.Member{ID: 4}, question.Member{ID: 1}}))
	may = rights.Of([]rights.Role{read}, []int64{})
	same(t, asked().Rights, question.Condition(question.Or{}))
	may = rights.Rights{Anything: true}
	d.want(d.call("POST", "/api/v2/questions", `{"query_text":"Get number of machines","context_group":{"id":4}}`), 200, `{"data":{"id":5}}`)
	same(t, d.fleet.asked[4].Context, question.Condition(question.Member{ID: 4, Name: "Sales"}))
}

// TestCounters: of the machines that have answered, those that the asker may not
// ask have decided nothing.
func TestCounters(t *testing.T) {
	r := reading{result: tally.Result{Progress: tally.Progress{Expected: 10, Answered: 8, Outside: 3, Passed: 2}}}
	c := r.counters()
	same(t, []int{c.EstimatedTotal, c.MRTested, c.MRPassed, c.Tested, c.Passed}, []int{10, 8, 5, 5, 2})
}

func TestShowAndListQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.ask(`Get Folder Contents[/tmp] from all machines with Is Linux equals True`)
		const shown = `{"id":1,"name":"","index":0,"query_text":"Get Folder Contents[/tmp] from all machines with Is Linux equals True","from_canonical_text":1,` +
			`"selects":[{"sensor":{"hash":3065792471,"name":"Folder Contents[/tmp]","source_hash":3881863289,"parameters":[{"key":"||path||","value":"/tmp","type":0}]},` +
			`"filter":{"operator":"Less","value":"","value_type":"String","not_flag":false,"all_values_flag":false,"ignore_case_flag":true,"max_age_seconds":0,"delimiter":"","delimiter_index":0,"substring_flag":false,"substring_start":0,"substring_length":0,"aggregation":"","all_times_flag":false,"utf8_flag":false}}],` +
			`"group":{"id":0,"name":"","type":0,"text":" Is Linux equals True","and_flag":true,"not_flag":false,"filters":[{"sensor":{"hash":3554080383,"name":"Is Linux"},` +
			`"operator":"Equal","value":"True","value_type":"String","not_flag":false,"all_values_flag":false,"ignore_case_flag":true,"max_age_seconds":0,"delimiter":"","delimiter_index":0,"substring_flag":false,"substring_start":0,"substring_length":0,"aggregation":"","all_times_flag":false,"utf8_flag":false}],"sub_groups":[]},` +
			`"expiration":"2000-01-01T00:10:00Z","expire_seconds":600,"is_expired":false,"force_computer_id_flag":false,"action_tracking_flag":false,"hidden_flag":false,"skip_lock_flag":false,"priority":0,` +
			`"user":{"id":1,"name":"ann"},"persona":{"id":0},"saved_question":{"id":0},"context_group":{"id":0},"management_rights_group":{"id":0}}`
		d.want(d.call("GET", "/api/v2/questions/1", ""), 200, `{"data":`+shown+`}`)
		const info = `{"cache_id":0,"cache_row_count":%[1]d,"filtered_row_count":%[1]d,"page_row_count":%[2]d,"expiration":"2000-01-01T00:00:00Z","errors":[]}`
		d.want(d.call("GET", "/api/v2/questions", ""), 200, `{"data":[`+shown+`,`+fmt.Sprintf(info, 1, 1)+`]}`)
		for range 3 {
			d.ask("Get number of machines")
		}
		ids := func(w *httptest.ResponseRecorder) (out []uint64) {
			var list struct{ Data []idObject }
			must(t, json.Unmarshal(w.Body.Bytes(), &list))
			for _, o := range list.Data[:len(list.Data)-1] { // without the cache info
				out = append(out, o.ID)
			}
			return out
		}
		same(t, ids(d.call("GET", "/api/v2/questions?row_count=2", "")), []uint64{4, 3})
		same(t, ids(d.call("GET", "/api/v2/questions?row_start=3", "")), []uint64{1})
		same(t, ids(d.send("GET", "/api/v2/questions", "", "session", d.session, "tanium-options", `{"row_start":1,"row_count":"1"}`)), []uint64{3})
		d.refused(d.send("GET", "/api/v2/questions", "", "session", d.session, "tanium-options", `nonsense`), 400,
			`the header tanium-options is no JSON object: invalid character 'o' in literal null (expecting 'u')`)
		time.Sleep(10 * time.Minute) // fake time
		d.session = data[sessionObject](t, d.send("POST", whereToPost, goodLogin)).Session
		same(t, data[questionObject](t, d.call("GET", "/api/v2/questions/1", "")).IsExpired, true)
	})
}

// TestSensorsByNumber: programs may know nothing else of a sensor.
func TestSensorsByNumber(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	number := func(name string) int64 { return d.api.shelves.ByName("sensor", name).ID }
	system, linux := number("Operating System"), number("Is Linux")
	const want = "Get Operating System contains x from all machines with Is Linux equals True"
	selects := fmt.Sprintf(`"selects":[{"sensor":{"id":%d},"filter":{"sensor":{"id":%[1]d},"operator":"RegexMatch","value":".*x.*"}}],`+
		`"group":{"sub_groups":[{"filters":[{"sensor":{"id":%d},"operator":"Equal","value":"True"}]}]}`, system, linux)
	d.ok(d.call("POST", "/api/v2/questions", `{`+selects+`}`))
	same(t, d.fleet.asked[0].Question.String(), want)
	id := d.made("saved_questions", `{"name":"By number","question":{`+selects+`}}`)
	same(t, d.shown(fmt.Sprintf("saved_questions/%d", id))["query_text"], any(want))
	group := fmt.Sprintf(`{"name":"By number","filters":[{"sensor":{"id":%d},"operator":"Equal","value":"True"}]}`, linux)
	same(t, d.shown(fmt.Sprintf("groups/%d", d.made("groups", group)))["text"], any(" Is Linux equals True"))
	d.ok(d.call("POST", "/api/v2/questions", fmt.Sprintf(`{"selects":[{"sensor":{"id":%d,"name":"Is Linux"}}]}`, system)))
	same(t, d.fleet.asked[1].Question.String(), "Get Is Linux from all machines") // a name is surer
	for _, body := range []string{
		`{"selects":[{"sensor":{"id":9999}}]}`,
		fmt.Sprintf(`{"selects":[{"sensor":{"id":%d},"filter":{"sensor":{"id":9999},"operator":"Equal","value":"x"}}]}`, system),
	} {
		d.denies("POST", "questions", body, 404, "number 9999")
	}
}

func TestPriority(t *testing.T) {
	d := newDesk(t)
	for _, priority := range []int{-1, 0, 1} {
		w := d.call("POST", "/api/v2/questions", fmt.Sprintf(`{"query_text":"Get number of machines","priority":%d}`, priority))
		same(t, data[questionObject](t, d.call("GET", fmt.Sprintf("/api/v2/questions/%d", data[idObject](t, w).ID), "")).Priority, priority)
		same(t, d.fleet.asked[len(d.fleet.asked)-1].Priority, priority)
	}
	for _, priority := range []string{"2", "-2"} {
		d.denies("POST", "questions", `{"query_text":"Get number of machines","priority":`+priority+`}`, 400, "priority is "+priority)
	}
}

// TestQuestionsKeepWhatTheyAreCalled: with the name, the place and the persona
// that the asker gave or had, and whether it was a text.
func TestQuestionsKeepWhatTheyAreCalled(t *testing.T) {
	d := newDesk(t)
	shown := func(session, body string) string {
		t.Helper()
		w := d.send("POST", "/api/v2/questions", body, "session", session)
		q := data[questionObject](t, d.call("GET", fmt.Sprintf("/api/v2/questions/%d", data[idObject](t, w).ID), ""))
		return fmt.Sprintf("%s %d %v %d", q.Name, q.Index, q.Persona, q.FromCanonicalText)
	}
	same(t, shown(d.session, `{"query_text":"Get number of machines","name":"All <here>","index":7,"persona":{"id":9}}`), "All <here> 7 {0 } 1")
	same(t, shown(d.session, `{"selects":[{"sensor":{"name":"Operating System"}}],"index":"-1"}`), " -1 {0 } 0")
	same(t, shown(d.session, `{"selects":[],"name":5,"from_canonical_text":1}`), "5 0 {0 } 1")
	d.made("personas", `{"name":"ann at night","content_set_role_list":[{"name":"Operator"}],"user_list":[{"name":"ann"}]}`)
	night := data[sessionObject](t, d.call("POST", "/api/v2/session/as_persona/1", `{}`)).Session
	same(t, shown(night, `{"query_text":"Get number of machines"}`), " 0 {1 ann at night} 1")
	d.denies("POST", "questions", `{"query_text":"Get number of machines","name":"`+strings.Repeat("x", nameMax+1)+`"}`, 400, "name has 256 bytes, more than 255")

	saved := d.made("saved_questions", `{"name":"S","query_text":"Get number of machines"}`)
	d.ok(d.send("GET", fmt.Sprintf("/api/v2/result_info/saved_question/%d", saved), "", "session", night))
	last := d.fleet.asked[len(d.fleet.asked)-1]
	same(t, []any{last.Persona, last.InWords}, []any{int64(1), true})
}

// A sensor that is no more leaves the text of old questions.
func TestQuestionOfALostSensor(t *testing.T) {
	d := newDesk(t)
	d.ask("Get Operating System from all machines")
	d.fleet.sensors = d.fleet.sensors[2:]
	must(t, d.fleet.renew())
	q := data[questionObject](t, d.call("GET", "/api/v2/questions/1", ""))
	same(t, q.QueryText, "Get Operating System from all machines")
	same(t, q.Selects, []filter.Select{})
}

func FuzzQuestions(f *testing.F) {
	d := newDesk(f)
	for _, seed := range []string{
		`{"query_text":"Get Operating System"}`, `{"selects":[{"sensor":{"name":"Between[1,2]"}}],"group":{"filters":[{"sensor":{"hash":45421433},"operator":"Less","value":3}]}}`,
		`{"selects":[],"parameter_values":[1,null,true],"group":{"sub_groups":[{"sub_groups":[{}]}]}}`, `{"text":"operating system"}`, `[`, `null`, `{"selects":[null]}`,
		`{"selects":[{"sensor":{"parameters":[null,{"key":"||low||"}],"name":"Between"},"filter":{"delimiter":"|","delimiter_index":-1}}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		d.t = t
		for _, path := range []string{"questions", "parse_question"} {
			if w := d.call("POST", "/api/v2/"+path, body); !isEnvelope(w) || w.Code == 500 {
				t.Errorf("%s %q: %d %s", path, body, w.Code, w.Body)
			}
		}
	})
}
