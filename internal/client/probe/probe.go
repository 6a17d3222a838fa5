// Package probe is how each native sensor is computed on this machine.
//
// A [Probe] is asked by the client for one sensor at a time and reads what the
// system itself keeps: files below /proc, /sys and /etc, system calls, the
// registry. It changes nothing and starts no program; where a system has no
// better source, gopsutil asks the system's own tools. A fact that cannot be
// had is an error and never a guess. A sensor that panics is an error too, and
// one that hangs is left alone when its time is over: see [Probe.Run].
//
// What a sensor is called, which columns it has and how long its answer stays
// fresh is said in [sensor.Builtin].
package probe

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/sensor"
)

// rowsMax is how many rows one sensor may have on one machine. Sockets and
// processes are as many as a machine's users like; an answer is not.
const rowsMax = 100_000

// Self is what a client knows about itself better than its machine does.
type Self struct {
	ComputerName string        // instead of the host name, if not empty
	ComputerID   func() uint32 // 0 until the client is registered
	Version      string        // of the client
	Addresses    []netip.Addr  // instead of the machine's, if not empty
	Folder       string        // that keeps the client's state
	Status       func() Status // nil: it is in no chain
}

// A Probe computes native sensors. It may be used by several goroutines.
type Probe struct {
	self  Self
	root  tree
	keep  time.Duration // how long sensors share what they have found
	facts map[string]fact

	sums    sums
	times   runTimes
	guard   guard
	usages  usages
	running shared[[]process]
	owners  shared[map[uint64]process] // of sockets
}

// New returns a probe for the client that self describes.
func New(self Self) *Probe {
	p := &Probe{self: self, root: machineTree, keep: processesKept, facts: map[string]fact{}}
	for _, family := range p.families() {
		maps.Copy(p.facts, family)
	}
	return p
}

// everywhere are the sensors that are computed alike on every platform, or by
// functions of the same names.
func (p *Probe) everywhere() []map[string]fact {
	return []map[string]fact{
		p.clientFacts(), p.fileFacts(), p.networkFacts(), p.processFacts(), p.softwareFacts(),
		{
			"OS Platform":            text(platformName),
			"Is Linux":               truth(isLinux),
			"Is Windows":             truth(isWindows),
			"Is Mac":                 truth(isMac),
			"System Time":            text(systemTime),
			"Time Zone":              text(timeZone),
			"Days Since Last Reboot": p.textIn(daysUp),
			"Certificates":           ofPath(certificates),
		},
	}
}

func systemTime() (string, error) { return date(time.Now()), nil }

// Run computes the sensor of the given name: one []string per row, with one
// text per column of its definition. It returns when ctx ends, whatever the
// sensor waits for then.
func (p *Probe) Run(ctx context.Context, name string, params []string) ([][]string, error) {
	compute, ok := p.facts[name]
	if !ok {
		return nil, missing(name)
	}
	began := time.Now()
	rows, err := p.guard.compute(ctx, strings.Join(append([]string{name}, params...), "\x00"), func() ([][]string, error) {
		return compute(ctx, params)
	})
	p.times.add(name, time.Since(began), err != nil)
	if err != nil {
		return nil, err
	}
	if len(rows) > rowsMax {
		return nil, fault.New(fault.Invalid, "more than %d rows", rowsMax)
	}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = clean(cell)
		}
	}
	return rows, nil
}

// missing is the error for a sensor that is not computed here: by no client of
// this version, or by those on other platforms.
func missing(name string) error {
	if slices.ContainsFunc(sensor.Builtin(), func(s sensor.Sensor) bool { return s.Name == name }) {
		return fault.New(fault.NotFound, "%s cannot be determined on %s", name, platform)
	}
	return fault.New(fault.NotFound, "this client has no sensor %q", name)
}

// clean makes a text that every link and database takes: valid UTF-8 without
// the zero character. File names and process names may be any bytes.
func clean(s string) string {
	const replacement = "\uFFFD"
	return strings.ReplaceAll(strings.ToValidUTF8(s, replacement), "\x00", replacement)
}
