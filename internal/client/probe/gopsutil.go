//go:build windows || darwin

package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"

	"catenary/internal/fault"
)

func cpuArchitecture() (string, error) { return host.KernelArch() }

// kernelVersion is without the build number that follows on Windows: it stands
// in the version too.
func kernelVersion() (string, error) {
	version, err := host.KernelVersion()
	version, _, _ = strings.Cut(version, " ")
	return version, err
}

func uptime() (string, error) {
	seconds, err := host.Uptime()
	return span(time.Duration(seconds) * time.Second), err
}

func lastReboot() (string, error) {
	seconds, err := host.BootTime()
	return date(time.Unix(int64(seconds), 0)), err
}

func totalMemory() (string, error) {
	m, err := mem.VirtualMemory()
	if err != nil {
		return "", err
	}
	return size(m.Total), nil
}

func freeMemory() (string, error) {
	m, err := mem.VirtualMemory()
	if err != nil {
		return "", err
	}
	return size(m.Available), nil
}

func cpuModels(ctx context.Context) ([]string, error) {
	all, err := cpu.InfoWithContext(ctx)
	if err != nil {
		return nil, err
	}
	var models []string
	for _, c := range all {
		if name := strings.Join(strings.Fields(c.ModelName), " "); name != "" {
			models = append(models, name)
		}
	}
	if models == nil {
		return nil, unknown("CPU model", "the system does not tell it")
	}
	return models, nil
}

func cpuCount() (string, error) {
	n, err := cpu.Counts(true)
	return strconv.Itoa(n), err
}

func disks(ctx context.Context) ([][]string, error) {
	partitions, err := disk.PartitionsWithContext(ctx, false)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, p := range partitions {
		u, err := disk.UsageWithContext(ctx, p.Mountpoint)
		if err != nil || u.Total == 0 { // a drive without a medium
			continue
		}
		rows = append(rows, []string{
			p.Mountpoint, p.Fstype, size(u.Free), size(u.Total), strconv.Itoa(int(u.UsedPercent + 0.5)),
		})
	}
	return rows, nil
}

func processNames(ctx context.Context) ([]string, error) {
	all, err := process.ProcessesWithContext(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range all {
		name, err := p.NameWithContext(ctx)
		if err == nil && name != "" { // else it ended meanwhile
			names = append(names, name)
		}
	}
	return names, ctx.Err()
}

func (p *Probe) processHashes(ctx context.Context) ([][]string, error) {
	all, err := process.ProcessesWithContext(ctx)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, proc := range all {
		name, err := proc.NameWithContext(ctx)
		if err != nil || name == "" { // ended meanwhile
			continue
		}
		file, err := proc.ExeWithContext(ctx)
		if err != nil || file == "" { // protected by the system
			rows = append(rows, []string{name, "", ""})
			continue
		}
		sum, err := p.sums.of(ctx, file)
		switch kind := fault.KindOf(err); {
		case err == nil || errors.Is(err, os.ErrNotExist) || kind == fault.Denied || kind == fault.Invalid:
			rows = append(rows, []string{name, file, sum})
		default:
			return nil, fmt.Errorf("the program of %s: %w", name, err)
		}
	}
	slices.SortFunc(rows, slices.Compare)
	return slices.CompactFunc(rows, slices.Equal), nil
}

func listeningPorts(ctx context.Context) ([][]string, error) {
	return connections(ctx, func(c net.ConnectionStat, process, protocol string) []string {
		if c.Status != "LISTEN" && (protocol != "UDP" || c.Raddr.Port != 0) {
			return nil
		}
		return []string{process, protocol, address(c, c.Laddr), strconv.Itoa(int(c.Laddr.Port))}
	})
}

func establishedConnections(ctx context.Context) ([][]string, error) {
	return connections(ctx, func(c net.ConnectionStat, process, protocol string) []string {
		if c.Status != "ESTABLISHED" && (protocol != "UDP" || c.Raddr.Port == 0) {
			return nil
		}
		return []string{
			process, protocol, address(c, c.Laddr), strconv.Itoa(int(c.Laddr.Port)),
			address(c, c.Raddr), strconv.Itoa(int(c.Raddr.Port)),
		}
	})
}

// connections makes a row of each socket that row wants, each row once.
func connections(ctx context.Context, row func(c net.ConnectionStat, process, protocol string) []string) ([][]string, error) {
	all, err := net.ConnectionsWithContext(ctx, "inet")
	if err != nil {
		return nil, err
	}
	names := map[int32]string{}
	var rows [][]string
	for _, c := range all {
		protocol := "TCP"
		if c.Type == syscall.SOCK_DGRAM {
			protocol = "UDP"
		}
		if _, known := names[c.Pid]; !known {
			names[c.Pid] = processName(ctx, c.Pid)
		}
		if r := row(c, names[c.Pid], protocol); r != nil {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, slices.Compare)
	return slices.CompactFunc(rows, slices.Equal), nil
}

// processName is empty for a process that ended or may not be looked at.
func processName(ctx context.Context, pid int32) string {
	p, err := process.NewProcessWithContext(ctx, pid)
	if err != nil {
		return ""
	}
	name, err := p.NameWithContext(ctx)
	if err != nil {
		return ""
	}
	return name
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
