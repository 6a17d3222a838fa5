//go:build unix

package probe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func timeZone() (string, error) { return zoneName("/etc/localtime", "/etc/timezone") }

// zoneName returns the name of the zone that the link /etc/localtime leads to.
// Where that is a copy, a file beside it may tell the name; failing that, the
// zone's offset is all that is known. Without such a file the C library takes
// UTC, and so do we.
func zoneName(localtime, timezone string) (string, error) {
	target, err := os.Readlink(localtime)
	if errors.Is(err, fs.ErrNotExist) {
		return "UTC", nil
	}
	if err == nil {
		if _, name, ok := strings.Cut(filepath.ToSlash(target), "zoneinfo/"); ok {
			return strings.TrimPrefix(name, "posix/"), nil
		}
	}
	if b, err := os.ReadFile(timezone); err == nil {
		if name := strings.TrimSpace(string(b)); name != "" {
			return name, nil
		}
	}
	abbreviation, _ := time.Now().Zone()
	return abbreviation + " (UTC" + time.Now().Format("-07:00") + ")", nil
}
