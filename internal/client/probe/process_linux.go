package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

const (
	commMax      = 15      // bytes of a process name that the kernel keeps
	statMax      = 1 << 10 // bytes of /proc/PID/stat, whose 52 fields are numbers but one
	cmdlineMax   = 4 << 10 // bytes of a command line that are told
	kernelThread = 0x00200000
)

// processStates are the letters by which the kernel tells what a process does.
var processStates = map[string]string{
	"R": "Running", "S": "Sleeping", "D": "Blocked", "Z": "Zombie", "T": "Stopped", "t": "Traced", "I": "Idle", "X": "Dead", "P": "Parked",
}

// pids returns the processes of this machine, the oldest numbers first.
func pids(proc string) ([]int, error) {
	f, err := os.Open(proc)
	if err != nil {
		return nil, fmt.Errorf("the processes: %w", err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("the processes: %w", err)
	}
	var all []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			all = append(all, pid)
		}
	}
	slices.Sort(all)
	return all, nil
}

// readProcesses reads all processes, in the order of their numbers. Those that
// end meanwhile are passed over.
func readProcesses(ctx context.Context, at tree) ([]process, error) {
	proc := at.at("proc")
	numbers, err := pids(proc)
	if err != nil {
		return nil, err
	}
	boot, err := bootTime(at.at("proc/stat"))
	if err != nil {
		return nil, err
	}
	var all []process
	for _, pid := range numbers {
		if err := stoppedIf(ctx, "reading the processes"); err != nil {
			return nil, err
		}
		p, err := readProcess(proc, pid)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p.started = boot.Add(time.Duration(p.ticks) * (time.Second / ticks))
		all = append(all, p)
	}
	return all, nil
}

// gone reports whether err says that the process ended while it was looked at.
func gone(err error) bool {
	return absent(err) || errors.Is(err, unix.ESRCH)
}

func readProcess(proc string, pid int) (process, error) {
	folder := proc + "/" + strconv.Itoa(pid)
	b, err := readHead(folder+"/stat", statMax)
	if err != nil {
		return process{}, err
	}
	p, ok := parseStat(b)
	if !ok {
		return process{}, fmt.Errorf("%s/stat cannot be read: %q", folder, b)
	}
	var st unix.Stat_t
	if err := unix.Stat(folder, &st); err != nil {
		return process{}, &os.PathError{Op: "stat", Path: folder, Err: err}
	}
	p.user = strconv.FormatUint(uint64(st.Uid), 10)
	if len(p.name) == commMax && !p.kernel {
		cmdline, err := readHead(folder+"/cmdline", cmdlineMax)
		if err != nil {
			return process{}, err
		}
		p.name = fullName(p.name, cmdline)
	}
	return p, nil
}

// readHead reads at most limit bytes of a file, in one piece.
func readHead(path string, limit int) ([]byte, error) {
	fd, err := open(path)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := &regular{fd, path}
	defer f.Close()
	b := make([]byte, limit)
	n, err := f.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b[:n], nil
}

// Fields of /proc/PID/stat after the name, counted from the state (proc(5)).
const (
	statState, statParent, statFlags       = 0, 1, 6
	statUser, statSystem, statThreads      = 11, 12, 17
	statStarted, statResident, statAtLeast = 19, 21, 20
)

// parseStat reads /proc/PID/stat. The name stands in brackets and may itself
// contain brackets and blanks, so the last bracket ends it.
func parseStat(b []byte) (process, bool) {
	left, right := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if left < 1 || right < left {
		return process{}, false
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b[:left])))
	fields := strings.Fields(string(b[right+1:]))
	if err != nil || len(fields) < statAtLeast {
		return process{}, false
	}
	whole := true
	number := func(field int) uint64 {
		n, err := strconv.ParseUint(fields[field], 10, 64)
		whole = whole && err == nil
		return n
	}
	p := process{
		pid: pid, name: string(b[left+1 : right]), parent: int(number(statParent)), kernel: number(statFlags)&kernelThread != 0,
		state: processStates[fields[statState]], threads: int(number(statThreads)), ticks: number(statStarted),
		cpu: time.Duration(number(statUser)+number(statSystem)) * (time.Second / ticks),
	}
	if len(fields) > statResident {
		p.resident = number(statResident) * uint64(os.Getpagesize())
	}
	if !whole {
		return process{}, false
	}
	return p, true
}

// fullName makes a name whole that the kernel has cut. The command line has it
// in its first word, or for a script in its second, after the interpreter.
func fullName(name string, cmdline []byte) string {
	for range 2 {
		word, rest, _ := bytes.Cut(cmdline, []byte{0})
		if base := path.Base(string(word)); strings.HasPrefix(base, name) {
			return base
		}
		cmdline = rest
	}
	return name
}

// commandLine is how a process was called, its words with blanks between.
func commandLine(at tree, pid int) (string, error) {
	b, err := readHead(at.at("proc/"+strconv.Itoa(pid)+"/cmdline"), cmdlineMax)
	return strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " ")), err
}

func (p *Probe) processHashes(by digest) func(context.Context) ([][]string, error) {
	return func(ctx context.Context) ([][]string, error) {
		return p.programRows(ctx, func(proc process) ([][]string, error) {
			file, sum, err := p.program(ctx, proc.pid, by)
			if err != nil && !gone(err) {
				err = fmt.Errorf("the program of %s: %w", proc.name, err)
			}
			return [][]string{{proc.name, file, sum}}, err
		})
	}
}

// program returns the file that a process was started from and its hash, both
// empty where they may not be seen. The hash is taken by the kernel's link to
// the file, which also leads to programs of containers and to those that were
// replaced or removed while they run.
func (p *Probe) program(ctx context.Context, pid int, by digest) (file, sum string, err error) {
	exe := p.root.at("proc/" + strconv.Itoa(pid) + "/exe")
	file, err = os.Readlink(exe)
	if errors.Is(err, os.ErrPermission) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	sum, err = p.sums.of(ctx, exe, by)
	if kind := fault.KindOf(err); kind == fault.Denied || kind == fault.Invalid { // may not be read, is too large
		return file, "", nil
	}
	return file, sum, err
}

// processorTimes reads how long all processors together were busy, and how
// long they could have been, from the first line of /proc/stat: user, nice,
// system, idle, waiting for disks, interrupts, and what others took. Guests'
// time is contained in the first two.
func processorTimes(at tree) (busy, total time.Duration, err error) {
	b, err := at.read("proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line)
	if len(fields) < 6 || fields[0] != "cpu" {
		return 0, 0, unknown("use of the processors", "/proc/stat does not tell it")
	}
	for i, field := range fields[1:min(len(fields), 9)] {
		n, err := strconv.ParseUint(field, 10, 63)
		if err != nil {
			return 0, 0, fmt.Errorf("/proc/stat: %w", err)
		}
		spent := time.Duration(n) * (time.Second / ticks)
		total += spent
		if idle := i == 3 || i == 4; !idle {
			busy += spent
		}
	}
	return busy, total, nil
}

// ownTimes are when this process was started and what it has used. The system
// counts its start from its own, by a clock that knows parts of a second.
func ownTimes() (started time.Time, used time.Duration, err error) {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{}, 0, fmt.Errorf("the uptime: %w", err)
	}
	now := time.Now()
	p, err := readProcess("/proc", os.Getpid())
	return now.Add(time.Duration(p.ticks)*(time.Second/ticks) - time.Duration(up.Nano())), p.cpu, err
}

func clientMemory() (string, error) {
	p, err := readProcess("/proc", os.Getpid())
	return size(p.resident), err
}
