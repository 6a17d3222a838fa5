package store

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/fault"
	"catenary/internal/server/store/storetest"
)

// letIn enrols machines with the computer IDs 1 to n, named pc-01 and so on.
func letIn(t *testing.T, s *Store, n int) {
	t.Helper()
	secret := HashOf("for machines")
	must(t, s.CreateSecret(t.Context(), Secret{Hash: secret, Created: noon, Expires: noon.Add(time.Hour), Uses: n}))
	list := make([]*Enrolment, n)
	for i := range list {
		list[i] = &Enrolment{Secret: secret, Client: Client{ID: clientID(i + 1), ComputerID: uint32(i + 1), Name: fmt.Sprintf("pc-%02d", i+1), Key: HashOf(fmt.Sprint(i)), Enrolled: noon}}
	}
	must(t, s.Enrol(t.Context(), noon, list))
	for _, e := range list {
		must(t, e.Err)
	}
}

// TestMembers: who is in a group is what each machine has said last, until the
// group means something else or is not tracked any more.
func TestMembers(t *testing.T) { storetest.Each(t, testMembers) }

func testMembers(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	letIn(t, s, 4)
	member := func(id int, at time.Time) Member {
		return Member{ComputerID: uint32(id), Client: clientID(id), Name: fmt.Sprintf("pc-%02d", id), Answered: at}
	}
	want := func(group int64, list ...Member) {
		t.Helper()
		got, err := s.Members(ctx, group)
		must(t, err)
		same(t, got, list)
	}
	_, err := s.Tracking(ctx, 7)
	wantKind(t, err, fault.NotFound, "tracking of group 7")
	never := time.Time{}
	later := noon.Add(time.Hour)
	must(t, s.TrackGroup(ctx, Tracking{Group: 7, Meaning: "a", Question: 11, Asked: noon}))
	must(t, s.TrackGroup(ctx, Tracking{Group: 8, Meaning: "b", Question: 12, Asked: noon}))
	must(t, s.KeepMembers(ctx, Heard{Group: 7, Question: 11, Asked: noon, In: []uint32{1, 2, 3, 99}, Out: []uint32{4}})) // 99 is nobody
	must(t, s.KeepMembers(ctx, Heard{Group: 8, Question: 12, Asked: noon, In: []uint32{1}}))
	want(7, member(1, noon), member(2, noon), member(3, noon))

	// Of the second asking, 1 says yes, 2 no, and 3 nothing.
	must(t, s.TrackGroup(ctx, Tracking{Group: 7, Meaning: "a", Question: 13, Asked: later}))
	list, err := s.Trackings(ctx)
	must(t, err)
	same(t, list, []Tracking{{7, "a", 13, later, noon}, {8, "b", 12, noon, noon}})
	must(t, s.KeepMembers(ctx, Heard{Group: 7, Question: 11, Asked: noon, In: []uint32{4}, Out: []uint32{1}})) // too late
	want(7, member(1, noon), member(2, noon), member(3, noon))
	second := Heard{Group: 7, Question: 13, Asked: later, In: []uint32{1}, Out: []uint32{2, 4}}
	must(t, s.KeepMembers(ctx, second))
	must(t, s.KeepMembers(ctx, second)) // word of it was lost
	want(7, member(1, later), member(3, noon))
	tracking, err := s.Tracking(ctx, 7)
	must(t, err)
	same(t, tracking, Tracking{7, "a", 13, later, later})

	second.In, second.Out, second.Since = nil, nil, noon.Add(time.Second) // 3 was silent for too long
	must(t, s.KeepMembers(ctx, second))
	want(7, member(1, later))

	// The group means something else, and nobody has said yet that he is in it.
	must(t, s.TrackGroup(ctx, Tracking{Group: 7, Meaning: "c", Question: 14, Asked: later}))
	want(7)
	tracking, err = s.Tracking(ctx, 7)
	must(t, err)
	same(t, tracking, Tracking{7, "c", 14, later, never})
	want(8, member(1, noon))
	must(t, s.ForgetTracking(ctx, 8))
	want(8)
	must(t, s.KeepMembers(ctx, Heard{Group: 8, Question: 12, Asked: noon, In: []uint32{1}})) // not tracked any more
	want(8)

	must(t, s.KeepMembers(ctx, Heard{Group: 7, Question: 14, Asked: later, In: []uint32{1, 4}}))
	_, err = s.write.DB.ExecContext(ctx, "DELETE FROM clients WHERE computer_id = 1")
	must(t, err)
	want(7, member(4, later))
}

// TestMembersLaw: whatever is asked and answered in which order, the members are
// those who have last said so.
func TestMembersLaw(t *testing.T) { storetest.Each(t, testMembersLaw) }

func testMembersLaw(t *testing.T, e storetest.Engine) {
	const machines = 5
	s := open(t, e)
	ctx := t.Context()
	letIn(t, s, machines)
	group := int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		group++ // of which nothing is known
		said := map[uint32]time.Time{}
		var now Tracking
		number := uint64(0)
		for range rapid.IntRange(1, 8).Draw(rt, "askings") {
			number++
			meaning := rapid.SampledFrom([]string{"a", "a", "a", "b"}).Draw(rt, "meaning")
			if meaning != now.Meaning {
				clear(said)
			}
			now = Tracking{Group: group, Meaning: meaning, Question: number, Asked: noon.Add(time.Duration(number) * time.Hour)}
			must(t, s.TrackGroup(ctx, now))
			h := Heard{Group: group, Question: number, Asked: now.Asked}
			if rapid.IntRange(0, 4).Draw(rt, "late") == 0 {
				h.Question-- // of the asking before
			}
			for id := range uint32(machines) {
				switch rapid.IntRange(0, 2).Draw(rt, "says") {
				case 1:
					h.In = append(h.In, id+1)
				case 2:
					h.Out = append(h.Out, id+1)
				}
			}
			must(t, s.KeepMembers(ctx, h))
			if h.Question == number {
				for _, id := range h.In {
					said[id] = now.Asked
				}
				for _, id := range h.Out {
					delete(said, id)
				}
			}
			list, err := s.Members(ctx, group)
			must(t, err)
			got := map[uint32]time.Time{}
			for _, m := range list {
				got[m.ComputerID] = m.Answered
			}
			same(t, got, said)
		}
	})
}

// TestHiddenQuestions: what the server asks by itself stands in no list but in
// that of all questions.
func TestHiddenQuestions(t *testing.T) { storetest.Each(t, testHiddenQuestions) }

func testHiddenQuestions(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	wanted, err := s.CreateQuestion(ctx, Question{Text: "Get Computer Name", UserID: 3, Issued: noon, Expires: noon})
	must(t, err)
	own, err := s.CreateQuestion(ctx, Question{Text: "Get Computer ID", Tracks: 7, Issued: noon, Expires: noon})
	must(t, err)
	q, err := s.Question(ctx, own)
	must(t, err)
	same(t, q.Tracks, 7)
	ids := func(list []Question, n int, err error) (out []uint64) {
		t.Helper()
		must(t, err)
		for _, q := range list {
			out = append(out, q.ID)
		}
		same(t, n, len(list))
		return out
	}
	same(t, ids(s.Questions(ctx, 0, 10)), []uint64{wanted})
	same(t, ids(s.AllQuestions(ctx, 0, 10)), []uint64{own, wanted})
}
