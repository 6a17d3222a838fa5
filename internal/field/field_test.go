package field

import (
	"bytes"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	b := AppendUint(nil, 1, 300)
	b = AppendBool(b, 2, true)
	b = AppendFixed(b, 3, 1<<63)
	b = AppendBytes(b, 4, []byte{0, 255})
	b = AppendText(b, 5, "tea")
	b = AppendPart(b, 6, nil)
	if zero := AppendText(AppendBytes(AppendFixed(AppendBool(AppendUint(nil, 1, 0), 2, false), 3, 0), 4, nil), 5, ""); len(zero) != 0 {
		t.Errorf("zero values are written: %x", zero)
	}
	var (
		n, fixed uint64
		yes      bool
		data     []byte
		text     string
		parts    int
		exact    [2]byte
	)
	err := Each(b, func(f Field) error {
		switch f.Num {
		case 1:
			return f.Uint(&n)
		case 2:
			return f.Bool(&yes)
		case 3:
			return f.Fixed(&fixed)
		case 4:
			if err := f.Exact(exact[:]); err != nil {
				return err
			}
			return f.Bytes(&data)
		case 5:
			return f.Text(&text)
		}
		parts++
		return nil
	})
	if err != nil || n != 300 || !yes || fixed != 1<<63 || !bytes.Equal(data, []byte{0, 255}) || exact != [2]byte{0, 255} || text != "tea" || parts != 1 {
		t.Errorf("%v: %d %v %d %x %x %q %d", err, n, yes, fixed, data, exact, text, parts)
	}
}

func TestErrors(t *testing.T) {
	var n uint64
	var two [2]byte
	for want, f := range map[string]func(Field) error{
		"field 4: has wire type 2, want 0": func(f Field) error { return f.Uint(&n) },
		"field 4: has wire type 2, want 1": func(f Field) error { return f.Fixed(&n) },
		"field 4: has 3 bytes, want 2":     func(f Field) error { return f.Exact(two[:]) },
		"field 4: has wire type 2, want 5": func(f Field) error { return f.Want(5) },
	} {
		if err := Each(AppendText(nil, 4, "abc"), f); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := Each([]byte{4<<3 | 2, 9, 'a'}, func(Field) error { return nil }); err == nil || !strings.HasPrefix(err.Error(), "field 4: ") {
		t.Errorf("a cut field: %v", err)
	}
	if err := Each([]byte{0x80}, func(Field) error { return nil }); err == nil {
		t.Error("a cut tag is accepted")
	}
}
