package demo

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A child is one process of the demo. It ends when its standard input is
// closed, so that none is left even if the demo itself is killed.
type child struct {
	name      string
	cmd       *exec.Cmd
	stdin     io.WriteCloser
	log       string        // file with what it says
	firstLine chan string   // of its standard output
	done      chan struct{} // closed when it has ended
}

// start runs the program with the given arguments.
func (d *demo) start(name string, args ...string) (*child, error) {
	logs := filepath.Join(d.DataDir, "logs")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, err
	}
	c := &child{name: name, log: filepath.Join(logs, name+".log"), firstLine: make(chan string, 1), done: make(chan struct{})}
	log, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	c.cmd = exec.Command(d.Program, args...)
	c.cmd.Stderr = log
	detach(c.cmd)
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { // ends with the child, which stop waits for
		defer close(c.done)
		defer log.Close()
		sc := bufio.NewScanner(out)
		if sc.Scan() {
			c.firstLine <- sc.Text()
		}
		close(c.firstLine)
		for sc.Scan() {
		}
		if err := c.cmd.Wait(); err != nil {
			fmt.Fprintf(log, "ended: %v\n", err)
		}
	}()
	return c, nil
}

func (c *child) kill() {
	if err := c.cmd.Process.Kill(); err != nil {
		return // has ended meanwhile
	}
}

// failed is an error with the end of what the child has said.
func (c *child) failed(what string) error {
	const lastLines = 5
	data, err := os.ReadFile(c.log)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) > lastLines {
		lines = lines[len(lines)-lastLines:]
	}
	return fmt.Errorf("%s; its log (%s) ends with:\n%s", what, c.log, strings.Join(lines, "\n"))
}
