package api

import (
	"io"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/fault"
)

// TestLargeBodies: only a few bodies that are large are in memory at once; who
// waits for too long hears so, and small ones never wait.
func TestLargeBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, size = 10, 2 << 20
		free := make(chan struct{}, largeMax)
		var inside, read atomic.Int64
		goOn := make(chan struct{})
		for range callers {
			go func() {
				// What comes first is read without a place, what comes then needs one.
				body := io.MultiReader(&zeros{left: bodyMax + 1}, readerFunc(func([]byte) (int, error) {
					inside.Add(1)
					<-goOn
					return 0, io.EOF
				}), &zeros{left: size - bodyMax - 1})
				c := call{Request: httptest.NewRequestWithContext(t.Context(), "POST", "/", body), large: &place{free: free}}
				defer c.large.leave()
				if b, err := readBody(httptest.NewRecorder(), c, 4<<20); err != nil || len(b) != size {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				read.Add(1)
			}()
		}
		synctest.Wait()
		if n := inside.Load(); n != largeMax {
			t.Errorf("%d large bodies are read at once, not %d", n, largeMax)
		}
		c := call{Request: httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader("{}")), large: &place{free: free}}
		if b, err := readBody(httptest.NewRecorder(), c, 4<<20); err != nil || string(b) != "{}" {
			t.Errorf("a small body beside large ones: %q, %v", b, err)
		}
		close(goOn)
		synctest.Wait()
		if n := read.Load(); n != callers || len(free) != 0 {
			t.Errorf("%d of %d were read, and %d places are still taken", n, callers, len(free))
		}
	})
}

// TestNoPlace: who gets no place hears that, in bounded time.
func TestNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{}, 1)
		free <- struct{}{}
		begun := time.Now()
		c := call{Request: httptest.NewRequestWithContext(t.Context(), "POST", "/", &zeros{left: 2 << 20}), large: &place{free: free}}
		_, err := readBody(httptest.NewRecorder(), c, 4<<20)
		if fault.KindOf(err) != fault.Unavailable || time.Since(begun) != largeWait {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		c.large.leave() // it has nothing to give back
		same(t, len(free), 1)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
