package probe

import (
	"context"
	"encoding/json"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	extensionsMax = 10_000   // of all browsers of all users
	messagesMax   = 16 << 20 // bytes of Firefox's list of extensions
	manifestBytes = 4 << 20  // of an extension's description
)

// softwareFacts are told of software on every platform.
func (p *Probe) softwareFacts() map[string]fact {
	return map[string]fact{
		"Application Count":     textOf(p.applicationCount),
		"Application Installed": with(1, p.applicationInstalled),
		"Application Version":   with(1, p.applicationRows),
		"Dotnet Runtimes":       p.tableIn(dotnetRuntimes),
		"Browser Extensions":    p.tableIn(browserExtensions),
	}
}

var dotnetFolders = []string{
	"/usr/share/dotnet/shared", "/usr/lib/dotnet/shared", "/usr/lib64/dotnet/shared", "/usr/local/share/dotnet/shared",
	"/opt/dotnet/shared", "/Program Files/dotnet/shared", "/Program Files (x86)/dotnet/shared",
}

func dotnetRuntimes(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, folder := range dotnetFolders {
		versions, err := at.glob(folder + "/*/*")
		if err != nil {
			return nil, err
		}
		for _, path := range versions {
			rows = append(rows, []string{filepath.Base(filepath.Dir(path)), filepath.Base(path)})
		}
	}
	return uniqueRows(rows), nil
}

// browsers that keep their extensions as Chrome does, and where they keep
// their profiles in a home folder.
var browsers = []struct{ name, folder string }{
	{"Chrome", ".config/google-chrome"}, {"Chromium", ".config/chromium"}, {"Chromium", "snap/chromium/common/chromium"},
	{"Edge", ".config/microsoft-edge"}, {"Brave", ".config/BraveSoftware/Brave-Browser"},
	{"Chrome", "Library/Application Support/Google/Chrome"}, {"Chromium", "Library/Application Support/Chromium"},
	{"Edge", "Library/Application Support/Microsoft Edge"}, {"Brave", "Library/Application Support/BraveSoftware/Brave-Browser"},
	{"Chrome", "AppData/Local/Google/Chrome/User Data"}, {"Chromium", "AppData/Local/Chromium/User Data"},
	{"Edge", "AppData/Local/Microsoft/Edge/User Data"}, {"Brave", "AppData/Local/BraveSoftware/Brave-Browser/User Data"},
}

// firefoxFolders are where Firefox keeps its profiles in a home folder.
var firefoxFolders = []string{
	".mozilla/firefox", "snap/firefox/common/.mozilla/firefox", "Library/Application Support/Firefox/Profiles", "AppData/Roaming/Mozilla/Firefox/Profiles",
}

func browserExtensions(ctx context.Context, at tree) ([][]string, error) {
	all, err := homes(at)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, h := range all {
		if err := stoppedIf(ctx, "reading the browsers' profiles"); err != nil {
			return nil, err
		}
		for _, b := range browsers {
			manifests, err := at.glob(path.Join(filepath.ToSlash(h.folder), b.folder, "*/Extensions/*/*/manifest.json"))
			if err != nil {
				return nil, err
			}
			for _, file := range manifests {
				if name, version, ok := extension(at, file); ok {
					id := filepath.Base(filepath.Dir(filepath.Dir(file)))
					rows = append(rows, []string{h.user, b.name, name, version, id})
				}
			}
		}
		more, err := firefoxExtensions(at, h)
		if err != nil {
			return nil, err
		}
		if rows = append(rows, more...); len(rows) > extensionsMax {
			rows = rows[:extensionsMax]
		}
	}
	return uniqueRows(rows), nil
}

// extension reads the description of an extension of Chrome and its kin. Its
// name may stand in a list of texts for each language.
func extension(at tree, manifest string) (name, version string, ok bool) {
	b, err := smallFile(at.at(manifest), manifestBytes)
	if err != nil {
		return "", "", false
	}
	var about struct {
		Name, Version string
		DefaultLocale string `json:"default_locale"`
	}
	if err := json.Unmarshal(b, &about); err != nil || about.Name == "" {
		return "", "", false
	}
	key, isKey := strings.CutPrefix(about.Name, "__MSG_")
	if !isKey || strings.ContainsAny(about.DefaultLocale, `/\`) {
		return about.Name, about.Version, true
	}
	key = strings.TrimSuffix(key, "__")
	b, err = smallFile(at.at(filepath.Join(filepath.Dir(manifest), "_locales", about.DefaultLocale, "messages.json")), manifestBytes)
	var messages map[string]struct{ Message string }
	if err == nil && json.Unmarshal(b, &messages) == nil {
		for k, m := range messages {
			if strings.EqualFold(k, key) {
				return m.Message, about.Version, true
			}
		}
	}
	return about.Name, about.Version, true
}

func firefoxExtensions(at tree, h home) ([][]string, error) {
	var rows [][]string
	for _, folder := range firefoxFolders {
		files, err := at.glob(path.Join(filepath.ToSlash(h.folder), folder, "*/extensions.json"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			b, err := smallFile(at.at(file), messagesMax)
			if err != nil {
				continue // its user's matter
			}
			var list struct {
				Addons []struct {
					ID, Version, Type string
					DefaultLocale     struct{ Name string }
				}
			}
			if err := json.Unmarshal(b, &list); err != nil {
				continue // half written
			}
			for _, a := range list.Addons {
				if a.Type == "extension" {
					rows = append(rows, []string{h.user, "Firefox", a.DefaultLocale.Name, a.Version, a.ID})
				}
			}
		}
	}
	return rows, nil
}

func (p *Probe) applicationCount(ctx context.Context) (string, error) {
	rows, err := applications(ctx, p.root)
	return strconv.Itoa(len(rows)), err
}

// applicationRows are the applications of a name, with their versions.
func (p *Probe) applicationRows(ctx context.Context, params []string) ([][]string, error) {
	wanted, err := newWildcard(params[0])
	if err != nil {
		return nil, err
	}
	all, err := applications(ctx, p.root)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, row := range all {
		if wanted.matches(row[0]) {
			rows = append(rows, row[:2])
		}
	}
	return uniqueRows(rows), nil
}

func (p *Probe) applicationInstalled(ctx context.Context, params []string) ([][]string, error) {
	rows, err := p.applicationRows(ctx, params)
	if err != nil {
		return nil, err
	}
	return [][]string{{yesNo(len(rows) > 0)}}, nil
}
