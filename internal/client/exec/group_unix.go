//go:build unix

package exec

import (
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"catenary/internal/sensor"
)

const (
	niceness = 10 // scripts wait for everything that people do

	// searchPath is where programs are looked for, by us and by scripts. It is
	// fixed, so that no one who can change the client's environment chooses
	// what root runs.
	searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// elsewhere are folders of programs that are not on every machine's path.
var elsewhere = []string{"/opt/homebrew/bin", "/opt/microsoft/powershell/7", "/usr/local/microsoft/powershell/7", "/snap/bin"}

func interpreterOf(l sensor.Language) (interpreter, error) {
	var i interpreter
	switch l {
	case sensor.UnixShell:
		i = interpreter{path: find("sh"), file: "script.sh"}
	case sensor.Python:
		i = interpreter{path: find("python3", "python"), file: "script.py"}
	case sensor.Powershell:
		i = interpreter{path: find("pwsh"), args: []string{"-NoLogo", "-NoProfile", "-NonInteractive", "-File"}, file: "script.ps1"}
	}
	if i.path == "" {
		return interpreter{}, missing(l)
	}
	return i, nil
}

// find returns the path of the first of the programs that is there.
func find(names ...string) string {
	for _, name := range names {
		for _, folder := range append(strings.Split(searchPath, ":"), elsewhere...) {
			path := filepath.Join(folder, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return path
			}
		}
	}
	return ""
}

// environment is all that a script hears of ours.
func environment(folder string) []string {
	home := os.Getenv("HOME")
	if home == "" {
		home = "/" // services of the system have none
	}
	return []string{
		"PATH=" + searchPath, "HOME=" + home, "TMPDIR=" + folder, "LANG=" + utf8Locale, "LC_ALL=" + utf8Locale,
		"PYTHONDONTWRITEBYTECODE=1", "PYTHONIOENCODING=utf-8",
	}
}

// A group is a process group: a script and all that it starts.
type group struct{ leader *osexec.Cmd }

func newGroup(c *osexec.Cmd) (*group, error) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return &group{c}, nil
}

// begin is called when the script has been started.
func (g *group) begin() error {
	err := unix.Setpriority(unix.PRIO_PGRP, g.leader.Process.Pid, niceness)
	if err != nil && !errors.Is(err, unix.ESRCH) { // ESRCH: it has ended already
		return fmt.Errorf("lowering its priority: %w", err)
	}
	return nil
}

// kill ends every process of the group. None can refuse.
func (g *group) kill() error {
	err := unix.Kill(-g.leader.Process.Pid, unix.SIGKILL)
	if errors.Is(err, unix.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

func (g *group) close() {}
