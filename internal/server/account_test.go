package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/link"
	"catenary/internal/question"
	"catenary/internal/seal"
	"catenary/internal/server/dispatch"
	"catenary/internal/server/roster"
	"catenary/internal/server/store"
	"catenary/internal/server/store/storetest"
	"catenary/internal/server/tally"
	"catenary/internal/wire"
)

// A room is a hub without a server around it: the test owns it.
type room struct {
	t testing.TB
	*hub
	now time.Time
}

// newRoom is a hub that knows n enrolled machines, of which the first have held
// these seats.
func newRoom(t testing.TB, n int, held ...roster.Seat) *room {
	t.Helper()
	now := time.Now()
	enrolled := make([]store.Client, n)
	for i := range enrolled {
		enrolled[i] = store.Client{ID: machineID(i), ComputerID: uint32(i + 1), Name: fmt.Sprintf("pc-%d", i)}
		if i < len(held) {
			enrolled[i].LAN, enrolled[i].Slot, enrolled[i].Registered = held[i].LAN, held[i].Slot, now.Add(-time.Hour)
		}
	}
	s := &Server{cfg: Config{Intervals: DefaultIntervals}, metrics: newMetrics(), keys: &Keys{}, written: make(chan writing, 100)}
	if err := s.openStore(t); err != nil {
		t.Fatal(err)
	}
	r := roster.New(s.Boundaries())
	r.Restore(now, nil)
	h := newHub(s, r, 0, enrolled)
	h.began = now
	return &room{t, h, now}
}

func (s *Server) openStore(t testing.TB) (err error) {
	if s.store, err = store.Open(t.Context(), storetest.SQLite.Prepared(t, storetest.Opened(store.Open))); err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.loadBoundaries(t.Context())
}

func machineID(i int) endpoint.ID { return endpoint.ID{1, byte(i >> 8), byte(i), byte(i >> 16)} }

// come registers machine i at 10.0.LAN.x.
func (r *room) come(i, lan int, change func(*wire.Register)) wire.Registered {
	r.t.Helper()
	addr := netip.AddrFrom4([4]byte{10, 0, byte(lan), byte(i + 1)})
	c := r.clients[machineID(i)]
	m := wire.Register{
		Version: wire.Version, Initial: true, Incarnation: max(c.incarnation, 1), Sequence: c.sequence + 1, Name: c.status.Name,
		Place: endpoint.Place{Addr: netip.AddrPortFrom(addr, 17472), ID: c.status.ID},
	}
	if change != nil {
		change(&m)
	}
	reply, err := r.register(r.now, call{way: byTLS, id: c.status.ID, from: addr, cert: &c.key}, m)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply
}

// leads gives machine i a leader's line.
func (r *room) leads(line, i int, role wire.Role) {
	lan, _ := r.roster.LAN(machineID(i))
	r.leaders[dispatch.Line(line)] = &leader{id: machineID(i), role: role, lan: lan, line: dispatch.Line(line)}
	r.desk.Lead(r.now, dispatch.Line(line), machineID(i), role, lan, nil)
}

func (r *room) asked(id, number uint64) *live {
	r.ask(r.now, dispatch.Question{ID: number, Sealed: []byte{1}, Issued: r.now, Expires: r.now.Add(10 * time.Minute), Limit: time.Minute},
		asked{id: id, issued: r.now})
	return r.live[number]
}

// answered is the report of machines that share a LAN.
func (r *room) answered(number uint64, counts answer.Counts, machines ...int) answer.Report {
	b := answer.Bundle{Question: number}
	for _, i := range machines {
		seat, _ := r.roster.Seat(machineID(i))
		part := answer.BundleOf(number, seat.Slot, answer.Rows{}, counts)
		if b.Set.Empty() {
			b = part
		} else {
			b = answer.Merge(answer.ChainLimits, b, part)
		}
	}
	return answer.Report{Question: number, Bundle: b}
}

func (r *room) told(line int, m wire.Message) {
	r.t.Helper()
	if _, err := r.desk.Got(r.now, dispatch.Line(line), m); err != nil {
		r.t.Fatal(err)
	}
}

func exceptions(a store.Account) string {
	var all []string
	for _, x := range a.Exceptions {
		all = append(all, fmt.Sprint(x.Name, " ", x.ComputerID, " ", x.LAN, " ", x.Outcome))
	}
	return strings.Join(all, "; ")
}

// TestAccount: every machine is in the account once, those that have not plainly
// answered by name, wherever they are now.
func TestAccount(t *testing.T) {
	r := newRoom(t, 9)
	for i := range 9 {
		r.come(i, 1+i%2, nil) // 0 2 4 6 8 in LAN 1, the others in LAN 2
	}
	q := r.asked(7, 9)
	r.leads(1, 0, wire.ForwardLeader)
	r.leads(2, 1, wire.ForwardLeader)
	r.told(1, wire.Answer{Report: r.answered(9, answer.Counts{Passed: 1}, 0)})
	r.told(1, wire.Answer{Report: r.answered(9, answer.Counts{Passed: 1, Errors: 1}, 2)})
	r.told(2, wire.Answer{Report: r.answered(9, answer.Counts{Passed: 1, Errors: 1, Stopped: 1}, 3)})
	pending := answer.Report{Question: 9, Pending: answer.SetOf(must(r.roster.Seat(machineID(5))).Slot)}
	r.told(2, wire.Answer{Report: pending})
	r.told(1, wire.Gone{Clients: []endpoint.ID{machineID(4)}})
	r.come(2, 3, nil) // has moved after it was counted
	r.come(8, 3, nil) // has moved before

	want := store.Counts{Answered: 1, Failed: 1, Stopped: 1, Running: 1, Offline: 1, NotReached: 4}
	got := r.account(9, q)
	if got.Counts != want || got.Machines() != 9 {
		t.Errorf("%+v, want %+v", got.Counts, want)
	}
	const names = "pc-6 7 10.0.1.0/24 not_reached; pc-1 2 10.0.2.0/24 not_reached; pc-7 8 10.0.2.0/24 not_reached; pc-8 9 10.0.3.0/24 not_reached; " +
		"pc-5 6 10.0.2.0/24 running; pc-3 4 10.0.2.0/24 stopped; pc-2 3 10.0.1.0/24 failed; pc-4 5 10.0.1.0/24 offline"
	if text := exceptions(got); text != names {
		t.Errorf("%s\nwant %s", text, names)
	}
	if got.LeftOut != 0 || got.Repeated != 0 || !got.Since.IsZero() || got.End != "" {
		t.Errorf("%+v", got)
	}
	// Whoever has asked knows it by its first number.
	res, _, err := r.result(7)
	if err != nil || res.Question != 7 || res.Answered != 3 || res.Expected != 8 || res.Gone != 1 || res.Stopped != 1 {
		t.Errorf("%+v, %v", res.Progress, err)
	}
	if _, _, err := r.result(9); fault.KindOf(err) != fault.NotFound {
		t.Errorf("under its new number: %v", err)
	}
	// When it ends, all that goes to the writer, and nobody waits for it.
	r.tidy(r.now.Add(10 * time.Minute))
	r.tidy(r.now.Add(12 * time.Minute))
	for len(r.written) > 0 {
		if w := <-r.written; w.close.question != 0 {
			if w.close.question != 7 || w.close.result.Question != 7 || w.close.account.Counts.Answered != 1 || len(w.close.account.Exceptions) != 8 {
				t.Errorf("closes %+v", w.close)
			}
			if len(r.live) == 0 {
				t.Error("a question is forgotten before it is kept")
			}
			r.isWritten(w.close.number)
			r.tidy(r.now.Add(12 * time.Minute))
			if len(r.live)+len(r.numbers) > 0 {
				t.Errorf("%d questions and %d numbers stay", len(r.live), len(r.numbers))
			}
			return
		}
	}
	t.Error("nothing is written down")
}

func must[T any](x T, ok bool) T {
	if !ok {
		panic("is not there")
	}
	return x
}

// TestAccountIsBounded: an account lists so many machines and counts the rest.
func TestAccountIsBounded(t *testing.T) {
	r := newRoom(t, 0)
	lans := map[netip.Prefix]answer.Set{}
	for lan := range 30 {
		key := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(lan), 0}), 24)
		var set answer.Set
		for slot := range answer.Slot(350) {
			set.Add(slot)
		}
		lans[key] = set
	}
	q := r.asked(1, 1)
	count, _ := r.desk.Tally(1)
	for lan, set := range lans {
		for slot := range set.All() {
			count.Expect(r.now, lan, slot)
			if slot < 10 {
				count.Gone(lan, slot)
			}
		}
	}
	a := r.account(1, q)
	if len(a.Exceptions) != exceptionsMax || a.LeftOut != 30*350-exceptionsMax || a.NotReached != 30*340 || a.Offline != 300 {
		t.Errorf("%d are listed and %d left out; %+v", len(a.Exceptions), a.LeftOut, a.Counts)
	}
	if x := a.Exceptions[exceptionsMax-1]; x.Outcome != store.NotReached {
		t.Errorf("who is offline takes the room: %+v", x)
	}
}

// TestWaitsForThoseWhoWereThere: a question that is asked before the machines
// have come back expects them, until it is clear that they do not come.
func TestWaitsForThoseWhoWereThere(t *testing.T) {
	lan := netip.MustParsePrefix("10.0.1.0/24")
	r := newRoom(t, 4, roster.Seat{LAN: lan, Slot: 0}, roster.Seat{LAN: lan, Slot: 1}, roster.Seat{LAN: lan, Slot: 2})
	r.roster.Restore(r.now, []roster.Held{
		{ID: machineID(0), Seat: roster.Seat{LAN: lan, Slot: 0}, Seen: r.now}, {ID: machineID(1), Seat: roster.Seat{LAN: lan, Slot: 1}, Seen: r.now},
		{ID: machineID(2), Seat: roster.Seat{LAN: lan, Slot: 2}, Seen: r.now},
	})
	r.come(0, 1, nil)
	q := r.asked(1, 1)
	progress := func() tally.Progress { return r.count(1, q).Progress }
	if p := progress(); p.Expected != 3 {
		t.Errorf("%+v, want 3 machines expected", p)
	}
	r.come(1, 2, nil) // comes back elsewhere
	if p := progress(); p.Expected != 3 {
		t.Errorf("%+v, want 3 machines expected after a move", p)
	}
	r.waitNoMore(r.now.Add(roster.StaleAfter - 1))
	if p := progress(); p.Gone != 0 {
		t.Errorf("%+v: given up too early", p)
	}
	r.waitNoMore(r.now.Add(roster.StaleAfter))
	if p := progress(); p.Expected != 2 || p.Gone != 1 {
		t.Errorf("%+v, want the third given up", p)
	}
	if got := exceptions(r.account(1, q)); !strings.Contains(got, "pc-2 3 10.0.1.0/24 offline") {
		t.Errorf("%s", got)
	}
	if p := r.count(2, r.asked(2, 2)).Progress; p.Expected != 2 || p.Gone != 0 {
		t.Errorf("the next question waits again: %+v", p)
	}
}

func TestAwaited(t *testing.T) {
	lan := netip.MustParsePrefix("10.0.1.0/24")
	now := time.Now()
	got := awaited([]store.Client{
		{ID: machineID(0), LAN: lan, Slot: 5, Registered: now},
		{ID: machineID(1), LAN: lan, Slot: 6, Registered: now.Add(-roster.StaleAfter + 1)},
		{ID: machineID(2), LAN: lan, Slot: 7, Registered: now.Add(-roster.StaleAfter)}, // was off already
		{ID: machineID(3), Registered: now},                                            // its seat was never written down
		{ID: machineID(4)},
	})
	if len(got) != 2 || got[machineID(0)].Slot != 5 || got[machineID(1)].Slot != 6 {
		t.Errorf("%v", got)
	}
}

// ---- with a real server ----

func (s *site) asks(t *testing.T, text string, life time.Duration) uint64 {
	t.Helper()
	q, err := question.Parse(text, s.Catalogue(), nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Ask(t.Context(), question.Asking{Question: q, Life: life, UserID: 1})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// end makes the machine an end of its chain.
func (m *endpointUnderTest) end(role wire.Role) *link.Link {
	m.t.Helper()
	conn, err := tls.Dial("tcp", m.site.Addr().String(), m.site.trust.ToServer(link.ProtocolLeader, m.cert))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { conn.Close() })
	l := link.New(conn)
	place := endpoint.Place{Addr: netip.MustParseAddrPort("127.0.0.1:4000"), ID: m.id}
	if err := l.Write(wire.Hello{Version: wire.Version, Role: role, Place: place, LAN: roster.Tag(loopback)}, patience); err != nil {
		m.t.Fatal(err)
	}
	if _, err := link.Expect[wire.HelloOK](l, patience); err != nil {
		m.t.Fatal(err)
	}
	return l
}

// hears returns the letter that the server sends a backward leader.
func (m *endpointUnderTest) hears() wire.Letter {
	m.t.Helper()
	q, err := link.Expect[wire.Question](m.end(wire.BackwardLeader), patience)
	if err != nil {
		m.t.Fatal(err)
	}
	ring := seal.NewRing(m.site.bundle.Root)
	for _, v := range m.site.bundle.Vouchers {
		if err := ring.Add(v); err != nil {
			m.t.Fatal(err)
		}
	}
	payload, err := ring.Open(time.Now(), seal.Question, q.Sealed)
	if err != nil {
		m.t.Fatal(err)
	}
	letter, err := wire.DecodeLetter(payload)
	if err != nil {
		m.t.Fatal(err)
	}
	return letter
}

// answers says what the machine has to say to a letter.
func (m *endpointUnderTest) answers(letter wire.Letter, slot answer.Slot, text string) {
	m.t.Helper()
	l := m.end(wire.ForwardLeader)
	b := answer.BundleOf(letter.Question, slot, answer.RowsOf(answer.ChainLimits, letter.Key.Row([]answer.Cell{{text}})), answer.Counts{Passed: 1})
	if err := l.Write(wire.Answer{Report: answer.Report{Seq: 1, Question: letter.Question, Bundle: b}}, patience); err != nil {
		m.t.Fatal(err)
	}
	if _, err := link.Expect[wire.Ack](l, patience); err != nil {
		m.t.Fatal(err)
	}
}

func (s *site) wantAccount(t *testing.T, id uint64, ok func(store.Account) bool) {
	t.Helper()
	a, err := s.Account(t.Context(), id)
	if err != nil || !ok(a) {
		t.Errorf("account of question %d: %+v, %v", id, a, err)
	}
}

// TestServerEndsDuringAQuestion: a server that ends while a question is open,
// in order or not, asks it again under a new number when it is back; the answer
// comes under the old one, and nothing is counted twice.
func TestServerEndsDuringAQuestion(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed: %v", killed), func(t *testing.T) {
			dir, crashed := t.TempDir(), filepath.Join(t.TempDir(), "crashed")
			var m, idle *endpointUnderTest
			var first wire.Letter
			var slots [2]answer.Slot
			t.Run("first life", func(t *testing.T) {
				s := startSite(t, dir)
				m, idle = s.machine(t), s.machine(t)
				for i, x := range []*endpointUnderTest{m, idle} {
					if err := x.enrol(s.bundle.Secret); err != nil {
						t.Fatal(err)
					}
					reply, err := x.register(x.registration())
					if err != nil {
						t.Fatal(err)
					}
					slots[i] = reply.Slot
				}
				id := s.asks(t, "Get Computer Name from all machines", 10*time.Minute)
				if first = m.hears(); first.Question != id || id != 1 {
					t.Fatalf("question %d goes out as %d", id, first.Question)
				}
				m.answers(first, slots[0], "before")
				if r, err := s.Result(t.Context(), 1); err != nil || r.Answered != 1 || r.Expected != 2 {
					t.Fatalf("%+v, %v", r, err)
				}
				if killed { // what a kill leaves: the files as they are now
					if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
						t.Fatal(err)
					}
				}
			})
			if killed {
				dir = crashed
			}
			s := startSite(t, dir)
			m.t, m.site = t, s
			if r, err := s.Result(t.Context(), 1); err != nil || r.Answered != 0 || r.Expected != 2 || r.Question != 1 || r.Repeated != 1 || !r.Expires.Equal(first.Issued.Add(first.Life)) || !r.Issued.Equal(first.Issued) {
				t.Errorf("asked again: %+v, %v", r, err)
			}
			again := m.hears()
			if again.Question != 2 || again.Issued.Add(again.Life) != first.Issued.Add(first.Life) || string(again.Plan) != string(first.Plan) {
				t.Errorf("the letter is %+v", again)
			}
			m.answers(first, slots[0], "before") // clients still carry that
			m.answers(again, slots[0], "after")
			r, err := s.Result(t.Context(), 1)
			if err != nil || r.Answered != 1 || len(r.Rows.List) != 1 || r.Rows.List[0].Cells[0][0] != "after" || r.Rows.List[0].Count != 1 {
				t.Errorf("%+v, %v", r, err)
			}
			s.wantAccount(t, 1, func(a store.Account) bool {
				return a.Answered == 1 && a.NotReached == 1 && a.Repeated == 1 && !a.Since.Before(again.Issued) && a.End == ""
			})
			if _, err := s.Account(t.Context(), 2); fault.KindOf(err) != fault.NotFound {
				t.Errorf("its new number is known outside: %v", err)
			}
			if id := s.asks(t, "Get number of machines", time.Minute); id != 3 {
				t.Errorf("the next question has number %d", id)
			}
		})
	}
}

// TestServerEndsTooOften: a question is not asked for ever, nor shortly before
// its end, nor if there are too many; it says why, with the answer that it had.
func TestServerEndsTooOften(t *testing.T) {
	dir := t.TempDir()
	live := func(visit func(t *testing.T, s *site)) {
		t.Helper()
		t.Run("life", func(t *testing.T) { visit(t, startSite(t, dir)) })
	}
	var long uint64
	live(func(t *testing.T, s *site) {
		m := s.joined(t)
		s.joined(t) // says nothing
		long = s.asks(t, "Get Computer Name from all machines", time.Hour)
		m.answers(m.hears(), 0, "kept")
	})
	for n := 1; n <= repetitionsMax; n++ {
		live(func(t *testing.T, s *site) {
			s.wantAccount(t, long, func(a store.Account) bool { return a.Repeated == n && a.End == "" })
		})
	}
	live(func(t *testing.T, s *site) {
		s.wantAccount(t, long, func(a store.Account) bool {
			return a.Repeated == repetitionsMax && a.Answered == 1 && a.End == "the server has ended 4 times while it was asked"
		})
		// The best answer that it ever had.
		r, err := s.Result(t.Context(), long)
		if err != nil || r.Expires.After(time.Now()) || r.Answered != 1 || len(r.Rows.List) != 1 || r.Rows.List[0].Cells[0][0] != "kept" {
			t.Errorf("%+v, %v", r, err)
		}
		if q, err := s.store.Question(t.Context(), long); err != nil || q.Closed.IsZero() || q.Expires.After(q.Closed) {
			t.Errorf("%+v, %v", q, err)
		}
	})
}

// TestTakeUp: which of the questions that were open are asked again.
func TestTakeUp(t *testing.T) {
	s := startSite(t, t.TempDir())
	ctx, now := t.Context(), time.Now()
	create := func(life time.Duration) uint64 {
		id, err := s.store.CreateQuestion(ctx, store.Question{Text: "q", Plan: s.planOf(t, "Get Computer Name from all machines"), Issued: now.Add(-time.Minute), Expires: now.Add(life)})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	soon := create(lifeMin - time.Second)
	expired := create(-time.Minute)
	oldest := create(time.Hour)
	var rest []uint64
	for range againMax - 2 {
		rest = append(rest, create(lifeMin+time.Second))
	}
	garbled, err := s.store.CreateQuestion(ctx, store.Question{Text: "q", Plan: []byte{1, 2, 3}, Issued: now, Expires: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	newest := create(time.Hour)
	kept := store.Answer{Result: []byte(`{"Answered":5,"Version":9,"Expires":"2099-01-01T00:00:00Z"}`), Account: store.Account{Counts: store.Counts{Answered: 5}}}
	if err := s.store.KeepAnswer(ctx, oldest, kept); err != nil {
		t.Fatal(err)
	}
	list, err := s.takeUp(ctx, now)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != againMax-1 || list[0].id != rest[0] || list[len(list)-1].id != newest || list[0].letter.ID <= newest || list[0].repeated != 1 {
		t.Errorf("%d are asked again, from %d to %d", len(list), list[0].id, list[len(list)-1].id)
	}
	for id, why := range map[uint64]string{
		soon: "the server ended before the question's time was over", expired: "the server ended before the question's time was over",
		garbled: "cannot be asked again: ", oldest: "more than 100 newer questions",
	} {
		s.wantAccount(t, id, func(a store.Account) bool { return strings.Contains(a.End, why) && (a.Answered == 5) == (id == oldest) })
		if r, err := s.Result(ctx, id); err != nil || r.Expires.After(now) || (r.Answered == 5) != (id == oldest) {
			t.Errorf("question %d: %+v, %v", id, r, err)
		}
	}
}

func (s *site) planOf(t *testing.T, text string) []byte {
	id := s.asks(t, text, time.Minute)
	q, err := s.store.Question(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.CloseQuestion(context.Background(), id, time.Now(), store.Answer{}); err != nil {
		t.Fatal(err)
	}
	return q.Plan
}
