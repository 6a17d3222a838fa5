package api

import "net/http"

// An indenter writes JSON for people to read, as it comes: an answer may be too
// long to hold.
type indenter struct {
	http.ResponseWriter
	out    []byte
	depth  int
	text   bool // within a string
	escape bool // behind a backslash in it
	opened bool // behind a bracket that has opened, and may close at once
}

// Unwrap lets http.ResponseController reach the connection.
func (d *indenter) Unwrap() http.ResponseWriter { return d.ResponseWriter }

func (d *indenter) Write(b []byte) (int, error) {
	if d.Header().Get("Content-Type") != "application/json" {
		return d.ResponseWriter.Write(b)
	}
	d.out = d.out[:0]
	for _, c := range b {
		d.add(c)
	}
	if _, err := d.ResponseWriter.Write(d.out); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (d *indenter) add(c byte) {
	if d.text {
		d.out = append(d.out, c)
		switch {
		case d.escape:
			d.escape = false
		case c == '\\':
			d.escape = true
		case c == '"':
			d.text = false
		}
		return
	}
	closes := c == ']' || c == '}'
	switch c {
	case ' ', '\t', '\n', '\r':
		if d.depth == 0 && c == '\n' {
			d.out = append(d.out, c)
		}
		return
	}
	if d.opened && !closes {
		d.line()
	}
	if closes {
		d.depth--
		if !d.opened {
			d.line()
		}
	}
	d.opened = c == '[' || c == '{'
	d.out = append(d.out, c)
	switch c {
	case '[', '{':
		d.depth++
	case ',':
		d.line()
	case ':':
		d.out = append(d.out, ' ')
	case '"':
		d.text = true
	}
}

func (d *indenter) line() {
	d.out = append(d.out, '\n')
	for range d.depth {
		d.out = append(d.out, "  "...)
	}
}
