//go:build unix

package probe

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
)

const manifestMax = 1 << 20 // bytes of a description of a package that are read

// pythonFolders are where Python packages for everybody lie.
var pythonFolders = []string{
	"/usr/lib/python3*/dist-packages", "/usr/lib/python3*/site-packages", "/usr/lib64/python3*/site-packages",
	"/usr/local/lib/python3*/dist-packages", "/usr/local/lib/python3*/site-packages", "/usr/local/lib64/python3*/site-packages",
	"/usr/lib/python2*/dist-packages", "/usr/lib/python2*/site-packages", "/opt/homebrew/lib/python3*/site-packages",
	"/Library/Frameworks/Python.framework/Versions/*/lib/python3*/site-packages",
}

func pythonPackages(ctx context.Context, at tree) ([][]string, error) {
	var rows [][]string
	err := inFolders(ctx, at, pythonFolders, func(folder, name string) error {
		file := ""
		switch {
		case strings.HasSuffix(name, ".dist-info"):
			file = name + "/METADATA"
		case strings.HasSuffix(name, ".egg-info"):
			if file = name; isFolder(at.at(filepath.Join(folder, name))) {
				file = name + "/PKG-INFO"
			}
		default:
			return nil
		}
		text, err := smallText(at.at(filepath.Join(folder, file)), manifestMax)
		if err != nil {
			return err
		}
		if name, version := pythonMetadata(text); name != "" {
			rows = append(rows, []string{name, version, folder})
		}
		return nil
	})
	return uniqueRows(rows), err
}

// inFolders calls visit for each name in the folders that match patterns. What
// vanishes meanwhile or cannot be read is passed over.
func inFolders(ctx context.Context, at tree, patterns []string, visit func(folder, name string) error) error {
	for _, pattern := range patterns {
		folders, err := at.glob(pattern)
		if err != nil {
			return err
		}
		for _, folder := range folders {
			names, err := at.names(folder)
			if err != nil && !passedOver(err) {
				return err
			}
			for _, name := range names {
				if err := stoppedIf(ctx, "reading "+folder); err != nil {
					return err
				}
				if err := visit(folder, name); err != nil && !passedOver(err) {
					return err
				}
			}
		}
	}
	return nil
}

// pythonMetadata reads the head of a package's description, lines of "Name:
// value" up to an empty one.
func pythonMetadata(text string) (name, version string) {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if strings.TrimSpace(line) == "" {
			break
		}
		switch value = strings.TrimSpace(value); {
		case ok && key == "Name" && name == "":
			name = value
		case ok && key == "Version" && version == "":
			version = value
		}
	}
	return name, version
}

var nodeFolders = []string{"/usr/lib/node_modules", "/usr/local/lib/node_modules", "/usr/share/nodejs", "/opt/homebrew/lib/node_modules"}

func nodePackages(ctx context.Context, at tree) ([][]string, error) {
	patterns := nodeFolders
	for _, folder := range nodeFolders {
		patterns = append(patterns, folder+"/@*") // packages of one publisher
	}
	var rows [][]string
	err := inFolders(ctx, at, patterns, func(folder, name string) error {
		b, err := smallFile(at.at(filepath.Join(folder, name, "package.json")), manifestMax)
		if err != nil {
			return err
		}
		var manifest struct{ Name, Version string }
		if err := json.Unmarshal(b, &manifest); err == nil && manifest.Name != "" { // broken ones are not installed by anyone
			rows = append(rows, []string{manifest.Name, manifest.Version, folder})
		}
		return nil
	})
	return uniqueRows(rows), err
}

var gemFolders = []string{
	"/var/lib/gems/*/specifications", "/usr/lib/ruby/gems/*/specifications", "/usr/lib/ruby/gems/*/specifications/default",
	"/usr/share/rubygems-integration/*/specifications", "/usr/local/lib/ruby/gems/*/specifications", "/usr/share/gems/specifications",
	"/usr/lib/*/rubygems-integration/*/specifications", "/Library/Ruby/Gems/*/specifications",
}

func rubyGems(ctx context.Context, at tree) ([][]string, error) {
	var rows [][]string
	err := inFolders(ctx, at, gemFolders, func(folder, file string) error {
		if name, version, ok := gemName(file); ok {
			rows = append(rows, []string{name, version, folder})
		}
		return nil
	})
	return uniqueRows(rows), err
}

// gemName takes the name of a specification apart: name-1.2.3.gemspec, perhaps
// with a platform behind the version. The version begins at the first dash
// before a digit.
func gemName(file string) (name, version string, ok bool) {
	file, ok = strings.CutSuffix(file, ".gemspec")
	for i := 1; ok && i+1 < len(file); i++ {
		if file[i] == '-' && file[i+1] >= '0' && file[i+1] <= '9' {
			return file[:i], file[i+1:], true
		}
	}
	return "", "", false
}

var javaFolders = []string{"/usr/lib/jvm/*", "/usr/java/*", "/opt/java/*", "/opt/*/jre", "/Library/Java/JavaVirtualMachines/*/Contents/Home"}

func javaRuntimes(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, pattern := range javaFolders {
		folders, err := at.glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, folder := range folders {
			text, err := at.text(filepath.Join(folder, "release"))
			if err != nil {
				if passedOver(err) {
					continue
				}
				return nil, err
			}
			if about := assignments(text); about["JAVA_VERSION"] != "" {
				rows = append(rows, []string{folder, about["JAVA_VERSION"], about["IMPLEMENTOR"]})
			}
		}
	}
	return rows, nil
}
