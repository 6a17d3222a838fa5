package question

import (
	"slices"
	"strings"
	"testing"

	"catenary/internal/sensor"
	"catenary/internal/value"
)

// plain is a sensor of one column.
func plain(name string) sensor.Sensor {
	return sensor.Sensor{Name: name, Columns: []sensor.Column{{Name: name, Type: value.String}}}
}

// columns is a sensor of several columns.
func columns(name string, columns ...string) sensor.Sensor {
	s := sensor.Sensor{Name: name}
	for _, c := range columns {
		s.Columns = append(s.Columns, sensor.Column{Name: c, Type: value.String})
	}
	return s
}

// taking gives s its parameters.
func taking(s sensor.Sensor, params ...sensor.Parameter) sensor.Sensor {
	s.Parameters = params
	return s
}

// sensors are what the tests' questions are about: everyday names, and names
// that try to be something else.
func sensors() []sensor.Sensor {
	path := sensor.Parameter{Key: "path", Label: "Path"}
	return []sensor.Sensor{
		plain("Computer Name"), plain("Computer ID"), plain("Operating System"), plain("Operating System Version"),
		plain("IP Address"), plain("Free Memory"), plain("CPU Consumption"), plain("Is Linux"), plain("Is Windows"), plain("Online"),
		plain("Running Processes"), columns("Running Processes with Hash", "Name", "SHA-256", "Path"),
		columns("Installed Applications", "Name", "Version", "Install Date", "Install"),
		taking(columns("Folder Contents", "Name", "Size"), path),
		taking(plain("File Exists"), path), taking(plain("Application Crashes in Last X Days"), sensor.Parameter{Key: "days"}),
		taking(plain("Registry Value"), sensor.Parameter{Key: "key", Label: "Key"}, sensor.Parameter{Key: "name", Label: "Name", Default: "(none)"}),
		taking(plain("Search"), sensor.Parameter{Key: "a"}, sensor.Parameter{Key: "b"}, sensor.Parameter{Key: "c"},
			sensor.Parameter{Key: "d"}, sensor.Parameter{Key: "e", Default: "x"}),
		// Names that try to be something else.
		plain("Ready"), plain("Online and Ready"), plain("Not Before"), plain("All Users"), plain("Events from Disk"), plain("Events"),
		plain("Online from all machines"), plain("Number of Machines"), plain("Number of Machines Online"), plain("CPU: Load"), plain("A < B"),
		plain("A"), plain(`The "Big" One`), plain("Größe"), plain("[x]"), plain("File contains Text"), plain("File"), plain("50%"),
		columns("Odd", "In", "A:B", "a, b", "Odd"),
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

// showing shows sensors without conditions on them.
func showing(refs ...Ref) (out []Select) {
	for _, r := range refs {
		out = append(out, Select{Ref: r})
	}
	return out
}

// knownGroups are groups in memory, whose numbers begin at 1.
type knownGroups []Group

func (k knownGroups) GroupByName(name string) (Group, bool) {
	i := slices.IndexFunc(k, func(g Group) bool { return strings.EqualFold(g.Name, name) })
	if i < 0 {
		return Group{}, false
	}
	return k[i], true
}

func (k knownGroups) GroupByID(id int64) (Group, bool) {
	if id < 1 || id > int64(len(k)) {
		return Group{}, false
	}
	return k[id-1], true
}

func groupsCalled(names ...string) Groups {
	var k knownGroups
	for i, name := range names {
		k = append(k, Group{ID: int64(i + 1), Name: name})
	}
	return k
}

var everydayGroups = groupsCalled("All Computers", "Sales", "Sales and Marketing", "Servers (EU)", "Online", "Not Patched", `The "best"`)
