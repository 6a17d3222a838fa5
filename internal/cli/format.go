package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// A format is how a grid is written.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
	formatCSV   format = "csv"
)

var formats = []format{formatTable, formatJSON, formatCSV}

// bind gives cmd the flag --format.
func (f *format) bind(cmd *cobra.Command) {
	*f = formatTable
	cmd.Flags().Var(f, "format", "how to print: table, json or csv")
	names := make([]cobra.Completion, len(formats))
	for i, name := range formats {
		names[i] = string(name)
	}
	if err := cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag was defined two lines above
	}
}

func (f *format) String() string { return string(*f) }
func (f *format) Type() string   { return "format" }

func (f *format) Set(s string) error {
	for _, known := range formats {
		if s == string(known) {
			*f = known
			return nil
		}
	}
	return fmt.Errorf("write table, json or csv")
}

// listing completes a command that takes no words and prints what fetch makes.
func (d *desk) listing(f *flags, cmd *cobra.Command, fetch func(cmd *cobra.Command, c *client, how format) (grid, error)) *cobra.Command {
	var how format
	var asJSON bool
	cmd.Args = words(0, 0, "no arguments")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if asJSON {
			how = formatJSON
		}
		c, err := d.connect(f)
		if err != nil {
			return err
		}
		g, err := fetch(cmd, c, how)
		if err != nil {
			return err
		}
		return d.print(cmd, how, g)
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	how.bind(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as --format json")
	return cmd
}

// print writes g to the command's standard output.
func (d *desk) print(cmd *cobra.Command, f format, g grid) error {
	out := bufio.NewWriter(cmd.OutOrStdout())
	var err error
	switch f {
	case formatJSON:
		err = writeJSON(out, g)
	case formatCSV:
		err = writeCSV(out, g)
	default:
		width, seen := d.terminal(cmd.OutOrStdout())
		err = writeTable(out, g, look{width: width, bold: seen && d.styled()})
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// styled reports whether a terminal may be sent more than text: the operator
// has not said NO_COLOR, and the terminal understands.
func (d *desk) styled() bool {
	return d.env("NO_COLOR") == "" && d.env("TERM") != "dumb" && runtime.GOOS != "windows"
}

// writeJSON writes an array of objects, one a row. Values are the strings that
// the machines said, only counts are numbers; a machine with several values
// gives an array.
func writeJSON(out io.Writer, g grid) error {
	b := []byte("[")
	for i, row := range g.rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n  {"...)
		for j, c := range row {
			if j > 0 {
				b = append(b, ", "...)
			}
			b = appendJSONString(b, g.columns[j].name)
			b = append(b, ": "...)
			b = appendJSONCell(b, c, g.columns[j].number)
		}
		b = append(b, '}')
		if _, err := out.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	if len(g.rows) > 0 {
		b = append(b, '\n')
	}
	_, err := out.Write(append(b, "]\n"...))
	return err
}

func appendJSONCell(b []byte, c cell, number bool) []byte {
	if len(c) == 1 {
		if number && json.Valid([]byte(c[0])) {
			return append(b, c[0]...)
		}
		return appendJSONString(b, c[0])
	}
	b = append(b, '[')
	for i, v := range c {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendJSONString(b, v)
	}
	return append(b, ']')
}

// appendJSONString writes s with everything escaped that a terminal might
// obey; JSON by itself allows some of it to stand.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\t':
			b = append(b, `\t`...)
		default:
			b = appendJSONRune(b, r)
		}
	}
	return append(b, '"')
}

func appendJSONRune(b []byte, r rune) []byte {
	switch {
	case !hidden(r):
		return utf8.AppendRune(b, r)
	case r > 0xffff:
		high, low := utf16.EncodeRune(r)
		return fmt.Appendf(b, `\u%04x\u%04x`, high, low)
	default:
		return fmt.Appendf(b, `\u%04x`, r)
	}
}

// printObject writes one object of the API, indented and otherwise as it is.
func printObject(out io.Writer, object json.RawMessage) error {
	var indented bytes.Buffer
	if err := json.Indent(&indented, object, "", "  "); err != nil {
		return err
	}
	var b []byte
	for _, r := range indented.String() {
		if r == '\n' { // between values: within a string it is escaped already
			b = append(b, '\n')
		} else {
			b = appendJSONRune(b, r)
		}
	}
	_, err := out.Write(append(b, '\n'))
	return err
}

// writeCSV writes RFC 4180: a header, then a record a row. The values of a
// cell stand below each other in it.
func writeCSV(out io.Writer, g grid) error {
	w := csv.NewWriter(out)
	w.UseCRLF = true
	record := make([]string, len(g.columns))
	for i, c := range g.columns {
		record[i] = printable(c.name)
	}
	if err := w.Write(record); err != nil {
		return err
	}
	for _, row := range g.rows {
		for i, c := range row {
			lines := make([]string, len(c))
			for j, v := range c {
				lines[j] = printable(v)
			}
			record[i] = strings.Join(lines, "\n")
		}
		if err := w.Write(record); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
