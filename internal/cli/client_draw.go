package cli

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

const (
	// edgeShown is how many clients are shown on both sides of a place where
	// clients are left out, and of whatever is to be said.
	edgeShown = 3
	// foldMin is the least that is worth a line of its own to leave out.
	foldMin = 3

	nameMin = 12 // cells for a computer name, however narrow the terminal is
)

// A drawing is chains as text. Nothing can go wrong with it but its output,
// whose errors the owner sees when it flushes.
type drawing struct {
	out   io.Writer
	width int  // of the terminal; 0: no edge
	whole bool // leave nobody out
}

// A drawnLine is a line of a drawing. Of plain ones some may be left out.
type drawnLine struct {
	mark    string // in front of it
	address string
	name    string
	text    string // what is to be said, or all of the line if there is no address
	plain   bool
}

func (d drawing) draw(lans []lanView) {
	var isolated []clientStatus
	first := true
	for _, v := range lans {
		isolated = append(isolated, v.isolated...)
		if len(v.segments) == 0 {
			continue
		}
		if !first {
			d.line("")
		}
		first = false
		d.line(v.name + ": " + v.tally().String())
		for _, seg := range v.segments {
			d.line("")
			d.lines(seg.lines())
		}
	}
	if len(isolated) == 0 {
		return
	}
	if !first {
		d.line("")
	}
	d.line(fmt.Sprintf("isolated: %s, each by itself with the server", counted(len(isolated), "client")))
	d.line("")
	var lines []drawnLine
	for _, s := range isolated {
		lines = append(lines, drawnLine{"·", s.Address, s.Name, remark(s), remark(s) == ""})
	}
	d.lines(lines)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// String says in numbers what the drawing shows.
func (t tallied) String() string {
	parts := []string{counted(t.clients-t.isolated, "client"), counted(t.chains, "chain"), counted(t.leaders, "leader")}
	for _, p := range []struct {
		n    int
		what string
	}{
		{t.gaps, "gap"}, {t.slow, "slow link"}, {t.half, "half link"}, {t.unsaid, "unreported link"},
	} {
		if p.n > 0 {
			parts = append(parts, counted(p.n, p.what))
		}
	}
	for _, p := range []struct {
		n    int
		what string
	}{
		{t.passed, "passed over"}, {t.offline, "offline"}, {t.blocked, "blocked"}, {t.isolated, "isolated"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

// lines are those of a segment: each of its chains between what it hangs on.
func (v segmentView) lines() []drawnLine {
	var lines []drawnLine
	open := false // a chain has begun and not ended
	for _, s := range v.stands {
		if !s.inLine() {
			text := "offline"
			if !s.Offline {
				text = "passed over: its neighbours are linked to each other"
			}
			lines = append(lines, drawnLine{mark: pick(open, "┊", " "), address: s.Address, name: s.Name, text: text})
			continue
		}
		if !open {
			lines = append(lines, drawnLine{mark: "┌", text: end(s.Name, s.Backward, "behind it")})
			open = true
		}
		text := remark(s.clientStatus)
		lines = append(lines, drawnLine{"├", s.Address, s.Name, text, text == ""})
		switch s.ahead {
		case jointSlow:
			lines = append(lines, drawnLine{mark: "╎", text: fmt.Sprintf("slow link: %.0f ms there and back", s.Forward.Trip)})
		case jointHalf:
			lines = append(lines, drawnLine{mark: "╎", text: "half a link: so far only one of the two says that it is there"})
		case jointUnsaid:
			lines = append(lines, drawnLine{mark: "╎", text: "link not reported: both named others when they last registered"})
		case jointGap, jointEnd:
			lines = append(lines, drawnLine{mark: "└", text: end(s.Name, s.Forward, "ahead of it")})
			open = false
		}
		if s.ahead == jointGap {
			lines = append(lines, drawnLine{mark: "✗", text: "gap: these two have no link to each other"})
		}
	}
	return lines
}

func pick(so bool, yes, no string) string {
	if so {
		return yes
	}
	return no
}

// end says what the end of a chain hangs on.
func end(self string, l clientLink, where string) string {
	switch l.Kind {
	case kindServer:
		return "server"
	case kindPeer:
		name := cmp.Or(l.Name, l.ClientID, "a machine outside your management rights")
		return fmt.Sprintf("%s says that %s stands %s", self, name, where)
	default:
		return "nobody " + where
	}
}

// remark is what is to be said of a client beside its place.
func remark(s clientStatus) string {
	var parts []string
	switch s.leads() {
	case "both":
		if !s.Isolated {
			parts = append(parts, "leads on both sides")
		}
	case "backward":
		parts = append(parts, "backward leader")
	case "forward":
		parts = append(parts, "forward leader")
	}
	if s.is("Blocked") {
		parts = append(parts, "blocked")
	}
	if s.Offline && s.Isolated {
		parts = append(parts, "offline")
	}
	if s.Refused != "" {
		parts = append(parts, "not registered again: "+s.Refused)
	}
	return strings.Join(parts, ", ")
}

// lines writes lines in columns, and leaves out plain ones in between.
func (d drawing) lines(lines []drawnLine) {
	addresses, names := 0, 0
	for _, l := range lines {
		if l.address != "" {
			addresses = max(addresses, ansi.StringWidth(l.address))
			names = max(names, ansi.StringWidth(printable(l.name)))
		}
	}
	if d.width > 0 {
		names = min(names, max(d.width/2-addresses, nameMin))
	}
	for i := 0; i < len(lines); i++ {
		if n := d.hidden(lines, i); n >= foldMin {
			d.line(fmt.Sprintf("  ⋮ %s more, to %s", strconv.Itoa(n), lines[i+n-1].address))
			i += n - 1
			continue
		}
		l := lines[i]
		if l.address == "" {
			d.line("  " + l.mark + " " + l.text)
			continue
		}
		name := truncate(printable(l.name), names, "…")
		d.line(strings.TrimRight(fmt.Sprintf("  %s %s  %s  %s", l.mark, pad(l.address, addresses), pad(name, names), printable(l.text)), " "))
	}
}

// hidden is how many lines are left out at i: those of a run of plain ones that
// are not near its ends.
func (d drawing) hidden(lines []drawnLine, i int) int {
	if d.whole {
		return 0
	}
	from, to := i, i
	for from > 0 && lines[from-1].plain && i-from < edgeShown {
		from--
	}
	for to < len(lines) && lines[to].plain {
		to++
	}
	if i-from < edgeShown {
		return 0
	}
	return max(to-i-edgeShown, 0)
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-ansi.StringWidth(text), 0))
}

// line writes a line, no longer than the terminal is wide.
func (d drawing) line(text string) {
	text = printable(text)
	if d.width > 0 {
		text = truncate(text, d.width, "…")
	}
	fmt.Fprintln(d.out, text)
}
