package sensor

import "catenary/internal/value"

const categoryUsers = "Users"

func accountSensors() []Sensor {
	const category = categoryUsers
	group := Parameter{Key: "group", Label: "Group", Help: "The group's name"}
	user := Parameter{Key: "user", Label: "User", Help: "The account's name"}
	return []Sensor{
		scripted(on(several(category, "Local Users", ageNetwork,
			"Accounts that the machine keeps itself. Columns that the system does not have are empty.",
			text("User"), number("UID"), number("GID"), text("Full Name"), text("Home"), text("Shell")), Linux, Windows), Mac),
		of(single(category, "User Exists", value.String, ageNetwork,
			"True if the machine knows the account, else False."), user),
		scripted(on(several(category, "Local Groups", ageNetwork,
			"Groups that the machine keeps itself, with the members that they name.",
			text("Group"), number("GID"), text("Members")), Linux), Windows, Mac),
		scripted(on(of(single(category, "Group Members", value.String, ageNetwork,
			"The members of a local group; on Linux also those whose main group it is."), group), Linux), Windows),
		on(of(single(category, "User Groups", value.String, ageNetwork,
			"The local groups in which an account is."), user), Linux),
		scripted(on(several(category, "Local Administrators", ageNetwork,
			"Who may become the machine's master, and through what: UID 0, a group of administrators, a rule of sudo, or a group that may command Docker, LXD or the disks.",
			text("User"), text("Through")), Linux), Windows, Mac),
		on(several(category, "Sudo Rules", ageNetwork,
			"The rules of sudo: who may run what as whom, with the file and line of each.",
			text("Who"), text("Rule"), text("No Password"), text("File"), number("Line")), Linux, Mac),
		on(single(category, "Root Accounts", value.String, ageNetwork,
			"Accounts whose number is 0 and which are therefore the machine's master."), Linux),
		on(several(category, "Password Status", ageNetwork,
			"The state of each account's password (Set, Locked, None), how it is hashed, its last change, after how many days it must be changed, and when the account ends.",
			text("User"), text("State"), text("Hash"), date("Changed"), number("Maximum Days"), date("Account Expires")), Linux),
		on(single(category, "Accounts without Password", value.String, ageNetwork,
			"Accounts into which one can log in without a password."), Linux),
		scripted(on(several(category, "Password Policy", ageRare,
			"Rules for passwords that the system is set up with.",
			text("Setting"), text("Value"), text("Source")), Linux), Windows),
		on(several(category, "Home Folders", ageNetwork,
			"The home folders of people's accounts, whose they are and who may do what there.",
			text("User"), text("Folder"), text("Owner"), text("Mode")), Linux, Mac),
		on(several(category, "Directory Membership", ageRare,
			"Directories of accounts to which the machine belongs: a domain of Active Directory, FreeIPA, LDAP or Kerberos.",
			text("Kind"), text("Domain"), text("Source")), Linux, Windows),
	}
}

func loginSensors() []Sensor {
	const category = categoryUsers
	return []Sensor{
		single(category, "Logged In Users", value.String, ageLive,
			"Accounts with a login session, each once."),
		on(several(category, "Login Sessions", ageLive,
			"Login sessions that go on, with their terminal and from where they came.",
			text("User"), text("Terminal"), text("From"), date("Login")), Linux, Mac),
		scripted(on(single(category, "Last Logged In User", value.String, ageNetwork,
			"Who logged in last."), Linux, Windows), Mac),
		on(several(category, "User Last Logins", ageNetwork,
			"When each account logged in last, and from where. Accounts that never did are left out.",
			text("User"), date("Login"), text("Terminal"), text("From")), Linux),
		on(several(category, "Login History", ageNetwork,
			"The last 1,000 logins that the record of logins tells. Logout is empty for sessions that go on or whose end was not recorded.",
			text("User"), text("Terminal"), text("From"), date("Login"), date("Logout")), Linux),
		on(several(category, "Failed Logins", ageNetwork,
			"Failed logins that the record of them tells, counted by account and from where they came.",
			text("User"), text("From"), number("Failures"), date("Last")), Linux),
		on(several(category, "SSH Authorized Keys", ageNetwork,
			"Keys with which one can log in by SSH, by account, with their fingerprints and what restricts them.",
			text("User"), text("Type"), text("Fingerprint"), text("Comment"), text("Options")), Linux, Mac),
		on(several(category, "SSH Private Keys", ageNetwork,
			"Private keys in the SSH folders of accounts, and whether a passphrase protects them.",
			text("User"), text("File"), text("Format"), text("Encrypted")), Linux, Mac),
	}
}
