package sim

import "reflect"

// memoryMax bounds what one honest node may keep, whatever it is told
// (invariant I11): 16 MiB of bundles that wait, as much in custody, 32 MiB of
// rows that wait to be merged and 8 MiB of own answers, as answer.Limits count
// them, and what Go adds to rows of floodText bytes.
const memoryMax = 100 << 20

// weigh looks at the memory of all honest machines now and then.
func (w *world) weigh() {
	w.after(weighEvery, func() {
		if !w.lying {
			return
		}
		for _, h := range w.hosts {
			if h.node == nil || h.liar != nil {
				continue
			}
			n := weightOf(h.node)
			if w.lies.Heaviest = max(w.lies.Heaviest, n); n > memoryMax {
				w.fail("I11: machine %v keeps %d bytes", h, n)
			}
		}
		w.weigh()
	})
}

// weightOf is how many bytes can be reached from a value, each once. What it
// shares with others through an interface or a function is not its own.
func weightOf(v any) int {
	s := scales{seen: map[uintptr]bool{}}
	s.weigh(reflect.ValueOf(v))
	return s.sum
}

type scales struct {
	seen map[uintptr]bool
	sum  int
}

// first reports whether memory is looked at for the first time, and adds it.
func (s *scales) first(at uintptr, size int) bool {
	if at == 0 || s.seen[at] {
		return false
	}
	s.seen[at] = true
	s.sum += size
	return true
}

func (s *scales) weigh(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && s.first(v.Pointer(), int(v.Type().Elem().Size())) {
			s.weigh(v.Elem())
		}
	case reflect.Slice:
		if v.Cap() > 0 && s.first(v.Pointer(), v.Cap()*int(v.Type().Elem().Size())) && holds(v.Type().Elem()) {
			for i := range v.Len() {
				s.weigh(v.Index(i))
			}
		}
	case reflect.String:
		s.sum += v.Len() // perhaps once too often: that is safe
	case reflect.Map:
		s.sum += v.Len() * int(v.Type().Key().Size()+v.Type().Elem().Size())
		for it := v.MapRange(); it.Next(); {
			s.weigh(it.Key())
			s.weigh(it.Value())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			s.weigh(v.Field(i))
		}
	case reflect.Array:
		if holds(v.Type().Elem()) {
			for i := range v.Len() {
				s.weigh(v.Index(i))
			}
		}
	}
}

// holds reports whether values of a type may lead to more memory.
func holds(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.String, reflect.Map:
		return true
	case reflect.Array:
		return holds(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if holds(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}
