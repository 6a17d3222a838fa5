package probe

import (
	"fmt"
	"strconv"
	"time"
)

// megabyte is the unit in which sizes are told, in bytes. Equal machines then
// give equal answers, which finer units would spoil.
const megabyte = 1 << 20

// size writes a number of bytes as a value of type DataSize.
func size(bytes uint64) string {
	return strconv.FormatUint(bytes/megabyte, 10) + "MB"
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
