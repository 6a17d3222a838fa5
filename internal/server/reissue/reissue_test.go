package reissue

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var begun = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// run lets time pass until the end and returns when each question was asked.
func run(p *Planner, from, to time.Time) map[int64][]time.Time {
	asked := map[int64][]time.Time{}
	for now := from; ; {
		for {
			id, ok := p.Due(now)
			if !ok {
				break
			}
			asked[id] = append(asked[id], now)
		}
		next, ok := p.Next()
		if !ok || next.After(to) {
			return asked
		}
		now = next
	}
}

func TestPlanner(t *testing.T) {
	var p Planner
	if _, ok := p.Next(); ok {
		t.Error("an empty planner has something to ask")
	}
	p.Set(begun, Entry{ID: 1, Every: time.Minute})
	p.Set(begun, Entry{ID: 2, Every: time.Hour, Last: begun.Add(-10 * time.Minute)})
	p.Set(begun, Entry{ID: 3, Every: time.Hour, Last: begun.Add(-48 * time.Hour)})
	asked := run(&p, begun, begun.Add(30*time.Minute))
	if n := len(asked[1]); n < 29 || n > 31 {
		t.Errorf("asked %d times in 30 minutes what is wanted each minute", n)
	}
	if len(asked[2]) != 0 {
		t.Errorf("asked at %v what was asked 10 minutes before, and is wanted each hour", asked[2])
	}
	if len(asked[3]) != 1 || asked[3][0] != begun {
		t.Errorf("what is overdue was asked at %v", asked[3])
	}
	p.Remove(1)
	p.Remove(1)
	p.Set(begun, Entry{ID: 2, Every: 24 * time.Hour, Last: begun})
	if asked := run(&p, begun.Add(30*time.Minute), begun.Add(50*time.Minute)); len(asked) != 0 || p.Len() != 2 {
		t.Errorf("after removing and slowing down: %v", asked)
	}
}

func TestFailed(t *testing.T) {
	var p Planner
	p.Set(begun, Entry{ID: 1, Every: time.Hour, Last: begun.Add(-2 * time.Hour)})
	if id, ok := p.Due(begun); id != 1 || !ok {
		t.Fatalf("due: %d, %v", id, ok)
	}
	p.Failed(begun, 1)
	p.Failed(begun, 9)
	if next, _ := p.Next(); next != begun.Add(retryMax) {
		t.Errorf("tried again at %v", next)
	}
}

// TestLaws: no question is asked more often than it is wanted, none is left
// out, and never two within the gap, whatever is set and removed meanwhile.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Planner{Gap: time.Duration(rapid.SampledFrom([]int{0, 1, 10}).Draw(t, "gap")) * time.Second}
		gap := max(p.Gap, gap)
		entries := map[int64]Entry{}
		for range rapid.IntRange(1, 20).Draw(t, "entries") {
			e := Entry{ID: rapid.Int64Range(1, 30).Draw(t, "id"), Every: time.Duration(rapid.IntRange(20, 7200).Draw(t, "every")) * time.Second}
			if rapid.Bool().Draw(t, "asked before") {
				e.Last = begun.Add(-time.Duration(rapid.IntRange(0, 100_000).Draw(t, "ago")) * time.Second)
			}
			p.Set(begun, e)
			entries[e.ID] = e
		}
		if gone := rapid.Int64Range(1, 30).Draw(t, "gone"); entries[gone].ID != 0 {
			p.Remove(gone)
			delete(entries, gone)
		}
		const length = 4 * time.Hour
		asked := run(&p, begun, begun.Add(length))
		var last []time.Time
		for id, times := range asked {
			e := entries[id]
			if e.ID == 0 {
				t.Fatalf("%d was asked and is not there", id)
			}
			for i, at := range times {
				if i > 0 && at.Sub(times[i-1]) < e.Every {
					t.Fatalf("%+v was asked at %v", e, times)
				}
			}
			last = append(last, times...)
		}
		for id, e := range entries {
			want := int(length / (e.Every + e.Every/jitterPart + jitterMax + 20*gap))
			if n := len(asked[id]); n < want-1 {
				t.Fatalf("%+v was asked %d times, want about %d", e, n, want)
			}
		}
		slices.SortFunc(last, time.Time.Compare)
		for i := 1; i < len(last); i++ {
			if d := last[i].Sub(last[i-1]); d < gap {
				t.Fatalf("two were asked within %v", d)
			}
		}
	})
}

// TestCrowd: a thousand questions that nobody has ever asked, and for which there
// is hardly time, are asked one after the other, each as often as the others.
func TestCrowd(t *testing.T) {
	const n, every = 1000, 2 * time.Hour
	p := Planner{Gap: 10 * time.Second}
	for id := range int64(n) {
		p.Set(begun, Entry{ID: id + 1, Every: every})
	}
	asked := run(&p, begun, begun.Add(3*n*p.Gap-time.Second))
	for id := range int64(n) {
		if times := asked[id+1]; len(times) < 2 || len(times) > 4 { // three times, and half a minute of chance at either end
			t.Fatalf("%d of %d was asked at %v", id+1, n, times)
		}
	}
}
