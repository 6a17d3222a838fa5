package sensor

import "catenary/internal/value"

const categoryProcesses = "Processes"

var processParameter = Parameter{Key: "process", Label: "Process", Help: "The program's name; * stands for any text, ? for any character"}

func processSensors() []Sensor {
	const category = categoryProcesses
	return []Sensor{
		single(category, "Running Processes", value.String, ageLive,
			"Names of the running programs, each once. Threads of the kernel are left out."),
		several(category, "Running Processes with Hash", ageNetwork,
			"Running programs with the file that each was started from. Path and hash are empty where the client may not see them.",
			text("Process"), text("Path"), text("SHA-256")),
		several(category, "Running Processes with MD5 Hash", ageNetwork,
			"The same with the MD5 of the file.",
			text("Process"), text("Path"), text("MD5")),
		of(single(category, "Process Running", value.String, ageNow,
			"True if a program of that name runs, else False."), processParameter),
		several(category, "Process Details", ageLive,
			"Every process with its number, that of the process that started it, account, state, start and command line.",
			text("Process"), number("PID"), number("Parent PID"), text("User"), text("State"), date("Started"), text("Command Line")),
		several(category, "Process Command Lines", ageLive,
			"Running programs with their command lines.",
			text("Process"), text("Command Line")),
		several(category, "Process Parents", ageLive,
			"Running programs and the programs that started them. A program whose starter has ended has no parent or the system's.",
			text("Process"), text("Parent")),
		several(category, "Process Users", ageLive,
			"Running programs and the accounts as which they run.",
			text("Process"), text("User")),
		several(category, "Top Processes by CPU", ageNow,
			"The ten processes that use most of the processors, as shares of one processor since the last look, at least a quarter of a second and at most a minute.",
			text("Process"), number("PID"), text("User"), decimal("CPU Percent")),
		several(category, "Top Processes by Memory", ageNow,
			"The ten processes that occupy most physical memory, in units of 1,048,576 bytes.",
			text("Process"), number("PID"), text("User"), size("Memory")),
		several(category, "Process Memory", ageLive,
			"Physical memory that all processes of one name occupy together, in units of 1,048,576 bytes. What they share is counted for each.",
			text("Process"), number("Processes"), size("Memory")),
		single(category, "Process Count", value.NumericInteger, ageLive,
			"How many processes there are, without threads of the kernel."),
		on(several(category, "Process States", ageLive,
			"How many processes are in which state.",
			text("State"), number("Processes")), Linux),
		on(single(category, "Thread Count", value.NumericInteger, ageLive,
			"How many threads all processes have together, without those of the kernel."), Linux),
	}
}

func processDetailSensors() []Sensor {
	const category = categoryProcesses
	return []Sensor{
		on(several(category, "Zombie Processes", ageLive,
			"Processes that have ended and for which their parent has not looked.",
			text("Process"), number("PID"), text("Parent")), Linux),
		on(several(category, "Blocked Processes", ageNow,
			"Processes that wait for a device or a file system and cannot be interrupted, with what they wait in.",
			text("Process"), number("PID"), text("Waiting In")), Linux),
		on(several(category, "Open File Counts", ageLive,
			"How many files each process has open, and how many it may. Processes into which the client may not look are left out.",
			text("Process"), number("PID"), number("Open"), number("Limit")), Linux),
		on(of(several(category, "Open Files", ageLive,
			"Files, sockets and pipes that the processes of a name have open, at most 10,000.",
			text("Process"), number("PID"), text("Path")), processParameter), Linux),
		on(of(several(category, "Loaded Libraries", ageLive,
			"Libraries and other files that the processes of a name have in their memory.",
			text("Process"), text("Path")), processParameter), Linux),
		on(several(category, "Deleted Open Files", ageLive,
			"Files that were removed and still take room because a process has them open, with their size in bytes.",
			text("Process"), number("PID"), text("Path"), number("Size")), Linux),
		on(several(category, "Processes of Deleted Programs", ageLive,
			"Processes whose program file was removed or replaced since they were started.",
			text("Process"), number("PID"), text("Path")), Linux),
		on(several(category, "Deleted Libraries Used", ageNetwork,
			"Programs that use libraries which were removed or replaced since, as after an update: they want a restart.",
			text("Process"), text("Library")), Linux),
		on(several(category, "Unpackaged Processes", ageNetwork,
			"Running programs whose file belongs to no installed package.",
			text("Process"), text("Path"), text("User")), Linux),
		on(of(several(category, "Process Environment", ageLive,
			"The value of an environment variable in each process that has it.",
			text("Process"), text("Value")),
			Parameter{Key: "variable", Label: "Variable", Help: "The variable's name, in its own letter case"}), Linux),
		on(several(category, "Process Capabilities", ageNetwork,
			"Programs that do not run as root and still have some of its rights in effect.",
			text("Process"), text("User"), text("Capabilities")), Linux),
		on(several(category, "Shared Memory Segments", ageNetwork,
			"Segments of memory that processes share by System V's way, with their size in bytes.",
			number("Segment"), text("Owner"), text("Mode"), number("Size"), number("Attached"), text("Creator")), Linux),
	}
}
