package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"weak"

	"catenary/internal/answer"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

// report is an answer of one machine with the given rows, which need not be in
// order.
func report(rows ...answer.Row) Answer {
	return Answer{answer.Report{Seq: 1, Question: 1, Bundle: answer.Bundle{
		Question: 1, Set: answer.SetOf(0), Rows: answer.RowsOf(answer.ServerLimits, rows...),
	}}}
}

// texts are the rows of one text each, with the texts of numbers from … to-1
// brought to a size.
func texts(from, to, size int) []answer.Row {
	var rows []answer.Row
	for i := from; i < to; i++ {
		rows = append(rows, drawKey.Row([]answer.Cell{{fmt.Sprintf("%0*d", size, i)}}))
	}
	return rows
}

// A wireEnds is a connection in one direction.
type wireEnds struct{ to, from Dictionary }

// carry brings a message across and returns its frame. It must arrive as it
// was, and leave the same at both ends.
func (e *wireEnds) carry(t interface {
	Helper()
	Fatalf(string, ...any)
}, m Message) []byte {
	t.Helper()
	frame := e.to.Append(nil, m)
	if n, err := FrameSize([4]byte(frame)); err != nil || n != len(frame)-4 {
		t.Fatalf("frame of %d bytes says it has %d (%v)", len(frame), n, err)
	}
	got, err := e.from.Decode(frame[4:])
	if err != nil {
		t.Fatalf("%.200v is refused: %v", m, err)
	}
	if !alike(m, got) {
		t.Fatalf("%T arrives changed (-sent +got):\n%.2000s", m, diff(m, got))
	}
	if err := sound(&e.to); err != nil {
		t.Fatalf("%v", err)
	}
	if !reflect.DeepEqual(e.to, e.from) {
		t.Fatalf("after a %T the ends hold %d and %d rows, of %d and %d bytes, the hands at %x and %x, or unlike ones",
			m, len(e.to.kept), len(e.from.kept), e.to.size, e.from.size, e.to.hand, e.from.hand)
	}
	return frame
}

// alike reports whether two messages say the same. Each has one encoding, and
// that is compared faster than it says.
func alike(a, b Message) bool { return bytes.Equal(Append(nil, a), Append(nil, b)) }

// sound says what is wrong with a dictionary.
func sound(d *Dictionary) error {
	size := 0
	for i, k := range d.kept {
		size += k.cost()
		switch {
		case i > 0 && d.kept[i-1].hash >= k.hash:
			return fmt.Errorf("row %d is out of order", i)
		case k.state != idle && k.state != used:
			return fmt.Errorf("row %d is in state %d", i, k.state)
		case len(k.cells) > keptMax:
			return fmt.Errorf("row %d has %d bytes", i, len(k.cells))
		}
	}
	if size != d.size || size > dictionaryMax {
		return fmt.Errorf("rows of %d bytes are counted as %d; the limit is %d", size, d.size, dictionaryMax)
	}
	return nil
}

// references counts the rows of a frame that are said by reference.
func references(t testing.TB, frame []byte) int {
	t.Helper()
	n := 0
	err := fields(frame[5:], func(f value) error {
		if f.Num != 12 {
			return nil
		}
		return fields(f.B, func(f value) error {
			if f.Num == 4 {
				n++
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDictionaryLaw: whatever crosses a connection in whatever order arrives
// as it was sent, both ends always hold the same, and never too much. The rows
// are few, so that they come again; some are large, so that others must go;
// and some lie about their hash, as a hostile client may.
func TestDictionaryLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e wireEnds
		most := rapid.SampledFrom([]int{2, 40, 400}).Draw(t, "rows at most")
		row := rapid.Custom(func(t *rapid.T) answer.Row {
			n := rapid.IntRange(0, most).Draw(t, "row")
			size := []int{0, 3, 60, 6000, 15000, keptMax - 4, keptMax}[n%7]
			r := texts(n, n+1, size)[0]
			switch rapid.IntRange(0, 19).Draw(t, "kind") {
			case 0:
				r = drawKey.Row(nil)
			case 1:
				r = drawKey.Row([]answer.Cell{{"a", ""}, {}, {fmt.Sprint(n)}})
			case 2:
				r.Cells = []answer.Cell{{"another text"}}
			case 3:
				r.Hash = rapid.SampledFrom([]uint64{0, 1, 1<<64 - 1}).Draw(t, "hash")
			}
			r.Count = rapid.Uint64Range(1, 300).Draw(t, "count")
			return r
		})
		for range rapid.IntRange(1, 12).Draw(t, "messages") {
			if rapid.IntRange(0, 9).Draw(t, "other") == 0 {
				e.carry(t, drawMessage(t))
				continue
			}
			m := report()
			m.Bundle.Rows = answer.RowsOf(answer.ChainLimits, rapid.SliceOfN(row, 0, most).Draw(t, "rows")...)
			frame := e.carry(t, m)
			if plain := Append(nil, m); len(frame) > len(plain)+10 {
				t.Fatalf("%d bytes with references, %d without", len(frame), len(plain))
			}
		}
	})
}

// TestReferences: what has crossed crosses again in six bytes, in any message
// and for any count; what has not is spelled out, as in the first message.
func TestReferences(t *testing.T) {
	var e wireEnds
	rows := texts(0, 100, 50)
	m := report(rows...)
	if first := e.carry(t, m); !bytes.Equal(first, Append(nil, m)) {
		t.Error("a new connection's first answer is not encoded as without a dictionary")
	}
	head := len(Append(nil, report()))
	if again := e.carry(t, m); len(again) != head+100*6+10 {
		t.Errorf("again in %d bytes, want %d", len(again), head+100*6+10)
	}
	for i := range rows {
		rows[i].Count = uint64(100 + 50*i)
	}
	other := report(append(rows[20:], texts(200, 230, 50)...)...)
	other.Question, other.Bundle.Question, other.Seq = 9, 9, 2
	if n := references(t, e.carry(t, other)); n != 80 {
		t.Errorf("%d references, want 80", n)
	}
	if n := references(t, e.carry(t, other)); n != 110 {
		t.Errorf("%d references, want 110", n)
	}
	if n := references(t, new(wireEnds).carry(t, other)); n != 0 {
		t.Errorf("%d references on a new connection", n)
	}
}

// TestNilDictionary: without a dictionary every message stands for itself.
func TestNilDictionary(t *testing.T) {
	var none *Dictionary
	for _, m := range sample() {
		frame := none.Append(nil, m)
		if !bytes.Equal(frame, Append(nil, m)) {
			t.Errorf("a %T is encoded in another way", m)
		}
		got, err := none.Decode(frame[4:])
		if d := diff(m, got); err != nil || d != "" {
			t.Errorf("%T: %v\n%s", m, err, d)
		}
	}
	if _, err := none.Decode(nil); err == nil {
		t.Error("no bytes decode")
	}
	var d Dictionary
	if m, err := d.Decode([]byte{200, 1}); m != nil || err != nil {
		t.Errorf("an unknown kind is read as %v, %v", m, err)
	}
}

// TestBrokenReferences: a frame is refused that refers to what is not there.
func TestBrokenReferences(t *testing.T) {
	var known Dictionary
	rows := report(texts(0, 3, 10)...)
	known.Append(nil, rows)
	sum := known.kept[0].hash + known.kept[2].hash
	row := func(parts ...[]byte) []byte {
		b := []byte{12<<3 | 2, 0}
		for _, p := range parts {
			b = append(b, p...)
		}
		b[1] = byte(len(b) - 2)
		return b
	}
	number := func(num protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
	}
	fixed := func(num protowire.Number, v uint64) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(nil, num, protowire.Fixed64Type), v)
	}
	frame := func(parts ...[]byte) []byte {
		return append([]byte{byte(KindAnswer), 6<<3 | 2, 3, setRuns, 0, 0}, slices.Concat(parts...)...)
	}
	one := number(2, 1)
	cell := []byte{3<<3 | 2, 0}
	for _, tt := range []struct {
		name string
		b    []byte
		want string // of the error; empty: none
	}{
		{"good", frame(row(one, number(4, 1)), row(one, number(4, 2)), fixed(20, sum)), ""},
		{"good, said in another order", frame(fixed(20, sum), row(number(4, 1), one), row(number(4, 2), one)), ""},
		{"beyond the last", frame(row(one, number(4, 4)), fixed(20, 1)), "has not crossed this connection"},
		{"beyond the last, from the second", frame(row(one, number(4, 1)), row(one, number(4, 3)), fixed(20, sum)), "has not crossed"},
		{"far beyond", frame(row(one, number(4, 1<<64-1)), fixed(20, 1)), "has not crossed"},
		{"half-way round", frame(row(one, number(4, 1<<63)), fixed(20, 1)), "has not crossed"},
		{"with cells", frame(row(one, cell, number(4, 1)), fixed(20, known.kept[0].hash)), "row is said and referred to"},
		{"with a hash", frame(row(fixed(1, 1), one, number(4, 1)), fixed(20, known.kept[0].hash)), "row is said and referred to"},
		{"that nobody gave", frame(row(number(4, 1)), fixed(20, known.kept[0].hash)), "row that nobody gave"},
		{"unchecked", frame(row(one, number(4, 1))), "references mean other rows"},
		{"checked wrongly", frame(row(one, number(4, 1)), fixed(20, known.kept[1].hash)), "references mean other rows"},
		{"check without references", frame(row(fixed(1, 1), one), fixed(20, 1)), "references mean other rows"},
		{"of another wire type", frame(row(one, fixed(4, 1)), fixed(20, known.kept[0].hash)), "field 4: has wire type 1"},
		{"check of another wire type", frame(number(20, 1)), "field 20: has wire type 0"},
	} {
		d := known.Clone()
		m, err := d.Decode(tt.b)
		if tt.want == "" {
			if err != nil || len(m.(Answer).Bundle.Rows.List) != 2 {
				t.Errorf("%s: %v, %v", tt.name, m, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "message of kind 5: ") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if _, err := Decode(tt.b); err == nil {
			t.Errorf("%s: decodes without a dictionary", tt.name)
		}
		if _, err := new(Dictionary).Decode(tt.b); err == nil {
			t.Errorf("%s: decodes on another connection", tt.name)
		}
	}
	if !reflect.DeepEqual(known, *known.Clone()) || known.kept[0].state != idle {
		t.Error("a clone's reading has changed the dictionary")
	}
}

// TestReferencesCountInFull: a small frame of references may not mean more
// than a frame can hold: who gets it must be able to pass it on to somebody
// who knows nothing yet.
func TestReferencesCountInFull(t *testing.T) {
	var rows []answer.Row
	for i := range 31 {
		rows = append(rows, answer.Row{Hash: uint64(i + 1), Cells: make([]answer.Cell, keptMax/2), Count: 1})
	}
	var e wireEnds
	for _, part := range [][]answer.Row{rows[:16], rows[16:]} {
		if _, err := e.from.Decode(e.to.Append(nil, report(part...))[4:]); err != nil {
			t.Fatal(err)
		}
	}
	frame := e.to.Append(nil, report(rows...))
	if n := references(t, frame); n != 31 || len(frame) > 300 {
		t.Fatalf("%d references in %d bytes", n, len(frame))
	}
	if _, err := e.from.Decode(frame[4:]); err == nil || !strings.Contains(err.Error(), "rows of more than 917504 bytes") {
		t.Errorf("rows of %d bytes by reference: %v", rows[0].Size()*31, err)
	}
}

// TestNewestCellsHold: two rows of one hash, as only a hostile client sends
// them, are two rows to the dictionary, of which it knows the newer.
func TestNewestCellsHold(t *testing.T) {
	var e wireEnds
	row := func(text string) answer.Row {
		return answer.Row{Hash: 7, Cells: []answer.Cell{{text}}, Count: 1}
	}
	large := strings.Repeat("x", keptMax)
	for i, tt := range []struct {
		text string
		want int // references
	}{{"a", 0}, {"a", 1}, {"longer", 0}, {"longer", 1}, {"a", 0}, {large, 0}, {"a", 1}, {large, 0}} {
		if n := references(t, e.carry(t, report(row(tt.text)))); n != tt.want {
			t.Errorf("message %d, %.10s: %d references, want %d", i, tt.text, n, tt.want)
		}
	}
	if len(e.to.kept) != 1 || e.to.kept[0].state != used || e.to.size != 5+keptCost {
		t.Errorf("%+v", e.to)
	}
}

// TestMoreRowsThanRoom: when an answer has a few rows more than a dictionary
// holds, and comes again and again, all but these few are found.
func TestMoreRowsThanRoom(t *testing.T) {
	const size = 200
	room := dictionaryMax / (size + 6 + keptCost)
	for _, over := range []int{1, room / 10, room / 2} {
		var e wireEnds
		m := report(texts(0, room+over, size)...)
		e.carry(t, m)
		for i := range 5 {
			if n := references(t, e.carry(t, m)); n < room-1 {
				t.Errorf("%d rows with room for %d: only %d of them are known the %d. time", room+over, room, n, i+2)
			}
		}
	}
}

// TestUsedRowsStay: rows that come again outlast those that come once, and go
// when they come no more.
func TestUsedRowsStay(t *testing.T) {
	const size = 200
	room := dictionaryMax / (size + 6 + keptCost)
	var e wireEnds
	often := report(texts(0, room/4, size)...)
	e.carry(t, often)
	at := room
	for round := range 20 {
		e.carry(t, report(texts(at, at+room/4, size)...))
		at += room / 4
		if n := references(t, e.carry(t, often)); n != room/4 {
			t.Errorf("round %d: %d of %d rows are known", round, n, room/4)
		}
	}
	for range 16 {
		e.carry(t, report(texts(at, at+room/4, size)...))
		at += room / 4
	}
	if n := references(t, e.carry(t, often)); n > 0 {
		t.Errorf("%d of %d rows are known that have not come for long", n, room/4)
	}
}

// TestFloodOfRows: a neighbour that says nothing twice gets no more memory
// than the limit, also with the smallest rows.
func TestFloodOfRows(t *testing.T) {
	for _, size := range []int{0, 10, 150} {
		var d Dictionary
		before := heap()
		for round := range 20 {
			m := report(texts(round*4000, (round+1)*4000, size)...)
			if _, err := d.Decode(Append(nil, m)[4:]); err != nil {
				t.Fatal(err)
			}
			if err := sound(&d); err != nil {
				t.Fatal(err)
			}
		}
		if used := heap() - before; used > 2*dictionaryMax {
			t.Errorf("rows of %d bytes: %d bytes of memory for %d", size, used, d.size)
		} else {
			t.Logf("rows of %d bytes: %d rows, %d bytes, %d of memory", size, len(d.kept), d.size, used)
		}
		runtime.KeepAlive(&d)
	}
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first has found, the second has freed
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestKeptRowsPinNoFrame: what is kept of a frame is not its memory.
func TestKeptRowsPinNoFrame(t *testing.T) {
	var d Dictionary
	frame := Append(nil, report(texts(0, 100, 1000)...))
	watch := weak.Make(&frame[0])
	if _, err := d.Decode(frame[4:]); err != nil {
		t.Fatal(err)
	}
	frame = nil
	runtime.GC()
	if watch.Value() != nil {
		t.Error("the frame is still there")
	}
	if len(d.kept) != 100 {
		t.Errorf("%d rows", len(d.kept))
	}
}

// TestIdleDictionary: a connection on which no rows cross costs nothing.
func TestIdleDictionary(t *testing.T) {
	var e wireEnds
	for _, m := range append(sample(), report()) {
		if a, ok := m.(Answer); !ok || len(a.Bundle.Rows.List) == 0 {
			e.carry(t, m)
		}
	}
	if !reflect.DeepEqual(e, wireEnds{}) {
		t.Errorf("%+v", e)
	}
}

// FuzzDictionary: whatever frames come on a connection, the dictionary stays
// within its limits, and what was understood can be passed on to a neighbour
// who knows as much, and to one who knows nothing.
func FuzzDictionary(f *testing.F) {
	for _, v := range crossingVectors() {
		if len(v.crossing) > 0 {
			for i := range v.crossing {
				f.Add(bytes.Join(v.frames()[:i+1], nil))
			}
		}
	}
	f.Add(Append(nil, report(drawKey.Row([]answer.Cell{{"a", ""}, {}, {"b"}}))))
	f.Fuzz(func(t *testing.T, b []byte) {
		var in Dictionary
		var out wireEnds
		for len(b) >= 4 {
			n, err := FrameSize([4]byte(b))
			if err != nil || len(b) < 4+n {
				return
			}
			before := in.Clone()
			m, err := in.Decode(b[4 : 4+n])
			if unsound := sound(&in); unsound != nil {
				t.Fatalf("%x: %v", b[:4+n], unsound)
			}
			if err != nil {
				return
			}
			if b = b[4+n:]; m == nil {
				continue
			}
			if a, ok := m.(Answer); ok {
				if err := honest(a.Report); err != nil {
					t.Fatalf("a report with a %v", err)
				}
			}
			same := before.Clone()
			again, err := same.Decode(before.Append(nil, m)[4:])
			if err != nil || !alike(m, again) || !reflect.DeepEqual(before, same) {
				t.Fatalf("%+v changes when it is said again (%v):\n%s", m, err, diff(m, again))
			}
			out.carry(t, m)
		}
	})
}
