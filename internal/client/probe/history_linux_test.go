package probe

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"catenary/internal/fault"
)

// entry makes a record of utmp with all that is told of it.
func entry(kind uint16, user, line, host string, at int64) string {
	b := []byte(record(kind, 7, user, line))
	copy(b[utmpUserEnd:utmpHostEnd], host)
	if len(b) == utmpSizeARM {
		binary.NativeEndian.PutUint64(b[utmpTimeARM:], uint64(at))
	} else {
		binary.NativeEndian.PutUint32(b[utmpTime:], uint32(at))
	}
	return string(b)
}

// lastlog makes the book of last logins with one entry at the place of a number.
func lastlog(uid int, line, host string, at int64) string {
	b := make([]byte, (uid+1)*lastlogSize)
	e := b[uid*lastlogSize:]
	binary.NativeEndian.PutUint32(e, uint32(at))
	copy(e[lastlogTime:lastlogLineEnd], line)
	copy(e[lastlogLineEnd:], host)
	return string(b)
}

// bookOfLogins is a story of two starts of a machine, with a login that the
// second start ended and one whose end nobody wrote down, but another took its
// terminal.
func bookOfLogins() string {
	const start = 1_790_000_000
	return entry(utmpBoot, "reboot", "~", "6.1.0-1", start) +
		entry(utmpUserProcess, "alice", "pts/0", "198.51.100.7", start+60) +
		entry(utmpDeadProcess, "", "pts/0", "", start+120) +
		entry(utmpUserProcess, "bob", "pts/0", "", start+180) +
		entry(utmpRunLevel, "shutdown", "~", "6.1.0-1", start+600) +
		entry(utmpBoot, "reboot", "~", "6.1.0-2", start+700) +
		entry(utmpUserProcess, "alice", "tty1", "", start+800) +
		entry(utmpUserProcess, "dave", "pts/1", "", start+850) +
		entry(utmpUserProcess, "carol", "pts/1", "2001:db8::7", start+900)
}

// utcDates spells the dates of sensors in UTC, whatever zone the tests run in.
func utcDates(lines []string) []string {
	for i, line := range lines {
		texts := strings.Split(line, "|")
		for j, text := range texts {
			if at, err := time.Parse(time.RFC1123Z, text); err == nil {
				texts[j] = at.UTC().Format(time.DateTime)
			}
		}
		lines[i] = strings.Join(texts, "|")
	}
	return lines
}

// TestHistoryIsWhatUtmpdumpSays holds logins and starts against a tool that
// reads the same book.
func TestHistoryIsWhatUtmpdumpSays(t *testing.T) {
	p := probeOn(t, files{"var/log/wtmp": bookOfLogins(), "var/log/btmp": bookOfLogins(), "etc/passwd": "alice:x:1000:1000::/home/alice:/bin/sh\n"})
	dump := func(kind, sensor string) []string {
		var lines []string
		for _, line := range tool(t, "utmpdump", p.root.at("var/log/wtmp")) { // seven fields in brackets
			f := strings.Split(strings.Trim(line, "[]"), "] [")
			if len(f) != 8 || f[0] != kind {
				continue
			}
			at, err := time.Parse("2006-01-02T15:04:05,000000-07:00", f[7])
			if err != nil {
				t.Fatal(err)
			}
			when := at.UTC().Format(time.DateTime)
			if sensor == "Reboot History" {
				lines = append(lines, when+"|"+strings.TrimSpace(f[5]))
			} else {
				lines = append(lines, strings.TrimSpace(f[3])+"|"+strings.TrimSpace(f[4])+"|"+strings.TrimSpace(f[5])+"|"+when)
			}
		}
		return lines
	}
	sameEventually(t, "Reboot History", func() []string { return utcDates(says(t, p, "Reboot History")) },
		func() []string { return dump("2", "Reboot History") })
	sameEventually(t, "Login History", func() []string {
		lines := utcDates(says(t, p, "Login History"))
		for i, line := range lines {
			lines[i] = line[:strings.LastIndexByte(line, '|')]
		}
		return lines
	}, func() []string { return dump("7", "Login History") })
}

func TestLoginsOfAMachine(t *testing.T) {
	const start = 1_790_000_000
	p := probeOn(t, files{
		"var/log/wtmp": bookOfLogins(),
		"var/log/btmp": entry(utmpLoginWaits, "root", "ssh:notty", "203.0.113.9", start) + entry(utmpLoginWaits, "root", "ssh:notty", "203.0.113.9", start+5) +
			entry(utmpLoginWaits, "admin", "ssh:notty", "203.0.113.9", start+2) + entry(utmpDeadProcess, "x", "y", "z", start),
		"var/log/lastlog":        lastlog(1001, "pts/3", "198.51.100.1", start+5000),
		"etc/passwd":             "alice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\nldap:x:4000000000:1::/:/bin/sh\n",
		"run/utmp":               record(utmpUserProcess, 17, "alice", "pts/2") + record(utmpUserProcess, 18, "gone", "pts/4"),
		"proc/17/stat":           "",
		"run/systemd/sessions/1": "USER=alice\nTTY=pts/2\nSTATE=active\nCLASS=user\nREALTIME=1790000000000000\n",
		"run/systemd/sessions/2": "USER=bob\nTTY=pts/5\nSTATE=active\nCLASS=user\nREMOTE_HOST=192.0.2.9\nREALTIME=1790000000000000\n",
	})
	for sensor, want := range map[string][]string{
		"Login History": {
			"carol|pts/1|2001:db8::7|2026-09-21 14:28:20|", "dave|pts/1||2026-09-21 14:27:30|2026-09-21 14:28:20", "alice|tty1||2026-09-21 14:26:40|", "bob|pts/0||2026-09-21 14:16:20|2026-09-21 14:23:20",
			"alice|pts/0|198.51.100.7|2026-09-21 14:14:20|2026-09-21 14:15:20",
		},
		"Failed Logins":       {"admin|203.0.113.9|1|2026-09-21 14:13:22", "root|203.0.113.9|2|2026-09-21 14:13:25"},
		"User Last Logins":    {"alice|2026-09-21 14:26:40|tty1|", "bob|2026-09-21 15:36:40|pts/3|198.51.100.1", "carol|2026-09-21 14:28:20|pts/1|2001:db8::7", "dave|2026-09-21 14:27:30|pts/1|"},
		"Last Logged In User": {"bob"},
		"Login Sessions":      {"alice|pts/2||", "bob|pts/5|192.0.2.9|2026-09-21 14:13:20"},
		"Logged In Users":     {"alice", "bob"},
	} {
		if got := utcDates(says(t, p, sensor)); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s says\n%s\nand should say\n%s", sensor, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	empty := probeOn(t, files{"etc/passwd": "", "run/systemd/sessions/": ""})
	saysAll(t, empty, []saying{{"Login History", nil, nil}, {"Failed Logins", nil, nil}, {"User Last Logins", nil, nil}, {"Login Sessions", nil, nil}})
	if _, err := empty.Run(t.Context(), "Last Logged In User", nil); fault.KindOf(err) != fault.NotFound {
		t.Errorf("nobody ever logged in: %v", err)
	}
}

// TestOldLoginsAreLeftOut: of a long book the newest entries are read.
func TestOldLoginsAreLeftOut(t *testing.T) {
	old := strings.Repeat(entry(utmpUserProcess, "old", "pts/0", "", 1), 3)
	text := old + strings.Repeat(entry(utmpUserProcess, "new", "pts/0", "", 2), recordsMax)
	p := probeOn(t, files{"var/log/wtmp": text, "etc/passwd": ""})
	if got := says(t, p, "Last Logged In User"); got[0] != "new" {
		t.Errorf("the last is %q", got)
	}
	rows, err := p.Run(t.Context(), "Login History", nil)
	if err != nil || len(rows) != historyMax || rows[len(rows)-1][0] != "new" {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// TestKeysAreWhatSSHKeygenSays makes keys of all kinds and holds them against
// the program that made them.
func TestKeysAreWhatSSHKeygenSays(t *testing.T) {
	uid := strconv.Itoa(os.Getuid())
	if uid != "0" {
		uid = "1000"
	}
	p := probeOn(t, files{
		"etc/passwd": "alice:x:" + uid + ":1000::/home/alice:/bin/sh\nsvc:x:300:300::/home/alice:/bin/sh\nghost:x:1001:1::/home/ghost:/bin/sh\n",
	})
	var lines, wantKeys, wantPrivate []string
	for i, key := range [][]string{{"ed25519"}, {"ecdsa", "-b", "384"}, {"rsa", "-b", "2048"}, {"rsa", "-b", "1024", "-m", "PEM"}, {"ecdsa", "-m", "PKCS8"}} {
		for _, passphrase := range []string{"", "secret words"} {
			name := "key" + strconv.Itoa(i) + passphrase[:min(1, len(passphrase))]
			file := p.root.at("home/alice/.ssh/" + name)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			tool(t, "ssh-keygen", append([]string{"-q", "-N", passphrase, "-C", "a comment", "-f", file, "-t"}, key...)...)
			form := map[int]string{3: "RSA", 4: "PKCS #8"}[i]
			if form == "" {
				form = "OPENSSH"
			}
			wantPrivate = append(wantPrivate, strings.Join([]string{"alice", "/home/alice/.ssh/" + name, form, yesNo(passphrase != "")}, "|"))
			b, err := os.ReadFile(file + ".pub")
			if err != nil {
				t.Fatal(err)
			}
			said := strings.Fields(tool(t, "ssh-keygen", "-lf", file+".pub")[0]) // bits, fingerprint, comment, kind
			kind, _, _ := strings.Cut(string(b), " ")
			option := `from="10.0.0.0/8, !10.1.2.3",command="say \"hi\" now" `
			lines = append(lines, option+string(b))
			wantKeys = append(wantKeys, strings.Join([]string{"alice", kind, said[1], "a comment", strings.TrimSpace(option)}, "|"))
			if passphrase == "" {
				write(t, p.root.at("etc/ssh/ssh_host_"+strconv.Itoa(i)+"_key.pub"), string(b))
				want := strings.Join([]string{kind, said[0], said[1], "/etc/ssh/ssh_host_" + strconv.Itoa(i) + "_key.pub"}, "|")
				if got := says(t, p, "SSH Host Keys"); !strings.Contains(strings.Join(got, "\n"), want) {
					t.Errorf("host keys are %q, want %q among them", got, want)
				}
			}
		}
	}
	write(t, p.root.at("home/alice/.ssh/authorized_keys"), "# a comment\n\nssh-rsa broken\n"+strings.Join(lines, ""))
	write(t, p.root.at("home/alice/.ssh/config"), "Host x\n")
	saysAll(t, p, []saying{{"SSH Authorized Keys", nil, wantKeys}, {"SSH Private Keys", nil, wantPrivate}})
}

func FuzzSSHKey(f *testing.F) {
	f.Add(`command="a b" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP1 me`, "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END")
	f.Add("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAwEAAQ==", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n")
	f.Fuzz(func(t *testing.T, line, text string) {
		if k, ok := parseSSHKey(line); ok && (!isKeyKind(k.kind) || !strings.HasPrefix(k.fingerprint, "SHA256:") || k.bits < 0) {
			t.Fatalf("%q is %+v", line, k)
		}
		if form, _, ok := privateKey(text); ok && strings.Contains(form, "\n") {
			t.Fatalf("%q has the form %q", text, form)
		}
	})
}
