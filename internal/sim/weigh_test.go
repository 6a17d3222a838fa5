package sim

import "testing"

// TestWeight: what can be reached is counted, once.
func TestWeight(t *testing.T) {
	type link struct {
		next  *link
		bytes []byte
		names map[uint64]string
	}
	one := &link{bytes: make([]byte, 1000)}
	two := &link{next: one, bytes: make([]byte, 5000)}
	one.next = two
	single, both := weightOf(&link{bytes: make([]byte, 1000)}), weightOf(one)
	if single < 1000 || single > 1100 || both < 6000 || both > 6200 {
		t.Errorf("one weighs %d, two weigh %d", single, both)
	}
	one.names = map[uint64]string{1: "a long name of a machine"}
	if more := weightOf(one) - both; more < 24 || more > 100 {
		t.Errorf("a name weighs %d", more)
	}
}
