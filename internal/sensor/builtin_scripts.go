package sensor

import (
	"embed"
	"strings"
)

// scripts are the programs of native sensors that a client computes by a
// script on Windows (PowerShell) or macOS (the shell), because its own code has
// no better source there. They are part of the client's program. Each is named
// after its sensor.
//
//go:embed scripts
var scripts embed.FS

// scriptDelimiter stands between the columns in what a shipped script says.
const scriptDelimiter = "\t"

// scripted adds platforms on which a sensor is computed by a shipped script.
// A sensor that is not restricted to platforms is computed by the client's own
// code on all others.
func scripted(s Sensor, platforms ...Platform) Sensor {
	if len(s.Columns) > 1 {
		s.Delimiter = scriptDelimiter
	}
	for _, p := range platforms {
		s.Scripts = append(s.Scripts, shippedScript(s.Name, p))
		if s.Platforms != nil {
			s.Platforms = append(s.Platforms, p)
		}
	}
	return s
}

// scriptedOnly is a sensor that is computed by shipped scripts alone.
func scriptedOnly(s Sensor, platforms ...Platform) Sensor {
	s.Platforms = []Platform{}
	return scripted(s, platforms...)
}

func shippedScript(name string, p Platform) Script {
	script, extension := Script{Platform: p, Language: Powershell}, ".ps1"
	if p == Mac {
		script.Language, extension = UnixShell, ".sh"
	}
	file := "scripts/" + strings.ReplaceAll(strings.ToLower(name), " ", "-") + extension
	source, err := scripts.ReadFile(file)
	if err != nil {
		panic("sensor: " + file + " is not there: " + err.Error())
	}
	script.Source = string(source)
	return script
}
