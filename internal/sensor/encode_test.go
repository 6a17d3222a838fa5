package sensor

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/answer"
	"catenary/internal/value"
)

func drawSensor() *rapid.Generator[Sensor] {
	text := rapid.StringMatching(`[a-z|é ]{0,6}`)
	name := rapid.StringMatching(`[A-Zé]{1,6}`)
	return rapid.Custom(func(t *rapid.T) Sensor {
		s := Sensor{
			Name: name.Draw(t, "name"), Description: text.Draw(t, "description"), Category: text.Draw(t, "category"),
			MaxAge:    time.Duration(rapid.Int64Range(0, int64(ageMax)).Draw(t, "age")),
			Delimiter: text.Draw(t, "delimiter"), KeepDuplicates: rapid.Bool().Draw(t, "keep"), IgnoreCase: rapid.Bool().Draw(t, "ignore"),
			Mode: answer.Mode(rapid.IntRange(0, 2).Draw(t, "mode")),
		}
		for _, key := range rapid.SliceOfNDistinct(name, 0, 3, rapid.ID).Draw(t, "parameters") {
			s.Parameters = append(s.Parameters, Parameter{key, text.Draw(t, "label"), text.Draw(t, "help"), text.Draw(t, "default")})
		}
		for _, column := range rapid.SliceOfNDistinct(name, 1, 4, foldName).Draw(t, "columns") {
			s.Columns = append(s.Columns, Column{column, value.Type(rapid.IntRange(0, 11).Draw(t, "type"))})
		}
		for range rapid.IntRange(0, 2).Draw(t, "scripts") {
			s.Platforms = append(s.Platforms, Platform(text.Draw(t, "platform")))
			s.Scripts = append(s.Scripts, Script{Platform(text.Draw(t, "platform")), Language(text.Draw(t, "language")), text.Draw(t, "source")})
		}
		return s
	})
}

func TestEncodingComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSensor().Draw(t, "sensor")
		got, err := Decode(s.Append([]byte("head"))[4:])
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("%+v\ncomes back as %+v, %v", s, got, err)
		}
	})
}

// TestEncodingIsFixed holds the bytes: signatures cover them.
func TestEncodingIsFixed(t *testing.T) {
	s := Sensor{
		Name: "N", Description: "D", Category: "C", Parameters: []Parameter{{"k", "l", "h", "d"}, {Key: "m"}},
		Columns: []Column{{"N", value.Version}, {"H", value.Hash}}, MaxAge: 3, Platforms: []Platform{Linux, ""},
		Scripts: []Script{{Linux, UnixShell, "echo"}}, Delimiter: "|", KeepDuplicates: true, IgnoreCase: true, Mode: answer.Sealed,
	}
	want := "\n\x01N\x12\x01D\x1a\x01C" + "\x22\x0c\n\x01k\x12\x01l\x1a\x01h\x22\x01d" + "\x22\x03\n\x01m" +
		"\x2a\x05\n\x01N\x10\x02" + "\x2a\x03\n\x01H" + "\x30\x03" + "\x3a\x05Linux" + "\x3a\x00" +
		"\x42\x18\n\x05Linux\x12\tUnixShell\x1a\x04echo" + "\x4a\x01|" + "\x50\x01" + "\x58\x01" + "\x60\x02"
	if got := string(s.Append(nil)); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := named("A").Append(nil)
	long := named("A")
	long.Description = strings.Repeat("x", BytesMax)
	for name, b := range map[string][]byte{
		"nothing":          nil,
		"cut short":        good[:len(good)-1],
		"an unknown field": append(bytes.Clone(good), 0x68, 1),
		"a mode of 3":      append(bytes.Clone(good), 0x60, 3),
		"a mode of 258":    append(bytes.Clone(good), 0x60, 0x82, 0x02),
		"two names":        append([]byte{0x0a, 1, 'B'}, good...),
		"a fixed64":        append(bytes.Clone(good), 0x61, 0, 0, 0, 0, 0, 0, 0, 0),
		"a flag of 2":      append(bytes.Clone(good), 0x58, 2),
		"an explicit zero": append(bytes.Clone(good), 0x58, 0),
		"a name as number": {0x08, 1},
		"too long":         long.Append(nil),
		"no columns":       Sensor{Name: "A"}.Append(nil),
		"a negative age":   Sensor{Name: "A", Columns: []Column{{"A", value.String}}, MaxAge: -1}.Append(nil),
		"no such type":     Sensor{Name: "A", Columns: []Column{{"A", 12}}}.Append(nil),
		"a type of 268":    append([]byte{0x0a, 1, 'A', 0x2a, 6}, 0x0a, 1, 'A', 0x10, 0x8c, 0x02),
	} {
		if s, err := Decode(b); err == nil {
			t.Errorf("%s: %x is read as %+v", name, b, s)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(named("Computer Name").Append(nil))
	f.Add(Sensor{
		Name: "Folder Contents", Description: "d", Parameters: []Parameter{{"path", "Path", "help", "/"}},
		Columns: []Column{{"Name", value.String}, {"Size", value.DataSize}}, MaxAge: time.Minute,
		Platforms: []Platform{Linux, Windows}, Scripts: []Script{{Linux, UnixShell, "ls"}, {Windows, Powershell, "dir"}},
		Delimiter: "|", KeepDuplicates: true, IgnoreCase: true, Mode: answer.Attested,
	}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			return
		}
		if again := s.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x is read as %+v, written %x", b, s, again)
		}
		if _, err := NewCatalogue([]Sensor{s}); err != nil {
			t.Fatalf("%x is read, but refused: %v", b, err)
		}
	})
}
