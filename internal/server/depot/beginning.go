package depot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"catenary/internal/fault"
)

const (
	// beginningMin is from how many bytes on the beginning of a file is kept: less
	// comes again as fast.
	beginningMin = 1 << 20
	// beginningLife is how long one is kept of which no more comes.
	beginningLife = 3 * 24 * time.Hour
	// beginningsMax and beginningsBytes bound them all; the longest untouched makes
	// room. The bytes are those of two of the largest files.
	beginningsMax   = 64
	beginningsBytes = 2 * FileMax
	noteMax         = 1 << 10 // bytes of a note
)

// A Beginning is what has come of a file whose rest did not.
type Beginning struct {
	Size int64
	Note string // by which its giver knows whether the rest belongs to it
}

// beginning is one that is kept. It lies in a file of its own, and its note in
// another, so that it can go on after a restart.
type beginning struct {
	Beginning
	touched time.Time
	busy    bool // more of it is coming
}

var beginningForm = regexp.MustCompile(`^begin-([0-9a-f]{32})$`)

func beginningName(key string) string { return filepath.Join(uploadsDir, "begin-"+key) }
func noteName(key string) string      { return filepath.Join(uploadsDir, "note-"+key) }

// KeyOf is the key of a file's beginning, by whatever its giver calls the file.
func KeyOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// readBeginning takes in a file that was there when the depot was opened. It
// reports false if it is the beginning of none.
func (d *Depot) readBeginning(e fs.DirEntry) bool {
	m := beginningForm.FindStringSubmatch(e.Name())
	if m == nil {
		return false
	}
	info, err := e.Info()
	if err != nil {
		return false
	}
	note, err := d.root.ReadFile(noteName(m[1]))
	if err != nil || len(note) == 0 || len(note) > noteMax || info.Size() < beginningMin {
		return false
	}
	d.beginnings[m[1]] = &beginning{Beginning: Beginning{info.Size(), string(note)}, touched: info.ModTime()}
	return true
}

// Beginning returns what has come of a file; nothing if more of it is coming.
func (d *Depot) Beginning(key string) Beginning {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.beginnings[key]; b != nil && !b.busy {
		return b.Beginning
	}
	return Beginning{}
}

// Forget drops the beginning of a file.
func (d *Depot) Forget(key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.beginnings[key]; b == nil || b.busy {
		return nil
	}
	return d.forget(key)
}

func (d *Depot) forget(key string) error {
	delete(d.beginnings, key)
	return errors.Join(d.discard(noteName(key)), d.discard(beginningName(key)))
}

// PutBehind is PutIf for a file of which something may have come before. If r
// breaks off, what has come is kept under the key, provided that from has a note.
func (d *Depot) PutBehind(key string, from Beginning, r io.Reader, check func(h Hash, size int64) error) (h Hash, size int64, err error) {
	f, err := d.goOn(key, from)
	if err != nil {
		return "", 0, err
	}
	sum := sha256.New()
	source := &noted{r: r}
	n, err := d.behind(f, from.Size, sum, source)
	size = from.Size + n
	err = errors.Join(err, settle(f))
	switch {
	case err != nil && source.err != nil && from.Note != "" && size >= beginningMin:
		return "", 0, errors.Join(err, d.rest(key, Beginning{size, from.Note}))
	case err != nil:
		return "", 0, errors.Join(err, d.end(key))
	}
	h = Hash(hex.EncodeToString(sum.Sum(nil)))
	if err := check(h, size); err != nil {
		return "", 0, errors.Join(err, d.end(key))
	}
	err = d.adopt(beginningName(key), h, size)
	return h, size, errors.Join(err, d.end(key))
}

// behind writes what comes behind the first bytes of a file, which it reads.
func (d *Depot) behind(f *os.File, from int64, sum io.Writer, r io.Reader) (int64, error) {
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, from)); err != nil {
		return 0, err
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return 0, err
	}
	return io.Copy(&bounded{d: d, w: io.MultiWriter(f, sum), written: from}, r)
}

// goOn opens the file of a beginning, to which nobody else adds meanwhile.
func (d *Depot) goOn(key string, from Beginning) (*os.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.beginnings[key]
	if b != nil && (b.busy || from.Size > 0 && b.Beginning != from) || b == nil && from.Size > 0 || len(from.Note) > noteMax {
		return nil, fault.New(fault.Unavailable, "the beginning of the file has changed meanwhile")
	}
	if from.Size == 0 {
		if err := errors.Join(d.forget(key), d.root.WriteFile(noteName(key), []byte(from.Note), 0o600)); err != nil {
			return nil, err
		}
	}
	f, err := d.root.OpenFile(beginningName(key), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	d.beginnings[key] = &beginning{Beginning: from, touched: time.Now(), busy: true}
	return f, nil
}

// rest keeps what has come so far, and makes room for it.
func (d *Depot) rest(key string, b Beginning) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.beginnings[key] = &beginning{Beginning: b, touched: time.Now()}
	for {
		var oldest string
		var bytes int64
		for k, one := range d.beginnings {
			bytes += one.Size
			if !one.busy && (oldest == "" || one.touched.Before(d.beginnings[oldest].touched)) {
				oldest = k
			}
		}
		if oldest == "" || len(d.beginnings) <= beginningsMax && bytes <= beginningsBytes {
			return nil
		}
		if err := d.forget(oldest); err != nil {
			return err
		}
	}
}

// end ends a beginning of which nothing is kept.
func (d *Depot) end(key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.forget(key)
}

// sweepBeginnings drops those of which no more has come for too long.
func (d *Depot) sweepBeginnings(now time.Time) error {
	for key, b := range d.beginnings {
		if b.busy || now.Sub(b.touched) < beginningLife {
			continue
		}
		if err := d.forget(key); err != nil {
			return err
		}
	}
	return nil
}

// A noted reader remembers whether it has broken off.
type noted struct {
	r   io.Reader
	err error // of r, but its end
}

func (n *noted) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return k, err
}
