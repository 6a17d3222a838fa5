package probe

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

const (
	bundleInfoMax = 1 << 20 // bytes of an application's description; they have a few thousand
	bundleLevels  = 3       // folders below /Applications in which applications are looked for
)

// applications returns the applications in the folders where the system and
// people put them. Each is a folder that describes itself.
func applications(ctx context.Context, _ tree) ([][]string, error) {
	var rows [][]string
	for _, folder := range []string{"/Applications", "/System/Applications"} {
		found, err := bundles(ctx, folder, bundleLevels)
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	slices.SortFunc(rows, slices.Compare)
	return slices.CompactFunc(rows, slices.Equal), nil
}

func bundles(ctx context.Context, folder string, levels int) ([][]string, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("reading the applications stopped: %w", context.Cause(ctx))
	}
	all, err := folderContents(ctx, folder)
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	if err != nil { // another user's folder, or gone
		return nil, nil
	}
	var rows [][]string
	for _, entry := range all {
		name, path := entry[0], filepath.Join(folder, entry[0])
		switch {
		case entry[1] != entryFolder:
		case strings.HasSuffix(name, ".app"):
			rows = append(rows, []string{strings.TrimSuffix(name, ".app"), bundleVersion(path), "", "Applications"})
		case levels > 1:
			below, err := bundles(ctx, path, levels-1)
			if err != nil {
				return nil, err
			}
			rows = append(rows, below...)
		}
	}
	return rows, nil
}

// bundleVersion is empty for an application that does not tell its version.
func bundleVersion(bundle string) string {
	f, err := openRegular(filepath.Join(bundle, "Contents", "Info.plist"))
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, bundleInfoMax))
	if err != nil {
		return ""
	}
	info := plistTexts(b)
	if v := info["CFBundleShortVersionString"]; v != "" {
		return v
	}
	return info["CFBundleVersion"]
}
