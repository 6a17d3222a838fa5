package probe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"

	"catenary/internal/fault"
)

// A regular is an open regular file.
type regular struct{ *os.File }

// openRegular opens the regular file at the path for reading. Everything else
// is refused before it is opened.
func openRegular(path string) (*regular, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, pathError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, pathError(err)
	}
	f := &regular{file}
	kind, err := windows.GetFileType(windows.Handle(file.Fd()))
	if err != nil {
		return nil, errors.Join(f.wrap("type", err), f.Close())
	}
	if kind != windows.FILE_TYPE_DISK {
		return nil, errors.Join(notRegular(path), f.Close())
	}
	return f, nil
}

func (f *regular) wrap(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.Name(), Err: err}
}

func (f *regular) identity() (identity, error) {
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &info); err != nil {
		return identity{}, f.wrap("stat", err)
	}
	return identity{
		device:   uint64(info.VolumeSerialNumber),
		inode:    uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow),
		size:     int64(info.FileSizeHigh)<<32 | int64(info.FileSizeLow),
		modified: info.LastWriteTime.Nanoseconds(),
	}, nil
}

// checkPath refuses paths whose meaning would depend on where the client was
// started, devices (\\.\), and other machines' shares: opening one would show
// the machine's credentials to whoever the asker names.
func checkPath(path string) error {
	if !filepath.IsAbs(path) || strings.HasPrefix(filepath.Clean(path), `\\`) || strings.ContainsRune(path, 0) {
		return fault.New(fault.Invalid, "%q is not a full path on a local drive", path)
	}
	return nil
}
