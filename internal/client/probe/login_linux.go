package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// sessionsMax is how many login sessions are looked at: far more than a
// terminal server has.
const sessionsMax = 100_000

// Layout of the records of utmp(5), in bytes. 64-bit ARM alone of the systems
// that we build for has times of 64 bits in them.
const (
	utmpUserProcess = 7 // ut_type of a login session
	utmpPID         = 4
	utmpUser        = 44
	utmpUserEnd     = 76
	utmpSize        = 384
	utmpSizeARM     = 400
)

func loggedInUsers(context.Context) ([]string, error) {
	return sessionUsers("/run/utmp", "/run/systemd/sessions", "/proc")
}

// sessionUsers names the users whom either of two books knows: the old record
// of terminals, whose entries may outlive their session and count only as long
// as its process lives, and the session files of systemd's login service.
func sessionUsers(utmp, sessions, proc string) ([]string, error) {
	var users []string
	records, err := readSystem(utmp)
	if err != nil && !absent(err) {
		return nil, err
	}
	noRecords := absent(err)
	for _, login := range parseUtmp(records, utmpRecord()) {
		if _, err := os.Stat(filepath.Join(proc, strconv.Itoa(login.pid))); err == nil {
			users = append(users, login.user)
		}
	}
	files, err := os.ReadDir(sessions)
	if absent(err) && noRecords {
		return nil, unknown("logged in users", "the system keeps no record of sessions")
	}
	if err != nil && !absent(err) {
		return nil, pathError(err)
	}
	for _, file := range files[:min(len(files), sessionsMax)] {
		if !file.Type().IsRegular() {
			continue
		}
		b, err := readSystem(filepath.Join(sessions, file.Name()))
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if user := sessionUser(string(b)); user != "" {
			users = append(users, user)
		}
	}
	return users, nil
}

// sessionUser returns whose session a file describes, unless it belongs to the
// system (a greeter, a user's service manager) or is closing.
func sessionUser(text string) string {
	fields := assignments(text)
	if class := fields["CLASS"]; !strings.HasPrefix(class, "user") || fields["STATE"] == "closing" {
		return ""
	}
	return fields["USER"]
}

type login struct {
	user string
	pid  int
}

func utmpRecord() int {
	if runtime.GOARCH == "arm64" {
		return utmpSizeARM
	}
	return utmpSize
}

// parseUtmp reads the login sessions from records of the given size.
func parseUtmp(b []byte, record int) []login {
	var logins []login
	for ; len(b) >= record; b = b[record:] {
		user, _, _ := bytes.Cut(b[utmpUser:utmpUserEnd], []byte{0})
		pid := int32(binary.NativeEndian.Uint32(b[utmpPID:]))
		if binary.NativeEndian.Uint16(b) == utmpUserProcess && len(user) > 0 && pid > 0 {
			logins = append(logins, login{string(user), int(pid)})
		}
	}
	return logins
}
