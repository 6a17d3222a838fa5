package cli

import (
	"bufio"
	"io"
	"strings"
)

// eventMax bounds what is kept of an event, in bytes. The events that the
// commands read are a few hundred bytes; those with whole result sets are
// larger and only passed over.
const eventMax = 64 << 10

// An event is one message of a server-sent event stream.
type event struct {
	name string // "message" unless the stream says otherwise
	data string // its lines joined by \n
	cut  bool   // it was larger than eventMax, and data is only its beginning
}

// An eventReader takes an event stream apart as the HTML standard says
// ("Server-sent events", 9.2.6), except that it has no use for ids and retry
// times.
type eventReader struct {
	in    *bufio.Reader
	begun bool
	wasCR bool // the last line ended with \r, so that a \n now belongs to it
}

func newEventReader(r io.Reader) *eventReader { return &eventReader{in: bufio.NewReader(r)} }

// next returns the next event with data. What stands before the end of the
// stream without an empty line after it is no event.
func (r *eventReader) next() (event, error) {
	e := event{name: "message"}
	var data strings.Builder
	lines := 0
	for {
		line, cut, err := r.line()
		if err != nil {
			return event{}, err
		}
		e.cut = e.cut || cut
		if line == "" {
			if lines > 0 {
				e.data = data.String()
				return e, nil
			}
			e = event{name: "message"} // a comment, or a name without data
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.name = value
			if value == "" {
				e.name = "message"
			}
		case "data":
			if lines++; lines > 1 {
				data.WriteByte('\n')
			}
			if room := eventMax - data.Len(); len(value) > room {
				value, e.cut = value[:max(room, 0)], true
			}
			data.WriteString(value)
		}
	}
}

// line returns the next line without its end, \n, \r or \r\n, and no more than
// its first eventMax bytes.
func (r *eventReader) line() (text string, cut bool, err error) {
	var b []byte
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return "", false, err
		}
		afterCR := r.wasCR
		r.wasCR = c == '\r'
		switch {
		case c == '\n' && afterCR:
			continue
		case c == '\n' || c == '\r':
			text = string(b)
			if !r.begun {
				text, r.begun = strings.TrimPrefix(text, "\ufeff"), true
			}
			return text, cut, nil
		case len(b) < eventMax:
			b = append(b, c)
		default:
			cut = true
		}
	}
}
