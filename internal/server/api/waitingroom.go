package api

import (
	"net/netip"
	"sync"
	"time"

	"catenary/internal/server/store"
)

// waitingMax bounds what people have begun and not ended, in each room: more than
// sign in at one time where a whole company begins its day, and some megabytes.
const waitingMax = 10_000

// A room keeps what people have begun who come back with a string that nobody else
// knows, at an identity provider or with a passkey. Nobody has said yet who they
// are: when the room is full, the network that has begun most of what is there
// loses the oldest of it, so that no address can push out the people of others.
type room[V any] struct {
	mu   sync.Mutex // guards the fields below
	all  recent[store.Hash, begun[V]]
	from map[netip.Prefix]int // how many a network has begun
}

type begun[V any] struct {
	from netip.Prefix
	what V
}

func newRoom[V any](life time.Duration) *room[V] {
	r := &room[V]{all: newRecent[store.Hash, begun[V]](waitingMax, life), from: map[netip.Prefix]int{}}
	r.all.gone = func(b begun[V]) {
		if r.from[b.from]--; r.from[b.from] == 0 {
			delete(r.from, b.from)
		}
	}
	return r
}

// enter keeps what somebody at an address has begun, and will come back to with
// the string.
func (r *room[V]) enter(now time.Time, addr netip.Addr, str string, what V) {
	network := from("", addr).from
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.expire(now)
	r.from[network]++
	if len(r.all.entries) >= r.all.max {
		r.makeRoom()
	}
	r.all.set(now, store.HashOf(str), begun[V]{network, what})
}

// makeRoom lets go of the oldest of a network that has most.
func (r *room[V]) makeRoom() {
	most := 0
	for _, n := range r.from {
		most = max(most, n)
	}
	for el := r.all.order.Front(); el != nil; el = el.Next() {
		if r.from[el.Value.(*entry[store.Hash, begun[V]]).value.from] == most {
			r.all.remove(el)
			return
		}
	}
}

// leave returns what was begun, and forgets it: each string is good for once.
func (r *room[V]) leave(now time.Time, str string) (what V, ok bool) {
	h := store.HashOf(str)
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.all.get(now, h)
	r.all.drop(h)
	return b.what, ok
}
