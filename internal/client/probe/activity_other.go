//go:build windows || darwin

package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/net"
	gops "github.com/shirou/gopsutil/v4/process"

	"catenary/internal/fault"
)

// gone reports whether err says that the process ended while it was looked at.
func gone(err error) bool {
	return absent(err) || errors.Is(err, gops.ErrorProcessNotRunning) || errors.Is(err, syscall.ESRCH)
}

// readProcesses asks the system for its processes. What it does not tell us of
// one stays empty; without a name there is no process.
func readProcesses(ctx context.Context, _ tree) ([]process, error) {
	all, err := gops.ProcessesWithContext(ctx)
	if err != nil {
		return nil, err
	}
	var out []process
	for _, g := range all {
		if err := stoppedIf(ctx, "reading the processes"); err != nil {
			return nil, err
		}
		name, err := g.NameWithContext(ctx)
		if err != nil || name == "" { // ended meanwhile
			continue
		}
		out = append(out, describe(ctx, g, name))
	}
	return out, nil
}

func describe(ctx context.Context, g *gops.Process, name string) process {
	p := process{pid: int(g.Pid), name: name}
	if parent, err := g.PpidWithContext(ctx); err == nil {
		p.parent = int(parent)
	}
	if user, err := g.UsernameWithContext(ctx); err == nil {
		p.user = user
	}
	if states, err := g.StatusWithContext(ctx); err == nil {
		p.state = strings.Join(states, ", ")
	}
	if threads, err := g.NumThreadsWithContext(ctx); err == nil {
		p.threads = int(threads)
	}
	if m, err := g.MemoryInfoWithContext(ctx); err == nil {
		p.resident = m.RSS
	}
	if t, err := g.TimesWithContext(ctx); err == nil {
		p.cpu = seconds(t.User + t.System)
	}
	if milliseconds, err := g.CreateTimeWithContext(ctx); err == nil {
		p.started = time.UnixMilli(milliseconds)
	}
	return p
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// commandLine is how a process was called; empty where the system keeps it to
// itself.
func commandLine(_ tree, pid int) (string, error) {
	g, err := gops.NewProcess(int32(pid))
	if err != nil {
		return "", os.ErrNotExist
	}
	line, err := g.Cmdline()
	if err != nil {
		return "", nil
	}
	return strings.TrimSpace(line), nil
}

func (p *Probe) processHashes(by digest) func(context.Context) ([][]string, error) {
	return func(ctx context.Context) ([][]string, error) {
		return p.programRows(ctx, func(proc process) ([][]string, error) {
			file := programFile(proc.pid)
			if file == "" { // protected by the system
				return [][]string{{proc.name, "", ""}}, nil
			}
			sum, err := p.sums.of(ctx, file, by)
			switch kind := fault.KindOf(err); {
			case err == nil || errors.Is(err, os.ErrNotExist) || kind == fault.Denied || kind == fault.Invalid:
				return [][]string{{proc.name, file, sum}}, nil
			}
			return nil, fmt.Errorf("the program of %s: %w", proc.name, err)
		})
	}
}

// programFile is empty for a process that ended or may not be looked at.
func programFile(pid int) string {
	g, err := gops.NewProcess(int32(pid))
	if err != nil {
		return ""
	}
	file, err := g.Exe()
	if err != nil {
		return ""
	}
	return file
}

func processorTimes(tree) (busy, total time.Duration, err error) {
	all, err := cpu.Times(false)
	if err != nil || len(all) == 0 {
		return 0, 0, err
	}
	t := all[0]
	used := t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal
	return seconds(used), seconds(used + t.Idle + t.Iowait), nil
}

// ownTimes are when this process was started and what it has used.
func ownTimes() (started time.Time, used time.Duration, err error) {
	g, err := gops.NewProcess(int32(os.Getpid()))
	if err != nil {
		return time.Time{}, 0, err
	}
	p := describe(context.Background(), g, "") // of ourselves: nothing can hold it up
	return p.started, p.cpu, nil
}

func clientMemory() (string, error) {
	g, err := gops.NewProcess(int32(os.Getpid()))
	if err != nil {
		return "", err
	}
	m, err := g.MemoryInfo()
	if err != nil {
		return "", err
	}
	return size(m.RSS), nil
}

func networkTraffic(ctx context.Context, _ tree) ([][]string, error) {
	all, err := net.IOCountersWithContext(ctx, true)
	var rows [][]string
	for _, c := range all {
		if c.Name == "lo0" || strings.HasPrefix(c.Name, "Loopback") {
			continue
		}
		rows = append(rows, []string{
			c.Name, size(c.BytesRecv), size(c.BytesSent), strconv.FormatUint(c.Errin+c.Errout, 10), strconv.FormatUint(c.Dropin+c.Dropout, 10),
		})
	}
	return uniqueRows(rows), err
}

func connectionStates(ctx context.Context, _ tree) ([][]string, error) {
	all, err := net.ConnectionsWithContext(ctx, "tcp")
	counts := map[string]int{}
	for _, c := range all {
		counts[c.Status]++
	}
	return countRows(counts), err
}

// listens reports whether a socket waits for connections or datagrams.
func listens(c net.ConnectionStat, protocol string) bool {
	return c.Status == "LISTEN" || protocol == "UDP" && c.Raddr.Port == 0
}

func (p *Probe) listeningPorts(ctx context.Context) ([][]string, error) {
	return p.connections(ctx, listens, func(c net.ConnectionStat, owner process, protocol string) []string {
		return []string{owner.name, protocol, address(c, c.Laddr), strconv.Itoa(int(c.Laddr.Port))}
	})
}

func (p *Probe) listeningDetails(ctx context.Context) ([][]string, error) {
	return p.connections(ctx, listens, func(c net.ConnectionStat, owner process, protocol string) []string {
		pid, path := "", ""
		if owner.pid != 0 {
			pid, path = strconv.Itoa(owner.pid), programFile(owner.pid)
		}
		return []string{owner.name, pid, owner.user, path, protocol, address(c, c.Laddr), strconv.Itoa(int(c.Laddr.Port))}
	})
}

func (p *Probe) establishedConnections(ctx context.Context) ([][]string, error) {
	established := func(c net.ConnectionStat, protocol string) bool {
		return c.Status == "ESTABLISHED" || protocol == "UDP" && c.Raddr.Port != 0
	}
	return p.connections(ctx, established, func(c net.ConnectionStat, owner process, protocol string) []string {
		return []string{
			owner.name, protocol, address(c, c.Laddr), strconv.Itoa(int(c.Laddr.Port)),
			address(c, c.Raddr), strconv.Itoa(int(c.Raddr.Port)),
		}
	})
}

// connections makes a row of each socket that is wanted, each row once.
func (p *Probe) connections(ctx context.Context, wanted func(net.ConnectionStat, string) bool, row func(net.ConnectionStat, process, string) []string) ([][]string, error) {
	all, err := net.ConnectionsWithContext(ctx, "inet")
	if err != nil {
		return nil, err
	}
	running, err := p.processes(ctx)
	if err != nil {
		return nil, err
	}
	owners := map[int]process{}
	for _, proc := range running {
		owners[proc.pid] = proc
	}
	var rows [][]string
	for _, c := range all {
		protocol := "TCP"
		if c.Type == syscall.SOCK_DGRAM {
			protocol = "UDP"
		}
		if wanted(c, protocol) {
			rows = append(rows, row(c, owners[int(c.Pid)], protocol))
		}
	}
	return uniqueRows(rows), nil
}

// address spells an address that stands for any as the other systems do.
func address(c net.ConnectionStat, a net.Addr) string {
	ip, _, _ := strings.Cut(a.IP, "%") // without the adapter that a local address is good for
	switch {
	case ip != "*" && ip != "":
		return ip
	case c.Family == syscall.AF_INET6:
		return "::"
	default:
		return "0.0.0.0"
	}
}
