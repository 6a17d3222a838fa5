package probe

import (
	"context"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// unitFolders are where systemd looks for unit files, the first that has one
// first (systemd.unit(5)).
var unitFolders = []string{
	"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
}

// unitKinds are the kinds of units that there are.
var unitKinds = []string{
	".service", ".socket", ".timer", ".path", ".mount", ".automount", ".swap", ".target", ".slice",
}

func (p *Probe) serviceFacts() map[string]fact {
	return map[string]fact{
		"Running Services":  p.tableIn(services),
		"Services":          p.tableIn(allServices),
		"Service State":     p.withIn(1, serviceState),
		"Service Programs":  p.tableIn(servicePrograms),
		"Service Processes": table(p.serviceProcesses),
		"Service Units":     p.tableIn(serviceUnits),
		"Service Overrides": p.tableIn(serviceOverrides),
		"Socket Activation": p.tableIn(socketActivation),
		"Scheduled Tasks":   p.tableIn(scheduledTasks),
		"Startup Programs":  p.tableIn(startupPrograms),
	}
}

// A unit is a unit file and whether systemd starts it by itself, in
// systemctl's words.
type unit struct{ name, file, state string }

// unitFiles returns the unit files of a machine by their names.
func unitFiles(at tree) ([]unit, error) {
	files := map[string]string{}
	for _, folder := range unitFolders {
		names, err := at.names(folder)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if _, taken := files[name]; !taken && slices.Contains(unitKinds, path.Ext(name)) {
				files[name] = path.Join(folder, name)
			}
		}
	}
	enabled, err := wanted(at)
	if err != nil {
		return nil, err
	}
	var all []unit
	for name, file := range files {
		state, err := unitState(at, name, file, enabled)
		if err != nil {
			return nil, err
		}
		if state != "" {
			all = append(all, unit{name, file, state})
		}
	}
	slices.SortFunc(all, func(a, b unit) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// wanted tells which units others want by links that the machine's master has
// made, and where the links are.
func wanted(at tree) (map[string]string, error) {
	names := map[string]string{}
	for _, folder := range []string{"/run/systemd/system", "/etc/systemd/system"} {
		for _, pattern := range []string{"/*.wants/*", "/*.requires/*", "/*.upholds/*", "/*"} {
			links, err := at.glob(folder + pattern)
			if err != nil {
				return nil, err
			}
			for _, link := range links {
				target := at.link(link)
				name := path.Base(link)
				if target == "" || pattern == "/*" && target == name {
					continue
				}
				if pattern == "/*" { // an alias enables what it leads to
					name = target
				}
				names[name], names[templateOf(name)] = folder, folder
				if !strings.Contains(target, "@") {
					names[target] = folder
				}
			}
		}
	}
	return names, nil
}

// templateOf is the template of an instance: getty@.service of
// getty@tty1.service.
func templateOf(name string) string {
	before, after, ok := strings.Cut(name, "@")
	if !ok {
		return name
	}
	return before + "@" + path.Ext(after)
}

// unitState says what systemctl says of a unit file.
func unitState(at tree, name, file string, enabled map[string]string) (string, error) {
	real := at.at(file)
	if target, err := os.Readlink(real); err == nil {
		if target == os.DevNull {
			return "masked", nil
		}
		if path.Base(target) != name {
			return "alias", nil
		}
	}
	info, err := os.Stat(real)
	if err != nil || info.IsDir() {
		return "", nil // a link to nothing, or gone meanwhile
	}
	if info.Size() == 0 {
		return "masked", nil
	}
	text, err := at.text(file)
	if err != nil {
		return "", err
	}
	all := iniSettings(text)
	by := enabled[name]
	if by != "" && strings.Contains(name, "@.") { // of a template the default instance counts
		instance := strings.Replace(name, "@.", "@"+lastValue(all, "Install", "DefaultInstance")+".", 1)
		if instance == name || enabled[instance] == "" {
			return "indirect", nil
		}
	}
	switch by {
	case "/etc/systemd/system":
		return "enabled", nil
	case "/run/systemd/system":
		return "enabled-runtime", nil
	}
	also := false
	for _, s := range all {
		if s.section != "Install" {
			continue
		}
		switch s.key {
		case "WantedBy", "RequiredBy", "UpheldBy", "Alias":
			return "disabled", nil
		case "Also":
			also = true
		}
	}
	if also {
		return "indirect", nil
	}
	return "static", nil
}

func serviceUnits(_ context.Context, at tree) ([][]string, error) {
	all, err := unitFiles(at)
	if err == nil && all == nil {
		err = unknown("list of units", "there is no systemd")
	}
	var rows [][]string
	for _, u := range all {
		rows = append(rows, []string{u.name, u.state, u.file})
	}
	return rows, err
}

func startMode(state string) string {
	switch state {
	case "enabled", "enabled-runtime":
		return startAutomatic
	case "masked":
		return startDisabled
	}
	return startManual
}

// allServices tells the services of the manager that is there, as services
// does for those that run.
func allServices(ctx context.Context, at tree) ([][]string, error) {
	running, err := services(ctx, at)
	if err != nil {
		return nil, err
	}
	runs := map[string]bool{}
	for _, row := range running {
		runs[row[0]] = true
	}
	var rows [][]string
	note := func(name, mode, manager string) {
		state := "Stopped"
		if runs[name] {
			state = "Running"
		}
		rows = append(rows, []string{name, state, mode, manager})
	}
	switch {
	case isFolder(at.at("run/systemd/system")):
		all, err := unitFiles(at)
		if err != nil {
			return nil, err
		}
		for _, u := range all {
			if name, ok := strings.CutSuffix(u.name, ".service"); ok && u.state != "alias" && !strings.HasSuffix(name, "@") {
				note(name, startMode(u.state), "systemd")
				delete(runs, name)
			}
		}
		for name := range runs { // instances, and units that programs have made
			rows = append(rows, []string{name, "Running", startManual, "systemd"})
		}
	case isFolder(at.at("run/openrc/started")):
		err = scripts(at, "/etc/runlevels/*/", func(name, mode string) { note(name, mode, "OpenRC") })
	default:
		err = scripts(at, "/etc/rc[2-5].d/S[0-9][0-9]", func(name, mode string) { note(name, mode, "init.d") })
	}
	return uniqueRows(rows), err
}

// scripts calls visit for the start scripts, which are started automatically
// if a link of their name follows a prefix.
func scripts(at tree, prefix string, visit func(name, mode string)) error {
	names, err := at.names("etc/init.d")
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := os.Stat(at.at("etc/init.d/" + name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			continue
		}
		links, err := at.glob(prefix + name)
		if err != nil {
			return err
		}
		if links != nil {
			visit(name, startAutomatic)
		} else {
			visit(name, startManual)
		}
	}
	return nil
}

func serviceState(ctx context.Context, at tree, params []string) ([][]string, error) {
	wanted, err := newWildcard(params[0])
	if err != nil {
		return nil, err
	}
	all, err := allServices(ctx, at)
	var rows [][]string
	for _, row := range all {
		if wanted.matches(row[0]) {
			rows = append(rows, row[:3])
		}
	}
	return rows, err
}

// readUnit reads a unit file and what others add to it: files in folders of its
// name and ".d", in the order of their names.
func readUnit(at tree, u unit) ([]setting, error) {
	text, err := at.text(u.file)
	if err != nil {
		return nil, err
	}
	all := unitSettings(text)
	var folders []string
	for _, folder := range unitFolders {
		folders = append(folders, path.Join(folder, u.name+".d"))
	}
	more, err := confFiles(at, ".conf", folders...)
	if err != nil {
		return nil, err
	}
	for _, file := range more {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		all = append(all, unitSettings(text)...)
	}
	return all, nil
}

func unitSettings(text string) []setting {
	var b strings.Builder
	for _, line := range logicalLines(text) {
		b.WriteString(line + "\n")
	}
	return iniSettings(b.String())
}

// valuesOf are the values of a key; an empty one makes those before it void.
func valuesOf(all []setting, section, key string) []string {
	var values []string
	for _, s := range all {
		switch {
		case s.section != section || s.key != key:
		case s.value == "":
			values = nil
		default:
			values = append(values, strings.Join(strings.Fields(s.value), " "))
		}
	}
	return values
}

func lastValue(all []setting, section, key string) string {
	values := valuesOf(all, section, key)
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// rowsOfUnits makes rows of the unit files of a kind that are not masked.
func rowsOfUnits(at tree, kind string, rows func(unit, []setting) [][]string) ([][]string, error) {
	all, err := unitFiles(at)
	if err != nil {
		return nil, err
	}
	var out [][]string
	for _, u := range all {
		if path.Ext(u.name) != kind || u.state == "masked" || u.state == "alias" {
			continue
		}
		settings, err := readUnit(at, u)
		if err != nil {
			return nil, err
		}
		out = append(out, rows(u, settings)...)
	}
	return uniqueRows(out), nil
}

func servicePrograms(_ context.Context, at tree) ([][]string, error) {
	return rowsOfUnits(at, ".service", func(u unit, all []setting) [][]string {
		user := lastValue(all, "Service", "User")
		if user == "" {
			user = "root"
			if yes := lastValue(all, "Service", "DynamicUser"); yes == "yes" || yes == "true" {
				user = "[made for it]"
			}
		}
		var rows [][]string
		for _, command := range valuesOf(all, "Service", "ExecStart") {
			rows = append(rows, []string{strings.TrimSuffix(u.name, ".service"), strings.TrimLeft(command, "-@:+!"), user})
		}
		return rows
	})
}

func serviceOverrides(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, folder := range unitFolders[:2] {
		files, err := at.glob(folder + "/*.d/*.conf")
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			rows = append(rows, []string{strings.TrimSuffix(path.Base(path.Dir(file)), ".d"), "Addition", file})
		}
		names, err := at.names(folder)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			file := path.Join(folder, name)
			if !slices.Contains(unitKinds, path.Ext(name)) {
				continue
			}
			shipped := slices.ContainsFunc(unitFolders[2:], func(f string) bool { return at.has(path.Join(f, name)) })
			target, err := os.Readlink(at.at(file))
			switch {
			case err == nil && target == os.DevNull:
				rows = append(rows, []string{name, "Mask", file})
			case err != nil && shipped:
				rows = append(rows, []string{name, "Replacement", file})
			}
		}
	}
	return uniqueRows(rows), nil
}

func socketActivation(_ context.Context, at tree) ([][]string, error) {
	return rowsOfUnits(at, ".socket", func(u unit, all []setting) [][]string {
		starts := lastValue(all, "Socket", "Service")
		if starts == "" {
			starts = strings.TrimSuffix(u.name, ".socket") + ".service"
		}
		var rows [][]string
		for _, key := range []string{"ListenStream", "ListenDatagram", "ListenSequentialPacket", "ListenFIFO", "ListenNetlink", "ListenSpecial", "ListenMessageQueue"} {
			for _, where := range valuesOf(all, "Socket", key) {
				rows = append(rows, []string{u.name, where, starts})
			}
		}
		return rows
	})
}

// serviceProcesses goes by the control groups of services.
func (p *Probe) serviceProcesses(ctx context.Context) ([][]string, error) {
	at := p.root
	if !isFolder(at.at("run/systemd/system")) {
		return nil, unknown("list of services' processes", "systemd does not run")
	}
	all, err := p.programs(ctx)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, proc := range all {
		text, err := at.text("proc/" + strconv.Itoa(proc.pid) + "/cgroup")
		if err != nil {
			if gone(err) || passedOver(err) {
				continue
			}
			return nil, err
		}
		if service := serviceOf(text); service != "" {
			rows = append(rows, []string{service, strconv.Itoa(proc.pid), proc.name})
		}
	}
	return uniqueRows(rows), nil
}

// serviceOf reads /proc/PID/cgroup: the outermost group of a service in which
// the process is. Services of a person's own manager are that manager's.
func serviceOf(text string) string {
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || f[1] != "" && f[1] != "name=systemd" {
			continue
		}
		for part := range strings.SplitSeq(f[2], "/") {
			if name, ok := strings.CutSuffix(part, ".service"); ok {
				return strings.TrimPrefix(name, "_")
			}
		}
	}
	return ""
}
