//go:build unix

package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// odd makes one of everything that a path may lead to besides regular files.
func odd(t *testing.T) map[string]string {
	t.Helper()
	folder := t.TempDir()
	pipe, socket, loop := filepath.Join(folder, "pipe"), filepath.Join(folder, "socket"), filepath.Join(folder, "loop")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Symlink(pipe, loop); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"pipe": pipe, "socket": socket, "device": "/dev/zero", "link to a pipe": loop}
}

// TestNothingHangsOnOddFiles: a pipe would wait for a writer, /dev/zero never
// ends. Were one of them opened and read, the test would time out.
func TestNothingHangsOnOddFiles(t *testing.T) {
	p := newProbe()
	for name, path := range odd(t) {
		for _, sensor := range []string{"File Hash", "File Contents", "Folder Contents"} {
			if rows, err := p.Run(t.Context(), sensor, []string{path}); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s of a %s: %q, %v", sensor, name, rows, err)
			}
		}
		if got := column(t, p, "File Exists", 0, path); got[0] != "True" {
			t.Errorf("a %s exists: %q", name, got)
		}
	}
	for _, sensor := range []string{"File Hash", "File Contents"} {
		if _, err := p.Run(t.Context(), sensor, []string{t.TempDir()}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s of a folder: %v", sensor, err)
		}
	}
}

func TestFileExists(t *testing.T) {
	p, folder := newProbe(), t.TempDir()
	file := write(t, filepath.Join(folder, "file"), "")
	if err := os.Symlink("nowhere", filepath.Join(folder, "dangling")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		folder: "True", file: "True", file + "x": "False", filepath.Join(file, "below"): "False",
		filepath.Join(folder, "dangling"): "False",
	} {
		if got := column(t, p, "File Exists", 0, path); got[0] != want {
			t.Errorf("%s: %q, want %s", path, got, want)
		}
	}
	if _, err := p.Run(t.Context(), "File Exists", []string{"/" + strings.Repeat("a", 300)}); err == nil {
		t.Error("a name that no file system takes is neither there nor not there")
	}
}

func TestFileContents(t *testing.T) {
	p, path := newProbe(), filepath.Join(t.TempDir(), "file")
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"\n", []string{""}},
		{"a", []string{"a"}},
		{"a\n\nb\r\n", []string{"a", "", "b"}},
		{"\xef\xbb\xbfa", []string{"a"}},
		{"\xff\xfeg\x00\xfc\x00\n\x00", []string{"gü"}},
		{"\xfe\xff\x00g\xd8\x3d\xde\x00x", []string{"g😀"}},
		{"a\x00b\xff", []string{"a\uFFFDb\uFFFD"}},
		{strings.Repeat("x", contentsMax), []string{strings.Repeat("x", contentsMax)}},
	} {
		rows, err := p.Run(t.Context(), "File Contents", []string{write(t, path, c.text)})
		if err != nil || len(rows) != len(c.want) {
			t.Errorf("%.40q gives %q, %v, want %q", c.text, rows, err, c.want)
			continue
		}
		for i, row := range rows {
			if want := []string{strconv.Itoa(i + 1), c.want[i]}; !reflect.DeepEqual(row, want) {
				t.Errorf("%.40q: row %.40q, want %.40q", c.text, row, want)
			}
		}
	}
	if rows, err := p.Run(t.Context(), "File Contents", []string{write(t, path, strings.Repeat("x\n", contentsLines))}); err != nil || len(rows) != contentsLines {
		t.Errorf("as many lines as may be: %d, %v", len(rows), err)
	}
	for name, text := range map[string]string{"bytes": strings.Repeat("x", contentsMax+1), "lines": strings.Repeat("x\n", contentsLines+1)} {
		if _, err := p.Run(t.Context(), "File Contents", []string{write(t, path, text)}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("too many %s: %v", name, err)
		}
	}
	if _, err := p.Run(t.Context(), "File Contents", []string{path + "x"}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("no file: %v", err)
	}
}

func FuzzDecodeText(f *testing.F) {
	for _, seed := range []string{"", "a\r\nb", "\xff\xfea\x00", "\xfe\xff\x00", "\xef\xbb\xbf"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text := decodeText(b)
		lines := splitLines(text)
		if n := strings.Count(text, "\n"); len(lines) != n && len(lines) != n+1 {
			t.Fatalf("%q has %d lines, %d line ends", text, len(lines), n)
		}
		for _, l := range lines {
			if strings.Contains(l, "\n") {
				t.Fatalf("line %q", l)
			}
		}
	})
}

func TestFolderContents(t *testing.T) {
	p, folder := newProbe(), t.TempDir()
	write(t, filepath.Join(folder, "b"), "12345")
	write(t, filepath.Join(folder, "c", "below"), "")
	write(t, filepath.Join(folder, ".hidden"), "")
	if err := os.Symlink("c", filepath.Join(folder, "a")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(folder, "d"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows, err := p.Run(t.Context(), "Folder Contents", []string{folder})
	want := [][]string{{".hidden", "File", "0"}, {"a", "Link", ""}, {"b", "File", "5"}, {"c", "Folder", ""}, {"d", "Other", ""}}
	if err != nil || !reflect.DeepEqual(rows, want) {
		t.Errorf("%q, %v, want %q", rows, err, want)
	}
	if _, err := p.Run(t.Context(), "Folder Contents", []string{filepath.Join(folder, "x")}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("no folder: %v", err)
	}
}

func TestFolderLimit(t *testing.T) {
	const limit = folderBatch + 2
	folder := t.TempDir()
	for i := range limit {
		write(t, filepath.Join(folder, strconv.Itoa(i)), "")
	}
	if rows, err := listFolder(t.Context(), folder, limit); err != nil || len(rows) != limit {
		t.Errorf("as many entries as may be: %d, %v", len(rows), err)
	}
	if rows, err := listFolder(t.Context(), folder, limit-1); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an entry too many: %d, %v", len(rows), err)
	}
}

func TestStoppedWhileReading(t *testing.T) {
	p := newProbe()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("asked too late")
	cancel(why)
	for name, params := range map[string][]string{
		"File Hash":       {write(t, filepath.Join(t.TempDir(), "file"), "x")},
		"Folder Contents": {t.TempDir()},
	} {
		if _, err := p.Run(ctx, name, params); !errors.Is(err, why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHashesAreRemembered(t *testing.T) {
	p, path := newProbe(), filepath.Join(t.TempDir(), "file")
	old := time.Now().Add(-time.Hour)
	check := func(text string, remembered int) {
		t.Helper()
		if got := column(t, p, "File Hash", 0, path); got[0] != sum(text) {
			t.Errorf("hash of %q is %q", text, got)
		}
		if n := len(p.sums.known); n != remembered {
			t.Errorf("after %q %d hashes are known, want %d", text, n, remembered)
		}
	}
	write(t, path, "fresh")
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	check("fresh", 0) // whatever its date says, it was changed just now
	f, err := openRegular(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	id, err := f.identity()
	if err != nil {
		t.Fatal(err)
	}
	p.sums.remember(summed{file: id}, "known")
	if got := column(t, p, "File Hash", 0, path); got[0] != "known" {
		t.Errorf("what is known is read again: %q", got)
	}
	write(t, path, "other")
	if err := os.Chtimes(path, old, old); err != nil { // as one would who hides a change
		t.Fatal(err)
	}
	check("other", 1)
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	var s sums
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range sumsMax {
				s.remember(summed{file: identity{device: uint64(g), inode: uint64(i)}}, "x")
				s.recall(summed{file: identity{inode: uint64(i)}})
			}
		})
	}
	wg.Wait()
	if len(s.known) != sumsMax {
		t.Errorf("%d hashes are known, want %d", len(s.known), sumsMax)
	}
	last := summed{file: identity{device: 9}}
	s.remember(last, "last")
	if sum, ok := s.recall(last); !ok || sum != "last" || len(s.known) != sumsMax {
		t.Errorf("%q, %t, %d", sum, ok, len(s.known))
	}
}

func TestHashLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	write(t, path, "")
	if err := os.Truncate(path, hashMax+1); err != nil { // a hole: it takes no room
		t.Fatal(err)
	}
	if _, err := newProbe().Run(t.Context(), "File Hash", []string{path}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a file that is too large: %v", err)
	}
	// A file that grows while it is read is held to the same limit.
	text := strings.Repeat("0123456789", hashBlock/4)
	length := int64(len(text))
	if got, err := sumOf(t.Context(), strings.NewReader(text), sha256Sum, length); err != nil || got != sum(text) {
		t.Errorf("exactly as large as may be: %s, %v", got, err)
	}
	if got, err := sumOf(t.Context(), strings.NewReader(text), sha256Sum, length-1); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a byte too many: %s, %v", got, err)
	}
}

func TestZoneName(t *testing.T) {
	folder := t.TempDir()
	localtime, timezone := filepath.Join(folder, "localtime"), filepath.Join(folder, "timezone")
	check := func(what, want string) {
		t.Helper()
		if got, err := zoneName(localtime, timezone); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", what, got, err, want)
		}
	}
	check("neither file", "UTC")
	for target, want := range map[string]string{
		"/usr/share/zoneinfo/Europe/Berlin":              "Europe/Berlin",
		"../usr/share/zoneinfo/Etc/UTC":                  "Etc/UTC",
		"/var/db/timezone/zoneinfo/America/Indiana/Knox": "America/Indiana/Knox",
		"/usr/share/zoneinfo/posix/Asia/Tokyo":           "Asia/Tokyo",
	} {
		if err := errors.Join(os.RemoveAll(localtime), os.Symlink(target, localtime)); err != nil {
			t.Fatal(err)
		}
		check(target, want)
	}
	if err := os.Remove(localtime); err != nil {
		t.Fatal(err)
	}
	write(t, localtime, "TZif2")
	write(t, timezone, "Australia/Lord_Howe\n")
	check("a copy with its name beside it", "Australia/Lord_Howe")
	write(t, timezone, "\n")
	abbreviation, offset := time.Now().Zone()
	check("a copy", fmt.Sprintf("%s (UTC%+03d:%02d)", abbreviation, offset/3600, offset/60%60))
}

func TestNameServers(t *testing.T) {
	folder := t.TempDir()
	conf, upstream := filepath.Join(folder, "conf"), filepath.Join(folder, "upstream")
	check := func(text string, want ...string) {
		t.Helper()
		if got, err := nameServersIn(write(t, conf, text), upstream); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q gives %q, %v, want %q", text, got, err, want)
		}
	}
	check("# nameserver 1.1.1.1\nsearch x\nnameserver 192.0.2.1\n nameserver\tfd00::53%eth0 # x\nnameserver\nnameserver mistake\n", "192.0.2.1", "fd00::53")
	check("nameserver 127.0.0.53\noptions edns0\n", "127.0.0.53")
	write(t, upstream, "nameserver 192.0.2.7\nnameserver 192.0.2.8\n")
	check("nameserver 127.0.0.53\n", "192.0.2.7", "192.0.2.8")
	check("nameserver 127.0.0.53\nnameserver 192.0.2.1\n", "127.0.0.53", "192.0.2.1")
	check("")
	if _, err := nameServersIn(conf+"x", upstream); fault.KindOf(err) != fault.NotFound {
		t.Errorf("no file: %v", err)
	}
}
