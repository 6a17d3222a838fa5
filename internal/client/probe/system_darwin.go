package probe

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/shirou/gopsutil/v4/host"
	"golang.org/x/sys/unix"

	"catenary/internal/sensor"
)

const platform = sensor.Mac

func operatingSystem() (string, error) {
	version, err := unix.Sysctl("kern.osproductversion")
	if err != nil {
		return "", fmt.Errorf("the operating system: %w", err)
	}
	return "macOS " + version, nil
}

func loggedInUsers(ctx context.Context) ([]string, error) {
	sessions, err := host.UsersWithContext(ctx)
	if os.IsNotExist(err) {
		return nil, unknown("logged in users", "the system keeps no record of sessions")
	}
	var users []string
	for _, s := range sessions {
		users = append(users, s.User)
	}
	return users, err
}

func model() (string, error) { return unix.Sysctl("hw.model") }

func isVirtual() (string, error) {
	guest, err := unix.SysctlUint32("kern.hv_vmm_present")
	return yesNo(guest != 0), err
}

// unixDate writes a moment that is counted in seconds.
func unixDate(seconds int64) string { return date(time.Unix(seconds, 0)) }
