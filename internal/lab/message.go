package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"

	"catenary/internal/fault"
)

// A request is what the lab's socket takes: one line of JSON.
type request struct {
	Command string `json:"command,omitempty"` // a Command as it is written
	Query   query  `json:"query,omitempty"`
	Host    string `json:"host,omitempty"` // of the query enter
}

// A query asks about the lab.
type query string

const (
	queryStatus  query = "status"
	queryHosts   query = "hosts" // the status without chains and connections
	queryTraffic query = "traffic"
	queryMark    query = "mark"  // and sets the counters to zero
	queryEnter   query = "enter" // how to get into a host's namespaces
	queryEnd     query = "end"   // and ends the lab
)

// A reply is the answer, in one line of JSON as well.
type reply struct {
	Error   string     `json:"error,omitempty"`
	Kind    fault.Kind `json:"kind,omitempty"`
	Status  *Status    `json:"status,omitempty"`
	Traffic *Traffic   `json:"traffic,omitempty"`
	Door    *door      `json:"door,omitempty"`
}

// A door is how a program gets into a host: numbers of descriptors that the
// inner process holds.
type door struct {
	Net int `json:"net"`
	UTS int `json:"uts"`
}

// Status is how a lab stands.
type Status struct {
	Sites  []SiteStatus  `json:"sites"`
	Server ProcessStatus `json:"server"`
	Blocks []string      `json:"blocks,omitempty"`
	Chains []Chain       `json:"chains"`
	// Connections of clients at the server, by site, as its kernel counts them.
	Connections []int `json:"connections"`
}

// SiteStatus is how a site stands.
type SiteStatus struct {
	Site  int          `json:"site"`
	LAN   string       `json:"lan"`
	NAT   bool         `json:"nat,omitempty"`
	Link  string       `json:"link,omitempty"` // what is wrong with its WAN link
	Hosts []HostStatus `json:"hosts"`
}

// HostStatus is how a host stands.
type HostStatus struct {
	Name string `json:"name"`
	Addr string `json:"address"`
	Link string `json:"link,omitempty"` // what is wrong with it
	ProcessStatus
}

// ProcessStatus is how a program stands.
type ProcessStatus struct {
	State string `json:"state"` // running, frozen, no power, or how it has ended
	PID   int    `json:"pid,omitempty"`
	RSS   int64  `json:"rss,omitempty"` // bytes of memory
}

const running = "running"

const (
	// replyTimeout bounds a command: a start of the server is the longest.
	replyTimeout = 90 * time.Second
	// lineMax bounds a reply: a status of the largest lab has about 2 MB.
	lineMax = 16 << 20 // bytes
)

// tell sends a request to the lab's socket and waits for the reply.
func tell(ctx context.Context, socketPath string, req request) (reply, error) {
	var r reply
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socketPath)
	if err != nil {
		return r, fault.New(fault.Unavailable, "the lab does not answer: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		return r, fmt.Errorf("tell the lab: %w", err)
	}
	if err := json.NewDecoder(io.LimitReader(conn, lineMax)).Decode(&r); err != nil {
		return r, fault.New(fault.Unavailable, "the lab has ended before it answered: %w", err)
	}
	if r.Error != "" {
		return r, fault.New(r.Kind, "%s", r.Error)
	}
	return r, nil
}
