package sim

import (
	"os"
	"testing"

	"catenary/internal/answer"
)

// TestStormsOfBoxes plays seeds in which answers travel in boxes: the same laws
// hold, and every box that arrives opens.
func TestStormsOfBoxes(t *testing.T) {
	for _, m := range []answer.Mode{answer.Attested, answer.Sealed} {
		t.Run(m.String(), func(t *testing.T) {
			t.Parallel()
			if *seedFlag != 0 {
				w := newWorld(*seedFlag, os.Stdout)
				boxedStory(w, m)
				t.Logf("%+v, %v", w.report(), w.err)
				return
			}
			answers := 0
			for seed := uint64(1); seed <= *runsFlag/6+1; seed++ {
				w := newWorld(seed, nil)
				if boxedStory(w, m); w.err != nil {
					t.Fatalf("%v\nreplay with: go test ./internal/sim -run TestStormsOfBoxes/%v -seed %d -v", w.err, m, seed)
				}
				answers += w.report().Answers
			}
			t.Logf("%d answers", answers)
		})
	}
}

func boxedStory(w *world, m answer.Mode) {
	w.mode = m
	w.drawWeather()
	w.story()
}
