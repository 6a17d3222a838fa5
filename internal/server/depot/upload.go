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
	"slices"
	"strings"
	"time"

	"catenary/internal/fault"
)

// An Upload is how far the upload of a file has come.
type Upload struct {
	ID    int64
	Size  int64 // of the whole file
	Have  int64 // bytes so far, from the beginning
	Owner int64 // the user whose it is
	Hash  Hash  // of the whole file, once it is there
}

// Done reports whether the file is there.
func (u Upload) Done() bool { return u.Hash != "" }

// numbersFrom is the time, in Unix seconds, that has the number 0: uploads are
// numbered by their time, so that no number is given again after a restart.
const numbersFrom = 1_700_000_000

// upload is one under way. What it is stands in the name of its file, so that it
// can go on after a restart.
type upload struct {
	Upload
	name    string
	touched time.Time
	busy    bool // a part is being written
}

func uploadName(u Upload) string {
	return filepath.Join(uploadsDir, fmt.Sprintf("upload-%d-%d-%d", u.ID, u.Owner, u.Size))
}

func (d *Depot) readUploads() error {
	list, err := fs.ReadDir(d.root.FS(), uploadsDir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if d.readBeginning(e) {
			continue
		}
		if key, ok := strings.CutPrefix(e.Name(), "note-"); ok && d.beginnings[key] != nil {
			continue // the names come in order: it has been read
		}
		var u Upload
		n, err := fmt.Sscanf(e.Name(), "upload-%d-%d-%d", &u.ID, &u.Owner, &u.Size)
		if err != nil || n != 3 {
			if err := d.discard(filepath.Join(uploadsDir, e.Name())); err != nil {
				return err
			}
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		u.Have = info.Size()
		d.uploads[u.ID] = &upload{Upload: u, name: uploadName(u), touched: info.ModTime()}
		d.last = max(d.last, u.ID)
	}
	return nil
}

// Begin begins an upload in parts.
func (d *Depot) Begin(owner, size int64, now time.Time) (Upload, error) {
	switch {
	case size <= 0:
		return Upload{}, fault.New(fault.Invalid, "FileSizeRequired: file_size is %d", size)
	case size > FileMax:
		return Upload{}, tooLarge()
	}
	if err := d.room(size); err != nil {
		return Upload{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.uploads) >= uploadsMax {
		return Upload{}, fault.New(fault.Unavailable, "%d uploads are under way: wait for one of them", uploadsMax)
	}
	d.last = max(d.last+1, now.Unix()-numbersFrom)
	u := &upload{Upload: Upload{ID: d.last, Size: size, Owner: owner}, touched: now}
	u.name = uploadName(u.Upload)
	f, err := d.root.OpenFile(u.name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return Upload{}, err
	}
	d.uploads[u.ID] = u
	return u.Upload, f.Close()
}

// Uploading says how far an upload has come. It is NotFound when it is not the
// owner's or was given up, and some time after its end.
func (d *Depot) Uploading(owner, id int64) (Upload, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u := d.uploads[id]; u != nil && u.Owner == owner {
		return u.Upload, nil
	}
	for _, u := range d.ended {
		if u.ID == id && u.Owner == owner {
			return u, nil
		}
	}
	return Upload{}, fault.New(fault.NotFound, "there is no upload %d", id)
}

// Part writes a part of an upload, which begins where the parts before end; what
// was written before may come again. With the last part the file is kept, and
// the upload has ended.
func (d *Depot) Part(owner, id, start int64, part []byte, now time.Time) (Upload, error) {
	u, err := d.take(owner, id, now)
	if err != nil {
		return Upload{}, err
	}
	after := u.Upload // nobody else changes it now
	defer func() { d.give(u, after) }()
	if start < 0 || start > after.Have || start+int64(len(part)) > after.Size {
		return after, fault.New(fault.Invalid, "start_pos is %d with %d bytes: the upload has %d of %d bytes", start, len(part), after.Have, after.Size)
	}
	f, err := d.root.OpenFile(u.name, os.O_RDWR, 0o600)
	if err != nil {
		return after, err
	}
	sum := sha256.New()
	_, err = f.WriteAt(part, start)
	have := max(after.Have, start+int64(len(part)))
	if err == nil && have == after.Size {
		_, err = io.Copy(sum, io.NewSectionReader(f, 0, have))
	}
	if err = errors.Join(err, settle(f)); err != nil {
		return after, err
	}
	after.Have = have
	if have < after.Size {
		return after, nil
	}
	h := Hash(hex.EncodeToString(sum.Sum(nil)))
	if err := d.adopt(u.name, h, after.Size); err != nil {
		return after, err
	}
	after.Hash = h
	return after, nil
}

// take makes an upload the caller's alone; give gives it back.
func (d *Depot) take(owner, id int64, now time.Time) (*upload, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.uploads[id]
	if u == nil || u.Owner != owner {
		return nil, fault.New(fault.NotFound, "there is no upload %d", id)
	}
	if u.busy {
		return nil, fault.New(fault.Conflict, "another part of upload %d is being written", id)
	}
	u.busy, u.touched = true, now
	return u, nil
}

func (d *Depot) give(u *upload, after Upload) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u.Upload, u.busy = after, false
	if after.Done() {
		delete(d.uploads, u.ID)
		if len(d.ended) == endedMax {
			d.ended = slices.Delete(d.ended, 0, 1)
		}
		d.ended = append(d.ended, after)
	}
}
