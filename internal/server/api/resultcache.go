package api

import (
	"strconv"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/resultset"
)

const (
	keptOfOne = 8         // sets that are kept for one user; the longest unused makes room
	keptMax   = 64        // sets that are kept at once
	keptBytes = 512 << 20 // of their texts together; those of one answer may be 130 MB
	keptFirst = 1 << 40   // numbers tell them from those of lists
	madeMax   = 4         // sets that were made a moment ago, 13 MB each if it has 200,000 rows
	madeFor   = 10 * time.Second
)

// resultSets that somebody pages through stay as they were, however the answer
// grows; and those that were just made serve everybody who asks for the same.
type keptSets struct {
	mu    sync.Mutex // guards the fields below
	last  int64
	byID  map[int64]*keptSet
	bytes int
	made  recent[setKey, *resultset.Set]
}

// A setKey tells sets apart that were made of the same answer.
type setKey struct {
	question, version uint64
	computers         bool
	recent            int
	buckets           string
}

// keptOf is what a set is the answer to: a question, or a saved one.
type keptOf struct {
	question uint64
	saved    int64
}

func (r reading) keptOf() keptOf {
	if r.saved.id != 0 {
		return keptOf{saved: r.saved.id}
	}
	return keptOf{question: r.result.Question}
}

// A keptSet is one that somebody pages through.
type keptSet struct {
	id      int64
	user    int64
	reading reading
	set     *resultset.Set
	bytes   int
	life    time.Duration
	until   time.Time

	viewKey string // of the view that was last made of it
	view    *resultset.View
}

func (k *keptSet) number() string { return strconv.FormatInt(k.id, 10) }

func newKeptSets() *keptSets {
	return &keptSets{last: keptFirst, byID: map[int64]*keptSet{}, made: newRecent[setKey, *resultset.Set](madeMax, madeFor)}
}

func (c *keptSets) recent(now time.Time, key setKey) *resultset.Set {
	c.mu.Lock()
	defer c.mu.Unlock()
	set, _ := c.made.get(now, key)
	return set
}

func (c *keptSets) remember(now time.Time, key setKey, set *resultset.Set) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made.set(now, key, set)
}

// keep makes room for a set and keeps it.
func (c *keptSets) keep(now time.Time, user int64, r reading, set *resultset.Set, life time.Duration) *keptSet {
	k := &keptSet{user: user, reading: r, set: set, bytes: set.Size(), life: life, until: now.Add(life)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(now)
	for c.count(user) >= keptOfOne {
		c.drop(c.oldest(user))
	}
	for len(c.byID) > 0 && (len(c.byID) >= keptMax || c.bytes+k.bytes > keptBytes) {
		c.drop(c.oldest(0))
	}
	c.last++
	k.id = c.last
	c.byID[k.id] = k
	c.bytes += k.bytes
	return k
}

func (c *keptSets) expire(now time.Time) {
	for _, k := range c.byID {
		if !now.Before(k.until) {
			c.drop(k)
		}
	}
}

func (c *keptSets) count(user int64) (n int) {
	for _, k := range c.byID {
		if k.user == user {
			n++
		}
	}
	return n
}

// oldest is the set of a user, or of anybody, that would be the first to end.
func (c *keptSets) oldest(user int64) (first *keptSet) {
	for _, k := range c.byID {
		if (user == 0 || k.user == user) && (first == nil || k.until.Before(first.until)) {
			first = k
		}
	}
	return first
}

func (c *keptSets) drop(k *keptSet) {
	delete(c.byID, k.id)
	c.bytes -= k.bytes
}

// use returns a set that was kept for a user, and lets it live on; of is what it
// has to be the answer to, or nothing.
func (c *keptSets) use(now time.Time, user int64, of keptOf, id int64, life time.Duration) (*keptSet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(now)
	k := c.byID[id]
	if k == nil || k.user != user || of != (keptOf{}) && k.reading.keptOf() != of {
		return nil, fault.New(fault.NotFound, "CacheNotFound: the cache %d has expired, or never was one of this question: ask again without cache_id, and with cache_expiration", id)
	}
	if life > 0 {
		k.life = life
	}
	k.until = now.Add(k.life)
	return k, nil
}

// viewOf returns the view that was last made of a kept set, if it is the wanted
// one.
func (c *keptSets) viewOf(k *keptSet, key string) *resultset.View {
	if k == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.viewKey != key {
		return nil
	}
	return k.view
}

func (c *keptSets) setView(k *keptSet, key string, v *resultset.View) {
	if k == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k.viewKey, k.view = key, v
}
