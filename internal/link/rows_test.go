package link

import (
	"bytes"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/answer"
	"catenary/internal/wire"
)

// programs is an answer with the rows of numbers from … to-1.
func programs(seq uint64, from, to int) wire.Message {
	var rows []answer.Row
	for i := from; i < to; i++ {
		rows = append(rows, answer.Key{}.Row([]answer.Cell{{fmt.Sprintf("program %d %s", i, strings.Repeat("x", 40))}}))
	}
	return wire.Answer{Report: answer.Report{Seq: seq, Question: seq, Bundle: answer.Bundle{
		Question: seq, Set: answer.SetOf(1), Rows: answer.RowsOf(answer.ChainLimits, rows...),
	}}}
}

// TestRowsCrossOnce: a link says a row's cells once in each direction, however
// its messages pile up; the next link begins anew.
func TestRowsCrossOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair()
		ra, rb := run(t.Context(), a), run(t.Context(), b)
		var said []wire.Message
		bytes := func(m wire.Message) int64 {
			_, before := a.Bytes()
			sendAll(t, a, []wire.Message{m})
			synctest.Wait()
			_, after := a.Bytes()
			said = append(said, m)
			return after - before
		}
		first, again := bytes(programs(1, 0, 1000)), bytes(programs(2, 0, 1000))
		if first < 60_000 || again > 6_100 {
			t.Errorf("%d bytes for 1000 rows, %d for the same again", first, again)
		}
		for i := range 20 { // no Wait: they pile up
			m := programs(uint64(3+i), i*100, i*100+500)
			sendAll(t, a, []wire.Message{m, wire.Ack{Seq: uint64(i)}})
			said = append(said, m, wire.Ack{Seq: uint64(i)})
		}
		sendAll(t, b, said[:2])
		synctest.Wait()
		if !reflect.DeepEqual(rb.got, said) || !reflect.DeepEqual(ra.got, said[:2]) {
			t.Errorf("%d messages came, and %d back; not those that were sent", len(rb.got), len(ra.got))
		}
		if _, back := b.Bytes(); back != first+again {
			t.Errorf("%d bytes back, want %d: another direction", back, first+again)
		}
		a.Close()
		<-ra.done
		<-rb.done
		a, b = pair()
		ra, rb = run(t.Context(), a), run(t.Context(), b)
		if n := bytes(programs(2, 0, 1000)); n != first {
			t.Errorf("%d bytes on the next link, want %d", n, first)
		}
		a.Close()
		<-ra.done
		<-rb.done
	})
}

// TestWriteKeepsOrder: what is written at once leaves behind what was queued,
// to which it refers.
func TestWriteKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		a, b := New(near), New(far)
		rb := run(t.Context(), b)
		want := []wire.Message{programs(1, 0, 10), programs(2, 5, 15), programs(3, 0, 15)}
		sendAll(t, a, want[:1])
		if err := a.Write(want[1], time.Second); err != nil {
			t.Fatal(err)
		}
		ra := run(t.Context(), a)
		sendAll(t, a, want[2:])
		synctest.Wait()
		if !reflect.DeepEqual(rb.got, want) {
			t.Errorf("came %v (%v)", rb.got, rb.err)
		}
		a.Close()
		<-ra.done
		<-rb.done
	})
}

// TestSendersShareALink: whoever sends at the same time, each frame is encoded
// after those before it on the wire.
func TestSendersShareALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair()
		ra, rb := run(t.Context(), a), run(t.Context(), b)
		done := make(chan error, 8)
		for i := range 8 {
			go func() {
				var err error
				for j := range 20 {
					if err == nil {
						err = a.Send(programs(uint64(100*i+j), 10*j, 10*j+30))
					}
				}
				done <- err
			}()
		}
		for range 8 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		seqs := map[uint64]bool{}
		for _, m := range rb.got {
			seq := m.(wire.Answer).Seq
			j := int(seq % 100)
			if !bytes.Equal(wire.Append(nil, m), wire.Append(nil, programs(seq, 10*j, 10*j+30))) {
				t.Fatalf("answer %d has come changed", seq)
			}
			seqs[seq] = true
		}
		if len(seqs) != 160 || rb.err != nil {
			t.Errorf("%d answers came (%v)", len(seqs), rb.err)
		}
		a.Close()
		<-ra.done
		<-rb.done
	})
}

// TestIdleLinkIsSmall: what a link remembers of rows costs nothing until rows
// cross it.
func TestIdleLinkIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair()
		ra, rb := run(t.Context(), a), run(t.Context(), b)
		sendAll(t, a, slices.Concat(acks(1, 50), []wire.Message{programs(1, 0, 0)}))
		synctest.Wait()
		a.Close()
		<-ra.done
		<-rb.done
		if !reflect.DeepEqual([]wire.Dictionary{a.said, a.heard, b.said, b.heard}, make([]wire.Dictionary, 4)) {
			t.Error("something is kept")
		}
	})
}
