package lab

import (
	"fmt"
	"strconv"
	"strings"

	"catenary/internal/fault"
)

// A Target is what a command acts on: everything, the server, a site, or some
// hosts of a site.
type Target struct {
	Kind  TargetKind
	Site  int // of a site or of hosts
	First int // of hosts; 0 with Last 0: all hosts of the site
	Last  int
}

type TargetKind uint8

const (
	Everything TargetKind = iota
	TheServer
	ASite
	SomeHosts
)

// String is how a target is written: `all`, `server`, `s1` is site 1, `s1h3`
// its third host, `s1h3..22` and `s1h*` are some and all of its hosts.
func (t Target) String() string {
	switch {
	case t.Kind == Everything:
		return "all"
	case t.Kind == TheServer:
		return "server"
	case t.Kind == ASite:
		return fmt.Sprintf("s%d", t.Site)
	case t.First == 0:
		return fmt.Sprintf("s%dh*", t.Site)
	case t.First == t.Last:
		return hostName(t.Site, t.First)
	}
	return fmt.Sprintf("%s..%d", hostName(t.Site, t.First), t.Last)
}

// ParseTarget reads exactly what [Target.String] writes.
func ParseTarget(word string) (Target, error) {
	t, ok := readTarget(word)
	if !ok || t.String() != word {
		return Target{}, fault.New(fault.Invalid, "%q is none of: s1 (a site), s1h3, s1h3..22, s1h* (its hosts), server, all", word)
	}
	return t, nil
}

func readTarget(word string) (t Target, ok bool) {
	switch word {
	case "all":
		return Target{Kind: Everything}, true
	case "server":
		return Target{Kind: TheServer}, true
	}
	rest, ok := strings.CutPrefix(word, "s")
	if !ok {
		return t, false
	}
	site, hosts, some := strings.Cut(rest, "h")
	if t.Site, ok = readNumber(site, sitesMax); !ok {
		return t, false
	}
	t.Kind = ASite
	if !some {
		return t, true
	}
	t.Kind = SomeHosts
	if hosts == "*" {
		return t, true
	}
	first, last, isRange := strings.Cut(hosts, "..")
	if t.First, ok = readNumber(first, hostsMax); !ok {
		return t, false
	}
	t.Last = t.First
	if isRange {
		t.Last, ok = readNumber(last, hostsMax)
	}
	return t, ok && t.First <= t.Last
}

func readNumber(s string, most int) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 1 && n <= most
}

// within reports whether the layout has what the target names.
func (t Target) within(l Layout) error {
	if t.Kind == Everything || t.Kind == TheServer {
		return nil
	}
	if t.Site > len(l.Sites) {
		return fault.New(fault.NotFound, "%v: the lab has %d sites", t, len(l.Sites))
	}
	if hosts := l.Sites[t.Site-1].Hosts; t.Last > hosts {
		return fault.New(fault.NotFound, "%v: site %d has %d hosts", t, t.Site, hosts)
	}
	return nil
}

// includes reports whether a host is one of the target's.
func (t Target) includes(site, number int) bool {
	switch t.Kind {
	case Everything:
		return true
	case TheServer:
		return false
	}
	return t.Site == site && (t.First == 0 || t.First <= number && number <= t.Last)
}
