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

// Builtin returns the native sensors: those that every client computes by its
// own code. The slice and all it holds belong to the caller.
func Builtin() []Sensor {
	all := slices.Concat(
		clientSensors(), systemSensors(), platformSensors(), hardwareSensors(), capacitySensors(),
		networkSensors(), activitySensors(), softwareSensors(), fileSensors(),
	)
	for i := range all {
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

// on restricts a sensor to the platforms that can compute it.
func on(s Sensor, platforms ...Platform) Sensor {
	s.Platforms = platforms
	return s
}

// ofPath gives a sensor its one parameter, a path on the endpoint.
func ofPath(s Sensor, label, help string) Sensor {
	s.Parameters = []Parameter{{Key: "path", Label: label, Help: help}}
	return s
}

func clientSensors() []Sensor {
	const category = "Client"
	return []Sensor{
		single(category, "Computer Name", value.String, ageFixed,
			"The machine's host name, or the name that its client was given instead."),
		single(category, "Computer ID", value.NumericInteger, ageFixed,
			"The number under which the server knows the machine."),
		single(category, "Client Version", value.Version, ageRare,
			"The version of the client that answers."),
		single(category, "Online", value.String, ageFixed,
			"Always True: a machine that can answer is online."),
	}
}

func systemSensors() []Sensor {
	const category = "Operating System"
	return []Sensor{
		single(category, "Operating System", value.String, ageRare,
			"The operating system's full name with its version."),
		single(category, "OS Platform", value.String, ageFixed,
			"Linux, Windows or Mac."),
		single(category, "Kernel Version", value.Version, ageRare,
			"The release of the running kernel."),
		single(category, "Uptime", value.TimeDiff, ageLive,
			"How long ago the machine was started, in its two largest units."),
		single(category, "Last Reboot", value.BESDate, ageLive,
			"When the machine was started."),
		single(category, "Time Zone", value.String, ageRare,
			"The machine's time zone, by its name if it has one."),
		single(category, "Logged In Users", value.String, ageLive,
			"Accounts with a login session, each once."),
	}
}

func platformSensors() []Sensor {
	const category = "Operating System"
	return []Sensor{
		single(category, "Is Linux", value.String, ageFixed, "True on Linux, False elsewhere."),
		single(category, "Is Windows", value.String, ageFixed, "True on Windows, False elsewhere."),
		single(category, "Is Mac", value.String, ageFixed, "True on macOS, False elsewhere."),
	}
}

func hardwareSensors() []Sensor {
	const category = "Hardware"
	return []Sensor{
		single(category, "CPU Architecture", value.String, ageFixed,
			"The processor's architecture, as the kernel spells it: x86_64, arm64."),
		single(category, "CPU Model", value.String, ageFixed,
			"The processor's model name; one row for each model in the machine."),
		single(category, "Number of CPUs", value.NumericInteger, ageRare,
			"Logical processors that are online."),
		on(single(category, "Chassis Type", value.String, ageFixed,
			"What the firmware says the machine's case is: Desktop, Notebook, Rack Mount Chassis."), Linux, Windows),
		on(single(category, "Manufacturer", value.String, ageFixed,
			"The machine's maker, as its firmware says."), Linux, Windows),
		single(category, "Model", value.String, ageFixed,
			"The machine's model, as its firmware says."),
		single(category, "Is Virtual", value.String, ageFixed,
			"True on a virtual machine, False on hardware. A container counts as what its host is."),
	}
}

func capacitySensors() []Sensor {
	const category = "Hardware"
	return []Sensor{
		single(category, "Total Memory", value.DataSize, ageRare,
			"Memory that the system can use, in units of 1,048,576 bytes."),
		single(category, "Free Memory", value.DataSize, ageLive,
			"Memory that programs can still get without swapping, in units of 1,048,576 bytes. Caches that the system would give up count as free."),
		several(category, "Disk Free Space", ageNetwork,
			"Local file systems on disks, with their room in units of 1,048,576 bytes. Free is what ordinary users may still fill.",
			Column{"Mount", value.String}, Column{"File System", value.String},
			Column{"Free", value.DataSize}, Column{"Total", value.DataSize}, Column{"Used Percent", value.NumericInteger}),
	}
}

func networkSensors() []Sensor {
	const category = "Network"
	return []Sensor{
		single(category, "IP Address", value.IPAddress, ageNetwork,
			"Every address of the machine except loopback."),
		single(category, "MAC Address", value.String, ageNetwork,
			"The hardware address of every network adapter that has one."),
		several(category, "Network Adapters", ageNetwork,
			"Network adapters except loopback. Status is Up when the adapter is switched on and has a carrier.",
			Column{"Name", value.String}, Column{"MAC Address", value.String}, Column{"Status", value.String},
			Column{"MTU", value.NumericInteger}, Column{"Addresses", value.String}),
		single(category, "Default Gateway", value.IPAddress, ageNetwork,
			"Next hops of the default routes."),
		single(category, "DNS Servers", value.IPAddress, ageNetwork,
			"Name servers that the machine asks; behind a local resolver of systemd, the servers that it asks in turn."),
		several(category, "Listening Ports", ageLive,
			"Sockets that wait for connections (TCP) or datagrams (UDP), with the process that holds them. Process is empty where the client may not see it.",
			Column{"Process", value.String}, Column{"Protocol", value.String},
			Column{"Local Address", value.IPAddress}, Column{"Port", value.NumericInteger}),
		several(category, "Established Connections", ageLive,
			"Connected TCP and UDP sockets, with the process that holds them. Process is empty where the client may not see it.",
			Column{"Process", value.String}, Column{"Protocol", value.String},
			Column{"Local Address", value.IPAddress}, Column{"Local Port", value.NumericInteger},
			Column{"Remote Address", value.IPAddress}, Column{"Remote Port", value.NumericInteger}),
	}
}

func activitySensors() []Sensor {
	const category = "Processes"
	return []Sensor{
		single(category, "Running Processes", value.String, ageLive,
			"Names of the running programs, each once. Threads of the kernel are left out."),
		several(category, "Running Processes with Hash", ageNetwork,
			"Running programs with the file that each was started from. Path and hash are empty where the client may not see them.",
			Column{"Process", value.String}, Column{"Path", value.String}, Column{"SHA-256", value.String}),
		on(several(category, "Running Services", ageLive,
			"Services with running processes, and the manager that told: systemd, OpenRC, init.d (start scripts whose process file names a living process) or Windows.",
			Column{"Service", value.String}, Column{"Manager", value.String}), Linux, Windows),
	}
}

func softwareSensors() []Sensor {
	return []Sensor{
		several("Software", "Installed Applications", ageSoftware,
			"What the package databases (dpkg and rpm), the Windows registry or the Mac's application folder list as installed.",
			Column{"Name", value.String}, Column{"Version", value.Version},
			Column{"Architecture", value.String}, Column{"Source", value.String}),
	}
}

func fileSensors() []Sensor {
	const category = "Files"
	contents := ofPath(several(category, "File Contents", ageNow,
		"The lines of a text file, at most 1,000 lines and 65,536 bytes.",
		Column{"Line", value.NumericInteger}, Column{"Text", value.String}),
		"File", "The full path of a text file")
	contents.KeepDuplicates = true
	return []Sensor{
		ofPath(single(category, "File Exists", value.String, ageLive,
			"True if a file or folder is at the path, else False."),
			"Path", "The full path of a file or folder"),
		ofPath(single(category, "File Hash", value.String, ageLive,
			"The SHA-256 of a file of at most 4,294,967,296 bytes."),
			"File", "The full path of a file"),
		ofPath(several(category, "Folder Contents", ageLive,
			"What lies in a folder, at most 10,000 entries. Size is in bytes and empty for all but files.",
			Column{"Name", value.String}, Column{"Type", value.String}, Column{"Size", value.NumericInteger}),
			"Folder", "The full path of a folder"),
		contents,
	}
}
