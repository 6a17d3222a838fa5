// Package depot keeps files by what is in them: the SHA-256 of a file is its
// name. It is where the files of packages are until clients fetch them.
//
// Files are streamed, never held in memory as a whole, and are there as a whole
// or not at all. An upload may come in parts, also across a restart. What nobody
// refers to any more is swept away.
package depot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"catenary/internal/fault"
)

const (
	// FileMax bounds one file, in bytes: an image of an operating system.
	FileMax = 16 << 30
	// uploadsMax bounds the uploads under way, all users' together.
	uploadsMax = 256
	// endedMax is how many complete uploads are remembered: programs ask for their
	// state once more, or send a last part again whose answer was lost.
	endedMax = 1000
	// uploadLife is how long an upload may rest before it is given up.
	uploadLife = 24 * time.Hour
	// freeMin is how much room on the disk is left to others, in bytes.
	freeMin = 1 << 30
)

// A Hash names a file: its SHA-256 in lower-case hexadecimal digits.
type Hash string

// ParseHash reads a hash in any case.
func ParseHash(text string) (Hash, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != sha256.Size {
		return "", fault.New(fault.Invalid, "%.80q is not a SHA-256 in hexadecimal digits", text)
	}
	return Hash(hex.EncodeToString(b)), nil
}

// A Depot is a folder of files. Its methods may be called from any goroutine.
type Depot struct {
	root *os.Root
	dir  string

	mu      sync.Mutex // guards the fields below
	files   map[Hash]file
	total   int64 // bytes of all files
	uploads map[int64]*upload
	// beginnings are files that did not come as a whole, by their keys.
	beginnings map[string]*beginning
	ended      []Upload // the newest that are complete, oldest first
	last       int64    // number of the newest upload
}

type file struct {
	size int64
	used time.Time // when it came, or came again
}

const (
	filesDir   = "files"
	uploadsDir = "uploads"
)

// Open opens the depot in a folder, and makes it if it is not there.
func Open(dir string) (*Depot, error) {
	for _, sub := range []string{filesDir, uploadsDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	d := &Depot{root: root, dir: dir, files: map[Hash]file{}, uploads: map[int64]*upload{}, beginnings: map[string]*beginning{}}
	if err := errors.Join(d.readFiles(), d.readUploads()); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return d, nil
}

// Close ends the depot's use. Uploads can go on when it is opened again.
func (d *Depot) Close() error { return d.root.Close() }

func (h Hash) path() string { return filepath.Join(filesDir, string(h[:2]), string(h)) }

func (d *Depot) readFiles() error {
	return fs.WalkDir(d.root.FS(), filesDir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		h, err := ParseHash(e.Name())
		if err != nil {
			return d.root.Remove(path) // was being written when the server ended
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		d.files[h] = file{info.Size(), info.ModTime()}
		d.total += info.Size()
		return nil
	})
}

// Has reports whether a file is there, and its size.
func (d *Depot) Has(h Hash) (size int64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.files[h]
	return f.size, ok
}

// Open opens a file for reading. One that is not there is NotFound.
func (d *Depot) Open(h Hash) (*os.File, error) {
	f, err := d.root.Open(h.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "there is no file with the hash %s", h)
	}
	return f, err
}

// Usage is how many files there are, and their bytes.
func (d *Depot) Usage() (files int, bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.files), d.total
}

// Came is when a file came, or came again, as far as that is known since the
// depot was opened.
func (d *Depot) Came(h Hash) (at time.Time, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.files[h]
	return f.used, ok
}

// Put keeps what r holds, and returns its name and size.
func (d *Depot) Put(r io.Reader) (h Hash, size int64, err error) {
	return d.PutIf(r, func(Hash, int64) error { return nil })
}

// PutIf is Put for a file that is not kept if check says why.
func (d *Depot) PutIf(r io.Reader, check func(h Hash, size int64) error) (h Hash, size int64, err error) {
	tmp, name, err := d.temporary()
	if err != nil {
		return "", 0, err
	}
	sum := sha256.New()
	size, err = io.Copy(&bounded{d: d, w: io.MultiWriter(tmp, sum)}, r)
	if err = errors.Join(err, settle(tmp)); err != nil {
		return "", 0, errors.Join(err, d.discard(name))
	}
	h = Hash(hex.EncodeToString(sum.Sum(nil)))
	if err := check(h, size); err != nil {
		return "", 0, errors.Join(err, d.discard(name))
	}
	return h, size, d.adopt(name, h, size)
}

// settle closes a file after everything in it is on the disk.
func settle(f *os.File) error { return errors.Join(f.Sync(), f.Close()) }

// temporary makes a file in the folder of uploads that is nobody's yet.
func (d *Depot) temporary() (*os.File, string, error) {
	f, err := os.CreateTemp(filepath.Join(d.dir, uploadsDir), "stream-*")
	if err != nil {
		return nil, "", err
	}
	return f, filepath.Join(uploadsDir, filepath.Base(f.Name())), nil
}

func (d *Depot) discard(name string) error {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// adopt gives a finished file, which is on the disk and closed, its name.
func (d *Depot) adopt(name string, h Hash, size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if had, ok := d.files[h]; ok {
		d.files[h] = file{had.size, time.Now()}
		return d.discard(name)
	}
	if err := d.root.MkdirAll(filepath.Dir(h.path()), 0o700); err != nil {
		return err
	}
	if err := d.root.Rename(name, h.path()); err != nil {
		return err
	}
	d.files[h] = file{size, time.Now()}
	d.total += size
	return nil
}

// Sweep removes files that nobody keeps and that came before a time, and
// uploads and beginnings that have rested for too long. It returns how many files went.
func (d *Depot) Sweep(now, before time.Time, kept func(Hash) bool) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	gone := 0
	for h, f := range d.files {
		if kept(h) || !f.used.Before(before) {
			continue
		}
		if err := d.discard(h.path()); err != nil {
			return gone, err
		}
		delete(d.files, h)
		d.total -= f.size
		gone++
	}
	for id, u := range d.uploads {
		if u.busy || now.Sub(u.touched) < uploadLife {
			continue
		}
		if err := d.discard(u.name); err != nil {
			return gone, err
		}
		delete(d.uploads, id)
	}
	return gone, d.sweepBeginnings(now)
}

// A bounded writer stops at what one file may have, and before the disk is
// full.
type bounded struct {
	d       *Depot
	w       io.Writer
	written int64
	checked int64 // bytes written when the room was looked at last
}

// checkEvery is after how many bytes the room on the disk is looked at again.
const checkEvery = 64 << 20

func (b *bounded) Write(p []byte) (int, error) {
	if b.written+int64(len(p)) > FileMax {
		return 0, tooLarge()
	}
	if b.written == 0 || b.written-b.checked >= checkEvery {
		b.checked = b.written
		if err := b.d.room(checkEvery); err != nil {
			return 0, err
		}
	}
	n, err := b.w.Write(p)
	b.written += int64(n)
	return n, err
}

func tooLarge() error {
	return fault.New(fault.Invalid, "the file is larger than %d GiB", FileMax>>30)
}

// room makes sure that so many bytes can be written.
func (d *Depot) room(bytes int64) error {
	free, err := freeBytes(d.dir)
	if err != nil {
		return fmt.Errorf("room for files: %w", err)
	}
	if free < uint64(bytes)+freeMin {
		return fault.New(fault.Unavailable, "there is no room on the server's disk for the file")
	}
	return nil
}
