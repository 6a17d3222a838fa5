package probe

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

// forest makes a folder with all that one may come upon in a search.
func forest(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	for name, text := range map[string]string{
		"a/one.txt": "one\n", "a/b/two.TXT": strings.Repeat("2", 3<<20), "a/b/c/three": "3", "d/suid": "#!/bin/sh\n", "d/sgid": "x",
		"d/open": "everybody's", "e/old": "old", "e/with space": " ", "e/[odd]*": "odd",
	} {
		write(t, at(name), text)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(at("open/sticky"), 0o755))
	must(errors.Join(
		unix.Chmod(at("d/suid"), 0o4755), unix.Chmod(at("d/sgid"), 0o2711), unix.Chmod(at("d/open"), 0o666), unix.Chmod(at("open"), 0o777),
		unix.Chmod(at("open/sticky"), 0o1777), unix.Mkfifo(at("e/pipe"), 0o666), os.Symlink("..", at("a/b/loop")), os.Symlink("/proc", at("e/proc")),
		os.Symlink("nowhere", at("e/dangling")), os.Link(at("a/b/two.TXT"), at("e/again")),
		os.Chtimes(at("e/old"), time.Now().AddDate(0, 0, -9), time.Now().AddDate(0, 0, -9)),
	))
	return folder
}

func TestSearchesAreWhatFindSays(t *testing.T) {
	folder := forest(t)
	find := func(test string) []string {
		return shell("find " + folder + " -xdev -mindepth 1 " + test)
	}
	compareAll(t, newProbe(), []comparison{
		{"Find Files", []string{folder, "*.txt"}, []int{0}, find(`-iname '*.txt' -print`)},
		{"Find Files", []string{folder, "[odd]*"}, []int{0}, find(`-iname '\[odd\]*' -print`)},
		{"Find Files", []string{folder, "t?ree"}, []int{0, 1}, find(`-iname 't?ree' -printf '%p|%s\n'`)},
		{"Large Files", []string{folder, "1"}, []int{0, 1}, find(`-type f -size +1023k -printf '%p|%s\n'`)},
		{"Recently Changed Files", []string{folder, "24"}, []int{0}, find(`-type f -mtime -1 -print`)},
		{"SUID Files", []string{folder}, nil, find(`-type f -perm /6000 -printf '%p|%u|%g|%m\n'`)},
		{"World Writable Files", []string{folder}, []int{0}, find(`\( -type f -o -type d ! -perm -1000 \) -perm -o+w -print`)},
		{"Folder Size", []string{folder}, []int{1}, shell(`find ` + folder + ` -xdev -type f -printf '%i\n' | sort -u | wc -l`)},
		{"Folder Size", []string{folder}, []int{2}, find(`-type d -print | wc -l`)},
		{"Folder Size", []string{folder}, []int{0}, shell(`echo $(($(find ` + folder + ` -type f -printf '%i %s\n' | sort -u | awk '{ s += $2 } END { print s }') / 1048576))MB`)},
		{"Subfolder Sizes", []string{folder}, []int{0, 2}, shell(`cd ` + folder + ` && for d in */; do echo "${d%/}|$(find "$d" -type f | wc -l)"; done`)},
		{"Matching Files", []string{folder + "/*/[a-o]*"}, []int{0}, shell(`ls -d ` + folder + `/*/[a-o]*`)},
		{"Matching Files", []string{folder + "/e/*"}, []int{0}, shell(`ls -d ` + folder + `/e/*`)},
		{"File Hashes", []string{folder + "/*/*"}, nil, shell(`cd / && find ` + folder + ` -mindepth 2 -maxdepth 2 -type f -exec sha256sum {} + | sed 's/^\\\?\([0-9a-f]*\)  \(.*\)/\2|\1/'`)},
		{"Find Files by Hash", []string{folder, "3", sum("old")}, nil, find(`-name old -print`)},
		{"Find Files by Hash", []string{folder, "4", sum("old")}, nil, find(`-name nothing`)},
	})
}

// TestSystemFoldersAreWhatFindSays searches where programs of the system lie.
func TestSystemFoldersAreWhatFindSays(t *testing.T) {
	compareAll(t, newProbe(), []comparison{
		{"Find Files", []string{"/dev", "ptmx"}, []int{0}, shell(`find /dev -xdev -iname ptmx`)}, // there is another on the file system below
		{"SUID Files", []string{"/usr/bin"}, nil, shell(`find /usr/bin -xdev -type f -perm /6000 -printf '%p|%u|%g|%m\n'`)},
		{"World Writable Files", []string{"/etc"}, []int{0}, shell(`find /etc -xdev \( -type f -o -type d ! -perm -1000 \) -perm -o+w`)},
		{"Unowned Files", []string{"/etc"}, []int{0}, shell(`find /etc -xdev \( -nouser -o -nogroup \)`)},
		{"File Capabilities", []string{"/usr/bin"}, nil, shell(`getcap -r /usr/bin | sed 's/ /|/'`)},
		{"Mounted File Systems", nil, []int{0, 1, 2}, shell(`findmnt -rno TARGET,SOURCE,FSTYPE | sed 's/\[[^ ]*\]//' | grep -vE ' (proc|sysfs|cgroup2?|devpts|debugfs|tracefs|securityfs|pstore|bpf|mqueue|hugetlbfs|configfs|fusectl|binfmt_misc|autofs|rpc_pipefs|nsfs|efivarfs|selinuxfs|devtmpfs|ramfs)$' | tr ' ' '|'`)},
		{"Inode Usage", nil, []int{0, 2}, shell(`df --output=source,target,itotal -l | awk '$1 ~ "^/dev/" && $3 != "-" && $3 != 0 { print $2 "|" $3 }'`)},
		{"Writable Path Folders", nil, []int{0}, shell(`for d in /usr /usr/local /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do find -H $d -maxdepth 0 -type d \( ! -uid 0 -o -perm -o+w -o -perm -g+w ! -gid 0 \); done`)},
		{"Sensitive File Permissions", nil, nil, shell(`for f in /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/sudoers /etc/sudoers.d /etc/crontab /etc/cron.d /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly /etc/cron.allow /etc/at.allow /etc/ssh/sshd_config /etc/ssh/ssh_host_*_key /etc/krb5.keytab /etc/ld.so.preload /etc/security/opasswd /boot/grub/grub.cfg /boot/grub2/grub.cfg /etc/grub.d /etc/master.passwd /root /var/log/wtmp /var/log/btmp /var/log/lastlog /etc/docker /var/run/docker.sock /etc/kubernetes/admin.conf; do [ -e "$f" ] && stat -Lc '%n|%U|%G|%a' "$f"; done | sed 's/|\([0-7]\{3\}\)$/|0\1/; s/|0$/|0000/'`)},
	})
}

// TestCapabilitiesAreWhatGetcapSays gives a program rights and asks who sees
// them.
func TestCapabilitiesAreWhatGetcapSays(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give rights to programs")
	}
	folder := t.TempDir()
	for i, rights := range []string{"cap_net_raw=ep", "cap_net_bind_service,cap_sys_admin=p", "cap_bpf,cap_chown=ep", "=ep"} {
		file := write(t, filepath.Join(folder, fmt.Sprint("program", i)), "x")
		if out, err := exec.Command("setcap", rights, file).CombinedOutput(); err != nil {
			t.Skipf("this file system keeps no rights of programs: %s", out)
		}
	}
	write(t, filepath.Join(folder, "plain"), "x")
	compareAll(t, newProbe(), []comparison{
		{"File Capabilities", []string{folder}, nil, shell(`getcap -r ` + folder + ` | sed 's/ =ep$/ all=ep/; s/ /|/'`)},
	})
}

// TestImmutableFilesAreWhatLsattrSays: where the file system can, files are made
// so that nobody may change them.
func TestImmutableFilesAreWhatLsattrSays(t *testing.T) {
	folder := t.TempDir()
	for name, attribute := range map[string]string{"fixed": "+i", "growing": "+a"} {
		file := write(t, filepath.Join(folder, name), "x")
		if out, err := exec.Command("chattr", attribute, file).CombinedOutput(); err != nil {
			t.Skipf("this file system has no such attributes, or not for us: %s", out)
		}
		t.Cleanup(func() {
			if err := exec.Command("chattr", "-ia", file).Run(); err != nil {
				t.Error(err)
			}
		})
	}
	write(t, filepath.Join(folder, "free"), "x")
	compareAll(t, newProbe(), []comparison{
		{"Immutable Files", []string{folder}, nil, shell(`lsattr -a ` + folder + ` | awk '$1 ~ /i/ { print $2 "|Immutable" } $1 ~ /a/ { print $2 "|Append Only" }'`)},
	})
}

func TestUnownedFiles(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give files away")
	}
	folder := t.TempDir()
	file := write(t, filepath.Join(folder, "x", "nobody's"), "x")
	if err := os.Chown(file, 54_321, 0); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "x", "ours"), "x")
	saysAll(t, newProbe(), []saying{{"Unowned Files", []string{folder}, []string{file + "|54321|0"}}})
}

func TestTemporaryExecutables(t *testing.T) {
	p := probeOn(t, files{"tmp/a/run": "#!/bin/sh\n", "var/tmp/prog": "\x7fELF....", "tmp/text": "x", "etc/passwd": "", "tmp/pipe/": ""})
	for _, name := range []string{"tmp/a/run", "var/tmp/prog"} {
		if err := os.Chmod(p.root.at(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := p.Run(t.Context(), "Temporary Executables", nil)
	if err != nil || len(rows) != 2 || rows[0][0] != "/tmp/a/run" || rows[0][2] != "Script" || rows[1][0] != "/var/tmp/prog" || rows[1][2] != "ELF Program" {
		t.Errorf("%q, %v", rows, err)
	}
}

func TestSearchesAreBounded(t *testing.T) {
	folder := forest(t)
	if complete, err := walk(t.Context(), folder, 3, func(string, os.DirEntry) error { return nil }); complete || err != nil {
		t.Errorf("more than three entries: %t, %v", complete, err)
	}
	for i := range searchMax + 10 {
		write(t, filepath.Join(folder, "many", fmt.Sprintf("f%04d", i)), "")
	}
	p := newProbe()
	for sensor, params := range map[string][]string{"Find Files": {folder, "f*"}, "Recently Changed Files": {folder, "1"}} {
		if rows, err := p.Run(t.Context(), sensor, params); err != nil || len(rows) != searchMax {
			t.Errorf("%s: %d rows, %v", sensor, len(rows), err)
		}
	}
	for sensor, params := range map[string][]string{
		"Find Files": {folder, " "}, "Large Files": {folder, "-1"}, "Recently Changed Files": {folder, "soon"}, "Folder Size": {filepath.Join(folder, "e/old")},
		"Find Files by Hash": {folder, "1", "abc"}, "Matching Files": {folder + "/[a"}, "File Hashes": {folder + "/many/*"}, "Last Lines": {folder + "/e/old", "0"},
		"Matching Lines": {folder + "/e/old", "("}, "File Contains": {folder + "/e/old", ""}, "JSON Value": {folder + "/e/old", "/a"}, "Link Target": {folder + "/e/old"},
		"Matching Lines ": nil,
	} {
		if sensor == "Matching Lines " { // another bad expression: what would take for ever elsewhere is refused
			sensor, params = "Matching Lines", []string{folder + "/e/old", "(((a{1000}){1000}){1000})"}
		}
		if rows, err := p.Run(t.Context(), sensor, params); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s%q: %d rows, %v", sensor, params, len(rows), err)
		}
	}
	if rows, err := p.Run(t.Context(), "Folder Size", []string{folder + "/none"}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a folder that is not there: %q, %v", rows, err)
	}
}
