package api

import (
	"container/list"
	"time"
)

// recent is a map of entries that were used lately. An entry that was not
// touched for its life is gone; when the map is full, the one that was not
// touched for longest makes room. It has no lock of its own.
type recent[K comparable, V any] struct {
	max     int
	life    time.Duration
	entries map[K]*list.Element // of *entry[K, V]
	order   *list.List          // the longest untouched in front
	gone    func(V)             // called of each entry that goes; nil: nobody wants to know
}

type entry[K comparable, V any] struct {
	key     K
	value   V
	touched time.Time
}

func newRecent[K comparable, V any](max int, life time.Duration) recent[K, V] {
	return recent[K, V]{max: max, life: life, entries: map[K]*list.Element{}, order: list.New()}
}

// get returns the value of k without touching it.
func (r *recent[K, V]) get(now time.Time, k K) (v V, ok bool) {
	r.expire(now)
	if el := r.entries[k]; el != nil {
		return el.Value.(*entry[K, V]).value, true
	}
	return v, false
}

// set gives k a value and touches it.
func (r *recent[K, V]) set(now time.Time, k K, v V) {
	r.expire(now)
	if el := r.entries[k]; el != nil {
		e := el.Value.(*entry[K, V])
		e.value, e.touched = v, now
		r.order.MoveToBack(el)
		return
	}
	if len(r.entries) >= r.max {
		r.remove(r.order.Front())
	}
	r.entries[k] = r.order.PushBack(&entry[K, V]{k, v, now})
}

// drop removes k if it is there.
func (r *recent[K, V]) drop(k K) {
	if el := r.entries[k]; el != nil {
		r.remove(el)
	}
}

// dropIf removes every entry whose value is chosen.
func (r *recent[K, V]) dropIf(chosen func(V) bool) {
	for el := r.order.Front(); el != nil; {
		next := el.Next()
		if chosen(el.Value.(*entry[K, V]).value) {
			r.remove(el)
		}
		el = next
	}
}

func (r *recent[K, V]) expire(now time.Time) {
	for el := r.order.Front(); el != nil && now.Sub(el.Value.(*entry[K, V]).touched) >= r.life; el = r.order.Front() {
		r.remove(el)
	}
}

func (r *recent[K, V]) remove(el *list.Element) {
	e := r.order.Remove(el).(*entry[K, V])
	delete(r.entries, e.key)
	if r.gone != nil {
		r.gone(e.value)
	}
}
