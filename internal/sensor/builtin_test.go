package sensor_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// promised are the native sensors that documents, programs and people rely on.
var promised = strings.Split("Computer Name,Computer ID,Client Version,Online,IP Address,MAC Address,Operating System,"+
	"OS Platform,Kernel Version,CPU Architecture,CPU Model,Number of CPUs,Total Memory,Free Memory,Disk Free Space,"+
	"Uptime,Last Reboot,Time Zone,Logged In Users,Running Processes,Running Processes with Hash,Listening Ports,"+
	"Established Connections,Installed Applications,Running Services,Network Adapters,Default Gateway,DNS Servers,"+
	"Chassis Type,Manufacturer,Model,Is Linux,Is Windows,Is Mac,Is Virtual,File Exists,File Hash,Folder Contents,File Contents", ",")

func TestBuiltinIsWhatWasPromised(t *testing.T) {
	var names []string
	for _, s := range sensor.Builtin() {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	want := slices.Sorted(slices.Values(promised))
	if !slices.Equal(names, want) {
		t.Errorf("Builtin has\n%v, want\n%v", names, want)
	}
}

func TestBuiltinIsWellFormed(t *testing.T) {
	hashes := map[uint32]string{}
	for _, s := range sensor.Builtin() {
		if !s.Native() || s.Description == "" || s.Category == "" || len(s.Columns) == 0 {
			t.Errorf("%s is not a complete native sensor: %+v", s.Name, s)
		}
		if !strings.HasSuffix(s.Description, ".") {
			t.Errorf("%s: the description is no sentence: %q", s.Name, s.Description)
		}
		if s.MaxAge < 10*time.Second || s.MaxAge > 24*time.Hour {
			t.Errorf("%s: max age %v", s.Name, s.MaxAge)
		}
		if !slices.Contains(s.Platforms, sensor.Linux) {
			t.Errorf("%s cannot be computed on Linux", s.Name)
		}
		if len(s.Columns) == 1 && s.Columns[0].Name != s.Name {
			t.Errorf("%s: its only column is called %q", s.Name, s.Columns[0].Name)
		}
		if other, taken := hashes[s.Hash()]; taken {
			t.Errorf("%s and %s have one hash", s.Name, other)
		}
		hashes[s.Hash()] = s.Name
		seen := map[string]bool{}
		for _, c := range s.Columns {
			if c.Name == "" || seen[c.Name] || c.Type == value.Hash {
				t.Errorf("%s: column %+v", s.Name, c)
			}
			seen[c.Name] = true
		}
	}
}

// TestBuiltinBelongsToTheCaller: a catalogue may change what it was handed
// without changing what the next one gets.
func TestBuiltinBelongsToTheCaller(t *testing.T) {
	first := sensor.Builtin()
	first[0].Columns[0].Name = "changed"
	first[0].Platforms[0] = "changed"
	first[1].Platforms = append(first[1].Platforms[:0], "changed")
	second := sensor.Builtin()
	for i, s := range second {
		if s.Columns[0].Name == "changed" || slices.Contains(s.Platforms, "changed") {
			t.Errorf("sensor %d is shared between callers: %+v", i, s)
		}
	}
}

func TestParametersOfBuiltin(t *testing.T) {
	for _, s := range sensor.Builtin() {
		takesPath := s.Category == "Files"
		if got := len(s.Parameters); takesPath != (got == 1) {
			t.Errorf("%s has %d parameters", s.Name, got)
		}
		for _, p := range s.Parameters {
			if p.Key != "path" || p.Label == "" || p.Help == "" {
				t.Errorf("%s: parameter %+v", s.Name, p)
			}
		}
	}
}

// TestBuiltinIsMerged: whoever installs an update does not find that a native
// sensor suddenly costs bytes for each machine.
func TestBuiltinIsMerged(t *testing.T) {
	for _, s := range sensor.Builtin() {
		if s.Mode != answer.Merged {
			t.Errorf("%s travels %v", s.Name, s.Mode)
		}
	}
}
