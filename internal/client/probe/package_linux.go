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

func applications(ctx context.Context) ([][]string, error) {
	return applicationsBelow(ctx, "/")
}

func applicationsBelow(ctx context.Context, root string) ([][]string, error) {
	var rows [][]string
	anywhere := false
	for _, d := range databases {
		all, found, err := d.read(ctx, root)
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

// parseStatus reads the paragraphs of a status file (deb-control(5)): lines of
// "Field: value", where continued lines begin with a blank and so name no field
// that is asked for here. A paragraph without a status counts as installed if
// the caller says so.
func parseStatus(text string, installed bool) []application {
	var all []application
	var a application
	here := installed
	end := func() {
		if here && a.name != "" && a.version != "" {
			all = append(all, a)
		}
		a, here = application{}, installed
	}
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			end()
			continue
		}
		field, v, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		switch v = strings.TrimSpace(v); strings.ToLower(field) {
		case "package":
			a.name = v
		case "version":
			a.version = v
		case "architecture":
			a.architecture = v
		case "status":
			here = statusInstalled(v)
		}
	}
	end()
	return all
}

// statusInstalled reads a package's status: what is wanted, whether all is
// well, and the state, which alone counts here. Packages that only wait for
// others to take notice are installed.
func statusInstalled(v string) bool {
	words := strings.Fields(v)
	if len(words) != 3 {
		return false
	}
	switch words[2] {
	case "installed", "triggers-awaited", "triggers-pending":
		return true
	}
	return false
}
