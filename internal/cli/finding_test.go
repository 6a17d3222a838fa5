package cli

import (
	"strings"
	"testing"
	"time"
)

// suspicious gives the fleet's third question an account with two findings.
func suspicious(f *fleet) {
	inquiries(f)
	m := func(name string) map[string]any {
		return map[string]any{"client_id": strings.Repeat("a", 32), "computer_id": 7, "host_name": name}
	}
	finding := func(kind string, clients, suspects []any) any {
		return map[string]any{
			"question_id": 3, "kind": kind, "lan": "10.1.7.0/24", "first_time": noon.Format(time.RFC3339),
			"last_time": noon.Add(-2 * time.Minute).Format(time.RFC3339), "times": 2, "clients": clients, "suspects": suspects, "example": "",
		}
	}
	f.findings = []any{
		finding("missing_row", []any{m("web-17")}, []any{m("\x1b[2Jdb"), m("")}),
		finding("of the future", []any{}, []any{m("db")}),
	}
	f.accounts["3"] = map[string]any{"state": "open", "machine_count": 4, "answered_count": 4, "exceptions": []any{}, "findings": f.findings, "finding_count": 5}
}

// TestQuestionShowFindings: what was found is said below the account, with
// machines by name.
func TestQuestionShowFindings(t *testing.T) {
	f := newFleet(t)
	suspicious(f)
	p := newPlace(t).at(f)
	out, errs, code := p.run("question", "show", "3")
	_, rest, _ := strings.Cut(out, "4  answered\n")
	want := `
There are signs that the answer was tampered with on its way; who has passed it
on can have done it, but need not (docs/trust.md):

What Was Found                                       LAN          Answers Of  Passed On By                      Times  Last
a row that a machine has given is not in the answer  10.1.7.0/24  web-17      \x1b[2Jdb                             2  2 minutes ago
                                                                              aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
of the future                                        10.1.7.0/24              db                                    2  2 minutes ago
… and 3 more: ` + "`catenary question findings`" + ` names them
`
	if rest != want || code != exitOK {
		t.Errorf("got\n%s%s\nwant\n%s", rest, errs, want)
	}
	if out := p.says(t, "question", "show", "1"); strings.Contains(out, "signs") {
		t.Errorf("nothing was found, and it says\n%s", out)
	}
}

func TestQuestionFindings(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	if out, errs, code := p.run("question", "findings"); strings.Count(out, "\n") != 1 || errs != "" || code != exitOK {
		t.Errorf("without any: %q, %q, code %d", out, errs, code)
	}
	suspicious(f)
	out, errs, code := p.run("question", "findings")
	want := `Question  Kind           LAN          Answers Of  Passed On By                      Times  Last
       3  missing_row    10.1.7.0/24  web-17      \x1b[2Jdb                             2  2 minutes ago
                                                  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
       3  of the future  10.1.7.0/24              db                                    2  2 minutes ago
`
	if out != want || code != exitOK {
		t.Errorf("got\n%s%s\nwant\n%s", out, errs, want)
	}
	out = p.says(t, "question", "findings", "--json", "--limit", "1")
	want = `[
  {"Question": 3, "Kind": "missing_row", "LAN": "10.1.7.0/24", "Answers Of": "web-17", "Passed On By": ["\u001b[2Jdb", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"], "Times": 2, "Last": "2026-11-22T11:58:00Z"}
]
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	if _, errs, code := p.run("question", "findings", "--limit", "0"); code != exitUsage || !strings.Contains(errs, "--limit 0 is not between 1 and 1000") {
		t.Errorf("%q, code %d", errs, code)
	}
}
