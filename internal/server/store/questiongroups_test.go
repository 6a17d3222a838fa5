package store

import (
	"testing"
	"time"

	"catenary/internal/server/store/storetest"
)

// TestContextGroups: groups are found about which something was asked lately, each
// once.
func TestContextGroups(t *testing.T) { storetest.Each(t, testContextGroups) }

func testContextGroups(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	for i, group := range []int64{9, 0, 7, 9, 5} {
		at := noon.Add(time.Duration(i) * time.Hour)
		_, err := s.CreateQuestion(t.Context(), Question{Text: "x", Plan: []byte{1}, Issued: at, Expires: at, Closed: at, ContextGroup: group})
		must(t, err)
	}
	for after, want := range map[time.Duration][]int64{0: {5, 7, 9}, 3 * time.Hour: {5, 9}, 4 * time.Hour: {5}, 5 * time.Hour: nil} {
		got, err := s.ContextGroups(t.Context(), noon.Add(after))
		must(t, err)
		same(t, got, want)
	}
}
