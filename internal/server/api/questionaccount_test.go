package api

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

func TestQuestionAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that times can be said exactly
		d := newDesk(t)
		d.ask("Get Operating System from all machines")
		lan := netip.MustParsePrefix("10.0.0.0/24")
		x := func(n byte, name string, o store.Outcome) store.Exception {
			return store.Exception{Client: endpoint.ID{n}, ComputerID: uint32(n), Name: name, LAN: lan, Outcome: o}
		}
		d.refused(d.call("GET", "/api/v2/questions/1/account", ""), 404, "no account of question 1 was kept")
		d.fleet.accounts[1] = store.Account{
			Counts:     store.Counts{Answered: 90, Failed: 1, Stopped: 1, Running: 1, Offline: 3, NotReached: 1},
			Exceptions: []store.Exception{x(5, "<web>", store.NotReached), x(6, "db", store.Running), x(7, "pc", store.Offline)},
			LeftOut:    4, Rounds: 2, Repeated: 1, Since: time.Now(),
		}
		const head = `"question_id":1,"state":"%s","end_reason":"%s","machine_count":97,"answered_count":90,"failed_count":1,"stopped_count":1,` +
			`"running_count":1,"offline_count":3,"not_reached_count":1,"round_count":2,"repeat_count":1,"repeat_time":"2000-01-01T00:00:00Z",`
		const tail = `"exception_count":3,"exceptions_left_out":4,"findings":[],"finding_count":0`
		const web = `{"client_id":"05000000000000000000000000000000","computer_id":5,"host_name":"<web>","lan":"10.0.0.0/24","outcome":"not_reached"}`
		const db = `{"client_id":"06000000000000000000000000000000","computer_id":6,"host_name":"db","lan":"10.0.0.0/24","outcome":"running"}`
		const pc = `{"client_id":"07000000000000000000000000000000","computer_id":7,"host_name":"pc","lan":"10.0.0.0/24","outcome":"offline"}`
		want := func(path, state, why, exceptions string) {
			t.Helper()
			d.want(d.call("GET", path, ""), 200, `{"data":{`+fmt.Sprintf(head, state, why)+`"exceptions":[`+exceptions+`],`+tail+`}}`)
		}
		want("/api/v2/questions/1/account", "open", "", web+","+db+","+pc)
		want("/api/v2/questions/1/account?row_start=1&row_count=1", "open", "", db)
		want("/api/v2/questions/1/account?row_start=9", "open", "", "")
		d.refused(d.call("GET", "/api/v2/questions/1/account?row_start=x", ""), 400, `row_start is "x", not a number`)

		a := d.fleet.accounts[1]
		a.End = "the server was stopped"
		d.fleet.accounts[1] = a
		must(t, d.store.CloseQuestion(t.Context(), 1, time.Now(), store.Answer{}))
		want("/api/v2/questions/1/account", "closed", "the server was stopped", web+","+db+","+pc)
		d.ask("Get Operating System from all machines")
		d.fleet.accounts[2] = store.Account{}
		time.Sleep(10 * time.Minute) // fake time; its answer is being written down
		d.session = data[sessionObject](t, d.send("POST", whereToPost, goodLogin)).Session
		same(t, data[accountObject](t, d.call("GET", "/api/v2/questions/2/account", "")).State, "closed")
		for id, status := range map[string]int{"3": 404, "x": 400} {
			if w := d.call("GET", "/api/v2/questions/"+id+"/account", ""); w.Code != status {
				t.Errorf("question %s: %d %s", id, w.Code, w.Body)
			}
		}
	})
}

// Machines that are off or slow are in the result's counters, too.
func TestResultInfoCountsExceptions(t *testing.T) {
	d := newDesk(t)
	id := d.ask("Get Operating System from all machines")
	d.fleet.say(id, func(r *tally.Result) { r.Errors, r.Stopped, r.Pending, r.Gone, r.Rounds, r.Repeated = 5, 4, 3, 2, 1, 6 })
	c := data[resultInfos](t, d.call("GET", "/api/v2/result_info/question/1", "")).ResultInfos[0]
	same(t, []int{c.ErrorCount, c.StoppedCount, c.RunningCount, c.OfflineCount, c.RoundCount, c.RepeatCount}, []int{5, 4, 3, 2, 1, 6})
}
