package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

// TestRoundTrip: whatever an honest sender says arrives as it was said, and
// has one encoding only (docs/protocol.md §2).
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		frame := Append(nil, m)
		n, err := FrameSize([4]byte(frame))
		if err != nil || n != len(frame)-4 || Kind(frame[4]) != m.Kind() {
			t.Fatalf("frame of %d bytes: length %d, kind %d, %v", len(frame), n, frame[4], err)
		}
		got, err := Decode(frame[4:])
		if err != nil {
			t.Fatalf("%#v does not decode: %v", m, err)
		}
		if d := diff(m, got); d != "" {
			t.Fatalf("%T arrives changed (-sent +got):\n%s", m, d)
		}
		if again := Append(nil, got); !bytes.Equal(again, frame) {
			t.Fatalf("%x is encoded again as %x", frame, again)
		}
		if joined := Append([]byte("before"), m); !bytes.Equal(joined[6:], frame) || string(joined[:6]) != "before" {
			t.Fatalf("%T is encoded in another way behind other bytes", m)
		}
	})
}

func TestLetterRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLetter(t)
		got, err := DecodeLetter(l.Append(nil))
		if err != nil {
			t.Fatalf("%#v does not decode: %v", l, err)
		}
		if d := diff(l, got); d != "" {
			t.Fatalf("letter arrives changed (-sent +got):\n%s", d)
		}
	})
}

// unknown is one field of each wire type that no message has.
func unknown() []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 100, protowire.VarintType), 1<<60)
	b = protowire.AppendFixed32(protowire.AppendTag(b, 101, protowire.Fixed32Type), 1)
	b = protowire.AppendFixed64(protowire.AppendTag(b, 102, protowire.Fixed64Type), 2)
	b = protowire.AppendString(protowire.AppendTag(b, 103, protowire.BytesType), "news")
	b = protowire.AppendTag(b, 104, protowire.StartGroupType)
	b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), 3)
	return protowire.AppendTag(b, 104, protowire.EndGroupType)
}

// TestUnknownFieldsAreSkipped: a newer client may say more than we know,
// before and after what we know.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	for _, m := range sample() {
		known := body(t, Append(nil, m))
		b := append([]byte{known[0]}, unknown()...)
		b = append(b, known[1:]...)
		b = append(b, unknown()...)
		if d := diff(mustDecode(t, known), mustDecode(t, b)); d != "" {
			t.Errorf("%T with unknown fields (-without +with):\n%s", m, d)
		}
	}
	l := Letter{Question: 1, Issued: time.UnixMilli(1e12), Life: 2e9, Hold: 1e9, Limit: 1e9, Plan: []byte{1}}
	if got, err := DecodeLetter(append(unknown(), l.Append(nil)...)); err != nil || got.Question != 1 {
		t.Errorf("letter with unknown fields: %+v, %v", got, err)
	}
}

func TestUnknownKindsAreSkipped(t *testing.T) {
	for kind := range 256 {
		if _, known := decoders[Kind(kind)]; known {
			continue
		}
		if m, err := Decode([]byte{byte(kind), 0xff, 0xff}); m != nil || err != nil {
			t.Errorf("kind %d: %v, %v; want nothing", kind, m, err)
		}
	}
}

// TestWrongWireTypes: a known field in an unknown shape is an error, not a
// zero value.
func TestWrongWireTypes(t *testing.T) {
	shapes := map[protowire.Type]func([]byte) []byte{
		protowire.VarintType:  func(b []byte) []byte { return protowire.AppendVarint(b, 1) },
		protowire.Fixed64Type: func(b []byte) []byte { return protowire.AppendFixed64(b, 1) },
		protowire.BytesType:   func(b []byte) []byte { return protowire.AppendBytes(b, []byte{1}) },
		protowire.Fixed32Type: func(b []byte) []byte { return protowire.AppendFixed32(b, 1) },
	}
	last := map[Kind]protowire.Number{
		KindHello: 4, KindHelloOK: 1, KindRefused: 2, KindQuestion: 1, KindAnswer: 12, KindAck: 1,
		KindRegister: 21, KindRegistered: 26, KindEnrol: 4, KindEnrolled: 3,
	}
	free := map[Kind][]protowire.Number{KindRegister: {12, 19}, KindRegistered: {5, 6, 17, 18, 19}}
	for kind, decode := range decoders {
		for num := protowire.Number(1); num <= last[kind]; num++ {
			if slices.Contains(free[kind], num) {
				continue
			}
			refused := 0
			for typ, put := range shapes {
				_, err := decode(put(protowire.AppendTag(nil, num, typ)))
				if err == nil {
					continue
				}
				refused++
				named := strings.Contains(err.Error(), fmt.Sprintf("field %d: ", num))
				if !named && kind != KindQuestion && kind != KindAnswer { // these two judge the whole
					t.Errorf("kind %d field %d: %q does not name the field", kind, num, err)
				}
			}
			if refused < len(shapes)-1 {
				t.Errorf("kind %d field %d: only %d of %d shapes are refused", kind, num, refused, len(shapes))
			}
		}
	}
}

// TestTruncated: no proper beginning of a message reads as something else than
// a message that says less.
func TestTruncated(t *testing.T) {
	for _, m := range sample() {
		b := body(t, Append(nil, m))
		for n := range len(b) {
			got, err := Decode(b[:n])
			if err == nil && got != nil && len(Append(nil, got)) > n+4+1 {
				t.Errorf("the first %d of %d bytes of a %T decode to %+v", n, len(b), m, got)
			}
		}
		if _, err := Decode(append(bytes.Clone(b), 0x0a, 0x05, 1)); err == nil {
			t.Errorf("a %T that breaks off in a field decodes", m)
		}
	}
	if _, err := Decode(nil); err == nil {
		t.Error("no bytes decode")
	}
}
