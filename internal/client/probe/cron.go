package probe

import (
	"encoding/xml"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	cronFields = 5         // minute, hour, day, month, day of the week
	commandMax = 4 << 10   // bytes of a command that are told
	atNumber   = 1 + 5     // characters of the name of a job of at before its time: queue, number
	atLength   = 1 + 5 + 8 // of the whole name
)

// A job is something that is started at set times.
type job struct{ name, schedule, user, command string }

// cronJobs reads a table of cron (crontab(5)). If system is set, a column tells
// as whom each command runs, else they all run as user.
func cronJobs(text, user string, system bool) []job {
	var all []job
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := cronFields
		if line[0] == '@' {
			fields = 1
		} else if name, _, ok := strings.Cut(line, "="); ok && !strings.ContainsAny(strings.TrimSpace(name), " \t*") {
			continue // it sets a variable
		}
		if system {
			fields++
		}
		words, command := headWords(line, fields)
		if len(words) < fields || command == "" {
			continue
		}
		j := job{user: user, command: command[:min(len(command), commandMax)]}
		if system {
			j.user = words[len(words)-1]
			words = words[:len(words)-1]
		}
		j.schedule = strings.Join(words, " ")
		all = append(all, j)
	}
	return all
}

// headWords takes so many words off a line.
func headWords(line string, count int) (words []string, rest string) {
	rest = line
	for len(words) < count {
		rest = strings.TrimLeft(rest, " \t")
		i := strings.IndexAny(rest, " \t")
		if i < 0 {
			if rest != "" {
				words = append(words, rest)
			}
			return words, ""
		}
		words, rest = append(words, rest[:i]), rest[i:]
	}
	return words, strings.TrimSpace(rest)
}

// anacronJobs reads anacrontab(5): a number of days or a name, minutes to wait,
// the job's name, the command.
func anacronJobs(text string) []job {
	var all []job
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words, command := headWords(line, 3)
		if line == "" || line[0] == '#' || len(words) < 3 || command == "" || strings.Contains(words[0], "=") || !isNumber(words[1]) {
			continue
		}
		schedule := words[0]
		if isNumber(schedule) {
			schedule = "every " + schedule + " days"
		}
		all = append(all, job{words[2], schedule, "root", command})
	}
	return all
}

// atJob reads the name of a job of at, in which queue, number and the minute of
// its start stand, and the head of its script, in which its account does.
func atJob(name, script string) (job, bool) {
	if len(name) != atLength {
		return job{}, false
	}
	minutes, err := strconv.ParseUint(name[atNumber:], 16, 32)
	if err != nil {
		return job{}, false
	}
	number, err := strconv.ParseUint(name[1:atNumber], 16, 32)
	if err != nil {
		return job{}, false
	}
	j := job{name: strconv.FormatUint(number, 10), schedule: date(time.Unix(int64(minutes)*60, 0).UTC())}
	if _, rest, ok := strings.Cut(script, "# atrun uid="); ok {
		uid, _, _ := strings.Cut(rest, " ")
		if isNumber(uid) {
			j.user = uid
		}
	}
	return j, true
}

// A scheduledTask is the description of one of Windows' task scheduler.
type scheduledTask struct {
	Triggers struct {
		All []struct {
			XMLName       xml.Name
			Enabled       string
			StartBoundary string
		} `xml:",any"`
	}
	Principals struct {
		Principal []struct {
			UserID  string `xml:"UserId"`
			GroupID string `xml:"GroupId"`
		}
	}
	Settings struct{ Enabled string }
	Actions  struct {
		Exec []struct{ Command, Arguments string }
	}
}

// parseTask reads such a description, which is XML in UTF-16. What the task
// starts is told by its first command.
func parseTask(b []byte) (job, bool) {
	text := decodeText(b)
	if !utf8.ValidString(text) {
		return job{}, false
	}
	d := xml.NewDecoder(strings.NewReader(text))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is UTF-8 by now
	var task scheduledTask
	if err := d.Decode(&task); err != nil || strings.EqualFold(strings.TrimSpace(task.Settings.Enabled), "false") {
		return job{}, false
	}
	var j job
	var when []string
	for _, t := range task.Triggers.All {
		if strings.EqualFold(strings.TrimSpace(t.Enabled), "false") {
			continue
		}
		when = append(when, strings.TrimSpace(strings.TrimSuffix(t.XMLName.Local, "Trigger")+" "+t.StartBoundary))
	}
	j.schedule = strings.Join(when, ", ")
	for _, p := range task.Principals.Principal {
		if j.user == "" {
			j.user = p.UserID + p.GroupID
		}
	}
	if len(task.Actions.Exec) > 0 {
		j.command = strings.TrimSpace(task.Actions.Exec[0].Command + " " + task.Actions.Exec[0].Arguments)
	}
	return j, true
}

// desktopEntry reads what is started in a graphical session (freedesktop's
// autostart specification). It is false for one that is switched off.
func desktopEntry(text string) (name, command string, ok bool) {
	for _, s := range iniSettings(text) {
		if s.section != "Desktop Entry" {
			continue
		}
		switch s.key {
		case "Name":
			name = s.value
		case "Exec":
			command = s.value
		case "Hidden", "X-GNOME-Autostart-enabled":
			if (s.key == "Hidden") == strings.EqualFold(s.value, "true") {
				return "", "", false
			}
		}
	}
	return name, command, command != ""
}

// How a service is started, in the words that all platforms share.
const (
	startAutomatic = "Automatic"
	startManual    = "Manual"
	startDisabled  = "Disabled"
)
