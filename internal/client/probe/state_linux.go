package probe

import (
	"context"
	"slices"
	"strings"

	"catenary/internal/value"
)

func (p *Probe) stateFacts() map[string]fact {
	return map[string]fact{
		"Operating System":      p.textIn(operatingSystem),
		"OS Version":            p.textIn(func(at tree) (string, error) { return release(at, "VERSION_ID") }),
		"OS Distribution":       p.textIn(func(at tree) (string, error) { return release(at, "ID") }),
		"OS Codename":           p.textIn(func(at tree) (string, error) { return release(at, "VERSION_CODENAME") }),
		"OS Install Date":       p.textIn(installDate),
		"Uptime":                text(uptime),
		"Last Reboot":           p.textIn(lastReboot),
		"Domain Name":           p.textIn(domainName),
		"Machine ID":            p.textIn(machineID),
		"System Locale":         p.textIn(systemLocale),
		"Time Servers":          p.listIn(timeServers),
		"Reboot Required":       p.textIn(rebootRequired),
		"Crash Dumps":           p.tableIn(crashDumps),
		"Environment Variables": p.tableIn(environmentVariables),
		"Reboot History":        p.tableIn(rebootHistory),
	}
}

// release is a field of os-release.
func release(at tree, field string) (string, error) {
	text, err := osRelease(at)
	if err != nil {
		return "", err
	}
	if v := assignments(text)[field]; v != "" {
		return v, nil
	}
	return "", unknown("distribution's "+field, "os-release does not tell it")
}

// domainName is what follows the first dot of the full name that the machine's
// own list of hosts has for its name, else the first domain of its resolver.
func domainName(at tree) (string, error) {
	host, err := at.line("proc/sys/kernel/hostname")
	if err != nil {
		return "", err
	}
	if _, domain, ok := strings.Cut(host, "."); ok {
		return domain, nil
	}
	text, err := at.text("etc/hosts")
	if err != nil {
		return "", err
	}
	for _, row := range parseHosts(text) {
		if domain, ok := strings.CutPrefix(row[1], host+"."); ok && domain != "localdomain" {
			return domain, nil
		}
	}
	text, err = at.text("etc/resolv.conf")
	if err != nil {
		return "", err
	}
	if domains := searchDomains(text); len(domains) > 0 {
		return domains[0], nil
	}
	return "", unknown("domain", "neither the host's name nor its resolver tells it")
}

func machineID(at tree) (string, error) {
	for _, path := range []string{"etc/machine-id", "var/lib/dbus/machine-id"} {
		if id := at.attribute(path); id != "" && id != "uninitialized" {
			return id, nil
		}
	}
	return "", unknown("machine ID", "the system has made none")
}

func systemLocale(at tree) (string, error) {
	for _, path := range []string{"etc/locale.conf", "etc/default/locale", "etc/sysconfig/i18n"} {
		text, err := at.text(path)
		if err != nil {
			return "", err
		}
		fields := assignments(text)
		for _, key := range []string{"LC_ALL", "LANG"} {
			if fields[key] != "" {
				return fields[key], nil
			}
		}
	}
	return "C", nil // what the C library takes without a setting
}

// timeServers reads the settings of the usual programs for time. Those of
// systemd's stand in sections, the others' are lines of server, pool or peer.
func timeServers(_ context.Context, at tree) ([]string, error) {
	var servers []string
	files, err := confFiles(at, ".conf", "/etc/systemd/timesyncd.conf.d", "/run/systemd/timesyncd.conf.d", "/usr/lib/systemd/timesyncd.conf.d")
	if err != nil {
		return nil, err
	}
	for _, file := range append(files, "/etc/systemd/timesyncd.conf") {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		for _, s := range iniSettings(text) {
			if s.section == "Time" && (s.key == "NTP" || s.key == "FallbackNTP") {
				servers = append(servers, strings.Fields(s.value)...)
			}
		}
	}
	more, err := at.glob("/etc/chrony/conf.d/*.conf")
	if err != nil {
		return nil, err
	}
	sources, err := at.glob("/etc/chrony/sources.d/*.sources")
	if err != nil {
		return nil, err
	}
	others := slices.Concat(more, sources, []string{
		"/etc/chrony/chrony.conf", "/etc/chrony.conf", "/etc/ntp.conf", "/etc/ntpsec/ntp.conf", "/etc/openntpd/ntpd.conf", "/etc/ntpd.conf",
	})
	for _, file := range others {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if len(f) >= 2 && slices.Contains([]string{"server", "servers", "pool", "peer"}, f[0]) {
				servers = append(servers, f[1])
			}
		}
	}
	return servers, nil
}

// rebootRequired looks for the mark that Debian's packages leave, and for a
// newer kernel than the one that runs.
func rebootRequired(at tree) (string, error) {
	for _, mark := range []string{"run/reboot-required", "var/run/reboot-required", "run/reboot-needed"} {
		if at.has(mark) {
			return yesNo(true), nil
		}
	}
	versions, err := kernels(at)
	if err != nil {
		return "", err
	}
	running, err := runningKernel(at)
	if err != nil {
		return "", err
	}
	if !slices.Contains(versions, running) { // the kernel is not this system's matter, as in a container
		return yesNo(false), nil
	}
	newer := slices.ContainsFunc(versions, func(v string) bool {
		order, ok := value.Compare(value.Version, v, running)
		return ok && order > 0 && kernelFlavour(v) == kernelFlavour(running)
	})
	return yesNo(newer), nil
}

// kernelFlavour is what is left of a kernel's version without its numbers:
// amd64, cloud-amd64, generic. Kernels of another flavour are no newer ones.
func kernelFlavour(version string) string {
	var words []string
	for word := range strings.FieldsFuncSeq(version, func(r rune) bool { return r == '-' || r == '+' }) {
		numbered := word[0] >= '0' && word[0] <= '9' || strings.HasPrefix(word, "rc") || strings.HasPrefix(word, "bpo")
		if !numbered {
			words = append(words, word)
		}
	}
	return strings.Join(words, "-")
}

// crashFolders are where crashes leave their traces.
var crashFolders = []string{"/var/crash", "/var/lib/systemd/coredump", "/var/spool/abrt", "/var/lib/kdump", "/sys/fs/pstore", "/var/lib/systemd/pstore"}

func crashDumps(ctx context.Context, at tree) ([][]string, error) {
	return crashesIn(ctx, at, crashFolders, "*", "*/*")
}

// environmentVariables reads the files whose lines set variables for everybody.
func environmentVariables(_ context.Context, at tree) ([][]string, error) {
	files, err := confFiles(at, ".conf", "/etc/environment.d", "/run/environment.d", "/usr/lib/environment.d")
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, file := range append(files, "/etc/environment") {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		plain := strings.ReplaceAll("\n"+text, "\nexport ", "\n") // as in a shell, which some write there
		for key, v := range assignments(plain) {
			values[key] = v
		}
	}
	var rows [][]string
	for key, v := range values {
		rows = append(rows, []string{key, v})
	}
	return uniqueRows(rows), nil
}
