//go:build !linux

package server

import "catenary/internal/fault"

// diskOf is the size of the disk that a folder is on, and what is free for us.
func diskOf(string) (capacity, free uint64, err error) {
	return 0, 0, fault.New(fault.Unavailable, "the size of the disk is known on Linux only")
}
