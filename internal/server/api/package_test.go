package api

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"catenary/internal/server/depot"
)

const (
	helloHash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // SHA-256 of hello
	otherHash = "0000000000000000000000000000000000000000000000000000000000000000"
)

func (d *desk) hello() {
	d.t.Helper()
	w := d.send("POST", "/api/v2/upload_file_stream", "hello", "session", d.session, "Content-Type", "application/octet-stream")
	d.want(w, 200, `{"data":{"file_size":5,"hash":"`+helloHash+`"}}`)
}

func TestPackages(t *testing.T) {
	d := newDesk(t)
	d.hello()
	id := d.made("packages", `{"name":"Clean","command":"sh clean.sh $1 \"$2\"","command_timeout":600,"files":[{"name":"a.sh","hash":"`+strings.ToUpper(helloHash)+`"}],
		"parameter_definition":"{\"parameters\":[{\"key\":\"$1\"}]}","metadata":[]}`)
	path := fmt.Sprintf("packages/%d", id)
	p := d.shown(path)
	file := p["files"].([]any)[0].(map[string]any)
	if file["id"] != 1.0 || file["size"] != 5.0 || file["hash"] != helloHash || file["cache_status"] != "Cached" || p["available_time"] == "2001-01-01T00:00:00Z" {
		t.Errorf("the package is %v", p)
	}
	if status := file["file_status"].([]any)[0].(map[string]any); status["server_name"] != "server.example.org" || status["cache_status"] != "Cached" {
		t.Errorf("the status of its file is %v", status)
	}
	d.ok(d.call("PATCH", "/api/v2/"+path, `{"files":[{"name":"b.sh","hash":"`+otherHash+`"},{"name":"a.sh","hash":"`+helloHash+`"},{"name":"c","source":"https://example.org/c","download_seconds":3600}]}`))
	p = d.shown(path)
	var ids []any
	for _, f := range p["files"].([]any) {
		ids = append(ids, f.(map[string]any)["id"], f.(map[string]any)["cache_status"])
	}
	if fmt.Sprint(ids) != "[2 Not Cached 1 Cached 3 Processing]" || p["available_time"] != "2001-01-01T00:00:00Z" {
		t.Errorf("files are %v of %v", ids, p)
	}
	files := d.list("/api/v2/package_files", false)
	if len(files) != 3 || files[1]["name"] != "a.sh" {
		t.Errorf("files of packages are %v", files)
	}
	if w := d.call("GET", "/api/v2/package_files/1/content", ""); w.Code != 200 || w.Body.String() != "hello" {
		t.Errorf("the content is %d %s", w.Code, w.Body)
	}
	d.ok(d.call("PATCH", "/api/v2/package_files/3", `{"download_seconds":7200}`))
	if f := d.shown("package_files/3"); f["download_seconds"] != 7200.0 {
		t.Errorf("the file is %v", f)
	}
	for _, tt := range []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"POST", "packages", `{"command":"x"}`, 400, "PackageNameRequired"},
		{"POST", "packages", `{"name":"x"}`, 400, "PackageCommandRequired"},
		{"POST", "packages", `{"name":"clean","command":"x"}`, 400, "PackageNameNotUnique"},
		{"POST", "packages", `{"name":"x","command":"x","files":[{"name":"../x","hash":"` + helloHash + `"}]}`, 400, `files[0].name`},
		{"POST", "packages", `{"name":"x","command":"x","files":[{"name":"x","hash":"12"}]}`, 400, `files[0].hash`},
		{"POST", "packages", `{"name":"x","command":"x","files":[{"name":"x"}]}`, 400, `either hash`},
		{"POST", "packages", `{"name":"x","command":"x","files":[{"name":"x","source":"file:///etc/passwd"}]}`, 400, `files[0].source`},
		{"POST", "packages", `{"name":"x","command":"x","files":[{"name":"x","hash":"` + helloHash + `"},{"name":"X","hash":"` + helloHash + `"}]}`, 400, `two files`},
		{"POST", "packages", `{"name":"x","command":"x","command_timeout":-1}`, 400, `command_timeout`},
		{"POST", "packages", `{"name":"x","command":"x","parameter_definition":"["}`, 400, `parameter_definition`},
		{"POST", "packages", `{"name":"x","command":"x","verify_group":{"id":99}}`, 400, `no group with number 99`},
		{"PATCH", "package_files/1", `{"trigger_download":1}`, 400, `has no source`},
		{"PATCH", "package_files/9", `{}`, 404, `PackageFileNotFound`},
		{"GET", "package_files/2/content", ``, 404, `PackageFileNotFound`},
	} {
		d.denies(tt.method, tt.path, tt.body, tt.status, tt.text)
	}
	d.want(d.call("DELETE", "/api/v2/"+path, ""), 200, fmt.Sprintf(`{"data":{"id":%d}}`, id))
}

// TestSweep: files that no package has are cleared away, others stay.
func TestSweep(t *testing.T) {
	d := newDesk(t)
	d.hello()
	_, _, err := d.api.depot.Put(strings.NewReader("unused"))
	must(t, err)
	d.made("packages", `{"name":"x","command":"x","files":[{"name":"a","hash":"`+helloHash+`"}]}`)
	used := d.api.usedFiles()
	later := time.Now().Add(time.Hour)
	if n, err := d.api.depot.Sweep(later, later, func(h depot.Hash) bool { return used[h] }); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, ok := d.api.depot.Has(helloHash); !ok {
		t.Error("a file of a package is gone")
	}
}

func TestUpload(t *testing.T) {
	d := newDesk(t)
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	type answer struct {
		UploadFile uploadObject `json:"upload_file"`
	}
	upload := func(body string) uploadObject {
		t.Helper()
		return data[answer](t, d.call("POST", "/api/v2/upload_file", body)).UploadFile
	}
	if u := upload(`{"bytes":"` + encoded("hello") + `","file_size":5,"start_pos":0}`); !u.FileCached || u.Hash != helloHash || u.PercentComplete != 100 {
		t.Errorf("as a whole: %+v", u)
	}
	u := upload(`{"id":-1,"file_size":11,"start_pos":0,"bytes":""}`)
	if u.ID == 0 || u.FileCached || u.PercentComplete != 0 {
		t.Errorf("begun: %+v", u)
	}
	part := func(start int, text string) string {
		return fmt.Sprintf(`{"id":%d,"start_pos":%d,"bytes":%q}`, u.ID, start, encoded(text))
	}
	if u := upload(part(0, "hello")); u.PercentComplete != 45 || u.StartPos != 5 {
		t.Errorf("a part: %+v", u)
	}
	d.denies("POST", "upload_file", part(7, "x"), 400, "start_pos is 7")
	d.denies("POST", "upload_file", part(5, "much too long"), 400, "start_pos is 5")
	if s := d.shown(fmt.Sprintf("upload_file/%d", u.ID)); s["percent_complete"] != 45.0 || s["file_cached"] != 0.0 {
		t.Errorf("its state is %v", s)
	}
	if u := upload(part(5, " world")); !u.FileCached || u.Hash != "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9" {
		t.Errorf("the last part: %+v", u)
	}
	if again := upload(part(5, " world")); !again.FileCached || again.ID != u.ID {
		t.Errorf("the last part again: %+v", again)
	}
	if s := d.shown(fmt.Sprintf("upload_file/%d", u.ID)); s["percent_complete"] != 100.0 || s["file_cached"] != 1.0 || s["hash"] == "" {
		t.Errorf("its state in the end is %v", s)
	}
	if u := upload(`{"id":-1,"file_size":5,"start_pos":0,"bytes":"","hash":"` + helloHash + `"}`); !u.FileCached {
		t.Errorf("what is there already: %+v", u)
	}
	for _, tt := range []struct {
		body   string
		status int
		text   string
	}{
		{`{"bytes":"!","file_size":5}`, 400, "not base64"},
		{`{"id":-1,"bytes":""}`, 400, "FileSizeRequired"},
		{`{"id":5,"bytes":"aGVsbG8="}`, 404, "FileUploadNotFound"},
		{`{"file_size":99999999999999,"bytes":""}`, 400, "larger than 16 GiB"},
		{`{"file_size":5,"bytes":"` + strings.Repeat("A", uploadMax) + `"}`, 413, "larger than"},
	} {
		d.denies("POST", "upload_file", tt.body, tt.status, tt.text)
	}
	d.denies("GET", "upload_file/77", "", 404, "FileUploadNotFound")
}

func TestUploadStream(t *testing.T) {
	d := newDesk(t)
	d.hello()
	form := func(parts ...string) (string, string) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for i, text := range parts {
			p, err := w.CreateFormFile("file", fmt.Sprint("name", i))
			must(t, err)
			_, err = p.Write([]byte(text))
			must(t, err)
		}
		must(t, w.Close())
		return b.String(), w.FormDataContentType()
	}
	body, kind := form("hello")
	d.want(d.send("POST", "/api/v2/upload_file_stream", body, "session", d.session, "Content-Type", kind), 200, `{"data":{"file_size":5,"hash":"`+helloHash+`"}}`)
	two, kindOfTwo := form("a", "b")
	none, kindOfNone := form()
	for _, tt := range []struct{ kind, body, text string }{
		{"", "hello", "InvalidContentType"},
		{"text/plain", "hello", "InvalidContentType"},
		{"multipart/form-data", "hello", "InvalidContentType"},
		{kindOfNone, none, "ReceivedNoFormData"},
		{kindOfTwo, two, "ExpectedOnlySingleFormData"},
		{kind, body[:len(body)-30], "broke off"},
		{"application/octet-stream", "", "FileSizeRequired"},
	} {
		w := d.send("POST", "/api/v2/upload_file_stream", tt.body, "session", d.session, "Content-Type", tt.kind)
		if w.Code != 400 || !strings.Contains(w.Body.String(), tt.text) {
			t.Errorf("%s: %d %s", tt.kind, w.Code, w.Body)
		}
	}
}

// TestLargeUpload: a hundred megabytes are streamed, not held, and refused where
// a route does not stream.
func TestLargeUpload(t *testing.T) {
	d := newDesk(t)
	const size = 100 << 20
	send := func(path string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "POST", path, &zeros{left: size})
		r.RemoteAddr = d.from
		r.Header.Set("session", d.session)
		r.Header.Set("Content-Type", "application/octet-stream")
		w := httptest.NewRecorder()
		d.api.ServeHTTP(w, r)
		return w
	}
	if w := send("/api/v2/upload_file_stream"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), fmt.Sprintf(`"file_size":%d`, size)) {
		t.Errorf("streamed: %d %s", w.Code, w.Body)
	}
	for _, path := range []string{"packages", "upload_file", "import", "groups"} {
		if w := send("/api/v2/" + path); w.Code != http.StatusRequestEntityTooLarge && w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// zeros are so many zero bytes.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(len(p), z.left)
	clear(p[:n])
	if z.left -= n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestExitCodeCriteria: 0 is an exit code, and not the same as none.
func TestExitCodeCriteria(t *testing.T) {
	d := newDesk(t)
	path := fmt.Sprintf("/api/v2/packages/%d", d.made("packages", `{"name":"Clean","command":"x"}`))
	for _, tt := range []struct{ in, want string }{
		{`{"exit_code":0}`, `"exit_code_criteria":{"exit_code":0},`},
		{`{"inclusive_start_exit_code":0,"inclusive_end_exit_code":"3"}`, `"exit_code_criteria":{"inclusive_start_exit_code":0,"inclusive_end_exit_code":3},`},
		{`{"inclusive_start_exit_code":-3,"inclusive_end_exit_code":0,"exit_code":null}`, `"exit_code_criteria":{"inclusive_start_exit_code":-3,"inclusive_end_exit_code":0},`},
		{`{}`, ""},
	} {
		d.ok(d.call("PATCH", path, `{"exit_code_criteria":`+tt.in+`}`))
		body := d.call("GET", path, "").Body.String()
		if tt.want == "" && strings.Contains(body, "exit_code") || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %s", tt.in, body)
		}
	}
	const both = `the field "exit_code_criteria": say exit_code, or both inclusive_start_exit_code and inclusive_end_exit_code`
	for in, want := range map[string]string{
		`{"exit_code":0,"inclusive_start_exit_code":0,"inclusive_end_exit_code":3}`: both,
		`{"inclusive_start_exit_code":0}`:                                           both,
		`{"inclusive_end_exit_code":0}`:                                             both,
		`{"inclusive_start_exit_code":3,"inclusive_end_exit_code":0}`:               `the field "exit_code_criteria": the range ends before it begins`,
		`{"exit_code":4294967296}`:                                                  `the field "exit_code_criteria.exit_code": 4294967296 is no exit code: -2147483648 to 4294967295`,
	} {
		d.refused(d.call("PATCH", path, `{"exit_code_criteria":`+in+`}`), 400, want)
	}
	d.ok(d.call("PATCH", path, `{"exit_code_criteria":{"exit_code":0}}`))
	if body := d.call("POST", "/api/v2/export", `{"packages":{"include_all":true}}`).Body.String(); !strings.Contains(body, `"exit_code_criteria":{"exit_code":0}`) {
		t.Errorf("exported without it: %s", body)
	}
}
