package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/windows/registry"
)

// applications returns what installers have written down for all users, those
// of 64-bit programs and those of 32-bit ones.
func applications(ctx context.Context, _ tree) ([][]string, error) {
	const path = `SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall`
	var rows [][]string
	for _, view := range []struct {
		access       uint32
		architecture string
	}{{registry.WOW64_64KEY, "64-bit"}, {registry.WOW64_32KEY, "32-bit"}} {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("reading the applications stopped: %w", context.Cause(ctx))
		}
		found, err := uninstallers(path, view.access, view.architecture)
		if err != nil {
			return nil, fmt.Errorf("the installed applications: %w", err)
		}
		rows = append(rows, found...)
	}
	slices.SortFunc(rows, slices.Compare)
	return slices.CompactFunc(rows, slices.Equal), nil
}

func uninstallers(path string, view uint32, architecture string) ([][]string, error) {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.ENUMERATE_SUB_KEYS|view)
	if errors.Is(err, registry.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer key.Close()
	names, err := key.ReadSubKeyNames(-1)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, name := range names {
		row, err := uninstaller(path+`\`+name, view, architecture)
		if err != nil {
			return nil, err
		}
		if row != nil {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// uninstaller reads one entry. It is nil for a part of the system or of
// another application, which the system's own list does not show either.
func uninstaller(path string, view uint32, architecture string) ([]string, error) {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE|view)
	if errors.Is(err, registry.ErrNotExist) { // removed meanwhile
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer key.Close()
	if part, _, err := key.GetIntegerValue("SystemComponent"); err == nil && part == 1 {
		return nil, nil
	}
	name, _, err := key.GetStringValue("DisplayName")
	if err != nil || name == "" {
		return nil, nil
	}
	version, _, err := key.GetStringValue("DisplayVersion")
	if err != nil {
		version = "" // many have none
	}
	return []string{name, version, architecture, "Windows"}, nil
}
