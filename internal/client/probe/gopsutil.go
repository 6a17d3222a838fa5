//go:build windows || darwin

package probe

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"
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

func lastReboot(tree) (string, error) {
	seconds, err := host.BootTime()
	return date(time.Unix(int64(seconds), 0)), err
}

// memoryFacts are told of memory where gopsutil asks for it.
func (p *Probe) memoryFacts() map[string]fact {
	memory := func(f func(*mem.VirtualMemoryStat) string) fact {
		return textOf(func(ctx context.Context) (string, error) {
			m, err := mem.VirtualMemoryWithContext(ctx)
			if err != nil {
				return "", err
			}
			return f(m), nil
		})
	}
	swap := func(f func(*mem.SwapMemoryStat) uint64) fact {
		return textOf(func(ctx context.Context) (string, error) {
			m, err := mem.SwapMemoryWithContext(ctx)
			if err != nil {
				return "", err
			}
			return size(f(m)), nil
		})
	}
	return map[string]fact{
		"Total Memory":        memory(func(m *mem.VirtualMemoryStat) string { return size(m.Total) }),
		"Free Memory":         memory(func(m *mem.VirtualMemoryStat) string { return size(m.Available) }),
		"Used Memory Percent": memory(func(m *mem.VirtualMemoryStat) string { return wholePercent(m.Total-min(m.Available, m.Total), m.Total) }),
		"Total Swap":          swap(func(m *mem.SwapMemoryStat) uint64 { return m.Total }),
		"Free Swap":           swap(func(m *mem.SwapMemoryStat) uint64 { return m.Free }),
	}
}

// gopsutilFacts are told of the rest where gopsutil asks for it.
func (p *Probe) gopsutilFacts() map[string]fact {
	return map[string]fact{
		"Kernel Version":       text(kernelVersion),
		"Uptime":               text(uptime),
		"Last Reboot":          p.textIn(lastReboot),
		"CPU Architecture":     text(cpuArchitecture),
		"CPU Model":            list(cpuModels),
		"Number of CPUs":       text(func() (string, error) { return cpuCounts(true) }),
		"CPU Cores":            text(func() (string, error) { return cpuCounts(false) }),
		"CPU Speed":            textOf(cpuSpeed),
		"Disk Free Space":      table(disks),
		"Disk Activity":        table(diskActivity),
		"Mounted File Systems": table(mountedFileSystems),
	}
}

func daysUp(tree) (string, error) {
	seconds, err := host.Uptime()
	return strconv.FormatUint(seconds/(24*60*60), 10), err
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

func cpuCounts(logical bool) (string, error) {
	n, err := cpu.Counts(logical)
	return strconv.Itoa(n), err
}

func cpuSpeed(ctx context.Context) (string, error) {
	all, err := cpu.InfoWithContext(ctx)
	if err != nil {
		return "", err
	}
	highest := 0.0
	for _, c := range all {
		highest = max(highest, c.Mhz)
	}
	if highest == 0 {
		return "", unknown("speed of the processors", "the system does not tell it")
	}
	return strconv.Itoa(int(highest + 0.5)), nil
}

func mountedFileSystems(ctx context.Context) ([][]string, error) {
	all, err := disk.PartitionsWithContext(ctx, true)
	var rows [][]string
	for _, p := range all {
		rows = append(rows, []string{p.Mountpoint, withoutUser(p.Device), p.Fstype, strings.Join(p.Opts, ",")})
	}
	return uniqueRows(rows), err
}

func diskActivity(ctx context.Context) ([][]string, error) {
	all, err := disk.IOCountersWithContext(ctx)
	var rows [][]string
	for name, c := range all {
		rows = append(rows, []string{name, size(c.ReadBytes), size(c.WriteBytes)})
	}
	return uniqueRows(rows), err
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
