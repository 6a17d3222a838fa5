package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// An application is something that a package database lists as installed.
type application struct {
	name, version, architecture string
}

// databases are the package databases that a Linux system may have. Several
// can be there at once: Debian has tools that fill the other's.
var databases = []struct {
	source string
	read   func(ctx context.Context, root string) (all []application, found bool, err error)
}{
	{"dpkg", dpkgPackages},
	{"rpm", rpmPackages},
}

// applications tells what the package databases list.
func applications(ctx context.Context, at tree) ([][]string, error) {
	var rows [][]string
	anywhere := false
	for _, d := range databases {
		all, found, err := d.read(ctx, string(at))
		if err != nil {
			return nil, fmt.Errorf("the packages of %s: %w", d.source, err)
		}
		anywhere = anywhere || found
		for _, a := range all {
			rows = append(rows, []string{a.name, a.version, a.architecture, d.source})
		}
	}
	if !anywhere {
		return nil, unknown("installed applications", "there is no database of dpkg or rpm")
	}
	slices.SortFunc(rows, slices.Compare)
	return slices.CompactFunc(rows, slices.Equal), nil
}

// dpkgPackages reads dpkg's status file, and the folder that images without
// dpkg have instead of it.
func dpkgPackages(_ context.Context, root string) (all []application, found bool, err error) {
	const status, folder = "var/lib/dpkg/status", "var/lib/dpkg/status.d"
	files := []string{status}
	parts, err := entries(root + "/" + folder)
	if err != nil {
		return nil, false, err
	}
	for _, part := range parts {
		if !strings.HasSuffix(part, ".md5sums") {
			files = append(files, folder+"/"+part)
		}
	}
	for _, file := range files {
		b, err := readSystem(root + "/" + file)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		found = true
		all = append(all, parseStatus(string(b), file != status)...)
	}
	return all, found, nil
}

// A debPackage is a paragraph of dpkg's status file.
type debPackage struct {
	application
	want, flag, state  string // what is wanted, whether all is well, and how it is
	kilobytes, section string
	conffiles          []string // settings that came with it
}

// installed reports whether the package's files are there. Packages that only
// wait for others to take notice are installed.
func (p debPackage) installed() bool {
	switch p.state {
	case "installed", "triggers-awaited", "triggers-pending":
		return true
	}
	return false
}

// parseStatus returns what a status file lists as installed. A paragraph
// without a status counts as installed if the caller says so.
func parseStatus(text string, installed bool) []application {
	var all []application
	for _, p := range parsePackages(text) {
		if (p.installed() || p.state == "" && installed) && p.version != "" {
			all = append(all, p.application)
		}
	}
	return all
}

// parsePackages reads paragraphs of packages (deb-control(5)): lines of "Field:
// value", where a line that begins with a blank goes on with the field above.
func parsePackages(text string) []debPackage {
	var all []debPackage
	var p debPackage
	field := ""
	end := func() {
		if p.name != "" {
			all = append(all, p)
		}
		p, field = debPackage{}, ""
	}
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			end()
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if f := strings.Fields(line); field == "conffiles" && len(f) > 0 {
				p.conffiles = append(p.conffiles, f[0])
			}
			continue
		}
		name, v, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		field = strings.ToLower(name)
		p.take(field, strings.TrimSpace(v))
	}
	end()
	return all
}

func (p *debPackage) take(field, v string) {
	switch field {
	case "package":
		p.name = v
	case "version":
		p.version = v
	case "architecture":
		p.architecture = v
	case "installed-size":
		p.kilobytes = v
	case "section":
		p.section = v
	case "status":
		if words := strings.Fields(v); len(words) == 3 {
			p.want, p.flag, p.state = words[0], words[1], words[2]
		} else {
			p.state = "unknown"
		}
	}
}
