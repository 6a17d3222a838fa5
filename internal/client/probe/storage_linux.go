package probe

import (
	"context"

	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// sector is the unit in which the kernel tells the sizes of disks, in bytes,
// whatever the disks' own is.
const sector = 512

func (p *Probe) storageFacts() map[string]fact {
	return map[string]fact{
		"Total Memory":         p.memory("MemTotal"),
		"Free Memory":          p.memory("MemAvailable"),
		"Used Memory Percent":  p.textIn(usedMemoryPercent),
		"Memory Usage":         p.tableIn(memoryUsage),
		"Total Swap":           p.memory("SwapTotal"),
		"Free Swap":            p.memory("SwapFree"),
		"Swap Devices":         p.tableIn(swapDevices),
		"Disk Free Space":      p.tableIn(disks),
		"Physical Disks":       p.tableIn(physicalDisks),
		"Disk Partitions":      p.tableIn(diskPartitions),
		"Disk Activity":        p.tableIn(diskActivity),
		"RAID Arrays":          p.tableIn(raidArrays),
		"Logical Volumes":      p.tableIn(logicalVolumes),
		"Encrypted Volumes":    p.tableIn(encryptedVolumes),
		"Mounted File Systems": p.tableIn(mountedFileSystems),
		"Inode Usage":          p.tableIn(inodeUsage),
		"Network Mounts":       p.tableIn(networkMounts),
	}
}

// swapDevices reads /proc/swaps: name, kind, size and used in units of 1,024
// bytes, priority.
func swapDevices(_ context.Context, at tree) ([][]string, error) {
	text, err := at.text("proc/swaps")
	return parseSwaps(text), err
}

func parseSwaps(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 5 {
			continue
		}
		whole, err := strconv.ParseUint(f[2], 10, 54)
		if err != nil { // the heading
			continue
		}
		used, err := strconv.ParseUint(f[3], 10, 54)
		if err != nil {
			continue
		}
		rows = append(rows, []string{unescape(f[0]), f[1], size(whole << 10), size(used << 10), f[4]})
	}
	return rows
}

// A blockDevice is a disk, a block device that is no part of another.
type blockDevice struct {
	name, path string // below /sys
	bytes      uint64
}

// blockDevices returns the disks that hold something. Loops, disks in memory
// and those that the kernel makes of others are none.
func blockDevices(at tree) ([]blockDevice, error) {
	names, err := at.names("sys/block")
	if err != nil {
		return nil, err
	}
	var all []blockDevice
	for _, name := range names {
		d := blockDevice{name: name, path: "sys/block/" + name}
		made := strings.HasPrefix(name, "loop") || strings.HasPrefix(name, "ram") || strings.HasPrefix(name, "zram") ||
			strings.HasPrefix(name, "dm-") || strings.HasPrefix(name, "md")
		if d.bytes = blockSize(at, d.path); !made && (d.bytes > 0 || strings.HasPrefix(name, "sr")) {
			all = append(all, d)
		}
	}
	return all, nil
}

// blockSize is the size of a disk or partition, 0 if it has no medium.
func blockSize(at tree, path string) uint64 {
	sectors, err := strconv.ParseUint(at.attribute(path+"/size"), 10, 54)
	if err != nil {
		return 0
	}
	return sectors * sector
}

func physicalDisks(_ context.Context, at tree) ([][]string, error) {
	all, err := blockDevices(at)
	var rows [][]string
	for _, d := range all {
		bus := diskBus(at, d)
		rows = append(rows, []string{
			d.name, strings.TrimSpace(at.attribute(d.path + "/device/model")), diskSerial(at, d), size(d.bytes),
			diskKind(at, d, bus), bus, yesNo(at.attribute(d.path+"/removable") == "1"),
		})
	}
	return rows, err
}

func diskKind(at tree, d blockDevice, bus string) string {
	switch {
	case strings.HasPrefix(d.name, "sr"):
		return "Optical"
	case bus == "VirtIO" || bus == "Xen":
		return "Virtual"
	case at.attribute(d.path+"/queue/rotational") == "1":
		return "HDD"
	}
	return "SSD"
}

// buses are parts of the path that a disk has among all devices. The first that
// is there counts: a disk on USB is also one on SCSI.
var buses = []struct{ part, name string }{
	{"/usb", "USB"}, {"/nvme", "NVMe"}, {"/virtio", "VirtIO"}, {"/mmc", "MMC"}, {"/ata", "SATA"}, {"/vbd-", "Xen"},
	{"/fc_host", "Fibre Channel"}, {"/rport-", "Fibre Channel"}, {"/session", "iSCSI"}, {"/host", "SCSI"},
}

func diskBus(at tree, d blockDevice) string {
	path, err := filepath.EvalSymlinks(at.at(d.path))
	if err != nil {
		return ""
	}
	for _, b := range buses {
		if strings.Contains(path, b.part) {
			return b.name
		}
	}
	return ""
}

// diskSerial is where each kind of driver shows it. SCSI disks show a page of
// theirs, of which the number follows four bytes of head.
func diskSerial(at tree, d blockDevice) string {
	for _, file := range []string{"/device/serial", "/serial"} {
		if s := strings.TrimSpace(at.attribute(d.path + file)); s != "" {
			return s
		}
	}
	const head = 4
	if page, err := at.read(d.path + "/device/vpd_pg80"); err == nil && len(page) > head {
		return strings.Trim(string(page[head:]), " \x00\n")
	}
	return ""
}

// mountsByDevice tells where each block device is mounted first.
func mountsByDevice(at tree) (map[string]string, error) {
	b, err := at.read("proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	points := map[string]string{}
	for _, m := range mounts(string(b)) {
		if have, ok := points[m.device]; !ok || len(m.point) < len(have) {
			points[m.device] = m.point
		}
	}
	return points, nil
}

func diskPartitions(_ context.Context, at tree) ([][]string, error) {
	all, err := blockDevices(at)
	if err != nil {
		return nil, err
	}
	points, err := mountsByDevice(at)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, d := range all {
		names, err := at.names(d.path)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			part := d.path + "/" + name
			if at.has(part + "/partition") {
				rows = append(rows, []string{name, d.name, size(blockSize(at, part)), points[at.attribute(part+"/dev")]})
			}
		}
	}
	return rows, nil
}

func diskActivity(_ context.Context, at tree) ([][]string, error) {
	all, err := blockDevices(at)
	if err != nil {
		return nil, err
	}
	text, err := at.text("proc/diskstats")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, row := range parseDiskStats(text) {
		if slices.ContainsFunc(all, func(d blockDevice) bool { return d.name == row[0] }) {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// parseDiskStats reads lines of numbers: major, minor, name, reads, merged
// reads, sectors read, time, writes, merged writes, sectors written (the
// kernel's iostats document).
func parseDiskStats(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 {
			continue
		}
		read, err := strconv.ParseUint(f[5], 10, 54)
		if err != nil {
			continue
		}
		written, err := strconv.ParseUint(f[9], 10, 54)
		if err != nil {
			continue
		}
		rows = append(rows, []string{f[2], size(read * sector), size(written * sector)})
	}
	return rows
}

func raidArrays(_ context.Context, at tree) ([][]string, error) {
	text, err := at.text("proc/mdstat")
	return parseMdstat(text), err
}

// parseMdstat reads /proc/mdstat: for each array a line "md0 : active raid1
// sdb1[1] sda1[0](F)", and one below it with "[2/1]", how many members there
// are to be and how many work.
func parseMdstat(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) > 2 && f[1] == ":" && strings.HasPrefix(f[0], "md") {
			rows = append(rows, mdArray(f))
			continue
		}
		if len(rows) == 0 || rows[len(rows)-1][3] != "" {
			continue
		}
		row := rows[len(rows)-1]
		for _, word := range f {
			inner, ok := strings.CutPrefix(word, "[")
			total, working, both := strings.Cut(strings.TrimSuffix(inner, "]"), "/")
			if ok && both && isNumber(total) && isNumber(working) {
				row[3], row[4] = total, working
				if total != working {
					row[2] = "degraded"
				}
			}
		}
	}
	return rows
}

func mdArray(f []string) []string {
	state, level, rest := f[2], "", f[3:]
	if len(rest) > 0 && strings.HasPrefix(rest[0], "(") { // (read-only), (auto-read-only)
		state, rest = state+" "+rest[0], rest[1:]
	}
	if len(rest) > 0 && !strings.Contains(rest[0], "[") {
		level, rest = rest[0], rest[1:]
	}
	return []string{f[0], level, state, "", "", strings.Join(rest, ", ")}
}

// A volume is a block device that the device mapper makes of others.
type volume struct {
	name, kind, uuid, on, mount string
	bytes                       uint64
}

func volumes(at tree) ([]volume, error) {
	folders, err := at.glob("/sys/block/dm-*")
	if err != nil || folders == nil {
		return nil, err
	}
	points, err := mountsByDevice(at)
	if err != nil {
		return nil, err
	}
	var all []volume
	for _, folder := range folders {
		below, err := at.names(folder + "/slaves")
		if err != nil {
			return nil, err
		}
		v := volume{
			name: at.attribute(folder + "/dm/name"), uuid: at.attribute(folder + "/dm/uuid"), on: strings.Join(below, ", "),
			mount: points[at.attribute(folder+"/dev")], bytes: blockSize(at, folder),
		}
		v.kind, _, _ = strings.Cut(v.uuid, "-")
		all = append(all, v)
	}
	return all, nil
}

func logicalVolumes(_ context.Context, at tree) ([][]string, error) {
	all, err := volumes(at)
	var rows [][]string
	for _, v := range all {
		rows = append(rows, []string{v.name, v.kind, size(v.bytes), v.on, v.mount})
	}
	return rows, err
}

// encryptedVolumes tells those that are open, by what the device mapper calls
// them (CRYPT-LUKS2-…), and those of crypttab(5) that are not.
func encryptedVolumes(_ context.Context, at tree) ([][]string, error) {
	all, err := volumes(at)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, v := range all {
		if kind, ok := strings.CutPrefix(v.uuid, "CRYPT-"); ok {
			kind, _, _ = strings.Cut(kind, "-")
			rows = append(rows, []string{v.name, kind, "Open", v.on})
		}
	}
	text, err := at.text("etc/crypttab")
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if !slices.ContainsFunc(all, func(v volume) bool { return v.name == f[0] }) {
			rows = append(rows, []string{f[0], cryptKind(f), "Configured", f[1]})
		}
	}
	return rows, err
}

// cryptKind is what the options of a line of crypttab say; without a word for
// it the volume is one of LUKS, whose version its own head tells.
func cryptKind(f []string) string {
	if len(f) < 4 {
		return "LUKS"
	}
	for _, option := range listOf(f[3]) {
		switch option {
		case "plain", "swap", "tmp":
			return "PLAIN"
		case "tcrypt", "bitlk":
			return strings.ToUpper(option)
		}
	}
	return "LUKS"
}

// kernelsOwn are kinds of file systems in which the kernel shows itself.
var kernelsOwn = []string{
	"proc", "sysfs", "cgroup", "cgroup2", "devpts", "debugfs", "tracefs", "securityfs", "pstore", "bpf", "mqueue", "hugetlbfs",
	"configfs", "fusectl", "binfmt_misc", "autofs", "rpc_pipefs", "nsfs", "efivarfs", "selinuxfs", "devtmpfs", "ramfs",
}

func mountedFileSystems(_ context.Context, at tree) ([][]string, error) {
	return mountRows(at, func(m mount) []string {
		if slices.Contains(kernelsOwn, m.kind) {
			return nil
		}
		return []string{m.point, withoutUser(m.source), m.kind, m.options}
	})
}

func mountRows(at tree, row func(mount) []string) ([][]string, error) {
	b, err := at.read("proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, m := range mounts(string(b)) {
		if r := row(m); r != nil {
			rows = append(rows, r)
		}
	}
	return uniqueRows(rows), nil
}

// remoteKinds are kinds of file systems of other machines.
var remoteKinds = []string{
	"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "gfs2", "ocfs2", "9p", "ncpfs", "coda", "beegfs", "orangefs",
	"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.rclone", "fuse.s3fs", "fuse.davfs", "davfs",
}

func networkMounts(_ context.Context, at tree) ([][]string, error) {
	return mountRows(at, func(m mount) []string {
		if !slices.Contains(remoteKinds, m.kind) {
			return nil
		}
		return []string{m.point, withoutUser(m.source), m.kind}
	})
}
