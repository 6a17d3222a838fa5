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

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

const (
	commMax      = 15      // bytes of a process name that the kernel keeps
	statMax      = 1 << 10 // bytes of /proc/PID/stat, whose 52 fields are numbers but one
	cmdlineMax   = 4 << 10 // bytes of a command line in which its first word is looked for
	kernelThread = 0x00200000
)

// A process is what /proc/PID/stat says about one.
type process struct {
	pid     int
	name    string
	kernel  bool   // a thread of the kernel, not a program
	started uint64 // hundredths of a second after the machine was started
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

// processes calls visit for every process, in the order of their numbers.
// Those that end meanwhile are passed over.
func processes(ctx context.Context, visit func(process) error) error {
	all, err := pids("/proc")
	if err != nil {
		return err
	}
	for _, pid := range all {
		if ctx.Err() != nil {
			return fmt.Errorf("reading the processes stopped: %w", context.Cause(ctx))
		}
		p, err := readProcess("/proc", pid)
		if gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		if err := visit(p); err != nil {
			return err
		}
	}
	return nil
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

// parseStat reads /proc/PID/stat (proc(5)). The name stands in brackets and
// may itself contain brackets and blanks, so the last bracket ends it.
func parseStat(b []byte) (process, bool) {
	left, right := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if left < 1 || right < left {
		return process{}, false
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b[:left])))
	fields := strings.Fields(string(b[right+1:])) // fields[0] is the third of proc(5), the state
	if err != nil || len(fields) < 20 {
		return process{}, false
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	if err != nil {
		return process{}, false
	}
	started, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return process{}, false
	}
	return process{
		pid: pid, name: string(b[left+1 : right]), kernel: flags&kernelThread != 0, started: started,
	}, true
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

func processNames(ctx context.Context) ([]string, error) {
	var names []string
	err := processes(ctx, func(p process) error {
		if !p.kernel {
			names = append(names, p.name)
		}
		return nil
	})
	return names, err
}

func (p *Probe) processHashes(ctx context.Context) ([][]string, error) {
	var rows [][]string
	seen := map[[3]string]bool{}
	err := processes(ctx, func(proc process) error {
		if proc.kernel {
			return nil
		}
		file, sum, err := p.program(ctx, proc.pid)
		if gone(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the program of %s: %w", proc.name, err)
		}
		if row := [3]string{proc.name, file, sum}; !seen[row] {
			seen[row] = true
			rows = append(rows, row[:])
		}
		return nil
	})
	return rows, err
}

// program returns the file that a process was started from and its hash, both
// empty where they may not be seen. The hash is taken by the kernel's link to
// the file, which also leads to programs of containers and to those that were
// replaced or removed while they run.
func (p *Probe) program(ctx context.Context, pid int) (file, sum string, err error) {
	exe := "/proc/" + strconv.Itoa(pid) + "/exe"
	file, err = os.Readlink(exe)
	if errors.Is(err, os.ErrPermission) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	sum, err = p.sums.of(ctx, exe)
	if kind := fault.KindOf(err); kind == fault.Denied || kind == fault.Invalid { // may not be read, is too large
		return file, "", nil
	}
	return file, sum, err
}
