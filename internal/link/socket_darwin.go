package link

import (
	"time"

	"golang.org/x/sys/unix"
)

// rxtConnDropTime is TCP_RXT_CONNDROPTIME of <netinet/tcp.h>, in seconds.
const rxtConnDropTime = 0x80

func limitSilence(fd uintptr, most time.Duration) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, rxtConnDropTime, int(most.Seconds()))
}
