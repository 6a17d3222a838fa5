package wire

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestFrameSize(t *testing.T) {
	for _, tt := range []struct {
		head [4]byte
		want int
		err  string
	}{
		{[4]byte{0, 0, 0, 1}, 1, ""},
		{[4]byte{0, 0x10, 0, 0}, FrameMax, ""},
		{[4]byte{0, 0, 0, 0}, 0, "frame of 0 bytes"},
		{[4]byte{0, 0x10, 0, 1}, 0, "frame of 1048577 bytes; the limit is 1048576"},
		{[4]byte{0x80, 0, 0, 0}, 0, "frame of 2147483648 bytes"},
		{[4]byte{0xff, 0xff, 0xff, 0xff}, 0, "frame of 4294967295 bytes"},
	} {
		n, err := FrameSize(tt.head)
		if n != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%x: %d, %v; want %d, %q", tt.head, n, err, tt.want, tt.err)
		}
	}
}

func TestTooLargeToSend(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a message larger than a frame was encoded")
		}
	}()
	Append(nil, Question{Sealed: make([]byte, FrameMax)})
}

// worst is a set whose encoding is the largest of all.
func worst() answer.Set {
	var s answer.Set
	for x := 1; x < answer.SlotMax; x += 2 {
		s.Add(answer.Slot(x))
	}
	return s
}

// rowsLike fills rows up to the limits of a chain, each with the cells that
// make returns.
func rowsLike(make func(i int) []answer.Cell) answer.Rows {
	var rows []answer.Row
	for i, size := 0, 0; len(rows) < answer.ChainLimits.Rows; i++ {
		r := answer.Row{Hash: uint64(i+1) << 40, Cells: make(i), Count: 1<<64 - 1}
		if size += r.Size(); size > answer.ChainLimits.Bytes {
			break
		}
		rows = append(rows, r)
	}
	return answer.RowsOf(answer.ChainLimits, rows...)
}

// TestLargestAnswerFits: whatever the limits of a chain let a client keep, it
// can send, and its neighbour takes.
func TestLargestAnswerFits(t *testing.T) {
	text := func(n int) answer.Cell { return answer.Cell{strings.Repeat("x", n)} }
	for name, cells := range map[string]func(int) []answer.Cell{
		"many small rows":   func(i int) []answer.Cell { return []answer.Cell{text(10)} },
		"rows of no cells":  func(i int) []answer.Cell { return nil },
		"long texts":        func(i int) []answer.Cell { return []answer.Cell{text(1 << 14)} },
		"texts of 127":      func(i int) []answer.Cell { return []answer.Cell{text(127)} },
		"texts of 128":      func(i int) []answer.Cell { return []answer.Cell{text(128)} },
		"one huge text":     func(i int) []answer.Cell { return []answer.Cell{text(answer.ChainLimits.Bytes - 31)} },
		"many empty texts":  func(i int) []answer.Cell { return []answer.Cell{make(answer.Cell, 50_000)} },
		"many empty cells":  func(i int) []answer.Cell { return make([]answer.Cell, 50_000) },
		"15,000 processes":  func(i int) []answer.Cell { return []answer.Cell{make(answer.Cell, 15_000)} },
		"65 columns of one": func(i int) []answer.Cell { return make([]answer.Cell, 65) },
	} {
		rows := rowsLike(cells)
		if len(rows.List) == 0 || rows.Cut != 0 {
			t.Fatalf("%s: %d rows, cut %x", name, len(rows.List), rows.Cut)
		}
		rows.Cut = 1<<64 - 1
		set := worst()
		n := uint64(set.Len())
		m := Answer{answer.Report{
			Seq: 1<<64 - 1, Question: 1<<64 - 1, First: true, Final: true, Pending: set,
			Bundle: answer.Bundle{
				Question: 1<<64 - 1, Set: set, Rows: rows, Counts: answer.Counts{Passed: n, Errors: n, NoResults: n}, Tainted: true,
			},
		}}
		frame := Append(nil, m) // panics if it does not fit
		got, err := Decode(frame[4:])
		if err != nil {
			t.Errorf("%s: an answer at the limits is refused: %v", name, err)
		} else if !bytes.Equal(Append(nil, got), frame) {
			t.Errorf("%s: an answer at the limits arrives changed", name)
		}
	}
}

// TestRowLimits: what no honest client sends is refused, also where a frame
// would hold it: it might not fit in one any more once it is passed on.
func TestRowLimits(t *testing.T) {
	over := answer.Report{Bundle: answer.Bundle{Set: answer.SetOf(1)}}
	row := func(hash uint64, cells ...answer.Cell) answer.Row {
		return answer.Row{Hash: hash, Cells: cells, Count: 1}
	}
	many := make([]answer.Row, answer.ChainLimits.Rows+1)
	for i := range many {
		many[i] = row(uint64(i))
	}
	for _, tt := range []struct {
		name string
		rows answer.Rows
		want string
	}{
		{"too many", answer.Rows{List: many}, "more than 5000 rows"},
		{"too large", answer.Rows{List: []answer.Row{row(1, answer.Cell{strings.Repeat("x", answer.ChainLimits.Bytes)})}}, "more than 917504 bytes"},
		{"too large together", answer.Rows{List: []answer.Row{
			row(1, answer.Cell{strings.Repeat("x", 500_000)}), row(2, answer.Cell{strings.Repeat("x", 500_000)}),
		}}, "more than 917504 bytes"},
		{"too many texts", answer.Rows{List: []answer.Row{row(1, make(answer.Cell, 400_000))}}, "more than 917504 bytes"},
		{"out of order", answer.Rows{List: []answer.Row{row(2), row(1)}}, "rows out of order"},
		{"twice", answer.Rows{List: []answer.Row{row(2), row(2)}}, "rows out of order"},
		{"given by nobody", answer.Rows{List: []answer.Row{{Hash: 1}}}, "row that nobody gave"},
		{"at the cut", answer.Rows{List: []answer.Row{row(5)}, Cut: 5}, "row above the cut"},
		{"above the cut", answer.Rows{List: []answer.Row{row(4), row(6)}, Cut: 5}, "row above the cut"},
	} {
		over.Bundle.Rows = tt.rows
		_, err := Decode(Append(nil, Answer{over})[4:])
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("rows %s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestBundleLimits(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    answer.Bundle
		want string
	}{
		{"rows of nobody", answer.Bundle{Rows: answer.Rows{List: []answer.Row{{Hash: 1, Count: 1}}}}, "rows of nobody"},
		{"taint of nobody", answer.Bundle{Tainted: true}, "rows of nobody"},
		{"count of nobody", answer.Bundle{Counts: answer.Counts{Passed: 1}}, "rows of nobody"},
		{"failure of nobody", answer.Bundle{Failed: answer.SetOf(1)}, "rows of nobody"},
		{"cut of nobody", answer.Bundle{Rows: answer.Rows{Cut: 9}}, "rows of nobody"},
		{"too many passed", answer.Bundle{Set: answer.SetOf(1, 2), Counts: answer.Counts{Passed: 3}}, "exceed the 2 machines"},
		{"another failed", answer.Bundle{Set: answer.SetOf(1, 2), Failed: answer.SetOf(2, 3)}, "not among those that answered"},
		{"stopped, but did not fail", answer.Bundle{Set: answer.SetOf(1, 2), Failed: answer.SetOf(1), Stopped: answer.SetOf(2)}, "not among those that answered"},
		{"too many without results", answer.Bundle{Set: answer.SetOf(1), Counts: answer.Counts{NoResults: 2}}, "exceed the 1 machines"},
		{"too many outside", answer.Bundle{Set: answer.SetOf(1, 2), Counts: answer.Counts{Outside: 3}}, "exceed the 2 machines"},
		{"outside and passed", answer.Bundle{Set: answer.SetOf(1, 2), Counts: answer.Counts{Outside: 1, Passed: 2}}, "exceed the 2 machines"},
		{"outside and failed", answer.Bundle{Set: answer.SetOf(1), Failed: answer.SetOf(1), Counts: answer.Counts{Outside: 1}}, "exceed the 1 machines"},
	} {
		_, err := Decode(Append(nil, Answer{answer.Report{Bundle: tt.b}})[4:])
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestFieldLimits: each limit of docs/protocol.md §8 lets its own value pass
// and refuses the next.
func TestFieldLimits(t *testing.T) {
	place := endpoint.Place{Addr: netip.MustParseAddrPort("10.1.2.3:17472")}
	repeat := func(n int) []endpoint.Place { return slices.Repeat([]endpoint.Place{place}, n) }
	text := func(n int) string { return strings.Repeat("x", n) }
	ids := func(n int) []uint64 {
		out := make([]uint64, n)
		for i := range out {
			out[i] = uint64(i + 1)
		}
		return out
	}
	blobs := func(n int) [][]byte { return bytes.SplitAfter(make([]byte, n), []byte{0})[:n] }
	for _, tt := range []struct {
		name string
		make func(n int) Message
		most int
	}{
		{"sealed question", func(n int) Message { return Question{Sealed: make([]byte, n)} }, SealedMax},
		{"refusal's text", func(n int) Message { return Refused{Text: text(n)} }, problemMax},
		{"computer name", func(n int) Message { return Register{Name: text(n)} }, textMax},
		{"program version", func(n int) Message { return Register{Program: text(n)} }, textMax},
		{"platform", func(n int) Message { return Register{Platform: text(n)} }, textMax},
		{"known questions", func(n int) Message { return Register{Known: ids(n)} }, knownMax},
		{"neighbour behind", func(n int) Message { return Register{Back: Neighbour{Kind: endpoint.Neighbour(n)}} }, int(endpoint.Server)},
		{"neighbour in front", func(n int) Message { return Register{Fore: Neighbour{Kind: endpoint.Neighbour(n)}} }, int(endpoint.Server)},
		{"renewal key", func(n int) Message { return Register{RenewalKey: make([]byte, n)} }, certMax},
		{"peers behind", func(n int) Message { return Registered{Now: time.UnixMilli(1), Back: repeat(n)} }, peersMax},
		{"peers in front", func(n int) Message { return Registered{Now: time.UnixMilli(1), Fore: repeat(n)} }, peersMax},
		{"peers below the border", func(n int) Message { return Registered{Now: time.UnixMilli(1), Across: repeat(n)} }, peersMax},
		{"questions counted elsewhere", func(n int) Message { return Registered{Now: time.UnixMilli(1), Counted: ids(n)} }, KnownMax},
		{"round trip", func(n int) Message { return Register{RoundTrip: time.Duration(n) * time.Microsecond} }, int(roundTripMax.Microseconds())},
		{"questions", func(n int) Message { return Registered{Now: time.UnixMilli(1), Questions: blobs(n)} }, QuestionsMax},
		{"question's size", func(n int) Message { return Registered{Now: time.UnixMilli(1), Questions: [][]byte{make([]byte, n)}} }, SealedMax},
		{"certificate", func(n int) Message { return Registered{Now: time.UnixMilli(1), Certificate: make([]byte, n)} }, certMax},
		{"vouchers", func(n int) Message { return Registered{Now: time.UnixMilli(1), Vouchers: blobs(n)} }, vouchersMax},
		{"voucher's size", func(n int) Message { return Registered{Now: time.UnixMilli(1), Vouchers: [][]byte{make([]byte, n)}} }, certMax},
		{"clock", func(n int) Message { return Registered{Now: time.UnixMilli(int64(n))} }, timeMax},
		{"interval", func(n int) Message {
			return Registered{Now: time.UnixMilli(1), Intervals: Intervals{NormalMin: time.Duration(n) * time.Millisecond}}
		}, int(durationMax.Milliseconds())},
		{"secret", func(n int) Message { return Enrol{Secret: make([]byte, n)} }, secretSize},
		{"enrolled key", func(n int) Message { return Enrol{Key: make([]byte, n)} }, certMax},
		{"enrolled name", func(n int) Message { return Enrol{Name: text(n)} }, textMax},
		{"new certificate", func(n int) Message { return Enrolled{Certificate: make([]byte, n)} }, certMax},
	} {
		if _, err := Decode(Append(nil, tt.make(tt.most))[4:]); err != nil {
			t.Errorf("%s at the limit of %d is refused: %v", tt.name, tt.most, err)
		}
		if m, err := Decode(Append(nil, tt.make(tt.most+1))[4:]); err == nil {
			t.Errorf("%s beyond the limit of %d is taken: %.200v", tt.name, tt.most, m)
		}
	}
}

// put is one field of a message that no honest sender writes.
func put(kind Kind, num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag([]byte{byte(kind)}, num, protowire.BytesType), b)
}

func putNumber(kind Kind, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag([]byte{byte(kind)}, num, protowire.VarintType), v)
}

func TestDamagedFields(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"role", putNumber(KindHello, 2, 256), "role 256 does not exist"},
		{"slot", putNumber(KindRegister, 9, answer.SlotMax), "slot 65536 does not exist"},
		{"reply's slot", putNumber(KindRegistered, 2, answer.SlotMax), "slot 65536 does not exist"},
		{"neighbour kind", putNumber(KindRegister, 13, 256), "does not fit in a byte"},
		{"known question 0", put(KindRegister, 21, []byte{5, 0}), "do not ascend"},
		{"key without a life", put(KindRegistered, 20, bytes.Repeat([]byte{1}, 32)), "a key without a life"},
		{"short key", put(KindRegistered, 20, make([]byte, 31)), "has 31 bytes, want 32"},
		{"list of places that breaks off", put(KindRegistered, 25, []byte{15}), "broken place"},
		{"computer id", putNumber(KindRegistered, 1, 1<<32), "exceeds 32 bits"},
		{"new computer id", putNumber(KindEnrolled, 2, 1<<32), "exceeds 32 bits"},
		{"place", put(KindHello, 3, make([]byte, 33)), "place of 33 bytes"},
		{"long place", put(KindHello, 3, make([]byte, 35)), "place of 35 bytes"},
		{"neighbour's id", put(KindRegister, 14, make([]byte, 15)), "has 15 bytes, want 16"},
		{"client id", put(KindEnrolled, 1, make([]byte, 17)), "has 17 bytes, want 16"},
		{"empty question", []byte{byte(KindQuestion)}, "sealed question of 0 bytes"},
		{"empty question in a reply", put(KindRegistered, 7, nil), "one not of 1 to 262144 bytes"},
		{"field number 0", []byte{byte(KindAck), 0x00, 1}, "invalid field number"},
		{"field that breaks off", []byte{byte(KindAck), 0x08, 0x80}, "field 1: unexpected EOF"},
		{"length beyond the end", []byte{byte(KindQuestion), 0x0a, 0xff, 0xff, 0xff, 0x7f, 1}, "field 1: unexpected EOF"},
		{"varint of 11 bytes", append([]byte{byte(KindAck), 0x08}, bytes.Repeat([]byte{0xff}, 11)...), "field 1: "},
		{"end of no group", []byte{byte(KindAck), 0x0c}, "field 1: "},
	} {
		m, err := Decode(tt.b)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), fmt.Sprintf("message of kind %d: ", tt.b[0])) {
			t.Errorf("%s: %v, %v; want %q", tt.name, m, err, tt.want)
		}
	}
}

func TestLetterLimits(t *testing.T) {
	good := Letter{Question: 1, Issued: time.UnixMilli(1), Life: LifeMax, Hold: LifeMax, Limit: LifeMax, Plan: []byte{1}}
	if _, err := DecodeLetter(good.Append(nil)); err != nil {
		t.Fatalf("a letter at its limits: %v", err)
	}
	for name, change := range map[string]func(*Letter){
		"no question": func(l *Letter) { l.Question = 0 },
		"no plan":     func(l *Letter) { l.Plan = nil },
		"no life":     func(l *Letter) { l.Life = 0 },
		"long life":   func(l *Letter) { l.Life += time.Millisecond },
		"no hold":     func(l *Letter) { l.Hold = 0 },
		"long hold":   func(l *Letter) { l.Hold += time.Millisecond },
		"no limit":    func(l *Letter) { l.Limit = 0 },
		"long limit":  func(l *Letter) { l.Limit += time.Millisecond },
		"late":        func(l *Letter) { l.Issued = time.UnixMilli(timeMax + 1) },
	} {
		bad := good
		change(&bad)
		if l, err := DecodeLetter(bad.Append(nil)); err == nil || !strings.HasPrefix(err.Error(), "letter: ") {
			t.Errorf("letter with %s: %+v, %v", name, l, err)
		}
	}
}

// TestHostileFrames: a frame of 1 MiB costs a bounded amount of memory, whatever is in it.
func TestHostileFrames(t *testing.T) {
	fill := func(kind Kind, part []byte) []byte {
		return append([]byte{byte(kind)}, bytes.Repeat(part, (FrameMax-1)/len(part))...)
	}
	nest := func(num protowire.Number, n int, inner ...byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), bytes.Repeat(inner, n))
	}
	run := nest(6, 1, setRuns, 0, 0xff, 0xff, 3)
	groups := bytes.Repeat([]byte{0xa3, 6}, FrameMax/2-1) // a group in a group in a group …
	const most = 96 << 20                                 // bytes, with all that lists leave behind while they grow
	for name, b := range map[string][]byte{
		"full sets":        fill(KindAnswer, run),
		"full pending":     fill(KindAnswer, nest(5, 1, setRuns, 0, 0xff, 0xff, 3)),
		"empty texts":      append([]byte{byte(KindAnswer)}, nest(12, 1, nest(3, FrameMax/2-20, 0x0a, 0)...)...),
		"empty cells":      append([]byte{byte(KindAnswer)}, nest(12, FrameMax/2-20, 0x1a, 0)...),
		"empty rows":       fill(KindAnswer, []byte{0x62, 0}),
		"places":           fill(KindRegistered, []byte{0xca, 1, 22, 12, 10, 1, 2, 3, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}),
		"known questions":  fill(KindRegister, []byte{0xaa, 1, 1, 1}),
		"empty vouchers":   fill(KindRegistered, []byte{15<<3 | 2, 0}),
		"small vouchers":   fill(KindRegistered, []byte{15<<3 | 2, 1, 7}),
		"unknown fields":   fill(KindAck, []byte{100<<3&0x7f | 0x80, 6, 0}),
		"groups in groups": append([]byte{byte(KindAck)}, groups...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := Decode(b)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > most {
			t.Errorf("%s: %d bytes for a frame of %d", name, used, len(b))
		} else {
			t.Logf("%s: %d KiB", name, used>>10)
		}
		if err == nil && name != "unknown fields" {
			t.Errorf("%s: taken as %.100v", name, m)
		}
	}
}

// TestRefusingIsFree: a length that exceeds the limit costs nothing but the
// error.
func TestRefusingIsFree(t *testing.T) {
	head := [4]byte{0x80, 0, 0, 0}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := FrameSize(head); err == nil {
			t.Fatal("2 GiB are taken")
		}
	}); n > 5 {
		t.Errorf("%v allocations", n)
	}
}
