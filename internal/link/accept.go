package link

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// acceptPause lets others go first when no connection can be accepted, as when
// the process is out of descriptors.
const acceptPause = 100 * time.Millisecond

// Accept serves the connections that come in at ln, each in a goroutine of
// workers, until ctx ends or ln is closed. At most so many may be unproven at
// once, further ones are closed: serve calls proved when it knows who is at the
// other end, or has given up. It owns the connection.
func Accept(ctx context.Context, ln *net.TCPListener, unproven int, workers *sync.WaitGroup, log *slog.Logger, serve func(raw *net.TCPConn, proved func())) {
	// A listener that was closed cannot be opened again; a deadline can be
	// lifted, for who accepts again later.
	stop := context.AfterFunc(ctx, func() {
		if err := ln.SetDeadline(time.Now()); err != nil && !errors.Is(err, net.ErrClosed) {
			log.Error("cannot stop accepting", "because", err)
		}
	})
	defer stop()
	slots := make(chan struct{}, unproven)
	for {
		raw, err := ln.AcceptTCP()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				raw.Close()
			}
			return
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			log.Error("cannot accept a connection", "because", err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			raw.Close()
			continue
		}
		workers.Go(func() { serve(raw, sync.OnceFunc(func() { <-slots })) })
	}
}
