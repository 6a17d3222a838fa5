package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"catenary/internal/field"
)

// Clients say with registrations how long their sensors have run, and which they
// do not run any more; the server's word on that is signed (docs/protocol.md
// §7.5).

const (
	// RunsMax bounds the sensors of one registration, and QuarantinedMax those
	// that are named as not run: what is more waits for the next.
	RunsMax        = 16
	QuarantinedMax = 32
	// runLonger is longer than any run, and runsMost more than there are between
	// two reports.
	runLonger = 24 * time.Hour
	runsMost  = 1 << 32
	// rulesMax bounds the sealed rules, in bytes.
	rulesMax = 8 << 10
)

// A Run is how long a sensor has run on a client since it last said so.
type Run struct {
	Sensor uint32 // hash of its name
	Count  uint64 // runs, at least one
	Real   Spent
	Min    time.Duration // of Real
	Max    time.Duration
	// Measured of the runs have a User and a System time.
	Measured     uint64
	User, System Spent
}

// Spent is the time that runs have taken together.
type Spent struct {
	Sum     time.Duration // to the microsecond
	Squares uint64        // sum of the squares, in square milliseconds
}

func (r Run) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, r.Sensor)
	for _, n := range r.numbers() {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func micros(d time.Duration) uint64 { return uint64(d.Microseconds()) }

func (r Run) numbers() []uint64 {
	all := []uint64{r.Count, micros(r.Real.Sum), r.Real.Squares, micros(r.Min), micros(r.Max), r.Measured}
	if r.Measured > 0 {
		all = append(all, micros(r.User.Sum), r.User.Squares, micros(r.System.Sum), r.System.Squares)
	}
	return all
}

var errRun = errors.New("a sensor's run times cannot be read")

func (x value) run(to *[]Run) error {
	if len(*to) == RunsMax {
		return fmt.Errorf("run times of more than %d sensors", RunsMax)
	}
	b := x.B
	if len(b) < 4 {
		return errRun
	}
	r := Run{Sensor: binary.BigEndian.Uint32(b)}
	b = b[4:]
	next := func(most uint64) (n uint64) {
		size := 0
		if n, size = binary.Uvarint(b); size <= 0 || n > most || !shortest(b[:size]) {
			b = nil
			return most + 1
		}
		b = b[size:]
		return n
	}
	const longest = uint64(runLonger / time.Microsecond)
	ok := true
	number := func(to *uint64, most uint64) {
		n := next(most)
		ok, *to = ok && n <= most, n
	}
	span := func(to *time.Duration, most uint64) {
		n := next(most)
		ok, *to = ok && n <= most, time.Duration(min(n, most))*time.Microsecond
	}
	spent := func(to *Spent) {
		span(&to.Sum, longest*1000)
		number(&to.Squares, 1<<62)
	}
	number(&r.Count, runsMost)
	spent(&r.Real)
	span(&r.Min, longest)
	span(&r.Max, longest)
	if number(&r.Measured, runsMost); r.Measured > 0 && ok {
		spent(&r.User)
		spent(&r.System)
	}
	if !ok || len(b) > 0 || r.Count == 0 || r.Measured > r.Count || r.Min > r.Max || r.Max > r.Real.Sum {
		return errRun
	}
	*to = append(*to, r)
	return x.Want(2)
}

// shortest reports whether a varint has no superfluous byte.
func shortest(varint []byte) bool { return len(varint) == 1 || varint[len(varint)-1] != 0 }

func (x value) quarantined(to *[]uint32) error {
	var list []uint64
	if err := x.numbers(&list, QuarantinedMax); err != nil {
		return err
	}
	if len(list) > 0 && list[len(list)-1] > 1<<32-1 {
		return errors.New("a sensor's hash exceeds 32 bits")
	}
	if *to != nil {
		return errors.New("list is said twice")
	}
	for _, n := range list {
		*to = append(*to, uint32(n))
	}
	return nil
}

func putHashes(b []byte, num field.Number, list []uint32) []byte {
	wide := make([]uint64, len(list))
	for i, n := range list {
		wide[i] = uint64(n)
	}
	slices.Sort(wide)
	return putNumbers(b, num, wide)
}
