package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"catenary/internal/fault"
)

const (
	// openMax bounds the body, in bytes, of who has not said yet who he is.
	openMax = 64 << 10
	// largeMax is how many requests whose body is larger than bodyMax are served
	// at once: an import of importMax takes four times its size while it is read.
	largeMax  = 3
	largeWait = 20 * time.Second // for one of these places; then who asks had better come again
)

// A place is one of a few that requests with large bodies need, from when their
// body turns out to be large until they are answered.
type place struct {
	free chan struct{} // holds a token for each place that is taken
	held bool
}

// take waits for a place. Who has none to wait for (nil) may go on.
func (p *place) take(ctx context.Context) error {
	if p == nil || p.held {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, largeWait)
	defer cancel()
	select {
	case p.free <- struct{}{}:
		p.held = true
		return nil
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "too many large requests at once: try again later")
	}
}

func (p *place) leave() {
	if p.held {
		p.held = false
		<-p.free
	}
}

// readBody returns the request's body, whatever its Content-Type says: old
// programs say nothing, or something wrong.
func readBody(w http.ResponseWriter, c call, max int64) ([]byte, error) {
	from := http.MaxBytesReader(w, c.Body, max)
	b, err := io.ReadAll(io.LimitReader(from, bodyMax+1))
	if err == nil && len(b) > bodyMax {
		b, err = readRest(w, c, b, from, max)
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, refusal{http.StatusRequestEntityTooLarge, fault.New(fault.Invalid, "the body is larger than %d bytes", tooLarge.Limit)}
	}
	if fault.KindOf(err) == fault.Unavailable {
		return nil, err
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "the body could not be read: %w", err)
	}
	return b, nil
}

// readRest reads on behind the beginning of a large body.
func readRest(w http.ResponseWriter, c call, begun []byte, from io.Reader, max int64) ([]byte, error) {
	if err := c.large.take(c.Context()); err != nil {
		return nil, err
	}
	// The time that passed in waiting was not the sender's.
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	whole := bytes.NewBuffer(begun)
	if rest := min(c.ContentLength, max) - int64(len(begun)); rest > 0 {
		whole.Grow(int(rest) + bytes.MinRead)
	}
	_, err := whole.ReadFrom(from)
	return whole.Bytes(), err
}
