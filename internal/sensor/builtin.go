package sensor

import (
	"slices"
	"time"

	"catenary/internal/value"
)

// How long an answer of a native sensor stays fresh. A client works an answer
// out again at half its age, so these are also what a sensor costs.
const (
	ageFixed    = 24 * time.Hour   // changes when hardware or system is replaced
	ageRare     = 4 * time.Hour    // changes when somebody sets the machine up
	ageSoftware = 15 * time.Minute // changes when something is installed
	ageNetwork  = 5 * time.Minute  // changes when a cable is pulled
	ageLive     = time.Minute      // changes all the time
	ageNow      = 10 * time.Second // asked by someone who is watching
)

// Builtin returns the native sensors: those that every client computes by what
// it has. The slice and all it holds belong to the caller.
func Builtin() []Sensor {
	all := slices.Concat(
		clientSensors(), chainSensors(),
		systemSensors(), kernelSensors(), stateSensors(),
		hardwareSensors(), firmwareSensors(), capacitySensors(), deviceSensors(), diskSensors(),
		networkSensors(), adapterSensors(), trafficSensors(), socketSensors(), networkServiceSensors(),
		accountSensors(), loginSensors(),
		softwareSensors(), packageSensors(), ecosystemSensors(),
		serviceSensors(),
		fileSensors(), fileSearchSensors(), fileSystemSensors(),
		processSensors(), processDetailSensors(),
		securitySensors(), kernelSecuritySensors(), secretSensors(),
		containerSensors(),
	)
	for i := range all {
		all[i].Shipped = true
		all[i].IgnoreCase = true
		if all[i].Platforms == nil {
			all[i].Platforms = []Platform{Linux, Windows, Mac}
		}
	}
	return all
}

// single is a sensor of one column, which bears the sensor's name.
func single(category, name string, t value.Type, age time.Duration, description string) Sensor {
	return Sensor{
		Name: name, Description: description, Category: category, MaxAge: age,
		Columns: []Column{{Name: name, Type: t}},
	}
}

// several is a sensor of several columns.
func several(category, name string, age time.Duration, description string, columns ...Column) Sensor {
	return Sensor{Name: name, Description: description, Category: category, MaxAge: age, Columns: columns}
}

// Columns of the types that are there most.
func text(name string) Column    { return Column{name, value.String} }
func version(name string) Column { return Column{name, value.Version} }
func number(name string) Column  { return Column{name, value.NumericInteger} }
func decimal(name string) Column { return Column{name, value.Numeric} }
func size(name string) Column    { return Column{name, value.DataSize} }
func address(name string) Column { return Column{name, value.IPAddress} }
func date(name string) Column    { return Column{name, value.BESDate} }

// on restricts a sensor to the platforms that can compute it.
func on(s Sensor, platforms ...Platform) Sensor {
	s.Platforms = platforms
	return s
}

// of gives a sensor its parameters.
func of(s Sensor, parameters ...Parameter) Sensor {
	s.Parameters = parameters
	return s
}

// ofPath gives a sensor its one parameter, a path on the endpoint.
func ofPath(s Sensor, label, help string) Sensor {
	return of(s, Parameter{Key: "path", Label: label, Help: help})
}

// listed keeps the order and the repetitions of a sensor's rows.
func listed(s Sensor) Sensor {
	s.KeepDuplicates = true
	return s
}
