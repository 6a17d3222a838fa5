package resultset

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"catenary/internal/answer"
	"catenary/internal/fault"
)

// A Format is how a view is written as text. The numbers are those of the public
// API; JSON is Catenary's own.
type Format int

const (
	CSV     Format = iota // several texts of a cell on lines of their own in it
	XML                   // of the older API, with short names
	CEF                   // flattened: one event for each text of a cell
	FlatCSV               // likewise one line
	JSON                  // one object a line
)

var extensions = [...]string{CSV: "csv", XML: "xml", CEF: "cef", FlatCSV: "csv", JSON: "jsonl"}

// ParseFormat returns the format of a number.
func ParseFormat(n int) (Format, error) {
	if n < 0 || n >= len(extensions) {
		return 0, fault.New(fault.Invalid, "export_format %d: 0 is CSV, 1 XML, 2 CEF, 3 flattened CSV, 4 JSON", n)
	}
	return Format(n), nil
}

// Extension is that of a file's name.
func (f Format) Extension() string { return extensions[f] }

// Writing says how a view is written.
type Writing struct {
	Format     Format
	HideHeader bool // of CSV
	// Leading and Trailing texts stand before and behind the rows.
	Leading, Trailing string
	// Question and its number, and the program's version, are named by CEF.
	Question string
	Number   uint64
	Version  string
	// Head are the counters that XML has before the rows, by name.
	Head [][2]string
}

// Write writes all rows of a view. From time to time it asks whether to go on.
func (v *View) Write(to io.Writer, w Writing, goOn func() error) error {
	out := bufio.NewWriterSize(to, 64<<10)
	rows := v.guarded(goOn)
	_, err := out.WriteString(w.Leading)
	if err == nil {
		err = v.write(out, w, rows)
	}
	if err == nil {
		_, err = out.WriteString(w.Trailing)
	}
	if err == nil {
		err = out.Flush()
	}
	return err
}

func (v *View) write(out *bufio.Writer, w Writing, rows iter.Seq2[Row, error]) error {
	switch w.Format {
	case XML:
		return v.writeXML(out, w, rows)
	case CEF:
		return v.writeCEF(out, w, rows)
	case JSON:
		return v.writeJSON(out, rows)
	}
	return v.writeCSV(out, w, rows)
}

func (v *View) guarded(goOn func() error) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for i := range v.Len() {
			var err error
			if i%lookEvery == 0 {
				err = goOn()
			}
			if !yield(v.Row(i), err) {
				return
			}
		}
	}
}

func (v *View) writeCSV(out io.Writer, w Writing, rows iter.Seq2[Row, error]) error {
	to := csv.NewWriter(out)
	record := make([]string, 0, len(v.Set.Columns)+1)
	if !w.HideHeader {
		for _, c := range v.Set.Columns {
			record = append(record, c.Name)
		}
		if err := to.Write(append(record, "Count")); err != nil {
			return err
		}
	}
	for r, err := range rows {
		if err != nil {
			return err
		}
		for line := range lines(r.Cells, w.Format == FlatCSV) {
			if err := to.Write(append(append(record[:0], line...), strconv.FormatUint(r.Count, 10))); err != nil {
				return err
			}
		}
	}
	to.Flush()
	return to.Error()
}

// lines are the texts of a row: one line with the texts of each cell below each
// other, or if it is flat, one line for each text; a cell that has no more of
// them repeats its last.
func lines(cells []answer.Cell, flat bool) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		line := make([]string, len(cells))
		if !flat {
			for i, c := range cells {
				line[i] = strings.Join(c, "\n")
			}
			yield(line)
			return
		}
		most := 1
		for _, c := range cells {
			most = max(most, len(c))
		}
		for n := range most {
			for i, c := range cells {
				if line[i] = ""; len(c) > 0 {
					line[i] = c[min(n, len(c)-1)]
				}
			}
			if !yield(line) {
				return
			}
		}
	}
}

// xmlRow and what is in it have the short names of the older API.
type xmlRow struct {
	XMLName xml.Name  `xml:"r"`
	ID      uint32    `xml:"id"`
	CID     uint32    `xml:"cid"`
	Cells   []xmlCell `xml:"c"`
}

type xmlCell struct {
	Texts []string `xml:"v"`
}

type xmlColumn struct {
	XMLName xml.Name `xml:"c"`
	Hash    uint32   `xml:"wh"`
	Name    string   `xml:"dn"`
	Type    int      `xml:"rt"`
}

func (v *View) writeXML(out *bufio.Writer, w Writing, rows iter.Seq2[Row, error]) error {
	enc := xml.NewEncoder(out)
	fmt.Fprintf(out, "%s<rss><rs>", xml.Header) // the writer keeps its first error
	for _, h := range w.Head {
		if err := enc.EncodeElement(h[1], xml.StartElement{Name: xml.Name{Local: h[0]}}); err != nil {
			return err
		}
	}
	fmt.Fprint(out, "<cs>")
	for _, c := range v.Set.Columns {
		if err := enc.Encode(xmlColumn{Hash: c.Hash, Name: legible(c.Name), Type: int(c.Type)}); err != nil {
			return err
		}
	}
	if err := enc.Encode(xmlColumn{Name: "Count", Type: 3}); err != nil {
		return err
	}
	fmt.Fprint(out, "</cs><rs>")
	for r, err := range rows {
		if err != nil {
			return err
		}
		x := xmlRow{ID: r.ID, CID: r.CID, Cells: make([]xmlCell, 0, len(r.Cells)+1)}
		for _, c := range r.Cells {
			cell := xmlCell{make([]string, len(c))}
			for i, text := range c {
				cell.Texts[i] = legible(text)
			}
			x.Cells = append(x.Cells, cell)
		}
		x.Cells = append(x.Cells, xmlCell{[]string{strconv.FormatUint(r.Count, 10)}})
		if err := enc.Encode(x); err != nil {
			return err
		}
	}
	_, err := out.WriteString("</rs></rs></rss>\n")
	return err
}

// legible takes out of a text what XML cannot hold.
func legible(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r != 0xFFFE && r != 0xFFFF {
			return r
		}
		return '\uFFFD'
	}, text)
}

var (
	cefHead  = strings.NewReplacer(`\`, `\\`, `|`, `\|`, "\n", " ", "\r", " ")
	cefValue = strings.NewReplacer(`\`, `\\`, `=`, `\=`, "\n", `\n`, "\r", `\r`)
)

func (v *View) writeCEF(out *bufio.Writer, w Writing, rows iter.Seq2[Row, error]) error {
	keys := make([]string, 0, len(v.Set.Columns))
	for _, c := range v.Set.Columns {
		keys = append(keys, cefKey(c.Name))
	}
	head := fmt.Sprintf("CEF:0|Catenary|Catenary|%s|%d|%s|1|", cefHead.Replace(w.Version), w.Number, cefHead.Replace(w.Question))
	for r, err := range rows {
		if err != nil {
			return err
		}
		for line := range lines(r.Cells, true) {
			out.WriteString(head)
			for i, text := range line {
				fmt.Fprintf(out, "%s=%s ", keys[i], cefValue.Replace(text))
			}
			if _, err := fmt.Fprintf(out, "Count=%d\n", r.Count); err != nil {
				return err
			}
		}
	}
	return nil
}

// cefKey is a column's name as a key: letters, digits and underscores.
func cefKey(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}

type jsonRow struct {
	ID    uint32     `json:"id"`
	CID   uint32     `json:"cid"`
	Cells [][]string `json:"cells"`
	Count uint64     `json:"count"`
}

func (v *View) writeJSON(out *bufio.Writer, rows iter.Seq2[Row, error]) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	names := make([]string, len(v.Set.Columns))
	for i, c := range v.Set.Columns {
		names[i] = c.Name
	}
	if err := enc.Encode(map[string]any{"columns": names}); err != nil {
		return err
	}
	for r, err := range rows {
		if err != nil {
			return err
		}
		row := jsonRow{r.ID, r.CID, make([][]string, len(r.Cells)), r.Count}
		for i, c := range r.Cells {
			row.Cells[i] = c
		}
		if err := enc.Encode(row); err != nil {
			return err
		}
	}
	return nil
}
