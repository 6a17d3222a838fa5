package filter

import (
	"strings"
	"testing"
	"time"

	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

func column(name string, t value.Type) sensor.Column { return sensor.Column{Name: name, Type: t} }

func single(name string, t value.Type, params ...string) sensor.Sensor {
	s := sensor.Sensor{Name: name, Columns: []sensor.Column{column(name, t)}, MaxAge: time.Minute, IgnoreCase: true}
	for _, p := range params {
		s.Parameters = append(s.Parameters, sensor.Parameter{Key: p, Label: p})
	}
	return s
}

// sensors are those that the table of texts is about: one for each type, some
// with columns and parameters, some with names that need quotes.
func sensors() []sensor.Sensor {
	apps := single("Installed Applications", value.String)
	apps.Columns = []sensor.Column{column("Name", value.String), column("Version", value.Version), column("Install Date", value.VariousDate)}
	apps.Delimiter = "|"
	hashes := single("Running Processes with Hash", value.String)
	hashes.Columns = []sensor.Column{column("Process", value.String), column("SHA-256", value.Hash)}
	folder := single("Folder Contents", value.String, "path")
	folder.Columns = []sensor.Column{column("Name", value.String), column("Size", value.DataSize)}
	folder.Delimiter = ";"
	crashes := single("Application Crashes in Last X Days", value.String, "days")
	search := single("File Search", value.String, "root", "folder", "hidden", "depth", "name")
	search.Parameters[4].Default = ".*"
	return []sensor.Sensor{
		single("Computer Name", value.String), single("Computer ID", value.NumericInteger), single("Operating System", value.String),
		single("IP Address", value.IPAddress), single("Free Memory", value.DataSize), single("CPU Consumption", value.Numeric),
		single("Client Version", value.Version), single("Uptime", value.TimeDiff), single("Last Reboot", value.BESDate),
		single("Boot Time", value.WMIDate), single("Last Seen", value.VariousDate), single("Online", value.String), single("Is Windows", value.String),
		single("Running Processes", value.String), apps, hashes, folder, crashes, search,
		single("Registry Value", value.String, "key", "name"), single("File Hash", value.Hash, "path"), single("Größe", value.String),
	}
}

func catalogue(t testing.TB) *sensor.Catalogue {
	t.Helper()
	c, err := sensor.NewCatalogue(sensors())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// known are the computer groups of the table, by their numbers.
var known = knownGroups{1: "All Computers", 2: "No Computers", 7: "Sales", 8: "Sales and Marketing", 9: "Servers (EU)", 10: "Laptops"}

type knownGroups map[int64]string

func (k knownGroups) GroupByName(name string) (question.Group, bool) {
	for id, n := range k {
		if strings.EqualFold(n, name) {
			return k.GroupByID(id)
		}
	}
	return question.Group{}, false
}

func (k knownGroups) GroupByID(id int64) (question.Group, bool) {
	name, ok := k[id]
	return question.Group{ID: id, Name: name}, ok
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func noAverage(string) time.Duration { return 0 }
