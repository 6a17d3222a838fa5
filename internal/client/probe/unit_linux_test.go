package probe

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/fault"
)

func TestUnitsAreWhatSystemctlSays(t *testing.T) {
	compareAll(t, newProbe(), []comparison{
		{"Service Units", nil, []int{0, 1}, shell(`systemctl --root=/ list-unit-files --no-legend --no-pager | awk '$1 !~ /\.(scope|device)$/ && $2 !~ /^(generated|transient)/ { print $1 "|" $2 }'`)},
	})
}

// systemdMachine is one that systemd runs.
func systemdMachine() files {
	return files{
		"run/systemd/system/":                                      "",
		"usr/lib/systemd/system/ssh.service":                       "[Unit]\nDescription=x\n[Service]\nExecStart=/usr/sbin/sshd -D \\\n  $OPTS\n[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n",
		"etc/systemd/system/sshd.service":                          "-> /usr/lib/systemd/system/ssh.service",
		"etc/systemd/system/multi-user.target.wants/ssh.service":   "-> /usr/lib/systemd/system/ssh.service",
		"usr/lib/systemd/system/cron.service":                      "[Service]\nExecStart=-/usr/sbin/cron -f\nUser=cron\n[Install]\nWantedBy=multi-user.target\n",
		"usr/lib/systemd/system/oneshot.service":                   "[Service]\nExecStart=/bin/a\nExecStart=/bin/b\nDynamicUser=yes\n",
		"etc/systemd/system/oneshot.service.d/10.conf":             "[Service]\nExecStart=\nExecStart=@/bin/c c\n",
		"etc/systemd/system/cron.service":                          "[Service]\nExecStart=/opt/cron\n[Install]\nAlso=other.service\n",
		"etc/systemd/system/off.service":                           "-> /dev/null",
		"usr/lib/systemd/system/off.service":                       "[Service]\nExecStart=/bin/off\n",
		"usr/lib/systemd/system/getty@.service":                    "[Service]\nExecStart=/sbin/agetty\n[Install]\nWantedBy=getty.target\n",
		"etc/systemd/system/getty.target.wants/getty@tty1.service": "-> /usr/lib/systemd/system/getty@.service",
		"usr/lib/systemd/system/dbus.socket":                       "[Socket]\nListenStream=/run/dbus/system_bus_socket\nListenDatagram=514\n",
		"usr/lib/systemd/system/x.socket":                          "[Socket]\nListenFIFO=/run/x\nService=y.service\n[Install]\nWantedBy=sockets.target\n",
		"usr/lib/systemd/system/apt-daily.timer":                   "[Timer]\nOnCalendar=*-*-* 6,18:00\nOnBootSec=15min\n[Install]\nWantedBy=timers.target\n",
		"etc/systemd/system/timers.target.wants/apt-daily.timer":   "-> /usr/lib/systemd/system/apt-daily.timer",
		"usr/lib/systemd/system/idle.timer":                        "[Timer]\nOnCalendar=daily\nUnit=z.service\n[Install]\nWantedBy=timers.target\n",
		"sys/fs/cgroup/system.slice/ssh.service/cgroup.procs":      "7\n", "sys/fs/cgroup/system.slice/gone.service/cgroup.procs": "",
		"sys/fs/cgroup/system.slice/getty@tty1.service/cgroup.procs": "8\n",
		"proc/stat": "btime 1790000000\n", "etc/passwd": "alice:x:1000:1000::/home/alice:/bin/sh\nroot:x:0:0::/root:/bin/sh\n",
		"proc/7/stat": "7 (sshd) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0", "proc/7/cgroup": "0::/system.slice/ssh.service\n", "proc/8/stat": "8 (agetty) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0",
		"proc/8/cgroup": "1:name=systemd:/system.slice/system-getty.slice/getty@tty1.service\n", "proc/9/stat": "9 (bash) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0",
		"proc/9/cgroup":     "0::/user.slice/user-1000.slice/session-3.scope\n",
		"etc/crontab":       "SHELL=/bin/sh\n# m h dom mon dow user command\n17 *\t* * *\troot    cd / && run-parts --report /etc/cron.hourly\n@reboot alice /home/alice/start x=1\nbroken line\n",
		"etc/cron.d/backup": "PATH=/bin\n*/5 1-3 * * mon www /usr/bin/backup --to=\"x y\"\n", "etc/cron.d/folder/": "",
		"var/spool/cron/crontabs/alice": "0 4 * * 0 tidy up\n@daily report\n",
		"etc/cron.daily/logrotate":      "#!/bin/sh\n", "etc/cron.daily/not.run": "#!/bin/sh\n", "etc/cron.weekly/plain": "x",
		"etc/anacrontab":                       "LOGNAME=root\n7\t10\tcron.weekly\trun-parts --report /etc/cron.weekly\n@monthly 15 cron.monthly run-parts x\n",
		"var/spool/cron/atjobs/a0001701c74f2a": "#!/bin/sh\n# atrun uid=1000 gid=1000\n# mail alice 0\n", "var/spool/cron/atjobs/.SEQ": "1", "var/spool/cron/atjobs/spool/": "",
		"etc/xdg/autostart/update.desktop": "[Desktop Entry]\nName=Updates\nName[de]=Neues\nExec=/usr/bin/update-notifier --x\n", "etc/xdg/autostart/off.desktop": "[Desktop Entry]\nName=Off\nExec=off\nHidden=true\n",
		"home/alice/.config/autostart/chat.desktop":  "[Desktop Entry]\nExec=chat\nName=Chat\nX-GNOME-Autostart-enabled=true\n[Desktop Action x]\nExec=no\n",
		"home/alice/.config/autostart/never.desktop": "[Desktop Entry]\nExec=never\nX-GNOME-Autostart-enabled=false\n",
		"etc/profile.d/locale.sh":                    "x", "etc/rc.local": "#!/bin/sh\n",
	}
}

func TestServicesOfAMachine(t *testing.T) {
	p := probeOn(t, systemdMachine())
	for _, name := range []string{"etc/cron.daily/logrotate", "etc/cron.daily/not.run", "etc/rc.local"} {
		if err := os.Chmod(p.root.at(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	saysAll(t, p, []saying{
		{"Service Units", nil, []string{
			"apt-daily.timer|enabled|/usr/lib/systemd/system/apt-daily.timer", "cron.service|indirect|/etc/systemd/system/cron.service", "dbus.socket|static|/usr/lib/systemd/system/dbus.socket",
			"getty@.service|indirect|/usr/lib/systemd/system/getty@.service", "idle.timer|disabled|/usr/lib/systemd/system/idle.timer", "off.service|masked|/etc/systemd/system/off.service",
			"oneshot.service|static|/usr/lib/systemd/system/oneshot.service", "ssh.service|enabled|/usr/lib/systemd/system/ssh.service", "sshd.service|alias|/etc/systemd/system/sshd.service",
			"x.socket|disabled|/usr/lib/systemd/system/x.socket",
		}},
		{"Services", nil, []string{
			"cron|Stopped|Manual|systemd", "getty@tty1|Running|Manual|systemd", "off|Stopped|Disabled|systemd", "oneshot|Stopped|Manual|systemd", "ssh|Running|Automatic|systemd",
		}},
		{"Service State", []string{"SS?"}, []string{"ssh|Running|Automatic"}}, {"Running Services", nil, []string{"getty@tty1|systemd", "ssh|systemd"}},
		{"Service Programs", nil, []string{"cron|/opt/cron|root", "getty@|/sbin/agetty|root", "oneshot|/bin/c c|[made for it]", "ssh|/usr/sbin/sshd -D $OPTS|root"}},
		{"Service Overrides", nil, []string{
			"oneshot.service|Addition|/etc/systemd/system/oneshot.service.d/10.conf", "cron.service|Replacement|/etc/systemd/system/cron.service", "off.service|Mask|/etc/systemd/system/off.service",
		}},
		{"Service Processes", nil, []string{"ssh|7|sshd", "getty@tty1|8|agetty"}},
		{"Socket Activation", nil, []string{"dbus.socket|/run/dbus/system_bus_socket|dbus.service", "dbus.socket|514|dbus.service", "x.socket|/run/x|y.service"}},
		{"Scheduled Tasks", nil, []string{
			"|17 * * * *|root|cd / && run-parts --report /etc/cron.hourly|/etc/crontab", "|@reboot|alice|/home/alice/start x=1|/etc/crontab",
			`|*/5 1-3 * * mon|www|/usr/bin/backup --to="x y"|/etc/cron.d/backup`, "|0 4 * * 0|alice|tidy up|/var/spool/cron/crontabs/alice", "|@daily|alice|report|/var/spool/cron/crontabs/alice",
			"logrotate|@daily|root|/etc/cron.daily/logrotate|/etc/cron.daily", "cron.weekly|every 7 days|root|run-parts --report /etc/cron.weekly|/etc/anacrontab",
			"cron.monthly|@monthly|root|run-parts x|/etc/anacrontab", "apt-daily.timer|OnCalendar=*-*-* 6,18:00, OnBootSec=15min||apt-daily.service|systemd",
			"23|" + date(time.Unix(0x01c74f2a*60, 0).UTC()) + "|alice||at",
		}},
		{"Startup Programs", nil, []string{
			"Updates|/usr/bin/update-notifier --x||/etc/xdg/autostart/update.desktop", "Chat|chat|alice|/home/alice/.config/autostart/chat.desktop",
			"locale.sh|/etc/profile.d/locale.sh||/etc/profile.d", "rc.local|/etc/rc.local|root|/etc/rc.local", "@reboot|/home/alice/start x=1|alice|/etc/crontab",
		}},
	})
}

// TestSystemctlAgreesOnTheFixture: the tool reads the same tree.
func TestSystemctlAgreesOnTheFixture(t *testing.T) {
	p := probeOn(t, systemdMachine())
	compareAll(t, p, []comparison{
		{"Service Units", nil, []int{0, 1}, shell("systemctl --root=" + string(p.root) + ` list-unit-files --no-legend --no-pager | awk '{ print $1 "|" $2 }'`)},
	})
}

func TestStartScripts(t *testing.T) {
	p := probeOn(t, files{
		"etc/init.d/ssh": "#!/bin/sh\n", "etc/init.d/idle": "#!/bin/sh\n", "etc/init.d/README": "x", "etc/rc2.d/S01ssh": "-> ../init.d/ssh", "etc/rc0.d/K01idle": "-> ../init.d/idle", "proc/stat": "btime 1\n",
	})
	for _, name := range []string{"ssh", "idle"} {
		if err := os.Chmod(p.root.at(filepath.Join("etc/init.d", name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	saysAll(t, p, []saying{{"Services", nil, []string{"ssh|Stopped|Automatic|init.d", "idle|Stopped|Manual|init.d"}}})
	if rows, err := p.Run(t.Context(), "Service Units", nil); fault.KindOf(err) != fault.NotFound {
		t.Errorf("units without systemd: %q, %v", rows, err)
	}
	open := probeOn(t, files{"run/openrc/started/sshd": "", "etc/init.d/sshd": "#!/sbin/openrc-run\n", "etc/runlevels/default/sshd": "-> /etc/init.d/sshd"})
	if err := os.Chmod(open.root.at("etc/init.d/sshd"), 0o755); err != nil {
		t.Fatal(err)
	}
	saysAll(t, open, []saying{{"Services", nil, []string{"sshd|Running|Automatic|OpenRC"}}})
}

// taskFile is what the task scheduler of Windows keeps of a task.
const taskFile = `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <Triggers>
    <CalendarTrigger><StartBoundary>2026-01-01T03:00:00</StartBoundary><Enabled>true</Enabled></CalendarTrigger>
    <LogonTrigger><Enabled>false</Enabled></LogonTrigger>
    <BootTrigger/>
  </Triggers>
  <Principals><Principal id="Author"><UserId>S-1-5-18</UserId></Principal></Principals>
  <Settings><Enabled>true</Enabled></Settings>
  <Actions Context="Author"><Exec><Command>C:\backup.exe</Command><Arguments>/all</Arguments></Exec></Actions>
</Task>`

// utf16LE writes a text as Windows writes its own files.
func utf16LE(text string) []byte {
	b := []byte(markUTF16LE)
	for _, r := range text {
		b = append(b, byte(r), byte(r>>8))
	}
	return b
}

func TestParseTask(t *testing.T) {
	want := job{schedule: "Calendar 2026-01-01T03:00:00, Boot", user: "S-1-5-18", command: `C:\backup.exe /all`}
	for name, b := range map[string][]byte{"UTF-16": utf16LE(taskFile), "UTF-8": []byte(strings.Replace(taskFile, "UTF-16", "UTF-8", 1))} {
		if got, ok := parseTask(b); !ok || got != want {
			t.Errorf("%s: %+v, %t", name, got, ok)
		}
	}
	for _, text := range []string{"", "<Task>", strings.Replace(taskFile, "<Settings><Enabled>true", "<Settings><Enabled>false", 1)} {
		if got, ok := parseTask([]byte(text)); ok {
			t.Errorf("%.40q is %+v", text, got)
		}
	}
}

func FuzzTasks(f *testing.F) {
	all := systemdMachine()
	f.Add(all["etc/crontab"], "a0001701c74f2a")
	f.Add(all["etc/anacrontab"], "")
	f.Add(taskFile, "x")
	f.Fuzz(func(t *testing.T, text, name string) {
		lines := strings.Count(text, "\n") + 1
		for _, j := range slices.Concat(cronJobs(text, "u", false), cronJobs(text, "", true), anacronJobs(text)) {
			if j.command == "" || j.schedule == "" || len(j.command) > max(commandMax, len(text)) {
				t.Fatalf("%q has the job %+v", text, j)
			}
		}
		if n := len(cronJobs(text, "u", true)); n > lines {
			t.Fatalf("%q has %d jobs", text, n)
		}
		if j, ok := atJob(name, text); ok && j.schedule == "" {
			t.Fatalf("%q is %+v", name, j)
		}
		parseTask([]byte(text))
		desktopEntry(text)
		serviceOf(text)
	})
}
