// Package diagnosis keeps reports on a server in a folder: the newest few, each as
// a whole or not at all.
package diagnosis

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"catenary/internal/fault"
)

// A Report is one file.
type Report struct {
	Name string
	Size int64 // bytes
	Made time.Time
}

// A Folder holds reports. Its methods may be called from any goroutine.
type Folder struct {
	mu   sync.Mutex // held while the folder is changed
	root *os.Root
}

const (
	reportMax = 16 << 20 // bytes of a report: a hundred times what one has
	begins    = "diagnostics-"
	stamp     = "20060102T150405.000Z" // UTC; names order as times do
	ends      = ".json"
	partly    = ".part" // behind the name of a report that is being written
)

var form = regexp.MustCompile(`^diagnostics-\d{8}T\d{6}\.\d{3}Z\.json$`)

// Open opens a folder, and makes it if it is not there. What was being written
// when the server ended is removed.
func Open(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	for _, e := range entries {
		if name, part := strings.CutSuffix(e.Name(), partly); part && form.MatchString(name) {
			err = errors.Join(err, root.Remove(e.Name()))
		}
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &Folder{root: root}, nil
}

// Close ends the folder's use.
func (f *Folder) Close() error { return f.root.Close() }

// Keep writes a report, and removes the oldest of more than so many.
func (f *Folder) Keep(now time.Time, content []byte, most int) (Report, error) {
	if len(content) > reportMax {
		return Report{}, fault.New(fault.Internal, "a report of %d bytes; the limit is %d", len(content), reportMax)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	made := now.UTC().Truncate(time.Millisecond)
	r := Report{Name: begins + made.Format(stamp) + ends, Size: int64(len(content)), Made: made}
	if err := f.write(r.Name, content); err != nil {
		return Report{}, err
	}
	list, err := f.List()
	if err != nil {
		return r, err
	}
	// It stays itself, also if the clock has been set back.
	older := slices.DeleteFunc(list, func(x Report) bool { return x.Name == r.Name })
	for _, x := range older[min(max(most-1, 0), len(older)):] {
		err = errors.Join(err, f.root.Remove(x.Name))
	}
	return r, err
}

func (f *Folder) write(name string, content []byte) error {
	part := name + partly
	to, err := f.root.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = to.Write(content)
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err == nil {
		err = f.root.Rename(part, name)
	}
	if err != nil {
		return errors.Join(err, f.root.Remove(part))
	}
	return nil
}

// List returns the reports, the newest first.
func (f *Folder) List() ([]Report, error) {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var list []Report
	for _, e := range entries {
		if !form.MatchString(e.Name()) || !e.Type().IsRegular() {
			continue // somebody else's
		}
		made, err := time.Parse(begins+stamp+ends, e.Name())
		if err != nil {
			continue // the 31st of February
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, Report{Name: e.Name(), Size: info.Size(), Made: made})
	}
	slices.SortFunc(list, func(a, b Report) int { return cmp.Compare(b.Name, a.Name) })
	return list, nil
}

// Read returns what is in a report.
func (f *Folder) Read(name string) ([]byte, error) {
	missing := fault.New(fault.NotFound, "there is no report %.80q", name)
	if !form.MatchString(name) {
		return nil, missing
	}
	file, err := f.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, reportMax))
	return content, errors.Join(err, file.Close())
}
