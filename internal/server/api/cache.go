package api

import (
	"container/list"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/people"
	"catenary/internal/server/rights"
)

const (
	cachesOfOne    = 10      // lists that are kept for one user; the longest unused makes room
	cachesMax      = 1000    // lists that are kept at once
	cachedRowsMax  = 500_000 // rows of all kept lists together; some hundred bytes each
	cacheFirstID   = 1_000_000
	cacheIsMissing = "the cache %d has expired, or never was one of this list: ask again without cache_id, and with cache_expiration"
)

func cacheNotFound(id int64) error {
	return fault.New(fault.NotFound, "CacheNotFound: "+cacheIsMissing, id)
}

// A holder is for whom and of which list something is kept.
type holder struct {
	as     people.Identity
	path   string
	rights rights.Rights // with which the list was made: who has others now has lost it
	groups uint64        // version of the computer groups
}

// has reports whether what is kept for h is for somebody who asks now.
func (h holder) has(now holder, limited bool) bool {
	return h.as == now.as && h.path == now.path && h.rights.Equal(now.rights) && (!limited || h.groups == now.groups)
}

// caches keep lists as they were, so that the pages of one fit together.
type caches struct {
	mu     sync.Mutex // guards the fields below
	lastID int64
	order  *list.List // of *kept, the longest unused in front
	byID   map[int64]*list.Element
	rows   int
}

type kept struct {
	holder
	view view
	life time.Duration
}

func newCaches() *caches {
	// Numbers tell caches from what programs put into cache_id by mistake, as a
	// row number.
	return &caches{lastID: cacheFirstID, order: list.New(), byID: map[int64]*list.Element{}}
}

// weight is about how much memory a kept list takes.
func (k *kept) weight() int { return max(k.view.weight, k.view.len(), 1) }

// keep makes room for a list and returns it with the number to ask for it.
func (c *caches) keep(now time.Time, where holder, v *view, life time.Duration) *view {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	k := &kept{where, *v, life}
	k.view.id, k.view.expires = c.lastID, now.Add(life)
	c.makeRoom(now, k)
	c.byID[c.lastID] = c.order.PushBack(k)
	c.rows += k.weight()
	out := k.view
	return &out
}

// makeRoom drops what has expired, then what of the user is longest unused, then
// of anybody.
func (c *caches) makeRoom(now time.Time, k *kept) {
	own := 0
	for el := c.order.Front(); el != nil; {
		next := el.Next()
		old := el.Value.(*kept)
		switch {
		case !now.Before(old.view.expires):
			c.drop(el)
		case old.as.User == k.as.User:
			own++
		}
		el = next
	}
	for el := c.order.Front(); el != nil && own >= cachesOfOne; {
		next := el.Next()
		if el.Value.(*kept).as.User == k.as.User {
			c.drop(el)
			own--
		}
		el = next
	}
	for c.order.Len() > 0 && (c.order.Len() >= cachesMax || c.rows+k.weight() > cachedRowsMax) {
		c.drop(c.order.Front())
	}
}

func (c *caches) drop(el *list.Element) {
	k := c.order.Remove(el).(*kept)
	delete(c.byID, k.view.id)
	c.rows -= k.weight()
}

// use returns a list that was kept, and lets it live on.
func (c *caches) use(now time.Time, where holder, id int64, life time.Duration) (*view, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.byID[id]
	if el == nil {
		return nil, cacheNotFound(id)
	}
	k := el.Value.(*kept)
	if !now.Before(k.view.expires) {
		c.drop(el)
		return nil, cacheNotFound(id)
	}
	if !k.has(where, k.view.limited) { // nobody learns that somebody else has it
		return nil, cacheNotFound(id)
	}
	if life > 0 {
		k.life = life
	}
	k.view.expires = now.Add(k.life)
	c.order.MoveToBack(el)
	out := k.view
	return &out, nil
}

// forget drops a list that is kept.
func (c *caches) forget(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.byID[id]; el != nil {
		c.drop(el)
	}
}

// count is how many lists are kept.
func (c *caches) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}
