package depot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/fault"
)

func open(t *testing.T, dir string) *Depot {
	t.Helper()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() }) // a test may have closed it
	return d
}

func hashOf(text string) Hash {
	sum := sha256.Sum256([]byte(text))
	return Hash(hex.EncodeToString(sum[:]))
}

func content(t *testing.T, d *Depot, h Hash) string {
	t.Helper()
	f, err := d.Open(h)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// left are the files that lie in the depot's folder.
func left(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			out = append(out, e.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPut(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	for range 2 { // the same again is the same file
		h, size, err := d.Put(iotest.OneByteReader(strings.NewReader("hello")))
		if err != nil || h != hashOf("hello") || size != 5 {
			t.Fatalf("%s, %d, %v", h, size, err)
		}
	}
	if got := content(t, d, hashOf("hello")); got != "hello" {
		t.Errorf("holds %q", got)
	}
	if _, err := d.Open(hashOf("other")); fault.KindOf(err) != fault.NotFound {
		t.Errorf("what is not there: %v", err)
	}
	if _, _, err := d.Put(iotest.TimeoutReader(strings.NewReader(strings.Repeat("x", 1<<20)))); err == nil {
		t.Error("half a file is kept")
	}
	if files := left(t, dir); len(files) != 1 {
		t.Errorf("in the folder lie %v", files)
	}
	d = open(t, dir)
	if size, ok := d.Has(hashOf("hello")); !ok || size != 5 {
		t.Errorf("after a restart: %d, %v", size, ok)
	}
	if n, bytes := d.Usage(); n != 1 || bytes != 5 {
		t.Errorf("usage is %d, %d", n, bytes)
	}
}

func TestParts(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	u, err := d.Begin(7, 10, now)
	if err != nil || u.Have != 0 || u.Done() {
		t.Fatalf("%+v, %v", u, err)
	}
	part := func(owner, start int64, text string) (Upload, error) {
		return d.Part(owner, u.ID, start, []byte(text), now)
	}
	for _, tt := range []struct {
		owner, start int64
		text         string
		have         int64
		kind         fault.Kind // of the error
	}{
		{7, 0, "01234", 5, fault.Kind(0)}, {8, 5, "56789", 0, fault.NotFound},
		{7, 6, "6", 5, fault.Invalid}, {7, -1, "6", 5, fault.Invalid}, {7, 5, "567890", 5, fault.Invalid},
		{7, 3, "3456", 7, fault.Kind(0)},
	} {
		got, err := part(tt.owner, tt.start, tt.text)
		if got.Have != tt.have || (err != nil) != (tt.kind != 0) || err != nil && fault.KindOf(err) != tt.kind {
			t.Errorf("%+v: %+v, %v", tt, got, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, dir)
	if got, err := d.Uploading(7, u.ID); err != nil || got.Have != 7 || got.Size != 10 {
		t.Fatalf("after a restart: %+v, %v", got, err)
	}
	got, err := part(7, 7, "789")
	if err != nil || got.Hash != hashOf("0123456789") {
		t.Fatalf("%+v, %v", got, err)
	}
	if content(t, d, got.Hash) != "0123456789" {
		t.Error("something else is kept")
	}
	if got, err := d.Uploading(7, u.ID); err != nil || !got.Done() || got.Have != 10 || got.Hash != hashOf("0123456789") {
		t.Errorf("an upload that has ended: %+v, %v", got, err)
	}
	_, errOther := d.Uploading(8, u.ID)
	if _, err := part(7, 7, "789"); fault.KindOf(err) != fault.NotFound || fault.KindOf(errOther) != fault.NotFound {
		t.Errorf("a part too many: %v; another's upload that has ended: %v", err, errOther)
	}
	for range endedMax {
		d.give(&upload{}, Upload{Owner: 7, Hash: got.Hash})
	}
	if _, err := d.Uploading(7, u.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an upload that ended %d uploads ago: %v", endedMax, err)
	}
	if _, err := d.Begin(7, 0, now); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an empty upload: %v", err)
	}
	if _, err := d.Begin(7, FileMax+1, now); fault.KindOf(err) != fault.Invalid {
		t.Errorf("too large an upload: %v", err)
	}
	for i := range uploadsMax {
		next, err := d.Begin(7, 10, now)
		if err != nil || next.ID <= u.ID {
			t.Fatalf("upload %d: %+v, %v", i, next, err)
		}
	}
	if _, err := d.Begin(7, 10, now); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("too many uploads: %v", err)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	for _, text := range []string{"a", "b", "c"} {
		if _, _, err := d.Put(strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	if _, err := d.Begin(1, 5, now); err != nil {
		t.Fatal(err)
	}
	keep := func(h Hash) bool { return h == hashOf("b") }
	if n, err := d.Sweep(now, now.Add(-time.Hour), keep); n != 0 || err != nil {
		t.Errorf("young files: %d, %v", n, err)
	}
	if n, err := d.Sweep(now.Add(2*uploadLife), now.Add(time.Hour), keep); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if files := left(t, dir); len(files) != 1 || files[0] != string(hashOf("b")) {
		t.Errorf("left are %v", files)
	}
}

// TestPartsMakeTheWhole: however a file is cut, and whatever comes twice, it
// arrives as it was.
func TestPartsMakeTheWhole(t *testing.T) {
	d := open(t, t.TempDir())
	rapid.Check(t, func(rt *rapid.T) {
		whole := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(rt, "whole")
		u, err := d.Begin(1, int64(len(whole)), time.Now())
		if err != nil {
			rt.Fatal(err)
		}
		for !u.Done() {
			from := rapid.IntRange(0, int(u.Have)).Draw(rt, "from")
			to := rapid.IntRange(from, len(whole)).Draw(rt, "to")
			if to <= int(u.Have) {
				to = min(len(whole), int(u.Have)+1) // progress
			}
			if u, err = d.Part(1, u.ID, int64(from), whole[from:to], time.Now()); err != nil {
				rt.Fatal(err)
			}
		}
		if got := content(t, d, u.Hash); !bytes.Equal([]byte(got), whole) {
			rt.Fatalf("%x arrived as %x", whole, got)
		}
	})
}
