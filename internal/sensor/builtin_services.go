package sensor

const categoryServices = "Services"

func serviceSensors() []Sensor {
	const category = categoryServices
	service := Parameter{Key: "service", Label: "Service", Help: "The service's name; * stands for any text, ? for any character"}
	return []Sensor{
		on(several(category, "Running Services", ageLive,
			"Services with running processes, and the manager that told: systemd, OpenRC, init.d (start scripts whose process file names a living process) or Windows.",
			text("Service"), text("Manager")), Linux, Windows),
		scripted(on(several(category, "Services", ageLive,
			"Services that are installed, whether they run, and when they are started.",
			text("Service"), text("State"), text("Start Mode"), text("Manager")), Linux, Windows), Mac),
		on(of(several(category, "Service State", ageLive,
			"The same of the services of a name.",
			text("Service"), text("State"), text("Start Mode")), service), Linux, Windows),
		on(several(category, "Service Programs", ageRare,
			"What each service starts, and as whom.",
			text("Service"), text("Command"), text("User")), Linux, Windows),
		on(several(category, "Service Processes", ageLive,
			"The processes of each service of systemd, by their control groups.",
			text("Service"), number("PID"), text("Process")), Linux),
		on(several(category, "Service Units", ageRare,
			"Unit files of systemd, whether they are enabled, and where they are.",
			text("Unit"), text("State"), text("File")), Linux),
		on(several(category, "Service Overrides", ageRare,
			"Files that change or replace unit files of systemd on this machine.",
			text("Unit"), text("Kind"), text("File")), Linux),
		on(several(category, "Socket Activation", ageRare,
			"Sockets on which systemd waits to start a service.",
			text("Unit"), text("Listens On"), text("Starts")), Linux),
		several(category, "Scheduled Tasks", ageNetwork,
			"What is started at set times: by cron and at, by timers of systemd, by the task scheduler or by launchd. Each by its source, schedule, account and command.",
			text("Name"), text("Schedule"), text("User"), text("Command"), text("Source")),
		several(category, "Startup Programs", ageNetwork,
			"What is started with the system or when somebody logs in, besides services.",
			text("Name"), text("Command"), text("User"), text("Source")),
	}
}
