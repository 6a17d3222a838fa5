package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A relay stands between a link's port and its bridge and holds or loses
// frames: this is done here because not every kernel has netem. It reads the
// port as a packet socket sees it, and stands on the bridge as a TAP device.
type relay struct {
	delay  atomic.Int64 // nanoseconds
	loss   atomic.Int64 // frames in a million
	port   *os.File
	tap    *os.File
	worker sync.WaitGroup
}

const (
	// relayQueue bounds the frames under way in one direction: 40 ms of a
	// gigabit line. What is more is lost, as in a router.
	relayQueue = 4096
	frameMax   = 1 << 16 // bytes; more than any MTU
	million    = 1_000_000
)

// newRelay takes the port off the bridge and puts itself in its place.
func newRelay(port, bridge string) (*relay, error) {
	r := &relay{}
	var err error
	if r.tap, err = openTAP(tapName(port)); err != nil {
		return nil, err
	}
	if r.port, err = openPort(port); err != nil {
		return nil, errors.Join(err, r.tap.Close())
	}
	err = ip("link set "+port+" nomaster", "link set "+tapName(port)+" master "+bridge+" up")
	if err != nil {
		return nil, errors.Join(err, r.tap.Close(), r.port.Close())
	}
	r.pump(r.port, r.tap)
	r.pump(r.tap, r.port)
	return r, nil
}

// remove puts the port back on the bridge. The TAP device goes with its file.
func (r *relay) remove(port, bridge string) error {
	err := errors.Join(r.tap.Close(), r.port.Close())
	r.worker.Wait()
	return errors.Join(err, ip("link set "+port+" master "+bridge))
}

func openTAP(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make TAP device %s: %w", name, err), unix.Close(fd))
	}
	// Not sooner: nothing can wait for a descriptor that is no device yet.
	return os.NewFile(uintptr(fd), name), nil
}

// openPort opens a packet socket that sees every frame that comes out of the
// port, and none that it sends into it.
func openPort(name string) (*os.File, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	all := uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	if err == nil {
		err = unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(link.Index), Type: unix.PACKET_MR_PROMISC})
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("packet socket on %s: %w", name, err), f.Close())
	}
	return f, nil
}

// A frame waits for its time.
type frame struct {
	due  time.Time
	data []byte
}

// pump carries frames one way until the files are closed.
func (r *relay) pump(from, to *os.File) {
	queue := make(chan frame, relayQueue)
	r.worker.Go(func() {
		defer close(queue)
		buf := make([]byte, frameMax)
		for {
			n, err := from.Read(buf)
			if err != nil && !errors.Is(err, unix.ENETDOWN) { // said once when the link goes down
				return
			}
			if n <= 0 || rand.Int64N(million) < r.loss.Load() {
				continue
			}
			select {
			case queue <- frame{time.Now().Add(time.Duration(r.delay.Load())), append([]byte(nil), buf[:n]...)}:
			default:
			}
		}
	})
	r.worker.Go(func() {
		for f := range queue {
			time.Sleep(time.Until(f.due))
			// A frame that cannot be written is lost, as on any line.
			_, _ = to.Write(f.data)
		}
	})
}
