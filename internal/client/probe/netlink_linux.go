package probe

import (
	"encoding/binary"
	"fmt"
	"iter"
	"time"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

const (
	netlinkBuffer  = 64 << 10        // bytes that the kernel sends at a time, at most
	netlinkMax     = 32 << 20        // bytes of one answer
	netlinkTimeout = 2 * time.Second // the kernel answers at once or not at all
	nestedMask     = 0x3fff          // an attribute's number without the marks for its form
)

// A netlinkMessage is one part of the kernel's answer to a question by netlink
// (netlink(7)).
type netlinkMessage struct {
	kind uint16
	body []byte
}

// netlinkAsk puts a question to the kernel and returns all that it answers. If
// it is not a dump, that is one message.
func netlinkAsk(protocol int, kind, flags uint16, body []byte) ([]netlinkMessage, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, netlinkError(err)
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(int64(netlinkTimeout))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, err
	}
	request := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	request = binary.NativeEndian.AppendUint16(request, kind)
	request = binary.NativeEndian.AppendUint16(request, unix.NLM_F_REQUEST|flags)
	request = binary.NativeEndian.AppendUint32(request, 1) // number of the question
	request = binary.NativeEndian.AppendUint32(request, 0) // asked of the kernel
	if err := unix.Sendto(fd, append(request, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, netlinkError(err)
	}
	var all []netlinkMessage
	buffer := make([]byte, netlinkBuffer)
	for total := 0; total < netlinkMax; {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err != nil {
			return nil, netlinkError(err)
		}
		total += n
		part, done, err := netlinkMessages(append([]byte(nil), buffer[:n]...))
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
		if done || flags&unix.NLM_F_DUMP == 0 && len(all) > 0 {
			return all, nil
		}
	}
	return nil, fault.New(fault.Invalid, "the kernel has more to say than %d bytes", netlinkMax)
}

func netlinkError(err error) error {
	switch err {
	case unix.EPERM, unix.EACCES:
		return fault.New(fault.Denied, "the kernel does not answer us: %w", err)
	case unix.EPROTONOSUPPORT, unix.EOPNOTSUPP, unix.EINVAL, unix.EAFNOSUPPORT, unix.ECONNREFUSED:
		return fault.New(fault.NotFound, "the kernel has no such part: %w", err)
	}
	return fmt.Errorf("asking the kernel: %w", err)
}

// netlinkMessages takes what was received apart. done says that the answer is
// complete.
func netlinkMessages(b []byte) (all []netlinkMessage, done bool, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		length := int(binary.NativeEndian.Uint32(b))
		kind := binary.NativeEndian.Uint16(b[4:])
		if length < unix.NLMSG_HDRLEN || length > len(b) {
			return nil, false, fmt.Errorf("the kernel's answer is cut")
		}
		body := b[unix.NLMSG_HDRLEN:length]
		switch kind {
		case unix.NLMSG_DONE:
			return all, true, nil
		case unix.NLMSG_ERROR:
			if len(body) >= 4 {
				if number := int32(binary.NativeEndian.Uint32(body)); number < 0 {
					return nil, false, netlinkError(unix.Errno(-number))
				}
			}
			return all, true, nil
		case unix.NLMSG_NOOP:
		default:
			all = append(all, netlinkMessage{kind, body})
		}
		b = b[min(len(b), (length+3)&^3):]
	}
	return all, false, nil
}

// netlinkAttributes goes through the attributes of a message: length, kind,
// content, filled up to four bytes.
func netlinkAttributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			length, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])&nestedMask
			if length < unix.SizeofRtAttr || length > len(b) || !yield(kind, b[unix.SizeofRtAttr:length]) {
				return
			}
			b = b[min(len(b), (length+3)&^3):]
		}
	}
}

// netlinkAttribute returns one attribute, nil if it is not there.
func netlinkAttribute(b []byte, wanted uint16) []byte {
	for kind, content := range netlinkAttributes(b) {
		if kind == wanted {
			return content
		}
	}
	return nil
}

// netlinkNumber reads a number of the machine's byte order.
func netlinkNumber(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}
