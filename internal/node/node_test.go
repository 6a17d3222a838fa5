package node

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/seal"
	"catenary/internal/wire"
)

var (
	root     = key(1)
	signing  = key(2)
	stranger = key(3)
	start    = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // by the server's clock
	voucher  = seal.Vouch(root, signing.Public().(ed25519.PublicKey), start.Add(-time.Hour), start.Add(1000*time.Hour))
)

func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func place(n byte) endpoint.Place {
	return endpoint.Place{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 17472), ID: endpoint.ID{n}}
}

// A rig is a host of node 5, whose clock is wrong by skew.
type rig struct {
	*testing.T
	node  *Node
	now   time.Time // the node's
	skew  time.Duration
	conns chain.Conn // last number given to an accepted connection
}

func newRig(t *testing.T, seed uint64) *rig {
	const skew = -3 * time.Hour
	return &rig{
		T: t, now: start.Add(-skew), skew: skew, conns: 1,
		node: New(Config{Place: place(5), Incarnation: 4, Name: "five", Program: "1.0", Platform: "Linux",
			Ring: seal.NewRing(root.Public().(ed25519.PublicKey)), Seed: seed}),
	}
}

// step gives the node an event and returns what it wants done.
func (r *rig) step(ev Event) []Effect {
	efs := append([]Effect(nil), r.node.Step(r.now, ev)...)
	if keyless != (datagrams{}) {
		r.Fatalf("%T has changed what all nodes without a key share: %+v", ev, keyless)
	}
	return efs
}

// of returns the effects of one type.
func of[E Effect](effects []Effect) []E {
	var out []E
	for _, ef := range effects {
		if ef, ok := ef.(E); ok {
			out = append(out, ef)
		}
	}
	return out
}

var intervals = wire.Intervals{
	NormalMin: 30 * time.Second, NormalMax: 90 * time.Second,
	InitialMin: 2 * time.Hour, InitialMax: 6 * time.Hour,
}

// reply is what the server says to a registration.
func (r *rig) reply() wire.Registered {
	return wire.Registered{
		ComputerID: 55, Slot: 5, Peers: 77, Now: r.now.Add(r.skew), Intervals: intervals, Vouchers: [][]byte{voucher},
		Back: []endpoint.Place{place(2)}, Fore: []endpoint.Place{place(8)},
	}
}

// inChain registers the node and puts it between 2 and 8. It returns the two
// connections.
func (r *rig) inChain() (back, fore chain.Conn) {
	r.step(Tick{})
	for _, d := range of[Dial](r.step(Registered{r.reply()})) {
		r.step(Up{Conn: d.Conn})
		if d.Peer == chain.PeerAt(place(2)) {
			back = d.Conn
		} else {
			fore = d.Conn
		}
	}
	if r.node.Neighbour(chain.Back) != chain.PeerAt(place(2)) || r.node.Neighbour(chain.Fore) != chain.PeerAt(place(8)) {
		r.Fatal("the node does not stand between 2 and 8")
	}
	return back, fore
}

func (r *rig) letter(id uint64) wire.Letter {
	return wire.Letter{Question: id, Issued: r.now.Add(r.skew), Life: time.Minute, Hold: 100 * time.Millisecond,
		Limit: time.Second, Plan: []byte{1}}
}

func (r *rig) sealed(id uint64) []byte {
	return seal.Sign(signing, seal.Question, r.letter(id).Append(nil))
}

// TestQuestion: a genuine question goes on in front and is evaluated, by the
// server's clock; once, however often it comes.
func TestQuestion(t *testing.T) {
	r := newRig(t, 1)
	back, fore := r.inChain()
	q := r.sealed(41)
	efs := r.step(Got{back, wire.Question{Sealed: q}})
	if want := (Send{fore, wire.Question{Sealed: q}}); len(efs) != 3 || !reflect.DeepEqual(efs[0], want) {
		t.Fatalf("effects are %v, want first %v", efs, want)
	}
	receipt := Send{back, wire.Ack{Questions: []uint64{41}}}
	if !reflect.DeepEqual(efs[2], receipt) {
		t.Fatalf("third effect is %v, want %v", efs[2], receipt)
	}
	if ev, ok := efs[1].(Evaluate); !ok || ev.Letter.Question != 41 || ev.Skew != r.skew {
		t.Fatalf("second effect is %+v, want the evaluation of 41 with skew %v", efs[1], r.skew)
	}
	if again := r.step(Got{back, wire.Question{Sealed: q}}); !reflect.DeepEqual(again, []Effect{receipt}) {
		t.Errorf("the same question again has effects %v", again)
	}
	r.now = r.now.Add(time.Minute - time.Millisecond)
	if efs := r.step(Evaluated{41, answer.Rows{}, answer.Counts{}}); len(of[Send](efs)) != 1 {
		t.Errorf("the answer just before the end has effects %v", efs)
	}
	r.step(Got{fore, wire.Ack{Seq: 1, Questions: []uint64{41}}})
	late := r.sealed(42)
	r.now = r.now.Add(time.Minute)
	if efs := r.step(Got{back, wire.Question{Sealed: late}}); len(of[Evaluate](efs)) != 0 {
		t.Errorf("a question that has just expired has effects %v", efs)
	}
}

// TestLies: what no honest neighbour says closes its link, and nothing of it is
// done or passed on. The liar is not dialled again before the next round.
func TestLies(t *testing.T) {
	forged := func(r *rig) []byte {
		q := r.sealed(41)
		q[len(q)-1] ^= 1
		return q
	}
	unreadable := seal.Sign(signing, seal.Question, []byte("no letter"))
	for name, tt := range map[string]struct {
		side chain.Side
		say  func(r *rig) wire.Message
	}{
		"forged question":                {chain.Back, func(r *rig) wire.Message { return wire.Question{Sealed: forged(r)} }},
		"sealed for another purpose":     {chain.Back, func(*rig) wire.Message { return wire.Question{Sealed: voucherOf(signing)} }},
		"question that nobody can read":  {chain.Back, func(*rig) wire.Message { return wire.Question{Sealed: unreadable} }},
		"question too often again":       {chain.Back, func(r *rig) wire.Message { return wire.Question{Sealed: r.sealed(41), Round: 17} }},
		"dead clients from ahead":        {chain.Fore, func(*rig) wire.Message { return wire.Gone{Clients: []endpoint.ID{{1}}} }},
		"hint from a neighbour":          {chain.Back, func(*rig) wire.Message { return wire.Hint{Place: place(3)} }},
		"answer from ahead":              {chain.Fore, func(*rig) wire.Message { return wire.Answer{Report: answer.Report{Seq: 1, Question: 41}} }},
		"acknowledgement from behind":    {chain.Back, func(*rig) wire.Message { return wire.Ack{Seq: 1} }},
		"registration from a neighbour":  {chain.Fore, func(*rig) wire.Message { return wire.Registered{Slot: 9} }},
		"second Hello":                   {chain.Back, func(*rig) wire.Message { return wire.Hello{} }},
		"question that is too short":     {chain.Back, func(*rig) wire.Message { return wire.Question{Sealed: []byte{1, 2}} }},
		"question of an unknown version": {chain.Back, func(r *rig) wire.Message { q := r.sealed(41); q[0] = 9; return wire.Question{Sealed: q} }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			back, fore := r.inChain()
			c, liar := back, place(2)
			if tt.side == chain.Fore {
				c, liar = fore, place(8)
			}
			efs := r.step(Got{c, tt.say(r)})
			if !reflect.DeepEqual(of[Hangup](efs), []Hangup{{c}}) || len(of[Note](efs)) != 1 {
				t.Errorf("effects are %v, want a hang-up of %d and a note", efs, c)
			}
			if len(of[Send](efs)) > 0 || len(of[Evaluate](efs)) > 0 {
				t.Errorf("the lie has effects %v", efs)
			}
			for _, d := range of[Dial](efs) {
				if d.Peer == chain.PeerAt(liar) {
					t.Errorf("the liar is dialled again at once")
				}
			}
			if r.node.Neighbour(tt.side) != chain.Nobody {
				t.Errorf("the liar is still the neighbour")
			}
		})
	}
}

// voucherOf is something that the key has signed, but no question.
func voucherOf(k ed25519.PrivateKey) []byte { return seal.Sign(k, seal.Sensor, []byte("a sensor")) }

// TestUnknownKey: a question whose key is not known, or not any more, is left
// alone: perhaps the next registration brings the key. The link stays.
func TestUnknownKey(t *testing.T) {
	r := newRig(t, 1)
	back, _ := r.inChain()
	q := seal.Sign(stranger, seal.Question, r.letter(41).Append(nil))
	efs := r.step(Got{back, wire.Question{Sealed: q}})
	if len(efs) != 2 || len(of[Note](efs)) != 1 || !errors.Is(of[Note](efs)[0].Err, seal.ErrNoKey) ||
		!reflect.DeepEqual(efs[1], Send{back, wire.Ack{Questions: []uint64{41}}}) {
		t.Fatalf("effects are %v, want a note and a receipt", efs)
	}
	r.registerWhole(t, func(m *wire.Registered) {
		m.Vouchers = [][]byte{seal.Vouch(root, stranger.Public().(ed25519.PublicKey), start, start.Add(time.Hour))}
	})
	if efs := r.step(Got{back, wire.Question{Sealed: q}}); len(of[Evaluate](efs)) != 1 {
		t.Errorf("with the key the question has effects %v", efs)
	}
	r.now = r.now.Add(2 * time.Hour)
	efs = r.step(Got{back, wire.Question{Sealed: seal.Sign(stranger, seal.Question, r.letter(42).Append(nil))}})
	if len(of[Evaluate](efs)) > 0 || slices.Contains(of[Hangup](efs), Hangup{back}) {
		t.Errorf("with a key that has expired the question has effects %v", efs)
	}
}

// register lets the next registration happen.
func (r *rig) register(t *testing.T, change func(*wire.Registered)) []Effect {
	t.Helper()
	for range 100 {
		if len(of[Register](r.step(Tick{}))) == 1 {
			m := r.reply()
			change(&m)
			return r.step(Registered{m})
		}
		r.now = r.node.Deadline()
	}
	t.Fatal("the node does not register")
	return nil
}

// registerWhole does, and wants the node to ask for everything.
func (r *rig) registerWhole(t *testing.T, change func(*wire.Registered)) {
	t.Helper()
	for range 100 {
		if regs := of[Register](r.step(Tick{})); len(regs) == 1 {
			if !regs[0].Request.Initial {
				t.Fatalf("registers with %+v", regs[0].Request)
			}
			m := r.reply()
			change(&m)
			r.step(Registered{m})
			return
		}
		r.now = r.node.Deadline()
	}
	t.Fatal("the node does not register")
}

// TestForgedVoucher: a key for which the root does not vouch is not taken.
func TestForgedVoucher(t *testing.T) {
	r := newRig(t, 1)
	back, _ := r.inChain()
	efs := r.register(t, func(m *wire.Registered) {
		m.Vouchers = [][]byte{seal.Vouch(stranger, stranger.Public().(ed25519.PublicKey), start, start.Add(time.Hour))}
	})
	if len(of[Note](efs)) != 1 {
		t.Errorf("effects are %v, want a note", efs)
	}
	efs = r.step(Got{back, wire.Question{Sealed: seal.Sign(stranger, seal.Question, r.letter(41).Append(nil))}})
	if len(of[Evaluate](efs)) > 0 {
		t.Error("a question of a stranger is evaluated")
	}
}

// TestQuestionWithRegistration: a question may come that way, too. One that is
// not genuine harms nobody's link.
func TestQuestionWithRegistration(t *testing.T) {
	r := newRig(t, 1)
	r.inChain()
	forged := r.sealed(40)
	forged[len(forged)-1] ^= 1
	efs := r.register(t, func(m *wire.Registered) { m.Questions = [][]byte{forged, r.sealed(41)} })
	if evs := of[Evaluate](efs); len(evs) != 1 || evs[0].Letter.Question != 41 || len(of[Hangup](efs)) > 0 {
		t.Errorf("effects are %v", efs)
	}
}

// TestAnswerBeforeQuestion: it passes alone, and the question is then taken up.
func TestAnswerBeforeQuestion(t *testing.T) {
	r := newRig(t, 1)
	back, fore := r.inChain()
	bundle := answer.Bundle{Question: 41, Set: answer.SetOf(2), Counts: answer.Counts{Passed: 1}}
	efs := r.step(Got{back, wire.Answer{Report: answer.Report{Seq: 1, Question: 41, Final: true, Bundle: bundle}}})
	passed := bundle
	passed.Tainted = true
	want := []Effect{
		Send{fore, wire.Answer{Report: answer.Report{Seq: 1, Question: 41, Bundle: passed}}},
		Send{back, wire.Ack{Seq: 1, Unsafe: []uint64{1}}},
	}
	if !reflect.DeepEqual(efs, want) {
		t.Fatalf("effects are %v, want %v", efs, want)
	}
	if efs := r.step(Got{back, wire.Question{Sealed: r.sealed(41)}}); len(of[Evaluate](efs)) != 1 {
		t.Errorf("the question then has effects %v", efs)
	}
}

// TestLeader: the server in front takes answers and no questions; the server
// behind gives questions and no answers.
func TestLeader(t *testing.T) {
	r := newRig(t, 1)
	r.step(Tick{})
	m := r.reply()
	m.Back, m.Fore = nil, nil
	conns := map[wire.Role]chain.Conn{}
	for _, d := range of[Dial](r.step(Registered{m})) {
		if d.Peer != chain.Server {
			t.Fatalf("dials %v", d.Peer)
		}
		conns[d.Hello.Role] = d.Conn
		r.step(Up{Conn: d.Conn})
	}
	back, fore := conns[wire.BackwardLeader], conns[wire.ForwardLeader]
	if back == 0 || fore == 0 {
		t.Fatalf("leads on %v", conns)
	}
	if efs := r.step(Got{back, wire.Question{Sealed: r.sealed(41)}}); len(efs) != 2 || len(of[Evaluate](efs)) != 1 {
		t.Errorf("a question has effects %v", efs)
	}
	if sends := of[Send](r.step(Evaluated{41, answer.Rows{}, answer.Counts{}})); len(sends) != 1 || sends[0].Conn != fore {
		t.Errorf("the answer leaves as %v", sends)
	}
	if efs := r.step(Got{fore, wire.Ack{Seq: 1}}); len(efs) != 0 {
		t.Errorf("the acknowledgement has effects %v", efs)
	}
	if efs := r.step(Got{back, wire.Answer{Report: answer.Report{Seq: 1, Question: 41}}}); len(of[Hangup](efs)) != 1 {
		t.Errorf("an answer from the server has effects %v", efs)
	}
}

// TestKnock: who is admitted where.
func TestKnock(t *testing.T) {
	for _, tt := range []struct {
		role  wire.Role
		place byte
		admit bool
	}{
		{wire.Behind, 4, true}, {wire.Ahead, 6, true}, // nearer than 2 and 8
		{wire.Behind, 1, false}, {wire.Ahead, 9, false}, // farther
		{wire.Behind, 6, false}, {wire.Ahead, 4, false}, // on the wrong side
		{wire.Behind, 5, false}, {wire.Behind, 2, true}, // ourselves; the neighbour again
		{wire.BackwardLeader, 4, false}, {wire.ForwardLeader, 6, false}, {0, 4, false}, {9, 4, false},
	} {
		t.Run(fmt.Sprintf("role %d from %d", tt.role, tt.place), func(t *testing.T) {
			r := newRig(t, 1)
			r.inChain()
			efs := r.step(Knock{3, wire.Hello{Version: wire.Version, Role: tt.role, Place: place(tt.place)}})
			admits, refusals := of[Admit](efs), of[Refuse](efs)
			if len(admits)+len(refusals) != 1 || (len(admits) == 1) != tt.admit {
				t.Fatalf("effects are %v", efs)
			}
			if tt.admit && (admits[0].Conn != 3 || admits[0].Reply.Incarnation != 4) {
				t.Errorf("admits with %+v", admits[0])
			}
			if !tt.admit && (refusals[0].Conn != 3 || refusals[0].Reply.Reason == 0 || refusals[0].Reply.Text == "") {
				t.Errorf("refuses with %+v", refusals[0])
			}
		})
	}
}

// TestHello: the role in a Hello is said from the dialler's side.
func TestHello(t *testing.T) {
	r := newRig(t, 1)
	r.step(Tick{})
	roles := map[chain.Peer]wire.Role{}
	for _, d := range of[Dial](r.step(Registered{r.reply()})) {
		roles[d.Peer] = d.Hello.Role
		if d.Hello.Version != wire.Version || d.Hello.Place != place(5) || d.Hello.Incarnation != 4 {
			t.Errorf("says %+v", d.Hello)
		}
	}
	want := map[chain.Peer]wire.Role{chain.PeerAt(place(2)): wire.Ahead, chain.PeerAt(place(8)): wire.Behind}
	if !reflect.DeepEqual(roles, want) {
		t.Errorf("roles are %v, want %v", roles, want)
	}
}

// TestOldConnections: what still comes over a connection that is not held has
// no effect.
func TestOldConnections(t *testing.T) {
	r := newRig(t, 1)
	back, fore := r.inChain()
	r.step(Down{back})
	r.step(Down{fore})
	for _, m := range []wire.Message{wire.Question{Sealed: r.sealed(41)}, wire.Ack{Seq: 1}, wire.Answer{}} {
		for _, c := range []chain.Conn{back, fore, 0, 99} {
			if efs := r.step(Got{c, m}); len(efs) > 0 {
				t.Errorf("a %T on connection %d has effects %v", m, c, efs)
			}
		}
	}
}

// TestStalled: a neighbour in front that acknowledges nothing is given up, and
// what it has not acknowledged goes to the next.
func TestStalled(t *testing.T) {
	r := newRig(t, 1)
	back, fore := r.inChain()
	r.step(Got{back, wire.Question{Sealed: r.sealed(41)}})
	r.step(Got{back, wire.Answer{Report: answer.Report{Seq: 1, Question: 41, First: true, Final: true}}})
	if sends := of[Send](r.step(Evaluated{41, answer.Rows{}, answer.Counts{}})); len(sends) != 1 {
		t.Fatalf("the answer leaves as %v", sends)
	}
	r.now = r.now.Add(4 * time.Second)
	efs := r.step(Tick{})
	dials := of[Dial](efs)
	if !reflect.DeepEqual(of[Hangup](efs), []Hangup{{fore}}) || len(dials) != 1 || dials[0].Peer != chain.Server {
		t.Fatalf("effects are %v", efs)
	}
	sends := of[Send](r.step(Up{Conn: dials[0].Conn}))
	tainted := 0
	for _, s := range sends {
		a, ok := s.Message.(wire.Answer)
		if !ok || s.Conn != dials[0].Conn {
			t.Errorf("the server gets %v", s)
		}
		if a.Bundle.Tainted && a.Bundle.Set.Has(5) {
			tainted++
		}
	}
	if tainted != 1 {
		t.Errorf("the server gets %v", sends)
	}
}

// TestNobodyBehind: who has nobody behind waits for nobody.
func TestNobodyBehind(t *testing.T) {
	r := newRig(t, 1)
	back, fore := r.inChain()
	r.step(Got{back, wire.Question{Sealed: r.sealed(41)}})
	r.step(Down{back})
	sends := of[Send](r.step(Evaluated{41, answer.Rows{}, answer.Counts{}}))
	if len(sends) != 1 || sends[0].Conn != fore || !sends[0].Message.(wire.Answer).Final {
		t.Errorf("the answer leaves as %v", sends)
	}
}

// TestNeighbourRestarts: a neighbour that knocks again is a new one. In front
// it gets the live questions and what it may not have had; behind, it starts
// counting its reports anew.
func TestNeighbourRestarts(t *testing.T) {
	r := newRig(t, 1)
	back, fore := r.inChain()
	q := r.sealed(41)
	r.step(Got{back, wire.Question{Sealed: q}})
	r.step(Got{back, wire.Answer{Report: answer.Report{Seq: 1, Question: 41, First: true, Final: true}}})
	r.step(Evaluated{41, answer.Rows{}, answer.Counts{}})
	efs := r.step(Knock{3, wire.Hello{Version: wire.Version, Role: wire.Ahead, Place: place(8), Incarnation: 2}})
	if !reflect.DeepEqual(of[Hangup](efs), []Hangup{{fore}}) || len(of[Admit](efs)) != 1 {
		t.Fatalf("effects are %v", efs)
	}
	var got []string
	for _, s := range of[Send](efs) {
		if s.Conn != 3 {
			t.Errorf("sends %v", s)
		}
		switch m := s.Message.(type) {
		case wire.Question:
			got = append(got, "question")
		case wire.Answer:
			got = append(got, fmt.Sprintf("first %v tainted %v", m.First, m.Bundle.Tainted))
		}
	}
	if want := []string{"question", "first true tainted false", "first false tainted true"}; !reflect.DeepEqual(got, want) {
		t.Errorf("the new neighbour gets %q, want %q", got, want)
	}
	r.step(Knock{5, wire.Hello{Version: wire.Version, Role: wire.Behind, Place: place(2), Incarnation: 2}})
	acks := of[Send](r.step(Got{5, wire.Answer{Report: answer.Report{Seq: 1, Question: 41, First: true}}}))
	if len(acks) == 0 || !reflect.DeepEqual(acks[len(acks)-1], Send{5, wire.Ack{Seq: 1}}) {
		t.Errorf("behind, the new neighbour gets %v", acks)
	}
}

// TestNotes: what is worth a line in the log says what it is about.
func TestNotes(t *testing.T) {
	r := newRig(t, 1)
	back, _ := r.inChain()
	for _, n := range of[Note](r.step(Got{back, wire.Ack{}})) {
		if n.Conn != back || n.Err == nil || !strings.Contains(n.Err.Error(), "wire.Ack") {
			t.Errorf("note is %+v", n)
		}
	}
}

// TestKnockTooEarly: who knocks before the node has registered is refused, and
// dialled as soon as the node knows that both are in one LAN.
func TestKnockTooEarly(t *testing.T) {
	for _, tt := range []struct {
		name     string
		from     byte
		lan      uint64
		role     wire.Role
		reply    uint64
		dialled  bool
		knocks   int
		wantLeft int
	}{
		{"from in front", 7, 1, wire.Ahead, 1, true, 1, 1},
		{"from behind", 3, 1, wire.Behind, 1, true, 1, 1},
		{"often", 7, 1, wire.Ahead, 1, true, 3 * earlyMax, earlyMax},
		{"from another LAN", 7, 2, wire.Ahead, 1, false, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1)
			r.step(Tick{})
			for range tt.knocks {
				r.conns += 2
				hello := wire.Hello{Version: wire.Version, Role: tt.role, Place: place(tt.from), LAN: tt.lan}
				if out := of[Refuse](r.step(Knock{r.conns, hello})); len(out) != 1 || out[0].Reply.Reason != wire.TryLater {
					t.Fatalf("the knock is answered by %+v", out)
				}
			}
			if n := len(r.node.debts.early); n != tt.wantLeft {
				t.Errorf("%d knocks are remembered, want %d", n, tt.wantLeft)
			}
			m := r.reply()
			m.LAN = tt.reply
			all := r.step(Registered{m})
			for range 4 { // one after the other, nearest first
				r.now = r.node.Deadline()
				all = append(all, r.step(Tick{})...)
			}
			dialled := slices.ContainsFunc(of[Dial](all), func(d Dial) bool { return d.Peer == chain.PeerAt(place(tt.from)) })
			if dialled != tt.dialled {
				t.Errorf("dials who knocked: %v", dialled)
			}
			if r.node.debts != nil {
				t.Errorf("still remembers %+v", r.node.debts)
			}
		})
	}
}
