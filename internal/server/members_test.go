package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/question"
	"catenary/internal/server/dispatch"
	"catenary/internal/server/store"
	"catenary/internal/wire"
)

// tracks asks for the machines of a group, as the API does.
func (r *room) tracks(group int64) uint64 {
	r.t.Helper()
	ctx := r.t.Context()
	id, err := r.store.CreateQuestion(ctx, store.Question{Text: "Get Computer ID", Tracks: group, Issued: r.now, Expires: r.now.Add(time.Minute)})
	if err == nil {
		err = r.store.TrackGroup(ctx, store.Tracking{Group: group, Meaning: "m", Question: id, Asked: r.now})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.ask(r.now, dispatch.Question{ID: id, Sealed: []byte{1}, Issued: r.now, Expires: r.now.Add(time.Minute), Limit: time.Minute}, asked{id: id, issued: r.now, tracks: group})
	r.leads(1, 0, wire.ForwardLeader) // comes when the question is there: the room has no links
	return id
}

// says is the report of one machine, with rows of these computer IDs.
func (r *room) says(number uint64, i int, counts answer.Counts, ids ...uint32) wire.Answer {
	var rows []answer.Row
	for _, id := range ids {
		rows = append(rows, r.keys.RowKey.Row([]answer.Cell{{fmt.Sprint(id)}}))
	}
	seat, _ := r.roster.Seat(machineID(i))
	return wire.Answer{Report: answer.Report{Question: number, Bundle: answer.BundleOf(number, seat.Slot, answer.RowsOf(answer.ChainLimits, rows...), counts)}}
}

// ends lets a question's time pass and keeps what came of it; cut says that there
// was no room for some rows.
func (r *room) ends(number uint64, cut bool) {
	r.t.Helper()
	r.desk.Leave(1)
	delete(r.leaders, 1)
	r.now = r.now.Add(time.Minute)
	r.tidy(r.now)
	for len(r.written) > 0 {
		w := <-r.written
		if w.close.question != number {
			continue
		}
		if cut {
			w.close.result.Rows.Cut = 1
		}
		if w.close.counted == nil {
			r.t.Fatal("nothing is told of the members")
		}
		if err := r.keepMembers(r.t.Context(), w.close); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	r.t.Fatal("the question is not closed")
}

// enrolAll writes down the machines that the hub knows.
func (r *room) enrolAll() {
	r.t.Helper()
	secret := store.HashOf("s")
	if err := r.store.CreateSecret(r.t.Context(), store.Secret{Hash: secret, Expires: r.now.Add(time.Hour), Uses: len(r.clients)}); err != nil {
		r.t.Fatal(err)
	}
	for id, c := range r.clients {
		e := &store.Enrolment{Secret: secret, Client: store.Client{ID: id, ComputerID: c.status.ComputerID, Name: c.status.Name, Key: store.HashOf(id.String())}}
		if err := r.store.Enrol(r.t.Context(), r.now, []*store.Enrolment{e}); err != nil || e.Err != nil {
			r.t.Fatal(err, e.Err)
		}
	}
}

// inGroup are the members of a group by name, with a plus if they said so last
// time.
func (r *room) inGroup(group int64, asked time.Time) string {
	r.t.Helper()
	list, err := r.store.Members(r.t.Context(), group)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, m := range list {
		name := m.Name
		if m.Answered.Equal(asked.Truncate(time.Microsecond)) {
			name += "+"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

// TestMembersKept: who says that he is in a group is, who says that he is not is
// not, and of the others it is as it was.
func TestMembersKept(t *testing.T) {
	r := newRoom(t, 7)
	r.enrolAll()
	for i := range 7 {
		r.come(i, 1, nil)
	}
	in := answer.Counts{Passed: 1}

	first, at := r.tracks(7), r.now
	for i := range 5 {
		r.told(1, r.says(first, i, in, uint32(i+1)))
	}
	r.ends(first, false)
	if got, want := r.inGroup(7, at), "pc-0+ pc-1+ pc-2+ pc-3+ pc-4+"; got != want {
		t.Fatalf("%s\nwant %s", got, want)
	}

	second, at := r.tracks(7), r.now
	r.told(1, r.says(second, 0, in, 1, 7))                               // 7 is pc-6, of whom nothing is heard
	r.told(1, r.says(second, 1, answer.Counts{}))                        // is not in it any more
	r.told(1, r.says(second, 2, answer.Counts{Errors: 1}))               // could not find out
	r.told(1, r.says(second, 3, answer.Counts{Passed: 1, Errors: 1}, 4)) // could not find out everything, and is in it
	r.told(1, r.says(second, 5, in, 6, 4_000_000_000))                   // is new, and names somebody whom there is not
	r.ends(second, false)
	if got, want := r.inGroup(7, at), "pc-0+ pc-2 pc-3+ pc-4 pc-5+"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}

	third, at := r.tracks(7), r.now
	for i := range 6 {
		r.told(1, r.says(third, i, answer.Counts{}))
	}
	r.told(1, r.says(third, 6, in, 7))
	r.ends(third, true) // who is missing may be among those for whom there was no room
	if got, want := r.inGroup(7, at), "pc-0 pc-2 pc-3 pc-4 pc-5 pc-6+"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}

	// Who is silent for a month is forgotten.
	r.now = r.now.Add(memberFor - 150*time.Second) // it ends two minutes later than the third
	for i := range 7 {
		r.come(i, 1, nil)
	}
	last := r.tracks(7)
	r.ends(last, false)
	if got, want := r.inGroup(7, at), "pc-6+"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestTracksAfterRestart: a question for the members of a group is one, too, when
// a server that ended asks it again.
func TestTracksAfterRestart(t *testing.T) {
	dir := t.TempDir()
	t.Run("first life", func(t *testing.T) {
		s := startSite(t, dir)
		q, err := question.Parse("Get Computer ID from all machines", s.Catalogue(), nil)
		if err != nil {
			t.Fatal(err)
		}
		id, err := s.Ask(t.Context(), question.Asking{Question: q, Life: 10 * time.Minute, Tracks: 7})
		if err != nil || id != 1 {
			t.Fatal(id, err)
		}
	})
	s := startSite(t, dir)
	var counted map[uint32]bool
	if err := s.do(t.Context(), func(h *hub) {
		q := h.live[h.numbers[1]]
		counted = h.closing(time.Now(), h.numbers[1], q).counted
	}); err != nil || counted == nil {
		t.Errorf("%v, %v", counted, err)
	}
}
