package probe

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// An account is a line of /etc/passwd (passwd(5)).
type account struct {
	name, uid, gid, full, home, shell string
}

// parsePasswd reads the accounts of a passwd file. Lines of other forms, as
// those that only refer to a directory, are passed over.
func parsePasswd(text string) []account {
	var all []account
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(f) != 7 || f[0] == "" || !isNumber(f[2]) || !isNumber(f[3]) {
			continue
		}
		full, _, _ := strings.Cut(f[4], ",") // what follows are rooms and telephones
		all = append(all, account{f[0], f[2], f[3], full, f[5], f[6]})
	}
	return all
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}

// A userGroup is a line of /etc/group (group(5)).
type userGroup struct {
	name, gid string
	members   []string
}

func parseGroups(text string) []userGroup {
	var all []userGroup
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(f) != 4 || f[0] == "" || !isNumber(f[2]) {
			continue
		}
		all = append(all, userGroup{f[0], f[2], listOf(f[3])})
	}
	return all
}

// listOf takes a list with commas apart.
func listOf(s string) []string {
	var parts []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// A userNames gives the numbers of accounts their names.
type userNames map[string]string

// of is the name of an account, or its number if it has no name here.
func (n userNames) of(uid string) string {
	if name, ok := n[uid]; ok {
		return name
	}
	return uid
}

// namesOf takes the first of several accounts with one number, as the system
// does.
func namesOf(accounts []account) userNames {
	names := userNames{}
	for _, a := range accounts {
		if _, taken := names[a.uid]; !taken {
			names[a.uid] = a.name
		}
	}
	return names
}

func namesOfGroups(groups []userGroup) userNames {
	names := userNames{}
	for _, g := range groups {
		if _, taken := names[g.gid]; !taken {
			names[g.gid] = g.name
		}
	}
	return names
}

// membersOf are the accounts in a group, those whose main group it is too.
func membersOf(g userGroup, accounts []account) []string {
	members := slices.Clone(g.members)
	for _, a := range accounts {
		if a.gid == g.gid {
			members = append(members, a.name)
		}
	}
	slices.Sort(members)
	return slices.Compact(members)
}

// A password is a line of /etc/shadow without the hash (shadow(5)).
type password struct {
	user, state, hash string
	changed           string // a date
	maximum           string // days
	expires           string // a date
}

// What the state of a password is.
const (
	passwordNone   = "None"
	passwordLocked = "Locked"
	passwordSet    = "Set"
)

func parseShadow(text string) []password {
	var all []password
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(f) < 8 || f[0] == "" {
			continue
		}
		p := password{user: f[0], state: passwordSet, changed: epochDay(f[2]), expires: epochDay(f[7])}
		if isNumber(f[4]) {
			p.maximum = f[4]
		}
		switch {
		case f[1] == "":
			p.state = passwordNone
		case f[1][0] == '!' || f[1][0] == '*':
			p.state = passwordLocked
		}
		p.hash = hashName(strings.TrimLeft(f[1], "!*"))
		all = append(all, p)
	}
	return all
}

// epochDay writes the date of a day that is counted from 1970. Day 0 of a
// change means that the password must be changed at once; it stays a date.
func epochDay(s string) string {
	days, err := strconv.ParseUint(s, 10, 24)
	if err != nil {
		return ""
	}
	return date(time.Unix(0, 0).UTC().AddDate(0, 0, int(days)))
}

// hashNames are the marks with which hashes of passwords begin (crypt(5)).
var hashNames = map[string]string{
	"y": "yescrypt", "gy": "gost-yescrypt", "7": "scrypt", "2a": "bcrypt", "2b": "bcrypt", "2x": "bcrypt", "2y": "bcrypt",
	"6": "SHA-512", "5": "SHA-256", "1": "MD5", "md5": "SunMD5", "sha1": "SHA-1", "3": "NT", "argon2id": "argon2id",
}

const desHash = 13 // characters of the oldest kind of hash

func hashName(hash string) string {
	if rest, ok := strings.CutPrefix(hash, "$"); ok {
		mark, _, _ := strings.Cut(rest, "$")
		mark, _, _ = strings.Cut(mark, ",")
		if name := hashNames[mark]; name != "" {
			return name
		}
		return "Other"
	}
	switch {
	case len(hash) == desHash:
		return "DES"
	case strings.HasPrefix(hash, "_"):
		return "BSDi DES"
	}
	return ""
}

// A home is a person's own folder.
type home struct{ user, folder string }
