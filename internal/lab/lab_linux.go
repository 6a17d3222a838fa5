package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"catenary/internal/demo"
	"catenary/internal/fault"
	"catenary/internal/trust"
)

// An order is what the inner process is told on its standard input, which
// then stays open for as long as the lab may live.
type order struct {
	Layout Layout `json:"layout"`
	Socket string `json:"socket"` // path, for commands
	Data   string `json:"data"`   // folder of the server's and the clients' data
	Server string `json:"server"` // path of the program catenary
	Client string `json:"client"` // path of the program catenary-client
}

const (
	// apiFile is the inherited descriptor of the outer process's listener: the
	// lab cannot be reached by any address.
	apiFile = 3
	// lockFile is the inherited descriptor of the lock that says the lab lives.
	lockFile = 4
	// apiPort is where the server in the lab serves its API.
	apiPort = 8443
	// serverTimeout is how long the server may take to start.
	serverTimeout = 45 * time.Second
)

// inner is the lab: one goroutine, that of run, owns all of it.
type inner struct {
	order
	*network
	server *process
	blocks []Block
	mark   map[string]Bytes // by port
	calls  chan call
	end    context.CancelFunc
	worker sync.WaitGroup
}

// A call is a request that waits for its reply.
type call struct {
	request
	reply chan reply
}

// Inside is the inner process of a lab, which the outer one starts. It says in
// one line on out when the server serves and the clients have been started.
func Inside(ctx context.Context, in io.Reader, out io.Writer) error {
	l := &inner{mark: map[string]Bytes{}, calls: make(chan call)}
	dec := json.NewDecoder(in)
	if err := dec.Decode(&l.order); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	ctx, l.end = context.WithCancel(ctx)
	// Ends with the process at the latest: a read cannot be called off.
	go func() { _, _ = io.Copy(io.Discard, in); l.end() }()
	syscall.CloseOnExec(lockFile)
	api, err := net.FileListener(os.NewFile(apiFile, "API"))
	if err != nil {
		return fmt.Errorf("the API's listener: %w", err)
	}
	syscall.CloseOnExec(apiFile)
	a, err := l.build()
	if err != nil {
		return errors.Join(err, l.stop())
	}
	commands, err := net.Listen("unix", l.Socket)
	if err != nil {
		return errors.Join(err, l.stop())
	}
	l.worker.Go(func() { l.forward(ctx, api) })
	l.worker.Go(func() { l.listen(ctx, commands) })
	if err := json.NewEncoder(out).Encode(a); err != nil {
		return errors.Join(err, l.stop())
	}
	return l.run(ctx)
}

// build makes the network and starts the programs in it.
func (l *inner) build() (a demo.Announcement, err error) {
	if err := isolate(); err != nil {
		return a, err
	}
	for _, dir := range []string{"logs", "clients"} {
		if err := os.MkdirAll(filepath.Join(l.Data, dir), 0o700); err != nil {
			return a, err
		}
	}
	if l.network, err = newNetwork(l.Layout); err != nil {
		return a, err
	}
	if a, err = l.startServer(); err != nil {
		return a, err
	}
	if err := l.writeInits(a.Init); err != nil {
		return a, err
	}
	for _, h := range l.hosts {
		if err := l.startClient(h); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (l *inner) startServer() (a demo.Announcement, err error) {
	args := append([]string{
		"server", "--announce", "--data-dir", filepath.Join(l.Data, "server"), "--api", fmt.Sprintf(":%d", apiPort),
		"--server", serverAddr(wan4(lastHost)), "--server", serverAddr(wan6(lastHost)),
	}, l.Layout.Server...)
	if l.server, err = start(l.network.server, filepath.Join(l.Data, "logs", "server.log"), l.order.Server, args...); err != nil {
		return a, err
	}
	select {
	case line := <-l.server.firstLine:
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			return a, l.server.failed("the server did not start")
		}
		return a, nil
	case <-time.After(serverTimeout):
		return a, l.server.failed("the server did not start in time")
	}
}

func serverAddr(a netip.Addr) string { return netip.AddrPortFrom(a, clientPort).String() }

// initFile is the catenary-init.dat for clients of a family: they take the
// first address in it for the way to the server.
func (l *inner) initFile(f Family) string {
	return filepath.Join(l.Data, [...]string{IPv4: "ipv4-", IPv6: "ipv6-", Dual: "dual-"}[f]+trust.FileName)
}

func (l *inner) writeInits(first string) error {
	data, err := os.ReadFile(first)
	if err != nil {
		return err
	}
	bundle, err := trust.Parse(data)
	if err != nil {
		return err
	}
	four, six := serverAddr(wan4(lastHost)), serverAddr(wan6(lastHost))
	for f, servers := range map[Family][]string{IPv4: {four}, IPv6: {six}, Dual: {six, four}} {
		bundle.Servers = servers
		data, err := bundle.Marshal()
		if err != nil {
			return err
		}
		if err := os.WriteFile(l.initFile(f), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (l *inner) startClient(h *host) (err error) {
	h.program, err = start(h.namespace, filepath.Join(l.Data, "logs", h.name+".log"), l.Client, "run",
		"--init", l.initFile(l.Layout.Sites[h.site-1].Family), "--state", filepath.Join(l.Data, "clients", h.name),
		"--listen", fmt.Sprintf("[::]:%d", clientPort))
	h.frozen, h.noPower = false, false
	return err
}

// run carries out one request after another until the lab ends.
func (l *inner) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			err := l.stop()
			l.worker.Wait()
			return err
		case c := <-l.calls:
			c.reply <- l.answer(c.request)
		}
	}
}

// stop ends all programs, at once and together.
func (l *inner) stop() error {
	l.end()
	if l.network == nil {
		return nil
	}
	var errs []error
	for _, h := range l.hosts {
		errs = append(errs, h.program.kill(), h.heal())
	}
	return errors.Join(append(errs, l.server.end())...)
}

// listen takes commands until ctx ends.
func (l *inner) listen(ctx context.Context, ln net.Listener) {
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		l.worker.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			var c call
			c.reply = make(chan reply, 1)
			if err := json.NewDecoder(io.LimitReader(conn, lineMax)).Decode(&c.request); err != nil {
				return // whoever asked has gone, or is none of ours
			}
			select {
			case l.calls <- c:
				// The error is that of somebody who has not waited for it.
				_ = json.NewEncoder(conn).Encode(<-c.reply)
				if c.Query == queryEnd {
					l.end()
				}
			case <-ctx.Done():
			}
		})
	}
}

// forward lets the connections to the outer listener into the server's API.
func (l *inner) forward(ctx context.Context, ln net.Listener) {
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		l.worker.Go(func() {
			defer conn.Close()
			var api net.Conn
			// The socket belongs to the namespace where it was made.
			err := l.network.server.do(func() (err error) {
				api, err = net.DialTimeout("tcp", netip.AddrPortFrom(wan4(lastHost), apiPort).String(), serverTimeout)
				return err
			})
			if err != nil {
				return // the server is down, as whoever has connected now sees
			}
			defer api.Close()
			defer context.AfterFunc(ctx, func() { conn.Close(); api.Close() })()
			var back sync.WaitGroup
			back.Go(func() { _, _ = io.Copy(conn, api); conn.Close() })
			_, _ = io.Copy(api, conn)
			api.Close()
			back.Wait()
		})
	}
}

// answer carries out a request.
func (l *inner) answer(r request) reply {
	var rep reply
	var err error
	switch r.Query {
	case queryHosts:
		rep.Status = l.hostsStatus()
	case queryStatus:
		rep.Status, err = l.status()
	case queryTraffic:
		rep.Traffic, err = l.traffic()
	case queryMark:
		err = l.setMark()
	case queryEnter:
		rep.Door, err = l.door(r.Host)
	case queryEnd:
	default:
		err = l.command(r.Command)
	}
	if err != nil {
		rep.Error, rep.Kind = err.Error(), fault.KindOf(err)
	}
	return rep
}

func (l *inner) door(name string) (*door, error) {
	if name == serverPort {
		return &door{int(l.network.server.net.Fd()), int(l.network.server.uts.Fd())}, nil
	}
	i := slices.IndexFunc(l.hosts, func(h *host) bool { return h.name == name })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "there is no host %s; hosts are s1h1 and so on, and server", name)
	}
	return &door{int(l.hosts[i].net.Fd()), int(l.hosts[i].uts.Fd())}, nil
}

// sockets are the connections of a program's network namespace.
func sockets(p *process) ([]socket, error) {
	var all []socket
	for _, table := range []string{"tcp", "tcp6"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", p.cmd.Process.Pid, table))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ESRCH) {
			return nil, nil // it has ended, and its connections with it
		}
		if err != nil {
			return nil, err
		}
		some, err := parseSockets(string(data))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}
