package server

import "testing"

// BenchmarkJoin is what one machine costs both ends to enrol and register.
func BenchmarkJoin(b *testing.B) {
	s := startSite(b, b.TempDir())
	for b.Loop() {
		s.joined(b)
	}
}
