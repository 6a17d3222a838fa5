package sensor

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"catenary/internal/field"
)

// Rules say when a client runs a sensor no more because it took too long, and
// which sensors it is to try again. The server signs them.
type Rules struct {
	Number uint64 // grows with each change
	Off    bool   // every sensor is run, however long it takes
	// Overruns is how many runs in a row have to be stopped at their time limit.
	// A run that was stopped before After is none of them.
	Overruns int
	After    time.Duration
	// Released are the sensors that are to be tried again, the last released
	// last.
	Released []Release
}

// A Release lets a sensor run again that was given up under earlier rules.
type Release struct {
	Sensor uint32 // hash of its name
	Number uint64 // of the rules that released it first
}

const (
	// ReleasesMax bounds the sensors that one set of rules releases. A client that
	// was off while more of them were, goes on without the earliest.
	ReleasesMax = 256
	// OverrunsMax bounds the patience with a sensor.
	OverrunsMax = 100
	// afterMax is longer than any question lets a sensor run.
	afterMax = time.Hour
)

// DefaultRules hold until a client hears of others: three times in a row over a
// minute, which is the longest that a question lets a sensor run.
var DefaultRules = Rules{Overruns: 3, After: time.Minute}

// Frees reports whether the rules let a sensor run that was given up under the
// rules of a number.
func (r Rules) Frees(sensor uint32, number uint64) bool {
	return r.Off || slices.ContainsFunc(r.Released, func(x Release) bool { return x.Sensor == sensor && x.Number > number })
}

// Release returns the rules that follow r with a sensor released. Its number is
// the given one, or higher if that of r is not lower.
func (r Rules) Release(sensor uint32, number uint64) Rules {
	r.Number = max(r.Number+1, number)
	r.Released = slices.DeleteFunc(slices.Clone(r.Released), func(x Release) bool { return x.Sensor == sensor })
	r.Released = append(r.Released, Release{sensor, r.Number})
	r.Released = r.Released[max(0, len(r.Released)-ReleasesMax):]
	return r
}

// Check reports why nobody could go by the rules.
func (r Rules) Check() error {
	switch {
	case r.Overruns < 1 || r.Overruns > OverrunsMax:
		return fmt.Errorf("%d overruns are not 1 to %d", r.Overruns, OverrunsMax)
	case r.After <= 0 || r.After > afterMax || r.After%time.Millisecond != 0:
		return fmt.Errorf("a limit of %v is not up to %v", r.After, afterMax)
	case len(r.Released) > ReleasesMax:
		return fmt.Errorf("%d released sensors are more than %d", len(r.Released), ReleasesMax)
	case slices.ContainsFunc(r.Released, func(x Release) bool { return x.Number == 0 || x.Number > r.Number }):
		return errors.New("a sensor is released by later rules")
	}
	return nil
}

// Append appends the rules' one encoding to b.
func (r Rules) Append(b []byte) []byte {
	b = field.AppendUint(b, 1, r.Number)
	b = field.AppendBool(b, 2, r.Off)
	b = field.AppendUint(b, 3, uint64(r.Overruns))
	b = field.AppendUint(b, 4, uint64(r.After.Milliseconds()))
	for _, x := range r.Released {
		b = field.AppendPart(b, 5, field.AppendUint(field.AppendUint(nil, 1, uint64(x.Sensor)), 2, x.Number))
	}
	return b
}

// DecodeRules reads what [Rules.Append] wrote for rules that pass
// [Rules.Check], and nothing else.
func DecodeRules(b []byte) (r Rules, err error) {
	var overruns, after uint64
	err = field.Each(b, func(f field.Field) error {
		switch f.Num {
		case 1:
			return f.Uint(&r.Number)
		case 2:
			return f.Bool(&r.Off)
		case 3:
			return f.Uint(&overruns)
		case 4:
			return f.Uint(&after)
		case 5:
			return r.release(f)
		}
		return fmt.Errorf("rules have no field %d", f.Num)
	})
	if err != nil {
		return Rules{}, err
	}
	r.Overruns = int(min(overruns, OverrunsMax+1))
	r.After = time.Duration(min(after, uint64(2*afterMax/time.Millisecond))) * time.Millisecond
	if err := r.Check(); err != nil {
		return Rules{}, err
	}
	if !bytes.Equal(r.Append(nil), b) {
		return Rules{}, errors.New("rules are not in their one encoding")
	}
	return r, nil
}

func (r *Rules) release(f field.Field) error {
	var x Release
	var sensor uint64
	err := field.Each(f.B, func(f field.Field) error {
		switch f.Num {
		case 1:
			return f.Uint(&sensor)
		case 2:
			return f.Uint(&x.Number)
		}
		return fmt.Errorf("a release has no field %d", f.Num)
	})
	if err != nil || sensor > 1<<32-1 {
		return errors.Join(err, errors.New("a release cannot be read"))
	}
	x.Sensor = uint32(sensor)
	r.Released = append(r.Released, x)
	return f.Want(2)
}
