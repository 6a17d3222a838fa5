package link

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"catenary/internal/wire"
)

// tlsPair returns both ends of a link as it is in production.
func tlsPair(t testing.TB) (dialled, accepted *Link) {
	ca := newAuthority(t)
	trust := Trust{Installation: installation, Authority: ca.cert}
	mine := ca.client(bert)
	a, b, errA, errB := handshake(t, trust.ToPeer(ca.client(ann), bert), trust.FromPeers(func() *tls.Certificate { return mine }))
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	return New(a), New(b)
}

// settle waits until no more goroutines than before are left.
func settle(t *testing.T, before int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for runtime.NumGoroutine() > before {
		if ctx.Err() != nil {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines are left, %d were there before:\n%s",
				runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}

// TestOverTLS: many messages both ways at once over a real connection, from
// several goroutines, arrive whole and in each sender's order; and nothing is
// left when the context ends.
func TestOverTLS(t *testing.T) {
	const senders, each = 4, 1500
	a, b := tlsPair(t)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	var served, sent sync.WaitGroup
	var all sync.WaitGroup // of the messages that have arrived
	all.Add(2 * senders * each)
	last := [2][senders]uint64{}
	for i, l := range []*Link{a, b} {
		served.Go(func() {
			err := l.Run(ctx, func(m wire.Message) {
				seq := m.(wire.Ack).Seq
				if who := seq % senders; seq/senders != last[i][who]+1 {
					t.Errorf("sender %d: message %d came after %d", who, seq/senders, last[i][who])
				}
				last[i][seq%senders] = seq / senders
				all.Done()
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Run ended with %v", err)
			}
		})
		for who := range uint64(senders) {
			sent.Go(func() {
				for n := range uint64(each) {
					if err := l.Send(wire.Ack{Seq: (n+1)*senders + who}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	sent.Wait()
	all.Wait()
	cancel()
	served.Wait()
	settle(t, before)
}

// TestVanishingNeighbour: a process that dies takes its link with it at once.
func TestVanishingNeighbour(t *testing.T) {
	a, b := tlsPair(t)
	before := runtime.NumGoroutine()
	r := run(t.Context(), a)
	if err := b.conn.(*tls.Conn).NetConn().Close(); err != nil {
		t.Fatal(err)
	}
	<-r.done
	if r.err == nil {
		t.Error("Run ended without a reason")
	}
	if err := a.Send(wire.Ack{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send afterwards: %v", err)
	}
	settle(t, before)
}

// TestSlowOverTLS: also where the system's buffers take some megabytes first,
// a neighbour that does not read loses its link, and Send never waits for it.
func TestSlowOverTLS(t *testing.T) {
	a, b := tlsPair(t)
	before := runtime.NumGoroutine()
	r := run(t.Context(), a)
	m := wire.Question{Sealed: make([]byte, wire.SealedMax)}
	var err error
	var longest time.Duration
	for n := 0; err == nil && n < 1000; n++ {
		begin := time.Now()
		err = a.Send(m)
		longest = max(longest, time.Since(begin))
	}
	if !errors.Is(err, ErrSlow) {
		t.Fatalf("Send ended with %v, want %v", err, ErrSlow)
	}
	<-r.done
	if r.err == nil || longest > writeTimeout/2 {
		t.Errorf("Run ended with %v; one Send took %v", r.err, longest)
	}
	b.Close()
	settle(t, before)
}

// TestMalformedOverTLS: bytes that are no frame end the link of who sent them.
func TestMalformedOverTLS(t *testing.T) {
	a, b := tlsPair(t)
	before := runtime.NumGoroutine()
	r := run(t.Context(), a)
	if _, err := b.conn.Write(append(wire.Append(nil, wire.Ack{Seq: 1}), "GET / HTTP/1.1\r\n"...)); err != nil {
		t.Fatal(err)
	}
	<-r.done
	if !same(r.got, acks(1, 2)) || r.err == nil {
		t.Errorf("%v came, then %v", r.got, r.err)
	}
	if m, err := b.Read(); err == nil {
		t.Errorf("the sender of a malformed frame read %v", m)
	}
	settle(t, before)
}

// BenchmarkHop is a message from one end of a link to the other and back.
func BenchmarkHop(b *testing.B) {
	near, far := tlsPair(b)
	back := make(chan wire.Message)
	go near.Run(b.Context(), func(m wire.Message) { back <- m })
	go far.Run(b.Context(), func(m wire.Message) {
		if err := far.Send(m); err != nil {
			b.Error(err)
		}
	})
	m := wire.Question{Sealed: make([]byte, 1<<10)}
	b.SetBytes(2 << 10)
	for b.Loop() {
		if err := near.Send(m); err != nil {
			b.Fatal(err)
		}
		<-back
	}
}
