//go:build unix

package demo

import (
	"os/exec"
	"syscall"
)

// detach keeps a terminal's Ctrl-C from the child: the demo itself ends it, in
// order.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
