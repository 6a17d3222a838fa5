package wire

import (
	"testing"
)

// BenchmarkAnswer: an answer of 5,000 rows of 60 bytes, as the process lists
// of a chain make one, per row.
//
//	alone    as it stands for itself
//	first    on a new connection
//	again    on a connection that has carried the same rows
//	changed  likewise, one row in twenty a new one
func BenchmarkAnswer(b *testing.B) {
	const rows, size = 5000, 55
	m := report(texts(0, rows, size)...)
	other := report(append(texts(rows, rows+rows/20, size), texts(rows/20, rows, size)...)...)
	var warm Dictionary
	first := warm.Append(nil, m)
	alone := first
	before := warm.Clone()
	again := warm.Clone().Append(nil, m)
	changed := warm.Clone().Append(nil, other)
	for _, tt := range []struct {
		name  string
		from  *Dictionary
		m     Message
		frame []byte
	}{{"alone", nil, m, alone}, {"first", &Dictionary{}, m, first}, {"again", before, m, again}, {"changed", before, other, changed}} {
		perRow := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
			b.ReportMetric(float64(len(tt.frame))/rows, "B/row")
		}
		b.Run("append/"+tt.name, func(b *testing.B) {
			b.ReportAllocs()
			var to []byte
			for b.Loop() {
				to = tt.from.Clone().Append(to[:0], tt.m)
			}
			perRow(b)
		})
		b.Run("decode/"+tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tt.from.Clone().Decode(tt.frame[4:]); err != nil {
					b.Fatal(err)
				}
			}
			perRow(b)
		})
	}
}
