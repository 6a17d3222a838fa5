package server

import (
	"os"

	"golang.org/x/sys/unix"
)

// diskOf is the size of the disk that a folder is on, and what is free for us.
func diskOf(dir string) (capacity, free uint64, err error) {
	var at unix.Statfs_t
	if err := unix.Statfs(dir, &at); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return at.Blocks * uint64(at.Bsize), at.Bavail * uint64(at.Bsize), nil
}
