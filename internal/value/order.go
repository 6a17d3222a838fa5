package value

import "strings"

// Order reads texts as t, each only once, and returns how two of them compare,
// by their places in the slice. Texts that cannot be read as t come after all
// others, in the order of texts.
func Order(t Type, texts []string) func(i, j int) int {
	if r, ok := readings[t]; ok {
		return r.order(texts)
	}
	folded := make([]string, len(texts))
	for i, text := range texts {
		folded[i] = Fold(text)
	}
	return func(i, j int) int { return strings.Compare(folded[i], folded[j]) }
}

func (r reader[T]) order(texts []string) func(i, j int) int {
	type key struct {
		value T
		ok    bool
	}
	keys := make([]key, len(texts))
	for i, text := range texts {
		keys[i].value, keys[i].ok = r.read(text)
	}
	return func(i, j int) int {
		switch x, y := &keys[i], &keys[j]; {
		case x.ok && y.ok:
			return r.compare(x.value, y.value)
		case x.ok:
			return -1
		case y.ok:
			return 1
		}
		return strings.Compare(texts[i], texts[j])
	}
}
