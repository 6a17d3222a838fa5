package probe

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// megabyte is the unit in which sizes are told, in bytes. Equal machines then
// give equal answers, which finer units would spoil.
const megabyte = 1 << 20

// size writes a number of bytes as a value of type DataSize.
func size(bytes uint64) string {
	return strconv.FormatUint(bytes/megabyte, 10) + "MB"
}

// wholePercent writes a share of a whole, rounded.
func wholePercent(part, whole uint64) string {
	if whole == 0 {
		return "0"
	}
	return strconv.Itoa(int(100*float64(part)/float64(whole) + 0.5))
}

// yesNo writes a truth as sensors have always written it.
func yesNo(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// date writes a moment as a value of type BESDate, in the machine's time zone.
func date(t time.Time) string { return t.Format(time.RFC1123Z) }

// span writes a duration as a value of type TimeDiff, in its two largest units.
func span(d time.Duration) string {
	minutes := int64(d / time.Minute)
	days, hours, minutes := minutes/(24*60), minutes/60%24, minutes%60
	switch {
	case days > 0:
		return counted(days, "day") + ", " + counted(hours, "hour")
	case hours > 0:
		return counted(hours, "hour") + ", " + counted(minutes, "minute")
	default:
		return counted(minutes, "minute")
	}
}

func counted(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// assignments reads lines of the form KEY=value, where the value may be quoted
// as in a shell. Lines of other forms are passed over, the last of several
// with one key counts.
func assignments(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		key, v, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && key != "" && !strings.HasPrefix(key, "#") && !strings.ContainsAny(key, " \t") {
			fields[key] = unquote(v)
		}
	}
	return fields
}

// unquote takes a shell's quotes and backslashes off a single word.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// unescape reads the octal escapes that lists of mounts have for blanks: \040.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// withoutUser takes a name and a password out of an address, as in
// smb://user:password@host/share.
func withoutUser(address string) string {
	scheme, rest, ok := strings.Cut(address, "//")
	if !ok || scheme != "" && !strings.HasSuffix(scheme, ":") {
		return address
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	if i := strings.LastIndexByte(rest[:end], '@'); i >= 0 {
		rest = rest[i+1:]
	}
	return scheme + "//" + rest
}
