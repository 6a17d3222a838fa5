package store

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/server/store/storetest"
)

func TestUsers(t *testing.T) { storetest.Each(t, testUsers) }

func testUsers(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	ann, err := s.CreateUser(ctx, User{Name: "Ann", Password: "a", Created: noon})
	must(t, err)
	_, err = s.CreateUser(ctx, User{Name: "ANN", Password: "b", Created: noon})
	wantKind(t, err, fault.Conflict, `user "ANN": already exists`)
	must(t, s.SetPassword(ctx, ann.ID, "c"))
	must(t, s.TouchUser(ctx, ann.ID, noon.Add(time.Hour)))
	ann.Password, ann.LastLogin = "c", noon.Add(time.Hour)
	got, err := s.UserByName(ctx, "ann")
	must(t, err)
	same(t, got, ann)
	got, err = s.UserByID(ctx, ann.ID)
	must(t, err)
	same(t, got, ann)
	_, err = s.UserByName(ctx, "bob")
	wantKind(t, err, fault.NotFound, `user "bob"`)
	_, err = s.UserByID(ctx, 99)
	wantKind(t, err, fault.NotFound, "user 99")
	wantKind(t, s.SetPassword(ctx, 99, "c"), fault.NotFound, "user 99")
	wantKind(t, s.TouchUser(ctx, 99, noon), fault.NotFound, "user 99")
}

func TestTokens(t *testing.T) { storetest.Each(t, testTokens) }

func testTokens(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	var users []User
	for _, name := range []string{"ann", "bob"} {
		u, err := s.CreateUser(ctx, User{Name: name, Created: noon})
		must(t, err)
		users = append(users, u)
	}
	ann, bob := users[0].ID, users[1].ID
	made, err := s.CreateToken(ctx, Token{Hash: HashOf("one"), UserID: ann, Name: "n", Days: 3, Created: noon, Expires: noon.AddDate(0, 0, 3)})
	must(t, err)
	must(t, s.TouchTokens(ctx, map[int64]time.Time{made.ID: noon.Add(time.Minute), made.ID + 1: noon})) // raced with a deletion
	must(t, s.TouchTokens(ctx, nil))
	made.LastUsed = noon.Add(time.Minute)
	same(t, tokensIn(t, s, 0), []Token{made})
	same(t, tokensIn(t, s, ann), []Token{made})
	same(t, tokensIn(t, s, bob), []Token{}) // another's token is as good as none

	_, err = s.CreateToken(ctx, Token{Hash: HashOf("one"), UserID: ann})
	wantKind(t, err, fault.Conflict, "already exists")
	_, err = s.CreateToken(ctx, Token{Hash: HashOf("two"), UserID: 99})
	wantKind(t, err, fault.NotFound, "what it belongs to is not there")
	_, err = s.DeleteToken(ctx, bob, made.ID)
	wantKind(t, err, fault.NotFound, "token 1")
	_, err = s.RotateToken(ctx, bob, HashOf("one"), HashOf("two"), noon)
	wantKind(t, err, fault.NotFound, "token")

	later := noon.Add(time.Hour)
	turned, err := s.RotateToken(ctx, ann, HashOf("one"), HashOf("two"), later)
	must(t, err)
	if turned.ID <= made.ID {
		t.Errorf("the token's new number is %d, after %d", turned.ID, made.ID)
	}
	same(t, turned, Token{ID: turned.ID, Hash: HashOf("two"), UserID: ann, Name: "n", Days: 3, Created: later, Expires: later.AddDate(0, 0, 3)})
	same(t, tokensIn(t, s, ann), []Token{turned})
	gone, err := s.DeleteToken(ctx, ann, turned.ID)
	must(t, err)
	same(t, gone, turned)
	same(t, tokensIn(t, s, ann), []Token{})
}

func tokensIn(t *testing.T, s *Store, user int64) []Token {
	t.Helper()
	list, err := s.Tokens(t.Context(), user)
	must(t, err)
	return list
}

func TestSensors(t *testing.T) { storetest.Each(t, testSensors) }

func testSensors(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	names := func() (out []string) {
		list, err := s.Sensors(ctx)
		must(t, err)
		for _, n := range list {
			kind := "script"
			if n.Builtin {
				kind = "builtin"
			}
			out = append(out, fmt.Sprintf("%d %s %s %s", n.ID, n.Name, kind, n.Definition))
		}
		return out
	}
	sync := func(names ...string) {
		t.Helper()
		var list []sensor.Sensor
		for _, n := range names {
			list = append(list, sensor.Sensor{Name: n})
		}
		must(t, s.SyncBuiltin(ctx, list, noon))
	}
	sync("Alpha", "Beta")
	made, err := s.CreateSensor(ctx, Sensor{Name: "Who", Definition: []byte("w"), Created: noon, Modified: noon})
	must(t, err)
	same(t, made.ID, int64(3))
	_, err = s.CreateSensor(ctx, Sensor{Name: "ALPHA", Definition: []byte("x")})
	wantKind(t, err, fault.Conflict, `sensor "ALPHA": already exists`)
	_, err = s.CreateSensor(ctx, Sensor{Name: "who", Definition: []byte("x")})
	wantKind(t, err, fault.Conflict, `sensor "who": already exists`)
	same(t, names(), []string{"1 Alpha builtin ", "2 Beta builtin ", "3 Who script w"})

	sync("beta", "Gamma", "Who") // Alpha gone, Beta respelled, Who taken over
	gamma := "4 Gamma builtin "
	if e == storetest.PostgreSQL { // there, what was refused has used numbers up
		gamma = "6 Gamma builtin "
	}
	same(t, names(), []string{"2 beta builtin ", gamma, "3 Who builtin "})
	sync("Alpha", "Beta", "Gamma") // Alpha is back, Who is the operator's again
	same(t, names(), []string{"1 Alpha builtin ", "2 Beta builtin ", gamma, "3 Who script w"})

	sync("Beta")
	again, err := s.CreateSensor(ctx, Sensor{Name: "alpha", Definition: []byte("a"), Created: noon, Modified: noon})
	must(t, err)
	same(t, again.ID, int64(1)) // the record without use
	same(t, names(), []string{"1 alpha script a", "2 Beta builtin ", "3 Who script w"})

	some := []int64{3, 99}
	for len(some) < 2*sensorsAtOnce { // more than stand in one query
		some = append(some, 1000)
	}
	list, err := s.Sensors(ctx, append(some, 2)...)
	must(t, err)
	same(t, []any{len(list), list[0].Name, list[1].Name}, []any{2, "Who", "Beta"})
	list, err = s.Sensors(ctx, 99)
	must(t, err)
	same(t, len(list), 0)
}

func TestQuestionNumbersNeverReused(t *testing.T) { storetest.Each(t, testQuestionNumbersNeverReused) }

func testQuestionNumbersNeverReused(t *testing.T, e storetest.Engine) {
	path := prepared(t, e)
	s := openAt(t, path)
	ctx := t.Context()
	ask := func() uint64 {
		id, err := s.CreateQuestion(ctx, Question{Text: "Get number of machines", Issued: noon, Expires: noon})
		must(t, err)
		return id
	}
	for want := range uint64(3) {
		same(t, ask(), want+1)
	}
	for id := range uint64(3) {
		must(t, s.CloseQuestion(ctx, id+1, noon, Answer{Result: []byte("r")}))
	}
	n, err := s.DeleteQuestions(ctx, noon)
	must(t, err)
	same(t, n, 0) // not before noon
	n, err = s.DeleteQuestions(ctx, noon.Add(time.Second))
	must(t, err)
	same(t, n, 3)
	_, err = s.QuestionResult(ctx, 3)
	wantKind(t, err, fault.NotFound, "result of question 3")
	same(t, ask(), 4)
	must(t, s.CloseQuestion(ctx, 4, noon, Answer{}))
	_, err = s.DeleteQuestions(ctx, noon.Add(time.Second))
	must(t, err)
	must(t, s.Close())
	s = openAt(t, path)
	same(t, ask(), 5)
}

func TestQuestions(t *testing.T) { storetest.Each(t, testQuestions) }

func testQuestions(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	for i := range 5 {
		_, err := s.CreateQuestion(ctx, Question{Text: fmt.Sprint(i + 1), Issued: noon, Expires: noon})
		must(t, err)
	}
	for _, tt := range []struct {
		offset, limit int
		want          []string
	}{
		{0, 2, []string{"5", "4"}}, {3, 9, []string{"2", "1"}}, {5, 1, nil}, {0, 0, nil},
	} {
		page, total, err := s.Questions(ctx, tt.offset, tt.limit)
		must(t, err)
		var texts []string
		for _, q := range page {
			texts = append(texts, q.Text)
		}
		if !slices.Equal(texts, tt.want) || total != 5 {
			t.Errorf("offset %d limit %d: %q of %d, want %q of 5", tt.offset, tt.limit, texts, total, tt.want)
		}
	}
	must(t, s.CloseQuestion(ctx, 2, noon, Answer{Result: []byte("r")}))
	wantKind(t, s.CloseQuestion(ctx, 2, noon, Answer{Result: []byte("s")}), fault.Conflict, "question 2: already closed")
	wantKind(t, s.CloseQuestion(ctx, 99, noon, Answer{}), fault.NotFound, "question 99")
	result, err := s.QuestionResult(ctx, 2)
	must(t, err)
	same(t, string(result), "r")
	_, err = s.Question(ctx, 99)
	wantKind(t, err, fault.NotFound, "question 99")
	_, err = s.Question(ctx, 1<<64-1)
	wantKind(t, err, fault.NotFound, "question 18446744073709551615")
}

func TestLargeResult(t *testing.T) { storetest.Each(t, testLargeResult) }

func testLargeResult(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	id, err := s.CreateQuestion(t.Context(), Question{Text: "q", Issued: noon, Expires: noon})
	must(t, err)
	large := make([]byte, 32<<20)
	large[len(large)-1] = 7
	must(t, s.CloseQuestion(t.Context(), id, noon, Answer{Result: large}))
	got, err := s.QuestionResult(t.Context(), id)
	must(t, err)
	if !slices.Equal(got, large) {
		t.Error("a large result came back changed")
	}
}

func TestClients(t *testing.T) { storetest.Each(t, testClients) }

func testClients(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	one := Client{ID: endpoint.ID{1}, ComputerID: 11, Name: "one", Key: HashOf("1"), Enrolled: noon}
	two := Client{ID: endpoint.ID{2}, ComputerID: 22, Name: "two", Key: HashOf("2"), Enrolled: noon}
	must(t, s.CreateSecret(ctx, Secret{Hash: HashOf("a"), Created: noon, Expires: noon.Add(time.Hour), Uses: 2}))
	enrolOne := func(c Client) error {
		e := &Enrolment{Secret: HashOf("a"), Client: c}
		must(t, s.Enrol(ctx, noon, []*Enrolment{e}))
		return e.Err
	}
	must(t, enrolOne(one))
	for what, c := range map[string]Client{
		"id":          {ID: one.ID, ComputerID: 33, Key: HashOf("3")},
		"computer id": {ID: endpoint.ID{3}, ComputerID: 11, Key: HashOf("3")},
		"key":         {ID: endpoint.ID{3}, ComputerID: 33, Key: HashOf("1")},
	} {
		if err := enrolOne(c); fault.KindOf(err) != fault.Conflict {
			t.Errorf("the same %s twice: %v, want a conflict", what, err)
		}
	}
	must(t, enrolOne(two)) // the conflicts have used nothing up
	must(t, s.TouchClients(ctx, []Touch{
		{ID: one.ID, Name: "new", Registered: noon.Add(2 * time.Second), Incarnation: 1 << 63, Sequence: 2, LAN: netip.MustParsePrefix("2001:db8::/64"), Slot: 65535},
		{ID: endpoint.ID{9}, Name: "gone", Registered: noon},
		{ID: one.ID, Name: "late", Registered: noon.Add(time.Second), Incarnation: 1, Sequence: 1, LAN: netip.MustParsePrefix("10.0.0.0/24"), Slot: 1},
		{ID: two.ID, Name: "two", Registered: noon}, // nobody knows where
	}))
	one.Name, one.Registered, one.Incarnation, one.Sequence = "new", noon.Add(2*time.Second), 1<<63, 2
	one.LAN, one.Slot, two.Registered = netip.MustParsePrefix("2001:db8::/64"), 65535, noon
	got, err := s.ClientByID(ctx, one.ID)
	must(t, err)
	same(t, got, one)
	list, err := s.Clients(ctx)
	must(t, err)
	same(t, list, []Client{one, two})
	_, err = s.ClientByID(ctx, endpoint.ID{9})
	wantKind(t, err, fault.NotFound, "client 0900")
	must(t, s.TouchClients(ctx, nil))
}

// useSecret lets a machine of its own in with the secret.
func useSecret(t *testing.T, s *Store, n int, secret string, now time.Time) error {
	e := &Enrolment{Secret: HashOf(secret), Client: Client{ID: clientID(n), ComputerID: uint32(n), Key: HashOf(fmt.Sprint(n)), Enrolled: now}}
	must(t, s.Enrol(t.Context(), now, []*Enrolment{e}))
	return e.Err
}

func TestEnrolSecret(t *testing.T) { storetest.Each(t, testEnrolSecret) }

func testEnrolSecret(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	must(t, s.CreateSecret(ctx, Secret{Hash: HashOf("a"), Name: "a", Created: noon, Expires: noon.Add(time.Hour), Uses: 1}))
	wantKind(t, s.CreateSecret(ctx, Secret{Hash: HashOf("a"), Name: "b"}), fault.Conflict, "already exists")
	wantKind(t, useSecret(t, s, 1, "a", noon.Add(time.Hour)), fault.Denied, "enrolment secret: expired 2026-11-22T13:00:00Z")
	must(t, useSecret(t, s, 2, "a", noon.Add(time.Hour-time.Microsecond)))
	wantKind(t, useSecret(t, s, 3, "a", noon), fault.Denied, "enrolment secret: used up")
	wantKind(t, useSecret(t, s, 4, "b", noon), fault.Denied, "enrolment secret: unknown")
	must(t, s.DeleteSecret(ctx, HashOf("a")))
	wantKind(t, useSecret(t, s, 5, "a", noon), fault.Denied, "unknown")
	wantKind(t, s.DeleteSecret(ctx, HashOf("a")), fault.NotFound, "enrolment secret")
	list, err := s.Clients(ctx)
	must(t, err)
	if len(list) != 1 || list[0].ComputerID != 2 {
		t.Errorf("enrolled are %v, want only the second", list)
	}
}

// TestEnrolTogether: of many machines in one transaction, each is let in or
// refused by itself.
func TestEnrolTogether(t *testing.T) { storetest.Each(t, testEnrolTogether) }

func testEnrolTogether(t *testing.T, e storetest.Engine) {
	const uses, machines = 20, 50
	s := open(t, e)
	must(t, s.CreateSecret(t.Context(), Secret{Hash: HashOf("a"), Created: noon, Expires: noon.Add(time.Hour), Uses: uses}))
	list := make([]*Enrolment, machines)
	for i := range list {
		list[i] = &Enrolment{Secret: HashOf("a"), Client: Client{ID: clientID(i), ComputerID: uint32(i), Key: HashOf(fmt.Sprint(i)), Enrolled: noon}}
	}
	must(t, s.Enrol(t.Context(), noon, list))
	enrolled := 0
	for _, e := range list {
		if e.Err == nil {
			enrolled++
			continue
		}
		wantKind(t, e.Err, fault.Denied, "used up")
	}
	same(t, enrolled, uses)
	clients, err := s.Clients(t.Context())
	must(t, err)
	same(t, len(clients), uses)
}

func TestEnrolInParallel(t *testing.T) { storetest.Each(t, testEnrolInParallel) }

func testEnrolInParallel(t *testing.T, e storetest.Engine) {
	const uses, machines = 20, 50
	s := open(t, e)
	must(t, s.CreateSecret(t.Context(), Secret{Hash: HashOf("a"), Created: noon, Expires: noon.Add(time.Hour), Uses: uses}))
	errs := make([]error, machines)
	var all sync.WaitGroup
	for i := range machines {
		all.Go(func() { errs[i] = useSecret(t, s, i+1, "a", noon) })
	}
	all.Wait()
	enrolled := 0
	for _, err := range errs {
		if err == nil {
			enrolled++
			continue
		}
		wantKind(t, err, fault.Denied, "used up")
	}
	same(t, enrolled, uses)
}

func TestSettings(t *testing.T) { storetest.Each(t, testSettings) }

func testSettings(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	_, err := s.Setting(ctx, "k")
	wantKind(t, err, fault.NotFound, `setting "k"`)
	must(t, s.SetSetting(ctx, "k", "1"))
	must(t, s.SetSetting(ctx, "k", "it's 2"))
	got, err := s.Setting(ctx, "k")
	must(t, err)
	same(t, got, "it's 2")
}

// Many goroutines write and read at once: no write is lost and nobody is told
// that the database is busy.
func TestConcurrentWriters(t *testing.T) { storetest.Each(t, testConcurrentWriters) }

func testConcurrentWriters(t *testing.T, e storetest.Engine) {
	const writers, each = 8, 25
	s := open(t, e)
	ctx := t.Context()
	errs := make([]error, writers)
	ids := make([][]uint64, writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				id, err := s.CreateQuestion(ctx, Question{Text: fmt.Sprint(w, i), Issued: noon, Expires: noon})
				_, errRead := s.Question(ctx, id)
				errs[w] = errors.Join(errs[w], err, errRead, s.SetSetting(ctx, fmt.Sprint("k", i%3), fmt.Sprint(w)))
				ids[w] = append(ids[w], id)
			}
		})
	}
	all.Wait()
	must(t, errors.Join(errs...))
	seen := slices.Concat(ids...)
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); n != writers*each {
		t.Errorf("%d different numbers, want %d", n, writers*each)
	}
	_, total, err := s.Questions(ctx, 0, 1)
	must(t, err)
	same(t, total, writers*each)
}
