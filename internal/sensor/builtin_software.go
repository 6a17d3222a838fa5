package sensor

import "catenary/internal/value"

const categorySoftware = "Software"

func softwareSensors() []Sensor {
	const category = categorySoftware
	name := Parameter{Key: "name", Label: "Application", Help: "The application's name; * stands for any text, ? for any character"}
	return []Sensor{
		several(category, "Installed Applications", ageSoftware,
			"What the package databases (dpkg and rpm), the Windows registry or the Mac's application folder list as installed.",
			text("Name"), version("Version"), text("Architecture"), text("Source")),
		single(category, "Application Count", value.NumericInteger, ageSoftware,
			"How many applications are installed."),
		of(single(category, "Application Installed", value.String, ageSoftware,
			"True if an application of that name is installed, else False."), name),
		of(several(category, "Application Version", ageSoftware,
			"The versions of the installed applications of that name.",
			text("Name"), version("Version")), name),
		scripted(on(several(category, "Available Updates", ageRare,
			"Updates that the machine knows of and has not installed. Nothing is asked over the network: what the machine's own look at its sources brought counts.",
			text("Name"), version("Installed"), version("Available"), text("Origin"), text("Security")), Linux), Windows),
		on(several(category, "Automatic Updates", ageRare,
			"How the system is set up to update itself.",
			text("Setting"), text("Value")), Linux, Windows),
		scriptedOnly(several(category, "Installed Updates", ageRare,
			"Updates of the system that are installed.",
			text("Update"), text("Kind"), date("Installed")), Windows),
	}
}

func packageSensors() []Sensor {
	const category = categorySoftware
	return []Sensor{
		on(several(category, "Package Sizes", ageRare,
			"Installed packages with the room that they take, in units of 1,024 bytes, and the section they belong to.",
			text("Package"), number("Size"), text("Section")), Linux),
		on(ofPath(single(category, "Package of File", value.String, ageSoftware,
			"The installed packages to which a file belongs."),
			"File", "The full path of a file"), Linux),
		on(of(several(category, "Package Verification", ageNetwork,
			"Files of an installed package that are Missing or Changed since. Settings that people change are marked as such.",
			text("File"), text("Finding"), text("Setting")),
			Parameter{Key: "package", Label: "Package", Help: "The package's name"}), Linux),
		on(single(category, "Held Packages", value.String, ageSoftware,
			"Packages that are held at their version."), Linux),
		on(several(category, "Broken Packages", ageSoftware,
			"Packages whose installation has begun and not ended.",
			text("Package"), text("State")), Linux),
		on(several(category, "Package History", ageSoftware,
			"The last 1,000 installations, upgrades and removals that the package system's log tells.",
			date("Time"), text("Action"), text("Package"), version("Version")), Linux),
		on(single(category, "Last Software Change", value.BESDate, ageSoftware,
			"When a package was last installed, upgraded or removed."), Linux),
		on(single(category, "Package Lists Updated", value.BESDate, ageSoftware,
			"When the machine last fetched the lists of packages from its sources."), Linux),
		on(several(category, "Package Repositories", ageRare,
			"Where the machine gets packages from, without passwords.",
			text("Kind"), text("Address"), text("Suite"), text("Components"), text("Enabled"), text("File")), Linux),
		on(several(category, "Alternatives", ageRare,
			"Which of several programs serves under a common name, and who chose it.",
			text("Name"), text("Mode"), text("Path")), Linux),
	}
}

func ecosystemSensors() []Sensor {
	const category = categorySoftware
	return []Sensor{
		on(several(category, "Snap Packages", ageSoftware,
			"Installed snaps and the revision that is in use.",
			text("Name"), text("Revision"), version("Version")), Linux),
		on(several(category, "Flatpak Applications", ageSoftware,
			"Applications that Flatpak has installed for everybody.",
			text("Application"), text("Branch"), text("Architecture")), Linux),
		on(several(category, "Python Packages", ageSoftware,
			"Python packages that are installed for everybody, and where.",
			text("Name"), version("Version"), text("Folder")), Linux, Mac),
		on(several(category, "Node Packages", ageSoftware,
			"Packages of Node that are installed for everybody.",
			text("Name"), version("Version"), text("Folder")), Linux, Mac),
		on(several(category, "Ruby Gems", ageSoftware,
			"Ruby gems that are installed for everybody.",
			text("Name"), version("Version"), text("Folder")), Linux, Mac),
		on(several(category, "Java Runtimes", ageSoftware,
			"Java runtimes in the usual folders.",
			text("Folder"), version("Version"), text("Implementor")), Linux, Mac),
		several(category, "Dotnet Runtimes", ageSoftware,
			"Runtimes of .NET in the usual folders.",
			text("Runtime"), version("Version")),
		several(category, "Browser Extensions", ageSoftware,
			"Extensions of Chrome, Chromium, Edge, Brave and Firefox in the profiles of all users.",
			text("User"), text("Browser"), text("Extension"), version("Version"), text("ID")),
	}
}
