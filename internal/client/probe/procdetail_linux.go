package probe

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

const (
	filesMax   = 10_000       // open files that are told of the processes of a name
	mapsMax    = 16 << 20     // bytes of the list of what a process has in its memory
	environMax = 256 << 10    // bytes of a process's environment
	statusMax  = 16 << 10     // bytes of /proc/PID/status and its like
	deleted    = " (deleted)" // the kernel puts it behind the path of a file that was removed
	memoryFile = "/memfd:"    // and this before files that never had a path
)

func (p *Probe) processDetailFacts() map[string]fact {
	return map[string]fact{
		"Process States":                table(p.processStates),
		"Thread Count":                  textOf(p.threadCount),
		"Zombie Processes":              table(p.zombies),
		"Blocked Processes":             table(p.blocked),
		"Open File Counts":              table(p.openFileCounts),
		"Open Files":                    with(1, p.openFiles),
		"Loaded Libraries":              with(1, p.loadedLibraries),
		"Deleted Open Files":            table(p.deletedOpenFiles),
		"Processes of Deleted Programs": table(p.deletedPrograms),
		"Deleted Libraries Used":        table(p.deletedLibraries),
		"Process Environment":           with(1, p.processEnvironment),
		"Process Capabilities":          table(p.processCapabilities),
		"Shared Memory Segments":        p.tableIn(sharedMemory),
		"Preloaded Libraries":           table(p.preloaded),
		"Container Processes":           table(p.containerProcesses),
	}
}

// procFile is the path of one of the kernel's files about a process.
func (p *Probe) procFile(pid int, name string) string {
	return p.root.at("proc/" + strconv.Itoa(pid) + "/" + name)
}

// unseen reports whether err says that a process ended while it was looked at,
// or that we may not look.
func unseen(err error) bool {
	return gone(err) || errors.Is(err, os.ErrPermission) || fault.KindOf(err) == fault.Denied
}

func (p *Probe) processStates(ctx context.Context) ([][]string, error) {
	all, err := p.programs(ctx)
	counts := map[string]int{}
	for _, proc := range all {
		counts[proc.state]++
	}
	return countRows(counts), err
}

func (p *Probe) threadCount(ctx context.Context) (string, error) {
	all, err := p.programs(ctx)
	n := 0
	for _, proc := range all {
		n += proc.threads
	}
	return strconv.Itoa(n), err
}

func (p *Probe) zombies(ctx context.Context) ([][]string, error) {
	all, err := p.processes(ctx)
	names := map[int]string{}
	for _, proc := range all {
		names[proc.pid] = proc.name
	}
	var rows [][]string
	for _, proc := range all {
		if proc.state == processStates["Z"] {
			rows = append(rows, []string{proc.name, strconv.Itoa(proc.pid), names[proc.parent]})
		}
	}
	return rows, err
}

func (p *Probe) blocked(ctx context.Context) ([][]string, error) {
	all, err := p.processes(ctx)
	var rows [][]string
	for _, proc := range all {
		if proc.state != processStates["D"] {
			continue
		}
		in, err := readHead(p.procFile(proc.pid, "wchan"), statusMax)
		if err != nil {
			in = nil // it went on meanwhile, or this is not told to everybody
		}
		rows = append(rows, []string{proc.name, strconv.Itoa(proc.pid), strings.Trim(string(in), "0")})
	}
	return rows, err
}

// openLinks calls visit for what a process has open: the link in the kernel's
// folder and what it leads to.
func (p *Probe) openLinks(pid int, visit func(link, target string)) (count int, err error) {
	folder, err := os.Open(p.procFile(pid, "fd"))
	if err != nil {
		return 0, err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	if err != nil || visit == nil {
		return len(names), err
	}
	for _, name := range names {
		link := p.procFile(pid, "fd/"+name)
		if target, err := os.Readlink(link); err == nil { // else it was closed meanwhile
			visit(link, target)
		}
	}
	return len(names), nil
}

// perProgram makes rows of each program into which we may look.
func (p *Probe) perProgram(ctx context.Context, wanted func(process) bool, rows func(process) ([][]string, error)) ([][]string, error) {
	return p.programRows(ctx, func(proc process) ([][]string, error) {
		if wanted != nil && !wanted(proc) {
			return nil, nil
		}
		found, err := rows(proc)
		if unseen(err) {
			return nil, nil
		}
		return found, err
	})
}

func (p *Probe) openFileCounts(ctx context.Context) ([][]string, error) {
	return p.perProgram(ctx, nil, func(proc process) ([][]string, error) {
		count, err := p.openLinks(proc.pid, nil)
		if err != nil {
			return nil, err
		}
		text, err := readHead(p.procFile(proc.pid, "limits"), statusMax)
		return [][]string{{proc.name, strconv.Itoa(proc.pid), strconv.Itoa(count), openLimit(string(text))}}, err
	})
}

// openLimit reads how many files a process may open from its limits: "Max open
// files  1024  524288  files".
func openLimit(limits string) string {
	for line := range strings.Lines(limits) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			if f := strings.Fields(rest); len(f) > 0 && isNumber(f[0]) {
				return f[0]
			}
		}
	}
	return ""
}

// named reads a parameter that names processes.
func named(params []string) (func(process) bool, error) {
	wanted, err := newWildcard(params[0])
	return func(proc process) bool { return wanted.matches(proc.name) }, err
}

func (p *Probe) openFiles(ctx context.Context, params []string) ([][]string, error) {
	wanted, err := named(params)
	if err != nil {
		return nil, err
	}
	found := 0
	rows, err := p.perProgram(ctx, wanted, func(proc process) ([][]string, error) {
		var rows [][]string
		_, err := p.openLinks(proc.pid, func(_, target string) {
			if found++; found <= filesMax {
				rows = append(rows, []string{proc.name, strconv.Itoa(proc.pid), target})
			}
		})
		return rows, err
	})
	return rows, err
}

// mapped returns the files that a process has in its memory.
func (p *Probe) mapped(pid int) ([]string, error) {
	b, err := smallFile(p.procFile(pid, "maps"), mapsMax)
	return parseMaps(b), err
}

// parseMaps reads lines of six fields, of which the last is a path or nothing.
// Each path is told once.
func parseMaps(b []byte) []string {
	const fields = 5 // before the path
	var files []string
	seen := map[string]bool{}
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte{'\n'})
		for range fields {
			i := bytes.IndexByte(line, ' ')
			if i < 0 {
				line = nil
				break
			}
			line = bytes.TrimLeft(line[i:], " ")
		}
		if len(line) > 0 && line[0] == '/' && !seen[string(line)] {
			file := string(line)
			seen[file] = true
			files = append(files, file)
		}
	}
	return files
}

func (p *Probe) loadedLibraries(ctx context.Context, params []string) ([][]string, error) {
	wanted, err := named(params)
	if err != nil {
		return nil, err
	}
	return p.perProgram(ctx, wanted, func(proc process) ([][]string, error) {
		files, err := p.mapped(proc.pid)
		var rows [][]string
		for _, file := range files {
			rows = append(rows, []string{proc.name, file})
		}
		return rows, err
	})
}

// noFiles are beginnings of paths that are no files of a package.
var noFiles = []string{memoryFile, "/SYSV", "/dev/", "/[aio]", "/i915", "/drm mm object"}

func (p *Probe) deletedLibraries(ctx context.Context) ([][]string, error) {
	return p.perProgram(ctx, nil, func(proc process) ([][]string, error) {
		files, err := p.mapped(proc.pid)
		var rows [][]string
		for _, file := range files {
			library, isDeleted := strings.CutSuffix(file, deleted)
			if isDeleted && !slices.ContainsFunc(noFiles, func(prefix string) bool { return strings.HasPrefix(library, prefix) }) {
				rows = append(rows, []string{proc.name, library})
			}
		}
		return rows, err
	})
}

func (p *Probe) deletedOpenFiles(ctx context.Context) ([][]string, error) {
	return p.perProgram(ctx, nil, func(proc process) ([][]string, error) {
		var rows [][]string
		_, err := p.openLinks(proc.pid, func(link, target string) {
			file, isDeleted := strings.CutSuffix(target, deleted)
			if !isDeleted || !strings.HasPrefix(file, "/") || strings.HasPrefix(file, memoryFile) {
				return
			}
			var st unix.Stat_t
			if err := unix.Stat(link, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 0 {
				rows = append(rows, []string{proc.name, strconv.Itoa(proc.pid), file, strconv.FormatInt(st.Size, 10)})
			}
		})
		return rows, err
	})
}

func (p *Probe) deletedPrograms(ctx context.Context) ([][]string, error) {
	return p.perProgram(ctx, nil, func(proc process) ([][]string, error) {
		exe, err := os.Readlink(p.procFile(proc.pid, "exe"))
		file, isDeleted := strings.CutSuffix(exe, deleted)
		if err != nil || !isDeleted {
			return nil, err
		}
		return [][]string{{proc.name, strconv.Itoa(proc.pid), file}}, nil
	})
}

// environment returns the value of a variable with which a process was started.
func (p *Probe) environment(pid int, variable string) (string, bool, error) {
	b, err := smallFile(p.procFile(pid, "environ"), environMax)
	if err != nil {
		return "", false, err
	}
	for len(b) > 0 {
		var one []byte
		one, b, _ = bytes.Cut(b, []byte{0})
		if name, v, ok := bytes.Cut(one, []byte{'='}); ok && string(name) == variable {
			return string(v), true, nil
		}
	}
	return "", false, nil
}

func (p *Probe) processEnvironment(ctx context.Context, params []string) ([][]string, error) {
	variable := params[0]
	if variable == "" || strings.Contains(variable, "=") {
		return nil, fault.New(fault.Invalid, "%q is no name of a variable", variable)
	}
	return p.perProgram(ctx, nil, func(proc process) ([][]string, error) {
		v, ok, err := p.environment(proc.pid, variable)
		if !ok {
			return nil, err
		}
		return [][]string{{proc.name, v}}, err
	})
}

// preloaded tells the libraries that are put in front of those of programs.
func (p *Probe) preloaded(ctx context.Context) ([][]string, error) {
	const file = "/etc/ld.so.preload"
	text, err := p.root.text(file)
	if err != nil {
		return nil, err
	}
	rows, err := p.perProgram(ctx, nil, func(proc process) ([][]string, error) {
		v, _, err := p.environment(proc.pid, "LD_PRELOAD")
		var rows [][]string
		for _, library := range libraries(v) {
			rows = append(rows, []string{library, "environment of " + proc.name})
		}
		return rows, err
	})
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, library := range libraries(line) {
			rows = append(rows, []string{library, file})
		}
	}
	return rows, err
}

// libraries are parted by blanks or colons (ld.so(8)).
func libraries(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ':' || r == '\t' || r == '\n' })
}

// processCapabilities tells programs of others than root that have some of its
// rights.
func (p *Probe) processCapabilities(ctx context.Context) ([][]string, error) {
	names := p.userNames()
	return p.perProgram(ctx, func(proc process) bool { return proc.user != "0" }, func(proc process) ([][]string, error) {
		text, err := readHead(p.procFile(proc.pid, "status"), statusMax)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			if v, ok := strings.CutPrefix(line, "CapEff:"); ok {
				bits, err := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
				if err != nil || bits == 0 {
					return nil, err
				}
				return [][]string{{proc.name, names.of(proc.user), capabilities(bits)}}, nil
			}
		}
		return nil, nil
	})
}

// capabilityNames are root's rights by their bits (capabilities(7)).
var capabilityNames = strings.Fields("chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable " +
	"net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin " +
	"sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog " +
	"wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore")

func capabilities(bits uint64) string {
	all := uint64(1)<<len(capabilityNames) - 1
	if bits == all {
		return "all"
	}
	var names []string
	for i := range 64 {
		switch {
		case bits&(1<<i) == 0:
		case i < len(capabilityNames):
			names = append(names, "cap_"+capabilityNames[i])
		default:
			names = append(names, strconv.Itoa(i))
		}
	}
	return strings.Join(names, ",")
}

// sharedMemory reads /proc/sysvipc/shm: key, number, mode, bytes, creator, last
// user, attached, user.
func sharedMemory(_ context.Context, at tree) ([][]string, error) {
	text, err := at.text("proc/sysvipc/shm")
	if err != nil {
		return nil, err
	}
	people, err := accounts(at)
	if err != nil {
		return nil, err
	}
	names := namesOf(people)
	var rows [][]string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 || !isNumber(f[1]) {
			continue
		}
		mode, err := strconv.ParseUint(f[2], 8, 32)
		if err != nil {
			continue
		}
		creator := at.attribute(path.Join("proc", f[4], "comm")) // empty if it has ended
		rows = append(rows, []string{f[1], names.of(f[7]), modeText(uint32(mode)), f[3], f[6], creator})
	}
	return rows, nil
}
