package probe

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

// psRows runs ps for all that is no thread of the kernel and not ps itself.
func psRows(t *testing.T, format string, row func(f []string) string) []string {
	t.Helper()
	var lines []string
	for _, line := range tool(t, "ps", "-o", "ppid=,"+format, "--ppid", "2", "-p", "2", "--deselect") {
		f := strings.Fields(line)
		if f[0] != strconv.Itoa(os.Getpid()) || !slices.Contains(f, "ps") {
			lines = append(lines, row(f))
		}
	}
	return lines
}

func TestProcessDetailsAreWhatPsSays(t *testing.T) {
	program(t, "catenary test of a long name")
	p := newProbe()
	rowsOf := func(sensor string, columns ...int) []string {
		rows, err := p.Run(t.Context(), sensor, nil)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, row := range rows {
			var texts []string
			for _, c := range columns {
				texts = append(texts, row[c])
			}
			lines = append(lines, strings.Join(texts, "|"))
		}
		return lines
	}
	sameEventually(t, "Process Details", func() []string { return rowsOf("Process Details", 1, 2, 3) },
		func() []string {
			return psRows(t, "pid=,euser:32=,comm=", func(f []string) string { return f[1] + "|" + f[0] + "|" + f[2] })
		})
	sameEventually(t, "Process Users", func() []string { return rowsOf("Process Users", 1) },
		func() []string { return psRows(t, "euser:32=,comm=", func(f []string) string { return f[1] }) })
	sameEventually(t, "Process Command Lines", func() []string {
		var lines []string
		for _, line := range rowsOf("Process Command Lines", 1) {
			if line = strings.Join(strings.Fields(line), " "); line != "" {
				lines = append(lines, line[:min(len(line), 60)])
			}
		}
		return lines
	}, func() []string {
		all := psRows(t, "comm=,args=", func(f []string) string { return strings.Join(f[2:], " ") })
		all = slices.DeleteFunc(all, func(s string) bool { return strings.HasPrefix(s, "[") || strings.Contains(s, "<defunct>") })
		for i, line := range all {
			if _, after, ok := strings.Cut(line, "test of a long name 1000"); ok && after == "" { // a name with blanks
				line = p.nameOfTest(t)
			}
			all[i] = line[:min(len(line), 60)]
		}
		return all
	})
	sameEventually(t, "Process Count", func() []string { return says(t, p, "Process Count") },
		func() []string {
			return []string{strconv.Itoa(len(psRows(t, "comm=", func([]string) string { return "" })))}
		})
	sameEventually(t, "Process States", func() []string { return rowsOf("Process States", 0) }, func() []string {
		return psRows(t, "stat=,comm=", func(f []string) string { return processStates[f[1][:1]] })
	})
}

// nameOfTest is the command line of the program with a long name, which ps
// shows without saying where its name ends.
func (p *Probe) nameOfTest(t *testing.T) string {
	t.Helper()
	for _, line := range says(t, p, "Process Command Lines") {
		if strings.HasPrefix(line, "catenary test of a long name|") {
			_, line, _ = strings.Cut(line, "|")
			return strings.Join(strings.Fields(line), " ")
		}
	}
	return ""
}

func TestProcessesOfOurs(t *testing.T) {
	pid, path := program(t, "catenary-probe-test")
	p, id := newProbe(), strconv.Itoa(pid)
	has := func(sensor, want string, params ...string) {
		t.Helper()
		if got := says(t, p, sensor, params...); !slices.Contains(got, want) {
			t.Errorf("%s: %s is not among %q", sensor, want, got)
		}
	}
	self := says(t, p, "Process Parents")
	i := slices.IndexFunc(self, func(s string) bool { return strings.HasPrefix(s, "catenary-probe-test|") })
	if i < 0 || self[i] != "catenary-probe-test|"+filepath.Base(os.Args[0]) {
		t.Errorf("our child's parent is not among %q", self)
	}
	has("Process Running", "True", "catenary-probe-*")
	has("Process Running", "False", "catenary-probe-other")
	has("Running Processes with MD5 Hash", "catenary-probe-test|"+path+"|"+tool(t, "sh", "-c", "md5sum < "+path+" | cut -c1-32")[0])
	limit := tool(t, "sh", "-c", "awk '/Max open files/ { print $4 }' /proc/"+id+"/limits")[0]
	count := tool(t, "sh", "-c", "ls /proc/"+id+"/fd | wc -l")[0]
	has("Open File Counts", "catenary-probe-test|"+id+"|"+count+"|"+limit)
	has("Open Files", "catenary-probe-test|"+id+"|/dev/null", "CATENARY-probe-test")
	has("Loaded Libraries", "catenary-probe-test|"+path, "catenary-probe-test")
	compareAll(t, p, []comparison{
		{"Loaded Libraries", []string{"catenary-probe-test"}, []int{1}, shell(`awk '$6 ~ "^/" { print $6 }' /proc/` + id + `/maps | sort -u`)},
		{"Process Environment", []string{"CATENARY_NO_SUCH"}, nil, shell(`true`)},
		{"Zombie Processes", nil, []int{1}, shell(`ps -eo pid=,stat= | awk '$2 ~ /^Z/ { print $1 }'`)},
		{"Shared Memory Segments", nil, []int{0, 3}, shell(`ipcs -m | awk '$2 ~ /^[0-9]+$/ { print $2 "|" $5 }'`)},
	})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	has("Processes of Deleted Programs", "catenary-probe-test|"+id+"|"+path)
	has("Deleted Libraries Used", "catenary-probe-test|"+path)
}

// TestWhatAProcessMustNotKeep: a file that is removed while it is open, and a
// variable that changes what a program loads.
func TestWhatAProcessMustNotKeep(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "gone with it"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("12345"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{filepath.Base(os.Args[0]), strconv.Itoa(os.Getpid()), f.Name(), "5"}, "|")
	p := newProbe()
	if got := says(t, p, "Deleted Open Files"); !slices.Contains(got, want) {
		t.Errorf("%s is not among %q; lsof says %q", want, got, tool(t, "sh", "-c", "lsof +L1 -p "+strconv.Itoa(os.Getpid())+" 2>/dev/null; true"))
	}
	cmd := exec.Command("sleep", "1000")
	cmd.Env = []string{"LD_PRELOAD=/no/such/evil.so", "CATENARY_X=a=b"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		if cmd.Wait() == nil {
			t.Error("a program that was killed ended well")
		}
	}()
	sameEventually(t, "Preloaded Libraries", func() []string { // until the program has its own environment
		return slices.DeleteFunc(says(t, p, "Preloaded Libraries"), func(s string) bool { return !strings.Contains(s, "evil") })
	}, func() []string { return []string{"/no/such/evil.so|environment of sleep"} })
	if got := says(t, p, "Process Environment", "CATENARY_X"); !slices.Contains(got, "sleep|a=b") {
		t.Errorf("the variable is %q", got)
	}
	for _, params := range [][]string{{""}, {"A=B"}} {
		if rows, err := p.Run(t.Context(), "Process Environment", params); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %q, %v", params, rows, err)
		}
	}
}

func TestSharedMemoryIsWhatIpcsSays(t *testing.T) {
	id, _, errno := unix.Syscall(unix.SYS_SHMGET, 0, 12345, 0o600|unix.IPC_CREAT)
	if errno != 0 {
		t.Skipf("no shared memory here: %v", errno)
	}
	defer func() {
		if _, _, errno := unix.Syscall(unix.SYS_SHMCTL, id, unix.IPC_RMID, 0); errno != 0 {
			t.Error(errno)
		}
	}()
	compareAll(t, newProbe(), []comparison{
		{"Shared Memory Segments", nil, []int{0, 1, 2, 3, 4}, shell(`ipcs -m | awk '$2 ~ /^[0-9]+$/ { print $2 "|" $3 "|0" $4 "|" $5 "|" $6 }'`)},
	})
}

// crowded is a machine with processes of all kinds.
func crowded() files {
	stat := func(pid, name, state, parent string) string {
		return pid + " (" + name + ") " + state + " " + parent + " 1 1 0 -1 0 0 0 0 0 300 200 0 0 20 0 3 0 1000 0 256"
	}
	return files{
		"proc/stat": "cpu  1000 0 500 8000 500 0 0 0 0 0\ncpu0 1 1 1 1\nbtime 1790000000\n", "etc/passwd": "root:x:0:0::/root:/bin/sh\n", "etc/group": "",
		"proc/1/stat": stat("1", "systemd", "S", "0"), "proc/1/cmdline": "/sbin/init\x00splash\x00", "proc/20/stat": stat("20", "defunct", "Z", "1"), "proc/20/cmdline": "",
		"proc/21/stat": stat("21", "stuck", "D", "1"), "proc/21/wchan": "nfs_wait_bit_killable", "proc/21/cmdline": "stuck",
		"proc/22/stat": stat("22", "web", "S", "1"), "proc/22/cmdline": "web\x00--port=80\x00", "proc/22/cgroup": "0::/system.slice/docker-" + strings.Repeat("0123456789abcdef", 4) + ".scope\n",
		"proc/22/maps":   "7f00-7f01 r-xp 00000000 08:01 1234                       /usr/lib/libssl.so.3 (deleted)\n7f02-7f03 rw-s 0 00:01 5 /SYSV00000000 (deleted)\n7f04-7f05 rw-p 0 00:00 0 \n7f06-7f07 r--p 0 08:01 7   /opt/with space/lib.so\n7f08-7f09 r--p 0 0 8 [heap]\n",
		"proc/22/limits": "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            unlimited            unlimited            files     \n", "proc/22/fd/": "",
		"proc/23/stat": stat("23", "lxcd", "S", "1"), "proc/23/cmdline": "", "proc/23/cgroup": "4:cpu:/lxc/box1\n", "proc/24/stat": "broken", "proc/sysvipc/shm": "       key      shmid perms                  size  cpid  lpid nattch   uid\n         0          3  1600               1048576     1     1      2     0\n",
		"etc/ld.so.preload": "# x\n/usr/lib/a.so /usr/lib/b.so # y\n",
		"var/lib/docker/containers/" + strings.Repeat("0123456789abcdef", 4) + "/config.v2.json": `{"ID":"` + strings.Repeat("0123456789abcdef", 4) + `","Name":"/shop"}`,
	}
}

func TestProcessesOfAMachine(t *testing.T) {
	all := crowded()
	delete(all, "proc/24/stat")
	p := probeOn(t, all)
	saysAll(t, p, []saying{
		{"Zombie Processes", nil, []string{"defunct|20|systemd"}}, {"Blocked Processes", nil, []string{"stuck|21|nfs_wait_bit_killable"}},
		{"Process States", nil, []string{"Sleeping|3", "Zombie|1", "Blocked|1"}}, {"Thread Count", nil, []string{"15"}}, {"Process Count", nil, []string{"5"}},
		{"Container Processes", nil, []string{"web|22|shop", "lxcd|23|box1"}}, {"Deleted Libraries Used", nil, []string{"web|/usr/lib/libssl.so.3"}},
		{"Loaded Libraries", []string{"web"}, []string{"web|/usr/lib/libssl.so.3 (deleted)", "web|/SYSV00000000 (deleted)", "web|/opt/with space/lib.so"}},
		{"Open File Counts", nil, []string{"web|22|0|"}}, {"Preloaded Libraries", nil, []string{"/usr/lib/a.so|/etc/ld.so.preload", "/usr/lib/b.so|/etc/ld.so.preload"}},
		{"Process Memory", nil, []string{"systemd|1|1MB", "defunct|1|1MB", "stuck|1|1MB", "web|1|1MB", "lxcd|1|1MB"}},
		{"Process Parents", nil, []string{"systemd|", "defunct|systemd", "stuck|systemd", "web|systemd", "lxcd|systemd"}},
	})
	saysAll(t, probeOn(t, files{"proc/sysvipc/shm": all["proc/sysvipc/shm"], "etc/passwd": all["etc/passwd"]}), []saying{
		{"Shared Memory Segments", nil, []string{"3|root|1600|1048576|2|"}},
	})
	if rows, err := probeOn(t, crowded()).Run(t.Context(), "Process Count", nil); err == nil {
		t.Errorf("what cannot be read is passed over: %q", rows)
	}
	busy, total, err := processorTimes(p.root)
	if err != nil || busy.Seconds() != 15 || total.Seconds() != 100 {
		t.Errorf("the processors were busy for %v of %v, %v", busy, total, err)
	}
}

func TestCapabilities(t *testing.T) {
	for bits, want := range map[uint64]string{
		1<<12 | 1<<13: "cap_net_admin,cap_net_raw", 1<<41 - 1: "all", 0: "", 1 << 40: "cap_checkpoint_restore", 1 << 50: "50",
	} {
		if got := capabilities(bits); got != want {
			t.Errorf("%x is %q", bits, got)
		}
	}
}

func FuzzProcessFiles(f *testing.F) {
	f.Add([]byte(crowded()["proc/22/maps"]), "0::/docker/abc\n")
	f.Add([]byte("a b c d e /x\n"), "Max open files 1 2 files\n")
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		for _, file := range parseMaps(b) {
			if file == "" || file[0] != '/' || strings.Contains(file, "\n") {
				t.Fatalf("%q maps %q", b, file)
			}
		}
		if limit := openLimit(text); limit != "" && !isNumber(limit) {
			t.Fatalf("%q limits to %q", text, limit)
		}
		containerOf(text)
		if rights, ok := parseFileCapabilities(b); ok && rights == "" {
			t.Fatalf("%x has no rights", b)
		}
	})
}
