package probe

import (
	"encoding/binary"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSystemName(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=Debian\n", "Debian GNU/Linux 12 (bookworm)"},
		{"NAME='Alpine Linux'\nVERSION=3.22\n", "Alpine Linux 3.22"},
		{"# PRETTY_NAME=x\nNAME=Arch\r\n", "Arch"},
		{"NAME=\"A \\\"B\\\" \\$C\"", `A "B" $C`},
		{"PRETTY_NAME=one\nPRETTY_NAME=two", "two"},
		{"PRETTY_NAME=\nVERSION_ID=1\n", ""},
		{"", ""},
	} {
		got, err := systemName(c.text)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q gives %q, %v, want %q", c.text, got, err, c.want)
		}
	}
}

func FuzzAssignments(f *testing.F) {
	f.Add("A=b\nC=\"d\\\"\"\n#E=f\n")
	f.Add("A='\nB=\"\nC=\\")
	f.Fuzz(func(t *testing.T, text string) {
		for key, v := range assignments(text) {
			if key == "" || strings.ContainsAny(key, " \t\n=") || strings.Contains(v, "\n") || len(v) > len(text) {
				t.Fatalf("%q gives %q=%q", text, key, v)
			}
			quoted := "'" + v + "'"
			if again := assignments(key + "=" + quoted)[key]; again != v {
				t.Fatalf("%q is read as %q", quoted, again)
			}
		}
	})
}

func TestMeminfo(t *testing.T) {
	const text = "MemTotal:       24684084 kB\nMemFree:         9 kB\nHugePages_Total:       3\nBroken: x kB\n"
	for field, want := range map[string]uint64{"MemTotal": 24684084, "MemFree": 9} {
		if got, ok := meminfo(text, field); got != want || !ok {
			t.Errorf("%s is %d, %t", field, got, ok)
		}
	}
	for _, field := range []string{"MemAvailable", "HugePages_Total", "Broken", ""} {
		if got, ok := meminfo(text, field); ok {
			t.Errorf("%s is %d", field, got)
		}
	}
}

func TestCPUInfo(t *testing.T) {
	for _, c := range []struct {
		text   string
		models []string
		count  int
	}{
		{"processor\t: 0\nmodel name\t: AMD  EPYC 9\nflags\t\t: fpu hypervisor\n\nprocessor\t: 1\nmodel name\t: AMD EPYC 9\n", []string{"AMD EPYC 9"}, 2},
		{"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\nprocessor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd03\n", []string{"Cortex-A53", "Neoverse-N1"}, 2},
		{"processor\t: 0\nCPU implementer\t: 0x61\nCPU part\t: 0x022\n", []string{"ARM implementer 0x61 part 0x022"}, 1},
		{"vendor_id       : IBM/S390\n# processors    : 1\nprocessor 0: version = FF\n", nil, 1},
		{"processor\t: 0\nmodel name\t:\n", nil, 1},
		{"", nil, 0},
	} {
		models, count := cpuinfo(c.text)
		if !reflect.DeepEqual(models, c.models) || count != c.count {
			t.Errorf("%q gives %q, %d", c.text, models, count)
		}
	}
	const text = "flags\t\t: fpu hypervisor\nflags : other\n"
	if !cpuFlag(text, "hypervisor") || cpuFlag(text, "hyper") || cpuFlag(text, "other") || cpuFlag("", "fpu") {
		t.Error("flags of a processor")
	}
}

func TestParseStat(t *testing.T) {
	const rest = " S 1 2 3 4 5 %d 7 8 9 10 11 12 13 14 15 16 17 0 123456 18 19 20"
	line := func(head, flags string) []byte { return []byte(head + strings.Replace(rest, "%d", flags, 1)) }
	is := func(pid int, name string, kernel bool) process {
		return process{
			pid: pid, parent: 1, name: name, kernel: kernel, state: "Sleeping", threads: 17, ticks: 123456,
			cpu: 230 * time.Millisecond, resident: 19 * uint64(os.Getpagesize()),
		}
	}
	for _, c := range []struct {
		line []byte
		want process
		ok   bool
	}{
		{line("17 (bash)", "4194304"), is(17, "bash", false), true},
		{line("2 (kthreadd)", "2129984"), is(2, "kthreadd", true), true},
		{line("9 (a) b (c))", "0"), is(9, "a) b (c)", false), true},
		{line("9 ()", "0"), is(9, "", false), true},
		{line("x (bash)", "0"), process{}, false},
		{line("9 (bash)", "y"), process{}, false},
		{[]byte("9 (bash) S 1"), process{}, false},
		{[]byte(") 9 ("), process{}, false},
		{nil, process{}, false},
	} {
		if got, ok := parseStat(c.line); got != c.want || ok != c.ok {
			t.Errorf("%q gives %+v, %t", c.line, got, ok)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("17 (ba)sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"))
	f.Add([]byte("17 ("))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := parseStat(b); ok && !strings.Contains(string(b), "("+p.name+")") {
			t.Fatalf("%q has the name %q", b, p.name)
		}
	})
}

func TestFullName(t *testing.T) {
	for _, c := range []struct{ cmdline, want string }{
		{"/usr/bin/kernel-of-truth-daemon\x00-x", "kernel-of-truth-daemon"},
		{"/bin/sh\x00/opt/kernel-of-truth-script\x00a", "kernel-of-truth-script"},
		{"/bin/sh\x00-c\x00kernel-of-truth-other", "kernel-of-truth"},
		{"something else", "kernel-of-truth"},
		{"", "kernel-of-truth"},
	} {
		if got := fullName("kernel-of-truth", []byte(c.cmdline)); got != c.want {
			t.Errorf("%q gives %q", c.cmdline, got)
		}
	}
}

// littleEndian says how the kernel of this machine prints addresses.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

func TestParseSocket(t *testing.T) {
	if !littleEndian {
		t.Skip("the lines below were printed by a little-endian kernel")
	}
	for _, c := range []struct{ line, local, remote string }{
		{"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 00000000 100 0 0 10 0", "127.0.0.1:8080", "0.0.0.0:0"},
		{"   1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1", "[::1]:22", "[::]:0"},
		{"   2: 0000000000000000FFFF0000020200C0:0050 0000000000000000FFFF0000630200C0:C350 0A 00000000:00000000 00:00000000 00000000 0 0 12345 1", "192.0.2.2:80", "192.0.2.99:50000"},
	} {
		s, ok := parseSocket(c.line)
		want := socket{"", netip.MustParseAddrPort(c.local), netip.MustParseAddrPort(c.remote), stateListening, 12345}
		if !ok || s != want {
			t.Errorf("%q gives %+v, %t", c.line, s, ok)
		}
	}
	for _, line := range []string{
		"", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
		"0: 0100007F:1F9 00000000:0000 0A 0:0 00:0 0 0 0 1 1", "0: 0100007F 00000000:0000 0A 0:0 00:0 0 0 0 1 1",
		"0: 01007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0 1 1", "0: 0100007F:1F90 00000000:0000 1AA 0:0 00:0 0 0 0 1 1",
		"0: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0 -1 1", "0: 0100007F0100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0 1 1",
	} {
		if s, ok := parseSocket(line); ok {
			t.Errorf("%q gives %+v", line, s)
		}
	}
}

func FuzzParseSocket(f *testing.F) {
	f.Add("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1")
	f.Add("0: 0000000000000000FFFF0000020200C0:0050 00000000:0000 01 0 0 0 0 0 7")
	f.Fuzz(func(t *testing.T, line string) {
		if s, ok := parseSocket(line); ok && (!s.local.IsValid() || !s.remote.IsValid() || s.local.Addr().Is4In6()) {
			t.Fatalf("%q gives %+v", line, s)
		}
	})
}

func TestSocketInode(t *testing.T) {
	for link, want := range map[string]uint64{"socket:[7]": 7, "socket:[18446744073709551615]": 1<<64 - 1} {
		if got, ok := socketInode(link); got != want || !ok {
			t.Errorf("%q gives %d, %t", link, got, ok)
		}
	}
	for _, link := range []string{"", "socket:[", "socket:[]", "socket:[7", "pipe:[7]", "socket:[x]", "/socket:[7]"} {
		if got, ok := socketInode(link); ok {
			t.Errorf("%q gives %d", link, got)
		}
	}
}

func TestMountsAndDisks(t *testing.T) {
	const text = `22 28 0:21 / /proc rw,relatime - proc proc rw
28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
31 28 254:1 /srv/www /var/www rw shared:2 master:3 - ext4 /dev/vda1 rw
32 28 8:16 / /mnt/my\040disk\011x rw - xfs /dev/sdb rw
33 28 0:44 /@home /home rw - btrfs /dev/sdc rw
34 28 0:44 /@ /mnt/all rw - btrfs /dev/sdc rw
35 28 0:50 / /mnt/far rw - nfs4 server:/export rw
36 28 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro
37 28 0:60 / /run rw - tmpfs tmpfs rw
38 28 0:61 / /tank rw - zfs tank rw
broken line
39 28 8:99 / /x
`
	all := mounts(text)
	if len(all) != 10 || all[3].point != "/mnt/my disk\tx" || all[2].root != "/srv/www" {
		t.Errorf("mounts are %+v", all)
	}
	folder := func(path string) bool { return path != "/etc/hosts" }
	var points []string
	for _, m := range localDisks(all, folder) {
		points = append(points, m.point)
	}
	if want := []string{"/", "/home", "/mnt/my disk\tx", "/tank"}; !reflect.DeepEqual(points, want) {
		t.Errorf("local disks are %q, want %q", points, want)
	}
	inside := mounts(`1 0 0:70 / / rw - overlay overlay rw
2 1 254:1 /docker/hosts /etc/hosts rw - ext4 /dev/vda1 rw
3 1 254:1 /docker/volumes/7 /var/lib/data rw - ext4 /dev/vda1 rw
`)
	if got := localDisks(inside, folder); len(got) != 2 || got[0].point != "/" || got[1].point != "/var/lib/data" {
		t.Errorf("in a container: %+v", got)
	}
}

func FuzzMounts(f *testing.F) {
	f.Add("28 1 254:1 / /a\\040b rw shared:1 - ext4 /dev/vda1 rw\n")
	f.Add("28 1 254:1 / /\\04 rw - ext4 \\777\n")
	f.Fuzz(func(t *testing.T, text string) {
		all := mounts(text)
		if len(all) > strings.Count(text, " - ") {
			t.Fatalf("%q has the mounts %+v", text, all)
		}
		if picked := localDisks(all, func(string) bool { return true }); len(picked) > len(all) {
			t.Fatalf("%q has the disks %+v", text, picked)
		}
	})
}

func TestUsedPercent(t *testing.T) {
	for _, c := range []struct{ total, free, available, want uint64 }{
		{100, 100, 100, 0}, {100, 0, 0, 100}, {100, 50, 50, 50}, {1000, 999, 999, 1}, {100, 50, 40, 56}, {10, 20, 20, 0}, {0, 0, 0, 0},
	} {
		if got := usedPercent(c.total, c.free, c.available); got != c.want {
			t.Errorf("%+v gives %d", c, got)
		}
	}
}

func TestGateways(t *testing.T) {
	const v6 = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
broken`
	if got := gateways6(v6); !reflect.DeepEqual(got, []string{"fd00::1"}) {
		t.Errorf("gateways are %q", got)
	}
	if !littleEndian {
		t.Skip("the lines below were printed by a little-endian kernel")
	}
	const v4 = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth1	00000000	FE0200C0	0002	0	0	0	00000000	0	0	0
tun0	00000000	00000000	0001	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth0	00000000	020200C0	0003	0	0	0	00000080	0	0	0
`
	if got := gateways4(v4); !reflect.DeepEqual(got, []string{"192.0.2.1"}) {
		t.Errorf("gateways are %q", got)
	}
}

func FuzzGateways(f *testing.F) {
	f.Add("eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0")
	f.Add("00000000000000000000000000000000 00 0 00 fd000000000000000000000000000001 0 0 0 00000003 eth0")
	f.Fuzz(func(t *testing.T, text string) {
		for _, g := range append(gateways4(text), gateways6(text)...) {
			if _, err := netip.ParseAddr(g); err != nil {
				t.Fatalf("%q gives %q", text, g)
			}
		}
	})
}

func FuzzCPUInfo(f *testing.F) {
	f.Add("processor\t: 0\nmodel name\t: AMD\nflags : a b\n")
	f.Add("processor 0: x\nCPU implementer : 0x41\nCPU part : 0xd0c")
	f.Fuzz(func(t *testing.T, text string) {
		models, count := cpuinfo(text)
		if lines := strings.Count(text, "\n") + 1; len(models) > lines || count > lines {
			t.Fatalf("%q gives %q, %d", text, models, count)
		}
		for _, m := range models {
			if m == "" || strings.TrimSpace(m) != m {
				t.Fatalf("%q gives the model %q", text, m)
			}
		}
	})
}
