package probe

import (
	"context"
	"os"
	"path"
	"strings"

	"catenary/internal/fault"
)

func scheduledTasks(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	note := func(jobs []job, source string) {
		for _, j := range jobs {
			rows = append(rows, []string{j.name, j.schedule, j.user, j.command, source})
		}
	}
	if err := cronTables(at, note); err != nil {
		return nil, err
	}
	for _, period := range []string{"hourly", "daily", "weekly", "monthly", "yearly"} {
		names, err := at.names("etc/cron." + period)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			file := "/etc/cron." + period + "/" + name
			if info, err := os.Stat(at.at(file)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && !strings.Contains(name, ".") {
				note([]job{{name, "@" + period, "root", file}}, "/etc/cron."+period)
			}
		}
	}
	text, err := at.text("etc/anacrontab")
	if err != nil {
		return nil, err
	}
	note(anacronJobs(text), "/etc/anacrontab")
	timers, err := timerJobs(at)
	if err != nil {
		return nil, err
	}
	note(timers, "systemd")
	jobs, err := atJobs(at)
	note(jobs, "at")
	return uniqueRows(rows), err
}

// cronTables reads the system's tables and those of people, where the
// distributions keep them.
func cronTables(at tree, note func([]job, string)) error {
	files, err := at.glob("/etc/cron.d/*")
	if err != nil {
		return err
	}
	for _, file := range append(files, "/etc/crontab") {
		text, err := at.text(file)
		if err != nil {
			if fault.KindOf(err) == fault.Invalid { // a folder
				continue
			}
			return err
		}
		note(cronJobs(text, "", true), file)
	}
	for _, folder := range []string{"/var/spool/cron/crontabs", "/var/spool/cron"} {
		names, err := at.names(folder)
		if err != nil {
			if passedOver(err) {
				continue
			}
			return err
		}
		for _, name := range names {
			file := path.Join(folder, name)
			text, err := at.text(file)
			if err != nil {
				if passedOver(err) { // a folder, or another person's table
					continue
				}
				return err
			}
			note(cronJobs(text, name, false), file)
		}
	}
	return nil
}

// timerKeys are the settings of a timer that say when it fires.
var timerKeys = []string{"OnCalendar", "OnActiveSec", "OnBootSec", "OnStartupSec", "OnUnitActiveSec", "OnUnitInactiveSec"}

func timerJobs(at tree) ([]job, error) {
	var jobs []job
	_, err := rowsOfUnits(at, ".timer", func(u unit, all []setting) [][]string {
		if startMode(u.state) != startAutomatic {
			return nil
		}
		var when []string
		for _, key := range timerKeys {
			for _, v := range valuesOf(all, "Timer", key) {
				when = append(when, key+"="+v)
			}
		}
		starts := lastValue(all, "Timer", "Unit")
		if starts == "" {
			starts = strings.TrimSuffix(u.name, ".timer") + ".service"
		}
		jobs = append(jobs, job{u.name, strings.Join(when, ", "), "", starts})
		return nil
	})
	return jobs, err
}

func atJobs(at tree) ([]job, error) {
	var jobs []job
	for _, folder := range []string{"/var/spool/cron/atjobs", "/var/spool/at"} {
		names, err := at.names(folder)
		if err != nil {
			if passedOver(err) {
				continue
			}
			return nil, err
		}
		for _, name := range names {
			text, err := at.text(path.Join(folder, name))
			if err != nil {
				continue // a folder, or ran meanwhile
			}
			if j, ok := atJob(name, text); ok {
				jobs = append(jobs, j)
			}
		}
	}
	people, err := accounts(at)
	if err != nil {
		return nil, err
	}
	names := namesOf(people)
	for i, j := range jobs {
		jobs[i].user = names.of(j.user)
	}
	return jobs, nil
}

func startupPrograms(ctx context.Context, at tree) ([][]string, error) {
	var rows [][]string
	entry := func(file, user string) {
		text, err := smallText(at.at(file), keyFileMax)
		if err != nil {
			return // gone meanwhile, or its owner's odd idea of a file
		}
		if name, command, ok := desktopEntry(text); ok {
			rows = append(rows, []string{name, command, user, file})
		}
	}
	files, err := at.glob("/etc/xdg/autostart/*.desktop")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		entry(file, "")
	}
	err = perHome(ctx, at, func(h home) error {
		files, err := at.glob(path.Join(h.folder, ".config/autostart/*.desktop"))
		for _, file := range files {
			entry(file, h.user)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, file := range []string{"/etc/rc.local", "/etc/rc.d/rc.local"} {
		if info, err := os.Stat(at.at(file)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			rows = append(rows, []string{"rc.local", file, "root", file})
		}
	}
	scripts, err := at.glob("/etc/profile.d/*.sh")
	if err != nil {
		return nil, err
	}
	for _, file := range scripts {
		rows = append(rows, []string{path.Base(file), file, "", "/etc/profile.d"})
	}
	err = cronTables(at, func(jobs []job, source string) {
		for _, j := range jobs {
			if j.schedule == "@reboot" {
				rows = append(rows, []string{"@reboot", j.command, j.user, source})
			}
		}
	})
	return uniqueRows(rows), err
}
