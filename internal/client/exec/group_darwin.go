package exec

import (
	"errors"

	"golang.org/x/sys/unix"

	"catenary/internal/sensor"
)

const (
	platform   = sensor.Mac
	utf8Locale = "en_US.UTF-8"
)

// end waits until the script has ended and then ends what it left running. As
// long as nobody has asked how it ended, the system gives its number, which is
// the group's, to no other process. A kernel queue tells of the end without
// asking.
func (g *group) end() {
	if queue, err := unix.Kqueue(); err == nil {
		defer unix.Close(queue)
		unix.CloseOnExec(queue)
		watch := []unix.Kevent_t{{Ident: uint64(g.leader.Process.Pid), Filter: unix.EVFILT_PROC, Flags: unix.EV_ADD | unix.EV_ONESHOT, Fflags: unix.NOTE_EXIT}}
		for {
			// ESRCH in the answer: it has ended already
			if _, err := unix.Kevent(queue, watch, make([]unix.Kevent_t, 1), nil); !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
	_ = g.kill() // nothing left to end is what we hope for
}
