package sim

import "time"

// million is the unit of drift.
const million = 1_000_000

// shows is what a machine's clock shows, counted from epoch.
func (h *host) shows(now time.Duration) time.Duration {
	return now + h.clock + now*time.Duration(h.drift)/million
}

// when is the moment at which a machine's clock shows at least that.
func (h *host) when(clock time.Duration) time.Duration {
	if h.drift == 0 {
		return clock - h.clock
	}
	// The quotient is rounded towards zero, and so is what shows adds.
	now := clock - h.clock
	now -= now / (million + time.Duration(h.drift)) * time.Duration(h.drift)
	for h.shows(now) < clock {
		now += max(1, (clock-h.shows(now))/2)
	}
	return now
}
