package exec

import (
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"

	"catenary/internal/sensor"
)

const platform = sensor.Windows

func interpreterOf(l sensor.Language) (interpreter, error) {
	switch l {
	case sensor.Powershell:
		system, err := windows.GetSystemDirectory()
		if err != nil {
			return interpreter{}, fmt.Errorf("the system's folder: %w", err)
		}
		return interpreter{
			path: filepath.Join(system, "WindowsPowerShell", "v1.0", "powershell.exe"),
			args: []string{"-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"},
			file: "script.ps1", bom: true,
		}, nil
	case sensor.Python:
		for _, name := range []string{"python3.exe", "python.exe"} {
			if path, err := osexec.LookPath(name); err == nil {
				return interpreter{path: path, file: "script.py"}, nil
			}
		}
	}
	return interpreter{}, missing(l)
}

// handedOn are the variables that programs on Windows cannot do without.
var handedOn = []string{
	"SystemRoot", "SystemDrive", "windir", "ComSpec", "PATH", "PATHEXT", "PSModulePath", "ProgramData",
	"ProgramFiles", "ProgramFiles(x86)", "ProgramW6432", "CommonProgramFiles", "ALLUSERSPROFILE", "PUBLIC",
	"USERPROFILE", "APPDATA", "LOCALAPPDATA", "COMPUTERNAME", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE",
}

// environment is all that a script hears of ours.
func environment(folder string) []string {
	env := []string{"TEMP=" + folder, "TMP=" + folder, "PYTHONDONTWRITEBYTECODE=1", "PYTHONIOENCODING=utf-8"}
	for _, name := range handedOn {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// A group is a job object: a script and all that it starts. Closing the last
// handle of the job ends what is left in it, so that nothing outlives the
// client either.
type group struct {
	leader *osexec.Cmd
	job    windows.Handle
}

func newGroup(c *osexec.Cmd) (*group, error) {
	// Suspended, so that it is in the job before it can start anything.
	c.SysProcAttr = &syscall.SysProcAttr{
		HideWindow: true,
		CreationFlags: windows.CREATE_SUSPENDED | windows.CREATE_NEW_PROCESS_GROUP | windows.CREATE_NO_WINDOW |
			windows.BELOW_NORMAL_PRIORITY_CLASS,
	}
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("a job for the script: %w", err)
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
			LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
		},
	}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("a job for the script: %w", err), windows.CloseHandle(job))
	}
	return &group{c, job}, nil
}

// begin puts the script's process into the job and lets it go.
func (g *group) begin() error {
	p := g.leader.Process
	process, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(p.Pid))
	if err != nil {
		return errors.Join(fmt.Errorf("opening its process: %w", err), p.Kill())
	}
	defer windows.CloseHandle(process) // a handle for this call: nothing can be lost
	if err := windows.AssignProcessToJobObject(g.job, process); err != nil {
		return errors.Join(fmt.Errorf("putting it into its job: %w", err), p.Kill())
	}
	if err := resume(uint32(p.Pid)); err != nil {
		return fmt.Errorf("letting it go: %w", err)
	}
	return nil
}

// resume lets the threads of a suspended process go; it has one.
func resume(pid uint32) error {
	threads, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(threads) // a snapshot: nothing can be lost
	entry := windows.ThreadEntry32{Size: uint32(unsafe.Sizeof(windows.ThreadEntry32{}))}
	for err = windows.Thread32First(threads, &entry); err == nil; err = windows.Thread32Next(threads, &entry) {
		if entry.OwnerProcessID != pid {
			continue
		}
		thread, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, entry.ThreadID)
		if err != nil {
			return err
		}
		_, err = windows.ResumeThread(thread)
		return errors.Join(err, windows.CloseHandle(thread))
	}
	return err
}

// end waits until the script has ended and then ends what it left running.
func (g *group) end() {
	err := g.leader.Process.WithHandle(func(handle uintptr) {
		if _, err := windows.WaitForSingleObject(windows.Handle(handle), windows.INFINITE); err != nil {
			return // the handle is gone with the process
		}
	})
	if err == nil {
		_ = g.kill() // nothing left to end is what we hope for
	}
}

// kill ends every process of the job, and the script itself in case it is not
// in the job yet. None can refuse.
func (g *group) kill() error {
	return errors.Join(windows.TerminateJobObject(g.job, 1), g.leader.Process.Kill())
}

func (g *group) close() {
	_ = windows.CloseHandle(g.job) // it is empty by now; a second close cannot do better
}
