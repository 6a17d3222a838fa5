package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A process is one start of a program in the lab. It ends with the lab at the
// latest: the lab is the first process of its PID namespace.
type process struct {
	cmd       *exec.Cmd
	log       string        // file with what it says
	firstLine chan string   // of its standard output
	done      chan struct{} // closed when it has ended, and err is set
	err       error         // how it has ended; nil: in order
}

// endTimeout is how long a program may take to end in order.
const endTimeout = 5 * time.Second

// start runs a program in a namespace. What it says is added to its log.
func start(n namespace, logPath, program string, args ...string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(program, args...), log: logPath, firstLine: make(chan string, 1), done: make(chan struct{})}
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = n.do(p.cmd.Start)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", program, err), log.Close())
	}
	go func() { // ends with the program, which the lab outlives
		defer close(p.done)
		defer log.Close()
		lines := bufio.NewScanner(out)
		if lines.Scan() {
			p.firstLine <- lines.Text()
		}
		close(p.firstLine)
		_, copyErr := io.Copy(io.Discard, out)
		p.err = errors.Join(p.cmd.Wait(), copyErr)
	}()
	return p, nil
}

// runs reports whether the process has not ended yet.
func (p *process) runs() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends a signal; a process that has ended meanwhile does not mind.
func (p *process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// kill ends the process at once and waits for its end.
func (p *process) kill() error {
	if !p.runs() {
		return nil
	}
	err := p.signal(syscall.SIGKILL)
	if err == nil {
		<-p.done
	}
	return err
}

// end asks the process to end, and kills it if it does not.
func (p *process) end() error {
	if !p.runs() {
		return nil
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(endTimeout):
		return p.kill()
	}
}

// failed is an error with the end of what the program has said.
func (p *process) failed(what string) error { return failed(what, p.log) }

func failed(what, log string) error {
	const lastLines = 5
	data, err := os.ReadFile(log)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	lines = lines[max(0, len(lines)-lastLines):]
	return fmt.Errorf("%s; its log (%s) ends with:\n%s", what, log, strings.Join(lines, "\n"))
}

// state says how a program stands.
func (p *process) state() string {
	switch {
	case p == nil:
		return "not started"
	case p.runs():
		return running
	case p.err == nil:
		return "ended"
	}
	return p.err.Error() // signal: killed, exit status 1
}

// memory is the process's resident memory in bytes, or 0 if it is gone.
func (p *process) memory() int64 {
	var size, resident int64
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}
