package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func readEvents(t *testing.T, r io.Reader) []event {
	t.Helper()
	var all []event
	for in := newEventReader(r); ; {
		e, err := in.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
}

func TestEvents(t *testing.T) {
	tests := []struct {
		name, in string
		want     []event
	}{
		{"nothing", "", nil},
		{"one", "event: progress\ndata: {}\n\n", []event{{name: "progress", data: "{}"}}},
		{"without a name", "data: x\n\n", []event{{name: "message", data: "x"}}},
		{"any line end", "event: a\rdata: 1\r\revent: b\r\ndata: 2\r\n\r\n", []event{{name: "a", data: "1"}, {name: "b", data: "2"}}},
		{"several lines", "data: a\ndata:b\ndata\ndata:  c\n\n", []event{{name: "message", data: "a\nb\n\n c"}}},
		{"comments and other fields", ": keep-alive\n\nid: 7\nretry: 100\nfoo: bar\nevent: e\n:x\ndata: y\n\n", []event{{name: "e", data: "y"}}},
		{"a name without data is forgotten", "event: a\n\ndata: x\n\n", []event{{name: "message", data: "x"}}},
		{"empty data is data", "data\n\n", []event{{name: "message", data: ""}}},
		{"an unfinished event is none", "data: x\n\ndata: y\n", []event{{name: "message", data: "x"}}},
		{"byte order mark", "\ufeffdata: x\n\n\ufeffdata: y\n\n", []event{{name: "message", data: "x"}}},
		{"too large", "event: rows\ndata: " + strings.Repeat("x", 2*eventMax) + "\n\ndata: y\n\n",
			[]event{{name: "rows", data: strings.Repeat("x", eventMax-len("data: ")), cut: true}, {name: "message", data: "y"}}},
		{"too many lines", strings.Repeat("data: "+strings.Repeat("x", eventMax/4)+"\n", 5) + "\n",
			[]event{{name: "message", data: strings.Repeat("\n"+strings.Repeat("x", eventMax/4), 4)[1:] + "\n", cut: true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := readEvents(t, strings.NewReader(tt.in))
			if tt.name == "too many lines" { // how much of the last line is left does not matter
				if len(got) != 1 || !got[0].cut || len(got[0].data) > eventMax+5 {
					t.Errorf("got %d events, the first of %d bytes", len(got), len(got[0].data))
				}
				return
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestEventsOfABrokenStream(t *testing.T) {
	broken := errors.New("reset by peer")
	in := newEventReader(io.MultiReader(strings.NewReader("data: x\n\ndata: y\n"), iotest.ErrReader(broken)))
	if e, err := in.next(); e.data != "x" || err != nil {
		t.Errorf("got %v, %v", e, err)
	}
	if e, err := in.next(); !errors.Is(err, broken) {
		t.Errorf("got %v, %v", e, err)
	}
}

// Events do not depend on how the bytes arrive, and what was read is read
// again after it was written.
func FuzzEvents(f *testing.F) {
	f.Add("event: progress\ndata: {\"mr_tested\":3}\n\n: keep-alive\n\nevent: end\ndata: {}\n\n")
	f.Add("data: a\rdata: b\r\n\ndata\r\r\n")
	f.Add("\ufeffid: 1\nevent:\ndata:x\n\n")
	f.Add("data: " + strings.Repeat("long ", 30) + "\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		events := readEvents(t, strings.NewReader(stream))
		if one := readEvents(t, iotest.OneByteReader(strings.NewReader(stream))); !slices.Equal(one, events) {
			t.Fatalf("%q: in one piece %+v, byte by byte %+v", stream, events, one)
		}
		var written strings.Builder
		for _, e := range events {
			if e.cut {
				return
			}
			fmt.Fprintf(&written, "event: %s\n", e.name)
			for _, line := range strings.Split(e.data, "\n") {
				fmt.Fprintf(&written, "data: %s\n", line)
			}
			written.WriteByte('\n')
		}
		if again := readEvents(t, strings.NewReader(written.String())); !slices.Equal(again, events) {
			t.Fatalf("%q was read as %+v, written as %q and read as %+v", stream, events, written.String(), again)
		}
	})
}
