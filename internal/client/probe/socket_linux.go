package probe

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A socket is one line of a table of sockets, /proc/net/tcp and its kin
// (proc(5)).
type socket struct {
	protocol      string
	local, remote netip.AddrPort
	state         byte
	inode         uint64
}

// States of TCP as the kernel numbers them. A UDP socket is established when
// it is connected, else closed.
const (
	stateEstablished = 1
	stateClosed      = 7
	stateListening   = 10
)

func listeningPorts(ctx context.Context) ([][]string, error) {
	waiting, err := sockets(func(s socket) bool {
		return s.state == stateListening || s.protocol == "UDP" && s.state == stateClosed
	})
	if err != nil {
		return nil, err
	}
	return socketRows(ctx, waiting, func(s socket, process string) []string {
		return []string{process, s.protocol, s.local.Addr().String(), port(s.local)}
	})
}

func establishedConnections(ctx context.Context) ([][]string, error) {
	connected, err := sockets(func(s socket) bool { return s.state == stateEstablished })
	if err != nil {
		return nil, err
	}
	return socketRows(ctx, connected, func(s socket, process string) []string {
		return []string{
			process, s.protocol, s.local.Addr().String(), port(s.local), s.remote.Addr().String(), port(s.remote),
		}
	})
}

func port(a netip.AddrPort) string { return strconv.Itoa(int(a.Port())) }

// sockets returns the sockets of this machine that are wanted. A kernel
// without IPv6 has no tables for it.
func sockets(wanted func(socket) bool) ([]socket, error) {
	var all []socket
	for _, t := range []struct{ protocol, file string }{
		{"TCP", "/proc/net/tcp"}, {"TCP", "/proc/net/tcp6"}, {"UDP", "/proc/net/udp"}, {"UDP", "/proc/net/udp6"},
	} {
		b, err := readSystem(t.file)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		first := true
		for line := range strings.Lines(string(b)) {
			if first { // the heading
				first = false
				continue
			}
			s, ok := parseSocket(line)
			if !ok {
				return nil, fmt.Errorf("%s cannot be read: %q", t.file, line)
			}
			if s.protocol = t.protocol; wanted(s) {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// parseSocket reads one line of a table of sockets.
func parseSocket(line string) (s socket, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return socket{}, false
	}
	local, ok := parseEnd(f[1])
	if !ok {
		return socket{}, false
	}
	remote, ok := parseEnd(f[2])
	if !ok {
		return socket{}, false
	}
	state, err := strconv.ParseUint(f[3], 16, 8)
	if err != nil {
		return socket{}, false
	}
	inode, err := strconv.ParseUint(f[9], 10, 64)
	if err != nil {
		return socket{}, false
	}
	return socket{local: local, remote: remote, state: byte(state), inode: inode}, true
}

// parseEnd reads an address and port in hex: 0100007F:1F90 is 127.0.0.1:8080.
// The kernel prints each four bytes of the address as a number of the
// machine's byte order, the port as a plain number. An IPv4 address within
// IPv6 is told as the IPv4 address it is.
func parseEnd(s string) (netip.AddrPort, bool) {
	address, portText, ok := strings.Cut(s, ":")
	if !ok || len(portText) != 4 {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(portText, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	b, err := hex.DecodeString(address)
	if err != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	ip, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), ok
}

// socketRows makes a row of each socket, each row once.
func socketRows(ctx context.Context, all []socket, row func(s socket, process string) []string) ([][]string, error) {
	owners, err := socketOwners(ctx, all)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, s := range all {
		rows = append(rows, row(s, owners[s.inode]))
	}
	slices.SortFunc(rows, slices.Compare)
	return slices.CompactFunc(rows, slices.Equal), nil
}

// socketOwners names the process that holds each of the sockets. Of several
// processes it is the one with the smallest number, which mostly made it.
func socketOwners(ctx context.Context, all []socket) (map[uint64]string, error) {
	owners := map[uint64]string{}
	pending := map[uint64]bool{} // sockets whose owner is still looked for
	for _, s := range all {
		if s.inode != 0 { // 0: closed by its process, kept by the kernel
			pending[s.inode] = true
		}
	}
	if len(pending) == 0 {
		return owners, nil
	}
	candidates, err := pids("/proc")
	if err != nil {
		return nil, err
	}
	for _, pid := range candidates {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("reading the sockets stopped: %w", context.Cause(ctx))
		}
		mine, err := socketsOf(pid, pending)
		if err != nil {
			return nil, err
		}
		if len(mine) == 0 {
			continue
		}
		p, err := readProcess("/proc", pid)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, inode := range mine {
			owners[inode] = p.name
			delete(pending, inode)
		}
		if len(pending) == 0 {
			break
		}
	}
	return owners, nil
}

// socketsOf returns which of the wanted sockets a process has open. It has
// none if it ended or may not be looked into.
func socketsOf(pid int, wanted map[uint64]bool) ([]uint64, error) {
	folder, err := os.Open("/proc/" + strconv.Itoa(pid) + "/fd")
	if gone(err) || errors.Is(err, os.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	if gone(err) || errors.Is(err, os.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var mine []uint64
	link := make([]byte, len("socket:[18446744073709551615]"))
	for _, name := range names {
		n, err := unix.Readlinkat(int(folder.Fd()), name, link)
		if err != nil { // closed meanwhile
			continue
		}
		if inode, ok := socketInode(string(link[:n])); ok && wanted[inode] {
			mine = append(mine, inode)
		}
	}
	slices.SortFunc(mine, cmp.Compare[uint64])
	return slices.Compact(mine), nil
}

// socketInode reads what a link of an open file says if it is a socket.
func socketInode(link string) (uint64, bool) {
	digits, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return 0, false
	}
	digits, ok = strings.CutSuffix(digits, "]")
	if !ok {
		return 0, false
	}
	inode, err := strconv.ParseUint(digits, 10, 64)
	return inode, err == nil
}
