package probe

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

func TestSecurityOfAMachine(t *testing.T) {
	us := userNames{"0": "root", "1000": "alice"}.of(strconv.Itoa(os.Getuid()))
	p := probeOn(t, files{
		"sys/fs/selinux/enforce": "1", "etc/selinux/config": "# x\nSELINUX=permissive\nSELINUXTYPE=targeted\n", "sys/module/apparmor/parameters/enabled": "Y\n",
		"sys/kernel/security/apparmor/profiles": "/usr/bin/man (enforce)\nlibreoffice (oosplash) (complain)\nbroken\n", "sys/kernel/security/lsm": "lockdown,capability,yama,apparmor",
		"sys/kernel/security/lockdown": "none [integrity] confidentiality\n", "proc/sys/crypto/fips_enabled": "1\n",
		"sys/devices/system/cpu/vulnerabilities/meltdown": "Mitigation: PTI\n", "sys/devices/system/cpu/vulnerabilities/mds": "Vulnerable; SMT vulnerable\n",
		"sys/module/nvidia/taint": "POE\n", "sys/module/ext4/taint": "\n",
		"etc/modprobe.d/a.conf": "# x\nblacklist pcspkr\ninstall usb-storage /bin/false\ninstall dccp /bin/true \\\n\ninstall ok /sbin/modprobe x\noptions y z=1\n", "lib/modprobe.d/a.conf": "blacklist hidden\n", "lib/modprobe.d/b.conf": "blacklist nouveau\n",
		"etc/audit/rules.d/x.rules": "# x\n-D\n-w /etc/passwd  -p wa -k id\n-a always,exit -F arch=b64 -S execve\n", "etc/issue": "Keep out\nor else \\n\n", "etc/issue.net": "\n",
		"etc/rsyslog.conf":     "*.* @@log.example:6514\nauth.* @(z9)10.0.0.1\nmail.* /var/log/mail\n# *.* @no\naction(type=\"omfwd\" target=\"siem.example\" port=\"514\" protocol=\"tcp\")\n",
		"etc/rsyslog.d/x.conf": "local0.* action(type=\"omfwd\" Target=\"b.example\")\n", "etc/systemd/journal-upload.conf": "[Upload]\nURL=https://u:p@journal.example:19532\n",
		"boot/grub/grub.cfg": "set superusers=\"root\"\npassword_pbkdf2 root grub.pbkdf2.sha512.x\n", "boot/loader/loader.conf": "timeout 3\n",
		"etc/ssh/sshd_config":             "# x\nInclude /etc/ssh/sshd_config.d/*.conf\nPort 22\nPort 2222\nPermitRootLogin yes\nX11Forwarding=no\nPermitRootLogin no\nMatch User backup Address 10.*\n  PermitRootLogin forced-commands-only\n  ForceCommand \"x y\"\nMatch all\nUseDNS no\n",
		"etc/ssh/sshd_config.d/10-x.conf": "permitrootlogin prohibit-password\nInclude /etc/ssh/sshd_config\n", "etc/pam.d/sshd": "# x\n@include common-auth\nauth  required pam_nologin.so\n-session optional [x] y\naccount [success=1 default=ignore]  pam_unix.so broken_shadow nullok # z\npassword\tsufficient\tpam_x.so \\\n  more\nauth\n",
		"etc/passwd": "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n", "etc/group": "root:x:0:\n",
		"home/alice/.netrc": "machine x password y\n", "home/alice/.aws/credentials": "x", "root/.rhosts/": "", "etc/hosts.equiv": "+\n",
		"usr/local/bin/": "", "usr/bin/": "",
	})
	saysAll(t, p, []saying{
		{"SELinux State", nil, []string{"Enforcing|permissive|targeted"}}, {"AppArmor State", nil, []string{"Enabled"}},
		{"AppArmor Profiles", nil, []string{"/usr/bin/man|enforce", "libreoffice (oosplash)|complain"}}, {"Security Modules", nil, []string{"lockdown", "capability", "yama", "apparmor"}},
		{"Kernel Lockdown", nil, []string{"integrity"}}, {"FIPS Mode", nil, []string{"True"}}, {"CPU Vulnerabilities", nil, []string{"meltdown|Mitigation: PTI", "mds|Vulnerable; SMT vulnerable"}},
		{"Unsigned Kernel Modules", nil, []string{"nvidia|proprietary, out of tree, unsigned"}},
		{"Blocked Kernel Modules", nil, []string{"pcspkr|not by itself|/etc/modprobe.d/a.conf", "usb-storage|not at all|/etc/modprobe.d/a.conf", "dccp|not at all|/etc/modprobe.d/a.conf", "nouveau|not by itself|/lib/modprobe.d/b.conf"}},
		{"Audit Rules", nil, []string{"-w /etc/passwd -p wa -k id|/etc/audit/rules.d/x.rules", "-a always,exit -F arch=b64 -S execve|/etc/audit/rules.d/x.rules"}},
		{"Login Banner", nil, []string{"/etc/issue|Keep out\nor else \\n"}},
		{"Log Forwarding", nil, []string{
			"*.*|log.example:6514|TCP|/etc/rsyslog.conf", "auth.*|10.0.0.1|UDP|/etc/rsyslog.conf", "|siem.example:514|TCP|/etc/rsyslog.conf",
			"local0.*|b.example|UDP|/etc/rsyslog.d/x.conf", "*|https://journal.example:19532|HTTP|/etc/systemd/journal-upload.conf",
		}},
		{"Boot Loader Password", nil, []string{"GRUB|True", "systemd-boot|False"}}, {"SSH Server Setting", []string{"PERMITrootlogin"}, []string{"prohibit-password"}},
		{"SSH Server Setting", []string{"port"}, []string{"22", "2222"}}, {"SSH Server Setting", []string{"Banner"}, nil},
		{"PAM Rules", nil, []string{
			"sshd|@include||common-auth|", "sshd|auth|required|pam_nologin.so|", "sshd|-session|optional|[x]|y",
			"sshd|account|[success=1 default=ignore]|pam_unix.so|broken_shadow nullok", "sshd|password|sufficient|pam_x.so|more",
		}},
		{"Trust Files", nil, []string{"/etc/hosts.equiv|" + us + "|0644", "/home/alice/.netrc|" + us + "|0644", "/home/alice/.aws/credentials|" + us + "|0644"}},
	})
	settings := says(t, p, "SSH Server Settings")
	for _, want := range []string{"X11Forwarding|no|", "UseDNS|no|", "PermitRootLogin|forced-commands-only|User backup Address 10.*", `ForceCommand|"x y"|User backup Address 10.*`} {
		if !slices.Contains(settings, want) {
			t.Errorf("%s is not among %q", want, settings)
		}
	}
}

func TestWritableFolders(t *testing.T) {
	p := probeOn(t, files{"usr/local/bin/": "", "usr/sbin/": "", "etc/passwd": "root:x:0:0::/:/bin/sh\n", "etc/group": ""})
	if os.Getuid() != 0 {
		t.Skip("needs root: the search looks at what other accounts may write")
	}
	saysAll(t, p, []saying{{"Writable Path Folders", nil, nil}})
	if err := os.Chmod(p.root.at("usr/local"), 0o777); err != nil {
		t.Fatal(err)
	}
	saysAll(t, p, []saying{{"Writable Path Folders", nil, []string{"/usr/local|root|0777"}}})
}

// TestCertificatesAreWhatOpenSSLSays makes certificates and holds them against
// the program that made them.
func TestCertificatesAreWhatOpenSSLSays(t *testing.T) {
	folder := t.TempDir()
	tool(t, "sh", "-ec", "cd "+folder+` && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a.key -out a.pem -days 30 -subj "/C=DE/O=Mill, Inc./CN=mill.example" 2>/dev/null
		openssl req -x509 -newkey rsa:2048 -nodes -keyout b.key -out b.pem -days 1 -subj "/CN=b" 2>/dev/null && openssl x509 -in b.pem -outform der -out c.der && cat a.pem b.pem a.key > d.pem && echo rubbish > e.pem && mkfifo f.pem`)
	p := newProbe()
	compareAll(t, p, []comparison{
		{"Certificates", []string{folder + "/*"}, []int{0, 5}, shell(`cd ` + folder + ` && for f in a.pem b.pem c.der d.pem; do openssl x509 -in $f -inform $([ $f = c.der ] && echo der || echo pem) -noout -fingerprint -sha256 | sed "s#.*=#$PWD/$f|#; s/://g"; done |
			awk -F'|' '{ print $1 "|" tolower($2) }'; openssl x509 -in b.pem -noout -fingerprint -sha256 | sed "s#.*=##; s/://g" | tr A-F a-f | sed "s#^#` + folder + `/d.pem|#"`)},
		{"Certificates", []string{folder + "/a.pem"}, []int{1, 2, 3}, shell(`cd ` + folder + ` && s=$(openssl x509 -in a.pem -noout -subject -nameopt RFC2253 | sed 's/^subject=//; s/\\,/\\,/') && e=$(openssl x509 -in a.pem -noout -enddate | sed 's/.*=//') && echo "$s|$s|$(date -u -d "$e" '+%a, %d %b %Y %H:%M:%S +0000')"`)},
		{"Certificates", []string{folder + "/[ab].pem"}, []int{4}, shell(`echo 29; echo 0`)},
		{"Trusted Root Certificates", nil, []int{2}, shell(`awk '/BEGIN/ { n++ } { print > "` + folder + `/root" n }' /etc/ssl/certs/ca-certificates.crt; for f in ` + folder + `/root*; do openssl x509 -in $f -noout -fingerprint -sha256 | sed 's/.*=//; s/://g'; done | tr A-F a-f`)},
	})
}

func FuzzCertificates(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range parseCertificates(b) {
			if len(c.sum) != sha256Length {
				t.Fatalf("%q has %+v", b, c)
			}
		}
	})
}

// TestProgramsInTheKernel loads a small program and looks for it.
func TestProgramsInTheKernel(t *testing.T) {
	const load, socketFilter = 5, 1
	code := []byte{0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0} // r0 = 0; exit
	license := []byte("GPL\x00")
	var pinner runtime.Pinner
	defer pinner.Unpin()
	pinner.Pin(&code[0])
	pinner.Pin(&license[0])
	argument := struct {
		kind, count    uint32
		code, license  uint64
		level, size    uint32
		log            uint64
		version, flags uint32
		name           [16]byte
	}{kind: socketFilter, count: 2, code: uint64(uintptr(unsafe.Pointer(&code[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0])))}
	copy(argument.name[:], "catenary_test")
	fd, err := bpf(load, unsafe.Pointer(&argument), unsafe.Sizeof(argument))
	if err != nil {
		t.Skipf("the kernel takes no programs from us: %v", err)
	}
	defer unix.Close(fd)
	about := tool(t, "cat", "/proc/self/fdinfo/0") // the kernel tells of our program in the same way
	b, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		t.Fatal(err, about)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(b)) {
		key, v, _ := strings.Cut(line, ":")
		want[key] = strings.TrimSpace(v)
	}
	rows, err := newProbe().Run(t.Context(), "eBPF Programs", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(rows, func(r []string) bool {
		return r[0] == want["prog_id"] && r[1] == "socket_filter" && r[2] == "catenary_test" && r[3] == want["prog_tag"]
	}) {
		t.Errorf("our program %q is not among %q", want, rows)
	}
}

// TestAuditIsWhatTheKernelSays asks the kernel in another language.
func TestAuditIsWhatTheKernelSays(t *testing.T) {
	if _, err := newProbe().Run(t.Context(), "Audit State", nil); err != nil {
		if kind := fault.KindOf(err); kind != fault.NotFound && kind != fault.Denied {
			t.Error(err)
		}
		t.Skipf("the kernel has no audit for us: %v", err)
	}
	compareAll(t, newProbe(), []comparison{
		{"Audit State", nil, []int{0, 1}, python(`
import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)
s.send(struct.pack("IHHII", 16, 1000, 1, 1, 0))
while True:
    b = s.recv(8192)
    if struct.unpack_from("H", b, 4)[0] == 1000: break
enabled, pid = struct.unpack_from("I", b, 20)[0], struct.unpack_from("I", b, 28)[0]
print(["False", "True", "True, locked"][enabled] + "|" + (str(pid) if pid else ""))`)},
	})
}

func TestFileCapabilitiesOfPrograms(t *testing.T) {
	for data, want := range map[string]string{
		"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00": "cap_net_raw=ep", "\x00\x00\x00\x02\x00\x04\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00": "cap_net_bind_service=ip",
		"\x01\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00": "cap_chown=ep", "\x00": "", "\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00": "",
	} {
		if got, ok := parseFileCapabilities([]byte(data)); got != want || ok != (want != "") {
			t.Errorf("%x is %q, %t", data, got, ok)
		}
	}
}

func FuzzSecurityFiles(f *testing.F) {
	f.Add("a (b)\n*.* @@x:1\nPort 22\nMatch User x\n Y z\nauth [a b] c d\naction(type=\"omfwd\" target=\"x\")")
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Count(text, "\n") + 1
		if n := len(parseProfiles(text)) + len(logTargets(text)); n > 2*lines {
			t.Fatalf("%q has %d rows", text, n)
		}
		all := parseSSH(text, "")
		if kept := inForce(all); len(kept) > len(all) || len(all) > lines {
			t.Fatalf("%q has %d settings, of which %d are in force", text, len(all), len(kept))
		}
		for _, line := range logicalLines(text) {
			if r := pamRule(line); r != nil && (len(r) != 4 || r[0] == "") {
				t.Fatalf("%q is the rule %q", line, r)
			}
		}
	})
}
