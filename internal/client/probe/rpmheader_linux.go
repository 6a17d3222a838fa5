package probe

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// A package's header, as every form of rpm's database holds it: two big-endian
// numbers (entries, bytes of data), entries of 16 bytes (tag, type, offset into
// the data, count), the data. (rpm's manual, "Header format".)
const (
	rpmTagName     = 1000
	rpmTagVersion  = 1001
	rpmTagRelease  = 1002
	rpmTagEpoch    = 1003
	rpmTagArch     = 1022
	rpmTypeInt32   = 4
	rpmTypeString  = 6
	rpmTypeStrings = 8 // several texts
	rpmTypeI18N    = 9 // a text in several languages
	rpmIntro       = 8
	rpmEntry       = 16
	rpmEntriesMax  = 1 << 16 // rpm's own limit
)

// parseRPMHeader reads name, version and architecture out of a header.
func parseRPMHeader(b []byte) (application, error) {
	if len(b) < rpmIntro {
		return application{}, damaged("a header of %d bytes", len(b))
	}
	entries, size := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if entries > rpmEntriesMax || uint64(len(b)) < rpmIntro+uint64(entries)*rpmEntry+uint64(size) {
		return application{}, damaged("a header that says it is longer than it is")
	}
	index := b[rpmIntro : rpmIntro+entries*rpmEntry]
	data := b[rpmIntro+len(index):][:size]
	var a application
	var release, epoch string
	for ; len(index) > 0; index = index[rpmEntry:] {
		at := data[min(uint64(binary.BigEndian.Uint32(index[8:])), uint64(size)):]
		kind := binary.BigEndian.Uint32(index[4:])
		switch binary.BigEndian.Uint32(index) {
		case rpmTagName:
			a.name = rpmText(kind, at)
		case rpmTagVersion:
			a.version = rpmText(kind, at)
		case rpmTagRelease:
			release = rpmText(kind, at)
		case rpmTagArch:
			a.architecture = rpmText(kind, at)
		case rpmTagEpoch:
			if kind == rpmTypeInt32 && len(at) >= 4 {
				epoch = strconv.FormatUint(uint64(binary.BigEndian.Uint32(at)), 10)
			}
		}
	}
	if a.name == "" || a.version == "" || release == "" {
		return application{}, damaged("a header without name, version and release")
	}
	a.version += "-" + release
	if epoch != "" {
		a.version = epoch + ":" + a.version
	}
	return a, nil
}

// rpmText returns the first text at the start of data, which ends with a zero.
func rpmText(kind uint32, data []byte) string {
	if kind != rpmTypeString && kind != rpmTypeStrings && kind != rpmTypeI18N {
		return ""
	}
	text, _, ok := bytes.Cut(data, []byte{0})
	if !ok {
		return ""
	}
	return string(text)
}
