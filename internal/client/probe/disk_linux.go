package probe

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A mount is one line of /proc/self/mountinfo (proc(5)).
type mount struct {
	device string // major:minor, the same for all mounts of one file system
	root   string // which folder of the file system is mounted
	point  string
	kind   string
	source string
}

// fullMedia are kinds of file systems that are always full and say nothing by
// it: packed images and discs.
var fullMedia = []string{"squashfs", "iso9660", "udf", "erofs", "cramfs"}

// diskless are kinds of file systems that lie on disks although their source
// is no device file.
var diskless = []string{"zfs", "btrfs", "bcachefs", "virtiofs"}

func disks(ctx context.Context) ([][]string, error) {
	b, err := readSystem("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, m := range localDisks(mounts(string(b)), isFolder) {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("reading the disks stopped: %w", context.Cause(ctx))
		}
		row, err := diskRow(m)
		if err != nil {
			return nil, err
		}
		if row != nil {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// diskRow asks a file system for its room. It is nil for a file system that
// has none or that was taken away meanwhile.
func diskRow(m mount) ([]string, error) {
	var st unix.Statfs_t
	err := unix.Statfs(m.point, &st)
	switch {
	case absent(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %w", m.point, err)
	case st.Blocks == 0:
		return nil, nil
	}
	unit := uint64(st.Frsize)
	return []string{
		m.point, m.kind, size(st.Bavail * unit), size(st.Blocks * unit),
		strconv.FormatUint(usedPercent(st.Blocks, st.Bfree, st.Bavail), 10),
	}, nil
}

// usedPercent is the share that is used of what ordinary users could use,
// rounded up.
func usedPercent(total, free, available uint64) uint64 {
	used := total - min(free, total)
	usable := used + available
	if usable == 0 {
		return 0
	}
	return (used*100 + usable - 1) / usable
}

// localDisks picks one mount of each file system that lies on a disk of this
// machine: of all of it rather than of a folder, and the one with the shortest
// path. In containers single files are mounted as well; they are passed over.
// File systems of the network are left out: asking one whose server is gone
// would wait for ever.
func localDisks(all []mount, isFolder func(path string) bool) []mount {
	slices.SortStableFunc(all, func(a, b mount) int {
		return cmp.Or(cmp.Compare(part(a), part(b)), cmp.Compare(len(a.point), len(b.point)))
	})
	seen := map[string]bool{}
	var picked []mount
	for _, m := range all {
		onDisk := strings.HasPrefix(m.source, "/dev/") || slices.Contains(diskless, m.kind) || m.point == "/"
		if onDisk && !slices.Contains(fullMedia, m.kind) && !seen[m.device] && isFolder(m.point) {
			seen[m.device] = true
			picked = append(picked, m)
		}
	}
	slices.SortFunc(picked, func(a, b mount) int { return cmp.Compare(a.point, b.point) })
	return picked
}

// part is 0 for a mount of a whole file system and 1 for one of a part of it.
func part(m mount) int {
	if m.root == "/" {
		return 0
	}
	return 1
}

// mounts reads mountinfo. Six fields and any number of optional ones stand
// before a dash, kind and source after it.
func mounts(mountinfo string) []mount {
	var all []mount
	for line := range strings.Lines(mountinfo) {
		head, tail, ok := strings.Cut(line, " - ")
		h, t := strings.Fields(head), strings.Fields(tail)
		if !ok || len(h) < 6 || len(t) < 2 {
			continue
		}
		all = append(all, mount{
			device: h[2], root: unescape(h[3]), point: unescape(h[4]), kind: t[0], source: unescape(t[1]),
		})
	}
	return all
}

// unescape reads the octal escapes that mountinfo has for blanks: \040.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
