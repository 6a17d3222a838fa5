package probe

import (
	"context"
	"encoding/hex"
	"errors"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

// bpfMax bounds the programs in the kernel that are told.
const bpfMax = 10_000

// Commands of bpf(2).
const (
	bpfNextProgram   = 11
	bpfProgramByID   = 13
	bpfInfoByProgram = 15
)

// A bpfInfo is the beginning of what the kernel says of a program (linux/bpf.h,
// struct bpf_prog_info).
type bpfInfo struct {
	kind, id          uint32
	tag               [8]byte
	jited, translated uint32
	_, _              uint64 // where to put the program itself: nowhere
	loaded            uint64 // nanoseconds after the start
	user, maps        uint32
	_                 uint64
	name              [16]byte
}

// bpfKinds are names for the kinds of programs.
var bpfKinds = []string{
	"unspecified", "socket_filter", "kprobe", "sched_cls", "sched_act", "tracepoint", "xdp", "perf_event", "cgroup_skb", "cgroup_sock", "lwt_in",
	"lwt_out", "lwt_xmit", "sock_ops", "sk_skb", "cgroup_device", "sk_msg", "raw_tracepoint", "cgroup_sock_addr", "lwt_seg6local", "lirc_mode2",
	"sk_reuseport", "flow_dissector", "cgroup_sysctl", "raw_tracepoint_writable", "cgroup_sockopt", "tracing", "struct_ops", "ext", "lsm",
	"sk_lookup", "syscall", "netfilter",
}

func bpfKind(n uint32) string {
	if uint64(n) < uint64(len(bpfKinds)) {
		return bpfKinds[n]
	}
	return strconv.FormatUint(uint64(n), 10)
}

// bpf makes the system call. Its argument is a structure that the kernel reads
// and writes.
func bpf(command int, argument unsafe.Pointer, size uintptr) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(argument), size)
	runtime.KeepAlive(argument)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// bpfPrograms goes through the numbers of the programs in the kernel.
func bpfPrograms(ctx context.Context, at tree) ([][]string, error) {
	boot, err := bootTime(at.at("proc/stat"))
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for id := uint32(0); len(rows) < bpfMax; {
		if err := stoppedIf(ctx, "reading the programs in the kernel"); err != nil {
			return nil, err
		}
		next := struct{ start, next, flags, _ uint32 }{start: id}
		_, err := bpf(bpfNextProgram, unsafe.Pointer(&next), unsafe.Sizeof(next))
		switch {
		case errors.Is(err, unix.ENOENT):
			return rows, nil
		case errors.Is(err, unix.EPERM):
			return nil, fault.New(fault.Denied, "the programs in the kernel: %w", err)
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL):
			return nil, unknown("list of programs in the kernel", "the kernel has none")
		case err != nil:
			return nil, err
		}
		id = next.next
		if info, err := bpfInfoOf(id); err == nil { // else it was unloaded meanwhile
			loaded := boot.Add(time.Duration(info.loaded)).Truncate(time.Second)
			rows = append(rows, []string{
				strconv.FormatUint(uint64(id), 10), bpfKind(info.kind), fixedText(info.name[:]), hex.EncodeToString(info.tag[:]), date(loaded),
			})
		}
	}
	return rows, nil
}

func bpfInfoOf(id uint32) (bpfInfo, error) {
	byID := struct{ id, next, flags, _ uint32 }{id: id}
	fd, err := bpf(bpfProgramByID, unsafe.Pointer(&byID), unsafe.Sizeof(byID))
	if err != nil {
		return bpfInfo{}, err
	}
	defer unix.Close(fd)
	var info bpfInfo
	var pinner runtime.Pinner
	pinner.Pin(&info) // the kernel writes to where it lies
	defer pinner.Unpin()
	ask := struct {
		fd, size uint32
		to       uint64
	}{uint32(fd), uint32(unsafe.Sizeof(info)), uint64(uintptr(unsafe.Pointer(&info)))}
	_, err = bpf(bpfInfoByProgram, unsafe.Pointer(&ask), unsafe.Sizeof(ask))
	return info, err
}
