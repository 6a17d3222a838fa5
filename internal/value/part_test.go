package value

import (
	"strings"
	"testing"
)

func TestPart(t *testing.T) {
	for _, c := range []struct {
		part       Part
		text, want string
	}{
		{Part{}, "größer", "größer"}, {Part{}, "", ""},
		{Part{Start: 2}, "größer", "ößer"}, {Part{Start: 2, Length: 2}, "größer", "öß"}, {Part{Length: 1}, "größer", "g"},
		{Part{Start: 6}, "größer", ""}, {Part{Start: 7, Length: 3}, "größer", ""}, {Part{Length: 9}, "größer", "größer"},
		{Part{Start: 1, Length: 1}, "a\xffb", "\xff"},
		{Part{Delimiter: "|"}, "a|b||d", "a"}, {Part{Delimiter: "|", Index: 1}, "a|b||d", "b"}, {Part{Delimiter: "|", Index: 2}, "a|b||d", ""},
		{Part{Delimiter: "|", Index: 3}, "a|b||d", "d"}, {Part{Delimiter: "|", Index: 4}, "a|b||d", ""}, {Part{Delimiter: "|"}, "abc", "abc"},
		{Part{Delimiter: ", ", Index: 1, Start: 1, Length: 2}, "one, three", "hr"},
	} {
		if got := c.part.Of(c.text); got != c.want {
			t.Errorf("%+v of %q is %q, want %q", c.part, c.text, got, c.want)
		}
		if err := c.part.Check(); err != nil {
			t.Errorf("%+v: %v", c.part, err)
		}
	}
	for want, part := range map[string]Part{
		"numbers from 0 to 65536": {Start: -1}, "numbers from 0": {Length: 1 << 17}, "from 0 to": {Delimiter: "|", Index: 1 << 20},
		"at most 16 bytes": {Delimiter: strings.Repeat("x", 17)}, "bytes of UTF-8": {Delimiter: "\xff"}, "cut at nothing": {Index: 1},
	} {
		if err := part.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", part, err, want)
		}
	}
}

// TestDigest holds the numbers that programs know sensors and rows by.
func TestDigest(t *testing.T) {
	for text, want := range map[string]uint32{
		"": 0x84222325, "Computer Name": 3409330187, "Operating System": 45421433, "Is Windows": 2721439124, "Online": 131549066,
	} {
		if got := Digest(text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}
