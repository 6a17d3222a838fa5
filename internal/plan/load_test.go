package plan

import (
	"fmt"
	"testing"
	"time"
)

func TestLoad(t *testing.T) {
	ms := func(average, most int) Runtime {
		return Runtime{time.Duration(average) * time.Millisecond, time.Duration(most) * time.Millisecond}
	}
	known := map[string]Runtime{
		"Uptime": ms(1, 3), "Computer Name": ms(0, 0), "Patch Level": ms(4000, 60000), "Installed Applications": ms(600, 900), "Folder Contents": ms(500, 400),
	}
	for text, want := range map[string]string{
		"get number of machines": "Low 0s 0s 0s [] []",
		"get uptime":             "Low 1ms 3ms 0s [{Uptime Low {1ms 3ms} false}] []",
		"get uptime from all machines with computer name = x":                "Low 1ms 3ms 0s [{Uptime Low {1ms 3ms} false} {Computer Name Low {0s 0s} true}] []",
		"get installed applications:name and installed applications:version": "Low 600ms 900ms 0s [{Installed Applications Low {600ms 900ms} false}] []",
		// With other parameters it runs again, and no sum is less than its part.
		"get folder contents[/a] and folder contents[/b]:size": "Medium 1s 1s 0s [{Folder Contents Low {500ms 400ms} false} {Folder Contents Low {500ms 400ms} false}] []",
		"get uptime and installed applications from all machines with patch level = 1": "Medium 4.601s 1m0.903s 4s " +
			"[{Patch Level Medium {4s 1m0s} true} {Installed Applications Low {600ms 900ms} false} {Uptime Low {1ms 3ms} false}] []",
		"get patch level and installed applications and folder contents[/]": "High 5.1s 1m1.4s 0s " +
			"[{Patch Level Medium {4s 1m0s} false} {Installed Applications Low {600ms 900ms} false} {Folder Contents Low {500ms 400ms} false}] []",
		"get log lines and boot and uptime and log lines contains x from all machines with boot > \"20261122013000.000000+000\"": "Low 1ms 3ms 0s [{Uptime Low {1ms 3ms} false}] [Log Lines Boot]",
		"get uptime | rights: patch level = 1": "Medium 4.001s 1m0.003s 4s [{Patch Level Medium {4s 1m0s} true} {Uptime Low {1ms 3ms} false}] []",
	} {
		l := compile(t, text).Load(known, Thresholds{Medium: time.Second, High: 5 * time.Second})
		if got := fmt.Sprint(l.Level, l.Average, l.Max, l.ConditionAverage, l.Sensors, l.Unknown); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	if got := (Thresholds{time.Second, 2 * time.Second}).Of(2 * time.Second); got != High || fmt.Sprint(Low, Medium, High) != "Low Medium High" {
		t.Errorf("2 s is %v", got)
	}
}
