package plan

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"catenary/internal/question"
	"catenary/internal/sensor"
)

// drawPlan draws plans by compiling questions.
func drawPlan(t *rapid.T, c *sensor.Catalogue) Plan {
	ref := func() question.Ref {
		r := question.Ref{Sensor: rapid.SampledFrom(c.All()).Draw(t, "sensor").Name}
		if s, _ := c.ByName(r.Sensor); len(s.Parameters) > 0 {
			r.Params = rapid.SliceOfN(rapid.StringMatching(`[a-c ,]{0,3}`), 1, 2).Draw(t, "params")
			r.Column = rapid.SampledFrom([]string{"", "Name"}).Draw(t, "column")
		}
		return r
	}
	q := question.Question{ComputerID: rapid.Bool().Draw(t, "computer ID")}
	is := func() question.Predicate {
		return question.Predicate{
			Op: question.Op(rapid.IntRange(1, 5).Draw(t, "op")), Value: rapid.StringMatching(`[a-c1.|]{0,4}`).Draw(t, "value"),
			Not: rapid.Bool().Draw(t, "not"), MatchCase: rapid.Bool().Draw(t, "case"),
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "selects") {
		s := question.Select{Ref: ref()}
		if rapid.IntRange(0, 2).Draw(t, "filter") == 0 {
			f := is()
			s.Filter = &f
			s.Part.Start, s.Part.Length = rapid.IntRange(0, 2).Draw(t, "start"), rapid.IntRange(0, 2).Draw(t, "length")
		}
		for range rapid.IntRange(0, 2).Draw(t, "having") {
			s.Having = append(s.Having, question.Having{Ref: question.Ref{Sensor: s.Sensor}, Predicate: is()})
		}
		q.Selects = append(q.Selects, s)
	}
	opt := Options{Definition: definition}
	if rapid.IntRange(0, 2).Draw(t, "rights") == 0 {
		opt.Rights = question.Test{Ref: ref(), Op: question.HasHash, Value: "5"}
	}
	var tests question.Or
	for range rapid.IntRange(0, 4).Draw(t, "tests") {
		tests = append(tests, question.Not{Of: question.Test{
			Ref: ref(), Op: question.Op(rapid.IntRange(1, 5).Draw(t, "op")), Value: rapid.StringMatching(`[a-c1.|]{0,4}`).Draw(t, "value"),
			All: rapid.Bool().Draw(t, "all"), MatchCase: rapid.Bool().Draw(t, "case"),
		}})
	}
	if len(tests) > 0 {
		q.Where = tests
	}
	p, err := Compile(q, c, opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEncodingComesBack(t *testing.T) {
	c := catalogue(t)
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t, c)
		got, err := Decode(p.Append([]byte("head"))[4:])
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("%+v\ncomes back as %+v, %v", p, got, err)
		}
	})
}

// TestEncodingIsFixed holds the bytes: they are signed and cross versions.
func TestEncodingIsFixed(t *testing.T) {
	p := compile(t, "get ?forceComputerIdFlag=1 folder contents[/a]:size from all machines with log lines = x")
	p.Text, p.Sensors[1].Definition = "T", []byte("D")
	want := "\n\x01T" +
		"\x12\x15\x08\xf5\xc1\xde\x9f\x0d\x12\x0bComputer ID\x18\x09" +
		"\x12\x12\x08\xf9\xee\xbc\xba\x03\x12\x04Size\x18\x08\x20\x01\x28\x01" +
		"\x1a\x21\n\x0fFolder Contents\x12\x02/a\x12\x011\x18\x80\xb0\x9d\xc2\xdf\x01\x28\x02" +
		"\x1a\x19\n\tLog Lines\x18\x80\xb0\x9d\xc2\xdf\x01\x22\x01D\x28\x01\x30\x01" +
		"\x22\x0e\x22\x0c\n\x031:0\x10\x01\x1a\x01x\x20\x01" + "\x28\x01"
	if got := string(p.Append(nil)); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestNewerEncodingIsFixed: what a plan of version 1 has beside.
func TestNewerEncodingIsFixed(t *testing.T) {
	p := compile(t, "get uptime?delimiter=\",\"&delimiterIndex=1&substringStart=2&substringLength=3 has hash 7 | rights: uptime = x")
	p.Text = "T"
	want := "\n\x01T" + "\x12\x16\x08\xd9\xd9\xe8\xfb\x0c\x12\x06Uptime\x18\x07\x20\x01\x30\x01\x38\x01" +
		"\x1a\x11\n\x06Uptime\x18\x80\xb0\x9d\xc2\xdf\x01\x28\x01" + "\x30\x01" +
		"\x3a\x10\x22\x0e\n\x030:0\x10\x01\x1a\x01x\x20\x07\x28\x01" +
		"\x42\x12\x22\x10\n\x050:0/1\x10\x07\x1a\x017\x20\x01\x28\x01" +
		"\x4a\x09\n\x01,\x10\x01\x18\x02\x20\x03"
	if got := string(p.Append(nil)); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestVersion: a plan says the oldest version that can compute it, and a newer
// one than is known is refused in words, whatever else is in it.
func TestVersion(t *testing.T) {
	for text, want := range map[string]uint64{
		"get uptime?maxAge=5 and installed applications?type=Numeric:version from all machines with all computer name?ignoreCase=0 = x and web": 0,
		"get uptime = 5": 1, "get uptime having uptime = 5": 1, "get uptime?substringStart=1": 1, "get uptime | rights: all computers": 1,
		"get uptime from all machines with not (web or uptime has hash 1)": 1,
	} {
		if got := compile(t, text).version(); got != want {
			t.Errorf("%s has version %d, want %d", text, got, want)
		}
	}
	newer := append(compile(t, "get uptime").Append(nil), 0x7a, 1, 'x', 0x30, 2)
	if _, err := Decode(newer); err == nil || err.Error() != "its plan has version 2, and plans up to version 1 are known" {
		t.Errorf("got %v", err)
	}
	if _, err := Decode(append(compile(t, "get uptime").Append(nil), 0x30, 1)); !errors.Is(err, errNotCanonical) {
		t.Errorf("a plan that says a newer version than it needs: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	p := compile(t, "get computer name from all machines with uptime > 1 day")
	good := p.Append(nil)
	if _, err := Decode(good); err != nil {
		t.Fatal(err)
	}
	column := func(more ...byte) []byte {
		return append(bytes.Clone(good), append([]byte{0x12, byte(len(more))}, more...)...)
	}
	for name, b := range map[string][]byte{
		"cut short":               good[:len(good)-1],
		"an unknown field":        append(bytes.Clone(good), 0x50, 1),
		"two texts":               append([]byte{0x0a, 1, 'x'}, good...),
		"a fixed32":               append(bytes.Clone(good), 0x2d, 0, 0, 0, 0),
		"a computer ID column":    column(0x18, 0x09),
		"a hash of 33 bits":       column(0x08, 0x80, 0x80, 0x80, 0x80, 0x10),
		"a type of 300":           column(0x18, 0xac, 0x02, 0x20, 0x01),
		"a use of no sensor":      column(0x20, 0x7f),
		"columns after sensors":   column(0x20, 0x01),
		"a bad condition":         append(bytes.Clone(good), 0x22, 0x02, 0x1a, 0x00),
		"a keep without a test":   append(bytes.Clone(good), 0x30, 1, 0x42, 0),
		"keeps without end":       append(bytes.Clone(good), bytes.Repeat([]byte{0x42, 0}, conditionsMax+1)...),
		"parts without end":       append(bytes.Clone(good), bytes.Repeat([]byte{0x4a, 0}, conditionsMax+1)...),
		"a part at 2^40":          append(bytes.Clone(good), 0x30, 1, 0x4a, 7, 0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20),
		"bad rights":              append(bytes.Clone(good), 0x30, 1, 0x3a, 2, 0x1a, 0),
		"too long":                make([]byte, BytesMax+1),
		"columns without end":     bytes.Repeat([]byte{0x12, 0}, columnsMax+1),
		"sensors without end":     bytes.Repeat([]byte{0x1a, 0}, SensorsMax+1),
		"a sensor without a name": {0x1a, 2, 0x28, 1},
		"a width of 2^40":         {0x1a, 10, 0x0a, 1, 'A', 0x28, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20},
	} {
		if p, err := Decode(b); err == nil {
			t.Errorf("%s: %x is read as %+v", name, b, p)
		}
	}
	if p, err := Decode(nil); err != nil || !reflect.DeepEqual(p, Plan{}) {
		t.Errorf("nothing, which counts all machines, is read as %+v, %v", p, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		"get number of machines", "get ?forceComputerIdFlag=1 installed applications and folder contents[/etc]:size",
		"get installed applications:name?substringStart=1 > a having installed applications:version != 1 and log lines contains x | rights: web or uptime has hash 7",
		"get patch level and log lines from all machines with (uptime > 1 day or not computer name contains x) and any folder contents[/,2] != y",
	} {
		f.Add(compile(f, text).Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		if err != nil {
			return
		}
		if again := p.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x is read as %+v, written %x", b, p, again)
		}
		for i, v := range []Values{{}, {Err: errTimeout}, {Rows: [][]string{{}, {"a", "b", "c"}, {"1.5 GB"}}}} {
			rows, counts := p.Answer(key, 1, func(int) Values { return v })
			if (len(rows) > 0) != (counts.Passed == 1) {
				t.Fatalf("%d: %d rows, %+v", i, len(rows), counts)
			}
			for _, r := range rows {
				if len(r.Cells) != len(p.Columns) {
					t.Fatalf("%d: row %+v in %d columns", i, r, len(p.Columns))
				}
			}
		}
		for _, use := range p.WhereUses() {
			if use < 0 || use >= len(p.Sensors) {
				t.Fatalf("the condition needs sensor %d of %d", use, len(p.Sensors))
			}
		}
	})
}
