package sensor

import "catenary/internal/value"

const categoryHardware = "Hardware"

func hardwareSensors() []Sensor {
	const category = categoryHardware
	return []Sensor{
		single(category, "CPU Architecture", value.String, ageFixed,
			"The processor's architecture, as the kernel spells it: x86_64, arm64."),
		single(category, "CPU Model", value.String, ageFixed,
			"The processor's model name; one row for each model in the machine."),
		single(category, "Number of CPUs", value.NumericInteger, ageRare,
			"Logical processors that are online."),
		single(category, "CPU Cores", value.NumericInteger, ageFixed,
			"Physical cores of all processors together."),
		single(category, "CPU Speed", value.NumericInteger, ageRare,
			"The highest clock rate of the processors, in megahertz."),
		on(several(category, "Processors", ageFixed,
			"The processors by their sockets, with cores and logical processors.",
			text("Socket"), text("Model"), number("Cores"), number("Logical")), Linux, Windows),
		on(several(category, "CPU Caches", ageFixed,
			"The kinds of caches of the first processor, with the size of one in units of 1,024 bytes and how many logical processors share it.",
			number("Level"), text("Kind"), number("Size"), number("Shared By")), Linux),
		on(single(category, "CPU Features", value.String, ageFixed,
			"The features of the first processor by the kernel's names for them."), Linux),
		on(single(category, "CPU Microcode", value.String, ageRare,
			"The version of the microcode that the processors run, as the kernel prints it."), Linux),
		single(category, "Is Virtual", value.String, ageFixed,
			"True on a virtual machine, False on hardware. A container counts as what its host is."),
		on(single(category, "Hypervisor", value.String, ageFixed,
			"On what kind of hypervisor the machine runs: KVM, VMware, Hyper-V, Xen; None on hardware."), Linux, Windows),
		on(several(category, "NUMA Nodes", ageFixed,
			"Groups of processors and the memory that is next to them.",
			number("Node"), text("CPUs"), size("Memory")), Linux),
	}
}

func firmwareSensors() []Sensor {
	const category = categoryHardware
	return []Sensor{
		on(single(category, "Chassis Type", value.String, ageFixed,
			"What the firmware says the machine's case is: Desktop, Notebook, Rack Mount Chassis."), Linux, Windows),
		on(single(category, "Manufacturer", value.String, ageFixed,
			"The machine's maker, as its firmware says."), Linux, Windows),
		single(category, "Model", value.String, ageFixed,
			"The machine's model, as its firmware says."),
		scripted(single(category, "Serial Number", value.String, ageFixed,
			"The machine's serial number, as its firmware says."), Mac),
		scripted(single(category, "System UUID", value.String, ageFixed,
			"The machine's identifier in its firmware, in lower case."), Mac),
		on(single(category, "Asset Tag", value.String, ageFixed,
			"The owner's mark for the machine, as its firmware says."), Linux, Windows),
		on(single(category, "BIOS Vendor", value.String, ageFixed,
			"Who made the firmware."), Linux, Windows),
		on(single(category, "BIOS Version", value.String, ageRare,
			"The version of the firmware."), Linux, Windows),
		on(single(category, "BIOS Date", value.VariousDate, ageRare,
			"The date of the firmware, month first."), Linux, Windows),
		on(several(category, "Baseboard", ageFixed,
			"The main circuit board, as the firmware describes it.",
			text("Manufacturer"), text("Product"), text("Version"), text("Serial Number")), Linux, Windows),
		on(several(category, "Memory Modules", ageFixed,
			"Memory modules by their slots, as the firmware describes them. Speed is in millions of transfers per second.",
			text("Slot"), size("Size"), text("Type"), number("Speed"), text("Manufacturer"), text("Part Number"), text("Serial Number")), Linux, Windows),
		on(several(category, "Memory Errors", ageNetwork,
			"Errors that the memory controllers have found since the start, those that were corrected and those that were not.",
			text("Controller"), number("Corrected"), number("Uncorrected")), Linux),
		on(several(category, "Boot Entries", ageRare,
			"What the UEFI firmware can start, in its order of trying; entries that are not tried have no place.",
			number("Place"), text("Entry"), text("Description"), text("Active")), Linux),
	}
}

func capacitySensors() []Sensor {
	const category = categoryHardware
	return []Sensor{
		single(category, "Total Memory", value.DataSize, ageRare,
			"Memory that the system can use, in units of 1,048,576 bytes."),
		single(category, "Free Memory", value.DataSize, ageLive,
			"Memory that programs can still get without swapping, in units of 1,048,576 bytes. Caches that the system would give up count as free."),
		single(category, "Used Memory Percent", value.NumericInteger, ageLive,
			"The share of the memory that programs cannot get any more without swapping, rounded."),
		on(several(category, "Memory Usage", ageLive,
			"What the kernel uses memory for, in units of 1,048,576 bytes, by its own names.",
			text("Kind"), size("Size")), Linux),
		single(category, "Total Swap", value.DataSize, ageRare,
			"Room on disks to which memory can be swapped, in units of 1,048,576 bytes."),
		single(category, "Free Swap", value.DataSize, ageLive,
			"Room for swapped memory that is not used, in units of 1,048,576 bytes."),
		on(several(category, "Swap Devices", ageNetwork,
			"Partitions and files to which memory is swapped, in units of 1,048,576 bytes.",
			text("Device"), text("Kind"), size("Size"), size("Used"), number("Priority")), Linux),
		several(category, "Disk Free Space", ageNetwork,
			"Local file systems on disks, with their room in units of 1,048,576 bytes. Free is what ordinary users may still fill.",
			text("Mount"), text("File System"), size("Free"), size("Total"), number("Used Percent")),
	}
}

func deviceSensors() []Sensor {
	const category = categoryHardware
	return []Sensor{
		scripted(on(several(category, "PCI Devices", ageRare,
			"Devices on the PCI bus by their place, with names where the machine knows them and numbers else, and the driver that serves them.",
			text("Place"), text("Class"), text("Vendor"), text("Device"), text("Driver")), Linux), Windows),
		scripted(several(category, "USB Devices", ageNetwork,
			"Devices on the USB, without hubs and controllers.",
			text("Vendor ID"), text("Product ID"), text("Manufacturer"), text("Product"), text("Serial Number")), Windows, Mac),
		scripted(several(category, "Batteries", ageLive,
			"Batteries of the machine, how full they are, and how much of what they once held they still can hold.",
			text("Battery"), text("Status"), number("Charge Percent"), number("Health Percent"), number("Cycles")), Windows, Mac),
		on(several(category, "Power Source", ageLive,
			"Power supplies that are no batteries, and whether they give power.",
			text("Supply"), text("Online")), Linux),
		on(several(category, "Temperatures", ageLive,
			"What the machine's thermometers say, in degrees Celsius.",
			text("Sensor"), decimal("Celsius")), Linux),
		on(several(category, "Fans", ageLive,
			"How fast the machine's fans turn, in turns per minute.",
			text("Fan"), number("Speed")), Linux),
		scripted(several(category, "Graphics Adapters", ageRare,
			"Graphics adapters and their drivers.",
			text("Vendor"), text("Device"), text("Driver")), Windows, Mac),
		on(several(category, "Monitors", ageNetwork,
			"Monitors that are or, on Windows, were connected, as they describe themselves.",
			text("Manufacturer"), text("Model"), text("Serial Number"), number("Year")), Linux, Windows),
		on(several(category, "Audio Devices", ageRare,
			"Sound cards that the kernel knows.",
			text("Card"), text("Driver"), text("Name")), Linux),
		on(several(category, "Input Devices", ageRare,
			"Keyboards, pointers and other devices for input.",
			text("Name"), text("Bus"), text("Place")), Linux),
		on(several(category, "Printers", ageRare,
			"Printers that the machine's own print service offers.",
			text("Printer"), text("Device"), text("Model"), text("State")), Linux, Windows, Mac),
	}
}

func diskSensors() []Sensor {
	const category = categoryHardware
	return []Sensor{
		scripted(on(several(category, "Physical Disks", ageRare,
			"Disks and drives of the machine. Kind is SSD, HDD, Optical or Virtual; size in units of 1,048,576 bytes.",
			text("Disk"), text("Model"), text("Serial Number"), size("Size"), text("Kind"), text("Bus"), text("Removable")), Linux), Windows),
		on(several(category, "Disk Partitions", ageRare,
			"Partitions of the disks, with their size in units of 1,048,576 bytes, and where they are mounted.",
			text("Partition"), text("Disk"), size("Size"), text("Mount")), Linux),
		several(category, "Disk Activity", ageLive,
			"What was read from and written to each disk since the start, in units of 1,048,576 bytes.",
			text("Disk"), size("Read"), size("Written")),
		on(several(category, "RAID Arrays", ageNetwork,
			"Arrays of disks that the kernel manages. State tells whether members are missing.",
			text("Array"), text("Level"), text("State"), number("Members"), number("Working"), text("Devices")), Linux),
		on(several(category, "Logical Volumes", ageRare,
			"Volumes of the device mapper: logical (LVM), encrypted (CRYPT), multipath (mpath) and others; size in units of 1,048,576 bytes.",
			text("Volume"), text("Kind"), size("Size"), text("On"), text("Mount")), Linux),
	}
}
