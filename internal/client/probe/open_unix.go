//go:build unix

package probe

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

// A regular is an open regular file. Reading it never waits for somebody to
// write: some files below /proc look regular and are not.
type regular struct {
	fd   int
	path string
}

// openRegular opens the regular file at the path for reading. Everything else
// is refused before it is opened, since opening alone can wait (a pipe) or do
// something (a tape, a watchdog).
func openRegular(path string) (*regular, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, pathError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(path)
	}
	fd, err := open(path)
	if err != nil {
		return nil, pathError(&fs.PathError{Op: "open", Path: path, Err: err})
	}
	f := &regular{fd, path}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, errors.Join(f.wrap("stat", err), f.Close())
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errors.Join(notRegular(path), f.Close())
	}
	return f, nil
}

func open(path string) (fd int, err error) {
	for {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func (f *regular) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(f.fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return 0, fault.New(fault.Invalid, "%s has nothing to read at the moment", f.path)
		case err != nil:
			return 0, f.wrap("read", err)
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// ReadAt reads without moving where Read goes on.
func (f *regular) ReadAt(b []byte, offset int64) (int, error) {
	for done := 0; done < len(b); {
		n, err := unix.Pread(f.fd, b[done:], offset+int64(done))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return done, f.wrap("read", err)
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
	return len(b), nil
}

func (f *regular) Close() error { return unix.Close(f.fd) }

func (f *regular) wrap(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.path, Err: err}
}

func (f *regular) identity() (identity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return identity{}, f.wrap("stat", err)
	}
	return identity{
		device: uint64(st.Dev), inode: st.Ino, size: st.Size,
		modified: st.Mtim.Nano(), changed: st.Ctim.Nano(),
	}, nil
}

// checkPath refuses paths whose meaning would depend on where the client was
// started.
func checkPath(path string) error {
	if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
		return fault.New(fault.Invalid, "%q is not a full path", path)
	}
	return nil
}
