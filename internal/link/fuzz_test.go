package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"reflect"
	"runtime"
	"testing"
	"testing/iotest"
	"time"

	"catenary/internal/answer"
	"catenary/internal/wire"
)

// A source is a connection that only brings bytes.
type source struct {
	net.Conn
	io.Reader
}

func (s source) Read(b []byte) (int, error) { return s.Reader.Read(b) }

// readAll returns the messages of a stream and what ended it.
func readAll(r io.Reader) ([]wire.Message, int64, error) {
	l := New(source{Reader: r})
	var out []wire.Message
	for {
		m, err := l.Read()
		if err != nil {
			in, _ := l.Bytes()
			return out, in, err
		}
		out = append(out, m)
	}
}

// split is the framing in other words: how many bytes of whole frames that can
// be read a stream begins with, and what they say.
func split(b []byte) (messages []wire.Message, size int64) {
	var rows wire.Dictionary
	for len(b) >= 4 {
		n := int(binary.BigEndian.Uint32(b))
		if n == 0 || n > wire.FrameMax || len(b) < 4+n {
			return messages, size
		}
		size += int64(4 + n)
		m, err := rows.Decode(b[4 : 4+n])
		if err != nil {
			return messages, size
		}
		if m != nil {
			messages = append(messages, m)
		}
		b = b[4+n:]
	}
	return messages, size
}

// FuzzFrame: a stream of bytes gives the same messages in whatever pieces it
// comes, up to the first frame that cannot be read.
func FuzzFrame(f *testing.F) {
	var stream []byte
	for _, m := range []wire.Message{
		wire.Hello{Version: 1, Role: wire.Behind}, wire.HelloOK{Incarnation: 2}, wire.Question{Sealed: []byte("q")},
		wire.Answer{Report: answer.Report{Seq: 1, Question: 1, Bundle: answer.Bundle{Question: 1, Set: answer.SetOf(1, 2)}}}, wire.Ack{Seq: 1},
	} {
		f.Add(wire.Append(nil, m))
		stream = wire.Append(stream, m)
	}
	f.Add(append(stream, 0, 0, 0, 2, 99, 1))
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0, 0x10, 0, 1, 6})
	f.Fuzz(func(t *testing.T, b []byte) {
		want, size := split(b)
		for name, r := range map[string]io.Reader{
			"at once":         bytes.NewReader(b),
			"byte by byte":    iotest.OneByteReader(bytes.NewReader(b)),
			"with its end":    iotest.DataErrReader(bytes.NewReader(b)),
			"half and halves": iotest.HalfReader(bytes.NewReader(b)),
		} {
			got, in, err := readAll(r)
			if !reflect.DeepEqual(got, want) || in != size || err == nil {
				t.Fatalf("%s: %x gives %v (%d bytes, %v), want %v (%d bytes)", name, b, got, in, err, want, size)
			}
			if whole := int(size) == len(b); errors.Is(err, io.EOF) && !whole {
				t.Fatalf("%s: %x breaks off, but ends with %v", name, b, err)
			}
		}
	})
}

// TestTruncatedStream: a stream that breaks off inside a frame is told from
// one that ends.
func TestTruncatedStream(t *testing.T) {
	b := wire.Append(wire.Append(nil, wire.Ack{Seq: 1}), wire.Ack{Seq: 2})
	for n := range len(b) + 1 {
		got, _, err := readAll(bytes.NewReader(b[:n]))
		want := io.ErrUnexpectedEOF
		if n%(len(b)/2) == 0 {
			want = io.EOF
		}
		if len(got) != n/(len(b)/2) || err != want {
			t.Errorf("%d of %d bytes: %d messages, %v; want %v", n, len(b), len(got), err, want)
		}
	}
}

// TestLengthsAllocateNothing: whoever claims a large frame has to send it. The
// claim costs at most a frame at the limit, and nothing beyond it.
func TestLengthsAllocateNothing(t *testing.T) {
	for _, tt := range []struct {
		head []byte
		most uint64 // bytes
	}{
		{[]byte{0x80, 0, 0, 0}, 16 << 10},
		{[]byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3}, 16 << 10},
		{[]byte{0, 0x10, 0, 1}, 16 << 10},
		{[]byte{0, 0x10, 0, 0, 6, 1, 2}, wire.FrameMax + 16<<10},
	} {
		l := New(source{Reader: bytes.NewReader(tt.head)})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := l.Read()
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; err == nil || used > tt.most {
			t.Errorf("%x: %d bytes, want at most %d (%v)", tt.head, used, tt.most, err)
		}
	}
}

// A deaf connection takes deadlines and nothing else.
func (s source) SetReadDeadline(time.Time) error { return nil }

// TestUnprovenFramesAreSmall: before the other side has proved who it is, not
// even a frame at the limit is allocated.
func TestUnprovenFramesAreSmall(t *testing.T) {
	l := New(source{Reader: bytes.NewReader([]byte{0, 0x10, 0, 0, 1})})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Expect[wire.Hello](l, time.Second)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; err == nil || used > 16<<10 {
		t.Errorf("%d bytes (%v)", used, err)
	}
}
