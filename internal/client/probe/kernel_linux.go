package probe

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

func (p *Probe) kernelFacts() map[string]fact {
	return map[string]fact{
		"Kernel Version":               text(kernelVersion),
		"Kernel Build":                 text(kernelBuild),
		"Kernel Command Line":          p.textIn(func(at tree) (string, error) { return at.line("proc/cmdline") }),
		"Kernel Modules":               p.tableIn(kernelModules),
		"Kernel Parameter":             p.withIn(1, kernelParameter),
		"Configured Kernel Parameters": p.tableIn(configuredParameters),
		"Kernel Taint":                 p.listIn(kernelTaint),
		"Installed Kernels":            p.tableIn(installedKernels),
		"Boot Mode":                    p.textIn(bootMode),
		"Init System":                  p.textIn(initSystem),
		"Default Boot Target":          p.textIn(defaultTarget),
		"Cgroup Version":               p.textIn(cgroupVersion),
		"Clock Synchronized":           text(clockSynchronized),
		"System Open Files":            p.tableIn(systemOpenFiles),
		"Resource Pressure":            p.tableIn(resourcePressure),
		"Load Average":                 p.tableIn(loadAverage),
	}
}

func kernelBuild() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(u.Version[:]), nil
}

// kernelModules reads /proc/modules: name, size, count, users or -, state,
// address. A kernel without modules has no such file.
func kernelModules(_ context.Context, at tree) ([][]string, error) {
	text, err := at.text("proc/modules")
	return parseModules(text), err
}

func parseModules(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 || !isNumber(f[1]) {
			continue
		}
		if !isNumber(f[2]) { // it cannot be unloaded
			f[2] = ""
		}
		rows = append(rows, []string{f[0], f[1], f[2], strings.Join(listOf(strings.TrimSuffix(strings.Trim(f[3], "-"), ",")), ", ")})
	}
	return rows
}

// parameterPath is where the kernel shows a parameter. Names have dots or
// slashes between their parts; a part that has dots itself wants slashes
// around it.
func parameterPath(name string) (string, error) {
	if !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, ".", "/")
	}
	path := filepath.Join("proc/sys", name)
	if name == "" || !strings.HasPrefix(path, "proc/sys/") {
		return "", fault.New(fault.Invalid, "%q is no parameter of the kernel", name)
	}
	return path, nil
}

// readParameter reads a parameter as sysctl prints it: its words with single
// blanks between.
func readParameter(at tree, name string) (string, error) {
	path, err := parameterPath(name)
	if err != nil {
		return "", err
	}
	s, err := at.line(path)
	return strings.Join(strings.Fields(s), " "), err
}

func kernelParameter(_ context.Context, at tree, params []string) ([][]string, error) {
	value, err := readParameter(at, strings.TrimSpace(params[0]))
	if err != nil {
		return nil, err
	}
	return [][]string{{value}}, nil
}

// configuredParameters reads the files of sysctl.d(5): of files with one name
// the first folder's counts, and they count in the order of their names.
func configuredParameters(_ context.Context, at tree) ([][]string, error) {
	files, err := confFiles(at, ".conf", "/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
	if err != nil {
		return nil, err
	}
	type set struct{ value, file string }
	last := map[string]set{}
	for _, file := range append(files, "/etc/sysctl.conf") {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		for _, s := range iniSettings(text) {
			name := strings.TrimPrefix(s.key, "-") // a failure is no matter
			if s.value != "" && !strings.ContainsAny(name, "*? ") {
				last[strings.ReplaceAll(name, "/", ".")] = set{strings.Join(strings.Fields(s.value), " "), file}
			}
		}
	}
	var rows [][]string
	for name, s := range last {
		running, err := readParameter(at, name)
		if err != nil {
			running = "" // this kernel lacks it
		}
		rows = append(rows, []string{name, s.value, running, s.file})
	}
	return uniqueRows(rows), nil
}

// confFiles lists the files of several folders in which the first folder's file
// replaces those of the same name, in the order of their names. A file that is
// a link to /dev/null replaces others by nothing.
func confFiles(at tree, extension string, folders ...string) ([]string, error) {
	paths := map[string]string{}
	for _, folder := range folders {
		names, err := at.names(folder)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if _, taken := paths[name]; !taken && strings.HasSuffix(name, extension) {
				paths[name] = filepath.Join(folder, name)
			}
		}
	}
	var names []string
	for name, path := range paths {
		if target, err := os.Readlink(at.at(path)); err != nil || target != os.DevNull {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = paths[name]
	}
	return names, nil
}

// taints are the reasons for which the kernel calls itself tainted, by their
// bits (the kernel's tainted-kernels document).
var taints = []string{
	"proprietary module", "module was loaded by force", "kernel runs on a system out of specification", "module was unloaded by force",
	"machine check", "bad page", "taint requested by a program", "kernel has died recently", "ACPI table replaced by user",
	"kernel warning", "staging driver", "workaround for firmware", "module from outside the kernel's tree", "unsigned module",
	"soft lockup", "kernel was live patched", "auxiliary taint", "structure layout was randomized", "test in the kernel", "memory writable and executable",
}

func kernelTaint(_ context.Context, at tree) ([]string, error) {
	s, err := at.line("proc/sys/kernel/tainted")
	if err != nil {
		return nil, err
	}
	return taintNames(s)
}

func taintNames(s string) ([]string, error) {
	bits, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return nil, unknown("kernel's taint", "it says "+s)
	}
	if bits == 0 {
		return []string{"Not Tainted"}, nil
	}
	var names []string
	for i := range 64 {
		if bits&(1<<i) == 0 {
			continue
		}
		name := "bit " + strconv.Itoa(i)
		if i < len(taints) {
			name = taints[i]
		}
		names = append(names, name)
	}
	return names, nil
}

// kernels are the versions that lie in the boot folder.
func kernels(at tree) ([]string, error) {
	var versions []string
	for _, folder := range []string{"boot", "usr/lib/modules"} {
		names, err := at.names(folder)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			switch version, isImage := strings.CutPrefix(name, "vmlinuz-"); {
			case folder == "boot" && isImage:
				versions = append(versions, version)
			case folder != "boot" && at.has(filepath.Join(folder, name, "vmlinuz")): // where images lie with their modules
				versions = append(versions, name)
			}
		}
	}
	slices.Sort(versions)
	return slices.Compact(versions), nil
}

func installedKernels(_ context.Context, at tree) ([][]string, error) {
	versions, err := kernels(at)
	if err != nil {
		return nil, err
	}
	running, err := runningKernel(at)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, v := range versions {
		rows = append(rows, []string{v, yesNo(v == running)})
	}
	return rows, nil
}

func runningKernel(at tree) (string, error) { return at.line("proc/sys/kernel/osrelease") }

func bootMode(at tree) (string, error) {
	if isFolder(at.at("sys/firmware/efi")) {
		return "UEFI", nil
	}
	if !isFolder(at.at("sys/firmware")) {
		return "", unknown("boot mode", "the kernel does not show its firmware")
	}
	return "BIOS", nil
}

// initSystem names the first program. Several systems call theirs init.
func initSystem(at tree) (string, error) {
	name, err := at.line("proc/1/comm")
	if err != nil {
		return "", err
	}
	switch {
	case name == "systemd" || isFolder(at.at("run/systemd/system")): // sd_booted(3)
		return "systemd", nil
	case isFolder(at.at("run/openrc")):
		return "OpenRC", nil
	case isFolder(at.at("run/runit")):
		return "runit", nil
	}
	return name, nil
}

func defaultTarget(at tree) (string, error) {
	for _, folder := range []string{"etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"} {
		path := filepath.Join(folder, "default.target")
		if target := at.link(path); target != "" {
			return target, nil
		}
		if at.has(path) {
			return "default.target", nil
		}
	}
	return "", unknown("default boot target", "there is no systemd")
}

func cgroupVersion(at tree) (string, error) {
	b, err := at.read("proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	var one, two bool
	for _, m := range mounts(string(b)) {
		one = one || m.kind == "cgroup"
		two = two || m.kind == "cgroup2"
	}
	switch {
	case one && two:
		return "hybrid", nil
	case two:
		return "v2", nil
	case one:
		return "v1", nil
	}
	return "", unknown("version of control groups", "none are mounted")
}

// clockSynchronized asks the kernel, which time programs tell when they have
// set its clock.
func clockSynchronized() (string, error) {
	const unsynchronized = 0x0040 // STA_UNSYNC of timex.h
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return "", err
	}
	return yesNo(t.Status&unsynchronized == 0), nil
}

func systemOpenFiles(_ context.Context, at tree) ([][]string, error) {
	s, err := at.line("proc/sys/fs/file-nr") // open, open but unused, limit
	f := strings.Fields(s)
	if err == nil && len(f) != 3 {
		err = unknown("number of open files", "the kernel does not tell it")
	}
	if err != nil {
		return nil, err
	}
	return [][]string{{f[0], f[2]}}, nil
}

func resourcePressure(_ context.Context, at tree) ([][]string, error) {
	names, err := at.names("proc/pressure")
	if err != nil {
		return nil, err
	}
	if names == nil {
		return nil, unknown("pressure on resources", "the kernel does not measure it")
	}
	var rows [][]string
	for _, name := range names {
		text, err := at.text("proc/pressure/" + name)
		if err != nil {
			return nil, err
		}
		rows = append(rows, parsePressure(name, text)...)
	}
	return rows, nil
}

// parsePressure reads lines as "some avg10=0.00 avg60=0.00 avg300=0.00 total=0".
func parsePressure(name, text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		row := []string{name, f[0]}
		for i, key := range []string{"avg10=", "avg60=", "avg300="} {
			v, ok := strings.CutPrefix(f[i+1], key)
			if _, err := strconv.ParseFloat(v, 64); ok && err == nil {
				row = append(row, v)
			}
		}
		if len(row) == 5 {
			rows = append(rows, row)
		}
	}
	return rows
}

func loadAverage(_ context.Context, at tree) ([][]string, error) {
	s, err := at.line("proc/loadavg")
	f := strings.Fields(s)
	if err == nil && len(f) < 3 {
		err = unknown("load", "the kernel does not tell it")
	}
	if err != nil {
		return nil, err
	}
	return [][]string{f[:3]}, nil
}

// installDate takes the birth of the root folder, or of the one that is made
// with a file system, for that of the system.
func installDate(at tree) (string, error) {
	for _, folder := range []string{"/", "/lost+found"} {
		var st unix.Statx_t
		err := unix.Statx(unix.AT_FDCWD, at.at(folder), 0, unix.STATX_BTIME, &st)
		if err != nil && !absent(err) {
			return "", err
		}
		if err == nil && st.Mask&unix.STATX_BTIME != 0 && st.Btime.Sec > 0 {
			return date(time.Unix(st.Btime.Sec, 0)), nil
		}
	}
	return "", unknown("date of the installation", "the root file system does not tell its birth")
}
