package exec

import (
	"errors"

	"golang.org/x/sys/unix"

	"catenary/internal/sensor"
)

const (
	platform   = sensor.Linux
	utf8Locale = "C.UTF-8"
)

// end waits until the script has ended and then ends what it left running. As
// long as nobody has asked how it ended, the system gives its number, which is
// the group's, to no other process.
func (g *group) end() {
	for {
		err := unix.Waitid(unix.P_PID, g.leader.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	_ = g.kill() // nothing left to end is what we hope for
}
