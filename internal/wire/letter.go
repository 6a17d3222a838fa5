package wire

import (
	"errors"
	"fmt"
	"time"

	"catenary/internal/answer"
	"catenary/internal/field"
)

// A Letter is what a signed question says (docs/protocol.md §4). Its encoding
// is sealed by the server, verified by every client and forwarded as it is.
type Letter struct {
	Question uint64
	Issued   time.Time     // to the millisecond, by the server's clock
	Life     time.Duration // how long a client may still answer it
	Hold     time.Duration // D0 of docs/protocol.md §5.3
	Limit    time.Duration // how long a sensor may run
	Key      answer.Key
	Plan     []byte // encoded plan.Plan
	Mode     answer.Mode
}

// LifeMax bounds a question's life: a client that was off longer does not want
// the question any more.
const LifeMax = time.Hour

// Append appends the encoding of l to b.
func (l Letter) Append(b []byte) []byte {
	b = field.AppendUint(b, 1, l.Question)
	b = field.AppendUint(b, 2, uint64(l.Issued.UnixMilli()))
	b = field.AppendUint(b, 3, uint64(l.Life.Milliseconds()))
	b = field.AppendUint(b, 4, uint64(l.Hold.Milliseconds()))
	b = field.AppendUint(b, 5, uint64(l.Limit.Milliseconds()))
	b = field.AppendBytes(b, 6, l.Key[:])
	b = field.AppendBytes(b, 7, l.Plan)
	return field.AppendUint(b, 8, uint64(l.Mode))
}

// DecodeLetter reads a letter from all of b. The letter shares b's memory.
func DecodeLetter(b []byte) (Letter, error) {
	l := Letter{Issued: time.UnixMilli(0)}
	err := fields(b, func(f value) error {
		switch f.Num {
		case 1:
			return f.Uint(&l.Question)
		case 2:
			return f.millis(&l.Issued)
		case 3:
			return f.duration(&l.Life)
		case 4:
			return f.duration(&l.Hold)
		case 5:
			return f.duration(&l.Limit)
		case 6:
			return f.Exact(l.Key[:])
		case 7:
			return f.Bytes(&l.Plan)
		case 8:
			return f.byte((*uint8)(&l.Mode))
		}
		return nil
	})
	switch {
	case err != nil:
		return l, fmt.Errorf("letter: %w", err)
	case l.Question == 0 || len(l.Plan) == 0:
		return l, errors.New("letter: question or plan is missing")
	case !l.Mode.Valid():
		return l, fmt.Errorf("letter: its answer is to travel in %v, which this program does not know", l.Mode)
	case l.Life <= 0 || l.Life > LifeMax || l.Hold <= 0 || l.Hold > l.Life || l.Limit <= 0 || l.Limit > l.Life:
		return l, fmt.Errorf("letter: life %v, hold %v and limit %v do not fit together", l.Life, l.Hold, l.Limit)
	}
	return l, nil
}
