package sim

import (
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// What a story costs: in messages, and the computer that plays it.

// frameKind is which byte of a frame says what kind of message it is.
const frameKind = 4

func (t *traffic) add(frame []byte) {
	t.frames++
	t.bytes += int64(len(frame))
}

func (t *traffic) join(u traffic) {
	t.frames += u.frames
	t.bytes += u.bytes
}

func (t traffic) less(u traffic) traffic { return traffic{t.frames - u.frames, t.bytes - u.bytes} }

// heapInUse is what is left in memory when all garbage is gone.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// usedMemory is what the Go runtime has in use of the memory that it has from the
// system.
func usedMemory() uint64 {
	x := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(x)
	return x[0].Value.Uint64() - x[1].Value.Uint64() - x[2].Value.Uint64()
}

// peakMemory is the most memory that this process has had, as the system says,
// or else what the Go runtime has taken from the system.
func peakMemory() uint64 {
	if data, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				if kB, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 64); err == nil {
					return kB << 10
				}
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}

// processorTime is how long processors have worked for this process, as the
// system says; 0 if it does not.
func processorTime() time.Duration {
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	// The second field is the program's name in parentheses, which may hold any
	// character; utime and stime are the 14th and 15th.
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const state, utime, stime = 3, 14, 15
	if len(fields) <= stime-state {
		return 0
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 everywhere
	var d time.Duration
	for _, i := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[i-state], 10, 64)
		if err != nil {
			return 0
		}
		d += time.Duration(n) * tick
	}
	return d
}
