package link

import (
	"net"
	"time"
)

const (
	// A neighbour that has lost its power says nothing. Idle links notice it by
	// keep-alive probes, those with something to say by silenceMax: keep-alive
	// does not run while data is on its way.
	probeAfter = 5 * time.Second
	probeEvery = time.Second
	probes     = 3
	// silenceMax is how long sent data may stay without an answer from the other
	// end's kernel. It also ends a link whose neighbour reads nothing for so
	// long; a loaded machine is seconds late, not more. Linux ends an idle link by
	// it too, instead of counting probes: it leaves time for five of them.
	silenceMax = 10 * time.Second
)

// KeepAlive lets the kernel look after links that say nothing.
var KeepAlive = net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probes}

// Harden lets the kernel notice within seconds that the other end is gone
// without a word (docs/protocol.md §1).
func Harden(c *net.TCPConn) error {
	if err := c.SetKeepAliveConfig(KeepAlive); err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var optErr error
	if err := raw.Control(func(fd uintptr) { optErr = limitSilence(fd, silenceMax) }); err != nil {
		return err
	}
	return optErr
}
