package resultset

import (
	"fmt"
	"io"
	"testing"

	"catenary/internal/answer"
	"catenary/internal/expr"
	"catenary/internal/value"
)

// large is an answer with as many rows as the server keeps.
func large(b *testing.B) Source {
	b.Helper()
	list := make([]answer.Row, answer.ServerLimits.Rows)
	for i := range list {
		list[i] = testKey.Row([]answer.Cell{{fmt.Sprintf("Application number %d", i)}, {fmt.Sprintf("1.%d.3", i%5000)}})
		list[i].Count = uint64(i % 1000)
	}
	p := planOf(false, 2)
	p.Columns[1].Type = value.Version
	return Source{Plan: p, Rows: answer.RowsOf(answer.ServerLimits, list...)}
}

func BenchmarkSet200000(b *testing.B) {
	src := large(b)
	b.ReportAllocs()
	for b.Loop() {
		New(src)
	}
}

func BenchmarkView200000(b *testing.B) {
	s := New(large(b))
	for name, q := range map[string]Query{
		"as it is":            {},
		"by version":          {Order: []int{-2}},
		"by name":             {Order: []int{1}},
		"filtered by pattern": {Filter: expr.Test{Name: AnyColumn, Op: expr.Matches, Value: ".*(?:number 1.*7).*", IgnoreCase: true}},
		"filtered by version": {Filter: expr.Test{Name: Name(1), Op: expr.Greater, Value: "1.4000", Type: value.Version}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Look(q, goOn); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkExport200000(b *testing.B) {
	v := looked(b, New(large(b)), Query{})
	for format := range Format(len(extensions)) {
		b.Run(fmt.Sprint(format), func(b *testing.B) {
			size := 0
			for b.Loop() {
				c := &counter{}
				if err := v.Write(c, Writing{Format: format, Question: "Get Applications from all machines"}, goOn); err != nil {
					b.Fatal(err)
				}
				size = c.n
			}
			b.SetBytes(int64(size))
			b.ReportMetric(float64(v.Len())*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) { c.n += len(p); return io.Discard.Write(p) }
