package lab

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

// A namespace is one machine's network and host name. It lives as long as the
// process that holds its files, and what runs in it.
type namespace struct{ net, uts *os.File }

// newNamespace makes a machine of the given name, and readies it.
func newNamespace(name string, ready func() error) (namespace, error) {
	var n namespace
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWUTS); err != nil {
			return fmt.Errorf("make a namespace: %w", err)
		}
		if err := unix.Sethostname([]byte(name)); err != nil {
			return fmt.Errorf("name a namespace: %w", err)
		}
		var err error
		if n.net, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		if n.uts, err = os.Open("/proc/thread-self/ns/uts"); err != nil {
			return err
		}
		return ready()
	})
	return n, err
}

// do runs f, and the programs that f starts, in the namespace.
func (n namespace) do(f func() error) error {
	return onThread(func() error {
		for _, ns := range []struct {
			file *os.File
			kind int
		}{{n.net, unix.CLONE_NEWNET}, {n.uts, unix.CLONE_NEWUTS}} {
			if err := unix.Setns(int(ns.file.Fd()), ns.kind); err != nil {
				return fmt.Errorf("enter a namespace: %w", err)
			}
		}
		return f()
	})
}

// onThread runs f on an operating system's thread of its own, which ends with
// it: nobody else ever runs on a thread that stands in another namespace.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

// ip runs iproute2 over lines of commands, in the namespace of the thread.
func ip(lines ...string) error { return feed(lines, "ip", "-batch", "-") }

// nft loads rules, all or none, in the namespace of the thread.
func nft(rules string) error { return feed([]string{rules}, "nft", "-f", "-") }

func feed(lines []string, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	text := strings.Join(lines, "\n") + "\n"
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s\nof\n%s", program, err, out, text)
	}
	return nil
}

// tools says which programs the lab needs and where Debian has them.
func tools() error {
	for _, t := range []struct{ program, source string }{
		{"ip", "iproute2"}, {"nft", "nftables"}, {"nsenter", "util-linux"},
	} {
		if _, err := exec.LookPath(t.program); err != nil {
			return fault.New(fault.Unavailable, "a lab needs the program %s (Debian package %s): %w", t.program, t.source, err)
		}
	}
	return nil
}

// sysctl sets a kernel's variable of the thread's network namespace.
func sysctl(name, value string) error {
	return os.WriteFile("/proc/sys/"+name, []byte(value), 0o644)
}

// plainFrames makes a link send frames as a cable would carry them: with
// finished checksums and none longer than its MTU, so that counters count what
// a cable would see and a relay can pass frames on as they are.
func plainFrames(link string) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	// struct ethtool_value in a struct ifreq, as linux/ethtool.h has them.
	value := struct{ command, data uint32 }{unix.ETHTOOL_STXCSUM, 0}
	req := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(req.name[:unix.IFNAMSIZ-1], link)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return fmt.Errorf("checksums of %s: %w", link, errno)
	}
	return nil
}
