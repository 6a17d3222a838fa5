package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"catenary/internal/fault"
)

// command carries out a command as it is written.
func (l *inner) command(text string) error {
	words, err := splitWords(text)
	if err != nil {
		return err
	}
	c, err := ParseCommand(words)
	if err != nil {
		return err
	}
	for _, t := range targets(c) {
		if err := t.within(l.Layout); err != nil {
			return err
		}
	}
	return l.act(c)
}

func (l *inner) act(c Command) error {
	switch c := c.(type) {
	case OnHosts:
		return l.onHosts(c)
	case OnServer:
		return l.onServer(c.Deed)
	case Cut:
		err := l.eachLink(c.Link, func(k *link) error { k.cut = true; return nil })
		return errors.Join(err, l.raiseWall())
	case Heal:
		return l.healAll(c.What)
	case Delay:
		return l.eachLink(c.Link, func(k *link) error {
			return k.impair(func(r *relay) { r.delay.Store(int64(c.By)) })
		})
	case Loss:
		return l.eachLink(c.Link, func(k *link) error {
			return k.impair(func(r *relay) { r.loss.Store(int64(c.Percent * million / 100)) })
		})
	case Block:
		l.blocks = append(l.blocks, c)
		return l.raiseWall()
	case Move:
		h := l.chosen(c.Host)[0]
		if h.site == c.Site.Site {
			return fault.New(fault.Conflict, "%s is in s%d already", h.name, h.site)
		}
		return errors.Join(l.move(h, c.Site.Site), l.raiseWall())
	default:
		panic(fmt.Sprintf("lab: unknown command %T", c))
	}
}

// chosen are the hosts that a target names.
func (l *inner) chosen(t Target) []*host {
	var some []*host
	for _, h := range l.hosts {
		if t.includes(h.born, h.index) {
			some = append(some, h)
		}
	}
	return some
}

// eachLink does something to the links of a target: a site's is its WAN link.
func (l *inner) eachLink(t Target, do func(*link) error) error {
	switch t.Kind {
	case TheServer:
		return do(&l.srvLink)
	case ASite:
		return do(&l.wans[t.Site-1])
	}
	for _, h := range l.chosen(t) {
		if err := do(&h.link); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
	}
	return nil
}

func (l *inner) onHosts(c OnHosts) error {
	some := l.chosen(c.Hosts)
	if c.Deed == Drop {
		// The network goes first: nobody must hear the programs end.
		for _, h := range some {
			h.noPower = true
		}
		if err := l.raiseWall(); err != nil {
			return err
		}
	}
	for _, h := range some {
		if err := l.onHost(c.Deed, h); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
	}
	if c.Deed == Restart {
		return l.raiseWall() // with power again
	}
	return nil
}

func (l *inner) onHost(deed HostDeed, h *host) error {
	switch deed {
	case Kill, Drop:
		h.frozen = false
		return h.program.kill()
	case Freeze:
		if !h.program.runs() {
			return fault.New(fault.Conflict, "its program does not run")
		}
		h.frozen = true
		return h.program.signal(syscall.SIGSTOP)
	case Restart:
		if err := h.program.kill(); err != nil {
			return err
		}
		return l.startClient(h)
	default:
		panic("lab: unknown deed " + string(deed))
	}
}

func (l *inner) onServer(deed ServerDeed) error {
	up := l.server.runs()
	switch deed {
	case ServerStart:
		if up {
			return fault.New(fault.Conflict, "the server runs already")
		}
	case ServerStop:
		return l.server.end()
	case ServerKill:
		return l.server.kill()
	case ServerRestart:
		if err := l.server.end(); err != nil {
			return err
		}
	}
	_, err := l.startServer()
	return err
}

// healAll makes a target's links and programs as they were; `all` is
// everything, a site is its WAN link and its hosts.
func (l *inner) healAll(t Target) error {
	var errs []error
	for _, h := range l.chosen(t) {
		errs = append(errs, h.heal())
		if h.frozen {
			h.frozen = false
			errs = append(errs, h.program.signal(syscall.SIGCONT))
		}
	}
	for i := range l.wans {
		if t.Kind == Everything || t.Kind == ASite && t.Site == i+1 {
			errs = append(errs, l.wans[i].heal())
		}
	}
	if t.Kind == Everything || t.Kind == TheServer {
		errs = append(errs, l.srvLink.heal())
	}
	l.blocks = slices.DeleteFunc(l.blocks, func(b Block) bool {
		return t.Kind == Everything || b.From == t || b.To == t
	})
	return errors.Join(append(errs, l.raiseWall())...)
}

// raiseWall tells the kernel what to drop, as follows from the lab's state.
func (l *inner) raiseWall() error {
	var w wall
	add := func(k link, off bool) {
		if k.cut || off {
			w.silent = append(w.silent, k.port)
		}
	}
	add(l.srvLink, false)
	for _, k := range l.wans {
		add(k, false)
	}
	for _, h := range l.hosts {
		add(h.link, h.noPower)
	}
	for _, b := range l.blocks {
		w.blocks = append(w.blocks, blockRule{l.prefixes(b.From), l.prefixes(b.To), b.Dials})
	}
	return nft(w.rules())
}

// prefixes are the addresses of a target; nil is any.
func (l *inner) prefixes(t Target) []netip.Prefix {
	switch t.Kind {
	case Everything:
		return nil
	case TheServer:
		return []netip.Prefix{alone(wan4(lastHost)), alone(wan6(lastHost))}
	case ASite:
		return []netip.Prefix{lan4(t.Site), lan6(t.Site)}
	}
	var all []netip.Prefix
	for _, h := range l.chosen(t) {
		for _, a := range l.addrs(h) {
			all = append(all, alone(a))
		}
	}
	return all
}

// trouble says what is wrong with a link.
func (k link) trouble() string {
	var all []string
	if k.cut {
		all = append(all, "cut")
	}
	if k.relay != nil {
		if d := k.relay.delay.Load(); d > 0 {
			all = append(all, "delay "+time.Duration(d).String())
		}
		if p := k.relay.loss.Load(); p > 0 {
			all = append(all, fmt.Sprintf("loss %v%%", float64(p)*100/million))
		}
	}
	return strings.Join(all, ", ")
}

func (l *inner) status() (st *Status, err error) {
	st = l.hostsStatus()
	if st.Chains, err = l.chains(); err != nil {
		return nil, err
	}
	st.Connections, err = l.connections()
	return st, err
}

func (l *inner) hostsStatus() *Status {
	st := &Status{Server: processStatus(l.server)}
	for i, s := range l.Layout.Sites {
		site := SiteStatus{Site: i + 1, LAN: lan4(i + 1).String(), NAT: s.NAT, Link: l.wans[i].trouble()}
		if s.Family == IPv6 {
			site.LAN = lan6(i + 1).String()
		}
		for _, h := range l.hosts {
			if h.site == i+1 {
				site.Hosts = append(site.Hosts, HostStatus{h.name, l.addrs(h)[0].String(), h.trouble(), h.status()})
			}
		}
		st.Sites = append(st.Sites, site)
	}
	for _, b := range l.blocks {
		st.Blocks = append(st.Blocks, b.String())
	}
	return st
}

func processStatus(p *process) ProcessStatus {
	st := ProcessStatus{State: p.state()}
	if p.runs() {
		st.PID, st.RSS = p.cmd.Process.Pid, p.memory()
	}
	return st
}

func (h *host) status() ProcessStatus {
	st := processStatus(h.program)
	switch {
	case h.noPower:
		st.State = "no power"
	case h.frozen && st.State == running:
		st.State = "frozen"
	}
	return st
}

// chains looks at the connections of all hosts whose programs run.
func (l *inner) chains() ([]Chain, error) {
	var all []sight
	for _, h := range l.hosts {
		if !h.program.runs() {
			continue
		}
		some, err := sockets(h.program)
		if err != nil {
			return nil, fmt.Errorf("connections of %s: %w", h.name, err)
		}
		all = append(all, sight{h.name, h.site, l.addrs(h)[0], some})
	}
	return chains(all), nil
}

// connections counts those of clients at the server, by site.
func (l *inner) connections() ([]int, error) {
	counts := make([]int, len(l.Layout.Sites))
	if !l.server.runs() {
		return counts, nil
	}
	all, err := sockets(l.server)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.local.Port() != clientPort {
			continue
		}
		for i := range counts {
			from := s.remote.Addr()
			if lan4(i+1).Contains(from) || lan6(i+1).Contains(from) || from == wan4(i+1) || from == wan6(i+1) {
				counts[i]++
			}
		}
	}
	return counts, nil
}

// counters reads what the kernel has counted at a port. What the bridge sends
// comes in at the machine behind the port.
func counters(port string) (b Bytes, err error) {
	for file, to := range map[string]*int64{
		"tx_bytes": &b.In, "rx_bytes": &b.Out, "tx_packets": &b.InPackets, "rx_packets": &b.OutPackets,
	} {
		data, err := os.ReadFile(filepath.Join("/sys/class/net", port, "statistics", file))
		if err != nil {
			return b, err
		}
		if *to, err = strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err != nil {
			return b, err
		}
	}
	return b, nil
}

// since is what a port has carried since the mark.
func (l *inner) since(port string) (Bytes, error) {
	b, err := counters(port)
	return b.minus(l.mark[port]), err
}

func (l *inner) setMark() error {
	ports := []string{}
	for _, k := range l.wans {
		ports = append(ports, k.port)
	}
	for _, h := range l.hosts {
		ports = append(ports, h.port)
	}
	for _, p := range ports {
		b, err := counters(p)
		if err != nil {
			return err
		}
		l.mark[p] = b
	}
	return nil
}

func (l *inner) traffic() (*Traffic, error) {
	t := &Traffic{}
	for i := range l.Layout.Sites {
		s := SiteTraffic{Site: i + 1}
		var err error
		if s.WAN, err = l.since(l.wans[i].port); err != nil {
			return nil, err
		}
		for _, h := range l.hosts {
			if h.site != i+1 {
				continue
			}
			b, err := l.since(h.port)
			if err != nil {
				return nil, err
			}
			s.Hosts = append(s.Hosts, HostTraffic{h.name, b})
			s.LAN = s.LAN.plus(b)
		}
		t.Sites = append(t.Sites, s)
	}
	return t, nil
}
