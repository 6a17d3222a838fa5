package store

import (
	"net/netip"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/server/store/storetest"
)

var someAccount = Account{
	Counts: Counts{Answered: 1, Failed: 2, Stopped: 3, Running: 4, Offline: 5, NotReached: 6},
	Exceptions: []Exception{{
		Client: endpoint.ID{9}, ComputerID: 1<<32 - 1, Name: "pc", LAN: netip.MustParsePrefix("2001:db8::/64"), Outcome: NotReached,
	}},
	LeftOut: 19, Rounds: 4, Repeated: 2, Since: noon, End: "the server was stopped",
}

func TestMachines(t *testing.T) { same(t, someAccount.Machines(), 21) }

// TestKeepAnswer: what is kept of an open question is replaced until it closes.
func TestKeepAnswer(t *testing.T) { storetest.Each(t, testKeepAnswer) }

func testKeepAnswer(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	id, err := s.CreateQuestion(ctx, Question{Text: "q", Issued: noon, Expires: noon.Add(time.Hour)})
	must(t, err)
	_, err = s.QuestionAccount(ctx, id)
	wantKind(t, err, fault.NotFound, "account of question 1")
	check := func(want string, account Account) {
		t.Helper()
		result, err := s.QuestionResult(ctx, id)
		must(t, err)
		same(t, string(result), want)
		got, err := s.QuestionAccount(ctx, id)
		must(t, err)
		same(t, got, account)
	}
	must(t, s.KeepAnswer(ctx, id, Answer{[]byte("some"), someAccount}))
	check("some", someAccount)
	must(t, s.KeepAnswer(ctx, id, Answer{[]byte("more"), Account{Rounds: 1}}))
	check("more", Account{Rounds: 1})
	list, err := s.OpenQuestions(ctx)
	must(t, err)
	same(t, len(list), 1)
	must(t, s.CloseQuestion(ctx, id, noon.Add(time.Minute), Answer{[]byte("all"), Account{Repeated: 1}}))
	check("all", Account{Repeated: 1})
	wantKind(t, s.KeepAnswer(ctx, id, Answer{}), fault.Conflict, "question 1: already closed")
	wantKind(t, s.KeepAnswer(ctx, 7, Answer{}), fault.NotFound, "question 7")
	q, err := s.Question(ctx, id)
	must(t, err)
	same(t, q.Expires, noon.Add(time.Minute)) // it has ended before its time
}

// TestRepetitions: a question that is asked again has a new number, which
// nobody sees and nobody else ever gets.
func TestRepetitions(t *testing.T) { storetest.Each(t, testRepetitions) }

func testRepetitions(t *testing.T, e storetest.Engine) {
	path := prepared(t, e)
	s := openAt(t, path)
	ctx := t.Context()
	highest := func(want uint64) {
		t.Helper()
		got, err := s.HighestQuestion(ctx)
		must(t, err)
		same(t, got, want)
	}
	highest(0)
	expires := noon.Add(time.Hour)
	for _, text := range []string{"first", "second"} {
		_, err := s.CreateQuestion(ctx, Question{Text: text, Plan: []byte{7}, Issued: noon, Expires: expires})
		must(t, err)
	}
	for _, want := range []uint64{3, 4} {
		number, err := s.RepeatQuestion(ctx, 1, noon.Add(time.Minute))
		must(t, err)
		same(t, number, want)
		highest(want)
	}
	// Hidden from everybody.
	page, total, err := s.Questions(ctx, 0, 10)
	must(t, err)
	same(t, []any{total, len(page), page[0].ID, page[1].ID}, []any{2, 2, uint64(2), uint64(1)})
	opened, err := s.OpenQuestions(ctx)
	must(t, err)
	same(t, []any{len(opened), opened[0].ID, opened[1].ID}, []any{2, uint64(1), uint64(2)})
	for id, want := range map[uint64]int{1: 2, 2: 0, 3: 0} {
		n, err := s.Repetitions(ctx, id)
		must(t, err)
		same(t, n, want)
	}
	_, err = s.Question(ctx, 3)
	wantKind(t, err, fault.NotFound, "question 3")
	for _, err := range []error{
		s.CloseQuestion(ctx, 3, noon, Answer{}), s.KeepAnswer(ctx, 3, Answer{}), second(s.RepeatQuestion(ctx, 3, noon)), second(s.RepeatQuestion(ctx, 77, noon)),
	} {
		if fault.KindOf(err) != fault.NotFound {
			t.Errorf("%v, want not found", err)
		}
	}
	// It closes once, with all its numbers, and keeps them.
	must(t, s.CloseQuestion(ctx, 1, expires, Answer{}))
	wantKind(t, second(s.RepeatQuestion(ctx, 1, noon)), fault.Conflict, "question 1: already closed")
	must(t, s.CloseQuestion(ctx, 2, expires, Answer{}))
	n, err := s.DeleteQuestions(ctx, expires.Add(time.Second))
	must(t, err)
	same(t, n, 4)
	must(t, s.Close())
	s = openAt(t, path)
	highest(4)
	id, err := s.CreateQuestion(ctx, Question{Text: "next", Issued: noon, Expires: noon})
	must(t, err)
	same(t, id, 5)
}

func second[T any](_ T, err error) error { return err }

func TestAccountThatNobodyUnderstands(t *testing.T) {
	storetest.Each(t, testAccountThatNobodyUnderstands)
}

func testAccountThatNobodyUnderstands(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	fill(t, s)
	_, err := s.exec(t.Context(), "UPDATE question_accounts SET account = $1", []byte{0})
	must(t, err)
	_, err = s.QuestionAccount(t.Context(), 1)
	wantKind(t, err, fault.Internal, "account of question 1")
}
