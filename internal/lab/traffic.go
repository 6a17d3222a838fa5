package lab

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
)

// Bytes are what a link has carried, as the kernel counts the frames at the
// bridge's end of it. Names are of the site's or host's view.
type Bytes struct {
	In         int64 `json:"in"`
	Out        int64 `json:"out"`
	InPackets  int64 `json:"in_packets"`
	OutPackets int64 `json:"out_packets"`
}

// Sum is the bytes of both directions.
func (b Bytes) Sum() int64 { return b.In + b.Out }

func (b Bytes) minus(o Bytes) Bytes {
	return Bytes{b.In - o.In, b.Out - o.Out, b.InPackets - o.InPackets, b.OutPackets - o.OutPackets}
}

func (b Bytes) plus(o Bytes) Bytes {
	return Bytes{b.In + o.In, b.Out + o.Out, b.InPackets + o.InPackets, b.OutPackets + o.OutPackets}
}

// Traffic is what the links of a lab have carried since the mark.
type Traffic struct {
	Sites []SiteTraffic `json:"sites"`
}

// SiteTraffic is the part of one site.
type SiteTraffic struct {
	Site  int           `json:"site"`
	WAN   Bytes         `json:"wan"`
	LAN   Bytes         `json:"lan"` // the sum of the hosts' links
	Hosts []HostTraffic `json:"hosts"`
}

// HostTraffic is the part of one host.
type HostTraffic struct {
	Host string `json:"host"`
	Bytes
}

// WAN is the sum over all sites.
func (t Traffic) WAN() Bytes {
	var all Bytes
	for _, s := range t.Sites {
		all = all.plus(s.WAN)
	}
	return all
}

// busiest is the host's link of the site that has carried most.
func (s SiteTraffic) busiest() HostTraffic {
	var most HostTraffic
	for _, h := range s.Hosts {
		if h.Sum() >= most.Sum() {
			most = h
		}
	}
	return most
}

// perLink is what a link between two neighbours has carried, on the average, if
// the hosts form a chain: what one host sends to another passes two cables, what
// the ends speak with the server one.
func (s SiteTraffic) perLink() int64 {
	return (s.LAN.Sum() - s.WAN.Sum()) / 2 / int64(max(1, len(s.Hosts)-1))
}

// Table writes the traffic for people; hosts one by one only if asked for.
func (t Traffic) Table(w io.Writer, hosts bool) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, b Bytes) {
		fmt.Fprintf(tab, "%s\t%s\t%s\t%d\t%d\t\n", name, size(b.In), size(b.Out), b.InPackets, b.OutPackets)
	}
	fmt.Fprintln(tab, "link\tin\tout\tpackets in\tout\t")
	for _, s := range t.Sites {
		site := fmt.Sprintf("s%d", s.Site)
		row(site+" WAN", s.WAN)
		row(site+" LAN, all hosts", s.LAN)
		b := s.busiest()
		if !hosts {
			row(site+" LAN, busiest ("+b.Host+")", b.Bytes)
			continue
		}
		for _, h := range s.Hosts {
			row(h.Host, h.Bytes)
		}
	}
	row("WAN of all sites", t.WAN())
	return tab.Flush()
}

// exact writes bytes without rounding.
func exact(n int64) string { return humanize.Comma(n) + " B" }

func size(n int64) string {
	if n < 0 { // a counter of a link that was made anew
		n = 0
	}
	return humanize.Bytes(uint64(n))
}
