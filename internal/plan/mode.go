package plan

import (
	"catenary/internal/answer"
	"catenary/internal/sensor"
)

// Mode is how the answer to p travels: as the strictest of its sensors does. A
// sensor in the condition counts like one that is shown, for who answers tells
// its value. The mode stands in the signed letter, beside the plan.
func (p Plan) Mode(c *sensor.Catalogue) answer.Mode {
	strictest := answer.Merged
	for _, u := range p.Sensors {
		mode := answer.Sealed // of a sensor that is not in the catalogue any more
		if s, ok := c.ByName(u.Name); ok {
			mode = s.Mode
		}
		strictest = max(strictest, mode)
	}
	return strictest
}
