package probe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

const (
	slicesMax    = 8               // levels of control groups in which services are looked for
	ticks        = 100             // per second, in which the kernel tells times to programs
	pidFileDelay = 5 * time.Second // a process file is written this late or later after its process started
	scriptMax    = 256 << 10       // bytes of a start script; longer ones are no scripts
	pathMax      = 4 << 10         // bytes of a path; a longer value of a variable is no part of one
)

// services asks the manager that is there. Nothing is started for it: systemd
// shows a service's processes as a control group of the service's name, OpenRC
// keeps links to what it started, and start scripts leave process files.
func services(_ context.Context, at tree) ([][]string, error) {
	return servicesBelow(string(at))
}

func servicesBelow(root string) ([][]string, error) {
	at := func(path string) string { return filepath.Join(root, path) }
	switch {
	case isFolder(at("run/systemd/system")): // sd_booted(3)
		for _, tree := range []string{"sys/fs/cgroup", "sys/fs/cgroup/unified", "sys/fs/cgroup/systemd"} {
			if isFolder(at(tree + "/system.slice")) {
				return unitRows(at(tree))
			}
		}
		return nil, unknown("running services", "systemd runs, but its control groups cannot be seen")
	case isFolder(at("run/openrc/started")):
		names, err := entries(at("run/openrc/started"))
		return managed(names, "OpenRC"), err
	case isFolder(at("etc/init.d")):
		names, err := scriptServices(root)
		return managed(names, "init.d"), err
	default:
		return nil, unknown("running services", "there is neither systemd nor OpenRC nor /etc/init.d")
	}
}

func managed(names []string, manager string) [][]string {
	var rows [][]string
	for _, name := range names {
		rows = append(rows, []string{name, manager})
	}
	return rows
}

func unitRows(tree string) ([][]string, error) {
	names, err := units(tree, slicesMax)
	slices.Sort(names)
	return managed(slices.Compact(names), "systemd"), err
}

// units returns the services below a control group. Slices group services and
// other slices; a service may have groups of its own, which are its matter.
func units(group string, levels int) ([]string, error) {
	names, err := entries(group)
	if err != nil || levels == 0 {
		return nil, err
	}
	var found []string
	for _, name := range names {
		path := filepath.Join(group, name)
		switch {
		case strings.HasSuffix(name, ".slice"):
			below, err := units(path, levels-1)
			if err != nil {
				return nil, err
			}
			found = append(found, below...)
		case strings.HasSuffix(name, ".service"):
			alive, err := populated(path)
			if err != nil {
				return nil, err
			}
			if alive {
				// systemd puts an underscore before names that clash with the kernel's own
				found = append(found, strings.TrimPrefix(strings.TrimSuffix(name, ".service"), "_"))
			}
		}
	}
	return found, nil
}

// populated reports whether a control group or one below it has processes.
func populated(group string) (bool, error) {
	alive := false
	err := filepath.WalkDir(group, func(path string, e fs.DirEntry, err error) error {
		if absent(err) { // the service stopped meanwhile
			return nil
		}
		if err != nil || !e.IsDir() {
			return err
		}
		members, err := readSystem(filepath.Join(path, "cgroup.procs"))
		switch {
		case absent(err) || errors.Is(err, unix.EOPNOTSUPP): // a group of threads has no list of processes
			return nil
		case err != nil:
			return err
		case len(members) > 0:
			alive = true
			return fs.SkipAll
		}
		return nil
	})
	return alive, err
}

// scriptServices returns the start scripts whose process file names a process
// that lives and is old enough to be the one that the file was written for.
func scriptServices(root string) ([]string, error) {
	scripts, err := entries(filepath.Join(root, "etc/init.d"))
	if err != nil {
		return nil, err
	}
	boot, err := bootTime(filepath.Join(root, "proc/stat"))
	if err != nil {
		return nil, err
	}
	var running []string
	for _, name := range scripts {
		path := filepath.Join(root, "etc/init.d", name)
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 || info.Size() > scriptMax {
			continue // no script
		}
		script, err := readSystem(path)
		if fault.KindOf(err) == fault.Denied {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, file := range append(pidFiles(string(script)), "/run/"+name+".pid", "/run/"+name+"/"+name+".pid", "/run/"+name+"/pid") {
			if lives(root, file, boot) {
				running = append(running, name)
				break
			}
		}
	}
	return running, nil
}

// lives reports whether a process file tells of a process that runs. A file
// left behind by a crash may name a number that was given to another process
// since; such a process started after the file was written.
func lives(root, file string, boot time.Time) bool {
	path := filepath.Join(root, file)
	b, err := readHead(path, 64)
	if err != nil {
		return false
	}
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 0 {
		return false
	}
	p, err := readProcess(filepath.Join(root, "proc"), pid)
	if err != nil {
		return false
	}
	started := boot.Add(time.Duration(p.ticks) * (time.Second / ticks))
	return !started.After(info.ModTime().Add(pidFileDelay))
}

// pidFiles returns the process files that a start script names: the values of
// its variables that end in .pid, with other plain variables of the script put
// in.
func pidFiles(script string) []string {
	values := map[string]string{}
	var files []string
	for line := range strings.Lines(script) {
		key, v, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || key == "" || strings.ContainsAny(key, " \t#$(){}\"'") {
			continue
		}
		word, _, _ := strings.Cut(v, "#")
		word, _, _ = strings.Cut(word, ";")
		whole := true
		value := os.Expand(unquote(strings.TrimSpace(word)), func(name string) string {
			known, ok := values[name]
			whole = whole && ok
			return known
		})
		if !whole || len(value) > pathMax || strings.ContainsAny(value, "`$*?") {
			continue
		}
		values[key] = value
		if strings.HasSuffix(value, ".pid") && filepath.IsAbs(value) {
			files = append(files, filepath.Clean(value))
		}
	}
	return files
}
