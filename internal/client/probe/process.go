package probe

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	processesKept = time.Second            // how long several sensors share one list of processes
	sampleLeast   = 250 * time.Millisecond // between two looks from which a share of the processors is worked out
	sampleMost    = time.Minute            // an older look says nothing about now
	topMax        = 10                     // processes named as those that use most
)

// A process is what the system tells about one.
type process struct {
	pid, parent int
	name        string
	kernel      bool   // a thread of the kernel, not a program
	state       string // what it does at the moment; empty where the system does not tell
	user        string // its account's number, or its name where accounts have none
	threads     int
	resident    uint64        // physical memory, in bytes
	cpu         time.Duration // of the processors since it was started
	started     time.Time
	ticks       uint64 // the same on Linux, in hundredths of a second after the machine's start
}

// processFacts are told of processes on every platform.
func (p *Probe) processFacts() map[string]fact {
	return map[string]fact{
		"Running Processes":               list(p.processNames),
		"Running Processes with Hash":     table(p.processHashes(sha256Sum)),
		"Running Processes with MD5 Hash": table(p.processHashes(md5Sum)),
		"Process Running":                 with(1, p.processRunning),
		"Process Details":                 table(p.processDetails),
		"Process Command Lines":           table(p.processCommandLines),
		"Process Parents":                 table(p.processParents),
		"Process Users":                   table(p.processUsers),
		"Top Processes by CPU":            table(p.topByCPU),
		"Top Processes by Memory":         table(p.topByMemory),
		"Process Memory":                  table(p.processMemory),
		"Process Count":                   textOf(p.processCount),
		"CPU Consumption":                 table(p.cpuConsumption),
	}
}

// processes returns the processes of this machine by their numbers.
func (p *Probe) processes(ctx context.Context) ([]process, error) {
	return p.running.get(p.keep, func() ([]process, error) { return readProcesses(ctx, p.root) })
}

// programs are the processes that are no threads of the kernel.
func (p *Probe) programs(ctx context.Context) ([]process, error) {
	all, err := p.processes(ctx)
	if err != nil {
		return nil, err
	}
	var programs []process
	for _, proc := range all {
		if !proc.kernel {
			programs = append(programs, proc)
		}
	}
	return programs, nil
}

// programRows makes rows of each program, each row once.
func (p *Probe) programRows(ctx context.Context, rows func(process) ([][]string, error)) ([][]string, error) {
	all, err := p.programs(ctx)
	if err != nil {
		return nil, err
	}
	var out [][]string
	for _, proc := range all {
		if err := stoppedIf(ctx, "reading the processes"); err != nil {
			return nil, err
		}
		found, err := rows(proc)
		if gone(err) { // it ended meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return uniqueRows(out), nil
}

func (p *Probe) processNames(ctx context.Context) ([]string, error) {
	all, err := p.programs(ctx)
	var names []string
	for _, proc := range all {
		names = append(names, proc.name)
	}
	return names, err
}

func (p *Probe) processRunning(ctx context.Context, params []string) ([][]string, error) {
	wanted, err := newWildcard(params[0])
	if err != nil {
		return nil, err
	}
	all, err := p.programs(ctx)
	if err != nil {
		return nil, err
	}
	runs := slices.ContainsFunc(all, func(proc process) bool { return wanted.matches(proc.name) })
	return [][]string{{yesNo(runs)}}, nil
}

func (p *Probe) processDetails(ctx context.Context) ([][]string, error) {
	names := p.userNames()
	return p.programRows(ctx, func(proc process) ([][]string, error) {
		command, err := commandLine(p.root, proc.pid)
		if err != nil {
			return nil, err
		}
		return [][]string{{
			proc.name, strconv.Itoa(proc.pid), strconv.Itoa(proc.parent), names.of(proc.user), proc.state, date(proc.started), command,
		}}, nil
	})
}

func (p *Probe) processCommandLines(ctx context.Context) ([][]string, error) {
	return p.programRows(ctx, func(proc process) ([][]string, error) {
		command, err := commandLine(p.root, proc.pid)
		return [][]string{{proc.name, command}}, err
	})
}

func (p *Probe) processParents(ctx context.Context) ([][]string, error) {
	all, err := p.processes(ctx)
	if err != nil {
		return nil, err
	}
	names := map[int]string{}
	for _, proc := range all {
		names[proc.pid] = proc.name
	}
	return p.programRows(ctx, func(proc process) ([][]string, error) {
		return [][]string{{proc.name, names[proc.parent]}}, nil
	})
}

func (p *Probe) processUsers(ctx context.Context) ([][]string, error) {
	names := p.userNames()
	return p.programRows(ctx, func(proc process) ([][]string, error) {
		return [][]string{{proc.name, names.of(proc.user)}}, nil
	})
}

func (p *Probe) topByMemory(ctx context.Context) ([][]string, error) {
	all, err := p.programs(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b process) int { return cmp.Compare(b.resident, a.resident) })
	names := p.userNames()
	var rows [][]string
	for _, proc := range all[:min(len(all), topMax)] {
		rows = append(rows, []string{proc.name, strconv.Itoa(proc.pid), names.of(proc.user), size(proc.resident)})
	}
	return rows, nil
}

func (p *Probe) processMemory(ctx context.Context) ([][]string, error) {
	all, err := p.programs(ctx)
	if err != nil {
		return nil, err
	}
	type sum struct {
		count int
		bytes uint64
	}
	sums := map[string]sum{}
	for _, proc := range all {
		s := sums[proc.name]
		sums[proc.name] = sum{s.count + 1, s.bytes + proc.resident}
	}
	var rows [][]string
	for name, s := range sums {
		rows = append(rows, []string{name, strconv.Itoa(s.count), size(s.bytes)})
	}
	return uniqueRows(rows), nil
}

func (p *Probe) processCount(ctx context.Context) (string, error) {
	all, err := p.programs(ctx)
	return strconv.Itoa(len(all)), err
}

// A usage is how much of the processors was used up to a moment.
type usage struct {
	at          time.Time
	busy, total time.Duration // of all processors together
	programs    map[int]process
}

// usages keeps the last look, from which the next counts.
type usages struct {
	mu   sync.Mutex // guards the fields below
	last usage
}

// sampled returns two looks at the processors that are apart far enough.
func (p *Probe) sampled(ctx context.Context) (before, now usage, err error) {
	p.usages.mu.Lock()
	before = p.usages.last
	p.usages.mu.Unlock()
	if age := time.Since(before.at); age < sampleLeast || age > sampleMost {
		if before, err = p.takeSample(ctx); err != nil {
			return before, now, err
		}
		wait := time.NewTimer(sampleLeast)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return before, now, stoppedIf(ctx, "watching the processors")
		}
	}
	now, err = p.takeSample(ctx)
	if err == nil {
		p.usages.mu.Lock()
		p.usages.last = now
		p.usages.mu.Unlock()
	}
	return before, now, err
}

// takeSample looks at the processes anew, whatever others share.
func (p *Probe) takeSample(ctx context.Context) (usage, error) {
	all, err := readProcesses(ctx, p.root)
	if err != nil {
		return usage{}, err
	}
	s := usage{programs: map[int]process{}}
	for _, proc := range all {
		if !proc.kernel {
			s.programs[proc.pid] = proc
		}
	}
	s.busy, s.total, err = processorTimes(p.root)
	s.at = time.Now()
	return s, err
}

func (p *Probe) cpuConsumption(ctx context.Context) ([][]string, error) {
	before, now, err := p.sampled(ctx)
	if err != nil {
		return nil, err
	}
	total := now.total - before.total
	if total <= 0 {
		return nil, unknown("CPU consumption", "the clocks of the processors stand still")
	}
	return [][]string{{percent(float64(now.busy-before.busy) / float64(total))}}, nil
}

func (p *Probe) topByCPU(ctx context.Context) ([][]string, error) {
	before, now, err := p.sampled(ctx)
	if err != nil {
		return nil, err
	}
	apart := now.at.Sub(before.at)
	type share struct {
		proc process
		used time.Duration
	}
	var all []share
	for pid, proc := range now.programs {
		used := proc.cpu
		if earlier, ok := before.programs[pid]; ok && earlier.started.Equal(proc.started) {
			used -= earlier.cpu
		}
		all = append(all, share{proc, used})
	}
	slices.SortFunc(all, func(a, b share) int {
		return cmp.Or(cmp.Compare(b.used, a.used), cmp.Compare(a.proc.pid, b.proc.pid))
	})
	names := p.userNames()
	var rows [][]string
	for _, s := range all[:min(len(all), topMax)] {
		rows = append(rows, []string{
			s.proc.name, strconv.Itoa(s.proc.pid), names.of(s.proc.user), percent(float64(s.used) / float64(max(apart, time.Millisecond))),
		})
	}
	return rows, nil
}
