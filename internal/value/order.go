package value

import (
	"cmp"
	"strings"
	"time"
)

// Order reads texts as t, each only once, and returns how two of them compare,
// by their places in the slice. Texts that cannot be read as t come after all
// others, in the order of texts.
func Order(t Type, texts []string) func(i, j int) int {
	switch t {
	case Version:
		return order(readVersion, compareVersions, texts)
	case Numeric:
		return order(readDecimal, decimal.compare, texts)
	case NumericInteger:
		return order(readInteger, decimal.compare, texts)
	case IPAddress:
		return order(readAddress, address.compare, texts)
	case BESDate:
		return order(readBESDate, time.Time.Compare, texts)
	case WMIDate:
		return order(readWMIDate, time.Time.Compare, texts)
	case VariousDate:
		return order(readVariousDate, time.Time.Compare, texts)
	case TimeDiff:
		return order(readTimeDiff, cmp.Compare[int64], texts)
	case DataSize:
		return order(readDataSize, cmp.Compare[float64], texts)
	}
	folded := make([]string, len(texts))
	for i, text := range texts {
		folded[i] = Fold(text)
	}
	return func(i, j int) int { return strings.Compare(folded[i], folded[j]) }
}

func order[T any](read func(string) (T, bool), compare func(x, y T) int, texts []string) func(i, j int) int {
	type key struct {
		value T
		ok    bool
	}
	keys := make([]key, len(texts))
	for i, text := range texts {
		keys[i].value, keys[i].ok = read(text)
	}
	return func(i, j int) int {
		switch x, y := &keys[i], &keys[j]; {
		case x.ok && y.ok:
			return compare(x.value, y.value)
		case x.ok:
			return -1
		case y.ok:
			return 1
		}
		return strings.Compare(texts[i], texts[j])
	}
}
