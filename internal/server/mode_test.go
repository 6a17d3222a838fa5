package server

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/box"
	"catenary/internal/link"
	"catenary/internal/question"
	"catenary/internal/seal"
	"catenary/internal/sensor"
	"catenary/internal/server/roster"
	"catenary/internal/server/tally"
	"catenary/internal/value"
	"catenary/internal/wire"
)

// A speaker is a machine under test that is registered and has a key.
type speaker struct {
	*endpointUnderTest
	slot answer.Slot
	lan  uint64
	key  box.Key
}

func (s *site) speaker(t testing.TB) *speaker {
	t.Helper()
	m := s.machine(t)
	if err := m.enrol(s.bundle.Secret); err != nil {
		t.Fatal(err)
	}
	x := &speaker{endpointUnderTest: m}
	x.comes()
	return x
}

// comes registers over TLS, which brings a new key.
func (x *speaker) comes() wire.Registered {
	x.t.Helper()
	r, err := x.register(x.registration())
	if err != nil {
		x.t.Fatal(err)
	}
	if !r.Same {
		x.slot, x.lan = r.Slot, r.LAN
	}
	x.key = box.Key{Key: r.Key, Epoch: seal.KeyName(r.KeyName).Epoch()}
	return r
}

// says is the answer of the machine to a question, as it should be.
func (x *speaker) says(l wire.Letter, texts ...string) answer.Bundle {
	about := box.About{Question: l.Question, Plan: sha256.Sum256(l.Plan), Client: x.id, LAN: x.lan, Slot: x.slot}
	var rows []answer.Row
	for _, text := range texts {
		rows = append(rows, l.Key.Row([]answer.Cell{{text}}))
	}
	all, counts := answer.RowsOf(answer.BoxLimits, rows...), answer.Counts{Passed: 1}
	switch b := answer.BundleOf(l.Question, x.slot, all, counts); l.Mode {
	case answer.Attested:
		return b.Boxed(l.Mode, x.key.Attest(about, all, counts))
	case answer.Sealed:
		return answer.BundleOf(l.Question, x.slot, answer.Rows{}, answer.Counts{}).Boxed(l.Mode, x.key.Seal(about, all, counts))
	default:
		return b
	}
}

// leads opens the machine's line as a forward leader.
func (x *speaker) leads(role wire.Role) *link.Link {
	x.t.Helper()
	conn, err := tls.Dial("tcp", x.site.Addr().String(), x.site.trust.ToServer(link.ProtocolLeader, x.cert))
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { conn.Close() })
	l := link.New(conn)
	hello := wire.Hello{Version: wire.Version, Role: role, Place: x.registration().Place, LAN: roster.Tag(loopback)}
	if err := l.Write(hello, patience); err != nil {
		x.t.Fatal(err)
	}
	if _, err := link.Expect[wire.HelloOK](l, patience); err != nil {
		x.t.Fatal(err)
	}
	return l
}

// modes makes a sensor for each mode.
func (s *site) modes(t testing.TB) {
	t.Helper()
	for _, m := range []answer.Mode{answer.Merged, answer.Attested, answer.Sealed} {
		name := "Test " + m.String()
		if _, err := s.CreateSensor(t.Context(), sensor.Sensor{
			Name: name, Columns: []sensor.Column{{Name: name, Type: value.String}}, Mode: m, MaxAge: time.Minute,
			Platforms: []sensor.Platform{sensor.Linux}, Scripts: []sensor.Script{{Platform: sensor.Linux, Language: sensor.UnixShell, Source: "true"}},
		}, "test"); err != nil {
			t.Fatal(err)
		}
	}
}

// letter asks a question in a mode and returns what clients get.
func (s *site) letter(t testing.TB, m answer.Mode) wire.Letter {
	t.Helper()
	q, err := question.Parse("Get Test "+m.String()+" from all machines", s.Catalogue(), nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Ask(t.Context(), question.Asking{Question: q, Life: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ring := seal.NewRing(s.keys.Root)
	for _, v := range s.keys.Vouchers {
		if err := ring.Add(v); err != nil {
			t.Fatal(err)
		}
	}
	var sealed []byte
	err = s.do(t.Context(), func(h *hub) {
		q, _ := h.desk.Question(id)
		sealed = q.Sealed
	})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := ring.Open(time.Now(), seal.Question, sealed)
	if err != nil {
		t.Fatal(err)
	}
	l, err := wire.DecodeLetter(payload)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// deliver hands a bundle to the server and waits for its receipt.
func deliver(t testing.TB, l *link.Link, seq uint64, b answer.Bundle) {
	t.Helper()
	if err := l.Write(wire.Answer{Report: answer.Report{Seq: seq, Question: b.Question, Bundle: b}}, patience); err != nil {
		t.Fatal(err)
	}
	for {
		if ack, err := await[wire.Ack](l); err != nil {
			t.Fatalf("no receipt: %v", err)
		} else if ack.Seq == seq {
			return
		}
	}
}

// await reads until a message of that type comes; questions and hints come in
// between.
func await[M wire.Message](l *link.Link) (M, error) {
	for {
		m, err := link.Expect[wire.Message](l, patience)
		if got, ok := m.(M); ok || err != nil {
			return got, err
		}
	}
}

// rows are the texts of a result with how often they were given.
func rowsOf(r tally.Result) (all []string) {
	for _, row := range r.Rows.List {
		all = append(all, fmt.Sprintf("%s×%d", row.Cells[0][0], row.Count))
	}
	slices.Sort(all)
	return all
}

func (s *site) wantAnswer(t *testing.T, id uint64, answered int, rows ...string) {
	t.Helper()
	r, err := s.Result(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if r.Answered != answered || r.Passed != answered || !slices.Equal(rowsOf(r), rows) {
		t.Errorf("%d answered, %d passed, rows %q; want %d and %q", r.Answered, r.Passed, rowsOf(r), answered, rows)
	}
}

// TestModes: in every mode the same answers give the same result.
func TestModes(t *testing.T) {
	s := startSite(t, t.TempDir())
	s.modes(t)
	a, b, c := s.speaker(t), s.speaker(t), s.speaker(t)
	l := a.leads(wire.ForwardLeader)
	seq := uint64(0)
	for _, m := range []answer.Mode{answer.Merged, answer.Attested, answer.Sealed} {
		q := s.letter(t, m)
		if q.Mode != m {
			t.Fatalf("the letter says %v, want %v", q.Mode, m)
		}
		sum, fits := answer.Fit(answer.ChainLimits, a.says(q, "x", "y"), b.says(q, "y", "y"))
		if !fits {
			t.Fatal("does not fit")
		}
		for _, bundle := range []answer.Bundle{sum, c.says(q), sum, b.says(q, "y", "y")} { // some come twice
			seq++
			deliver(t, l, seq, bundle)
		}
		s.wantAnswer(t, q.Question, 3, "x×1", "y×3")
		if found, err := s.Findings(t.Context(), q.Question); len(found) != 0 || err != nil {
			t.Errorf("%v: found %+v, %v", m, found, err)
		}
	}
}

// A tampering is what a peer on the way does to the boxes of a and b, who have
// given one row each.
type tampering struct {
	name     string
	modes    []answer.Mode
	spoil    func(sum answer.Bundle, q wire.Letter) answer.Bundle
	answered int // of the two; a third comes by itself
	kind     Kind
}

var (
	attested = []answer.Mode{answer.Attested}
	both     = []answer.Mode{answer.Attested, answer.Sealed}
	every    = []answer.Mode{answer.Merged, answer.Attested, answer.Sealed}
)

// spoiledBoxes are those that do not open. The old letters are of questions
// asked before.
func spoiledBoxes(a, b *speaker, old map[answer.Mode]wire.Letter) []tampering {
	return []tampering{
		{"swapped", both, func(sum answer.Bundle, _ wire.Letter) answer.Bundle {
			sum.Boxes[0].Bytes, sum.Boxes[1].Bytes = sum.Boxes[1].Bytes, sum.Boxes[0].Bytes
			return sum
		}, 0, ForgedBox},
		{"of another question", both, func(sum answer.Bundle, q wire.Letter) answer.Bundle {
			sum.Boxes[1].Bytes = b.says(old[q.Mode], "b").Boxes[0].Bytes
			return sum
		}, 1, ForgedBox},
		{"with a bit changed", both, func(sum answer.Bundle, _ wire.Letter) answer.Bundle {
			sum.Boxes[0].Bytes = bytes.Clone(sum.Boxes[0].Bytes)
			sum.Boxes[0].Bytes[20] ^= 1
			return sum
		}, 1, ForgedBox},
		{"of an unknown epoch", both, func(sum answer.Bundle, _ wire.Letter) answer.Bundle {
			sum.Boxes[1].Bytes = append(make([]byte, 12), sum.Boxes[1].Bytes[12:]...)
			return sum
		}, 1, ForgedBox},
		{"cut short", []answer.Mode{answer.Sealed}, func(sum answer.Bundle, _ wire.Letter) answer.Bundle {
			sum.Boxes[0].Bytes = sum.Boxes[0].Bytes[:5]
			return sum
		}, 1, ForgedBox},
		{"by who may not", both, func(sum answer.Bundle, q wire.Letter) answer.Bundle {
			liar := *b
			liar.key = a.key // in b's name
			sum.Boxes[1].Bytes = liar.says(q, "b").Boxes[0].Bytes
			return sum
		}, 1, ForgedBox},
		{"for an empty slot", both, func(_ answer.Bundle, q wire.Letter) answer.Bundle {
			liar := *b
			liar.slot = 999
			return liar.says(q, "z")
		}, 0, ForgedBox},
		{"about other rows", attested, func(sum answer.Bundle, _ wire.Letter) answer.Bundle {
			sum.Boxes[0].Rows, sum.Boxes[1].Rows = sum.Boxes[1].Rows, sum.Boxes[0].Rows
			return sum
		}, 0, ForgedBox},
	}
}

// spoiledBundles have other rows, counts or modes than their machines have
// given them.
func spoiledBundles(a, b *speaker) []tampering {
	return []tampering{
		{"left out", both, func(_ answer.Bundle, q wire.Letter) answer.Bundle {
			q.Mode = answer.Merged
			sum, _ := answer.Fit(answer.ChainLimits, a.says(q, "a"), b.says(q, "b"))
			return sum
		}, 0, WrongMode},
		{"of the other mode", both, func(_ answer.Bundle, q wire.Letter) answer.Bundle {
			q.Mode = answer.Attested + answer.Sealed - q.Mode
			return a.says(q, "a")
		}, 0, WrongMode},
		{"that nobody asked for", []answer.Mode{answer.Merged}, func(_ answer.Bundle, q wire.Letter) answer.Bundle {
			q.Mode = answer.Sealed
			return a.says(q, "a")
		}, 0, WrongMode},
		{"beside a row more", attested, func(sum answer.Bundle, q wire.Letter) answer.Bundle {
			sum.Rows = answer.MergeRows(answer.ChainLimits, sum.Rows, answer.RowsOf(answer.ChainLimits, q.Key.Row([]answer.Cell{{"invented"}})))
			return sum
		}, 2, AlteredSums},
		{"beside a higher count", attested, func(sum answer.Bundle, _ wire.Letter) answer.Bundle {
			sum.Rows.List = slices.Clone(sum.Rows.List)
			sum.Rows.List[0].Count += 5
			return sum
		}, 2, AlteredSums},
		{"beside other counts", attested, func(sum answer.Bundle, _ wire.Letter) answer.Bundle {
			sum.Counts.Passed--
			return sum
		}, 2, AlteredSums},
		{"beside a row without its hash", every, func(_ answer.Bundle, q wire.Letter) answer.Bundle {
			q.Mode = answer.Merged
			sum := a.says(q, "a")
			sum.Rows.List[0].Cells = []answer.Cell{{"invented"}}
			return sum
		}, 0, ForgedRow},
	}
}

// TestTampering: what a peer on the way does to the boxes of others is noticed,
// is not counted, and costs only those whose boxes it has spoiled. The leader
// stays, and the true answer counts when it comes.
func TestTampering(t *testing.T) {
	s := startSite(t, t.TempDir())
	s.modes(t)
	a, b, c := s.speaker(t), s.speaker(t), s.speaker(t)
	l := a.leads(wire.ForwardLeader)
	old := map[answer.Mode]wire.Letter{answer.Attested: s.letter(t, answer.Attested), answer.Sealed: s.letter(t, answer.Sealed)}
	seq := uint64(0)
	for _, tt := range append(spoiledBoxes(a, b, old), spoiledBundles(a, b)...) {
		for _, m := range tt.modes {
			t.Run(tt.name+" "+m.String(), func(t *testing.T) {
				q := s.letter(t, m)
				sum, _ := answer.Fit(answer.ChainLimits, a.says(q, "a"), b.says(q, "b"))
				seq += 3
				deliver(t, l, seq-2, tt.spoil(sum, q))
				r, err := s.Result(t.Context(), q.Question)
				if err != nil {
					t.Fatal(err)
				}
				if r.Answered != tt.answered || len(r.Rows.List) != tt.answered {
					t.Errorf("%d are counted with rows %q, want %d", r.Answered, rowsOf(r), tt.answered)
				}
				found, err := s.Findings(t.Context(), q.Question)
				if err != nil || len(found) != 1 || found[0].Kind != tt.kind.String() || found[0].LAN != loopback || !slices.Contains(idsOf(found[0].Suspects), a.id) {
					t.Errorf("found %+v, %v; want %v", found, err, tt.kind)
				}
				deliver(t, l, seq-1, c.says(q, "c"))
				again, _ := answer.Fit(answer.ChainLimits, a.says(q, "a"), b.says(q, "b"))
				again.Tainted = true
				deliver(t, l, seq, again)
				s.wantAnswer(t, q.Question, 3, "a×1", "b×1", "c×1")
			})
		}
	}
	if n := s.log.count("tampered"); n == 0 {
		t.Error("nothing of it is in the log")
	}
	if n := s.figure(t, "catenary_audit_violations_total", "forged_box"); n < 10 {
		t.Errorf("%v forged boxes are in the metrics", n)
	}
}

// TestWitnessInABox: a machine gives its own answer in a box past its chain, and
// nobody else's.
func TestWitnessInABox(t *testing.T) {
	s := startSite(t, t.TempDir())
	s.modes(t)
	a, b := s.speaker(t), s.speaker(t)
	q := s.letter(t, answer.Sealed)
	deliver(t, a.leads(wire.Witness), 1, a.says(q, "a"))
	s.wantAnswer(t, q.Question, 1, "a×1")
	l := a.leads(wire.Witness)
	if err := l.Write(wire.Answer{Report: answer.Report{Seq: 1, Question: q.Question, Bundle: b.says(q, "b")}}, patience); err != nil {
		t.Fatal(err)
	}
	if _, err := await[wire.Ack](l); err == nil {
		t.Error("a witness speaks for another")
	}
	l = a.leads(wire.BackwardLeader)
	if err := l.Write(wire.Answer{Report: answer.Report{Seq: 1, Question: q.Question, Bundle: a.says(q, "a")}}, patience); err != nil {
		t.Fatal(err)
	}
	if _, err := await[wire.Ack](l); err == nil {
		t.Error("a backward leader answers")
	}
	s.wantAnswer(t, q.Question, 1, "a×1")
}

// TestNewKeyAfterLoss: a server that has lost the secrets of its keys asks who
// has such a key to come for a new one, also over a leader's connection.
func TestNewKeyAfterLoss(t *testing.T) {
	s := startSite(t, t.TempDir())
	s.modes(t)
	a, b := s.speaker(t), s.speaker(t)
	q := s.letter(t, answer.Sealed)
	s.secrets.list.Store(&[]secret{})
	l := a.leads(wire.ForwardLeader)
	sum, _ := answer.Fit(answer.ChainLimits, a.says(q, "a"), b.says(q, "b"))
	deliver(t, l, 1, sum)
	s.wantAnswer(t, q.Question, 0)
	for range 2 { // it is told until it comes
		if err := l.Write(a.registration(), patience); err != nil {
			t.Fatal(err)
		}
		if r, err := await[wire.Registered](l); err != nil || r.Come == 0 {
			t.Fatalf("a leader is told %+v, %v", r, err)
		}
	}
	if r := a.comes(); r.Come != 0 || r.KeyLife == 0 {
		t.Errorf("over TLS it is told %+v", r)
	}
	deliver(t, l, 2, a.says(q, "a"))
	s.wantAnswer(t, q.Question, 1, "a×1")
	// Whoever forges boxes in its name cannot make it come all the time.
	spoiled := a.says(q, "a")
	spoiled.Boxes[0].Bytes = make([]byte, 60)
	deliver(t, l, 3, spoiled)
	if err := l.Write(a.registration(), patience); err != nil {
		t.Fatal(err)
	}
	if r, err := await[wire.Registered](l); err != nil || r.Come != 0 {
		t.Errorf("after a forged box it is told %+v, %v", r, err)
	}
}

// TestSealedTextStaysOut: nothing of a sealed answer is in what crosses the
// links, and nothing in the server's log.
func TestSealedTextStaysOut(t *testing.T) {
	s := startSite(t, t.TempDir())
	s.modes(t)
	a := s.speaker(t)
	q := s.letter(t, answer.Sealed)
	b := a.says(q, "swordfish")
	if frame := wire.Append(nil, wire.Answer{Report: answer.Report{Seq: 1, Question: q.Question, Bundle: b}}); bytes.Contains(frame, []byte("swordfish")) {
		t.Error("the text is in the frame")
	}
	deliver(t, a.leads(wire.ForwardLeader), 1, b)
	s.wantAnswer(t, q.Question, 1, "swordfish×1")
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if strings.Contains(s.log.text.String(), "swordfish") {
		t.Error("the text is in the log")
	}
}
