package probe

import (
	"context"
	"encoding/binary"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

func (p *Probe) securityFacts() map[string]fact {
	return map[string]fact{
		"SELinux State":             p.tableIn(selinuxState),
		"AppArmor State":            p.textIn(appArmorState),
		"AppArmor Profiles":         p.tableIn(appArmorProfiles),
		"Security Modules":          p.listIn(securityModules),
		"Kernel Lockdown":           p.textIn(kernelLockdown),
		"CPU Vulnerabilities":       p.tableIn(cpuVulnerabilities),
		"Kernel Hardening":          p.tableIn(kernelHardening),
		"Unsigned Kernel Modules":   p.tableIn(taintingModules),
		"Blocked Kernel Modules":    p.tableIn(blockedModules),
		"Audit State":               p.tableIn(auditState),
		"Audit Rules":               p.tableIn(auditRules),
		"eBPF Programs":             p.tableIn(bpfPrograms),
		"Login Banner":              p.tableIn(loginBanner),
		"Log Forwarding":            p.tableIn(logForwarding),
		"Boot Loader Password":      p.tableIn(bootPassword),
		"FIPS Mode":                 p.textIn(fipsMode),
		"Trusted Root Certificates": p.tableIn(trustedRoots),
		"File Capabilities":         ofPath(fileCapabilities),
		"Immutable Files":           ofPath(immutableFiles),
	}
}

func selinuxState(_ context.Context, at tree) ([][]string, error) {
	mode := "Disabled"
	switch enforce := at.attribute("sys/fs/selinux/enforce"); enforce {
	case "1":
		mode = "Enforcing"
	case "0":
		mode = "Permissive"
	}
	text, err := at.text("etc/selinux/config")
	settings := assignments(text)
	return [][]string{{mode, settings["SELINUX"], settings["SELINUXTYPE"]}}, err
}

func appArmorState(at tree) (string, error) {
	if at.attribute("sys/module/apparmor/parameters/enabled") == "Y" {
		return "Enabled", nil
	}
	return "Disabled", nil
}

// appArmorProfiles reads lines as "/usr/bin/man (enforce)".
func appArmorProfiles(_ context.Context, at tree) ([][]string, error) {
	b, err := at.read("sys/kernel/security/apparmor/profiles")
	if absent(err) {
		return nil, nil
	}
	return parseProfiles(string(b)), err
}

func parseProfiles(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		i := strings.LastIndex(line, " (")
		if i > 0 && strings.HasSuffix(line, ")") {
			rows = append(rows, []string{line[:i], line[i+2 : len(line)-1]})
		}
	}
	return rows
}

func securityModules(_ context.Context, at tree) ([]string, error) {
	s, err := at.line("sys/kernel/security/lsm")
	if absent(err) {
		return nil, unknown("list of security modules", "the kernel does not show it")
	}
	return listOf(s), err
}

// kernelLockdown reads "none [integrity] confidentiality", in which brackets
// mark the level that holds.
func kernelLockdown(at tree) (string, error) {
	s, err := at.line("sys/kernel/security/lockdown")
	if absent(err) {
		return "", unknown("lockdown of the kernel", "the kernel does not show it")
	}
	_, rest, _ := strings.Cut(s, "[")
	level, _, ok := strings.Cut(rest, "]")
	if err == nil && !ok {
		err = unknown("lockdown of the kernel", "it says "+s)
	}
	return level, err
}

func cpuVulnerabilities(_ context.Context, at tree) ([][]string, error) {
	const folder = "sys/devices/system/cpu/vulnerabilities"
	names, err := at.names(folder)
	if err != nil {
		return nil, err
	}
	if names == nil {
		return nil, unknown("list of the processors' faults", "the kernel does not show it")
	}
	var rows [][]string
	for _, name := range names {
		rows = append(rows, []string{name, at.attribute(folder + "/" + name)})
	}
	return rows, nil
}

// hardening are parameters by which attacks are made harder.
var hardening = []string{
	"kernel.randomize_va_space", "kernel.kptr_restrict", "kernel.dmesg_restrict", "kernel.perf_event_paranoid", "kernel.yama.ptrace_scope",
	"kernel.unprivileged_bpf_disabled", "kernel.kexec_load_disabled", "kernel.modules_disabled", "kernel.sysrq", "kernel.core_pattern",
	"kernel.unprivileged_userns_clone", "user.max_user_namespaces", "vm.mmap_min_addr", "vm.unprivileged_userfaultfd", "dev.tty.ldisc_autoload",
	"fs.suid_dumpable", "fs.protected_hardlinks", "fs.protected_symlinks", "fs.protected_fifos", "fs.protected_regular",
	"net.core.bpf_jit_harden", "net.ipv4.tcp_syncookies", "net.ipv4.conf.all.rp_filter", "net.ipv4.conf.all.accept_redirects",
	"net.ipv4.conf.all.send_redirects", "net.ipv4.conf.all.accept_source_route", "net.ipv4.conf.all.log_martians",
	"net.ipv4.icmp_echo_ignore_broadcasts", "net.ipv6.conf.all.accept_redirects", "net.ipv6.conf.all.accept_source_route", "net.ipv6.conf.all.accept_ra",
}

func kernelHardening(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, name := range hardening {
		value, err := readParameter(at, name)
		if err != nil {
			continue // this kernel lacks it, or tells it to root alone
		}
		rows = append(rows, []string{name, value})
	}
	return rows, nil
}

// moduleTaints are the letters by which a module tells how it taints the
// kernel.
var moduleTaints = map[rune]string{
	'P': "proprietary", 'O': "out of tree", 'E': "unsigned", 'C': "staging", 'F': "forced", 'K': "live patch", 'N': "test", 'X': "auxiliary",
}

func taintingModules(_ context.Context, at tree) ([][]string, error) {
	files, err := at.glob("/sys/module/*/taint")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, file := range files {
		var reasons []string
		for _, letter := range at.attribute(file) {
			if reason := moduleTaints[letter]; reason != "" {
				reasons = append(reasons, reason)
			}
		}
		if reasons != nil {
			rows = append(rows, []string{path.Base(path.Dir(file)), strings.Join(reasons, ", ")})
		}
	}
	return rows, nil
}

// blockedModules reads modprobe.d(5): a module on the list is not loaded by
// itself, one whose installation is /bin/false not at all.
func blockedModules(_ context.Context, at tree) ([][]string, error) {
	files, err := confFiles(at, ".conf", "/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, file := range files {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		for _, line := range logicalLines(text) {
			f := strings.Fields(line)
			switch {
			case len(f) >= 2 && f[0] == "blacklist":
				rows = append(rows, []string{f[1], "not by itself", file})
			case len(f) >= 3 && f[0] == "install" && slices.Contains([]string{"false", "true"}, path.Base(f[2])):
				rows = append(rows, []string{f[1], "not at all", file})
			}
		}
	}
	return uniqueRows(rows), nil
}

// Layout of what the kernel's audit says of itself (linux/audit.h, struct
// audit_status), in bytes.
const (
	auditGet     = 1000
	auditEnabled = 4
	auditPID     = 12
	auditLost    = 24
	auditLeast   = 28
)

// auditState asks the kernel and counts the rules in files.
func auditState(_ context.Context, at tree) ([][]string, error) {
	messages, err := netlinkAsk(unix.NETLINK_AUDIT, auditGet, 0, nil)
	if err != nil {
		return nil, err
	}
	rules, err := auditLines(at)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if row := parseAudit(m); row != nil {
			return [][]string{append(row, strconv.Itoa(len(rules)))}, nil
		}
	}
	return nil, unknown("state of the audit", "the kernel does not tell it")
}

func parseAudit(m netlinkMessage) []string {
	if m.kind != auditGet || len(m.body) < auditLeast {
		return nil
	}
	enabled := map[uint32]string{0: "False", 1: "True", 2: "True, locked"}[netlinkNumber(m.body[auditEnabled:])]
	pid := ""
	if n := netlinkNumber(m.body[auditPID:]); n != 0 {
		pid = strconv.FormatUint(uint64(n), 10)
	}
	return []string{enabled, pid, strconv.FormatUint(uint64(netlinkNumber(m.body[auditLost:])), 10)}
}

// auditLines are the rules that files set up, with their files.
func auditLines(at tree) ([][]string, error) {
	files, err := at.glob("/etc/audit/rules.d/*.rules")
	if err != nil {
		return nil, err
	}
	if files == nil { // those above are put together to this one
		files = []string{"/etc/audit/audit.rules"}
	}
	var rows [][]string
	for _, file := range files {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			if line = strings.Join(strings.Fields(line), " "); strings.HasPrefix(line, "-a ") || strings.HasPrefix(line, "-w ") || strings.HasPrefix(line, "-A ") {
				rows = append(rows, []string{line, file})
			}
		}
	}
	return rows, nil
}

func auditRules(_ context.Context, at tree) ([][]string, error) { return auditLines(at) }

func loginBanner(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, file := range []string{"/etc/issue", "/etc/issue.net", "/etc/motd"} {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		if text = strings.TrimSpace(text); text != "" {
			rows = append(rows, []string{file, text})
		}
	}
	return rows, nil
}

// logForwarding reads where rsyslog sends to: "*.* @@host:514" and actions of
// omfwd, and systemd's own upload.
func logForwarding(_ context.Context, at tree) ([][]string, error) {
	files, err := at.glob("/etc/rsyslog.d/*.conf")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, file := range append(files, "/etc/rsyslog.conf", "/etc/syslog.conf") {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		for _, target := range logTargets(text) {
			rows = append(rows, append(target, file))
		}
	}
	const upload = "/etc/systemd/journal-upload.conf"
	text, err := at.text(upload)
	for _, s := range iniSettings(text) {
		if s.section == "Upload" && s.key == "URL" && s.value != "" {
			rows = append(rows, []string{"*", withoutUser(s.value), "HTTP", upload})
		}
	}
	return rows, err
}

func logTargets(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if f := strings.Fields(line); len(f) >= 2 && strings.HasPrefix(f[1], "@") {
			target, protocol := strings.TrimLeft(f[1], "@"), "UDP"
			if strings.HasPrefix(f[1], "@@") {
				protocol = "TCP"
			}
			if strings.HasPrefix(target, "(") { // options of the connection
				_, target, _ = strings.Cut(target, ")")
			}
			rows = append(rows, []string{f[0], target, protocol})
			continue
		}
		if i := strings.Index(line, "action("); i >= 0 && strings.Contains(line, `"omfwd"`) {
			target, port := rainerValue(line, "target"), rainerValue(line, "port")
			if port != "" {
				target += ":" + port
			}
			protocol := strings.ToUpper(rainerValue(line, "protocol"))
			if protocol == "" {
				protocol = "UDP"
			}
			selector := strings.TrimSpace(line[:i])
			rows = append(rows, []string{selector, target, protocol})
		}
	}
	return rows
}

// rainerValue is the value of a parameter in rsyslog's newer settings:
// name="value".
func rainerValue(line, name string) string {
	_, rest, ok := strings.Cut(strings.ToLower(line), " "+name+`="`)
	if !ok {
		if _, rest, ok = strings.Cut(strings.ToLower(line), "("+name+`="`); !ok {
			return ""
		}
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// bootPassword looks for an account in the settings of GRUB.
func bootPassword(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, file := range []string{"/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/efi/EFI/redhat/grub.cfg"} {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue
		}
		user, err := at.text(path.Dir(file) + "/user.cfg") // into which some tools put the password
		if err != nil {
			return nil, err
		}
		set := false
		for line := range strings.Lines(text + "\n" + user) {
			f := strings.Fields(line)
			set = set || len(f) > 1 && (f[0] == "password" || f[0] == "password_pbkdf2") || strings.HasPrefix(line, "GRUB2_PASSWORD=")
		}
		rows = append(rows, []string{"GRUB", yesNo(set)})
	}
	if at.has("boot/loader/loader.conf") || at.has("boot/efi/loader/loader.conf") {
		rows = append(rows, []string{"systemd-boot", yesNo(false)}) // it has none to ask for
	}
	return uniqueRows(rows), nil
}

func fipsMode(at tree) (string, error) {
	s, err := at.line("proc/sys/crypto/fips_enabled")
	if absent(err) { // the kernel cannot
		return yesNo(false), nil
	}
	return yesNo(s == "1"), err
}

func fileCapabilities(ctx context.Context, folder string) ([][]string, error) {
	return searchRows(ctx, folder, func(path string, regular bool) []string {
		if !regular {
			return nil
		}
		b := make([]byte, 64)
		n, err := unix.Lgetxattr(path, "security.capability", b)
		if err != nil {
			return nil // most have none
		}
		text, ok := parseFileCapabilities(b[:n])
		if !ok {
			return nil
		}
		return []string{path, text}
	})
}

// immutableFiles reads the attributes that lsattr shows as i and a.
func immutableFiles(ctx context.Context, folder string) ([][]string, error) {
	const immutable, appendOnly = 0x10, 0x20 // FS_IMMUTABLE_FL, FS_APPEND_FL
	return searchRows(ctx, folder, func(path string, regular bool) []string {
		if !regular && !isFolder(path) {
			return nil // opening it could wait
		}
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err != nil {
			return nil
		}
		defer unix.Close(fd)
		flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
		if err != nil || flags&(immutable|appendOnly) == 0 {
			return nil
		}
		var names []string
		if flags&immutable != 0 {
			names = append(names, "Immutable")
		}
		if flags&appendOnly != 0 {
			names = append(names, "Append Only")
		}
		return []string{path, strings.Join(names, ", ")}
	})
}

// searchRows makes rows of what lies in a folder and below it.
func searchRows(ctx context.Context, folder string, row func(path string, regular bool) []string) ([][]string, error) {
	var rows [][]string
	_, err := walk(ctx, folder, walkMax, func(path string, e os.DirEntry) error {
		if e.Type()&os.ModeSymlink != 0 {
			return nil
		}
		if r := row(path, e.Type().IsRegular()); r != nil {
			rows = append(rows, r)
		}
		return enough(len(rows), searchMax)
	})
	return rows, err
}

// parseFileCapabilities reads the rights of a program (capabilities(7), struct
// vfs_cap_data): a head with the version and whether they are in effect at
// once, then permitted and inheritable ones, the lower 32 bits of each first.
func parseFileCapabilities(b []byte) (string, bool) {
	const head, second, effective = 4, 12, 1
	if len(b) < second {
		return "", false
	}
	permitted, inheritable := uint64(binary.LittleEndian.Uint32(b[head:])), uint64(binary.LittleEndian.Uint32(b[head+4:]))
	if len(b) >= second+8 {
		permitted |= uint64(binary.LittleEndian.Uint32(b[second:])) << 32
		inheritable |= uint64(binary.LittleEndian.Uint32(b[second+4:])) << 32
	}
	marks := "p"
	if b[0]&effective != 0 {
		marks = "ep"
	}
	if inheritable == permitted {
		marks = strings.Replace(marks, "p", "ip", 1)
	}
	if permitted|inheritable == 0 {
		return "", false
	}
	return capabilities(permitted|inheritable) + "=" + marks, true
}

// trustedRoots reads the list of authorities that the distribution puts
// together for all programs.
func trustedRoots(_ context.Context, at tree) ([][]string, error) {
	for _, file := range []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/ssl/cert.pem",
	} {
		b, err := smallFile(at.at(file), certificatesMax)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var rows [][]string
		for _, c := range parseCertificates(b) {
			rows = append(rows, []string{c.subject, date(c.until), c.sum})
		}
		return uniqueRows(rows), nil
	}
	return nil, fault.New(fault.NotFound, "the system has no list of authorities")
}
