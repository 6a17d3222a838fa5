package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/answer"
	"catenary/internal/sensor"
	"catenary/internal/server/sensors"
	"catenary/internal/server/store"
	"catenary/internal/value"
)

const noSensor = "REST Object Not Found Exception:  SensorNotFound: The requested sensor was not found"

func TestShowSensor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that times can be said exactly
		d := newDesk(t)
		const shown = `{"data":{"id":6,"name":"Folder Contents","answer_mode":"merged","cache_row_id":0,"category":"Test","content_set":{"id":2,"name":"Base"},` +
			`"creation_time":"2000-01-01T00:00:00Z","delimiter":"","description":"About Folder Contents","exclude_from_parse_flag":false,"hash":3881863289,"hash_size":0,` +
			`"hidden_flag":false,"ignore_case_flag":true,"keep_duplicates_flag":false,"last_modified_by":"","max_age_seconds":60,"max_string_age_minutes":0,"max_strings":0,` +
			`"metadata":[],"mod_persona":{"id":0},"mod_user":{"id":0},"modification_time":"2000-01-01T00:00:00Z",` +
			`"parameter_definition":"{\"parameterType\":\"com.tanium.components.parameters::ParametersArray\",\"parameters\":[{\"key\":\"path\",\"label\":\"Path\",\"helpString\":\"\",` +
			`\"defaultValue\":\"\",\"parameterType\":\"com.tanium.components.parameters::TextInputParameter\"}]}","parameters":[],"preview_sensor_flag":0,"queries":[],` +
			`"sensitive_data_flag":false,"source_hash":0,"source_id":0,"source_name":"","string_count":0,"string_hints":[],"subcolumns":[],"value_type":"String"}}`
		for _, path := range []string{"6", "by-name/Folder%20Contents", "by-name/folder%20contents/", "by-hash/3881863289"} {
			d.want(d.call("GET", "/api/v2/sensors/"+path, ""), 200, shown)
		}
		for path, tt := range map[string]struct {
			status int
			text   string
		}{
			"99": {404, noSensor}, "by-name/Nothing": {404, noSensor}, "by-name/a%2Fb": {404, noSensor}, "by-hash/1": {404, noSensor},
			"x": {400, `"x" is not the number of a sensor`}, "by-hash/4294967296": {400, `"4294967296" is not the hash of a sensor`},
			"by-hash/-1": {400, `"-1" is not the hash of a sensor`},
		} {
			d.refused(d.call("GET", "/api/v2/sensors/"+path, ""), tt.status, tt.text)
		}
	})
}

func TestListSensors(t *testing.T) {
	d := newDesk(t)
	list := d.list("/api/v2/sensors", true)
	same(t, len(list), len(testSensors()))
	same(t, list[0]["name"], any("Computer Name"))
	sub := fmt.Sprint(list[4]["name"], list[4]["subcolumns"])
	same(t, sub, "Installed Applications[map[exclude_from_parse_flag:false hidden_flag:false ignore_case_flag:true index:0 name:Name value_type:String] map[exclude_from_parse_flag:false hidden_flag:false ignore_case_flag:true index:1 name:Version value_type:Version]]")
	if page := d.list("/api/v2/sensors?row_start=6&row_count=1", true); len(page) != 1 || page[0]["name"] != "Application Crashes in Last X Days" {
		t.Errorf("a page is %v", page)
	}
}

const whoSensor = `{
	"name": "Who", "description": "Users", "category": "Own", "delimiter": "|", "max_age_seconds": 120,
	"subcolumns": [{"index": 1, "name": "Since", "value_type": "VariousDate"}, {"index": 0, "name": "User"}],
	"keep_duplicates_flag": 1, "ignore_case_flag": false, "unknown": {},
	"parameter_definition": "{\"parameters\":[{\"parameterType\":\"com.tanium.components.parameters::SeparatorParameter\",\"key\":\"\"},{\"key\":\"||tty||\",\"label\":\"TTY\",\"helpString\":\"h\",\"defaultValue\":7}]}",
	"queries": [{"platform": "Linux", "script": "who <\"$1\"", "script_type": "UnixShell", "signature": "x"}, {"platform": "Windows", "script": "quser", "script_type": "Powershell"}]
}`

func TestCreateSensor(t *testing.T) {
	d := newDesk(t)
	d.want(d.call("POST", "/api/v2/sensors", whoSensor), 200, `{"data":{"id":9}}`)
	got, ok := d.fleet.Catalogue().ByName("who")
	same(t, ok, true)
	same(t, got, sensor.Sensor{
		Name: "Who", Description: "Users", Category: "Own", Delimiter: "|", MaxAge: 2 * time.Minute, KeepDuplicates: true,
		Columns:    []sensor.Column{{Name: "User", Type: value.String}, {Name: "Since", Type: value.VariousDate}},
		Parameters: []sensor.Parameter{{Key: "tty", Label: "TTY", Help: "h", Default: "7"}},
		Platforms:  []sensor.Platform{sensor.Linux, sensor.Windows},
		Scripts: []sensor.Script{
			{Platform: sensor.Linux, Language: sensor.UnixShell, Source: `who <"$1"`}, {Platform: sensor.Windows, Language: sensor.Powershell, Source: "quser"},
		},
	})
	o := data[map[string]any](t, d.call("GET", "/api/v2/sensors/9", ""))
	same(t, o["last_modified_by"], any("ann"))
	same(t, o["hash"], any(float64(sensor.Hash("Who"))))
	same(t, o["content_set"], any(map[string]any{"id": 1.0, "name": "Default Content"}))
	var sent struct {
		Definition string `json:"parameter_definition"`
	}
	must(t, json.Unmarshal([]byte(whoSensor), &sent))
	same(t, o["parameter_definition"], any(sent.Definition)) // as it was, separators too

	d.refused(d.call("POST", "/api/v2/sensors", strings.Replace(whoSensor, `"Who"`, `"WHO"`, 1)), 400, `SensorNameNotUnique: there is a sensor "Who" already`)
	d.refused(d.call("POST", "/api/v2/sensors", strings.Replace(whoSensor, `"Who"`, `"Is Linux"`, 1)), 400, `SensorNameNotUnique: there is a sensor "Is Linux" already`)
	d.want(d.call("POST", "/api/v2/sensors", `{"name":"Plain","queries":[{"platform":"Mac","script":"true","script_type":"Python"}]}`), 200, `{"data":{"id":10}}`)
	got, _ = d.fleet.Catalogue().ByName("Plain")
	same(t, got.MaxAge, 15*time.Minute)
	same(t, got.Columns, []sensor.Column{{Name: "Plain", Type: value.String}})
	same(t, got.IgnoreCase, true)
}

// TestEngineReadsWhatChanged: the engine hears of those sensors that a change has
// touched and of no others; of those that change together, at once.
func TestEngineReadsWhatChanged(t *testing.T) {
	d := newDesk(t)
	d.fleet.reloaded = nil
	d.ok(d.call("POST", "/api/v2/sensors", whoSensor))
	d.ok(d.call("PATCH", "/api/v2/sensors/9", `{"description":"x"}`))
	d.ok(d.call("PATCH", "/api/v2/sensors/1", `{"hidden_flag":true}`)) // native: what is computed stays
	d.ok(d.call("POST", "/api/v2/import", `{"version":2,"object_list":{"sensors":[
		{"name":"A","queries":[{"platform":"Mac","script":"true","script_type":"Python"}]},
		{"name":"B","queries":[{"platform":"Mac","script":"true","script_type":"Python"}]}]}}`))
	d.refused(d.call("PATCH", "/api/v2/sensors/9", `{"name":"A"}`), 400, `SensorNameNotUnique: there is a sensor "A" already`)
	d.ok(d.call("DELETE", "/api/v2/sensors/9", ""))
	same(t, d.fleet.reloaded, [][]int64{{9}, {9}, {10, 11}, {9}})
	if _, ok := d.fleet.Catalogue().ByName("Who"); ok {
		t.Error("the deleted sensor can be asked for")
	}
}

// TestAnswerMode: it is read, kept and shown; merged is what a program that
// knows nothing of it gets.
func TestAnswerMode(t *testing.T) {
	d := newDesk(t)
	for i, said := range []string{`"sealed"`, `"attested"`, `"merged"`, `""`} {
		id := 9 + i
		d.want(d.call("POST", "/api/v2/sensors", fmt.Sprintf(`{"name":"Sensor %d","answer_mode":%s,"queries":[{"platform":"Mac","script":"true","script_type":"Python"}]}`, i, said)),
			200, fmt.Sprintf(`{"data":{"id":%d}}`, id))
		want := []answer.Mode{answer.Sealed, answer.Attested, answer.Merged, answer.Merged}[i]
		got, _ := d.fleet.Catalogue().ByName(fmt.Sprintf("Sensor %d", i))
		same(t, got.Mode, want)
		o := data[map[string]any](t, d.call("GET", fmt.Sprintf("/api/v2/sensors/%d", id), ""))
		same(t, []any{o["answer_mode"], o["sensitive_data_flag"]}, []any{want.String(), want == answer.Sealed})
	}
	for _, tt := range []struct {
		change string
		want   answer.Mode
	}{
		{`{"sensitive_data_flag":0}`, answer.Merged}, {`{"sensitive_data_flag":true}`, answer.Sealed}, {`{"answer_mode":"attested"}`, answer.Attested},
		{`{"sensitive_data_flag":false}`, answer.Attested}, {`{"answer_mode":"sealed"}`, answer.Sealed}, {`{"category":"x"}`, answer.Sealed},
		{`{"answer_mode":"merged"}`, answer.Merged},
	} {
		o := data[map[string]any](t, d.call("PATCH", "/api/v2/sensors/9", tt.change))
		got, _ := d.fleet.Catalogue().ByName("Sensor 0")
		same(t, []any{got.Mode, o["answer_mode"], o["sensitive_data_flag"]}, []any{tt.want, tt.want.String(), tt.want == answer.Sealed})
	}
}

// TestChangeSensor: what is changed is signed anew, and the engine knows.
func TestChangeSensor(t *testing.T) {
	d := newDesk(t)
	d.want(d.call("POST", "/api/v2/sensors", whoSensor), 200, `{"data":{"id":9}}`)
	o := data[map[string]any](t, d.call("PATCH", "/api/v2/sensors/by-name/who", `{"name":"Whoever","max_age_seconds":30,"hidden_flag":1}`))
	same(t, []any{o["name"], o["hash"], o["max_age_seconds"], o["hidden_flag"]}, []any{"Whoever", float64(sensor.Hash("Whoever")), 30.0, true})
	got, ok := d.fleet.Catalogue().ByName("Whoever")
	same(t, []any{ok, got.MaxAge, len(got.Scripts)}, []any{true, 30 * time.Second, 2})
	if _, still := d.fleet.Catalogue().ByName("Who"); still {
		t.Error("the old name is still in the catalogue")
	}
	records, err := d.store.Sensors(t.Context())
	must(t, err)
	i := slices.IndexFunc(records, func(r store.Sensor) bool { return r.ID == 9 })
	same(t, string(records[i].Signed), "signed "+string(got.Append(nil)))
	same(t, len(d.list("/api/v2/sensors", true)), len(testSensors())) // it is hidden

	d.refused(d.call("PATCH", "/api/v2/sensors/9", `{"name":"Is Linux"}`), 400, `SensorNameNotUnique: there is a sensor "Is Linux" already`)
	d.refused(d.call("PATCH", "/api/v2/sensors/9", `{"queries":[]}`), 400, "queries: a sensor needs at least one, with platform, script_type and script")
	d.refused(d.call("PATCH", "/api/v2/sensors/1", `{"max_age_seconds":5}`), 400, `the sensor "Computer Name" is part of the client: what it computes and how it is called cannot be changed`)
	d.refused(d.call("DELETE", "/api/v2/sensors/1", ""), 400, `the sensor "Computer Name" is part of the client and cannot be deleted; hidden_flag takes it out of lists`)
	o = data[map[string]any](t, d.call("PATCH", "/api/v2/sensors/1", `{"hidden_flag":true,"content_set":{"name":"Reserved"}}`))
	same(t, []any{o["hidden_flag"], o["content_set"]}, []any{true, map[string]any{"id": 3.0, "name": "Reserved"}})

	d.want(d.call("DELETE", "/api/v2/sensors/9", ""), 200, `{"data":{"id":9}}`)
	d.refused(d.call("GET", "/api/v2/sensors/9", ""), 404, noSensor)
	d.refused(d.call("DELETE", "/api/v2/sensors/9", ""), 404, noSensor)
	if _, still := d.fleet.Catalogue().ByName("Whoever"); still {
		t.Error("a deleted sensor is still in the catalogue")
	}
	d.want(d.call("POST", "/api/v2/sensors", whoSensor), 200, `{"data":{"id":10}}`) // the number is not given again
}

func TestCreateSensorBadly(t *testing.T) {
	d := newDesk(t)
	const query = `"queries":[{"platform":"Linux","script":"true","script_type":"UnixShell"}]`
	for _, tt := range []struct{ body, text string }{
		{`{}`, `SensorNameInvalid: "" is no name for a sensor: it is empty`},
		{`{"name":"Who","parameter_definition":"{\"parameters\":[{\"key\":\"a\",\"parameterType\":\"x::OddParameter\"}]}",` + query + `}`, `parameter_definition: parameters[0].parameterType: "x::OddParameter" is no kind of parameter`},
		{`{"name":"  ",` + query + `}`, `SensorNameInvalid: "  " is no name for a sensor: it is empty`},
		{`{"name":"linux:Who",` + query + `}`, `SensorNameInvalid: "linux:Who" is no name for a sensor: it begins with a platform`},
		{`{"name":"a[b]",` + query + `}`, `SensorNameInvalid: "a[b]" is no name for a sensor: it has one of the characters " [ ]`},
		{`{"name":" Who",` + query + `}`, `sensor " Who": a name has no blanks at its ends, and single ones within`},
		{`{"name":"` + strings.Repeat("x", 257) + `",` + query + `}`, `sensor "` + strings.Repeat("x", 80) + `…": a name has 1 to 256 bytes of UTF-8`},
		{`{"name":"Who"}`, `queries: a sensor needs at least one, with platform, script_type and script`},
		{`{"name":"Who","queries":[{"platform":"Solaris","script":"x","script_type":"UnixShell"}]}`, `queries[0].platform: "Solaris" is not one of [Linux Windows Mac]`},
		{`{"name":"Who","queries":[{"platform":"Linux","script":"x","script_type":"VBScript"}]}`, `queries[0].script_type: "VBScript" is not one of [UnixShell Python Powershell]`},
		{`{"name":"Who","queries":[{"platform":"Linux","script":" \n","script_type":"Python"}]}`, `queries[0].script is empty`},
		{`{"name":"Who","queries":[{"platform":"Linux","script":"a\u0000","script_type":"Python"}]}`, `queries[0].script has a zero byte`},
		{`{"name":"Who","queries":[{"platform":"Linux","script":"` + strings.Repeat("x", sensors.ScriptMax+1) + `","script_type":"Python"}]}`, `queries[0].script has 262145 bytes, more than 262144`},
		{`{"name":"Who","queries":[{"platform":"Linux","script":"x","script_type":"Python"},{"platform":"Linux","script":"x","script_type":"Python"}]}`, `queries[1].platform: there are two for Linux`},
		{`{"name":"Who","max_age_seconds":-1,` + query + `}`, `max_age_seconds is -1, not 1 to 31622400`},
		{`{"name":"Who","value_type":"Colour",` + query + `}`, `the field "value_type": "Colour" is none of String, BESDate, DataSize, Hash, IPAddress, Numeric, NumericInteger, RegexMatch, TimeDiff, VariousDate, Version, WMIDate`},
		{`{"name":"Who","subcolumns":[{"name":"a"}],` + query + `}`, `a sensor with subcolumns needs a delimiter`},
		{`{"name":"Who","delimiter":"|","subcolumns":[{"name":"a","value_type":"x"}],` + query + `}`, `the field "subcolumns[0].value_type": "x" is none of String, BESDate, DataSize, Hash, IPAddress, Numeric, NumericInteger, RegexMatch, TimeDiff, VariousDate, Version, WMIDate`},
		{`{"name":"Who","delimiter":"|","subcolumns":[{"name":"a"},{"name":"A"}],` + query + `}`, `sensor "Who": two columns are called "A"`},
		{`{"name":"Who","answer_mode":"closed",` + query + `}`, `the field "answer_mode": "closed" is none of merged, attested, sealed`},
		{`{"name":"Who","parameter_definition":"{",` + query + `}`, `parameter_definition is not JSON of parameters: unexpected end of JSON input`},
		{`{"name":"Who","parameter_definition":{},` + query + `}`, `the field "parameter_definition": a text is expected, and it is an object`},
		{`{"name":"Who","parameter_definition":"{\"parameters\":[{\"key\":\"a b\"}]}",` + query + `}`, `parameter_definition: parameters[0].key: "a b" is no key`},
		{`{"name":"Who","parameter_definition":"{\"parameters\":[{\"key\":\"a\"},{\"key\":\"||a||\"}]}",` + query + `}`, `sensor "Who": two parameters are called "a"`},
		{`{"name":"Who","description":"` + strings.Repeat("x", 16<<10+1) + `",` + query + `}`, `description has 16385 bytes, more than 16384`},
	} {
		d.refused(d.call("POST", "/api/v2/sensors", tt.body), 400, tt.text)
	}
	large := fmt.Sprintf(`{"name":"Who","queries":[{"platform":"Linux","script":%q,"script_type":"Python"},{"platform":"Mac","script":%[1]q,"script_type":"Python"}]}`, strings.Repeat("x", sensors.ScriptMax))
	w := d.call("POST", "/api/v2/sensors", large)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "bytes in all, more than 524288") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	same(t, len(d.fleet.Catalogue().All()), len(testSensors()))
}
