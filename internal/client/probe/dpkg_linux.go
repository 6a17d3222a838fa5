package probe

import (
	"bytes"
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/fault"
)

const (
	dpkgFolder   = "/var/lib/dpkg"
	dpkgStatus   = dpkgFolder + "/status"
	historyLines = 1_000   // events of packages that are told
	verifyMax    = 2 << 30 // bytes of one package's files that are read again
)

func (p *Probe) packageFacts() map[string]fact {
	return map[string]fact{
		"Installed Applications": p.tableIn(applications),
		"Package Sizes":          p.tableIn(packageSizes),
		"Package of File":        p.withIn(1, packageOfFile),
		"Package Verification":   p.withIn(1, p.verifyPackage),
		"Held Packages":          p.listIn(heldPackages),
		"Broken Packages":        p.tableIn(brokenPackages),
		"Package History":        p.tableIn(packageHistory),
		"Last Software Change":   p.textIn(lastSoftwareChange),
		"Package Lists Updated":  p.textIn(listsUpdated),
		"Package Repositories":   p.tableIn(repositories),
		"Alternatives":           p.tableIn(alternatives),
		"Available Updates":      p.tableIn(availableUpdates),
		"Automatic Updates":      p.tableIn(automaticUpdates),
		"Snap Packages":          p.tableIn(snaps),
		"Flatpak Applications":   p.tableIn(flatpaks),
		"Unpackaged Processes":   table(p.unpackaged),
	}
}

// debPackages returns what dpkg knows of packages. A machine of another kind
// has none of its books.
func debPackages(at tree) ([]debPackage, error) {
	b, err := at.read(dpkgStatus)
	if absent(err) {
		return nil, unknown("state of the packages", "there is no database of dpkg")
	}
	return parsePackages(string(b)), err
}

func packageSizes(_ context.Context, at tree) ([][]string, error) {
	all, err := debPackages(at)
	var rows [][]string
	for _, p := range all {
		if p.installed() {
			rows = append(rows, []string{p.name, p.kilobytes, p.section})
		}
	}
	return uniqueRows(rows), err
}

func heldPackages(_ context.Context, at tree) ([]string, error) {
	all, err := debPackages(at)
	var names []string
	for _, p := range all {
		if p.want == "hold" {
			names = append(names, p.name)
		}
	}
	return names, err
}

func brokenPackages(_ context.Context, at tree) ([][]string, error) {
	all, err := debPackages(at)
	var rows [][]string
	for _, p := range all {
		whole := p.installed() || p.state == "not-installed" || p.state == "config-files" || p.state == ""
		if !whole || p.flag != "" && p.flag != "ok" {
			rows = append(rows, []string{p.name, strings.TrimSuffix(p.state+" "+p.flag, " ok")})
		}
	}
	return uniqueRows(rows), err
}

// packageOwners returns the packages to which each of the files belongs. Systems that
// have merged /bin with /usr/bin know files by either path.
func packageOwners(ctx context.Context, at tree, files []string) (map[string][]string, error) {
	lists, err := at.glob(dpkgFolder + "/info/*.list")
	if err != nil {
		return nil, err
	}
	if lists == nil {
		return nil, unknown("package of a file", "there is no database of dpkg")
	}
	wanted := map[string]string{} // path as a list may have it → as it was asked for
	for _, file := range files {
		wanted[file] = file
		if short, ok := strings.CutPrefix(file, "/usr"); ok {
			wanted[short] = file
		} else {
			wanted["/usr"+file] = file
		}
	}
	owners := map[string][]string{}
	for _, list := range lists {
		if err := stoppedIf(ctx, "reading the packages' files"); err != nil {
			return nil, err
		}
		b, err := at.read(list)
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(strings.TrimSuffix(path.Base(list), ".list"), ":")
		for len(b) > 0 {
			var line []byte
			line, b, _ = bytes.Cut(b, []byte{'\n'})
			if file, ok := wanted[string(line)]; ok && !slices.Contains(owners[file], name) {
				owners[file] = append(owners[file], name)
			}
		}
	}
	return owners, nil
}

func packageOfFile(ctx context.Context, at tree, params []string) ([][]string, error) {
	if err := checkPath(params[0]); err != nil {
		return nil, err
	}
	file := filepath.Clean(params[0])
	owners, err := packageOwners(ctx, at, []string{file})
	if err != nil {
		return nil, err
	}
	return oneColumn(owners[file]), nil
}

// unpackaged tells running programs that came with no package.
func (p *Probe) unpackaged(ctx context.Context) ([][]string, error) {
	all, err := p.programs(ctx)
	if err != nil {
		return nil, err
	}
	paths := map[int]string{}
	for _, proc := range all {
		if exe, err := os.Readlink(p.root.at("proc/" + strconv.Itoa(proc.pid) + "/exe")); err == nil { // else it ended or may not be seen
			paths[proc.pid] = strings.TrimSuffix(exe, " (deleted)")
		}
	}
	var files []string
	for _, file := range paths {
		files = append(files, file)
	}
	owners, err := packageOwners(ctx, p.root, files)
	if err != nil {
		return nil, err
	}
	names := p.userNames()
	var rows [][]string
	for _, proc := range all {
		if file, ok := paths[proc.pid]; ok && owners[file] == nil {
			rows = append(rows, []string{proc.name, file, names.of(proc.user)})
		}
	}
	return uniqueRows(rows), nil
}

// verifyPackage holds the files of a package against the sums that came with
// it.
func (p *Probe) verifyPackage(ctx context.Context, at tree, params []string) ([][]string, error) {
	name := strings.TrimSpace(params[0])
	if name == "" || strings.ContainsAny(name, "/*?[") {
		return nil, fault.New(fault.Invalid, "%q is no package", params[0])
	}
	all, err := debPackages(at)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(d debPackage) bool { return d.name == name && d.installed() })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "the package %q is not installed", name)
	}
	sums, err := at.glob(dpkgFolder + "/info/" + name + "*.md5sums")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	read := int64(0)
	for _, file := range sums {
		if own, _, _ := strings.Cut(strings.TrimSuffix(path.Base(file), ".md5sums"), ":"); own != name {
			continue
		}
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			want, file, ok := strings.Cut(strings.TrimRight(line, "\n"), "  ")
			if !ok {
				continue
			}
			finding, bytes := p.held(ctx, at.at(file), want)
			if read += bytes; read > verifyMax {
				return nil, fault.New(fault.Invalid, "the package's files have more than %d bytes", int64(verifyMax))
			}
			if err := stoppedIf(ctx, "reading the package's files"); err != nil {
				return nil, err
			}
			if finding != "" {
				rows = append(rows, []string{"/" + file, finding, yesNo(slices.Contains(all[i].conffiles, "/"+file))})
			}
		}
	}
	return uniqueRows(rows), nil
}

// held holds a file against its MD5. The finding is empty if it is right.
func (p *Probe) held(ctx context.Context, path, want string) (finding string, bytes int64) {
	info, err := os.Lstat(path)
	if err != nil {
		return "Missing", 0
	}
	sum, err := p.sums.of(ctx, path, md5Sum)
	if err != nil || sum != want {
		return "Changed", info.Size()
	}
	return "", info.Size()
}

// history reads dpkg's log: date, time, what was done, to which package, from
// which version, to which. It is in the machine's time.
func history(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 6 || !slices.Contains([]string{"install", "upgrade", "remove", "purge"}, f[2]) {
			continue
		}
		at, err := time.ParseInLocation(time.DateTime, f[0]+" "+f[1], time.Local)
		if err != nil {
			continue
		}
		version := f[5]
		if f[2] == "remove" || f[2] == "purge" {
			version = f[4]
		}
		name, _, _ := strings.Cut(f[3], ":")
		rows = append(rows, []string{date(at), f[2], name, strings.Trim(version, "<>")})
	}
	return rows
}

func packageEvents(at tree) ([][]string, error) {
	var rows [][]string
	for _, file := range []string{"/var/log/dpkg.log.1", "/var/log/dpkg.log"} {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		rows = append(rows, history(text)...)
	}
	return rows, nil
}

func packageHistory(_ context.Context, at tree) ([][]string, error) {
	rows, err := packageEvents(at)
	if err == nil && rows == nil && !at.has(dpkgStatus) {
		err = unknown("history of the packages", "there is no log of dpkg")
	}
	return rows[max(0, len(rows)-historyLines):], err
}

// lastSoftwareChange takes the newest line of the log, else when the database
// was written.
func lastSoftwareChange(at tree) (string, error) {
	rows, err := packageEvents(at)
	if err != nil {
		return "", err
	}
	if len(rows) > 0 {
		return rows[len(rows)-1][0], nil
	}
	newest := newestOf(at, dpkgStatus, "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages", "/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/Packages.db")
	if newest.IsZero() {
		return "", unknown("last change of the software", "there is no database of packages")
	}
	return date(newest), nil
}

// newestOf is when the newest of the files was written; zero if there is none.
func newestOf(at tree, files ...string) time.Time {
	var newest time.Time
	for _, file := range files {
		if info, err := os.Stat(at.at(file)); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}

// listsUpdated goes by the folders into which lists are fetched: the lists
// themselves bear the date of their origin.
func listsUpdated(at tree) (string, error) {
	newest := newestOf(at, "/var/lib/apt/lists", "/var/lib/apt/lists/partial", "/var/lib/apt/periodic/update-success-stamp",
		"/var/cache/dnf/last_makecache", "/var/cache/libdnf5", "/var/cache/zypp/raw")
	if newest.IsZero() {
		return "", unknown("age of the lists of packages", "there are none")
	}
	return date(newest), nil
}

// alternatives reads the system's choices. The first line of each says whether
// a person made it.
func alternatives(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, folder := range []string{dpkgFolder + "/alternatives", "/var/lib/alternatives"} {
		names, err := at.names(folder)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			text, err := at.text(folder + "/" + name)
			if err != nil {
				return nil, err
			}
			mode, _, _ := strings.Cut(text, "\n")
			target, err := os.Readlink(at.at("etc/alternatives/" + name))
			if err == nil && (mode == "auto" || mode == "manual") {
				rows = append(rows, []string{name, mode, target})
			}
		}
	}
	return uniqueRows(rows), nil
}

// snaps reads what snapd has mounted: a link "current" leads to the revision
// that is in use.
func snaps(_ context.Context, at tree) ([][]string, error) {
	links, err := at.glob("/snap/*/current")
	if err != nil {
		return nil, err
	}
	more, err := at.glob("/var/lib/snapd/snap/*/current")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, link := range append(links, more...) {
		text, err := at.text(link + "/meta/snap.yaml")
		if err != nil {
			return nil, err
		}
		rows = append(rows, []string{path.Base(path.Dir(link)), at.link(link), yamlField(text, "version")})
	}
	return uniqueRows(rows), nil
}

// yamlField is a text at the top of a YAML file that has it on one line.
func yamlField(text, field string) string {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return unquote(strings.TrimSpace(v))
		}
	}
	return ""
}

func flatpaks(_ context.Context, at tree) ([][]string, error) {
	found, err := at.glob("/var/lib/flatpak/app/*/*/*")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, folder := range found {
		branch, above := path.Base(folder), path.Dir(folder)
		if architecture := path.Base(above); architecture != "current" && branch != "active" { // a link to one of the others
			rows = append(rows, []string{path.Base(path.Dir(above)), branch, architecture})
		}
	}
	return rows, nil
}
