package sim

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"catenary/internal/server/tally"
	"catenary/internal/wire"
)

// A picture of a story: time goes to the right; below each other the machines of
// each chain in their order, and the server above and below them, so that
// questions come in from above and answers leave below.

// All in pixels.
const (
	drawWidth  = 1400
	drawLeft   = 178 // of time
	drawRight  = 30
	drawTop    = 112 // above the first line
	drawRow    = 34  // from one machine to the next
	drawServer = 40  // from the server to a machine
	drawAxis   = 34
	drawNote   = 17 // from one line of the notes to the next
	drawWide   = 6  // width of a letter of a note, at most

	// notesMax bounds the notes, arrowsMax the messages that get an arrow: with
	// more there is nothing to be seen but arrows.
	notesMax  = 60
	arrowsMax = 900
	headMax   = 170 // letters of the title's second line
)

// drawStyle are the classes of all that is drawn.
const drawStyle = `text{font:12px system-ui,sans-serif;fill:#24292f}.h{font-size:15px;font-weight:600}.s{fill:#57606a;font-size:11px}
.g{stroke:#eaeef2}.band{fill:#dbe9fb}.live{stroke:#57606a;stroke-width:2.5}.off{stroke:#d0d7de;stroke-dasharray:2 5}
.zz{stroke:#8c959f;stroke-width:2.5;stroke-dasharray:5 4}.srv{stroke:#24292f;stroke-width:4}.bl{fill:#0969da}.fl{fill:#d97706}
.w{fill:#f2cc60;stroke:#b08800;stroke-width:.5}.q{stroke:#0969da;marker-end:url(#q)}.r{stroke:#0969da;stroke-dasharray:4 2;marker-end:url(#q)}
.a{stroke:#d97706;marker-end:url(#a)}.t{stroke:#8250df;marker-end:url(#t)}.x{stroke:#57606a;stroke-dasharray:1 2}
.end{stroke:#cf222e;stroke-width:2.5;fill:none}.up{fill:#1a7f37}.c{fill:#1a7f37;stroke:#fff}.d{fill:#fff;stroke:#8c959f}.p{fill:#8250df;stroke:#fff}
.n{fill:#cf222e}.nt{fill:#fff;font-size:9px;font-weight:700;text-anchor:middle}.bad,.bad text{fill:#cf222e}.law{stroke:#cf222e;stroke-width:1.5}.ask{fill:#0969da;font-weight:600}`

// A drawing is a picture in the making.
type drawing struct {
	*History
	bytes.Buffer
	from, until time.Duration
	row         map[*host]float64
	servers     []float64 // the server's lines: above each chain, and below the last
	chain       map[*host]int
	bottom      float64
}

// Draw writes the picture as SVG. Until 0 leaves it to the story what part of it
// is shown.
func (y *History) Draw(to io.Writer, from, until time.Duration) error {
	if y.world == nil {
		return fmt.Errorf("this story has not been told")
	}
	if until == 0 {
		begin, end := y.span()
		until = end
		if from == 0 {
			from = begin
		}
	}
	if until = min(until, y.world.now); from >= until {
		return fmt.Errorf("the story ends after %v: there is nothing from %v on", y.world.now, from)
	}
	d := &drawing{History: y, from: from, until: until, row: map[*host]float64{}, chain: map[*host]int{}}
	d.lay()
	var notes bytes.Buffer
	height := d.notes(&notes)
	fmt.Fprintf(d, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" height=\"%.0f\">\n<style>%s</style>\n",
		drawWidth, height, drawWidth, height, drawStyle)
	d.WriteString(`<defs>`)
	for _, m := range [][2]string{{"q", "#0969da"}, {"a", "#d97706"}, {"t", "#8250df"}} {
		fmt.Fprintf(d, `<marker id="%s" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="5" markerHeight="5" orient="auto"><path d="M0 0L6 3L0 6z" fill="%s"/></marker>`, m[0], m[1])
	}
	fmt.Fprintf(d, "</defs>\n<rect width=\"%d\" height=\"%.0f\" fill=\"#fff\"/>\n", drawWidth, height)
	d.head()
	d.grid()
	d.bands()
	d.lifelines()
	d.messages()
	d.questions()
	d.failure()
	d.Write(notes.Bytes())
	d.WriteString("</svg>\n")
	_, err := to.Write(d.Bytes())
	return err
}

// lay gives each machine its line.
func (d *drawing) lay() {
	y := float64(drawTop)
	for i, line := range d.lines {
		d.servers = append(d.servers, y)
		y += drawServer - drawRow
		for _, h := range line {
			y += drawRow
			d.row[h], d.chain[h] = y, i
		}
		y += drawServer
	}
	d.servers = append(d.servers, y)
	d.bottom = y
}

func (d *drawing) x(t time.Duration) float64 {
	t = min(max(t, d.from), d.until)
	return drawLeft + float64(t-d.from)/float64(d.until-d.from)*(drawWidth-drawLeft-drawRight)
}

// shows reports whether a time is partly in the picture.
func (d *drawing) shows(from, to time.Duration) bool { return to >= d.from && from <= d.until }

func (d *drawing) line(x1, y1, x2, y2 float64) {
	fmt.Fprintf(d, `<line x1="%s" y1="%s" x2="%s" y2="%s"/>`, px(x1), px(y1), px(x2), px(y2))
}

// px is a number of pixels, as short as may be.
func px(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

func (d *drawing) text(class string, x, y float64, text string) {
	fmt.Fprintf(d, `<text class="%s" x="%s" y="%s">%s</text>`, class, px(x), px(y), html.EscapeString(text))
}

func (d *drawing) group(class string, draw func()) {
	fmt.Fprintf(d, `<g class="%s">`, class)
	draw()
	d.WriteString("</g>\n")
}

// head is the title and what the signs mean.
func (d *drawing) head() {
	w := d.world
	d.text("h", 20, 30, fmt.Sprintf("%s %d, %s to %s of %s", w.called, w.seed, seconds(d.from, 3), seconds(d.until, 3), seconds(w.now, 3)))
	x, y := 20.0, 56.0
	sign := func(shape, text string) {
		fmt.Fprintf(d, `<g transform="translate(%s %s)">%s</g>`, px(x), px(y), shape)
		d.text("s", x+30, y+4, text)
		if x += 30 + 5.8*float64(len(text)) + 22; x > drawWidth-190 {
			x, y = 20, y+20
		}
	}
	sign(`<line class="live" x2="24"/>`, "runs")
	sign(`<line class="zz" x2="24"/>`, "sleeps")
	sign(`<path class="up" d="M9 -5L17 0L9 5z"/>`, "starts")
	sign(`<path class="end" d="M8 -4L16 4M16 -4L8 4"/>`, "crashes")
	sign(`<path class="end" d="M9 -3L15 3M15 -3L9 3"/><circle class="end" cx="12" r="7"/>`, "loses its power")
	sign(`<rect class="band" y="-6" width="24" height="12"/>`, "linked")
	sign(`<rect class="bl" y="-2" width="24" height="4"/>`, "backward leader")
	sign(`<rect class="fl" y="-2" width="24" height="4"/>`, "forward leader")
	sign(`<rect class="w" y="-3" width="24" height="6"/>`, "computes")
	sign(`<line class="q" x2="24"/>`, "question")
	sign(`<line class="r" x2="24"/>`, "again")
	sign(`<line class="a" x2="24"/>`, "answer")
	sign(`<line class="t" x2="24"/>`, "tainted answer")
	sign(`<line class="x" x2="24"/>`, "lost on its way")
	sign(`<circle class="c" cx="12" r="4"/>`, "counted")
	sign(`<circle class="d" cx="12" r="3.5"/>`, "report of what is counted already")
	sign(`<circle class="p" cx="12" r="4"/>`, "replaces tainted ones")
	sign(`<circle class="n" cx="12" r="7"/>`, "see below")
	d.WriteString("\n")
}

// seconds is a time with so many decimals.
func seconds(t time.Duration, decimals int) string {
	return strconv.FormatFloat(t.Seconds(), 'f', decimals, 64) + " s"
}

// grid is the axis of time, and who stands where.
func (d *drawing) grid() {
	const most = 12 // ticks
	step := time.Microsecond
	for i := 0; (d.until-d.from)/step > most; i++ {
		step = step * [...]time.Duration{4, 5, 4}[i%3] / 2 // 1, 2, 5, 10 …
	}
	decimals := max(0, -int(math.Floor(math.Log10(step.Seconds()))))
	d.ticks(step, decimals)
	d.names()
}

func (d *drawing) ticks(step time.Duration, decimals int) {
	d.group("g", func() {
		for t := d.from.Truncate(step); t <= d.until; t += step {
			if t >= d.from {
				d.line(d.x(t), drawTop-8, d.x(t), d.bottom+8)
			}
		}
	})
	for t := d.from.Truncate(step); t <= d.until; t += step {
		if t >= d.from {
			fmt.Fprintf(d, `<text class="s" x="%s" y="%s" text-anchor="middle">%s</text>`, px(d.x(t)), px(d.bottom+22), seconds(t, decimals))
		}
	}
	d.WriteString("\n")
}

func (d *drawing) names() {
	for i, y := range d.servers {
		d.text("", 20, y+4, "server")
		if i < len(d.lines) {
			d.text("s", 76, y+4, d.world.lanOf(d.lines[i][0].place.Addr.Addr()).String())
		}
	}
	for _, line := range d.lines {
		for _, h := range line {
			class := ""
			if h.liar != nil {
				class = "bad"
			}
			d.text(class, 20, d.row[h]+4, strconv.Itoa(h.index))
			d.text("s", 50, d.row[h]+4, h.place.Addr.String())
		}
	}
	d.WriteString("\n")
}

// bands are the links between machines, and who leads.
func (d *drawing) bands() {
	var leads [2][]*joint
	d.group("band", func() {
		for _, j := range d.joints {
			a, b := j.conn.ends[0].host, j.conn.ends[1].host
			switch {
			case !d.shows(j.from, j.to):
			case b == nil:
				s := serverSide(j.conn.role)
				leads[s] = append(leads[s], j)
			default:
				top, bottom := min(d.row[a], d.row[b]), max(d.row[a], d.row[b])
				d.rect(d.x(j.from), top, d.x(j.to), bottom)
			}
		}
	})
	for s, class := range []string{"bl", "fl"} {
		d.group(class, func() {
			for _, j := range leads[s] {
				y := d.row[j.conn.ends[0].host] + []float64{-5.5, 1.5}[s]
				d.rect(d.x(j.from), y, d.x(j.to), y+4)
			}
		})
	}
}

func (d *drawing) rect(x1, y1, x2, y2 float64) {
	fmt.Fprintf(d, `<rect x="%s" y="%s" width="%s" height="%s"/>`, px(x1), px(y1), px(max(x2-x1, 0.8)), px(y2-y1))
}

// lifelines are when machines run and compute.
func (d *drawing) lifelines() {
	d.group("off", func() {
		for _, line := range d.lines {
			for _, h := range line {
				d.line(drawLeft, d.row[h], drawWidth-drawRight, d.row[h])
			}
		}
		for _, y := range d.servers {
			d.line(drawLeft, y, drawWidth-drawRight, y)
		}
	})
	for i, class := range []string{"live", "zz", "srv"} {
		d.group(class, func() {
			for _, x := range d.lives {
				is := 0
				if x.host == nil {
					is = 2
				} else if x.asleep {
					is = 1
				}
				if is != i || !d.shows(x.from, x.to) {
					continue
				}
				for _, y := range d.rowsOf(x.host) {
					d.line(d.x(x.from), y, d.x(x.to), y)
				}
			}
		})
	}
	d.group("w", func() {
		for _, x := range d.works {
			if d.shows(x.from, x.to) {
				d.rect(d.x(x.from), d.row[x.host]-3, d.x(x.to), d.row[x.host]+3)
			}
		}
	})
	d.WriteString("\n")
}

// rowsOf are the lines of a machine, or of the server.
func (d *drawing) rowsOf(h *host) []float64 {
	if h == nil {
		return d.servers
	}
	return []float64{d.row[h]}
}

// lineOf is the line of a machine, or that of the server on the side of a
// machine on which it has it in this role.
func (d *drawing) lineOf(h, other *host, role wire.Role) float64 {
	switch {
	case h != nil:
		return d.row[h]
	case role == wire.BackwardLeader:
		return d.servers[d.chain[other]]
	}
	return d.servers[d.chain[other]+1]
}

func (d *drawing) messages() {
	classes := map[string][]*flight{}
	n := 0
	for _, f := range d.flights {
		if !d.shows(f.at, f.till) {
			continue
		}
		n++
		class := "q"
		switch {
		case f.lost:
			class = "x"
		case f.kind == wire.KindQuestion && f.again:
			class = "r"
		case f.kind == wire.KindAnswer && f.tainted:
			class = "t"
		case f.kind == wire.KindAnswer:
			class = "a"
		}
		classes[class] = append(classes[class], f)
	}
	for _, class := range []string{"x", "q", "r", "a", "t"} {
		style := class
		if n > arrowsMax {
			style += `" style="marker-end:none;opacity:.6`
		}
		d.group(style, func() {
			for _, f := range classes[class] {
				d.line(d.x(f.at), d.lineOf(f.from, f.to, f.role), d.x(f.till), d.lineOf(f.to, f.from, f.role))
			}
		})
	}
}

// questions are when they are asked, and what becomes of the reports.
func (d *drawing) questions() {
	last := map[float64]float64{}
	for _, q := range d.askings {
		for i, line := range d.lines {
			in := q.lan == (netip.Prefix{}) || q.lan == d.world.lanOf(line[0].place.Addr.Addr())
			if y := d.servers[i]; in && d.shows(q.at, q.at) && d.x(q.at) >= last[y] {
				fmt.Fprintf(d, `<path class="bl" d="M%s %sl-4 -7h8z"/>`, px(d.x(q.at)), px(y-2))
				d.text("ask", d.x(q.at)+6, y-6, "question "+q.name)
				last[y] = d.x(q.at) + 70 + 7*float64(len(q.name))
			}
		}
	}
	class := [...]string{tally.Counted: "c", tally.Duplicate: "d", tally.Replaced: "p", tally.Refused: "n", tally.Foreign: "d"}
	for _, v := range d.verdict {
		if d.shows(v.at, v.at) {
			fmt.Fprintf(d, `<circle class="%s" cx="%s" cy="%s" r="3.5"/>`, class[v.is], px(d.x(v.at)), px(d.servers[d.chain[v.from]+1]))
		}
	}
	for _, c := range d.counted {
		if d.shows(c.at, c.at) {
			fmt.Fprintf(d, `<circle class="c" cx="%s" cy="%s" r="3"/>`, px(d.x(c.at)), px(d.row[c.host]))
		}
	}
	for _, x := range d.lives {
		if x.host == nil {
			continue
		}
		at, y := px(d.x(x.from)), px(d.row[x.host])
		if d.shows(x.from, x.from) && x.from > 0 && !x.asleep {
			fmt.Fprintf(d, `<path class="up" d="M%s %sm-5 -5l9 5l-9 5z"/>`, at, y)
		}
		if at = px(d.x(x.to)); d.shows(x.to, x.to) && !x.cut && !x.asleep {
			fmt.Fprintf(d, `<path class="end" d="M%s %sm-4 -4l8 8m0 -8l-8 8"/>`, at, y)
			if x.silent {
				fmt.Fprintf(d, `<circle class="end" cx="%s" cy="%s" r="8"/>`, at, y)
			}
		}
	}
	d.WriteString("\n")
}

// failure is the law that was broken, and when.
func (d *drawing) failure() {
	w := d.world
	if w.err == nil {
		return
	}
	if d.shows(w.now, w.now) {
		d.group("law", func() { d.line(d.x(w.now), drawTop-14, d.x(w.now), d.bottom+8) })
	}
	text := w.err.Error()
	if i := bytes.IndexByte([]byte(text), '\n'); i >= 0 {
		text = text[:i]
	}
	if len(text) > headMax {
		text = text[:headMax] + "…"
	}
	fmt.Fprintf(d, `<text class="bad" x="%d" y="30" text-anchor="end">%s</text>`, drawWidth-drawRight, html.EscapeString(text))
}

// notes numbers what has happened from outside, and says below what it was. It
// returns the height of the picture.
func (d *drawing) notes(out *bytes.Buffer) float64 {
	var shown []stroke
	for _, s := range d.strokes {
		if d.shows(s.at, s.at) {
			shown = append(shown, s)
		}
	}
	slices.SortStableFunc(shown, func(a, b stroke) int { return int(a.at - b.at) })
	left := max(0, len(shown)-notesMax)
	shown = shown[:len(shown)-left]
	longest := 0
	for _, s := range shown {
		longest = max(longest, len(s.text))
	}
	wide := float64(150 + drawWide*longest)
	columns := max(1, int((drawWidth-20-drawRight)/wide))
	rows := (len(shown) + columns - 1) / columns
	last := map[float64]float64{}
	for i, s := range shown {
		y := d.rowsOf(s.host)[0] - 12
		x := max(d.x(s.at), last[y]+15)
		last[y] = x
		fmt.Fprintf(out, `<circle class="n" cx="%s" cy="%s" r="7"/><text class="nt" x="%s" y="%s">%d</text>`, px(x), px(y), px(x), px(y+3), i+1)
		nx, ny := 27+float64(i/max(rows, 1))*wide, d.bottom+drawAxis+drawNote*float64(i%max(rows, 1)+1)
		who := "all"
		if s.host != nil {
			who = "machine " + strconv.Itoa(s.host.index)
		}
		fmt.Fprintf(out, `<circle class="n" cx="%s" cy="%s" r="7"/><text class="nt" x="%s" y="%s">%d</text>`, px(nx), px(ny-4), px(nx), px(ny-1), i+1)
		fmt.Fprintf(out, `<text class="s" x="%s" y="%s">%s  %s: %s</text>`+"\n", px(nx+13), px(ny), seconds(s.at, 3), who, html.EscapeString(s.text))
	}
	height := d.bottom + drawAxis + drawNote*float64(rows+1)
	if left > 0 {
		fmt.Fprintf(out, `<text class="s" x="20" y="%s">… and %d more</text>`, px(height), left)
		height += drawNote
	}
	return height
}
