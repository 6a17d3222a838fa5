package probe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"catenary/internal/fault"
)

const (
	walkMax   = 2_000_000 // entries of a folder and all below it
	walkCheck = 256       // entries between two looks at the context
	globMax   = 10_000    // paths that a pattern may stand for
	namesMax  = 1_000_000 // names that are held against a pattern
)

// walk calls visit for what lies in a folder and below it, up to limit entries.
// It follows no links and stays on the folder's file system, so that it comes
// neither to /proc nor to other machines. Folders that may not be read are
// passed over. It reports whether it has seen everything.
func walk(ctx context.Context, folder string, limit int, visit func(path string, e fs.DirEntry) error) (complete bool, err error) {
	top, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return false, pathError(err)
	}
	info, err := os.Stat(top)
	if err != nil {
		return false, pathError(err)
	}
	if !info.IsDir() {
		return false, fault.New(fault.Invalid, "%s is not a folder", folder)
	}
	device, seen := deviceOf(info), 0
	err = filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if path == top {
			return err
		}
		if seen++; seen > limit {
			return errEnough
		}
		if seen%walkCheck == 0 {
			if err := stoppedIf(ctx, "reading "+folder); err != nil {
				return err
			}
		}
		if err != nil { // of a folder that was visited before
			return fs.SkipDir
		}
		if e.IsDir() {
			info, err := e.Info()
			if err != nil || deviceOf(info) != device {
				return fs.SkipDir
			}
		}
		return visit(path, e)
	})
	switch {
	case errors.Is(err, errEnough):
		return false, nil
	case err != nil:
		return false, pathError(err)
	}
	return true, stoppedIf(ctx, "reading "+folder)
}

// A globber finds the paths that match a pattern, folder by folder.
type globber struct {
	ctx   context.Context
	parts []string
	found []string
	names int // held against the pattern so far
}

// glob returns the paths that match a pattern, in the order of their names. A
// pattern that stands for too much is refused.
func glob(ctx context.Context, pattern string) ([]string, error) {
	volume := filepath.VolumeName(pattern)
	separator := string(filepath.Separator)
	g := globber{ctx: ctx, parts: strings.Split(strings.Trim(filepath.ToSlash(pattern[len(volume):]), "/"), "/")}
	for _, part := range g.parts {
		if _, err := filepath.Match(part, ""); err != nil || part == ".." {
			return nil, fault.New(fault.Invalid, "%q is no pattern of a path", pattern)
		}
	}
	err := g.look(volume+separator, 0)
	return g.found, err
}

func (g *globber) look(folder string, i int) error {
	if i == len(g.parts) {
		if len(g.found) == globMax {
			return fault.New(fault.Invalid, "the pattern stands for more than %d paths", globMax)
		}
		g.found = append(g.found, filepath.Clean(folder))
		return nil
	}
	part := g.parts[i]
	if !strings.ContainsAny(part, `*?[\`) {
		path := filepath.Join(folder, part)
		if _, err := os.Lstat(path); err != nil {
			return nil // nothing there, or nothing for us
		}
		return g.look(path, i+1)
	}
	names, err := entries(folder)
	if err != nil { // not a folder, or one that may not be read
		return nil
	}
	for _, name := range names {
		if g.names++; g.names > namesMax {
			return fault.New(fault.Invalid, "the pattern makes the client look at more than %d names", namesMax)
		}
		if g.names%walkCheck == 0 {
			if err := stoppedIf(g.ctx, "looking for the pattern"); err != nil {
				return err
			}
		}
		if ok, err := filepath.Match(part, name); err != nil || !ok { // glob has checked the pattern
			continue
		}
		if err := g.look(filepath.Join(folder, name), i+1); err != nil {
			return err
		}
	}
	return nil
}
