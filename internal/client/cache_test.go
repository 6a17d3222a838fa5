package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func answerOf(text string) func() ([][]string, error) {
	return func() ([][]string, error) { return [][]string{{text}}, nil }
}

func TestCacheKeepsWhatIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache()
		get := func(maxAge time.Duration, text string) string {
			rows, err := c.get(t.Context(), "uptime", maxAge, answerOf(text))
			if err != nil {
				t.Fatal(err)
			}
			return rows[0][0]
		}
		if got := get(time.Minute, "first"); got != "first" {
			t.Fatalf("got %q", got)
		}
		time.Sleep(time.Minute)
		if got := get(time.Minute, "second"); got != "first" {
			t.Errorf("at its maximum age: got %q, want the kept answer", got)
		}
		time.Sleep(time.Second)
		if got := get(time.Hour, "third"); got != "first" {
			t.Errorf("for an asker who takes older ones: got %q, want the kept answer", got)
		}
		if got := get(time.Minute, "fourth"); got != "fourth" {
			t.Errorf("beyond its maximum age: got %q, want a new answer", got)
		}
	})
}

// TestCacheComputesOnce: many questions at a time wait for one computation,
// and one that is called off waits no longer.
func TestCacheComputesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache()
		computed := 0
		compute := func() ([][]string, error) {
			computed++
			time.Sleep(time.Second)
			return [][]string{{"x"}}, nil
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if rows, err := c.get(t.Context(), "k", time.Minute, compute); err != nil || rows[0][0] != "x" {
					t.Errorf("%v, %v", rows, err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.get(ctx, "k", time.Minute, compute); !errors.Is(err, context.Canceled) {
			t.Errorf("a waiter that is called off: %v", err)
		}
		all.Wait()
		if computed != 1 {
			t.Errorf("computed %d times", computed)
		}
	})
}

func TestCacheForgetsFailures(t *testing.T) {
	c := newCache()
	broken := errors.New("broken")
	if _, err := c.get(t.Context(), "k", time.Hour, func() ([][]string, error) { return nil, broken }); err != broken {
		t.Fatal(err)
	}
	if rows, err := c.get(t.Context(), "k", time.Hour, answerOf("mended")); err != nil || rows[0][0] != "mended" {
		t.Errorf("after a failure: %v, %v", rows, err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache()
		for i := range cacheMax + 10 {
			if _, err := c.get(t.Context(), fmt.Sprint(i), time.Hour, answerOf("x")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if c.len() != cacheMax {
			t.Errorf("keeps %d answers, want %d", c.len(), cacheMax)
		}
		if c.entries["9"] != nil || c.entries["10"] == nil {
			t.Error("not the oldest answers were forgotten")
		}
	})
}
