package probe

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

// record makes an entry of utmp.
func record(kind uint16, pid int, user, line string) string {
	b := make([]byte, utmpRecord())
	binary.NativeEndian.PutUint16(b, kind)
	binary.NativeEndian.PutUint32(b[utmpPID:], uint32(pid))
	copy(b[utmpPID+4:utmpUser-4], line)
	copy(b[utmpUser:utmpUserEnd], user)
	return string(b)
}

func TestUtmpIsReadAsWhoReadsIt(t *testing.T) {
	const boot, dead = 2, 8 // ut_type
	self := os.Getpid()
	file := write(t, filepath.Join(t.TempDir(), "utmp"), record(boot, 0, "reboot", "~")+
		record(utmpUserProcess, self, "alice", "pts/0")+record(dead, self, "carol", "pts/1")+
		record(utmpUserProcess, self, "bob", "tty1")+record(utmpUserProcess, self, "alice", "pts/2")+
		record(utmpUserProcess, self, strings.Repeat("u", 32), "pts/4"))
	ours, err := sessionUsers(file, filepath.Join(t.TempDir(), "none"), "/proc")
	if err != nil {
		t.Fatal(err)
	}
	var theirs []string
	for _, line := range tool(t, "who", file) {
		theirs = append(theirs, strings.Fields(line)[0])
	}
	if !slices.Equal(set(ours), set(theirs)) || len(theirs) != 4 {
		t.Errorf("we say %q, who says %q", ours, theirs)
	}
}

func TestSessionsOfSystemd(t *testing.T) {
	root := t.TempDir()
	utmp, sessions, proc := filepath.Join(root, "utmp"), filepath.Join(root, "sessions"), filepath.Join(root, "proc")
	if _, err := sessionUsers(utmp, sessions, proc); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a system without records: %v", err)
	}
	write(t, filepath.Join(sessions, "1"), "# This is private data. Do not parse.\nUID=1000\nUSER=alice\nACTIVE=1\nSTATE=active\nCLASS=user\nLEADER=12\n")
	write(t, filepath.Join(sessions, "c2"), "UID=107\nUSER=gdm\nSTATE=active\nCLASS=greeter\n")
	write(t, filepath.Join(sessions, "3"), "UID=1001\nUSER=bob\nSTATE=closing\nCLASS=user\n")
	write(t, filepath.Join(sessions, "4"), "UID=0\nUSER=root\nSTATE=online\nCLASS=user-early\n")
	write(t, filepath.Join(sessions, "5"), "UID=1000\nUSER=alice\nSTATE=active\nCLASS=manager\n")
	users, err := sessionUsers(utmp, sessions, proc)
	if err != nil || !slices.Equal(set(users), []string{"alice", "root"}) {
		t.Errorf("%q, %v", users, err)
	}
	write(t, filepath.Join(proc, "17", "stat"), "")
	write(t, utmp, record(utmpUserProcess, 17, "dave", "pts/0")+record(utmpUserProcess, 18, "eve", "pts/1"))
	users, err = sessionUsers(utmp, sessions, proc)
	if err != nil || !slices.Equal(set(users), []string{"alice", "dave", "root"}) {
		t.Errorf("with both books: %q, %v", users, err)
	}
	users, err = sessionUsers(utmp, filepath.Join(root, "none"), proc)
	if err != nil || !slices.Equal(users, []string{"dave"}) {
		t.Errorf("with the old book alone: %q, %v", users, err)
	}
}

func FuzzParseUtmp(f *testing.F) {
	f.Add([]byte(record(utmpUserProcess, 7, "alice", "pts/0")+record(2, 0, "reboot", "~")), false)
	f.Add([]byte(strings.Repeat("\x07", 1000)), true)
	f.Fuzz(func(t *testing.T, b []byte, arm bool) {
		size := utmpSize
		if arm {
			size = utmpSizeARM
		}
		logins := parseUtmp(b, size)
		if len(logins) > len(b)/size {
			t.Fatalf("%d sessions in %d bytes", len(logins), len(b))
		}
		for _, l := range logins {
			if len(l.user) > utmpUserEnd-utmpUser || len(l.line) > utmpLineEnd-utmpLine || len(l.host) > utmpHostEnd-utmpUserEnd {
				t.Fatalf("session %+v", l)
			}
		}
	})
}

// stat makes the file of a process that started a number of seconds after the
// machine.
func stat(t *testing.T, root string, pid, seconds int) {
	t.Helper()
	write(t, filepath.Join(root, "proc", strconv.Itoa(pid), "stat"),
		strconv.Itoa(pid)+" (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 "+strconv.Itoa(seconds*ticks)+" 0")
}

func rowsOf(t *testing.T, root string) [][]string {
	t.Helper()
	rows, err := servicesBelow(root)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestServicesOfSystemd(t *testing.T) {
	for _, tree := range []string{"sys/fs/cgroup", "sys/fs/cgroup/unified", "sys/fs/cgroup/systemd"} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "run/systemd/system"), 0o755); err != nil {
			t.Fatal(err)
		}
		if rows, err := servicesBelow(root); fault.KindOf(err) != fault.NotFound {
			t.Errorf("without control groups: %q, %v", rows, err)
		}
		group := func(path, processes string) { write(t, filepath.Join(root, tree, path, "cgroup.procs"), processes) }
		group("", "")
		group("init.scope", "1\n")
		group("system.slice", "")
		group("system.slice/cron.service", "17\n")
		group("system.slice/stopped.service", "")
		group("system.slice/docker.service", "")
		group("system.slice/docker.service/inner", "21\n22\n")
		group("system.slice/docker.service/inner/nested.service", "23\n")
		group("system.slice/docker-7.scope", "24\n")
		group("system.slice/_cpu.service", "25\n")
		group("system.slice/system-getty.slice/getty@tty1.service", "18\n")
		group("user.slice/user-1000.slice/user@1000.service/app.slice/app.service", "19\n")
		want := [][]string{{"cpu", "systemd"}, {"cron", "systemd"}, {"docker", "systemd"}, {"getty@tty1", "systemd"}, {"user@1000", "systemd"}}
		if got := rowsOf(t, root); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", tree, got, want)
		}
	}
}

func TestServicesOfOpenRC(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "etc/init.d/crond"), "")
	for _, name := range []string{"sshd", "crond"} {
		write(t, filepath.Join(root, "run/openrc/started", name), "")
	}
	if got := rowsOf(t, root); !reflect.DeepEqual(got, [][]string{{"crond", "OpenRC"}, {"sshd", "OpenRC"}}) {
		t.Errorf("%q", got)
	}
}

func TestServicesOfStartScripts(t *testing.T) {
	root := t.TempDir()
	if rows, err := servicesBelow(root); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a system that starts nothing: %q, %v", rows, err)
	}
	write(t, filepath.Join(root, "proc/stat"), "cpu 1 2\nbtime 1700000000\n")
	script := func(name, text string) {
		if err := os.Chmod(write(t, filepath.Join(root, "etc/init.d", name), "#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	stat(t, root, 11, 60)    // as old as the machine
	stat(t, root, 12, 1<<31) // of the far future: younger than any file
	file := func(path, text string) { write(t, filepath.Join(root, path), text) }
	script("cron", "PIDFILE=/run/crond.pid\n")
	file("run/crond.pid", "11\n")
	script("plain", "")
	file("run/plain.pid", "  11  \nmore\n")
	script("folder", "")
	file("run/folder/folder.pid", "11")
	script("named", "NAME=named # comment\nPIDFILE=\"/var/run/$NAME/${NAME}.pid\"; export PIDFILE\n")
	file("var/run/named/named.pid", "11\n")
	script("crashed", "")
	file("run/crashed.pid", "99\n")
	script("reused", "")
	file("run/reused.pid", "12\n")
	script("broken", "")
	file("run/broken.pid", "-1\n")
	script("silent", "PIDFILE=$(mktemp).pid\n")
	file("etc/init.d/README", "PIDFILE=/run/crond.pid\n") // not to be started
	script("piped", "")
	if err := unix.Mkfifo(filepath.Join(root, "run/piped.pid"), 0o600); err != nil { // opening it must not wait
		t.Fatal(err)
	}
	want := [][]string{{"cron", "init.d"}, {"folder", "init.d"}, {"named", "init.d"}, {"plain", "init.d"}}
	if got := rowsOf(t, root); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzPIDFiles(f *testing.F) {
	f.Add("NAME=x\nPIDFILE=/run/$NAME.pid\nB='/run/b.pid' # c\nC=${D:-/run/c.pid}\n")
	f.Add(strings.Repeat("A=$A$A/x.pid\n", 50))
	f.Fuzz(func(t *testing.T, script string) {
		for _, file := range pidFiles(script) {
			if !strings.HasSuffix(file, ".pid") || filepath.Clean(file) != file || file[0] != '/' || len(file) > pathMax {
				t.Fatalf("%q names the file %q", script, file)
			}
		}
	})
}
