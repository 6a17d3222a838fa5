package cli

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Measures of a table, in character cells of the terminal.
const (
	gapWidth = 2 // between columns
	cellMin  = 8 // a narrower column cannot be read; the rows are then written one below the other
	wrapMax  = 3 // lines of one value; a longer one is cut, for one row must not fill the screen
)

// A look is what the reader sees the table on.
type look struct {
	width int  // of the terminal; 0: a file or a pipe, which has no edge
	bold  bool // the header may be bold
}

// writeTable writes g for a reader with eyes. On a terminal no line is longer
// than the terminal is wide.
func writeTable(out io.Writer, g grid, l look) error {
	texts := make([][]cell, len(g.rows))
	for i, row := range g.rows {
		texts[i] = make([]cell, len(row))
		for j, c := range row {
			for _, v := range c {
				texts[i][j] = append(texts[i][j], printable(v))
			}
		}
	}
	header := make([]cell, len(g.columns))
	for j, c := range g.columns {
		header[j] = cell{printable(c.name)}
	}
	widths, ok := columnWidths(header, texts, l.width)
	if !ok {
		return writeRecords(out, header, texts, l)
	}
	var b strings.Builder
	writeRow(&b, g.columns, header, widths, l.bold)
	if l.width > 0 {
		writeRule(&b, widths)
	}
	for _, row := range texts {
		writeRow(&b, g.columns, row, widths, false)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// columnWidths deals out the terminal's width. ok is false if there are too
// many columns for it.
func columnWidths(header []cell, rows [][]cell, width int) (widths []int, ok bool) {
	wants := make([]int, len(header))
	for _, row := range append([][]cell{header}, rows...) {
		for j, c := range row {
			for _, v := range c {
				wants[j] = max(wants[j], ansi.StringWidth(v))
			}
		}
	}
	if width == 0 {
		return wants, true
	}
	widths = share(wants, width-gapWidth*(len(wants)-1))
	for j, w := range widths {
		if w < min(wants[j], cellMin) {
			return nil, false
		}
	}
	return widths, true
}

// share divides room: whoever wants little gets it, the others get equal
// parts of what remains.
func share(wants []int, room int) []int {
	order := make([]int, len(wants))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(wants[i], wants[j]) })
	got := make([]int, len(wants))
	for n, i := range order {
		got[i] = min(wants[i], max(room, 0)/(len(wants)-n))
		room -= got[i]
	}
	return got
}

func writeRow(b *strings.Builder, columns []column, row []cell, widths []int, bold bool) {
	lines := make([][]string, len(row))
	height := 1
	for j, c := range row {
		for _, v := range c {
			lines[j] = append(lines[j], fold(v, widths[j])...)
		}
		height = max(height, len(lines[j]))
	}
	for i := range height {
		var line strings.Builder
		for j := range row {
			text := ""
			if i < len(lines[j]) {
				text = lines[j][i]
			}
			blank := strings.Repeat(" ", widths[j]-ansi.StringWidth(text))
			if j > 0 {
				line.WriteString(strings.Repeat(" ", gapWidth))
			}
			if columns[j].right {
				text = blank + text
			} else {
				text += blank
			}
			line.WriteString(text)
		}
		b.WriteString(embolden(strings.TrimRight(line.String(), " "), bold))
		b.WriteByte('\n')
	}
}

func writeRule(b *strings.Builder, widths []int) {
	for j, w := range widths {
		if j > 0 {
			b.WriteString(strings.Repeat(" ", gapWidth))
		}
		b.WriteString(strings.Repeat("─", w))
	}
	b.WriteByte('\n')
}

// writeRecords writes each row as a block of lines, one a column.
func writeRecords(out io.Writer, header []cell, rows [][]cell, l look) error {
	names := 0
	for _, c := range header {
		names = max(names, ansi.StringWidth(c[0]))
	}
	if l.width > 0 {
		names = min(names, l.width/3)
	}
	values := max(l.width-names-gapWidth, cellMin)
	var b strings.Builder
	for i, row := range rows {
		if i > 0 {
			b.WriteByte('\n')
		}
		for j, c := range row {
			name := truncate(header[j][0], names, "…")
			name += strings.Repeat(" ", names-ansi.StringWidth(name)+gapWidth)
			var lines []string
			for _, v := range c {
				if l.width > 0 {
					lines = append(lines, fold(v, values)...)
				} else {
					lines = append(lines, v)
				}
			}
			if len(lines) == 0 {
				lines = []string{""}
			}
			for k, line := range lines {
				if k > 0 {
					name = strings.Repeat(" ", names+gapWidth)
				}
				lead := embolden(name, l.bold && k == 0)
				b.WriteString(strings.TrimRight(lead+line, " "))
				b.WriteByte('\n')
			}
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// fold breaks a printable text into at most wrapMax lines of at most width
// cells, at blanks where it can.
func fold(text string, width int) []string {
	var lines []string
	for ansi.StringWidth(text) > width {
		if len(lines) == wrapMax-1 {
			return append(lines, truncate(text, width, "…"))
		}
		head := truncate(text, width, "")
		if blank := strings.LastIndexByte(head, ' '); blank > 0 && text[len(head)] != ' ' {
			head = head[:blank]
		}
		lines = append(lines, head)
		text = strings.TrimLeft(text[len(head):], " ")
	}
	return append(lines, text)
}

func embolden(text string, bold bool) string {
	if !bold || text == "" {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}
