package sensor

import "catenary/internal/value"

const categoryClient = "Client"

func clientSensors() []Sensor {
	const category = categoryClient
	return []Sensor{
		single(category, "Computer Name", value.String, ageFixed,
			"The machine's host name, or the name that its client was given instead."),
		single(category, "Computer ID", value.NumericInteger, ageFixed,
			"The number under which the server knows the machine."),
		single(category, "Client Version", value.Version, ageRare,
			"The version of the client that answers."),
		single(category, "Online", value.String, ageFixed,
			"Always True: a machine that can answer is online."),
		several(category, "Client Program", ageRare,
			"The client's own program file, its hash, and what it was built for and with.",
			text("Path"), text("SHA-256"), text("Built For"), text("Go Version")),
		single(category, "Client Uptime", value.TimeDiff, ageLive,
			"How long ago the client was started, in its two largest units."),
		single(category, "Client Memory", value.DataSize, ageLive,
			"Physical memory that the client occupies, in units of 1,048,576 bytes."),
		single(category, "Client CPU Consumption", value.Numeric, ageLive,
			"The share of one processor that the client has used on average since it was started."),
		several(category, "Client Folder", ageRare,
			"The folder that keeps the client's key and identity, and the room that its files take.",
			text("Folder"), size("Size"), number("Files")),
		several(category, "Client Environment", ageRare,
			"Environment variables with which the client was started. Values are told only of variables that hold no secrets by their nature (PATH, HOME, LANG and such).",
			text("Variable"), text("Value")),
		single(category, "Custom Tags", value.String, ageLive,
			"The tags that this machine was given: the lines of the file custom-tags.txt in the client's folder."),
		of(single(category, "Has Custom Tag", value.String, ageLive,
			"True if the machine has the tag, in any letter case, else False."),
			Parameter{Key: "tag", Label: "Tag", Help: "The whole tag; * stands for any text, ? for any character"}),
		several(category, "Sensor Run Times", ageNow,
			"How often each native sensor has run on this machine since the client was started, how often it failed, and how long it took, in milliseconds. Answers from the client's cache are no runs.",
			text("Sensor"), number("Runs"), number("Failures"), decimal("Average"), decimal("Longest")),
	}
}

func chainSensors() []Sensor {
	const category = categoryClient
	return []Sensor{
		single(category, "Client Address", value.String, ageLive,
			"The address and port where this client's neighbours reach it."),
		single(category, "Server Address", value.String, ageLive,
			"The server with which the client registered last over a connection of its own."),
		single(category, "Peer Address", value.String, ageNow,
			"The neighbour to which this client passes messages on: an address and port, or Server. It is empty while there is none."),
		single(category, "Back Peer Address", value.String, ageNow,
			"The neighbour from which this client gets messages: an address and port, or Server. It is empty while there is none."),
		single(category, "Chain Role", value.String, ageNow,
			"What the client is in its chain: Member, Backward Leader, Forward Leader, Only Member (both leaders at once), or Apart while it lacks a neighbour."),
		single(category, "Questions Answered", value.NumericInteger, ageNow,
			"Questions that the client has computed since it joined its chain at its present address."),
		several(category, "Sensor Cache", ageNow,
			"How many answers of sensors the client remembers, and how many it may.",
			number("Answers"), number("Limit")),
	}
}
