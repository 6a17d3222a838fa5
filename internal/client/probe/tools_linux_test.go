package probe

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests of this file hold sensors against what the system's own tools say
// (coreutils, procps, iproute2, dpkg and others of a usual Debian).

// attempts is how often a test looks again when the machine has changed
// between our look and the tool's.
const attempts = 20

// askedServers lists the name servers, those behind systemd's if it is the
// only one.
const askedServers = `
	list() { awk '$1 == "nameserver" { sub("%.*", "", $2); print $2 }' "$1"; }
	if [ "$(list /etc/resolv.conf)" = 127.0.0.53 ] && [ -e /run/systemd/resolve/resolv.conf ]
	then list /run/systemd/resolve/resolv.conf
	else list /etc/resolv.conf
	fi`

// tool runs one of the system's tools and returns its lines. A machine that
// builds us must have them all.
func tool(t *testing.T, name string, args ...string) []string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the tool %s is missing: %v", name, err)
		}
		t.Skipf("the tool %s is missing: %v", name, err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return splitLines(string(out))
}

// set returns the distinct texts in order.
func set(texts []string) []string {
	distinct := map[string]bool{}
	for _, s := range texts {
		distinct[s] = true
	}
	return slices.Sorted(maps.Keys(distinct))
}

// sameEventually compares a look of ours with the looks of a tool before and
// after it, at a machine that does not stand still: what the tool saw both times
// we see, and we see nothing that it saw neither time.
func sameEventually(t *testing.T, what string, ours, theirs func() []string) {
	t.Helper()
	var a, after []string
	before := set(theirs())
	for range attempts {
		a, after = set(ours()), set(theirs())
		lacking := slices.ContainsFunc(after, func(s string) bool { return slices.Contains(before, s) && !slices.Contains(a, s) })
		invented := slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(before, s) && !slices.Contains(after, s) })
		if !lacking && !invented {
			return
		}
		before = after
	}
	t.Errorf("%s: we say\n%q\nthe tool says\n%q", what, a, after)
}

func TestTextsAreWhatToolsSay(t *testing.T) {
	p := newProbe()
	for _, c := range []struct {
		sensor string
		tool   []string
	}{
		{"Computer Name", []string{"hostname"}},
		{"Kernel Version", []string{"uname", "-r"}},
		{"CPU Architecture", []string{"uname", "-m"}},
		{"Number of CPUs", []string{"getconf", "_NPROCESSORS_ONLN"}},
		{"Operating System", []string{"sh", "-c", `. /etc/os-release; echo "$PRETTY_NAME"`}},
		{"CPU Model", []string{"sh", "-c", `lscpu | sed -n 's/^ *Model name: *//p'`}},
		{"Total Memory", []string{"sh", "-c", `free --mebi | awk '/^Mem:/ { print $2 "MB" }'`}},
		{"DNS Servers", []string{"sh", "-c", askedServers}},
		{"MAC Address", []string{"sh", "-c", `ip -o link | sed -n 's/.* link\/ether \([^ ]*\) .*/\1/p'`}},
		{"Default Gateway", []string{"sh", "-c", `(ip -4 route show default; ip -6 route show default) | sed -n 's/.* via \([^ ]*\) .*/\1/p'`}},
		{"IP Address", []string{"sh", "-c", `ip -o addr show | awk '$2 != "lo" { sub("/.*", "", $4); print $4 }'`}},
	} {
		t.Run(c.sensor, func(t *testing.T) {
			sameEventually(t, c.sensor,
				func() []string { return column(t, p, c.sensor, 0) },
				func() []string { return tool(t, c.tool[0], c.tool[1:]...) })
		})
	}
}

func TestPlatformIsLinux(t *testing.T) {
	p := newProbe()
	for sensor, want := range map[string]string{
		"OS Platform": tool(t, "uname", "-s")[0], "Is Linux": "True", "Is Windows": "False", "Is Mac": "False", "Online": "True",
	} {
		if got := column(t, p, sensor, 0); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", sensor, got, want)
		}
	}
}

func TestIsVirtualIsWhatSystemdSays(t *testing.T) {
	path, err := exec.LookPath("systemd-detect-virt")
	if err != nil {
		t.Skip("the tool systemd-detect-virt is missing; a minimal Debian is without it")
	}
	want := exec.Command(path, "--vm", "--quiet").Run() == nil // its exit code is the answer
	if got := column(t, newProbe(), "Is Virtual", 0); got[0] != yesNo(want) {
		t.Errorf("Is Virtual is %q, systemd says %t", got, want)
	}
}

func TestFreeMemoryIsWhatFreeSays(t *testing.T) {
	const tolerance = 1024 // MB that others may take or give between the two looks
	ours, err := strconv.Atoi(strings.TrimSuffix(column(t, newProbe(), "Free Memory", 0)[0], "MB"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(tool(t, "free", "--mebi")[1])
	theirs, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		t.Fatal(err)
	}
	if d := ours - theirs; d < -tolerance || d > tolerance {
		t.Errorf("we say %d MB, free says %d MB", ours, theirs)
	}
}

func TestTimesAreWhatToolsSay(t *testing.T) {
	p := newProbe()
	boot, err := time.Parse(time.RFC1123Z, column(t, p, "Last Reboot", 0)[0])
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := time.ParseInLocation(time.DateTime, tool(t, "uptime", "-s")[0], time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if d := boot.Sub(theirs).Abs(); d > 2*time.Second {
		t.Errorf("we say %v, uptime says %v", boot, theirs)
	}
	sameEventually(t, "Uptime", func() []string { return column(t, p, "Uptime", 0) }, func() []string {
		seconds, _, _ := strings.Cut(tool(t, "cat", "/proc/uptime")[0], ".")
		n, err := strconv.Atoi(seconds)
		if err != nil {
			t.Fatal(err)
		}
		return []string{span(time.Duration(n) * time.Second)}
	})
	zone := column(t, p, "Time Zone", 0)[0]
	if ours, theirs := tool(t, "env", "TZ="+zone, "date", "+%Z%z"), tool(t, "env", "-u", "TZ", "date", "+%Z%z"); !slices.Equal(ours, theirs) {
		t.Errorf("in our zone %s it is %q, else %q", zone, ours, theirs)
	}
}

func TestDisksAreWhatDfSays(t *testing.T) {
	const tolerance = 256 // MB that others may write between the two looks
	rows, err := newProbe().Run(t.Context(), "Disk Free Space", nil)
	if err != nil || len(rows) == 0 {
		t.Fatalf("%q, %v", rows, err)
	}
	points := map[string]bool{}
	for _, row := range rows {
		points[row[0]] = true
		f := strings.Fields(tool(t, "df", "-BM", "--output=fstype,avail,size,pcent", row[0])[1])
		if f[0] != row[1] || !near(t, f[1], row[2], tolerance) || !near(t, f[2], row[3], 1) || !near(t, strings.TrimSuffix(f[3], "%"), row[4], 1) {
			t.Errorf("we say %q, df says %q", row, f)
		}
	}
	for _, line := range tool(t, "df", "-lP")[1:] {
		if f := strings.Fields(line); strings.HasPrefix(f[0], "/dev/") && !strings.HasPrefix(f[0], "/dev/loop") && isFolder(f[5]) && !points[f[5]] {
			t.Errorf("we do not say what df says: %s", line)
		}
	}
}

// near compares two numbers of megabytes, which df rounds up.
func near(t *testing.T, a, b string, tolerance int) bool {
	t.Helper()
	x, err := strconv.Atoi(strings.TrimSuffix(a, "M"))
	if err != nil {
		t.Fatal(err)
	}
	y, err := strconv.Atoi(strings.TrimSuffix(b, "MB"))
	if err != nil {
		t.Fatal(err)
	}
	return x-y <= tolerance && y-x <= tolerance
}

// program starts a copy of sleep under a name of our choice.
func program(t *testing.T, name string) (pid int, path string) {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("a program that was killed ended well")
		}
	})
	return cmd.Process.Pid, path
}

func TestProcessesAreWhatPsSays(t *testing.T) {
	program(t, "catenary test (of long names)")
	p := newProbe()
	sameEventually(t, "Running Processes", func() []string {
		var cut []string
		for _, name := range column(t, p, "Running Processes", 0) {
			cut = append(cut, name[:min(len(name), commMax)])
		}
		return cut
	}, func() []string {
		var names []string
		for _, line := range tool(t, "ps", "-o", "pid=,ppid=,comm=", "--ppid", "2", "-p", "2", "--deselect") {
			f := strings.SplitN(strings.TrimSpace(line), " ", 2)
			f = strings.SplitN(strings.TrimSpace(f[1]), " ", 2)
			if name := strings.TrimSuffix(f[1], " <defunct>"); f[0] != strconv.Itoa(os.Getpid()) { // ps itself
				names = append(names, name)
			}
		}
		return append(names, "catenary test (") // one of our own children
	})
	if all := column(t, p, "Running Processes", 0); !slices.Contains(all, "catenary test (of long names)") {
		t.Errorf("the long name is not among %q", all)
	}
}

func TestProcessHashIsWhatSha256sumSays(t *testing.T) {
	_, path := program(t, "catenary-hashed")
	want, _, _ := strings.Cut(tool(t, "sha256sum", path)[0], " ")
	p := newProbe()
	find := func(path string) []string {
		t.Helper()
		rows, err := p.Run(t.Context(), "Running Processes with Hash", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if row[0] == "catenary-hashed" && row[1] == path {
				return row
			}
		}
		t.Fatalf("%s is not among %q", path, rows)
		return nil
	}
	if row := find(path); row[2] != want {
		t.Errorf("we say %q, sha256sum says %s", row, want)
	}
	if got := column(t, p, "File Hash", 0, path); got[0] != want {
		t.Errorf("we say %q, sha256sum says %s", got, want)
	}
	if err := os.Remove(path); err != nil { // as malware does
		t.Fatal(err)
	}
	if row := find(path + " (deleted)"); row[2] != want {
		t.Errorf("after its file was removed we say %q, sha256sum said %s", row, want)
	}
}

// busy opens sockets of every kind.
func busy(t *testing.T) {
	t.Helper()
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		u, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { u.Close() })
		for network, to := range map[string]net.Addr{"tcp": l.Addr(), "udp": u.LocalAddr()} {
			c, err := net.Dial(network, to.String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		}
	}
}

// ends spells an address and port of ss as we do.
func ends(t *testing.T, s string) string {
	t.Helper()
	address, port, err := net.SplitHostPort(strings.Replace(s, "*:", "[::]:", 1))
	if err != nil {
		t.Fatal(err)
	}
	address, _, _ = strings.Cut(address, "%")
	ip, err := netip.ParseAddr(address)
	if err != nil {
		t.Fatal(err)
	}
	return ip.Unmap().String() + " " + port
}

func TestSocketsAreWhatSsSays(t *testing.T) {
	busy(t)
	p := newProbe()
	for _, c := range []struct {
		sensor string
		args   []string
		ends   []int // columns of ss
	}{
		{"Listening Ports", []string{"-Htuln"}, []int{4}},
		{"Established Connections", []string{"-Htun", "state", "established"}, []int{3, 4}},
	} {
		sameEventually(t, c.sensor, func() []string {
			rows, err := p.Run(t.Context(), c.sensor, nil)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, row := range rows {
				lines = append(lines, strings.Join(row[1:], " "))
			}
			return lines
		}, func() []string {
			var lines []string
			for _, line := range tool(t, "ss", c.args...) {
				f := strings.Fields(line)
				line := strings.ToUpper(f[0])
				for _, i := range c.ends {
					line += " " + ends(t, f[i])
				}
				lines = append(lines, line)
			}
			return lines
		})
	}
}

func TestSocketsNameTheirProcess(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	want := filepath.Base(os.Args[0])
	rows, err := newProbe().Run(t.Context(), "Listening Ports", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(rows, func(r []string) bool { return slices.Equal(r, []string{want, "TCP", "127.0.0.1", port}) }) {
		t.Errorf("port %s of %s is not among %q", port, want, rows)
	}
}

func TestAdaptersAreWhatIPSays(t *testing.T) {
	rows, err := newProbe().Run(t.Context(), "Network Adapters", nil)
	if err != nil {
		t.Fatal(err)
	}
	var ours, theirs []string
	for _, row := range rows {
		ours = append(ours, row[0]+" "+row[3]+" "+row[2])
	}
	for _, line := range tool(t, "ip", "-o", "link") {
		f := strings.Fields(line)
		name, _, _ := strings.Cut(strings.TrimSuffix(f[1], ":"), "@")
		flags := strings.Split(strings.Trim(f[2], "<>"), ",")
		status := "Down"
		if slices.Contains(flags, "UP") && slices.Contains(flags, "LOWER_UP") {
			status = "Up"
		}
		if !slices.Contains(flags, "LOOPBACK") {
			theirs = append(theirs, name+" "+f[slices.Index(f, "mtu")+1]+" "+status)
		}
	}
	if ours, theirs = set(ours), set(theirs); !slices.Equal(ours, theirs) {
		t.Errorf("we say %q, ip says %q", ours, theirs)
	}
}

func TestPackagesAreWhatDpkgSays(t *testing.T) {
	theirs := func() []string {
		var lines []string
		for _, line := range tool(t, "dpkg-query", "-W", "-f", "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n") {
			if rest, ok := strings.CutPrefix(line, "installed\t"); ok {
				lines = append(lines, rest)
			}
		}
		return lines
	}
	sameEventually(t, "Installed Applications", func() []string {
		rows, err := newProbe().Run(t.Context(), "Installed Applications", nil)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, row := range rows {
			if row[3] == "dpkg" {
				lines = append(lines, strings.Join(row[:3], "\t"))
			}
		}
		return lines
	}, theirs)
}

func TestFolderContentsAreWhatLsSays(t *testing.T) {
	const folder = "/etc"
	sameEventually(t, folder, func() []string { return column(t, newProbe(), "Folder Contents", 0, folder) },
		func() []string { return tool(t, "ls", "-A", folder) })
}

// TestForThoseWhoMayLittle runs the sensors as a user who may not look into
// other users' processes: less is told then, and nothing fails.
func TestForThoseWhoMayLittle(t *testing.T) {
	const user = 65534 // nobody
	if os.Getuid() != 0 {
		t.Skip("the tests already run as such a user")
	}
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	copied := filepath.Join(folder, filepath.Base(os.Args[0]))
	err = errors.Join(os.WriteFile(copied, b, 0o755), os.Chmod(folder, 0o755), os.Chmod(filepath.Dir(folder), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(copied, "-test.run", "^(TestEverySensorHasItsProbe|TestProcessesAreWhatPsSays|TestSocketsAreWhatSsSays)$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TMPDIR=/tmp", "GOCOVERDIR=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), "--- PASS") != 3 {
		t.Errorf("%v\n%s", err, out)
	}
}
