package probe

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// sessionsMax is how many login sessions are looked at: far more than a
	// terminal server has.
	sessionsMax = 100_000
	historyMax  = 1_000   // logins and starts that are told
	recordsMax  = 100_000 // records of a book that are looked at, the newest
	rebootsMax  = 100
)

// Kinds of records of utmp(5).
const (
	utmpRunLevel    = 1
	utmpBoot        = 2
	utmpLoginWaits  = 6 // of failed logins, in btmp
	utmpUserProcess = 7 // a login session
	utmpDeadProcess = 8
)

// Layout of the records of utmp(5), in bytes. 64-bit ARM alone of the systems
// that we build for has times of 64 bits in them.
const (
	utmpPID     = 4
	utmpLine    = 8
	utmpLineEnd = 40
	utmpUser    = 44
	utmpUserEnd = 76
	utmpHostEnd = 332
	utmpTime    = 340
	utmpTimeARM = 344
	utmpSize    = 384
	utmpSizeARM = 400
)

// Layout of the records of lastlog(8), one for each number of an account.
const (
	lastlogTime    = 4
	lastlogLineEnd = 36
	lastlogSize    = 292
)

// A login is a record of utmp(5).
type login struct {
	kind             uint16
	pid              int
	line, user, host string
	at               time.Time
}

func loggedInUsers(_ context.Context, at tree) ([]string, error) {
	return sessionUsers(at.at("run/utmp"), at.at("run/systemd/sessions"), at.at("proc"))
}

// sessionUsers names the users whom either of two books knows: the old record
// of terminals, whose entries may outlive their session and count only as long
// as its process lives, and the session files of systemd's login service.
func sessionUsers(utmp, sessions, proc string) ([]string, error) {
	all, err := sessionsIn(utmp, sessions, proc)
	var users []string
	for _, s := range all {
		users = append(users, s.user)
	}
	return users, err
}

// sessionsIn returns the login sessions of both books; one session may stand in
// both.
func sessionsIn(utmp, sessions, proc string) ([]login, error) {
	records, err := readSystem(utmp)
	if err != nil && !absent(err) {
		return nil, err
	}
	noRecords := absent(err)
	var all []login
	for _, l := range parseUtmp(records, utmpRecord()) {
		if l.kind != utmpUserProcess || l.user == "" || l.pid <= 0 {
			continue
		}
		if _, err := os.Stat(filepath.Join(proc, strconv.Itoa(l.pid))); err == nil {
			all = append(all, l)
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
		if s, ok := session(string(b)); ok {
			all = append(all, s)
		}
	}
	return all, nil
}

// session reads a session file of systemd's login service, unless the session
// belongs to the system (a greeter, a user's service manager) or is closing.
func session(text string) (login, bool) {
	fields := assignments(text)
	if class := fields["CLASS"]; !strings.HasPrefix(class, "user") || fields["STATE"] == "closing" || fields["USER"] == "" {
		return login{}, false
	}
	l := login{user: fields["USER"], line: cmp.Or(fields["TTY"], fields["DISPLAY"]), host: fields["REMOTE_HOST"]}
	if micros, err := strconv.ParseInt(fields["REALTIME"], 10, 64); err == nil {
		l.at = time.UnixMicro(micros)
	}
	return l, true
}

func loginSessions(_ context.Context, at tree) ([][]string, error) {
	all, err := sessionsIn(at.at("run/utmp"), at.at("run/systemd/sessions"), at.at("proc"))
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for i, l := range all {
		inBoth := slices.ContainsFunc(all[:i], func(o login) bool { return l.line != "" && o.line == l.line && o.user == l.user })
		if !inBoth {
			rows = append(rows, []string{l.user, l.line, l.host, dateIfAny(l.at)})
		}
	}
	return uniqueRows(rows), nil
}

// dateIfAny is empty for a moment that is not known.
func dateIfAny(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return date(t)
}

func utmpRecord() int {
	if runtime.GOARCH == "arm64" {
		return utmpSizeARM
	}
	return utmpSize
}

// parseUtmp reads records of the given size.
func parseUtmp(b []byte, record int) []login {
	var logins []login
	for ; len(b) >= record; b = b[record:] {
		l := login{
			kind: binary.NativeEndian.Uint16(b), pid: int(int32(binary.NativeEndian.Uint32(b[utmpPID:]))),
			line: fixedText(b[utmpLine:utmpLineEnd]), user: fixedText(b[utmpUser:utmpUserEnd]), host: fixedText(b[utmpUserEnd:utmpHostEnd]),
		}
		seconds := int64(int32(binary.NativeEndian.Uint32(b[utmpTime:])))
		if record == utmpSizeARM {
			seconds = int64(binary.NativeEndian.Uint64(b[utmpTimeARM:]))
		}
		if seconds > 0 && seconds <= math.MaxUint32 {
			l.at = time.Unix(seconds, 0)
		}
		logins = append(logins, l)
	}
	return logins
}

// fixedText is the text in a field of a fixed size, which zeros fill up.
func fixedText(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

// book reads the newest records of a book of logins. One that is not there is
// empty.
func book(at tree, path string) ([]login, error) {
	f, err := openRegular(at.at(path))
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	id, err := f.identity()
	if err != nil {
		return nil, err
	}
	record := int64(utmpRecord())
	records := id.size / record
	first := max(0, records-recordsMax)
	b, err := io.ReadAll(io.NewSectionReader(f, first*record, (records-first)*record))
	return parseUtmp(b, int(record)), err
}

func loginHistory(_ context.Context, at tree) ([][]string, error) {
	all, err := book(at, "var/log/wtmp")
	if err != nil {
		return nil, err
	}
	ends := map[string]time.Time{} // of the terminals, going back in time
	var down time.Time             // when all of them ended
	var rows [][]string
	for _, l := range slices.Backward(all) {
		switch {
		case l.kind == utmpBoot || l.kind == utmpRunLevel && l.user == "shutdown":
			down = l.at
			clear(ends)
		case l.kind == utmpDeadProcess:
			ends[l.line] = l.at
		case l.kind == utmpUserProcess && l.user != "":
			end, ok := ends[l.line]
			if !ok {
				end = down
			}
			rows = append(rows, []string{l.user, l.line, l.host, dateIfAny(l.at), dateIfAny(end)})
			ends[l.line] = l.at // whoever came before has left by then
		}
		if len(rows) == historyMax {
			break
		}
	}
	return rows, nil
}

func rebootHistory(_ context.Context, at tree) ([][]string, error) {
	all, err := book(at, "var/log/wtmp")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, l := range slices.Backward(all) {
		if l.kind == utmpBoot && len(rows) < rebootsMax {
			rows = append(rows, []string{dateIfAny(l.at), l.host})
		}
	}
	return rows, nil
}

func failedLogins(_ context.Context, at tree) ([][]string, error) {
	all, err := book(at, "var/log/btmp")
	if err != nil {
		return nil, err
	}
	type who struct{ user, host string }
	type failure struct {
		count int
		last  time.Time
	}
	failures := map[who]failure{}
	for _, l := range all {
		if l.kind != utmpLoginWaits && l.kind != utmpUserProcess {
			continue
		}
		f := failures[who{l.user, l.host}]
		f.count++
		if l.at.After(f.last) {
			f.last = l.at
		}
		failures[who{l.user, l.host}] = f
	}
	var rows [][]string
	for w, f := range failures {
		rows = append(rows, []string{w.user, w.host, strconv.Itoa(f.count), dateIfAny(f.last)})
	}
	return uniqueRows(rows), nil
}

// lastOf returns each account's last login by two books: the one of last
// logins, which has a place for each account, and the one of all.
func lastOf(at tree) (map[string]login, error) {
	last := map[string]login{}
	note := func(l login) {
		if l.user != "" && l.at.After(last[l.user].at) {
			last[l.user] = l
		}
	}
	all, err := book(at, "var/log/wtmp")
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		if l.kind == utmpUserProcess {
			note(l)
		}
	}
	f, err := openRegular(at.at("var/log/lastlog"))
	if absent(err) {
		return last, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	people, err := accounts(at)
	if err != nil {
		return nil, err
	}
	b := make([]byte, lastlogSize)
	for _, a := range people {
		uid, err := strconv.ParseInt(a.uid, 10, 64)
		if err != nil {
			continue // parsePasswd takes numbers only
		}
		if _, err := f.ReadAt(b, uid*lastlogSize); errors.Is(err, io.EOF) {
			continue // the file ends before: never logged in
		} else if err != nil {
			return nil, err
		}
		if seconds := int32(binary.NativeEndian.Uint32(b)); seconds > 0 {
			note(login{user: a.name, line: fixedText(b[lastlogTime:lastlogLineEnd]), host: fixedText(b[lastlogLineEnd:]), at: time.Unix(int64(seconds), 0)})
		}
	}
	return last, nil
}

func lastLogins(_ context.Context, at tree) ([][]string, error) {
	last, err := lastOf(at)
	var rows [][]string
	for user, l := range last {
		rows = append(rows, []string{user, date(l.at), l.line, l.host})
	}
	return uniqueRows(rows), err
}

func lastUser(at tree) (string, error) {
	last, err := lastOf(at)
	if err != nil {
		return "", err
	}
	var newest login
	for _, l := range last {
		if l.at.After(newest.at) || l.at.Equal(newest.at) && l.user < newest.user {
			newest = l
		}
	}
	if newest.user == "" {
		return "", unknown("user who logged in last", "the system keeps no record of logins, or an empty one")
	}
	return newest.user, nil
}
