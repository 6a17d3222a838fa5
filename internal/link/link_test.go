package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/answer"
	"catenary/internal/wire"
)

// pair returns both ends of a connection in memory.
func pair() (*Link, *Link) {
	a, b := net.Pipe()
	return New(a), New(b)
}

// A running is a link that Run serves.
type running struct {
	got  []wire.Message
	err  error
	done chan struct{}
}

func run(ctx context.Context, l *Link) *running {
	r := &running{done: make(chan struct{})}
	go func() {
		r.err = l.Run(ctx, func(m wire.Message) { r.got = append(r.got, m) })
		close(r.done)
	}()
	return r
}

func acks(from, to uint64) []wire.Message {
	var out []wire.Message
	for seq := from; seq < to; seq++ {
		out = append(out, wire.Ack{Seq: seq})
	}
	return out
}

func same(a, b []wire.Message) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }

func sendAll(t *testing.T, l *Link, list []wire.Message) {
	t.Helper()
	for _, m := range list {
		if err := l.Send(m); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSendArrivesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair()
		ra, rb := run(t.Context(), a), run(t.Context(), b)
		sendAll(t, a, acks(1, 100))
		sendAll(t, b, acks(500, 600))
		synctest.Wait()
		sendAll(t, a, acks(100, 200))
		synctest.Wait()
		a.Close()
		<-ra.done
		<-rb.done
		if !same(rb.got, acks(1, 200)) || !same(ra.got, acks(500, 600)) {
			t.Errorf("%d messages and %d came, in another order or not at all", len(rb.got), len(ra.got))
		}
		inA, outA := a.Bytes()
		inB, outB := b.Bytes()
		if inA != outB || inB != outA || outA == 0 {
			t.Errorf("one end counts %d in and %d out, the other %d and %d", inA, outA, inB, outB)
		}
		if !errors.Is(rb.err, io.EOF) {
			t.Errorf("the other end heard of %v, want EOF", rb.err)
		}
	})
}

// A counted connection counts its writes.
type counted struct {
	net.Conn
	writes int
}

func (c *counted) Write(b []byte) (int, error) {
	c.writes++
	return c.Conn.Write(b)
}

// TestCoalescing: what has piled up leaves in one write, be it a thousand
// messages.
func TestCoalescing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := &counted{Conn: near}
		l := New(c)
		sendAll(t, l, acks(1, 1000))
		r := run(t.Context(), l)
		synctest.Wait() // the writer now waits for the other end to read
		sendAll(t, l, acks(1000, 2000))
		b := New(far)
		rb := run(t.Context(), b)
		synctest.Wait()
		if len(rb.got) != 1999 || c.writes != 2 {
			t.Errorf("%d messages came in %d writes, want 1999 in 2", len(rb.got), c.writes)
		}
		l.Close()
		<-r.done
		<-rb.done
	})
}

// TestSlowNeighbour: memory is bounded when nobody reads, and Send does not
// wait.
func TestSlowNeighbour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair()
		r := run(t.Context(), a)
		begin := time.Now()
		m := wire.Question{Sealed: make([]byte, 100<<10)}
		size, err := 0, error(nil)
		for err == nil {
			if err = a.Send(m); err == nil {
				size += len(m.Sealed)
			}
			if size > 3*queueMax {
				t.Fatalf("%d bytes wait, the limit is %d", size, queueMax)
			}
		}
		if !errors.Is(err, ErrSlow) {
			t.Errorf("%v, want %v", err, ErrSlow)
		}
		if size < queueMax-len(m.Sealed) {
			t.Errorf("only %d bytes may wait", size)
		}
		<-r.done
		if r.err == nil || time.Since(begin) != 0 {
			t.Errorf("Run ended with %v after %v", r.err, time.Since(begin))
		}
		if err := a.Send(m); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Send on a closed link: %v", err)
		}
		b.Close()
	})
}

func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair()
		begin := time.Now()
		r := run(t.Context(), a)
		sendAll(t, a, acks(1, 2))
		<-r.done
		if !errors.Is(r.err, os.ErrDeadlineExceeded) || time.Since(begin) != writeTimeout {
			t.Errorf("Run ended with %v after %v, want a timeout after %v", r.err, time.Since(begin), writeTimeout)
		}
		b.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		a, b := pair()
		begin := time.Now()
		if err := a.Write(wire.Ack{Seq: 1}, 3*time.Second); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != 3*time.Second {
			t.Errorf("Write ended with %v after %v", err, time.Since(begin))
		}
		a.Close()
		b.Close()
	})
}

func TestHowRunEnds(t *testing.T) {
	why := errors.New("the machine goes to sleep")
	for name, tt := range map[string]struct {
		end  func(near, far *Link, cancel context.CancelCauseFunc)
		want error
	}{
		"its context ends":      {func(_, _ *Link, cancel context.CancelCauseFunc) { cancel(why) }, why},
		"the other end closes":  {func(_, far *Link, _ context.CancelCauseFunc) { far.Close() }, io.EOF},
		"it is closed":          {func(near, _ *Link, _ context.CancelCauseFunc) { near.Close() }, io.ErrClosedPipe},
		"it is closed and more": {func(near, far *Link, _ context.CancelCauseFunc) { near.Close(); near.Close(); far.Close() }, io.ErrClosedPipe},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				near, far := pair()
				r := run(ctx, near)
				synctest.Wait()
				tt.end(near, far, cancel)
				<-r.done
				if !errors.Is(r.err, tt.want) {
					t.Errorf("Run: %v, want %v", r.err, tt.want)
				}
				if err := near.Send(wire.Ack{}); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Send after Run: %v", err)
				}
				far.Close()
			})
		})
	}
}

// TestMalformedFrame: a frame that cannot be read ends its own link, after
// what came before it and before what comes after; other links go on.
func TestMalformedFrame(t *testing.T) {
	good := wire.Append(nil, wire.Ack{Seq: 1})
	for name, tt := range map[string]struct {
		bad  []byte
		want string
	}{
		"no length":     {[]byte{0, 0, 0, 0}, "frame of 0 bytes"},
		"2 GiB":         {[]byte{0x80, 0, 0, 0, 1}, "frame of 2147483648 bytes"},
		"broken fields": {[]byte{0, 0, 0, 3, byte(wire.KindAck), 0x08, 0xff}, "message of kind 6"},
		"answer of nobody": {wire.Append(nil, wire.Answer{Report: answer.Report{
			Bundle: answer.Bundle{Tainted: true},
		}}), "rows of nobody"},
		"reference to nothing": {[]byte{0, 0, 0, 14, byte(wire.KindAnswer), 1 << 3, 1, 6<<3 | 2, 3, 1, 0, 0, 12<<3 | 2, 4, 2 << 3, 1, 4 << 3, 1}, "has not crossed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				a, b := pair()
				victim, other, sender := run(t.Context(), New(near)), run(t.Context(), a), run(t.Context(), b)
				go func() {
					far.Write(slices.Concat(good, tt.bad, good)) // breaks off when the link closes
				}()
				<-victim.done
				if !same(victim.got, acks(1, 2)) {
					t.Errorf("%v came before the frame", victim.got)
				}
				if victim.err == nil || !strings.Contains(victim.err.Error(), tt.want) {
					t.Errorf("the link ended with %v, want %q", victim.err, tt.want)
				}
				sendAll(t, b, acks(7, 8))
				synctest.Wait()
				if !same(other.got, acks(7, 8)) {
					t.Errorf("on the other link came %v", other.got)
				}
				a.Close()
				<-other.done
				<-sender.done
			})
		})
	}
}

// TestUnknownKinds: who stands between two newer clients does not mind what
// they say.
func TestUnknownKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		l := New(near)
		go far.Write(append([]byte{0, 0, 0, 4, 99, 1, 2, 3, 0, 0, 0, 1, 200}, wire.Append(nil, wire.Ack{Seq: 5})...))
		m, err := l.Read()
		if err != nil || !same([]wire.Message{m}, acks(5, 6)) {
			t.Errorf("read %v, %v", m, err)
		}
		if in, _ := l.Bytes(); in != 8+5+7 {
			t.Errorf("%d bytes came", in)
		}
		l.Close()
	})
}

func TestExpect(t *testing.T) {
	const within = 5 * time.Second
	frame := func(m wire.Message) []byte { return wire.Append(nil, m) }
	hello := wire.Hello{Version: wire.Version, Role: wire.Ahead}
	for name, tt := range map[string]struct {
		sent  []byte
		want  string // of the error
		after time.Duration
	}{
		"the message":       {frame(hello), "", 0},
		"behind unknown":    {append([]byte{0, 0, 0, 1, 99}, frame(hello)...), "", 0},
		"a refusal":         {frame(wire.Refused{Reason: wire.Nearer, Text: "no room"}), "refused: no room", 0},
		"another message":   {frame(wire.Ack{Seq: 1}), "a wire.Ack came where a wire.Hello was expected", 0},
		"nothing":           {nil, "timeout", within},
		"only a part":       {frame(hello)[:7], "timeout", within},
		"unknown for ever":  {[]byte{0, 0, 0, 1, 99}, "timeout", within},
		"a large frame":     {[]byte{0, 0, 0x40, 1, byte(wire.KindHello)}, "frame of 16385 bytes; the limit is 16384 here", 0},
		"a frame too large": {[]byte{0xff, 0xff, 0xff, 0xff}, "the limit is 1048576", 0},
		"a malformed frame": {[]byte{0, 0, 0, 2, byte(wire.KindHello), 0x08}, "message of kind 1", 0},
		"a frame of 16 KiB": {append([]byte{0, 0, 0x40, 0, 99}, make([]byte, 16<<10-1)...), "timeout", within},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				l := New(near)
				go far.Write(tt.sent) // breaks off when the link closes
				begin := time.Now()
				got, err := Expect[wire.Hello](l, within)
				if time.Since(begin) != tt.after {
					t.Errorf("took %v, want %v", time.Since(begin), tt.after)
				}
				switch {
				case tt.want == "" && (err != nil || !reflect.DeepEqual(got, hello)):
					t.Errorf("%v, %v", got, err)
				case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
					t.Errorf("%v, want %q", err, tt.want)
				}
				var refused *RefusedError
				if errors.As(err, &refused) != (name == "a refusal") || refused != nil && refused.Reason != wire.Nearer {
					t.Errorf("refusal %+v from %v", refused, err)
				}
				l.Close()
				far.Close()
			})
		})
	}
}

// TestExpectLiftsItsDeadline: a link that was greeted may then be silent for
// as long as it likes.
func TestExpectLiftsItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair()
		r := run(t.Context(), b)
		sendAll(t, b, []wire.Message{wire.HelloOK{Incarnation: 3}})
		if got, err := Expect[wire.HelloOK](a, time.Second); err != nil || got.Incarnation != 3 {
			t.Fatalf("%v, %v", got, err)
		}
		ra := run(t.Context(), a)
		<-time.After(24 * time.Hour)
		sendAll(t, b, acks(1, 2))
		synctest.Wait()
		if !same(ra.got, acks(1, 2)) {
			t.Errorf("after a day came %v (%v)", ra.got, ra.err)
		}
		a.Close()
		<-ra.done
		<-r.done
	})
}

// TestReplyMayBeLarge: only what the server says to a registration may be
// large before Run.
func TestReplyMayBeLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair()
		r := run(t.Context(), b)
		reply := wire.Registered{Now: time.UnixMilli(1), Questions: [][]byte{make([]byte, wire.SealedMax), make([]byte, wire.SealedMax)}}
		sendAll(t, b, []wire.Message{reply})
		got, err := Expect[wire.Registered](a, time.Second)
		if err != nil || len(got.Questions) != 2 {
			t.Errorf("%d questions, %v", len(got.Questions), err)
		}
		a.Close()
		<-r.done
	})
}

func TestLogLevel(t *testing.T) {
	for _, usual := range []error{io.EOF, net.ErrClosed, syscall.ECONNRESET, fmt.Errorf("read: %w", syscall.ECONNRESET)} {
		if got := LogLevel(usual); got != slog.LevelDebug {
			t.Errorf("%v is logged as %v", usual, got)
		}
	}
	for _, worth := range []error{ErrSlow, io.ErrUnexpectedEOF, os.ErrDeadlineExceeded, errors.New("frame of 0 bytes")} {
		if got := LogLevel(worth); got != slog.LevelInfo {
			t.Errorf("%v is logged as %v", worth, got)
		}
	}
}
