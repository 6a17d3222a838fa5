package probe

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

// Numbers of accounts that are people's (login.defs(5), UID_MIN and UID_MAX as
// the distributions set them).
const (
	peopleFrom  = 1_000
	peopleUntil = 60_000
)

func (p *Probe) accountFacts() map[string]fact {
	return map[string]fact{
		"Local Users":               p.tableIn(localUsers),
		"User Exists":               p.withIn(1, userExists),
		"Local Groups":              p.tableIn(localGroups),
		"Group Members":             p.withIn(1, groupMembers),
		"User Groups":               p.withIn(1, groupsOfUser),
		"Local Administrators":      p.tableIn(localAdministrators),
		"Sudo Rules":                p.tableIn(func(_ context.Context, at tree) ([][]string, error) { return sudoRows(at) }),
		"Root Accounts":             p.listIn(rootAccounts),
		"Password Status":           p.tableIn(passwordStatus),
		"Accounts without Password": p.listIn(withoutPassword),
		"Password Policy":           p.tableIn(passwordPolicy),
		"Home Folders":              p.tableIn(homeFolders),
		"Directory Membership":      p.tableIn(directories),
		"Logged In Users":           p.listIn(loggedInUsers),
		"Login Sessions":            p.tableIn(loginSessions),
		"Last Logged In User":       p.textIn(lastUser),
		"User Last Logins":          p.tableIn(lastLogins),
		"Login History":             p.tableIn(loginHistory),
		"Failed Logins":             p.tableIn(failedLogins),
		"SSH Authorized Keys":       p.tableIn(authorizedKeys),
		"SSH Private Keys":          p.tableIn(privateKeys),
	}
}

func accounts(at tree) ([]account, error) {
	b, err := at.read("etc/passwd")
	return parsePasswd(string(b)), err
}

func groups(at tree) ([]userGroup, error) {
	b, err := at.read("etc/group")
	return parseGroups(string(b)), err
}

// userNames are the names of the accounts that the machine keeps. One without
// a list of them knows them by their numbers.
func (p *Probe) userNames() userNames {
	all, err := accounts(p.root)
	if err != nil {
		return nil
	}
	return namesOf(all)
}

func localUsers(_ context.Context, at tree) ([][]string, error) {
	all, err := accounts(at)
	var rows [][]string
	for _, a := range all {
		rows = append(rows, []string{a.name, a.uid, a.gid, a.full, a.home, a.shell})
	}
	return rows, err
}

func userExists(_ context.Context, at tree, params []string) ([][]string, error) {
	all, err := accounts(at)
	if err != nil {
		return nil, err
	}
	there := slices.ContainsFunc(all, func(a account) bool { return a.name == params[0] })
	return [][]string{{yesNo(there)}}, nil
}

func localGroups(_ context.Context, at tree) ([][]string, error) {
	all, err := groups(at)
	var rows [][]string
	for _, g := range all {
		rows = append(rows, []string{g.name, g.gid, strings.Join(g.members, ", ")})
	}
	return rows, err
}

func groupMembers(_ context.Context, at tree, params []string) ([][]string, error) {
	all, people, err := groupsAndAccounts(at)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(g userGroup) bool { return g.name == params[0] })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "there is no group %q", params[0])
	}
	return oneColumn(membersOf(all[i], people)), nil
}

func groupsAndAccounts(at tree) ([]userGroup, []account, error) {
	all, err := groups(at)
	if err != nil {
		return nil, nil, err
	}
	people, err := accounts(at)
	return all, people, err
}

func groupsOfUser(_ context.Context, at tree, params []string) ([][]string, error) {
	all, people, err := groupsAndAccounts(at)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(people, func(a account) bool { return a.name == params[0] })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "there is no account %q", params[0])
	}
	var names []string
	for _, g := range all {
		if g.gid == people[i].gid || slices.Contains(g.members, params[0]) {
			names = append(names, g.name)
		}
	}
	return oneColumn(names), nil
}

// mighty are groups whose members can become the machine's master.
var mighty = []string{"root", "sudo", "wheel", "admin", "docker", "lxd", "incus-admin", "disk", "libvirt"}

func localAdministrators(_ context.Context, at tree) ([][]string, error) {
	all, people, err := groupsAndAccounts(at)
	if err != nil {
		return nil, err
	}
	rules, err := sudoRules(at)
	if err != nil {
		return nil, err
	}
	through := slices.Clone(mighty)
	var rows [][]string
	for _, a := range people {
		if a.uid == "0" {
			rows = append(rows, []string{a.name, "UID 0"})
		}
	}
	for _, r := range rules {
		switch name, isGroup := strings.CutPrefix(r.who, "%"); {
		case isGroup:
			through = append(through, name)
		case r.who != "root":
			rows = append(rows, []string{r.who, "rule of sudo"})
		}
	}
	for _, g := range all {
		if !slices.Contains(through, g.name) {
			continue
		}
		for _, member := range membersOf(g, people) {
			if member != "root" {
				rows = append(rows, []string{member, "group " + g.name})
			}
		}
	}
	return uniqueRows(rows), nil
}

func rootAccounts(_ context.Context, at tree) ([]string, error) {
	all, err := accounts(at)
	var names []string
	for _, a := range all {
		if a.uid == "0" {
			names = append(names, a.name)
		}
	}
	return names, err
}

func passwordStatus(_ context.Context, at tree) ([][]string, error) {
	b, err := at.read("etc/shadow")
	var rows [][]string
	for _, p := range parseShadow(string(b)) {
		rows = append(rows, []string{p.user, p.state, p.hash, p.changed, p.maximum, p.expires})
	}
	return rows, err
}

func withoutPassword(_ context.Context, at tree) ([]string, error) {
	b, err := at.read("etc/shadow")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range parseShadow(string(b)) {
		if p.state == passwordNone {
			names = append(names, p.user)
		}
	}
	passwd, err := at.read("etc/passwd")
	for line := range strings.Lines(string(passwd)) {
		if f := strings.Split(line, ":"); len(f) == 7 && f[1] == "" && isNumber(f[2]) { // it does not refer to the shadow file
			names = append(names, f[0])
		}
	}
	return names, err
}

// policySettings are the settings of login.defs that are about passwords.
var policySettings = []string{
	"PASS_MAX_DAYS", "PASS_MIN_DAYS", "PASS_MIN_LEN", "PASS_WARN_AGE", "ENCRYPT_METHOD", "UMASK",
	"LOGIN_RETRIES", "LOGIN_TIMEOUT", "YESCRYPT_COST_FACTOR", "SHA_CRYPT_MIN_ROUNDS", "SHA_CRYPT_MAX_ROUNDS",
}

func passwordPolicy(_ context.Context, at tree) ([][]string, error) {
	text, err := at.text("etc/login.defs")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 2 && slices.Contains(policySettings, f[0]) {
			rows = append(rows, []string{f[0], f[1], "/etc/login.defs"})
		}
	}
	files := []string{"/etc/security/pwquality.conf", "/etc/security/faillock.conf", "/etc/security/pwhistory.conf"}
	more, err := at.glob("/etc/security/pwquality.conf.d/*.conf")
	if err != nil {
		return nil, err
	}
	for _, file := range append(files, more...) {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		for _, s := range iniSettings(text) {
			rows = append(rows, []string{s.key, s.value, file})
		}
	}
	return rows, nil
}

// homes are the folders of people and of root. Accounts of services live in
// the system's folders or nowhere.
func homes(at tree) ([]home, error) {
	all, err := accounts(at)
	var out []home
	for _, a := range all {
		uid, parseErr := strconv.Atoi(a.uid)
		person := parseErr == nil && uid >= peopleFrom && uid < peopleUntil
		if (person || uid == 0) && filepath.IsAbs(a.home) && isFolder(at.at(a.home)) {
			out = append(out, home{a.name, a.home})
		}
	}
	return out, err
}

func homeFolders(_ context.Context, at tree) ([][]string, error) {
	all, err := homes(at)
	if err != nil {
		return nil, err
	}
	people, err := accounts(at)
	if err != nil {
		return nil, err
	}
	names := namesOf(people)
	var rows [][]string
	for _, h := range all {
		var st unix.Stat_t
		if err := unix.Stat(at.at(h.folder), &st); err != nil {
			continue // removed meanwhile
		}
		rows = append(rows, []string{h.user, h.folder, names.of(strconv.FormatUint(uint64(st.Uid), 10)), modeText(uint32(st.Mode))})
	}
	return rows, nil
}

// directories tells by which settings the machine belongs to which directory.
func directories(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, from := range []struct {
		file string
		read func(text string) [][2]string
	}{
		{"/etc/sssd/sssd.conf", sssdDomains},
		{"/etc/krb5.conf", func(text string) [][2]string {
			return settingOf(iniSettings(text), "libdefaults", "default_realm", "Kerberos")
		}},
		{"/etc/samba/smb.conf", sambaDomain},
		{"/etc/ldap/ldap.conf", ldapBase}, {"/etc/openldap/ldap.conf", ldapBase}, {"/etc/nslcd.conf", ldapBase},
		{"/etc/ipa/default.conf", func(text string) [][2]string { return settingOf(iniSettings(text), "global", "domain", "FreeIPA") }},
	} {
		text, err := at.text(from.file)
		if fault.KindOf(err) == fault.Denied { // some hold passwords, too
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, found := range from.read(text) {
			rows = append(rows, []string{found[0], found[1], from.file})
		}
	}
	return uniqueRows(rows), nil
}

func settingOf(all []setting, section, key, kind string) [][2]string {
	var out [][2]string
	for _, s := range all {
		if strings.EqualFold(s.section, section) && strings.EqualFold(s.key, key) && s.value != "" {
			out = append(out, [2]string{kind, s.value})
		}
	}
	return out
}

// ldapBase reads lines of a word and a value, which itself may have an = in it.
func ldapBase(text string) [][2]string {
	for line := range strings.Lines(text) {
		if key, value := firstWord(strings.TrimSpace(line)); strings.EqualFold(key, "base") && value != "" {
			return [][2]string{{"LDAP", value}}
		}
	}
	return nil
}

func sssdDomains(text string) [][2]string {
	kinds := map[string]string{"ad": "Active Directory", "ipa": "FreeIPA", "ldap": "LDAP", "krb5": "Kerberos"}
	var out [][2]string
	for _, s := range iniSettings(text) {
		if domain, ok := strings.CutPrefix(s.section, "domain/"); ok && s.key == "id_provider" && kinds[s.value] != "" {
			out = append(out, [2]string{kinds[s.value], domain})
		}
	}
	return out
}

func sambaDomain(text string) [][2]string {
	all := iniSettings(text)
	how := settingOf(all, "global", "security", "")
	if len(how) == 0 || !strings.EqualFold(how[0][1], "ads") {
		return nil
	}
	return settingOf(all, "global", "realm", "Active Directory")
}
