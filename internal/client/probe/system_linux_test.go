package probe

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"catenary/internal/fault"
)

func TestSystemIsWhatToolsSay(t *testing.T) {
	compareAll(t, newProbe(), []comparison{
		{"OS Version", nil, nil, shell(`. /etc/os-release; echo "$VERSION_ID"`)},
		{"OS Distribution", nil, nil, shell(`. /etc/os-release; echo "$ID"`)},
		{"OS Codename", nil, nil, shell(`. /etc/os-release; echo "$VERSION_CODENAME"`)},
		{"Kernel Build", nil, nil, []string{"uname", "-v"}},
		{"Kernel Command Line", nil, nil, []string{"cat", "/proc/cmdline"}},
		{"Kernel Parameter", []string{"kernel.ostype"}, nil, []string{"sysctl", "-n", "kernel.ostype"}},
		{"Kernel Parameter", []string{"net/ipv4/tcp_rmem"}, nil, shell(`sysctl -n net.ipv4.tcp_rmem | tr '\t' ' '`)},
		{"Kernel Parameter", []string{"net/ipv4/conf/lo/rp_filter"}, nil, []string{"sysctl", "-n", "net.ipv4.conf.lo.rp_filter"}},
		{"Configured Kernel Parameters", nil, []int{0, 2}, shell(`cat /etc/sysctl.d/*.conf /usr/lib/sysctl.d/*.conf /etc/sysctl.conf 2>/dev/null | sed -n 's/^-\{0,1\}\([a-z0-9_.\/]*\) *=.*/\1/p' | sort -u | while read k; do echo "$k|$(sysctl -n "$k" 2>/dev/null | tr '\t' ' ')"; done`)},
		{"Init System", nil, nil, []string{"ps", "-o", "comm=", "-p", "1"}},
		{"Default Boot Target", nil, nil, []string{"systemctl", "--root=/", "get-default"}},
		{"Machine ID", nil, nil, []string{"cat", "/etc/machine-id"}},
		{"System Time", nil, nil, []string{"date", "+%a, %d %b %Y %H:%M:%S %z"}},
		{"System Open Files", nil, []int{1}, shell(`sysctl -n fs.file-nr | awk '{ print $3 }'`)},
		{"Resource Pressure", nil, []int{0, 1}, shell(`cd /proc/pressure && grep -H avg10 * | sed 's/^\([a-z]*\):\([a-z]*\) .*/\1|\2/'`)},
		{"Load Average", nil, nil, shell(`uptime | sed 's/.*average: //; s/, /|/g'`)},
		{"Clock Synchronized", nil, nil, python("import ctypes; b = ctypes.create_string_buffer(512); ctypes.CDLL(None).adjtimex(b); print(int.from_bytes(b[40:44], 'little') & 0x40 == 0)")},
		{"Days Since Last Reboot", nil, nil, shell(`awk '{ print int($1 / 86400) }' /proc/uptime`)},
		{"Container Type", nil, nil, shell(`systemd-detect-virt --container | sed 's/none/None/; s/docker/Docker/; s/podman/Podman/; s/lxc/LXC/'`)},
		{"Is Container", nil, nil, shell(`systemd-detect-virt --container --quiet && echo True || echo False`)},
		{"Hypervisor", nil, nil, shell(`systemd-detect-virt --vm | sed 's/none/None/; s/^kvm/KVM/; s/^qemu/KVM/; s/^amazon/KVM/; s/microsoft/Hyper-V/; s/vmware/VMware/; s/oracle/VirtualBox/; s/xen/Xen/'`)},
	})
}

// TestLoadAverageIsOfTheMachine: numbers with a point, of which the tool above
// tells the same; a load of several digits is one number.
func TestLoadAverageOfAMachine(t *testing.T) {
	saysAll(t, probeOn(t, files{"proc/loadavg": "12.00 3.50 0.07 2/345 6789\n"}), []saying{{"Load Average", nil, []string{"12.00|3.50|0.07"}}})
}

func TestInstallDate(t *testing.T) {
	birth := tool(t, "stat", "-c", "%W", "/", "/lost+found", "/etc")
	rows, err := newProbe().Run(t.Context(), "OS Install Date", nil)
	i := slices.IndexFunc(birth[:2], func(s string) bool { return s != "0" && s != "-" })
	if i < 0 {
		if fault.KindOf(err) != fault.NotFound {
			t.Errorf("%q, %v", rows, err)
		}
		return
	}
	seconds, parseErr := strconv.ParseInt(birth[i], 10, 64)
	if err != nil || parseErr != nil || rows[0][0] != date(time.Unix(seconds, 0)) {
		t.Errorf("%q, %v; stat says %q, %v", rows, err, birth, parseErr)
	}
}

func TestKernelOfAMachine(t *testing.T) {
	p := probeOn(t, files{
		"proc/modules":                      "dm_mod 184320 2 dm_crypt,dm_log, Live 0x0000000000000000 (O)\nloop 32768 0 - Live 0xffff\nstuck 10 - [permanent], Live 0x0\nbroken x\n",
		"proc/sys/kernel/tainted":           "12289\n",
		"proc/sys/kernel/osrelease":         "6.1.0-28-amd64\n",
		"boot/vmlinuz-6.1.0-28-amd64":       "",
		"boot/vmlinuz-6.1.0-9-amd64":        "",
		"boot/initrd.img-6.1.0-28-amd64":    "",
		"usr/lib/modules/6.5.0-1/vmlinuz":   "",
		"usr/lib/modules/6.4.0-1/kernel/":   "",
		"sys/firmware/efi/":                 "",
		"proc/1/comm":                       "systemd\n",
		"proc/1/environ":                    "PATH=/bin\x00container=lxc\x00",
		"etc/systemd/system/default.target": "-> /usr/lib/systemd/system/rescue.target",
		"proc/self/mountinfo":               "30 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n32 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n",
		"proc/sys/fs/file-nr":               "1984\t0\t9223372036854775807\n",
		"proc/pressure/cpu":                 "some avg10=1.00 avg60=2.50 avg300=0.00 total=12\nfull avg10=0.00 avg60=0.00 avg300=0.01 total=0\n",
		"proc/pressure/odd":                 "some avg10=x avg60=2 avg300=3 total=1\nrubbish\n",
		"etc/sysctl.d/50-a.conf":            "kernel.sysrq = 16\n# x\nnet.ipv4.ip_forward=1\nvm/swappiness = 10\n",
		"usr/lib/sysctl.d/50-a.conf":        "kernel.sysrq = 438\n",
		"usr/lib/sysctl.d/60-b.conf":        "-net.core.none = 3\nkernel.sysrq = 1\n*.rp_filter = 1\n",
		"run/sysctl.d/70-off.conf":          "-> /dev/null",
		"usr/lib/sysctl.d/70-off.conf":      "vm.never = 1\n",
		"proc/sys/kernel/sysrq":             "1\n",
		"proc/sys/net/ipv4/ip_forward":      "0\n",
		"proc/sys/vm/swappiness":            "10\n",
		"etc/sysctl.conf":                   "",
	})
	saysAll(t, p, []saying{
		{"Kernel Modules", nil, []string{"dm_mod|184320|2|dm_crypt, dm_log", "loop|32768|0|", "stuck|10||[permanent]"}},
		{"Kernel Taint", nil, []string{"proprietary module", "module from outside the kernel's tree", "unsigned module"}},
		{"Installed Kernels", nil, []string{"6.1.0-28-amd64|True", "6.1.0-9-amd64|False", "6.5.0-1|False"}},
		{"Boot Mode", nil, []string{"UEFI"}}, {"Init System", nil, []string{"systemd"}}, {"Default Boot Target", nil, []string{"rescue.target"}},
		{"Cgroup Version", nil, []string{"hybrid"}}, {"System Open Files", nil, []string{"1984|9223372036854775807"}},
		{"Resource Pressure", nil, []string{"cpu|some|1.00|2.50|0.00", "cpu|full|0.00|0.00|0.01"}},
		{"Configured Kernel Parameters", nil, []string{
			"kernel.sysrq|1|1|/usr/lib/sysctl.d/60-b.conf", "net.ipv4.ip_forward|1|0|/etc/sysctl.d/50-a.conf",
			"vm.swappiness|10|10|/etc/sysctl.d/50-a.conf", "net.core.none|3||/usr/lib/sysctl.d/60-b.conf",
		}},
		{"Container Type", nil, []string{"LXC"}}, {"Is Container", nil, []string{"True"}}, {"Reboot Required", nil, []string{"False"}},
	})
	for text, want := range map[string]string{
		"0": "Not Tainted", "512": "kernel warning", "18446744073709551615": "", "524288": "memory writable and executable", "4294967296": "bit 32",
	} {
		if got, err := taintNames(text); err != nil || want != "" && strings.Join(got, ",") != want || want == "" && len(got) != 64 {
			t.Errorf("%s is %q, %v", text, got, err)
		}
	}
	for _, name := range []string{"", "../../../etc/shadow", "net/../../../etc/shadow", "no.such.parameter"} {
		if rows, err := p.Run(t.Context(), "Kernel Parameter", []string{name}); err == nil {
			t.Errorf("the parameter %q is %q", name, rows)
		}
	}
}

func TestRebootRequired(t *testing.T) {
	kernel := func(running string, installed ...string) files {
		all := files{"proc/sys/kernel/osrelease": running}
		for _, v := range installed {
			all["boot/vmlinuz-"+v] = ""
		}
		return all
	}
	for _, c := range []struct {
		why  string
		all  files
		want string
	}{
		{"the newest runs", kernel("6.1.0-28-amd64", "6.1.0-28-amd64", "6.1.0-9-amd64"), "False"},
		{"a newer one is installed", kernel("6.1.0-9-amd64", "6.1.0-28-amd64", "6.1.0-9-amd64"), "True"},
		{"a newer one of another flavour", kernel("6.1.0-9-amd64", "6.1.0-28-cloud-amd64", "6.1.0-9-amd64"), "False"},
		{"the kernel is not this system's", kernel("6.18.44-fc", "6.1.0-28-amd64"), "False"},
		{"a mark", files{"proc/sys/kernel/osrelease": "1", "run/reboot-required": "*** System restart required ***"}, "True"},
	} {
		if got := says(t, probeOn(t, c.all), "Reboot Required"); got[0] != c.want {
			t.Errorf("%s: %q", c.why, got)
		}
	}
	for version, want := range map[string]string{
		"6.1.0-28-amd64": "amd64", "6.1.0-28-cloud-amd64": "cloud-amd64", "6.10.11+bpo-amd64": "amd64", "6.5.0-rc3-amd64": "amd64",
		"5.14.0-362.8.1.el9_3.x86_64": "", "6.8.0-49-generic": "generic", "": "",
	} {
		if got := kernelFlavour(version); got != want {
			t.Errorf("the flavour of %s is %q", version, got)
		}
	}
}

func TestStateOfAMachine(t *testing.T) {
	p := probeOn(t, files{
		"etc/os-release":               "-> ../usr/lib/os-release",
		"usr/lib/os-release":           "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
		"proc/sys/kernel/hostname":     "web7\n",
		"etc/hosts":                    "127.0.0.1 localhost.localdomain localhost\n127.0.1.1 web7.shop.example web7 # me\nfe80::1%eth0 link\nnot an address\n",
		"etc/resolv.conf":              "domain own.example\nsearch corp.example. lab.example .\nnameserver 192.0.2.1\n",
		"etc/machine-id":               "uninitialized\n",
		"var/lib/dbus/machine-id":      "0123456789abcdef0123456789abcdef\n",
		"etc/locale.conf":              "",
		"etc/default/locale":           "# x\nLANG=\"de_DE.UTF-8\"\n",
		"etc/systemd/timesyncd.conf":   "[Time]\nNTP=ntp1.example ntp2.example\n#FallbackNTP=x\n",
		"etc/chrony/chrony.conf":       "pool 2.debian.pool.ntp.org iburst\n! server old\nserver  192.0.2.123\nserverx y\n",
		"etc/environment":              "PATH=\"/usr/bin:/bin\"\n#X=1\nexport EDITOR=vi\n",
		"usr/lib/environment.d/9.conf": "EDITOR=nano\nPAGER=less\n",
		"var/crash/_usr_bin_x.0.crash": "12345",
		"var/crash/202611220130/dump":  "1",
		"sys/fs/pstore/":               "",
	})
	saysAll(t, p, []saying{
		{"OS Version", nil, []string{"12"}}, {"OS Distribution", nil, []string{"debian"}}, {"OS Codename", nil, []string{"bookworm"}},
		{"Domain Name", nil, []string{"shop.example"}}, {"Machine ID", nil, []string{"0123456789abcdef0123456789abcdef"}}, {"System Locale", nil, []string{"de_DE.UTF-8"}},
		{"DNS Search Domains", nil, []string{"corp.example", "lab.example"}},
		{"Hosts File", nil, []string{"127.0.0.1|localhost.localdomain", "127.0.0.1|localhost", "127.0.1.1|web7.shop.example", "127.0.1.1|web7", "fe80::1|link"}},
		{"Time Servers", nil, []string{"ntp1.example", "ntp2.example", "2.debian.pool.ntp.org", "192.0.2.123"}},
		{"Environment Variables", nil, []string{"PATH|/usr/bin:/bin", "EDITOR|vi", "PAGER|less"}},
	})
	rows, err := p.Run(t.Context(), "Crash Dumps", nil)
	if err != nil || len(rows) != 2 || rows[0][0] != "/var/crash/_usr_bin_x.0.crash" || rows[0][1] != "5" || rows[1][0] != "/var/crash/202611220130/dump" {
		t.Errorf("%q, %v", rows, err)
	}
	for host, want := range map[string]string{"a.b.example": "b.example", "web9": "corp.example"} {
		write(t, p.root.at("proc/sys/kernel/hostname"), host+"\n")
		if got := says(t, p, "Domain Name"); got[0] != want {
			t.Errorf("the domain of %s is %q", host, got)
		}
	}
}

// TestCPUConsumption keeps a processor busy and looks.
func TestCPUConsumption(t *testing.T) {
	p := newProbe()
	stop := make(chan struct{})
	done := make(chan float64)
	go func() {
		x := 1.0
		for {
			select {
			case <-stop:
				done <- x
				return
			default:
				for range 1000 {
					x = math.Sqrt(x + 1)
				}
			}
		}
	}()
	share := number(t, says(t, p, "CPU Consumption")[0])
	rows, err := p.Run(t.Context(), "Top Processes by CPU", nil)
	close(stop)
	if <-done; share <= 0 || share > 100 {
		t.Errorf("the processors were busy to %v percent", share)
	}
	if err != nil || len(rows) == 0 || len(rows) > topMax {
		t.Fatalf("%q, %v", rows, err)
	}
	last := math.Inf(1)
	for _, row := range rows {
		used := number(t, row[3])
		if used > last {
			t.Errorf("not in order: %q", rows)
		}
		last = used
	}
	if number(t, rows[0][3]) < 1 {
		t.Errorf("the busiest of all uses %s percent while we are busy", rows[0][3])
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func FuzzKernelLists(f *testing.F) {
	f.Add("dm_mod 1 2 a,b, Live 0x0\nsome avg10=1.00 avg60=1 avg300=1 total=1\n127.0.0.1 a b\nsearch x y.\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Count(text, "\n") + 1
		for _, rows := range [][][]string{parseModules(text), parsePressure("cpu", text)} {
			if len(rows) > lines {
				t.Fatalf("%q has %d rows", text, len(rows))
			}
		}
		for _, row := range parseHosts(text) {
			if len(row) != 2 || row[1] == "" {
				t.Fatalf("%q has the host %q", text, row)
			}
		}
		for _, domain := range searchDomains(text) {
			if strings.ContainsAny(domain, " \n") {
				t.Fatalf("%q has the domain %q", text, domain)
			}
		}
	})
}
