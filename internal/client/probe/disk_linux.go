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
	device  string // major:minor, the same for all mounts of one file system
	root    string // which folder of the file system is mounted
	point   string
	kind    string
	source  string
	options string // of the mount and of the file system
}

// fullMedia are kinds of file systems that are always full and say nothing by
// it: packed images and discs.
var fullMedia = []string{"squashfs", "iso9660", "udf", "erofs", "cramfs"}

// diskless are kinds of file systems that lie on disks although their source
// is no device file.
var diskless = []string{"zfs", "btrfs", "bcachefs", "virtiofs"}

func disks(ctx context.Context, at tree) ([][]string, error) {
	return diskRows(ctx, at, func(m mount, st unix.Statfs_t) []string {
		if st.Blocks == 0 {
			return nil
		}
		unit := uint64(st.Frsize)
		return []string{
			m.point, m.kind, size(st.Bavail * unit), size(st.Blocks * unit),
			strconv.FormatUint(usedPercent(st.Blocks, st.Bfree, st.Bavail), 10),
		}
	})
}

func inodeUsage(ctx context.Context, at tree) ([][]string, error) {
	return diskRows(ctx, at, func(m mount, st unix.Statfs_t) []string {
		if st.Files == 0 { // it makes them as they are wanted
			return nil
		}
		return []string{
			m.point, strconv.FormatUint(st.Ffree, 10), strconv.FormatUint(st.Files, 10),
			strconv.FormatUint(usedPercent(st.Files, st.Ffree, st.Ffree), 10),
		}
	})
}

// diskRows asks each local file system for its room and makes a row of it. A
// file system that was taken away meanwhile has none.
func diskRows(ctx context.Context, at tree, row func(mount, unix.Statfs_t) []string) ([][]string, error) {
	b, err := at.read("proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, m := range localDisks(mounts(string(b)), func(path string) bool { return isFolder(at.at(path)) }) {
		if err := stoppedIf(ctx, "reading the disks"); err != nil {
			return nil, err
		}
		var st unix.Statfs_t
		err := unix.Statfs(at.at(m.point), &st)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.point, err)
		}
		if r := row(m, st); r != nil {
			rows = append(rows, r)
		}
	}
	return rows, nil
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
		m := mount{device: h[2], root: unescape(h[3]), point: unescape(h[4]), kind: t[0], source: unescape(t[1]), options: h[5]}
		if len(t) > 2 {
			if more := slices.DeleteFunc(strings.Split(t[2], ","), func(o string) bool { return o == "rw" || o == "ro" }); len(more) > 0 {
				m.options += "," + strings.Join(more, ",")
			}
		}
		all = append(all, m)
	}
	return all
}
