package probe

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"catenary/internal/sensor"
)

const platform = sensor.Linux

func operatingSystem(at tree) (string, error) {
	text, err := osRelease(at)
	if err != nil {
		return "", err
	}
	return systemName(text)
}

func osRelease(at tree) (string, error) {
	b, err := at.read("etc/os-release")
	if absent(err) {
		b, err = at.read("usr/lib/os-release")
	}
	return string(b), err
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

func lastReboot(at tree) (string, error) {
	t, err := bootTime(at.at("proc/stat"))
	if err != nil {
		return "", err
	}
	return date(t), nil
}

// daysUp counts whole days since the start.
func daysUp(at tree) (string, error) {
	t, err := bootTime(at.at("proc/stat"))
	return strconv.Itoa(int(time.Since(t).Hours() / 24)), err
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

// memory is a fact of a field of /proc/meminfo.
func (p *Probe) memory(field string) fact {
	return p.textIn(func(at tree) (string, error) {
		bytes, err := memoryField(at, field)
		return size(bytes), err
	})
}

func memoryField(at tree, field string) (bytes uint64, err error) {
	b, err := at.read("proc/meminfo")
	if err != nil {
		return 0, err
	}
	kilobytes, ok := meminfo(string(b), field)
	if !ok {
		return 0, unknown("memory", "/proc/meminfo has no "+field)
	}
	return kilobytes << 10, nil
}

func usedMemoryPercent(at tree) (string, error) {
	total, err := memoryField(at, "MemTotal")
	if err != nil {
		return "", err
	}
	free, err := memoryField(at, "MemAvailable")
	if err != nil {
		return "", err
	}
	return wholePercent(total-min(free, total), total), nil
}

// memoryUsage tells all of /proc/meminfo that is a size and not of the address
// space.
func memoryUsage(_ context.Context, at tree) ([][]string, error) {
	b, err := at.read("proc/meminfo")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for line := range strings.Lines(string(b)) {
		name, _, _ := strings.Cut(line, ":")
		if kilobytes, ok := meminfo(line, name); ok && !strings.HasPrefix(name, "Vmalloc") && !strings.HasPrefix(name, "DirectMap") {
			rows = append(rows, []string{name, size(kilobytes << 10)})
		}
	}
	return rows, nil
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
func isVirtual(at tree) (string, error) {
	b, err := at.read("proc/cpuinfo")
	if err != nil {
		return "", err
	}
	if cpuFlag(string(b), "hypervisor") {
		return yesNo(true), nil
	}
	for _, sign := range []string{"proc/device-tree/hypervisor", "sys/hypervisor/type"} {
		if at.has(sign) {
			return yesNo(true), nil
		}
	}
	vendor, err := at.line(dmiFolder + "sys_vendor")
	if err != nil && !absent(err) {
		return "", err
	}
	product, err := at.line(dmiFolder + "product_name")
	if err != nil && !absent(err) {
		return "", err
	}
	return yesNo(virtualHardware(vendor, product)), nil
}
