package sensor

import "catenary/internal/value"

const categoryFiles = "Files"

// What a sensor about files is asked with.
var (
	folderParameter = Parameter{Key: "folder", Label: "Folder", Help: "The full path of a folder"}
	fileParameter   = Parameter{Key: "path", Label: "File", Help: "The full path of a file"}
	globParameter   = Parameter{Key: "pattern", Label: "Pattern", Help: "A full path in which * stands for any text in one name, ? for any character and [a-z] for one of some"}
)

func fileSensors() []Sensor {
	const category = categoryFiles
	file := func(s Sensor) Sensor { return of(s, fileParameter) }
	return []Sensor{
		ofPath(single(category, "File Exists", value.String, ageLive,
			"True if a file or folder is at the path, else False."),
			"Path", "The full path of a file or folder"),
		file(single(category, "File Hash", value.String, ageLive,
			"The SHA-256 of a file of at most 4,294,967,296 bytes.")),
		file(single(category, "File MD5 Hash", value.String, ageLive,
			"The MD5 of a file of at most 4,294,967,296 bytes.")),
		file(single(category, "File SHA-1 Hash", value.String, ageLive,
			"The SHA-1 of a file of at most 4,294,967,296 bytes.")),
		file(single(category, "File Size", value.NumericInteger, ageLive,
			"The size of a file in bytes.")),
		file(single(category, "File Modified", value.BESDate, ageLive,
			"When the content of a file or folder was changed last.")),
		file(single(category, "File Type", value.String, ageLive,
			"What kind of file it is, judged by its first bytes: ELF Program, Windows Program, Script, Zip Archive, Text, Data.")),
		ofPath(several(category, "File Details", ageLive,
			"What the file system knows of a file or folder. Mode, owner and group are empty on Windows.",
			text("Type"), number("Size"), date("Modified"), text("Mode"), text("Owner"), text("Group")),
			"Path", "The full path of a file or folder; a link is described itself"),
		ofPath(single(category, "Link Target", value.String, ageLive,
			"Where a symbolic link leads, as it is written in it."),
			"Link", "The full path of a symbolic link"),
		on(file(single(category, "File Version", value.Version, ageNetwork,
			"The version that a program or library of Windows bears.")), Windows),
		listed(file(several(category, "File Contents", ageNow,
			"The lines of a text file, at most 1,000 lines and 65,536 bytes.",
			number("Line"), text("Text")))),
		listed(of(several(category, "Last Lines", ageNow,
			"The last lines of a text file, at most 1,000 lines and 65,536 bytes.",
			number("Line from End"), text("Text")),
			fileParameter, Parameter{Key: "count", Label: "Lines", Help: "How many lines", Default: "20"})),
		listed(of(several(category, "Matching Lines", ageNow,
			"Lines of a text file that match a regular expression (RE2), at most 1,000, of the first 67,108,864 bytes.",
			number("Line"), text("Text")),
			fileParameter, Parameter{Key: "expression", Label: "Expression", Help: "A regular expression that is to match a part of the line"})),
		of(single(category, "File Contains", value.String, ageNow,
			"True if a text stands in the first 67,108,864 bytes of a file, else False. Letter case counts."),
			fileParameter, Parameter{Key: "text", Label: "Text", Help: "The text to look for, within one line"}),
		of(single(category, "INI Setting", value.String, ageNetwork,
			"The values of a key in a file of sections and keys, or of keys alone."),
			fileParameter, Parameter{Key: "section", Label: "Section", Help: "The section's name; empty for keys before the first section"},
			Parameter{Key: "key", Label: "Key", Help: "The key's name"}),
		of(single(category, "JSON Value", value.String, ageNetwork,
			"The value at a place in a JSON file of at most 16,777,216 bytes. A list gives one row for each of its parts."),
			fileParameter, Parameter{Key: "place", Label: "Place", Help: "The way to the value: names and numbers with slashes between, as in RFC 6901: /servers/0/name"}),
	}
}

func fileSearchSensors() []Sensor {
	const category = categoryFiles
	found := []Column{text("Path"), number("Size"), date("Modified")}
	search := func(name, description string, columns []Column, parameters ...Parameter) Sensor {
		return of(several(category, name, ageNetwork, description, columns...), parameters...)
	}
	name := Parameter{Key: "name", Label: "Name", Help: "The file's name; * stands for any text, ? for any character"}
	return []Sensor{
		ofPath(several(category, "Folder Contents", ageLive,
			"What lies in a folder, at most 10,000 entries. Size is in bytes and empty for all but files.",
			text("Name"), text("Type"), number("Size")),
			"Folder", "The full path of a folder"),
		search("Matching Files", "Files and folders whose paths match a pattern, at most 10,000.", found, globParameter),
		search("File Hashes", "The SHA-256 of the files whose paths match a pattern, at most 1,000 files and 4,294,967,296 bytes together.",
			[]Column{text("Path"), text("SHA-256")}, globParameter),
		search("Find Files", "Files of a name in a folder and all below it on the same file system, at most 1,000 of the first 2,000,000 entries.", found, folderParameter, name),
		search("Find Files by Hash", "Files of a size and SHA-256 in a folder and all below it on the same file system, of the first 2,000,000 entries.",
			[]Column{text("Path")}, folderParameter,
			Parameter{Key: "size", Label: "Size", Help: "The file's size in bytes"},
			Parameter{Key: "hash", Label: "SHA-256", Help: "The file's SHA-256 in hexadecimal"}),
		search("Large Files", "The 100 largest files of at least a size in a folder and all below it on the same file system, of the first 2,000,000 entries.", found, folderParameter,
			Parameter{Key: "megabytes", Label: "Megabytes", Help: "The least size in units of 1,048,576 bytes", Default: "100"}),
		search("Recently Changed Files", "Files that were changed within some hours in a folder and all below it on the same file system, the newest 1,000 of the first 2,000,000 entries.", found, folderParameter,
			Parameter{Key: "hours", Label: "Hours", Help: "How many hours ago at most", Default: "24"}),
		search("Folder Size", "The room that the files in a folder and all below it on the same file system take, in units of 1,048,576 bytes, and their number, of at most 2,000,000 entries.",
			[]Column{size("Size"), number("Files"), number("Folders")}, folderParameter),
		search("Subfolder Sizes", "The same for each folder directly in a folder.",
			[]Column{text("Folder"), size("Size"), number("Files")}, folderParameter),
	}
}

func fileSystemSensors() []Sensor {
	const category = categoryFiles
	search := func(name, description string, columns ...Column) Sensor {
		return of(several(category, name, ageNetwork, description+" In a folder and all below it on the same file system, at most 1,000 of the first 2,000,000 entries.", columns...), folderParameter)
	}
	return []Sensor{
		several(category, "Mounted File Systems", ageNetwork,
			"File systems that programs can see, without those in which the kernel shows itself.",
			text("Mount"), text("Source"), text("File System"), text("Options")),
		on(several(category, "Configured Mounts", ageRare,
			"File systems that are mounted at the start or on request, as /etc/fstab has them.",
			text("Mount"), text("Source"), text("File System"), text("Options")), Linux, Mac),
		on(several(category, "Inode Usage", ageNetwork,
			"How many files each local file system on disks may still get.",
			text("Mount"), number("Free"), number("Total"), number("Used Percent")), Linux),
		on(search("SUID Files", "Programs that run as their owner or group, whoever starts them.",
			text("Path"), text("Owner"), text("Group"), text("Mode")), Linux, Mac),
		on(search("World Writable Files", "Files that everybody may change, and folders in which everybody may do as they like with others' files.",
			text("Path"), text("Type"), text("Owner"), text("Mode")), Linux, Mac),
		on(search("Unowned Files", "Files of accounts or groups that the machine does not know.",
			text("Path"), number("UID"), number("GID")), Linux, Mac),
		on(search("File Capabilities", "Programs that get some of the master's rights, whoever starts them.",
			text("Path"), text("Capabilities")), Linux),
		on(search("Immutable Files", "Files that nobody may change, or only add to.",
			text("Path"), text("Attributes")), Linux),
		on(several(category, "Temporary Executables", ageNetwork,
			"Programs and scripts that may be run in the folders for temporary files, at most 1,000 of the first 100,000 entries.",
			text("Path"), text("Owner"), text("Type"), date("Modified")), Linux, Mac),
	}
}
