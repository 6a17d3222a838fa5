package sensor

import "slices"

// fan is how many branches a table has at each of its two levels. With 10,000
// sensors two or three share a leaf; what a change copies is the same with ten.
const fan = 64

// A table is a map of which a changed copy shares almost everything with what it
// was made from. It does not change once nobody holds the edit it was made with.
type table[K comparable, V any] struct {
	hash func(K) uint32
	root *branch[K, V]
}

// An edit is the right to change in place what was made with it: many changes
// that nobody sees between cost one copy.
type edit struct{ _ byte } // of a size, so that no two have one address

type branch[K comparable, V any] struct {
	by     *edit
	leaves [fan]*leaf[K, V]
}

type leaf[K comparable, V any] struct {
	by    *edit
	pairs [fan][]pair[K, V]
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func newTable[K comparable, V any](hash func(K) uint32) table[K, V] {
	return table[K, V]{hash: hash, root: new(branch[K, V])}
}

// places are the branch and the leaf of a key.
func (t table[K, V]) places(k K) (int, int) {
	h := t.hash(k)
	return int(h % fan), int(h / fan % fan)
}

func (t table[K, V]) get(k K) (v V, ok bool) {
	i, j := t.places(k)
	if l := t.root.leaves[i]; l != nil {
		for _, p := range l.pairs[j] {
			if p.key == k {
				return p.value, true
			}
		}
	}
	return v, false
}

// own returns the pairs of a key's place, to be replaced with the right of by.
func (t *table[K, V]) own(by *edit, k K) *[]pair[K, V] {
	i, j := t.places(k)
	if t.root.by != by {
		root := *t.root
		root.by = by
		t.root = &root
	}
	switch l := t.root.leaves[i]; {
	case l == nil:
		t.root.leaves[i] = &leaf[K, V]{by: by}
	case l.by != by:
		mine := *l
		mine.by = by
		t.root.leaves[i] = &mine
	}
	return &t.root.leaves[i].pairs[j]
}

func (t *table[K, V]) set(by *edit, k K, v V) {
	place := t.own(by, k)
	pairs := make([]pair[K, V], 0, len(*place)+1)
	for _, p := range *place {
		if p.key != k {
			pairs = append(pairs, p)
		}
	}
	*place = append(pairs, pair[K, V]{k, v})
}

func (t *table[K, V]) drop(by *edit, k K) {
	place := t.own(by, k)
	pairs := make([]pair[K, V], 0, len(*place))
	for _, p := range *place {
		if p.key != k {
			pairs = append(pairs, p)
		}
	}
	*place = pairs
}

// A list is like a table whose keys are the numbers from 0: a changed copy shares
// all chunks but those that have changed.
type list[V any] struct {
	by     *edit
	chunks []*chunk[V]
}

type chunk[V any] struct {
	by     *edit
	values [chunkSize]V
}

const chunkSize = 256

func (l *list[V]) get(i int) V { return l.chunks[i/chunkSize].values[i%chunkSize] }

func (l *list[V]) set(by *edit, i int, v V) {
	if l.by != by {
		l.by, l.chunks = by, slices.Clone(l.chunks)
	}
	n := i / chunkSize
	if n == len(l.chunks) {
		l.chunks = append(l.chunks, &chunk[V]{by: by})
	}
	if l.chunks[n].by != by {
		mine := *l.chunks[n]
		mine.by = by
		l.chunks[n] = &mine
	}
	l.chunks[n].values[i%chunkSize] = v
}

// each calls f for every pair, in no order that means anything.
func (t table[K, V]) each(f func(K, V)) {
	for _, l := range t.root.leaves {
		if l == nil {
			continue
		}
		for _, pairs := range l.pairs {
			for _, p := range pairs {
				f(p.key, p.value)
			}
		}
	}
}
