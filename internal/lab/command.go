package lab

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/fault"
)

// A Command changes a running lab.
type Command interface {
	command()
	String() string
}

type (
	// OnHosts does something to the client program of each host.
	OnHosts struct {
		Deed  HostDeed
		Hosts Target
	}
	// OnServer does something to the server's program.
	OnServer struct{ Deed ServerDeed }
	// Cut silences the links of hosts, of the server, or the WAN link of a
	// site: no frame passes, and nobody is told.
	Cut struct{ Link Target }
	// Heal undoes cuts, delays and losses of the target's links, frozen
	// programs, and the blocks that name the target.
	Heal struct{ What Target }
	// Delay holds every frame for so long, in each direction.
	Delay struct {
		Link Target
		By   time.Duration
	}
	// Loss drops frames at random, in each direction.
	Loss struct {
		Link    Target
		Percent float64
	}
	// Block drops packets one way.
	Block struct {
		From, To Target
		Dials    bool // only the first packets of connections
	}
	// Move plugs a host into the LAN of another site, where it gets an address.
	Move struct {
		Host Target
		Site Target
	}
)

// A HostDeed is something that happens to a host's program.
type HostDeed string

const (
	Kill    HostDeed = "kill"    // SIGKILL: the kernel closes its connections
	Drop    HostDeed = "drop"    // power loss: nobody hears anything any more
	Freeze  HostDeed = "freeze"  // SIGSTOP: its kernel still acknowledges
	Restart HostDeed = "restart" // starts it, if need be after a kill, with power
)

// A ServerDeed is something that happens to the server's program.
type ServerDeed string

const (
	ServerStart   ServerDeed = "start"
	ServerStop    ServerDeed = "stop" // in order
	ServerRestart ServerDeed = "restart"
	ServerKill    ServerDeed = "kill"
)

var (
	hostDeeds   = []HostDeed{Kill, Drop, Freeze, Restart}
	serverDeeds = []ServerDeed{ServerStart, ServerStop, ServerRestart, ServerKill}
)

func (OnHosts) command()  {}
func (OnServer) command() {}
func (Cut) command()      {}
func (Heal) command()     {}
func (Delay) command()    {}
func (Loss) command()     {}
func (Block) command()    {}
func (Move) command()     {}

func (c OnHosts) String() string  { return fmt.Sprintf("%s %v", c.Deed, c.Hosts) }
func (c OnServer) String() string { return fmt.Sprintf("server %s", c.Deed) }
func (c Cut) String() string      { return fmt.Sprintf("cut %v", c.Link) }
func (c Heal) String() string     { return fmt.Sprintf("heal %v", c.What) }
func (c Delay) String() string    { return fmt.Sprintf("delay %v %v", c.Link, c.By) }
func (c Loss) String() string {
	return fmt.Sprintf("loss %v %s%%", c.Link, strconv.FormatFloat(c.Percent, 'f', -1, 64))
}
func (c Move) String() string { return fmt.Sprintf("move %v %v", c.Host, c.Site) }
func (c Block) String() string {
	if c.Dials {
		return fmt.Sprintf("block-dials %v %v", c.From, c.To)
	}
	return fmt.Sprintf("block %v %v", c.From, c.To)
}

// ParseCommand reads a command from its words; it is written as String says.
func ParseCommand(words []string) (Command, error) {
	if len(words) == 0 {
		return nil, fault.New(fault.Invalid, "a command is missing")
	}
	verb, args := words[0], words[1:]
	want := 1
	switch {
	case slices.Contains([]string{"delay", "loss", "block", "block-dials", "move"}, verb):
		want = 2
	case !slices.Contains(hostDeeds, HostDeed(verb)) && !slices.Contains([]string{"server", "cut", "heal"}, verb):
		return nil, fault.New(fault.Invalid, "there is no command %q", verb)
	}
	if len(args) != want {
		return nil, fault.New(fault.Invalid, "%s takes %s", verb, takes[verb])
	}
	if verb == "server" {
		if deed := ServerDeed(args[0]); slices.Contains(serverDeeds, deed) {
			return OnServer{deed}, nil
		}
		return nil, fault.New(fault.Invalid, "server start, stop, restart or kill, but not %q", args[0])
	}
	on, err := ParseTarget(args[0])
	if err != nil {
		return nil, err
	}
	if want == 1 {
		return parseDeed(verb, on)
	}
	return parseWith(verb, on, args[1])
}

// takes says what a command's words are.
var takes = map[string]string{
	"kill": "some hosts", "drop": "some hosts", "freeze": "some hosts", "restart": "some hosts",
	"server": "start, stop, restart or kill", "cut": "a site, some hosts or server", "heal": "a site, some hosts, server or all",
	"delay": "a site, some hosts or server, and a time", "loss": "a site, some hosts or server, and a percentage",
	"block": "from whom and to whom", "block-dials": "from whom and to whom", "move": "a host and a site",
}

func parseDeed(verb string, on Target) (Command, error) {
	switch verb {
	case "cut":
		return Cut{on}, mustBeLink(verb, on)
	case "heal":
		return Heal{on}, nil
	}
	if on.Kind != SomeHosts {
		return nil, fault.New(fault.Invalid, "%s takes %s, not %v", verb, takes[verb], on)
	}
	return OnHosts{HostDeed(verb), on}, nil
}

func mustBeLink(verb string, on Target) error {
	if on.Kind == Everything {
		return fault.New(fault.Invalid, "%s takes %s, not %v", verb, takes[verb], on)
	}
	return nil
}

func parseWith(verb string, on Target, second string) (Command, error) {
	switch verb {
	case "delay":
		by, err := parseDuration(second)
		if err != nil {
			return nil, err
		}
		return Delay{on, by}, mustBeLink(verb, on)
	case "loss":
		percent, err := strconv.ParseFloat(strings.TrimSuffix(second, "%"), 64)
		if err != nil || !(percent > 0 && percent <= 100) || !strings.HasSuffix(second, "%") {
			return nil, fault.New(fault.Invalid, "%q is no percentage, as 5%%", second)
		}
		return Loss{on, percent}, mustBeLink(verb, on)
	}
	to, err := ParseTarget(second)
	if err != nil {
		return nil, err
	}
	if verb == "move" {
		if on.Kind != SomeHosts || on.First != on.Last || on.First == 0 || to.Kind != ASite {
			return nil, fault.New(fault.Invalid, "move takes a host and a site")
		}
		return Move{on, to}, nil
	}
	if on.Kind == Everything && to.Kind == Everything {
		return nil, fault.New(fault.Invalid, "%s takes somebody on one side; a dead network is: cut", verb)
	}
	return Block{on, to, verb == "block-dials"}, nil
}

// targets are all the targets of a command.
func targets(c Command) []Target {
	switch c := c.(type) {
	case OnHosts:
		return []Target{c.Hosts}
	case Cut:
		return []Target{c.Link}
	case Heal:
		return []Target{c.What}
	case Delay:
		return []Target{c.Link}
	case Loss:
		return []Target{c.Link}
	case Block:
		return []Target{c.From, c.To}
	case Move:
		return []Target{c.Host, c.Site}
	}
	return nil // the server's have none
}
