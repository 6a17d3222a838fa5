package probe

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/fault"
)

const (
	searchMax    = 1_000   // files that a search names
	largeMax     = 100     // largest files that are named
	hashesMax    = 1_000   // files of one pattern that are hashed
	hashesBytes  = 4 << 30 // bytes of them together
	hoursMax     = 24 * 366
	megabytesMax = 1 << 30
	crashesMax   = 1_000 // files of crashes that are told
	sha256Length = 64    // characters
)

// A finding is a file that a search has come upon.
type finding struct {
	path     string
	size     int64
	modified time.Time
	folder   bool
}

// row tells size and date; a folder has no size of its own.
func (f finding) row() []string {
	bytes := strconv.FormatInt(f.size, 10)
	if f.folder {
		bytes = ""
	}
	return []string{f.path, bytes, date(f.modified)}
}

func findingOf(path string, info fs.FileInfo) finding {
	return finding{path, info.Size(), info.ModTime(), info.IsDir()}
}

func matchingFiles(ctx context.Context, pattern string) ([][]string, error) {
	paths, err := glob(ctx, pattern)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil {
			continue // gone meanwhile
		}
		rows = append(rows, findingOf(path, info).row())
	}
	return rows, nil
}

func (p *Probe) matchingHashes(ctx context.Context, pattern string) ([][]string, error) {
	paths, err := glob(ctx, pattern)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	bytes := int64(0)
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if bytes += info.Size(); len(rows) == hashesMax || bytes > hashesBytes {
			return nil, fault.New(fault.Invalid, "the pattern stands for more than %d files or %d bytes", hashesMax, int64(hashesBytes))
		}
		sum, err := p.sums.of(ctx, path, sha256Sum)
		if err != nil {
			if passedOver(err) {
				continue
			}
			return nil, err
		}
		rows = append(rows, []string{path, sum})
	}
	return rows, nil
}

func findFiles(ctx context.Context, folder string, params []string) ([][]string, error) {
	wanted, err := newWildcard(params[0])
	if err != nil {
		return nil, err
	}
	var rows [][]string
	_, err = walk(ctx, folder, walkMax, func(path string, e fs.DirEntry) error {
		if !wanted.matches(e.Name()) {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		rows = append(rows, findingOf(path, info).row())
		return enough(len(rows), searchMax)
	})
	return rows, err
}

// enough ends a walk that has found as much as it may name.
func enough(found, limit int) error {
	if found >= limit {
		return errEnough
	}
	return nil
}

func (p *Probe) findByHash(ctx context.Context, folder string, params []string) ([][]string, error) {
	length, err := strconv.ParseInt(strings.TrimSpace(params[0]), 10, 64)
	if err != nil || length < 0 || length > hashMax {
		return nil, fault.New(fault.Invalid, "%q is no size from 0 to %d bytes", params[0], int64(hashMax))
	}
	wanted := strings.ToLower(strings.TrimSpace(params[1]))
	if len(wanted) != sha256Length || strings.Trim(wanted, "0123456789abcdef") != "" {
		return nil, fault.New(fault.Invalid, "%q is no SHA-256 in hexadecimal", params[1])
	}
	var rows [][]string
	_, err = walk(ctx, folder, walkMax, func(path string, e fs.DirEntry) error {
		if !e.Type().IsRegular() {
			return nil
		}
		info, err := e.Info()
		if err != nil || info.Size() != length {
			return nil
		}
		sum, err := p.sums.of(ctx, path, sha256Sum)
		if err != nil {
			if passedOver(err) {
				return nil
			}
			return err
		}
		if sum == wanted {
			rows = append(rows, []string{path})
		}
		return enough(len(rows), searchMax)
	})
	return rows, err
}

func largeFiles(ctx context.Context, folder string, params []string) ([][]string, error) {
	least, err := wholeNumber(params[0], 0, megabytesMax)
	if err != nil {
		return nil, err
	}
	return best(ctx, folder, largeMax,
		func(f finding) bool { return f.size >= int64(least)*megabyte },
		func(a, b finding) int { return cmp.Compare(b.size, a.size) })
}

func recentFiles(ctx context.Context, folder string, params []string) ([][]string, error) {
	hours, err := wholeNumber(params[0], 0, hoursMax)
	if err != nil {
		return nil, err
	}
	since := time.Now().Add(-time.Duration(hours) * time.Hour)
	return best(ctx, folder, searchMax,
		func(f finding) bool { return !f.modified.Before(since) },
		func(a, b finding) int { return b.modified.Compare(a.modified) })
}

// best returns the first of the wanted files by an order, at most so many. It
// keeps twice as many and no more while it looks.
func best(ctx context.Context, folder string, most int, wanted func(finding) bool, order func(a, b finding) int) ([][]string, error) {
	var found []finding
	full := func(a, b finding) int { return cmp.Or(order(a, b), cmp.Compare(a.path, b.path)) }
	_, err := walk(ctx, folder, walkMax, func(path string, e fs.DirEntry) error {
		if !e.Type().IsRegular() {
			return nil
		}
		info, err := e.Info()
		if err != nil || !wanted(findingOf(path, info)) {
			return nil
		}
		if found = append(found, findingOf(path, info)); len(found) == 2*most {
			slices.SortFunc(found, full)
			found = found[:most]
		}
		return nil
	})
	slices.SortFunc(found, full)
	var rows [][]string
	for _, f := range found[:min(len(found), most)] {
		rows = append(rows, f.row())
	}
	return rows, err
}

// A content is what lies in a folder and below it. A file with several names
// counts once.
type content struct {
	bytes          uint64
	files, folders int
	linked         map[[2]uint64]bool // files with several names that were counted
}

func (c *content) add(e fs.DirEntry) {
	if e.IsDir() {
		c.folders++
		return
	}
	info, err := e.Info()
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	if id, several := severalNames(info); several {
		if c.linked[id] {
			return
		}
		if c.linked == nil {
			c.linked = map[[2]uint64]bool{}
		}
		c.linked[id] = true
	}
	c.files++
	c.bytes += uint64(info.Size())
}

func folderSize(ctx context.Context, folder string) ([][]string, error) {
	var c content
	complete, err := walk(ctx, folder, walkMax, func(_ string, e fs.DirEntry) error {
		c.add(e)
		return nil
	})
	if err == nil && !complete {
		err = fault.New(fault.Invalid, "the folder has more than %d entries", walkMax)
	}
	if err != nil {
		return nil, err
	}
	return [][]string{{size(c.bytes), strconv.Itoa(c.files), strconv.Itoa(c.folders)}}, nil
}

func subfolderSizes(ctx context.Context, folder string) ([][]string, error) {
	top, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return nil, pathError(err)
	}
	contents := map[string]*content{}
	complete, err := walk(ctx, folder, walkMax, func(path string, e fs.DirEntry) error {
		name, _, below := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, top), string(filepath.Separator)), string(filepath.Separator))
		if contents[name] == nil && (below || e.IsDir()) {
			contents[name] = &content{}
		}
		if below {
			contents[name].add(e)
		}
		return nil
	})
	if err == nil && !complete {
		err = fault.New(fault.Invalid, "the folder has more than %d entries", walkMax)
	}
	var rows [][]string
	for name, c := range contents {
		rows = append(rows, []string{name, size(c.bytes), strconv.Itoa(c.files)})
	}
	return uniqueRows(rows), err
}

// crashesIn tells the files that match patterns below folders.
func crashesIn(ctx context.Context, at tree, folders []string, patterns ...string) ([][]string, error) {
	var rows [][]string
	for _, folder := range folders {
		for _, pattern := range patterns {
			if err := stoppedIf(ctx, "reading "+folder); err != nil {
				return nil, err
			}
			paths, err := at.glob(filepath.Join(folder, pattern))
			if err != nil {
				return nil, err
			}
			for _, path := range paths {
				info, err := os.Lstat(at.at(path))
				if err == nil && info.Mode().IsRegular() && len(rows) < crashesMax {
					rows = append(rows, findingOf(path, info).row())
				}
			}
		}
	}
	return rows, nil
}
