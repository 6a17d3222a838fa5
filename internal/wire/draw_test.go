package wire

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// The generators below draw whatever an honest sender can say.

func drawID(t *rapid.T) endpoint.ID {
	return endpoint.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
}

func drawPlace(t *rapid.T) endpoint.Place {
	var a netip.Addr
	if rapid.Bool().Draw(t, "ipv6") {
		a = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address"))).Unmap()
	} else {
		a = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")))
	}
	return endpoint.Place{Addr: netip.AddrPortFrom(a, rapid.Uint16().Draw(t, "port")), ID: drawID(t)}
}

func drawText(t *rapid.T, most int) string {
	return rapid.StringN(0, -1, most).Draw(t, "text")
}

func drawBytes(t *rapid.T, least, most int) []byte {
	return rapid.SliceOfN(rapid.Byte(), least, most).Draw(t, "bytes")
}

func drawMillis(t *rapid.T) time.Duration {
	return time.Duration(rapid.Int64Range(0, durationMax.Milliseconds()).Draw(t, "ms")) * time.Millisecond
}

// drawSet draws sparse and dense sets, with slots up to the last one.
func drawSet(t *rapid.T, least int) answer.Set {
	var s answer.Set
	for range rapid.IntRange(least, 6).Draw(t, "runs") {
		from := rapid.IntRange(0, answer.SlotMax-1).Draw(t, "from")
		if rapid.Bool().Draw(t, "near") {
			from %= 300
		}
		for x := from; x < min(answer.SlotMax, from+rapid.IntRange(1, 130).Draw(t, "length")); x++ {
			s.Add(answer.Slot(x))
		}
	}
	return s
}

var drawKey = answer.Key{4, 2}

func drawRows(t *rapid.T) answer.Rows {
	var rows []answer.Row
	for range rapid.IntRange(0, 8).Draw(t, "rows") {
		var cells []answer.Cell
		for range rapid.IntRange(0, 3).Draw(t, "cells") {
			var c answer.Cell
			for range rapid.IntRange(0, 3).Draw(t, "texts") {
				c = append(c, drawText(t, 300))
			}
			cells = append(cells, c)
		}
		r := drawKey.Row(cells)
		r.Count = rapid.Uint64Range(1, 1<<40).Draw(t, "count")
		rows = append(rows, r)
	}
	lim := answer.ChainLimits
	lim.Rows = rapid.IntRange(0, 8).Draw(t, "kept")
	return answer.RowsOf(lim, rows...)
}

func drawReport(t *rapid.T) answer.Report {
	r := answer.Report{
		Seq: rapid.Uint64().Draw(t, "seq"), Question: rapid.Uint64().Draw(t, "question"),
		First: rapid.Bool().Draw(t, "first"), Final: rapid.Bool().Draw(t, "final"),
		Pending: drawSet(t, 0),
	}
	r.Bundle.Question = r.Question
	if rapid.Bool().Draw(t, "nobody") {
		return r
	}
	set := drawSet(t, 1)
	n := uint64(set.Len())
	r.Bundle = answer.Bundle{
		Question: r.Question, Set: set, Rows: drawRows(t), Tainted: rapid.Bool().Draw(t, "tainted"),
		Counts: answer.Counts{
			Passed:    rapid.Uint64Range(0, n).Draw(t, "passed"),
			NoResults: rapid.Uint64Range(0, n).Draw(t, "noresults"),
		},
		Failed: drawPart(t, set),
	}
	b := &r.Bundle
	b.Stopped = drawPart(t, b.Failed)
	b.Counts.Errors, b.Counts.Stopped = uint64(b.Failed.Len()), uint64(b.Stopped.Len())
	b.Counts.Outside = rapid.Uint64Range(0, n-max(b.Counts.Passed, b.Counts.NoResults, b.Counts.Errors)).Draw(t, "outside")
	if n <= 20 {
		drawBoxes(t, b)
	}
	return r
}

// drawPart draws some of a set.
func drawPart(t *rapid.T, of answer.Set) answer.Set {
	var part answer.Set
	every := rapid.IntRange(1, 5).Draw(t, "every")
	n := 0
	for x := range of.All() {
		if n++; n%every == 0 && every < 5 {
			part.Add(x)
		}
	}
	return part
}

func drawNeighbour(t *rapid.T) Neighbour {
	return Neighbour{Kind: endpoint.Neighbour(rapid.IntRange(0, 2).Draw(t, "kind")), ID: drawID(t)}
}

func drawRegister(t *rapid.T) Register {
	return Register{
		Version: rapid.Uint64().Draw(t, "version"), Initial: rapid.Bool().Draw(t, "initial"),
		Incarnation: rapid.Uint64().Draw(t, "incarnation"), Sequence: rapid.Uint64().Draw(t, "sequence"),
		Place: drawPlace(t), Name: drawText(t, textMax), Program: drawText(t, textMax), Platform: drawText(t, textMax),
		Slot: answer.Slot(rapid.Uint16().Draw(t, "slot")), HasSlot: rapid.Bool().Draw(t, "hasslot"),
		Peers: rapid.Uint64().Draw(t, "peers"),
		Known: drawNumbers(t, knownMax), State: rapid.Uint64().Draw(t, "state"),
		Back: drawNeighbour(t), Fore: drawNeighbour(t),
		RenewalKey: drawBytes(t, 0, 200), Unreachable: drawIDs(t, UnreachableMax), BackwardLink: rapid.Bool().Draw(t, "linked"),
		RoundTrip: time.Duration(rapid.Int64Range(0, roundTripMax.Microseconds()).Draw(t, "µs")) * time.Microsecond,
		Evidence:  rapid.SliceOfN(rapid.Custom(drawEvidence), 0, AuditsMax).Draw(t, "evidence"),
		Runs:      rapid.SliceOfN(rapid.Custom(drawRun), 0, RunsMax).Draw(t, "runs"), Quarantined: drawHashes(t),
		Rules: rapid.Uint64().Draw(t, "rules"),
	}
}

func drawRegistered(t *rapid.T) Registered {
	m := drawReply(t)
	if m.KeyLife = drawMillis(t); m.KeyLife > 0 {
		m.Key, m.KeyName = [32]byte(drawBytes(t, 32, 32)), KeyName(drawBytes(t, 20, 20))
	}
	return m
}

func drawReply(t *rapid.T) Registered {
	places := rapid.SliceOfN(rapid.Custom(drawPlace), 0, 10)
	blobs := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 100), 0, vouchersMax)
	return Registered{
		ComputerID: rapid.Uint32().Draw(t, "computer"), Slot: answer.Slot(rapid.Uint16().Draw(t, "slot")),
		Peers: rapid.Uint64().Draw(t, "peers"), Same: rapid.Bool().Draw(t, "same"),
		Back: places.Draw(t, "back"), Fore: places.Draw(t, "fore"),
		Questions: blobs.Draw(t, "questions"), Highest: rapid.Uint64().Draw(t, "highest"),
		Now:         time.UnixMilli(rapid.Int64Range(0, timeMax).Draw(t, "now")),
		Intervals:   Intervals{drawMillis(t), drawMillis(t), drawMillis(t), drawMillis(t)},
		Certificate: drawBytes(t, 0, 200), Vouchers: blobs.Draw(t, "vouchers"), Direct: drawNumbers(t, KnownMax),
		Again: rapid.Bool().Draw(t, "again"), Come: drawMillis(t),
		LAN: rapid.Uint64().Draw(t, "lan"), Across: places.Draw(t, "across"), From: drawPlace(t), Until: drawPlace(t),
		Counted: drawNumbers(t, KnownMax), Audits: rapid.SliceOfN(rapid.Custom(drawAudit), 0, AuditsMax).Draw(t, "audits"),
		Rules: drawBytes(t, 0, 200),
	}
}

// drawMessage draws a message of each kind with equal chance.
func drawMessage(t *rapid.T) Message {
	switch rapid.IntRange(0, 12).Draw(t, "kind") {
	case 0:
		return Hello{
			Version: rapid.Uint64().Draw(t, "version"), Role: Role(rapid.Byte().Draw(t, "role")),
			Place: drawPlace(t), Incarnation: rapid.Uint64().Draw(t, "incarnation"),
			Suspects: drawIDs(t, SuspectsMax), Heard: drawHeard(t), Known: drawNumbers(t, KnownMax), LAN: rapid.Uint64().Draw(t, "lan"),
		}
	case 1:
		return HelloOK{rapid.Uint64().Draw(t, "incarnation"), drawHeard(t), drawNumbers(t, KnownMax)}
	case 2:
		return Refused{Reason(rapid.Uint64().Draw(t, "reason")), drawText(t, problemMax), drawPlace(t)}
	case 3:
		q := Question{Sealed: drawBytes(t, 1, 400), Round: rapid.Uint64Range(0, 3).Draw(t, "round")}
		if q.Round > 0 {
			q.Only = drawSet(t, 0)
		}
		return q
	case 4:
		return Answer{drawReport(t)}
	case 5:
		a := Ack{Seq: rapid.Uint64().Draw(t, "seq"), Unsafe: drawNumbers(t, UnsafeMax), Questions: drawNumbers(t, KnownMax)}
		if n := len(a.Unsafe); n > 0 {
			a.Seq = max(a.Seq, a.Unsafe[n-1])
		}
		return a
	case 6:
		return drawRegister(t)
	case 7:
		return drawRegistered(t)
	case 8:
		return Enrol{rapid.Uint64().Draw(t, "version"), drawBytes(t, 0, secretSize), drawBytes(t, 0, 200), drawText(t, textMax)}
	case 9:
		return Ping{rapid.Uint64().Draw(t, "number"), rapid.Bool().Draw(t, "reply")}
	case 10:
		return Gone{drawIDs(t, goneMax)}
	case 11:
		return Hint{drawPlace(t)}
	default:
		return Enrolled{drawID(t), rapid.Uint32().Draw(t, "computer"), drawBytes(t, 0, 200)}
	}
}

func drawHeard(t *rapid.T) Heard {
	return Heard{rapid.Uint64().Draw(t, "life"), rapid.Uint64().Draw(t, "heard")}
}

func drawIDs(t *rapid.T, most int) []endpoint.ID {
	return rapid.SliceOfN(rapid.Custom(drawID), 0, most).Draw(t, "clients")
}

// drawNumbers draws ascending numbers that are unlike and above 0.
func drawNumbers(t *rapid.T, most int) []uint64 {
	list := rapid.SliceOfNDistinct(rapid.Uint64Min(1), 0, min(most, 20), rapid.ID).Draw(t, "numbers")
	slices.Sort(list)
	return list
}

func drawLetter(t *rapid.T) Letter {
	life := rapid.Int64Range(1, LifeMax.Milliseconds()).Draw(t, "life")
	part := rapid.Int64Range(1, life)
	return Letter{
		Question: rapid.Uint64Min(1).Draw(t, "question"),
		Issued:   time.UnixMilli(rapid.Int64Range(0, timeMax).Draw(t, "issued")),
		Life:     time.Duration(life) * time.Millisecond,
		Hold:     time.Duration(part.Draw(t, "hold")) * time.Millisecond,
		Limit:    time.Duration(part.Draw(t, "limit")) * time.Millisecond,
		Key:      answer.Key(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key")),
		Plan:     drawBytes(t, 1, 300),
		Mode:     answer.Mode(rapid.IntRange(0, 2).Draw(t, "mode")),
	}
}

// diff says how two messages differ; no bytes and no list are the same.
func diff(a, b any) string {
	return cmp.Diff(a, b, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.AddrPort{}))
}

// body is the part of a frame that Decode takes, and checks the length before it.
func body(t testing.TB, frame []byte) []byte {
	t.Helper()
	n, err := FrameSize([4]byte(frame))
	if err != nil || n != len(frame)-4 {
		t.Fatalf("frame of %d bytes says it has %d after its length (%v)", len(frame), n, err)
	}
	return frame[4:]
}

func mustDecode(t testing.TB, b []byte) Message {
	t.Helper()
	m, err := Decode(b)
	if err != nil || m == nil {
		t.Fatalf("decode %x: %v, %v", b, m, err)
	}
	return m
}

// sample is one small message of each kind.
func sample() []Message {
	place := endpoint.Place{Addr: netip.MustParseAddrPort("10.1.2.3:17472"), ID: endpoint.ID{1, 2, 3}}
	var out []Message
	for kind := range decoders {
		switch kind {
		case KindHello:
			out = append(out, Hello{Version: Version, Role: Behind, Place: place, Incarnation: 7,
				Suspects: []endpoint.ID{{9}}, Heard: Heard{6, 5}, Known: []uint64{41, 43}})
		case KindHelloOK:
			out = append(out, HelloOK{7, Heard{6, 5}, []uint64{41, 43}})
		case KindRefused:
			out = append(out, Refused{Nearer, "a nearer neighbour stands here", place})
		case KindQuestion:
			out = append(out, Question{[]byte("sealed"), 1, answer.SetOf(3, 4)})
		case KindAnswer:
			out = append(out, Answer{answer.Report{Seq: 3, Question: 9, First: true, Bundle: answer.Bundle{
				Question: 9, Set: answer.SetOf(0, 1, 2, 5), Counts: answer.Counts{Passed: 4},
				Rows: answer.RowsOf(answer.ChainLimits, drawKey.Row([]answer.Cell{{"a"}}), drawKey.Row([]answer.Cell{{"b", ""}, {}})),
			}}})
		case KindAck:
			out = append(out, Ack{3, []uint64{2, 3}, []uint64{41}})
		case KindPing:
			out = append(out, Ping{7, true})
		case KindGone:
			out = append(out, Gone{[]endpoint.ID{place.ID}})
		case KindHint:
			out = append(out, Hint{place})
		case KindRegister:
			out = append(out, Register{Version: Version, Incarnation: 1, Sequence: 2, Place: place, Name: "ws-1", Known: []uint64{8, 9}, BackwardLink: true})
		case KindRegistered:
			out = append(out, Registered{ComputerID: 5, Now: time.UnixMilli(1e12), Back: []endpoint.Place{place}, Questions: [][]byte{{1}}})
		case KindEnrol:
			out = append(out, Enrol{Version: Version, Secret: make([]byte, 32), Key: []byte{1}, Name: "ws-1"})
		case KindEnrolled:
			out = append(out, Enrolled{endpoint.ID{1}, 5, []byte{1}})
		default:
			panic(fmt.Sprintf("no sample of kind %d", kind))
		}
	}
	return out
}
