package probe

import "io/fs"

// deviceOf is the same for all files: what leads from one file system to
// another on Windows counts as a link, and links are not followed.
func deviceOf(fs.FileInfo) uint64 { return 0 }

// severalNames is not told by what a listing of files says on Windows.
func severalNames(fs.FileInfo) (id [2]uint64, several bool) { return id, false }

// ownership is not a matter of modes on Windows.
func (p *Probe) ownership(fs.FileInfo) (mode, owner, group string) { return "", "", "" }
