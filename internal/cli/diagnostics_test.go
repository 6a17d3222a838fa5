package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// serveDiagnostics keeps reports, the newest first; f.objects has them.
func (f *fleet) serveDiagnostics(mux *http.ServeMux) {
	mux.HandleFunc("GET "+diagnosticsPath, func(w http.ResponseWriter, _ *http.Request) {
		if f.objects["reports"] == nil {
			reply(w, []any{})
			return
		}
		reply(w, f.objects["reports"])
	})
	mux.HandleFunc("POST "+diagnosticsPath, func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		made := map[string]any{"name": fmt.Sprintf("r%d.json\x1b", len(f.objects["reports"])+1), "size": 1234, "made_time": "2026-11-22T08:00:00Z"}
		f.objects["reports"] = append([]map[string]any{made}, f.objects["reports"]...)
		reply(w, made)
	})
	mux.HandleFunc("GET "+diagnosticsPath+"/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") == "r9.json" {
			refuse(w, http.StatusNotFound, "there is no report")
			return
		}
		b, err := json.Marshal(map[string]string{"made_time": r.PathValue("name")})
		if err != nil {
			panic(err)
		}
		w.Write(b)
	})
}

func TestServerDiagnostics(t *testing.T) {
	p := newPlace(t).at(newFleet(t))
	file := filepath.Join(t.TempDir(), "report.json")
	for _, tt := range []struct {
		args     []string
		out, err string
		code     int
	}{
		{[]string{"list", "--json"}, "[]\n", "", exitOK},
		{[]string{"download"}, "", "catenary: there is no report yet: `catenary server diagnostics make` makes one\n", exitFailed},
		{[]string{"make"}, "r1.json\\x1b\n", "", exitOK},
		{[]string{"make"}, "r2.json\\x1b\n", "", exitOK},
		{[]string{"list", "--format", "csv"}, "Name,Made,Bytes\r\nr2.json\\x1b,2026-11-22T08:00:00Z,1234\r\nr1.json\\x1b,2026-11-22T08:00:00Z,1234\r\n", "", exitOK},
		{[]string{"download"}, "{\n  \"made_time\": \"r2.json\\u001b\"\n}\n", "", exitOK},
		{[]string{"download", "r1.json"}, "{\n  \"made_time\": \"r1.json\"\n}\n", "", exitOK},
		{[]string{"download", "r9.json"}, "", "catenary: diagnostics: there is no report\n", exitFailed},
		{[]string{"download", "r1.json", "--output", file}, "", "Wrote 23 bytes to " + file + ".\n", exitOK},
		{[]string{"download", "a", "b"}, "", "catenary: download takes the name of a report, but got 2\nsee `catenary server diagnostics download --help`\n", exitUsage},
	} {
		out, errs, code := p.run(append([]string{"server", "diagnostics"}, tt.args...)...)
		if out != tt.out || errs != tt.err || code != tt.code {
			t.Errorf("%v: code %d\n%q\n%q\nwant code %d\n%q\n%q", tt.args, code, out, errs, tt.code, tt.out, tt.err)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != `{"made_time":"r1.json"}` {
		t.Errorf("the file has %q, %v", b, err)
	}
}
