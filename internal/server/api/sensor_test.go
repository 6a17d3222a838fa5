package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/answer"
	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

const noSensor = "REST Object Not Found Exception:  SensorNotFound: The requested sensor was not found"

func TestShowSensor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that times can be said exactly
		d := newDesk(t)
		const shown = `{"data":{"id":6,"name":"Folder Contents","hash":3881863289,"description":"About Folder Contents","category":"Test","value_type":"String","delimiter":"",` +
			`"queries":[],"parameter_definition":"{\"parameterType\":\"com.tanium.components.parameters::ParametersArray\",\"parameters\":[{\"key\":\"path\",\"label\":\"Path\",\"helpString\":\"\",` +
			`\"defaultValue\":\"\",\"parameterType\":\"com.tanium.components.parameters::TextInputParameter\"}]}","max_age_seconds":60,"keep_duplicates_flag":false,"ignore_case_flag":true,` +
			`"exclude_from_parse_flag":false,"hidden_flag":false,"source_id":0,"source_hash":0,"creation_time":"2000-01-01T00:00:00Z","modification_time":"2000-01-01T00:00:00Z","last_modified_by":""}}`
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
	var list struct{ Data []map[string]any }
	must(t, json.Unmarshal(d.call("GET", "/api/v2/sensors", "").Body.Bytes(), &list))
	same(t, len(list.Data), len(testSensors())+1)
	info := list.Data[len(list.Data)-1]
	same(t, []any{info["cache_row_count"], info["page_row_count"], info["name"]}, []any{8.0, 8.0, nil})
	same(t, list.Data[0]["name"], any("Application Crashes in Last X Days"))
	sub := fmt.Sprint(list.Data[5]["name"], list.Data[5]["subcolumns"])
	same(t, sub, "Installed Applications[map[hidden_flag:false ignore_case_flag:true index:0 name:Name value_type:String] map[hidden_flag:false ignore_case_flag:true index:1 name:Version value_type:Version]]")
	must(t, json.Unmarshal(d.call("GET", "/api/v2/sensors?row_start=6&row_count=1", "").Body.Bytes(), &list))
	same(t, []any{len(list.Data), list.Data[0]["name"]}, []any{2, any("Is Linux")})
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
	o := data[sensorObject](t, d.call("GET", "/api/v2/sensors/9", ""))
	same(t, o.Queries, []queryObject{{"Linux", `who <"$1"`, "UnixShell"}, {"Windows", "quser", "Powershell"}})
	same(t, o.LastModifiedBy, "ann")
	again, err := parseParameters(o.ParameterDefinition)
	must(t, err)
	same(t, again, got.Parameters)

	d.refused(d.call("POST", "/api/v2/sensors", strings.Replace(whoSensor, `"Who"`, `"WHO"`, 1)), 400, `SensorNameNotUnique: there is a sensor "Who" already`)
	d.refused(d.call("POST", "/api/v2/sensors", strings.Replace(whoSensor, `"Who"`, `"Is Linux"`, 1)), 400, `SensorNameNotUnique: there is a sensor "Is Linux" already`)
	d.want(d.call("POST", "/api/v2/sensors", `{"name":"Plain","queries":[{"platform":"Mac","script":"true","script_type":"Python"}]}`), 200, `{"data":{"id":10}}`)
	got, _ = d.fleet.Catalogue().ByName("Plain")
	same(t, got.MaxAge, maxAgeDefault)
	same(t, got.Columns, []sensor.Column{{Name: "Plain", Type: value.String}})
	same(t, got.IgnoreCase, true)
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
		body := d.call("GET", fmt.Sprintf("/api/v2/sensors/%d", id), "").Body.String()
		same(t, strings.Contains(body, fmt.Sprintf(`"answer_mode":"%v"`, want)), want != answer.Merged)
		same(t, strings.Contains(body, "answer_mode"), want != answer.Merged)
	}
}

func TestCreateSensorBadly(t *testing.T) {
	d := newDesk(t)
	const query = `"queries":[{"platform":"Linux","script":"true","script_type":"UnixShell"}]`
	for _, tt := range []struct{ body, text string }{
		{`{}`, `SensorNameInvalid: "" is no name for a sensor: it is empty`},
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
		{`{"name":"Who","queries":[{"platform":"Linux","script":"` + strings.Repeat("x", scriptMax+1) + `","script_type":"Python"}]}`, `queries[0].script has 262145 bytes, more than 262144`},
		{`{"name":"Who","queries":[{"platform":"Linux","script":"x","script_type":"Python"},{"platform":"Linux","script":"x","script_type":"Python"}]}`, `queries[1].platform: there are two for Linux`},
		{`{"name":"Who","max_age_seconds":-1,` + query + `}`, `max_age_seconds is -1, not 1 to 31622400`},
		{`{"name":"Who","value_type":"Colour",` + query + `}`, `value_type: "Colour" is no type of values`},
		{`{"name":"Who","subcolumns":[{"name":"a"}],` + query + `}`, `a sensor with subcolumns needs a delimiter`},
		{`{"name":"Who","delimiter":"|","subcolumns":[{"name":"a","value_type":"x"}],` + query + `}`, `value_type of subcolumn "a": "x" is no type of values`},
		{`{"name":"Who","delimiter":"|","subcolumns":[{"name":"a"},{"name":"A"}],` + query + `}`, `sensor "Who": two columns are called "A"`},
		{`{"name":"Who","answer_mode":"Sealed",` + query + `}`, `answer_mode: "Sealed" is not one of [merged attested sealed]`},
		{`{"name":"Who","parameter_definition":"{",` + query + `}`, `parameter_definition is not JSON of parameters: unexpected EOF`},
		{`{"name":"Who","parameter_definition":{},` + query + `}`, `line 1, column 38: parameter_definition: unexpected object`},
		{`{"name":"Who","parameter_definition":"{\"parameters\":[{\"key\":\"a b\"}]}",` + query + `}`, `parameter_definition: parameters[0].key: "a b" is no key`},
		{`{"name":"Who","parameter_definition":"{\"parameters\":[{\"key\":\"a\"},{\"key\":\"||a||\"}]}",` + query + `}`, `sensor "Who": two parameters are called "a"`},
		{`{"name":"Who","description":"` + strings.Repeat("x", descriptionMax+1) + `",` + query + `}`, `description has 16385 bytes, more than 16384`},
	} {
		d.refused(d.call("POST", "/api/v2/sensors", tt.body), 400, tt.text)
	}
	large := fmt.Sprintf(`{"name":"Who","queries":[{"platform":"Linux","script":%q,"script_type":"Python"},{"platform":"Mac","script":%[1]q,"script_type":"Python"}]}`, strings.Repeat("x", scriptMax))
	w := d.call("POST", "/api/v2/sensors", large)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "bytes in all, more than 524288") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	same(t, len(d.fleet.Catalogue().All()), len(testSensors()))
}

func FuzzSensors(f *testing.F) {
	for _, seed := range []string{whoSensor, `{}`, `{"name":"x","queries":[null]}`, `{"subcolumns":[null,null],"delimiter":"x","name":"n"}`, `[1]`, `{"parameter_definition":"{\"parameters\":[null]}"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var in sensorRequest
		if decode([]byte(body), &in) != nil {
			return
		}
		s, err := in.sensor()
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("%q: %v is not the sender's fault", body, err)
			}
			return
		}
		// What was taken can be stored, signed and found again.
		if _, err := sensor.NewCatalogue([]sensor.Sensor{s}); err != nil {
			t.Errorf("%q: %v", body, err)
		}
		if again, err := sensor.Decode(s.Append(nil)); err != nil || again.Name != s.Name {
			t.Errorf("%q: %v", body, err)
		}
	})
}
