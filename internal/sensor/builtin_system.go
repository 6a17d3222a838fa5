package sensor

import "catenary/internal/value"

const categorySystem = "Operating System"

func systemSensors() []Sensor {
	const category = categorySystem
	return []Sensor{
		single(category, "Operating System", value.String, ageRare,
			"The operating system's full name with its version."),
		single(category, "OS Platform", value.String, ageFixed,
			"Linux, Windows or Mac."),
		single(category, "OS Version", value.Version, ageRare,
			"The operating system's version alone: 12, 10.0.19045, 15.1."),
		on(single(category, "OS Distribution", value.String, ageRare,
			"The short name of the Linux distribution, as os-release has it: debian, rhel, ubuntu."), Linux),
		on(single(category, "OS Codename", value.String, ageRare,
			"The code name of the Linux distribution's version: bookworm, jammy."), Linux),
		on(single(category, "OS Install Date", value.BESDate, ageFixed,
			"When the system was installed; on Linux, when the root file system was made."), Linux, Windows),
		single(category, "Kernel Version", value.Version, ageRare,
			"The release of the running kernel."),
		single(category, "Uptime", value.TimeDiff, ageLive,
			"How long ago the machine was started, in its two largest units."),
		single(category, "Last Reboot", value.BESDate, ageLive,
			"When the machine was started."),
		single(category, "Days Since Last Reboot", value.NumericInteger, ageNetwork,
			"How many whole days ago the machine was started."),
		single(category, "Time Zone", value.String, ageRare,
			"The machine's time zone, by its name if it has one."),
		single(category, "System Time", value.BESDate, ageNow,
			"What the machine's clock says."),
		single(category, "Is Linux", value.String, ageFixed, "True on Linux, False elsewhere."),
		single(category, "Is Windows", value.String, ageFixed, "True on Windows, False elsewhere."),
		single(category, "Is Mac", value.String, ageFixed, "True on macOS, False elsewhere."),
		single(category, "Domain Name", value.String, ageRare,
			"The DNS domain of the machine's full name, else the one that its name servers' settings tell."),
		on(single(category, "Machine ID", value.String, ageFixed,
			"The identifier that the installed system has made for itself: /etc/machine-id, MachineGuid. Cloned machines share it."), Linux, Windows),
		on(single(category, "System Locale", value.String, ageRare,
			"The language and region for which the system is set up."), Linux, Windows),
	}
}

func kernelSensors() []Sensor {
	const category = categorySystem
	parameter := of(single(category, "Kernel Parameter", value.String, ageNetwork,
		"The value of a parameter of the kernel, by its name in sysctl: net.ipv4.ip_forward."),
		Parameter{Key: "name", Label: "Parameter", Help: "The parameter's name, with dots or slashes"})
	return []Sensor{
		on(single(category, "Kernel Build", value.String, ageRare,
			"What the running kernel says about its own build: number, features, date."), Linux),
		on(single(category, "Kernel Command Line", value.String, ageRare,
			"The words with which the kernel was started."), Linux),
		on(several(category, "Kernel Modules", ageNetwork,
			"Modules that the kernel has loaded, their size in bytes and by how many others they are used.",
			text("Module"), number("Size"), number("Uses"), text("Used By")), Linux),
		on(parameter, Linux, Mac),
		on(several(category, "Configured Kernel Parameters", ageRare,
			"Parameters that files of sysctl set, the value that is to be and the one that is. The last file that sets one counts.",
			text("Parameter"), text("Configured"), text("Running"), text("File")), Linux),
		on(single(category, "Kernel Taint", value.String, ageNetwork,
			"Why the kernel calls itself tainted, each reason once; Not Tainted if it does not."), Linux),
		on(several(category, "Installed Kernels", ageSoftware,
			"Kernels that lie in the boot folder, and whether it is the one that runs.",
			version("Version"), text("Running")), Linux),
		on(single(category, "Boot Mode", value.String, ageFixed,
			"UEFI or BIOS: by which kind of firmware the machine was started."), Linux, Windows),
		on(single(category, "Init System", value.String, ageRare,
			"The first program of the system, which starts the others: systemd, OpenRC, init or the name of another."), Linux),
		on(single(category, "Default Boot Target", value.String, ageRare,
			"What systemd starts by default: multi-user.target, graphical.target."), Linux),
		on(single(category, "Cgroup Version", value.String, ageRare,
			"Which control groups the kernel offers: v1, v2 or hybrid."), Linux),
	}
}

func stateSensors() []Sensor {
	const category = categorySystem
	return []Sensor{
		on(single(category, "Clock Synchronized", value.String, ageNetwork,
			"True if the kernel knows its clock to follow a time server, else False."), Linux),
		on(single(category, "Time Servers", value.String, ageRare,
			"Time servers and pools that the machine is set up to follow."), Linux, Windows),
		on(single(category, "Reboot Required", value.String, ageNetwork,
			"True if an installed update waits for a restart, else False. On Linux also if a newer kernel is installed than the one that runs."), Linux, Windows),
		several(category, "Crash Dumps", ageSoftware,
			"What crashed programs and systems have left in the folders for that, at most 1,000 files, with sizes in bytes.",
			text("Path"), number("Size"), date("Modified")),
		on(several(category, "Environment Variables", ageRare,
			"Environment variables that the system sets for everybody.",
			text("Variable"), text("Value")), Linux, Windows),
		on(several(category, "System Open Files", ageLive,
			"Files that all programs together have open, and how many they may.",
			number("Open"), number("Limit")), Linux),
		on(several(category, "Reboot History", ageNetwork,
			"The last 100 starts of the machine that its record of logins tells, with the kernel that was started.",
			date("Started"), version("Kernel")), Linux),
		on(several(category, "Resource Pressure", ageNow,
			"The share of time in which some or all programs waited for a resource, over the last 10, 60 and 300 seconds.",
			text("Resource"), text("Waiting"), decimal("10 Seconds"), decimal("60 Seconds"), decimal("300 Seconds")), Linux),
		on(several(category, "Load Average", ageNow,
			"How many programs wanted to run on average over the last 1, 5 and 15 minutes.",
			decimal("1 Minute"), decimal("5 Minutes"), decimal("15 Minutes")), Linux, Mac),
		single(category, "CPU Consumption", value.Numeric, ageNow,
			"The share of all processors' time that was used since the last look, at least a quarter of a second and at most a minute."),
	}
}
