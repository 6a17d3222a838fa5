// Package sensor is what a sensor is: its name and hash, its parameters and
// columns, how long its answer stays fresh, and how it is computed.
//
// It holds definitions, shared by the server (which parses and plans with
// them) and the client (which computes them). Native sensors are computed by
// the client's own code, here and there by a script that is part of it, and
// are listed by [Builtin]; script sensors carry their programs.
package sensor

import (
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/value"
)

// A Sensor is one named fact that clients can compute.
type Sensor struct {
	Name        string
	Description string
	Category    string
	Parameters  []Parameter
	Columns     []Column // never empty; a single column bears the sensor's name
	MaxAge      time.Duration
	Platforms   []Platform // where it can be computed
	Scripts     []Script   // empty for a native sensor, except for a shipped one

	// Shipped: every client has the sensor, with its scripts, in its own
	// program. Its definition does not travel, and so neither does this.
	Shipped bool

	// Signed is the definition of a script sensor with the server's signature.
	// Only the server's catalogue has it.
	Signed []byte

	// Delimiter splits a script's output line into columns.
	Delimiter string
	// KeepDuplicates leaves equal rows of one machine standing; by default a
	// machine says each row once.
	KeepDuplicates bool
	// IgnoreCase makes comparisons with the sensor's values ignore case.
	IgnoreCase bool
	// Mode is how its answers travel at least: a question that uses several
	// sensors, also in its condition, travels as the strictest of them does. All
	// native sensors are merged, since sealing one costs the merging.
	Mode answer.Mode
}

// A Column is one part of each of a sensor's rows.
type Column struct {
	Name string
	Type value.Type
}

// A Parameter is a value that the asker gives, in brackets after the name.
type Parameter struct {
	Key     string // the placeholder ||key|| in a script
	Label   string // what a person reads
	Help    string
	Default string
}

// A Platform is a family of operating systems, spelled as in the public API.
type Platform string

const (
	Linux   Platform = "Linux"
	Windows Platform = "Windows"
	Mac     Platform = "Mac"
)

// A Language is a script's interpreter, spelled as in the public API.
type Language string

const (
	UnixShell  Language = "UnixShell"
	Python     Language = "Python"
	Powershell Language = "Powershell"
)

// A Script is how a sensor is computed on one platform.
type Script struct {
	Platform Platform
	Language Language
	Source   string
}

// Native reports whether clients compute the sensor by what they have: by
// their own code or, on some platforms, by a script that came with it.
func (s Sensor) Native() bool { return s.Shipped || len(s.Scripts) == 0 }

// Script returns the sensor's script for a platform.
func (s Sensor) Script(on Platform) (Script, bool) {
	i := slices.IndexFunc(s.Scripts, func(sc Script) bool { return sc.Platform == on })
	if i < 0 {
		return Script{}, false
	}
	return s.Scripts[i], true
}

// Hash returns the sensor's number in the public API, a function of its name.
func (s Sensor) Hash() uint32 { return Hash(s.Name) }

// Hash is the number of that name in the public API.
func Hash(name string) uint32 { return value.Digest(name) }
