package filter

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"catenary/internal/fault"
	"catenary/internal/question"
)

// read reads what a program sends.
func read(t testing.TB, body string) (question.Question, error) {
	t.Helper()
	var in Question
	if err := json.Unmarshal([]byte(body), &in); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return Read(in, catalogue(t), known)
}

// TestRead: what programs send, and the question that it is.
func TestRead(t *testing.T) {
	const os, machines = "Get Operating System from all machines", "Get number of machines from all machines with "
	for body, want := range map[string]string{
		`{}`: "Get number of machines", `{"selects":[],"group":{}}`: "Get number of machines", `{"selects":null,"group":null}`: "Get number of machines",
		`{"selects":[],"force_computer_id_flag":"1"}`: "Get ?forceComputerIdFlag=1 number of machines",
		// Sensors.
		`{"selects":[{"sensor":{"name":"operating  SYSTEM"}}]}`:                                                                                                    os,
		`{"selects":[{"sensor":{"hash":45421433}}]}`:                                                                                                               os,
		`{"selects":[{"sensor":{"hash":"45421433","name":"whatever"}}]}`:                                                                                           os,
		`{"selects":[{"sensor":{"source_hash":45421433,"hash":3409330187,"name":"x"}}]}`:                                                                           os,
		`{"selects":[{"sensor":{"hash":1,"name":"Operating System"}}]}`:                                                                                            os,
		`{"selects":[{"sensor":{"id":7,"name":"Online","queries":[{"script":"x"}]},"other":{}}]}`:                                                                  "Get Online from all machines",
		`{"selects":[{"sensor":{"name":"Folder Contents[/etc]"}}]}`:                                                                                                "Get Folder Contents[/etc] from all machines",
		`{"selects":[{"sensor":{"hash":4008899213,"name":"Folder Contents[C:\\a b]"}}]}`:                                                                           `Get Folder Contents[C:\a b] from all machines`,
		`{"selects":[{"sensor":{"source_hash":3881863289,"name":"Folder Contents[/etc]"}}]}`:                                                                       "Get Folder Contents[/etc] from all machines",
		`{"selects":[{"sensor":{"name":"Registry Value","parameters":[{"key":"name","value":2},{"key":"||key||","value":"1"}]}}]}`:                                 "Get Registry Value[1,2] from all machines",
		`{"selects":[{"sensor":{"name":"Registry Value","parameters":[{"key":"||key||","value":true},{"key":"||name||"}]}}]}`:                                      "Get Registry Value[true,] from all machines",
		`{"selects":[{"sensor":{"name":"File Search","parameters":[{"key":"root","value":"/"},{"key":"folder"},{"key":"hidden","value":null},{"key":"depth"}]}}]}`: "Get File Search[/,,,] from all machines",
		// Parameters that stand apart.
		`{"selects":[{"sensor":{"name":"Registry Value"}},{"sensor":{"name":"Online"}},{"sensor":{"name":"Folder Contents"}}],"parameter_values":["a",2,"/c"]}`: "Get Registry Value[a,2] and Online and Folder Contents[/c] from all machines",
		`{"selects":[{"sensor":{"name":"Folder Contents[/a]"}},{"sensor":{"name":"Folder Contents"}}],"parameter_values":["/b"]}`:                               "Get Folder Contents[/a] and Folder Contents[/b] from all machines",
		`{"selects":[{"sensor":{"name":"File Search"}}],"parameter_values":["a","b","c","d",".*"]}`:                                                             "Get File Search[a,b,c,d] from all machines",
		`{"selects":[{"sensor":{"name":"File Search"}}],"parameter_values":["a","b","c","d","e"]}`:                                                              "Get File Search[a,b,c,d,e] from all machines",
		`{"question_text":"x","selects":[{"sensor":{"name":"Online"}}],"parameter_values":["5"],"score":7,"sensor_references":[]}`:                              "Get Online from all machines",
		`{"selects":[],"parameter_values":["/a","/b"],"group":{"sub_groups":[{"filters":[{"sensor":{"name":"Folder Contents"},"operator":"Equal","value":"x"}]}],"filters":[{"sensor":{"name":"File Hash"},"operator":"Equal","value":"y"}]}}`: machines +
			"File Hash[/a] equals y and Folder Contents[/b] equals x",
		// Filters of selects.
		`{"selects":[{"sensor":{"name":"Online"},"filter":{}}]}`:                                                                                                                 "Get Online from all machines",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"operator":"Less","value":""}}]}`:                                                                                     "Get Online from all machines",
		`{"selects":[{"sensor":{"name":"Free Memory"},"filter":{"operator":"Less","value":null,"value_type":"String","all_values_flag":1,"start_time":"2001-01-01T00:00:00"}}]}`: "Get Free Memory from all machines",
		`{"selects":[{"sensor":{"name":"Installed Applications"},"filter":{"delimiter":"|","delimiter_index":1}}]}`:                                                              "Get Installed Applications:Version from all machines",
		`{"selects":[{"sensor":{"name":"Installed Applications"},"filter":{"delimiter":",","delimiter_index":"1","operator":"Greater","value":2}}]}`:                             "Get Installed Applications:Version > 2 from all machines",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"sensor":{"name":"online"},"operator":"RegexMatch","value":".*x.*","not_flag":1,"all_values_flag":1}}]}`:              "Get Online not contains x from all machines",
		`{"selects":[{"sensor":{"name":"Folder Contents"},"filter":{"sensor":{"name":"Folder Contents"},"operator":"Equal","value":"x"}}],"parameter_values":["/a"]}`:            "Get Folder Contents[/a] equals x from all machines",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"sensor":{},"max_age_seconds":"60","ignore_case_flag":0}}]}`:                                                          "Get Online?maxAge=60 from all machines",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"substring_flag":1,"substring_start":2,"substring_length":3,"operator":"Equal","value":"x"}}]}`:                       "Get Online?substringStart=2&substringLength=3 equals x from all machines",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"substring_flag":0,"substring_start":2,"substring_length":3}}]}`:                                                      "Get Online from all machines",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"delimiter":", ","delimiter_index":2,"aggregation":"None"}}]}`:                                                        `Get Online?delimiter=", "&delimiterIndex=2 from all machines`,
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"value":"123"}}]}`:                                                                                                    "Get Online has hash 123 from all machines",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"value":"True","not_flag":true}}]}`:                                                                                   "Get Online not equals True from all machines",
		`{"selects":[{"sensor":{"name":"Installed Applications"},"having":[{"delimiter":"|","operator":"Equal","value":"x"}]}]}`:                                                 "Get Installed Applications having Installed Applications:Name equals x from all machines",
		`{"selects":[{"sensor":{"name":"Client Version"},"filter":{"value_type":"String","operator":"RegexMatch","value":"1.*"}}]}`:                                              "Get Client Version starts with 1 from all machines",
		`{"selects":[{"sensor":{"name":"Client Version"},"filter":{"value_type":"String","operator":"Greater","value":"1"}}]}`:                                                   "Get Client Version?type=String > 1 from all machines",
		// Groups.
		`{"group":{"text":" Online = x"}}`: machines + "Online equals x", `{"group":{"text":"Online = x","not_flag":1}}`: machines + "Online not equals x",
		`{"group":{"id":7}}`: machines + "Sales", `{"group":{"name":"laptops"}}`: machines + "Laptops", `{"group":{"id":7,"name":"old name","not_flag":true}}`: machines + "not Sales",
		`{"group":{"id":7,"text":" Online equals x"}}`: machines + "Sales", `{"group":{"id":99,"text":" Online equals x"}}`: machines + "Online equals x",
		`{"group":{"name":"Sales","text":"Online equals x"}}`: machines + "Online equals x", `{"group":{"text":"sales or not laptops"}}`: machines + "Sales or not Laptops",
		`{"group":{"id":7,"filters":[{"sensor":{"name":"Online"},"operator":"Equal","value":"x"}]}}`:                                                                                                    machines + "Online equals x",
		`{"group":{"and_flag":false,"sub_groups":[{"id":7},{"id":10,"not_flag":1},{}]}}`:                                                                                                                machines + "Sales or not Laptops",
		`{"group":{"filters":[{"sensor":{"name":"Manual Group Membership"},"operator":"Equal","value":"7"},{"sensor":{"name":"manual group membership"},"operator":"Equal","value":10,"not_flag":1}]}}`: machines + "Sales and not Laptops",
		`{"group":{"text":" Manual Group Membership equals 7"}}`:                                                                                                                                        machines + "Sales",
		`{"group":{"and_flag":0,"sub_groups":[{"sub_groups":[{"sub_groups":[{"filters":[{"sensor":{"name":"Online"},"value":"x"}]}]}]}]}}`:                                                              machines + "Online equals x",
		`{"group":{"filters":[{"sensor":{"name":"Online"},"operator":"HasMatch","value":"7"},{"sensor":{"name":"Online"},"operator":"HashMatch","value":"07"}]}}`:                                       machines + `Online has hash 7 and Online equals 07`,
		`{"group":{"filters":[{"sensor":{"hash":3409330187},"operator":"RegexMatch","value":".*x.*","not_flag":1,"all_values_flag":1,"ignore_case_flag":0}]}}`:                                          machines + "Computer Name not contains x matching case",
		`{"group":{"filters":[{"sensor":{"name":"Computer Name"},"operator":"RegexMatch","value":".*","not_flag":1}]}}`:                                                                                 machines + `any Computer Name not matches ".*"`,
		`{"group":{"filters":[{"sensor":{"name":"Online"},"operator":"Equal","value":1.5,"value_type":"Hash","max_age_seconds":9}]}}`:                                                                   machines + `Online?maxAge=9 equals "1.5"`,
		`{"group":{"filters":[{"sensor":{"name":"Client Version"},"operator":"Less","value":"2","value_type":"Version"}]}}`:                                                                             machines + "Client Version < 2",
		`{"group":{"filters":[{"sensor":{"name":"Client Version"},"operator":"Less","value":"2","value_type":"Numeric"}]}}`:                                                                             machines + "Client Version?type=Numeric < 2",
	} {
		got, err := read(t, body)
		if err != nil || got.String() != want {
			t.Errorf("%s\nis   %s, %v\nwant %s", body, got, err, want)
			continue
		}
		if again, err := question.Parse(want, catalogue(t), known); err != nil || again.String() != want {
			t.Errorf("%s is read as %s, %v", want, again, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	deep := strings.Repeat(`{"sub_groups":[`, 1000) + strings.Repeat(`]}`, 1000)
	nots := strings.Repeat(`{"not_flag":1,"sub_groups":[`, 63) + `{"filters":[{"sensor":{"name":"Online"},"operator":"Equal","not_flag":1}]}` + strings.Repeat(`]}`, 63)
	wide := `{"filters":[` + strings.Repeat(`{"sensor":{"name":"Online"},"operator":"Equal"},`, 1000) + `{}]}`
	for body, want := range map[string]string{
		`{"selects":[{"sensor":{"name":"Nothing"}}]}`:                                                               `selects[0].sensor: there is no sensor "Nothing"`,
		`{"selects":[{"sensor":{"name":"Nothing[x]"}}]}`:                                                            `selects[0].sensor: there is no sensor "Nothing[x]"`,
		`{"selects":[{"sensor":{"hash":5}}]}`:                                                                       `selects[0].sensor: there is no sensor hash 5`,
		`{"selects":[{}]}`:                                                                                          `selects[0].sensor: there is no sensor hash 0`,
		`{"selects":[{"sensor":{"hash":4294967297}}]}`:                                                              `there is no sensor hash 4294967297`,
		`{"selects":[{"sensor":{"name":"` + strings.Repeat("x", 99) + `"}}]}`:                                       `there is no sensor "` + strings.Repeat("x", 60) + `…"`,
		`{"selects":[{"sensor":{"name":"Folder Contents"}}]}`:                                                       "Folder Contents takes 1 parameter in brackets (path), but 0 are given",
		`{"selects":[{"sensor":{"name":"Registry Value","parameters":[{"key":"||key||","value":"1"}]}}]}`:           `selects[0].sensor.parameters: Registry Value needs a value for "name"`,
		`{"selects":[{"sensor":{"name":"Registry Value","parameters":[{"key":"||ky||"}]}}]}`:                        `selects[0].sensor.parameters: Registry Value has no parameter "||ky||"`,
		`{"selects":[{"sensor":{"name":"Registry Value"}}],"parameter_values":["1"]}`:                               "parameter_values: too few: Registry Value takes 2, 1 are left",
		`{"selects":[{"sensor":{"name":"Folder Contents"}}],"parameter_values":["1","2","3"]}`:                      "parameter_values: 2 more than the sensors have parameters",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"operator":"Like","value":"x"}}]}`:                       `selects[0].filter.operator: "Like" is not RegexMatch, Equal,`,
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"value_type":"Text"}}]}`:                                 `selects[0].filter.value_type: "Text" is no type`,
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"aggregation":"Max"}}]}`:                                 `selects[0].filter.aggregation: "Max" cannot be done`,
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"max_age_seconds":-1}}]}`:                                "Online: the age of an answer is a number of whole seconds, at most 315360000",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"max_age_seconds":999999999999}}]}`:                      "whole seconds, at most",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"substring_flag":1,"substring_start":-5}}]}`:             "selects[0].filter: a part of a text is chosen by numbers from 0 to 65536",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"delimiter":"|","delimiter_index":-1}}]}`:                "selects[0].filter: a part of a text",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"delimiter":"xxxxxxxxxxxxxxxxxxxx"}}]}`:                  "selects[0].filter: a delimiter has at most 16 bytes",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"sensor":{"name":"Uptime"}}}]}`:                          "selects[0].filter.sensor: the rows of Online are filtered by themselves, not by Uptime",
		`{"selects":[{"sensor":{"name":"Online"},"filter":{"sensor":{"name":"Gone"}}}]}`:                            `selects[0].filter.sensor: there is no sensor "Gone"`,
		`{"selects":[{"sensor":{"name":"Online"},"having":[{"operator":"Equal"},{"operator":"x"}]}]}`:               `selects[0].having[1].operator: "x" is not`,
		`{"selects":[{"sensor":{"name":"Installed Applications"},"filter":{"delimiter":"|","delimiter_index":3}}]}`: "selects[0].filter.delimiter_index: Installed Applications has 3 columns, and the first is 0",
		`{"selects":[` + strings.Repeat(`{},`, 64) + `{}]}`:                                                         "selects: 65 are more than 64",
		`{"group":{"filters":[{"sensor":{"name":"Is Windows"},"value":"True","operator":"equals"}]}}`:               `group.filters[0].operator: "equals" is not RegexMatch`,
		`{"group":{"filters":[{"operator":"Equal"}]}}`:                                                              `group.filters[0].sensor: there is no sensor hash 0`,
		`{"group":{"sub_groups":[{"filters":[{"sensor":{"name":"Nothing"}}]}]}}`:                                    `group.sub_groups[0].filters[0].sensor: there is no sensor "Nothing"`,
		`{"group":{"text":"Online equals"}}`:                                                                        "group.text: column 14: expected a value, found the end",
		`{"group":{"id":12}}`:                                                                                       "group: there is no group 12",
		`{"group":{"filters":[{"sensor":{"name":"Manual Group Membership"},"operator":"Equal","value":"99"}]}}`:     `there is no computer group 99`,
		`{"group":{"filters":[{"sensor":{"name":"Manual Group Membership"},"operator":"Equal","value":"x"}]}}`:      `there is no sensor "Manual Group Membership"`,
		`{"group":{"sub_groups":[{"name":"selas"}]}}`:                                                               `group.sub_groups[0]: there is no group "selas"`,
		`{"group":` + deep + `}`: "groups are nested more than 64 deep",
		`{"group":` + nots + `}`: "the condition is nested more than 64 deep",
		`{"group":` + wide + `}`: "group.filters[999]: there are more than 1000 filters and groups",
		`{"group":{"filters":[{"sensor":{"name":"Online"},"operator":"RegexMatch","value":"` + strings.Repeat("x", 5000) + `"}]}}`: "Online: the value is longer than 4096 bytes",
	} {
		begun := time.Now()
		got, err := read(t, body)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.120s\nis   %s, %v\nwant %s", body, got, err, want)
			continue
		}
		missing, isMissing := errors.AsType[Missing](err)
		if kind := fault.KindOf(err); isMissing != (kind == fault.NotFound) || kind != fault.NotFound && kind != fault.Invalid {
			t.Errorf("%.120s: %v has the kind %v", body, err, kind)
		}
		if isMissing && missing.Noun != "Sensor" && missing.Noun != "Group" {
			t.Errorf("%.120s: %+v", body, missing)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("%.120s takes %v", body, took)
		}
	}
}

// TestReadGroup: the definition of a computer group, and what a group of one
// filter looks like when it is written.
func TestReadGroup(t *testing.T) {
	c := catalogue(t)
	for body, want := range map[string]string{
		`{}`: "", `{"text":" Online equals x"}`: "Online equals x", `{"sub_groups":[{"id":7}]}`: "Sales",
		`{"filters":[{"sensor":{"name":"Online"},"operator":"Equal","value":"x"},{"sensor":{"name":"Uptime"},"operator":"Less","value":"1 day"}]}`: "Online equals x and Uptime < 1 day",
	} {
		var g Group
		must(t, json.Unmarshal([]byte(body), &g))
		got, err := ReadGroup(g, c, known)
		if err != nil || question.Text(got) != want {
			t.Errorf("%s is %s, %v, want %s", body, question.Text(got), err, want)
		}
	}
	if _, err := ReadGroup(Group{ID: 99}, c, nil); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an unknown group: %v", err)
	}
	if _, err := ReadGroup(Group{Text: "Online"}, c, known); fault.KindOf(err) != fault.Invalid {
		t.Errorf("half a text: %v", err)
	}
	b, err := json.Marshal(Writer{Sensors: c}.Group(question.Not{Of: question.Member{ID: 7, Name: "Sales"}}))
	if want := `{"id":7,"name":"Sales","type":0,"text":" not Sales","and_flag":true,"not_flag":true,"filters":[],"sub_groups":[]}`; err != nil || string(b) != want {
		t.Errorf("written as %s, %v", b, err)
	}
}

// TestCandidate: a text's candidate as programs get it.
func TestCandidate(t *testing.T) {
	c := catalogue(t)
	average := func(name string) time.Duration { return time.Duration(len(name)) * time.Millisecond }
	found := question.Candidates(`Größe and folder contents[/tmp] and file search[a,b,c,d] from all machines with (file hash[/etc] contains x or online = True) and registry value[1,2] > 3`, c, known)
	if len(found) != 1 {
		t.Fatalf("%d candidates", len(found))
	}
	b, err := json.Marshal(Writer{Sensors: c}.Candidate(found[0], average))
	must(t, err)
	for _, part := range []string{
		`{"question_text":"Get Größe and Folder Contents[/tmp] and File Search[a,b,c,d] from all machines with (File Hash[/etc] contains x or Online equals True) and Registry Value[1,2] \u003e 3","from_canonical_text":1,`,
		`"selects":[{"sensor":{"hash":`, `"parameter_values":["/tmp","a","b","c","d",".*","1","2","/etc"]`,
		`"sensor_references":[{"name":"Größe","start_char":"4","real_ms_avg":7},{"name":"Folder Contents","start_char":"14","real_ms_avg":15},{"name":"File Search","start_char":"40","real_ms_avg":11},` +
			`{"name":"File Hash","start_char":"85","real_ms_avg":9},{"name":"Online","start_char":"115","real_ms_avg":6},{"name":"Registry Value","start_char":"139","real_ms_avg":14}]`,
	} {
		if !strings.Contains(string(b), part) {
			t.Errorf("%s\nlacks %s", b, part)
		}
	}
	extra := Writer{Sensors: c}.Candidate(question.Candidate{Question: question.Question{}, Extra: []string{"5"}}, noAverage)
	b, err = json.Marshal(extra)
	if want := `{"question_text":"Get number of machines","from_canonical_text":0,"selects":[],"parameter_values":["5"],"sensor_references":[]}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}

// TestScalars: the ways in which programs write them.
func TestScalars(t *testing.T) {
	var in struct {
		Flags   []Flag
		Numbers []Number
		Texts   []Text
	}
	must(t, json.Unmarshal([]byte(`{"flags":[true,1,"1","true",false,0,"0","",null],"numbers":[5,"-6","",null],"texts":["a",1.5,true,null]}`), &in))
	b, err := json.Marshal(in)
	if want := `{"Flags":[true,true,true,true,false,false,false,false,false],"Numbers":[5,-6,0,0],"Texts":["a","1.5","true",""]}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	for body, want := range map[string]string{
		`{"flags":[2]}`: "number", `{"flags":["yes"]}`: "string", `{"flags":[{}]}`: "object", `{"numbers":[1.5]}`: "number", `{"numbers":[[]]}`: "array",
		`{"numbers":[true]}`: "bool", `{"texts":[{}]}`: "object", `{"texts":[[]]}`: "array",
	} {
		err := json.Unmarshal([]byte(body), &in)
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok || e.Value != want {
			t.Errorf("%s: %v", body, err)
		}
	}
}
