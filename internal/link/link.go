// Package link is a TLS connection that carries wire messages: framing, bounded
// queues, and who may be at the other end (docs/protocol.md §1).
package link

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"catenary/internal/wire"
)

const (
	readBuffer = 4 << 10 // bytes; most frames are smaller, larger ones bypass it
	// queueMax bounds what waits for a slow neighbour, in bytes: four answers
	// at their limit. A neighbour that lets more pile up loses its link.
	queueMax = 4 << 20
	// writeTimeout: a neighbour that takes no byte for so long is gone.
	writeTimeout = 10 * time.Second
	// quickFrameMax bounds a frame before the other side has proved who it is.
	quickFrameMax = 16 << 10
)

// ErrSlow is why a link closes whose neighbour does not read.
var ErrSlow = errors.New("neighbour reads too slowly")

// LogLevel is how much the end of a connection matters: that the other side
// went away is usual (a client abandons dials when a nearer neighbour knocks),
// anything else is worth a line.
func LogLevel(err error) slog.Level {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// A Link is one connection. Send may be called by any goroutine; Read by one
// at a time; Run starts sending what was queued.
type Link struct {
	conn net.Conn
	in   *bufio.Reader
	seen atomic.Int64 // bytes read
	sent atomic.Int64 // bytes written

	heard wire.Dictionary // rows that have come; Read's

	mu     sync.Mutex      // guards the fields below
	said   wire.Dictionary // rows that have gone, or are in queue
	queue  []byte          // frames to be written
	closed bool
	wake   chan struct{} // holds one token when there is something to do
}

// New returns a link over an established connection.
func New(conn net.Conn) *Link {
	return &Link{conn: conn, in: bufio.NewReaderSize(conn, readBuffer), wake: make(chan struct{}, 1)}
}

// Close closes the connection. It may be called more than once.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.nudge()
	return l.conn.Close()
}

// RemoteAddr is the other end's address.
func (l *Link) RemoteAddr() net.Addr { return l.conn.RemoteAddr() }

// Bytes returns how many bytes of frames have come and gone.
func (l *Link) Bytes() (in, out int64) { return l.seen.Load(), l.sent.Load() }

// Read returns the next message whose kind is known.
func (l *Link) Read() (wire.Message, error) { return l.read(wire.FrameMax) }

func (l *Link) read(max int) (wire.Message, error) {
	for {
		var head [4]byte
		if _, err := io.ReadFull(l.in, head[:]); err != nil {
			return nil, err
		}
		n, err := wire.FrameSize(head)
		if err != nil {
			return nil, err
		}
		if n > max {
			return nil, fmt.Errorf("frame of %d bytes; the limit is %d here", n, max)
		}
		b := make([]byte, n) // kept by the message
		if _, err := io.ReadFull(l.in, b); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF // the length has come already
			}
			return nil, err
		}
		l.seen.Add(int64(n) + 4)
		m, err := l.heard.Decode(b)
		if err != nil || m != nil {
			return m, err
		}
	}
}

// Expect reads one message of type M before the deadline passes, as long as
// the other side has not been accepted; a refusal by the other side is
// returned as an error of type [*RefusedError].
func Expect[M wire.Message](l *Link, within time.Duration) (M, error) {
	var none M
	if err := l.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return none, err
	}
	m, err := l.read(expectMax[M]())
	if err != nil {
		return none, err
	}
	switch m := m.(type) {
	case M:
		return m, l.conn.SetReadDeadline(time.Time{})
	case wire.Refused:
		return none, &RefusedError{m}
	}
	return none, fmt.Errorf("a %T came where a %T was expected", m, none)
}

// expectMax lets only a registration's reply, which comes from the server
// over a verified connection, be large.
func expectMax[M wire.Message]() int {
	var m M
	if _, ok := any(m).(wire.Registered); ok {
		return wire.FrameMax
	}
	return quickFrameMax
}

// A RefusedError is the other side's refusal.
type RefusedError struct{ wire.Refused }

func (e *RefusedError) Error() string { return "refused: " + e.Text }

// Write sends a message at once, before Run has begun or instead of it, and
// before it what has been queued: frames leave in the order of their encoding.
func (l *Link) Write(m wire.Message, within time.Duration) error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	l.mu.Lock()
	b := l.said.Append(l.queue, m)
	l.queue = nil
	l.mu.Unlock()
	l.sent.Add(int64(len(b)))
	_, err := l.conn.Write(b)
	return err
}

// Send queues a message. It never blocks; it fails, and closes the link, if
// the neighbour has let too much pile up.
func (l *Link) Send(m wire.Message) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return net.ErrClosed
	}
	l.queue = l.said.Append(l.queue, m)
	full := len(l.queue) > queueMax
	l.mu.Unlock()
	if full {
		return errors.Join(ErrSlow, l.Close())
	}
	l.nudge()
	return nil
}

func (l *Link) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run writes what is queued and hands each message that comes in to receive,
// until the link breaks, is closed, or ctx ends. It closes the link before it
// returns, and returns why.
func (l *Link) Run(ctx context.Context, receive func(wire.Message)) error {
	stop := context.AfterFunc(ctx, func() { l.conn.Close() })
	defer stop()
	var writer sync.WaitGroup
	var writeErr error
	writer.Go(func() {
		if writeErr = l.write(); writeErr != nil {
			l.conn.Close() // ends the reading below
		}
	})
	var readErr error
	for {
		var m wire.Message
		if m, readErr = l.Read(); readErr != nil {
			break
		}
		receive(m)
	}
	closeErr := l.Close()
	writer.Wait()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case writeErr != nil:
		return writeErr
	case readErr != nil:
		return readErr
	}
	return closeErr
}

// write is the writer goroutine: all that is queued goes out in one record.
func (l *Link) write() error {
	var spare []byte
	for range l.wake {
		l.mu.Lock()
		b, closed := l.queue, l.closed
		l.queue = spare[:0]
		l.mu.Unlock()
		if closed {
			return nil
		}
		if len(b) > 0 {
			if err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
				return err
			}
			if _, err := l.conn.Write(b); err != nil {
				return err
			}
			l.sent.Add(int64(len(b)))
		}
		if spare = b[:0]; cap(spare) > readBuffer*4 {
			spare = nil // one large answer must not cost its size for ever
		}
	}
	return nil
}
