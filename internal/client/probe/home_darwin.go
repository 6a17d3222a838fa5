package probe

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

// machineTree is the tree of the machine on which we run.
const machineTree tree = "/"

// families are the sensors of this platform.
func (p *Probe) families() []map[string]fact {
	return append(p.everywhere(), p.memoryFacts(), p.gopsutilFacts(), p.unixFileFacts(), p.macFacts())
}

func (p *Probe) macFacts() map[string]fact {
	return map[string]fact{
		"Operating System":       text(operatingSystem),
		"OS Version":             text(func() (string, error) { return unix.Sysctl("kern.osproductversion") }),
		"Domain Name":            p.textIn(domainName),
		"Kernel Parameter":       with(1, kernelParameter),
		"Crash Dumps":            p.tableIn(crashDumps),
		"Load Average":           table(loadAverage),
		"Is Virtual":             text(isVirtual),
		"Model":                  text(model),
		"Printers":               p.tableIn(cupsPrinters),
		"User Exists":            p.withIn(1, userExists),
		"Sudo Rules":             p.tableIn(func(_ context.Context, at tree) ([][]string, error) { return sudoRows(at) }),
		"Home Folders":           p.tableIn(homeFolders),
		"Logged In Users":        list(loggedInUsers),
		"Login Sessions":         table(loginSessions),
		"SSH Authorized Keys":    p.tableIn(authorizedKeys),
		"SSH Private Keys":       p.tableIn(privateKeys),
		"Installed Applications": p.tableIn(applications),
		"Scheduled Tasks":        p.tableIn(scheduledTasks),
		"Startup Programs":       p.tableIn(startupPrograms),
	}
}

// homes are the folders of people, who are named after them, and of root.
func homes(at tree) ([]home, error) {
	names, err := at.names("Users")
	out := []home{{"root", "/var/root"}}
	for _, name := range names {
		if folder := "/Users/" + name; name != "Shared" && !strings.HasPrefix(name, ".") && isFolder(at.at(folder)) {
			out = append(out, home{name, folder})
		}
	}
	return out, err
}

// userNames are the accounts of the system's own list, and people by whose home
// folders are theirs: a directory that the client does not ask knows them all.
func (p *Probe) userNames() userNames {
	b, err := p.root.read("etc/passwd")
	if err != nil {
		return nil
	}
	names := namesOf(parsePasswd(string(b)))
	all, err := homes(p.root)
	if err != nil {
		return names
	}
	for _, h := range all {
		var st unix.Stat_t
		if unix.Stat(p.root.at(h.folder), &st) == nil {
			if uid := idText(st.Uid); names[uid] == "" {
				names[uid] = h.user
			}
		}
	}
	return names
}

func homeFolders(_ context.Context, at tree) ([][]string, error) {
	all, err := homes(at)
	var rows [][]string
	for _, h := range all {
		var st unix.Stat_t
		if err := unix.Stat(at.at(h.folder), &st); err != nil {
			continue // kept from us
		}
		rows = append(rows, []string{h.user, h.folder, idText(st.Uid), modeText(uint32(st.Mode))})
	}
	return rows, err
}

func userExists(_ context.Context, at tree, params []string) ([][]string, error) {
	b, err := at.read("etc/passwd")
	if err != nil {
		return nil, err
	}
	all, err := homes(at)
	if err != nil {
		return nil, err
	}
	for _, a := range parsePasswd(string(b)) {
		all = append(all, home{user: a.name})
	}
	for _, h := range all {
		if h.user == params[0] {
			return [][]string{{yesNo(true)}}, nil
		}
	}
	return [][]string{{yesNo(false)}}, nil
}

func domainName(at tree) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", err
	}
	if _, domain, ok := strings.Cut(host, "."); ok && domain != "local" {
		return domain, nil
	}
	text, err := at.text("etc/resolv.conf")
	if err != nil {
		return "", err
	}
	if domains := searchDomains(text); len(domains) > 0 {
		return domains[0], nil
	}
	return "", unknown("domain", "neither the host's name nor its resolver tells it")
}

// kernelParameter reads a parameter of the kernel, a text or a number.
func kernelParameter(_ context.Context, params []string) ([][]string, error) {
	name := strings.ReplaceAll(strings.TrimSpace(params[0]), "/", ".")
	raw, err := unix.SysctlRaw(name)
	if err != nil {
		return nil, fault.New(fault.NotFound, "the parameter %q: %w", name, err)
	}
	if n := len(raw); n > 0 && (n > 8 || raw[n-1] == 0 && isText(raw[:n-1])) && n != 4 {
		return [][]string{{strings.TrimRight(string(raw), "\x00")}}, nil
	}
	if n, err := unix.SysctlUint32(name); err == nil {
		return [][]string{{strconv.FormatUint(uint64(n), 10)}}, nil
	}
	n, err := unix.SysctlUint64(name)
	return [][]string{{strconv.FormatUint(n, 10)}}, err
}

func crashDumps(ctx context.Context, at tree) ([][]string, error) {
	folders := []string{"/Library/Logs/DiagnosticReports", "/cores"}
	all, err := homes(at)
	if err != nil {
		return nil, err
	}
	for _, h := range all {
		folders = append(folders, path.Join(h.folder, "Library/Logs/DiagnosticReports"))
	}
	return crashesIn(ctx, at, folders, "*.ips", "*.crash", "*.panic", "core.*")
}

func loadAverage(ctx context.Context) ([][]string, error) {
	avg, err := load.AvgWithContext(ctx)
	if err != nil {
		return nil, err
	}
	row := make([]string, 0, 3)
	for _, n := range []float64{avg.Load1, avg.Load5, avg.Load15} {
		row = append(row, strconv.FormatFloat(n, 'f', 2, 64))
	}
	return [][]string{row}, nil
}

func loginSessions(ctx context.Context) ([][]string, error) {
	all, err := host.UsersWithContext(ctx)
	if os.IsNotExist(err) {
		return nil, unknown("list of sessions", "the system keeps no record of them")
	}
	var rows [][]string
	for _, s := range all {
		rows = append(rows, []string{s.User, s.Terminal, s.Host, unixDate(int64(s.Started))})
	}
	return uniqueRows(rows), err
}

// agents are where launchd finds what it starts with the system, and when
// somebody logs in.
var agents = []string{"/Library/LaunchDaemons", "/Library/LaunchAgents"}

// jobsOfLaunchd calls visit for what launchd is to start.
func jobsOfLaunchd(at tree, visit func(file, label, command, user string, timed bool)) error {
	folders := map[string]string{}
	for _, folder := range agents {
		folders[folder] = ""
	}
	all, err := homes(at)
	if err != nil {
		return err
	}
	for _, h := range all {
		folders[path.Join(h.folder, "Library/LaunchAgents")] = h.user
	}
	for folder, user := range folders {
		files, err := at.glob(folder + "/*.plist")
		if err != nil {
			return err
		}
		for _, file := range files {
			b, err := smallFile(at.at(file), bundleInfoMax)
			if err != nil {
				continue // kept from us, or gone meanwhile
			}
			about := plistTexts(b)
			command := about["Program"]
			if command == "" {
				command = firstArgument(string(b))
			}
			if about["UserName"] != "" {
				user = about["UserName"]
			}
			timed := strings.Contains(string(b), "StartCalendarInterval") || strings.Contains(string(b), "StartInterval")
			visit(file, about["Label"], command, user, timed)
		}
	}
	return nil
}

// firstArgument is the first text after the key ProgramArguments of a property
// list in XML.
func firstArgument(text string) string {
	_, rest, ok := strings.Cut(text, "<key>ProgramArguments</key>")
	_, rest, ok2 := strings.Cut(rest, "<string>")
	argument, _, ok3 := strings.Cut(rest, "</string>")
	if !ok || !ok2 || !ok3 {
		return ""
	}
	return argument
}

func scheduledTasks(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	text, err := at.text("etc/crontab")
	if err != nil {
		return nil, err
	}
	for _, j := range cronJobs(text, "", true) {
		rows = append(rows, []string{"", j.schedule, j.user, j.command, "/etc/crontab"})
	}
	names, err := at.names("usr/lib/cron/tabs")
	if err != nil && !passedOver(err) {
		return nil, err
	}
	for _, name := range names {
		file := "/usr/lib/cron/tabs/" + name
		text, err := at.text(file)
		if err != nil {
			continue // kept from us
		}
		for _, j := range cronJobs(text, name, false) {
			rows = append(rows, []string{"", j.schedule, j.user, j.command, file})
		}
	}
	err = jobsOfLaunchd(at, func(file, label, command, user string, timed bool) {
		if timed {
			rows = append(rows, []string{label, "launchd", user, command, file})
		}
	})
	return uniqueRows(rows), err
}

func startupPrograms(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	err := jobsOfLaunchd(at, func(file, label, command, user string, timed bool) {
		if !timed {
			if label == "" {
				label = filepath.Base(file)
			}
			rows = append(rows, []string{label, command, user, file})
		}
	})
	return uniqueRows(rows), err
}
