package probe

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"catenary/internal/sensor"
)

const platform = sensor.Linux

// kernelFileMax bounds how much of a file below /proc, /sys or /etc is read,
// in bytes. The largest are the tables of sockets, 150 bytes a socket.
const kernelFileMax = 64 << 20

// readSystem reads one of the system's own files whole.
func readSystem(path string) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(f, kernelFileMax+1)); err != nil {
		return nil, err
	}
	if b.Len() > kernelFileMax {
		return nil, fmt.Errorf("%s: %w", path, tooLarge(kernelFileMax))
	}
	return b.Bytes(), nil
}

// readLine reads a file of one line, as /sys has for each of its facts.
func readLine(path string) (string, error) {
	b, err := readSystem(path)
	return strings.TrimRight(string(b), "\x00\r\n\t "), err
}

func operatingSystem() (string, error) {
	b, err := readSystem("/etc/os-release")
	if absent(err) {
		b, err = readSystem("/usr/lib/os-release")
	}
	if err != nil {
		return "", err
	}
	return systemName(string(b))
}

// systemName reads the name for people from an os-release file (freedesktop's
// os-release specification).
func systemName(release string) (string, error) {
	fields := assignments(release)
	if name := fields["PRETTY_NAME"]; name != "" {
		return name, nil
	}
	if name := strings.TrimSpace(fields["NAME"] + " " + fields["VERSION"]); name != "" {
		return name, nil
	}
	return "", unknown("operating system", "os-release has no name")
}

// assignments reads lines of the form KEY=value, where the value may be quoted
// as in a shell. Lines of other forms are passed over, the last of several
// with one key counts.
func assignments(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		key, v, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && key != "" && !strings.HasPrefix(key, "#") && !strings.ContainsAny(key, " \t") {
			fields[key] = unquote(v)
		}
	}
	return fields
}

// unquote takes a shell's quotes and backslashes off a single word.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func kernelVersion() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("the kernel version: %w", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

func cpuArchitecture() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("the architecture: %w", err)
	}
	return unix.ByteSliceToString(u.Machine[:]), nil
}

func uptime() (string, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return "", fmt.Errorf("the uptime: %w", err)
	}
	return span(time.Duration(info.Uptime) * time.Second), nil
}

func lastReboot() (string, error) {
	t, err := bootTime("/proc/stat")
	if err != nil {
		return "", err
	}
	return date(t), nil
}

// bootTime reads when the system was started from the kernel's statistics,
// whose answer, unlike the present time less the uptime, stays the same.
func bootTime(stat string) (time.Time, error) {
	b, err := readSystem(stat)
	if err != nil {
		return time.Time{}, err
	}
	for line := range strings.Lines(string(b)) {
		if seconds, ok := strings.CutPrefix(line, "btime "); ok {
			s, err := strconv.ParseInt(strings.TrimSpace(seconds), 10, 64)
			if err != nil {
				return time.Time{}, fmt.Errorf("%s: %w", stat, err)
			}
			return time.Unix(s, 0), nil
		}
	}
	return time.Time{}, unknown("time of the last reboot", stat+" does not tell it")
}

func totalMemory() (string, error) { return memory("MemTotal") }
func freeMemory() (string, error)  { return memory("MemAvailable") }

func memory(field string) (string, error) {
	b, err := readSystem("/proc/meminfo")
	if err != nil {
		return "", err
	}
	kilobytes, ok := meminfo(string(b), field)
	if !ok {
		return "", unknown("memory", "/proc/meminfo has no "+field)
	}
	return size(kilobytes << 10), nil
}

// meminfo finds a field of /proc/meminfo, in units of 1,024 bytes.
func meminfo(text, field string) (kilobytes uint64, ok bool) {
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		if words := strings.Fields(rest); name == field && len(words) == 2 && words[1] == "kB" {
			n, err := strconv.ParseUint(words[0], 10, 54)
			return n, err == nil
		}
	}
	return 0, false
}

// isVirtual asks the processor first: a hypervisor shows itself to its guests
// by a feature bit on x86 and by a device tree node elsewhere.
func isVirtual() (string, error) {
	b, err := readSystem("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	if cpuFlag(string(b), "hypervisor") {
		return yesNo(true), nil
	}
	for _, sign := range []string{"/proc/device-tree/hypervisor", "/sys/hypervisor/type"} {
		if _, err := os.Stat(sign); err == nil {
			return yesNo(true), nil
		}
	}
	vendor, err := readLine(dmi + "sys_vendor")
	if err != nil && !absent(err) {
		return "", err
	}
	product, err := readLine(dmi + "product_name")
	if err != nil && !absent(err) {
		return "", err
	}
	return yesNo(virtualHardware(vendor, product)), nil
}
