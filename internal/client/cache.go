package client

import (
	"context"
	"sync"
	"time"
)

// cacheMax bounds the sensor answers that a client keeps. The oldest goes.
const cacheMax = 256

// A cache keeps each sensor's last answer while it is fresh, and lets several
// questions at a time wait for one computation.
type cache struct {
	mu      sync.Mutex // guards the fields below
	entries map[string]*entry
}

type entry struct {
	done chan struct{} // closed when rows, err and at are set
	rows [][]string
	err  error
	at   time.Time // when it was computed; zero while it is not
}

func newCache() *cache { return &cache{entries: map[string]*entry{}} }

// get returns the answer under the key if it is no older than maxAge, or
// computes it. A failure is told to everyone who waits for it and is not kept.
func (c *cache) get(ctx context.Context, key string, maxAge time.Duration, compute func() ([][]string, error)) ([][]string, error) {
	c.mu.Lock()
	e := c.entries[key]
	if e == nil || !e.at.IsZero() && time.Since(e.at) > maxAge {
		e = c.start(key)
		c.mu.Unlock()
		rows, err := compute()
		c.mu.Lock()
		e.rows, e.err, e.at = rows, err, time.Now()
		if err != nil && c.entries[key] == e {
			delete(c.entries, key)
		}
		c.mu.Unlock()
		close(e.done)
		return rows, err
	}
	c.mu.Unlock()
	select {
	case <-e.done:
		return e.rows, e.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// len is the number of answers that are kept or being computed.
func (c *cache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

// start makes room and an entry that is being computed.
func (c *cache) start(key string) *entry {
	if len(c.entries) >= cacheMax {
		oldest := ""
		for k, e := range c.entries {
			if !e.at.IsZero() && (oldest == "" || e.at.Before(c.entries[oldest].at)) {
				oldest = k
			}
		}
		delete(c.entries, oldest)
	}
	e := &entry{done: make(chan struct{})}
	c.entries[key] = e
	return e
}
