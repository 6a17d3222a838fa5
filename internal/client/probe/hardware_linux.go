package probe

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// dmiFolder is where the kernel shows what the firmware says about the machine.
const dmiFolder = "sys/class/dmi/id/"

func (p *Probe) hardwareFacts() map[string]fact {
	return map[string]fact{
		"CPU Architecture": text(cpuArchitecture),
		"CPU Model":        p.listIn(cpuModels),
		"Number of CPUs":   p.textIn(cpuCount),
		"CPU Cores":        p.textIn(cpuCores),
		"CPU Speed":        p.textIn(cpuSpeed),
		"Processors":       p.tableIn(processors),
		"CPU Caches":       p.tableIn(cpuCaches),
		"CPU Features":     p.listIn(cpuFeatures),
		"CPU Microcode":    p.listIn(cpuMicrocode),
		"Is Virtual":       p.textIn(isVirtual),
		"Hypervisor":       p.textIn(hypervisor),
		"NUMA Nodes":       p.tableIn(numaNodes),
		"Chassis Type":     p.textIn(chassisType),
		"Manufacturer":     p.dmi("manufacturer", "sys_vendor"),
		"Model":            p.textIn(model),
		"Serial Number":    p.dmi("serial number", "product_serial"),
		"System UUID":      p.textIn(systemUUID),
		"Asset Tag":        p.dmi("asset tag", "chassis_asset_tag"),
		"BIOS Vendor":      p.dmi("vendor of the firmware", "bios_vendor"),
		"BIOS Version":     p.dmi("version of the firmware", "bios_version"),
		"BIOS Date":        p.dmi("date of the firmware", "bios_date"),
		"Baseboard":        p.tableIn(baseboard),
		"Memory Modules":   p.tableIn(memoryModules),
		"Memory Errors":    p.tableIn(memoryErrors),
		"Boot Entries":     p.tableIn(bootEntries),
	}
}

// dmi is a fact that the firmware tells.
func (p *Probe) dmi(what, file string) fact {
	return p.textIn(func(at tree) (string, error) { return firmware(at, what, dmiFolder+file) })
}

func chassisType(at tree) (string, error) {
	s, err := firmware(at, "chassis type", dmiFolder+"chassis_type")
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return "", fmt.Errorf("the chassis type: %w", err)
	}
	return chassisName(n)
}

func model(at tree) (string, error) {
	return firmware(at, "model", dmiFolder+"product_name", "proc/device-tree/model")
}

func systemUUID(at tree) (string, error) {
	s, err := firmware(at, "system's UUID", dmiFolder+"product_uuid")
	return strings.ToLower(s), err
}

// firmware returns the first of the files that is there and has a content. Only
// root may read those that tell serial numbers.
func firmware(at tree, what string, files ...string) (string, error) {
	for _, file := range files {
		s, err := at.line(file)
		switch {
		case absent(err):
		case err != nil:
			return "", fmt.Errorf("the %s: %w", what, err)
		case s != "":
			return strings.TrimSpace(s), nil
		}
	}
	return "", unknown(what, "the firmware does not tell it")
}

func baseboard(_ context.Context, at tree) ([][]string, error) {
	row := make([]string, 0, 4)
	for _, file := range []string{"board_vendor", "board_name", "board_version", "board_serial"} {
		row = append(row, strings.TrimSpace(at.attribute(dmiFolder+file)))
	}
	if strings.Join(row, "") == "" {
		return nil, unknown("baseboard", "the firmware does not tell it")
	}
	return [][]string{row}, nil
}

func memoryModules(_ context.Context, at tree) ([][]string, error) {
	b, err := at.read("sys/firmware/dmi/tables/DMI")
	if absent(err) {
		return nil, unknown("list of memory modules", "the firmware does not tell it")
	}
	return moduleRows(parseSMBIOS(b)), err
}

// memoryErrors reads what the kernel's drivers for error correction count.
func memoryErrors(_ context.Context, at tree) ([][]string, error) {
	controllers, err := at.glob("/sys/devices/system/edac/mc/mc*")
	if err != nil {
		return nil, err
	}
	if controllers == nil {
		return nil, unknown("number of memory errors", "no controller counts them")
	}
	var rows [][]string
	for _, c := range controllers {
		name := strings.TrimSpace(path.Base(c) + " " + at.attribute(c+"/mc_name"))
		rows = append(rows, []string{name, at.attribute(c + "/ce_count"), at.attribute(c + "/ue_count")})
	}
	return rows, nil
}

// A core is a physical core of a processor.
type core struct{ socket, core string }

// topology reads which logical processors belong to which core.
func topology(at tree) (map[core]int, error) {
	found, err := at.glob("/sys/devices/system/cpu/cpu[0-9]*/topology")
	if err != nil {
		return nil, err
	}
	cores := map[core]int{}
	for _, folder := range found {
		socket, id := at.attribute(folder+"/physical_package_id"), at.attribute(folder+"/core_id")
		if id == "" { // switched off
			continue
		}
		if die := at.attribute(folder + "/die_id"); die != "" && die != "-1" {
			id = die + "." + id
		}
		cores[core{socket, id}]++
	}
	if len(cores) == 0 {
		return nil, unknown("number of cores", "the kernel does not tell it")
	}
	return cores, nil
}

func cpuCores(at tree) (string, error) {
	cores, err := topology(at)
	return strconv.Itoa(len(cores)), err
}

func processors(ctx context.Context, at tree) ([][]string, error) {
	cores, err := topology(at)
	if err != nil {
		return nil, err
	}
	models, err := cpuModels(ctx, at)
	if err != nil {
		return nil, err
	}
	type socket struct{ cores, logical int }
	sockets := map[string]socket{}
	for c, logical := range cores {
		s := sockets[c.socket]
		sockets[c.socket] = socket{s.cores + 1, s.logical + logical}
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(sockets)) {
		s := sockets[name]
		rows = append(rows, []string{name, strings.Join(models, ", "), strconv.Itoa(s.cores), strconv.Itoa(s.logical)})
	}
	return rows, nil
}

// cpuSpeed is the highest rate that the processors can have, else the highest
// that they have now.
func cpuSpeed(at tree) (string, error) {
	files, err := at.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq")
	if err != nil {
		return "", err
	}
	highest := 0.0
	for _, file := range files {
		if kilohertz, err := strconv.ParseFloat(at.attribute(file), 64); err == nil {
			highest = max(highest, kilohertz/1000)
		}
	}
	if highest == 0 {
		b, err := at.read("proc/cpuinfo")
		if err != nil {
			return "", err
		}
		for _, v := range cpuField(string(b), "cpu MHz") {
			if megahertz, err := strconv.ParseFloat(v, 64); err == nil {
				highest = max(highest, megahertz)
			}
		}
	}
	if highest == 0 {
		return "", unknown("speed of the processors", "the kernel does not tell it")
	}
	return strconv.Itoa(int(highest + 0.5)), nil
}

func cpuCaches(_ context.Context, at tree) ([][]string, error) {
	caches, err := at.glob("/sys/devices/system/cpu/cpu0/cache/index*")
	if err != nil {
		return nil, err
	}
	if caches == nil {
		return nil, unknown("list of caches", "the kernel does not tell it")
	}
	var rows [][]string
	for _, c := range caches {
		kilobytes := strings.TrimSuffix(at.attribute(c+"/size"), "K")
		shared := cpuListLength(at.attribute(c + "/shared_cpu_list"))
		rows = append(rows, []string{at.attribute(c + "/level"), at.attribute(c + "/type"), kilobytes, strconv.Itoa(shared)})
	}
	return uniqueRows(rows), nil
}

// cpuListLength counts the processors of a list such as 0-3,8.
func cpuListLength(list string) int {
	n := 0
	for _, part := range listOf(list) {
		first, last, isRange := strings.Cut(part, "-")
		from, err := strconv.ParseUint(first, 10, 16)
		until := from
		if err == nil && isRange {
			until, err = strconv.ParseUint(last, 10, 16)
		}
		if err == nil && until >= from {
			n += int(until-from) + 1
		}
	}
	return n
}

// cpuField returns the values that the processors have in a field of
// /proc/cpuinfo.
func cpuField(text, field string) []string {
	var values []string
	for line := range strings.Lines(text) {
		if key, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == field {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

func cpuFeatures(_ context.Context, at tree) ([]string, error) {
	b, err := at.read("proc/cpuinfo")
	if err != nil {
		return nil, err
	}
	for _, field := range []string{"flags", "Features"} { // x86, arm64
		if all := cpuField(string(b), field); len(all) > 0 {
			return strings.Fields(all[0]), nil
		}
	}
	return nil, unknown("list of the processor's features", "/proc/cpuinfo does not tell it")
}

func cpuMicrocode(_ context.Context, at tree) ([]string, error) {
	b, err := at.read("proc/cpuinfo")
	if err != nil {
		return nil, err
	}
	versions := cpuField(string(b), "microcode")
	if versions == nil {
		return nil, unknown("version of the microcode", "/proc/cpuinfo does not tell it")
	}
	return versions, nil
}

func numaNodes(_ context.Context, at tree) ([][]string, error) {
	nodes, err := at.glob("/sys/devices/system/node/node[0-9]*")
	if err != nil {
		return nil, err
	}
	if nodes == nil {
		return nil, unknown("list of nodes", "the kernel does not tell it")
	}
	var rows [][]string
	for _, n := range nodes {
		text, err := at.text(n + "/meminfo")
		if err != nil {
			return nil, err
		}
		number := strings.TrimPrefix(path.Base(n), "node")
		kilobytes, _ := meminfo(strings.ReplaceAll(text, "Node "+number+" ", ""), "MemTotal")
		rows = append(rows, []string{number, at.attribute(n + "/cpulist"), size(kilobytes << 10)})
	}
	return rows, nil
}

// hypervisor asks the kernel, which finds out when it starts, then the
// firmware.
func hypervisor(at tree) (string, error) {
	if kind := at.attribute("sys/hypervisor/type"); kind != "" {
		return strings.ToUpper(kind[:1]) + kind[1:], nil
	}
	said := strings.ToLower(at.attribute(dmiFolder+"sys_vendor") + " " + at.attribute(dmiFolder+"product_name") + " " +
		at.attribute(dmiFolder+"bios_vendor"))
	virtual, err := isVirtual(at)
	if err != nil {
		return "", err
	}
	if virtual != yesNo(true) {
		return "None", nil
	}
	if name := hypervisorBy(said); name != "" {
		return name, nil
	}
	for _, source := range strings.Fields(at.attribute("sys/devices/system/clocksource/clocksource0/available_clocksource")) {
		switch source {
		case "kvm-clock":
			return "KVM", nil
		case "hyperv_clocksource_tsc_page", "hyperv_clocksource_msr":
			return "Hyper-V", nil
		case "xen":
			return "Xen", nil
		}
	}
	return "Other", nil
}
