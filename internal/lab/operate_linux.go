package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"catenary/internal/fault"
)

// Act tells the running lab whose data lie in dir, or the only one, to carry
// out a command.
func Act(ctx context.Context, dir string, c Command) error {
	f, err := find(dir)
	if err != nil {
		return err
	}
	_, err = tell(ctx, f.socket(), request{Command: c.String()})
	return err
}

// ShowStatus writes how the lab stands.
func ShowStatus(ctx context.Context, dir string, asJSON bool, out io.Writer) error {
	f, err := find(dir)
	if err != nil {
		return err
	}
	rep, err := tell(ctx, f.socket(), request{Query: queryStatus})
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(out).Encode(rep.Status)
	}
	return rep.Status.table(out)
}

// ShowTraffic writes what the links have carried since the mark, or sets it.
func ShowTraffic(ctx context.Context, dir string, asJSON, hosts, reset bool, out io.Writer) error {
	f, err := find(dir)
	if err != nil {
		return err
	}
	if reset {
		_, err := tell(ctx, f.socket(), request{Query: queryMark})
		return err
	}
	rep, err := tell(ctx, f.socket(), request{Query: queryTraffic})
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(out).Encode(rep.Traffic)
	}
	return rep.Traffic.Table(out, hosts)
}

// Down ends the lab whose data lie in dir, or the only one, and returns when
// it has. What dead labs have left it removes.
func Down(ctx context.Context, dir string, out io.Writer) error {
	_, dead, err := folders()
	if err != nil {
		return err
	}
	if err := clearAway(dead, out); err != nil {
		return err
	}
	f, err := find(dir)
	if fault.KindOf(err) == fault.NotFound && len(dead) > 0 && dir == "" {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := tell(ctx, f.socket(), request{Query: queryEnd}); err != nil {
		return err
	}
	for {
		alive, err := f.alive()
		if err != nil {
			return err
		}
		if !alive {
			return os.RemoveAll(f.path) // of which the outer process may not be done
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollEvery):
		}
	}
}

// Enter runs a program in a host, or a shell. It returns only if it cannot.
func Enter(ctx context.Context, dir, host string, argv []string) error {
	f, err := find(dir)
	if err != nil {
		return err
	}
	rep, err := tell(ctx, f.socket(), request{Query: queryEnter, Host: host})
	if err != nil {
		return err
	}
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return err
	}
	if len(argv) == 0 {
		argv = []string{"/bin/sh"}
	}
	file := func(fd int) string { return fmt.Sprintf("/proc/%d/fd/%d", f.PID, fd) }
	args := []string{"nsenter", "--target", fmt.Sprint(f.PID), "--mount", "--pid",
		"--net=" + file(rep.Door.Net), "--uts=" + file(rep.Door.UTS), "--"}
	return syscall.Exec(nsenter, append(args, argv...), os.Environ())
}

// table writes the status for people.
func (st *Status) table(w io.Writer) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range st.Sites {
		fmt.Fprintf(tab, "s%d\t%s\t%s\t%d connections\t%s\n", s.Site, s.LAN, map[bool]string{true: "NAT"}[s.NAT], st.Connections[s.Site-1], s.Link)
	}
	fmt.Fprintf(tab, "server\t\t%s\t%s\t\n", st.Server.State, memory(st.Server.RSS))
	if err := tab.Flush(); err != nil {
		return err
	}
	for _, c := range st.Chains {
		fmt.Fprintln(w, c)
	}
	var rss int64
	tab = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range st.Sites {
		for _, h := range s.Hosts {
			rss += h.RSS
			if h.State != running || h.Link != "" {
				fmt.Fprintf(tab, "%s\t%s\t%s\t%s\n", h.Name, h.Addr, h.State, h.Link)
			}
		}
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	for _, b := range st.Blocks {
		fmt.Fprintln(w, b)
	}
	_, err := fmt.Fprintf(w, "memory of all clients %s\n", memory(rss))
	return err
}

func memory(n int64) string { return humanize.IBytes(uint64(n)) }
