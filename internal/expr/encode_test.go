package expr

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catenary/internal/value"
)

func TestEncodingComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCondition(5).Draw(t, "condition")
		if Check(c) != nil {
			t.Skip("refused")
		}
		b := Append([]byte("head"), c)
		got, err := Decode(b[4:])
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%v comes back as %v, %v", c, got, err)
		}
	})
}

// TestLargestComesBack: what Check accepts at its limits, Decode accepts.
func TestLargestComesBack(t *testing.T) {
	long := strings.Repeat("x", ValueMax)
	for _, c := range []Condition{
		nil, deep(DepthMax - 1), wide(NodesMax-1, text("name", Matches, "x").all()), wide(47, text("a", Equal, long)),
	} {
		if got, err := Decode(Append(nil, c)); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%.60v does not come back: %v", c, err)
		}
	}
}

// TestEncodingIsFixed holds the bytes, which are signed and cross versions.
func TestEncodingIsFixed(t *testing.T) {
	c := And{Not{Test{Name: "0", Op: Matches, Value: "x.*", Type: value.String, IgnoreCase: true}}, Test{Name: "1", Op: Less, All: true}}
	want := "\n\x21" + "\n\x12\x1a\x10\x22\x0e\n\x010\x10\x06\x1a\x03x.*\x20\x01\x28\x01" + "\n\x0b\x22\x09\x0a\x011\x10\x02\x1a\x00\x30\x01"
	if got := string(Append(nil, c)); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := Append(nil, And{text("a", Equal, "x"), Or{}})
	for name, b := range map[string][]byte{
		"cut short":        good[:len(good)-1],
		"more after it":    append(bytes.Clone(good), 0),
		"two conditions":   append(bytes.Clone(good), good...),
		"an unknown field": {0x2a, 0},
		"a fixed32":        {0x0d, 0, 0, 0, 0},
		"a long varint":    {0x0a, 0x80, 0},
		"a number for And": {0x08, 0},
		"an empty Not":     {0x1a, 0},
		"too long":         make([]byte, BytesMax+1),
		"too deep":         Append(nil, deep(DepthMax)),
		"bad pattern":      Append(nil, matches("(")),
		"a type of 300":    {0x22, 0x08, 0x0a, 0x01, 'a', 0x10, 0x01, 0x20, 0xac, 0x02},
		"ignore case of 2": {0x22, 0x09, 0x0a, 0x01, 'a', 0x10, 0x01, 0x1a, 0x00, 0x28, 0x02},
	} {
		if c, err := Decode(b); err == nil {
			t.Errorf("%s: %x is read as %v", name, b, c)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range []Condition{
		nil, And{}, deep(5), text("os", Equal, "x"), text("apps", Hashed, "5"), wide(3, version(Greater, "1.10").all()), Or{contains("x"), Not{And{matches("a|b")}}},
	} {
		f.Add(Append(nil, c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Decode(b)
		if err != nil {
			return
		}
		if again := Append(nil, c); !bytes.Equal(again, b) {
			t.Fatalf("%x is read as %v, written %x", b, c, again)
		}
		if err := Check(c); err != nil {
			t.Fatalf("%x is read, but refused: %v", b, err)
		}
		Eval(c, values) // must not panic
	})
}
