package api

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/server/store"
)

// TestFindings: what was found stands in the account of its question, and in the
// list of all findings.
func TestFindings(t *testing.T) {
	d := newDesk(t)
	d.ask("Get Operating System from all machines")
	d.ask("Get Computer Name from all machines")
	d.fleet.accounts[1], d.fleet.accounts[2] = store.Account{}, store.Account{}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	forged := store.Finding{
		Question: 1, Kind: "forged_box", LAN: netip.MustParsePrefix("10.0.0.0/24"), First: at, Last: at.Add(time.Minute), Times: 3,
		Clients: []store.Machine{{Client: endpoint.ID{5}, ComputerID: 5, Name: "<web>"}}, Suspects: []store.Machine{{Client: endpoint.ID{6}}},
		Because: "a box does not open",
	}
	altered := store.Finding{Question: 2, Kind: "altered_sums", LAN: netip.MustParsePrefix("2001:db8::/64"), First: at, Last: at, Times: 1}
	d.fleet.findings = []store.Finding{altered, forged}
	must(t, d.store.KeepFindings(t.Context(), []store.Finding{forged, altered}))

	const first = `{"question_id":1,"kind":"forged_box","lan":"10.0.0.0/24","first_time":"2026-11-22T12:00:00Z","last_time":"2026-11-22T12:01:00Z","times":3,` +
		`"clients":[{"client_id":"05000000000000000000000000000000","computer_id":5,"host_name":"<web>"}],` +
		`"suspects":[{"client_id":"06000000000000000000000000000000","computer_id":0,"host_name":""}],"example":"a box does not open"}`
	const second = `{"question_id":2,"kind":"altered_sums","lan":"2001:db8::/64","first_time":"2026-11-22T12:00:00Z","last_time":"2026-11-22T12:00:00Z","times":1,` +
		`"clients":[],"suspects":[],"example":""}`
	if body := d.call("GET", "/api/v2/questions/1/account", "").Body.String(); !strings.Contains(body, `"findings":[`+first+`],"finding_count":1}`) {
		t.Error(body)
	}
	for query, want := range map[string]string{
		"": second + "," + first, "?row_count=1": second, "?question_id=1": first, "?row_start=1": first, "?question_id=9": "",
	} {
		var list struct{ Data []json.RawMessage }
		must(t, json.Unmarshal(d.call("GET", "/api/v2/audit_findings"+query, "").Body.Bytes(), &list))
		var texts []string
		for _, x := range list.Data[:len(list.Data)-1] {
			texts = append(texts, string(x))
		}
		if got := strings.Join(texts, ","); got != want {
			t.Errorf("%s: %s\nwant %s", query, got, want)
		}
	}
	d.refused(d.call("GET", "/api/v2/audit_findings?question_id=x", ""), 400, `question_id is "x", not a number`)
	d.refused(d.call("GET", "/api/v2/audit_findings?row_count=10001", ""), 400, `row_count is 10001, more than 10000`)
}

// TestFindingsInAnAccountAreBounded: an account has the newest ones and says how
// many there are.
func TestFindingsInAnAccountAreBounded(t *testing.T) {
	d := newDesk(t)
	d.ask("Get Operating System from all machines")
	d.fleet.accounts[1] = store.Account{}
	for n := range findingsShown + 1 {
		d.fleet.findings = append(d.fleet.findings, store.Finding{Question: 1, Kind: fmt.Sprint(n), LAN: netip.MustParsePrefix("10.0.0.0/24")})
	}
	a := data[accountObject](t, d.call("GET", "/api/v2/questions/1/account", ""))
	if len(a.Findings) != findingsShown || a.FindingCount != findingsShown+1 || a.Findings[0].Kind != "0" {
		t.Errorf("%d of %d findings", len(a.Findings), a.FindingCount)
	}
}
