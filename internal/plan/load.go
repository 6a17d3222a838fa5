package plan

import (
	"cmp"
	"slices"
	"time"
)

// A Level is how heavy a question or a sensor is for the machines that compute
// it.
type Level uint8

const (
	Low Level = iota
	Medium
	High
)

func (l Level) String() string { return [...]string{"Low", "Medium", "High"}[l] }

// Thresholds are from which running time on a load is no longer low, and from
// which it is high.
type Thresholds struct{ Medium, High time.Duration }

// Of returns the level of a running time.
func (t Thresholds) Of(took time.Duration) Level {
	switch {
	case took >= t.High:
		return High
	case took >= t.Medium:
		return Medium
	}
	return Low
}

// A Runtime is what is known of how long a sensor has run so far.
type Runtime struct{ Average, Max time.Duration }

// A Load estimates what a question costs each machine that has no fresh answer
// in its cache. Sensors run one after another.
type Load struct {
	Level Level // of Average
	// Average and Max are the sums over all sensors: what a machine computes that
	// fits. One that does not fit computes those of the conditions only.
	Average, Max     time.Duration
	ConditionAverage time.Duration
	Sensors          []SensorLoad // the slowest first
	Unknown          []string     // sensors that have never run, in the plan's order
}

// A SensorLoad is one sensor's share of a [Load].
type SensorLoad struct {
	Sensor string
	Level  Level // of Average
	Runtime
	InCondition bool // every machine computes it
}

// Load estimates what p costs, by what is known of its sensors' runs, by their
// names. A sensor that is used with several parameters runs as often.
func (p Plan) Load(known map[string]Runtime, levels Thresholds) Load {
	var out Load
	first := p.WhereUses()
	for i, u := range p.Sensors {
		r, ok := known[u.Name]
		if !ok {
			if !slices.Contains(out.Unknown, u.Name) {
				out.Unknown = append(out.Unknown, u.Name)
			}
			continue
		}
		s := SensorLoad{Sensor: u.Name, Level: levels.Of(r.Average), Runtime: r, InCondition: slices.Contains(first, i)}
		out.Sensors = append(out.Sensors, s)
		out.Average += r.Average
		out.Max += max(r.Max, r.Average)
		if s.InCondition {
			out.ConditionAverage += r.Average
		}
	}
	slices.SortStableFunc(out.Sensors, func(a, b SensorLoad) int { return cmp.Compare(b.Average, a.Average) })
	out.Level = levels.Of(out.Average)
	return out
}
