package probe

import (
	"strings"
	"testing"

	"catenary/internal/fault"
)

func TestAccountsAreWhatGetentSays(t *testing.T) {
	compareAll(t, newProbe(), []comparison{
		{"Local Users", nil, []int{0, 1, 2, 4, 5}, shell(`getent passwd | awk -F: '{ print $1 "|" $3 "|" $4 "|" $6 "|" $7 }'`)},
		{"Local Groups", nil, nil, shell(`getent group | awk -F: '{ gsub(",", ", ", $4); print $1 "|" $3 "|" $4 }'`)},
		{"Root Accounts", nil, nil, shell(`getent passwd | awk -F: '$3 == 0 { print $1 }'`)},
		{"User Groups", []string{"root"}, nil, shell(`id -nG root | tr ' ' '\n'`)},
		{"User Groups", []string{"www-data"}, nil, shell(`id -nG www-data | tr ' ' '\n'`)},
		{"User Exists", []string{"root"}, nil, shell(`getent passwd root >/dev/null && echo True || echo False`)},
		{"User Exists", []string{"no such user"}, nil, shell(`getent passwd "no such user" >/dev/null && echo True || echo False`)},
		{"Home Folders", nil, nil, shell(`getent passwd | awk -F: '$3 == 0 || $3 >= 1000 && $3 < 60000 { print $1, $6 }' |
			while read user home; do [ -d "$home" ] && stat -c "$user|%n|%U|%a" "$home" | sed 's/|\([0-7]\{3\}\)$/|0\1/'; done`)},
		{"Password Policy", nil, []int{0, 1}, shell(`awk '$1 ~ /^(PASS_(MAX|MIN|WARN)_(DAYS|AGE)|PASS_MIN_LEN|ENCRYPT_METHOD|UMASK|LOGIN_RETRIES|LOGIN_TIMEOUT|YESCRYPT_COST_FACTOR|SHA_CRYPT_M.*_ROUNDS)$/ { print $1 "|" $2 }' /etc/login.defs`)},
	})
}

// TestPasswordsAreWhatPasswdSays: P, L and NP are how passwd calls the states.
func TestPasswordsAreWhatPasswdSays(t *testing.T) {
	if _, err := newProbe().Run(t.Context(), "Password Status", nil); fault.KindOf(err) == fault.Denied {
		t.Skip("needs root: nobody else may read /etc/shadow")
	}
	compareAll(t, newProbe(), []comparison{
		{"Password Status", nil, []int{0, 1, 4}, shell(`passwd -S -a | awk '{ s = "Locked"; if ($2 == "P") s = "Set"; if ($2 == "NP") s = "None"; print $1 "|" s "|" ($5 < 0 ? "" : $5) }'`)},
		{"Accounts without Password", nil, nil, shell(`passwd -S -a | awk '$2 == "NP" { print $1 }'`)},
	})
}

// people is a machine with accounts of many kinds.
func people() files {
	return files{
		"etc/passwd": "root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/root:/bin/sh\nalice:x:1000:1000:Alice A.,Room 7,,:/home/alice:/bin/zsh\r\n" +
			"bob:x:1001:100::/home/bob:/bin/sh\nwww:x:33:33::/var/www:/usr/sbin/nologin\n+::::::\nbroken:x:12\nopen::1002:1002::/home/open:/bin/sh\n",
		"etc/group": "root:x:0:\nsudo:x:27:alice\nops:x:50:alice,carol\nusers:x:100:alice\nalice:x:1000:\ndocker:x:999:bob\nbad:x:y:z\n",
		"etc/shadow": "root:$y$j9T$salt$hash:19000:0:99999:7:::\nalice:$6$x$y:19500:0:90:7::20000:\nbob:!$6$x$y:0::::::\n" +
			"www:*:19000:0:99999:7:::\nnone::19000:0:99999:7:::\nold:abcdefghijklm:19000:0:99999:7:::\nodd:$unheard$x:19000:0:99999:7:::\nbroken:x\n",
		"etc/sudoers": "Defaults env_reset\nDefaults:alice !lecture\n# comment\nUser_Alias OPS = bob, %ops : REST = dave\nCmnd_Alias REBOOT = /sbin/reboot\n" +
			"root ALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\nOPS ALL = NOPASSWD: REBOOT, \\\n  /bin/ls # why\n#1500 web=(www) ALL\n" +
			"erin,  frank ALL, !db = ALL\n\"dom user\" ALL=ALL\ndom\\ ain ALL=ALL\n@includedir sudoers.d\n#include /etc/sudoers.more\n",
		"etc/sudoers.d/10-x":                   "grace ALL=(ALL) NOPASSWD:ALL\n",
		"etc/sudoers.d/11.off":                 "hidden ALL=ALL\n",
		"etc/sudoers.d/12-off~":                "hidden ALL=ALL\n",
		"etc/sudoers.more":                     "@include /etc/sudoers\nheidi ALL=ALL",
		"home/alice/":                          "",
		"home/bob":                             "a file",
		"root/":                                "",
		"etc/login.defs":                       "# PASS_MAX_DAYS 1\nPASS_MAX_DAYS\t99999\nUMASK 022\nMAIL_DIR /x\n",
		"etc/security/pwquality.conf":          "# minlen = 8\nminlen = 12\nenforcing\n",
		"etc/security/pwquality.conf.d/a.conf": "dcredit=-1\n",
		"etc/sssd/sssd.conf":                   "[sssd]\ndomains = corp\n[domain/corp.example]\nid_provider = ad\n[domain/other]\nid_provider=proxy\n",
		"etc/krb5.conf":                        "[libdefaults]\n default_realm = CORP.EXAMPLE\n[realms]\n X = {\n  kdc = y\n }\n",
		"etc/samba/smb.conf":                   "[global]\n security = ADS\n realm = CORP.EXAMPLE\n",
		"etc/ldap/ldap.conf":                   "#BASE x\nBASE\tdc=corp,dc=example\n",
	}
}

func TestAccountsOfAMachine(t *testing.T) {
	p := probeOn(t, people())
	saysAll(t, p, []saying{
		{"Local Users", nil, []string{
			"root|0|0|root|/root|/bin/bash", "toor|0|0||/root|/bin/sh", "alice|1000|1000|Alice A.|/home/alice|/bin/zsh", "bob|1001|100||/home/bob|/bin/sh",
			"www|33|33||/var/www|/usr/sbin/nologin", "open|1002|1002||/home/open|/bin/sh",
		}},
		{"Local Groups", nil, []string{"root|0|", "sudo|27|alice", "ops|50|alice, carol", "users|100|alice", "alice|1000|", "docker|999|bob"}},
		{"Group Members", []string{"users"}, []string{"alice", "bob"}},
		{"User Groups", []string{"alice"}, []string{"alice", "ops", "sudo", "users"}},
		{"User Exists", []string{"alice"}, []string{"True"}},
		{"User Exists", []string{"Alice"}, []string{"False"}},
		{"Root Accounts", nil, []string{"root", "toor"}},
		{"Password Status", nil, []string{
			"root|Set|yescrypt|Sat, 08 Jan 2022 00:00:00 +0000|99999|", "alice|Set|SHA-512|Tue, 23 May 2023 00:00:00 +0000|90|Fri, 04 Oct 2024 00:00:00 +0000",
			"bob|Locked|SHA-512|Thu, 01 Jan 1970 00:00:00 +0000||", "www|Locked||Sat, 08 Jan 2022 00:00:00 +0000|99999|",
			"none|None||Sat, 08 Jan 2022 00:00:00 +0000|99999|", "old|Set|DES|Sat, 08 Jan 2022 00:00:00 +0000|99999|",
			"odd|Set|Other|Sat, 08 Jan 2022 00:00:00 +0000|99999|",
		}},
		{"Accounts without Password", nil, []string{"none", "open"}},
		{"Password Policy", nil, []string{
			"PASS_MAX_DAYS|99999|/etc/login.defs", "UMASK|022|/etc/login.defs", "minlen|12|/etc/security/pwquality.conf",
			"enforcing||/etc/security/pwquality.conf", "dcredit|-1|/etc/security/pwquality.conf.d/a.conf",
		}},
		{"Directory Membership", nil, []string{
			"Active Directory|corp.example|/etc/sssd/sssd.conf", "Kerberos|CORP.EXAMPLE|/etc/krb5.conf",
			"Active Directory|CORP.EXAMPLE|/etc/samba/smb.conf", "LDAP|dc=corp,dc=example|/etc/ldap/ldap.conf",
		}},
		{"Sudo Rules", nil, []string{
			"root|ALL=(ALL:ALL) ALL|False|/etc/sudoers|6", "%sudo|ALL=(ALL:ALL) ALL|False|/etc/sudoers|7",
			"%ops|ALL=NOPASSWD: REBOOT, /bin/ls|True|/etc/sudoers|8", "bob|ALL=NOPASSWD: REBOOT, /bin/ls|True|/etc/sudoers|8",
			"#1500|web=(www) ALL|False|/etc/sudoers|10", "erin|ALL,!db=ALL|False|/etc/sudoers|11", "frank|ALL,!db=ALL|False|/etc/sudoers|11",
			"dom user|ALL=ALL|False|/etc/sudoers|12", "dom ain|ALL=ALL|False|/etc/sudoers|13",
			"grace|ALL=(ALL) NOPASSWD:ALL|True|/etc/sudoers.d/10-x|1", "heidi|ALL=ALL|False|/etc/sudoers.more|2",
		}},
	})
}

func TestAdministratorsOfAMachine(t *testing.T) {
	saysAll(t, probeOn(t, people()), []saying{
		{"Local Administrators", nil, []string{
			"root|UID 0", "toor|UID 0", "alice|group sudo", "alice|group ops", "carol|group ops", "bob|rule of sudo", "bob|group docker",
			"#1500|rule of sudo", "erin|rule of sudo", "frank|rule of sudo", "dom user|rule of sudo", "dom ain|rule of sudo", "grace|rule of sudo",
			"heidi|rule of sudo", "toor|group root",
		}},
	})
	for name, params := range map[string][]string{"Group Members": {"no such group"}, "User Groups": {"no such user"}} {
		if rows, err := probeOn(t, people()).Run(t.Context(), name, params); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s%q: %q, %v", name, params, rows, err)
		}
	}
}

func FuzzAccounts(f *testing.F) {
	all := people()
	for _, name := range []string{"etc/passwd", "etc/group", "etc/shadow", "etc/sudoers"} {
		f.Add(all[name])
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Count(text, "\n") + 1
		for _, a := range parsePasswd(text) {
			if a.name == "" || !isNumber(a.uid) || strings.ContainsAny(a.name+a.home+a.shell, ":\n") {
				t.Fatalf("%q has the account %+v", text, a)
			}
		}
		if n := len(parseGroups(text)) + len(parseShadow(text)); n > 2*lines {
			t.Fatalf("%q has %d groups and passwords", text, n)
		}
		for n, line := range logicalLines(text) {
			if n < 1 || n > lines {
				t.Fatalf("%q has a line %d", text, n)
			}
			for _, r := range sudoRules1(line, "f", n) {
				if r.who == "" || strings.HasPrefix(r.who, "Defaults") && !strings.ContainsAny(line, "\\\",") {
					t.Fatalf("%q has the rule %+v", line, r)
				}
			}
		}
	})
}
