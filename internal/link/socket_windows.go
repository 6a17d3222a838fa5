package link

import (
	"time"

	"golang.org/x/sys/windows"
)

// maxRT is TCP_MAXRT of <ws2ipdef.h>, in seconds.
const maxRT = 5

func limitSilence(fd uintptr, most time.Duration) error {
	return windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_TCP, maxRT, int(most.Seconds()))
}
