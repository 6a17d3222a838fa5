package probe

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
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

// listens reports whether a socket waits for connections or datagrams.
func (s socket) listens() bool {
	return s.state == stateListening || s.protocol == "UDP" && s.state == stateClosed
}

func (p *Probe) listeningPorts(ctx context.Context) ([][]string, error) {
	return p.socketRows(ctx, socket.listens, func(s socket, owner process) []string {
		return []string{owner.name, s.protocol, s.local.Addr().String(), port(s.local)}
	})
}

func (p *Probe) listeningDetails(ctx context.Context) ([][]string, error) {
	names := p.userNames()
	return p.socketRows(ctx, socket.listens, func(s socket, owner process) []string {
		pid, user, path := "", "", ""
		if owner.pid != 0 {
			pid, user = strconv.Itoa(owner.pid), names.of(owner.user)
			path, _ = os.Readlink(p.root.at("proc/" + pid + "/exe")) // empty where it may not be seen
		}
		return []string{owner.name, pid, user, path, s.protocol, s.local.Addr().String(), port(s.local)}
	})
}

func (p *Probe) establishedConnections(ctx context.Context) ([][]string, error) {
	return p.socketRows(ctx, func(s socket) bool { return s.state == stateEstablished }, func(s socket, owner process) []string {
		return []string{
			owner.name, s.protocol, s.local.Addr().String(), port(s.local), s.remote.Addr().String(), port(s.remote),
		}
	})
}

// tcpStates are names for the states of TCP, by the kernel's numbers.
var tcpStates = [...]string{
	1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2", 6: "TIME_WAIT", 7: "CLOSE", 8: "CLOSE_WAIT",
	9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING", 12: "SYN_RECV",
}

func connectionStates(_ context.Context, at tree) ([][]string, error) {
	counts := map[string]int{}
	_, err := sockets(at, func(s socket) bool {
		if s.protocol == "TCP" && int(s.state) < len(tcpStates) {
			counts[tcpStates[s.state]]++
		}
		return false
	})
	return countRows(counts), err
}

func port(a netip.AddrPort) string { return strconv.Itoa(int(a.Port())) }

// sockets returns the sockets of this machine that are wanted. A kernel
// without IPv6 has no tables for it.
func sockets(at tree, wanted func(socket) bool) ([]socket, error) {
	var all []socket
	for _, t := range []struct{ protocol, file string }{
		{"TCP", "proc/net/tcp"}, {"TCP", "proc/net/tcp6"}, {"UDP", "proc/net/udp"}, {"UDP", "proc/net/udp6"},
	} {
		b, err := at.read(t.file)
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

// socketRows makes a row of each socket that is wanted, each row once. The
// owner of a socket that nobody has, or nobody whom we may see, is the zero
// process.
func (p *Probe) socketRows(ctx context.Context, wanted func(socket) bool, row func(s socket, owner process) []string) ([][]string, error) {
	all, err := sockets(p.root, wanted)
	if err != nil {
		return nil, err
	}
	owners, err := p.socketOwners(ctx)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, s := range all {
		rows = append(rows, row(s, owners[s.inode]))
	}
	return uniqueRows(rows), nil
}

// socketOwners tells the process that holds each socket of this machine. Of
// several processes it is the one with the smallest number, which mostly made
// it.
func (p *Probe) socketOwners(ctx context.Context) (map[uint64]process, error) {
	return p.owners.get(p.keep, func() (map[uint64]process, error) {
		all, err := p.processes(ctx)
		if err != nil {
			return nil, err
		}
		owners := map[uint64]process{}
		for _, proc := range all {
			if proc.kernel {
				continue
			}
			if err := stoppedIf(ctx, "reading the sockets"); err != nil {
				return nil, err
			}
			mine, err := socketsOf(p.root, proc.pid)
			if err != nil {
				return nil, err
			}
			for _, inode := range mine {
				if _, taken := owners[inode]; !taken {
					owners[inode] = proc
				}
			}
		}
		return owners, nil
	})
}

// socketsOf returns the sockets that a process has open. It has none if it
// ended or may not be looked into.
func socketsOf(at tree, pid int) ([]uint64, error) {
	folder, err := os.Open(at.at("proc/" + strconv.Itoa(pid) + "/fd"))
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
		if inode, ok := socketInode(string(link[:n])); ok {
			mine = append(mine, inode)
		}
	}
	return mine, nil
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
