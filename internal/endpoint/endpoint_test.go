package endpoint

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseID(t *testing.T) {
	const good = "000102030405060708090a0b0c0d0e0f"
	id, err := ParseID(good)
	if err != nil || id != (ID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}) || id.String() != good {
		t.Fatalf("%v, %v", id, err)
	}
	for _, bad := range []string{
		"", good[1:], good + "0", good + good, strings.ToUpper(good), " " + good[1:], good[:31] + "g", "0x" + good[2:],
		"{" + good[2:] + "}", "00010203-0405-0607-0809-0a0b0c0d0e0f",
	} {
		if id, err := ParseID(bad); err == nil || id != (ID{}) || !strings.Contains(err.Error(), "is not a client id") {
			t.Errorf("%q is read as %v (%v)", bad, id, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("000102030405060708090a0b0c0d0e0f")
	f.Add("FF")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseID(s); err == nil && id.String() != s {
			t.Fatalf("%q is read as %v", s, id)
		}
	})
}

func TestIDInJSON(t *testing.T) {
	in := map[string]ID{"id": {0xab, 0xcd}}
	b, err := json.Marshal(in)
	if err != nil || string(b) != `{"id":"abcd0000000000000000000000000000"}` {
		t.Fatalf("%s, %v", b, err)
	}
	var out map[string]ID
	if err := json.Unmarshal(b, &out); err != nil || out["id"] != in["id"] {
		t.Errorf("%v, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"id":"abcd"}`), &out); err == nil {
		t.Errorf("a short id is read as %v", out["id"])
	}
	if !(ID{}).Zero() || in["id"].Zero() {
		t.Error("Zero is wrong")
	}
}

func place(addr string, id byte) Place { return Place{netip.MustParseAddrPort(addr), ID{id}} }

// TestOrder is the order of a chain, written down (docs/protocol.md §3.1).
func TestOrder(t *testing.T) {
	want := []Place{
		place("[::1]:1", 9),
		place("9.255.255.255:65535", 9), // IPv4 stands at ::ffff:0:0/96
		place("10.0.0.2:17472", 1),
		place("10.0.0.2:17472", 2),   // several clients on one machine: by ID
		place("10.0.0.2:17473", 1),   // … after the port
		place("10.0.0.10:17472", 1),  // by number, not as text
		place("10.0.0.200:17472", 1), // bytes have no sign
		place("[2001:db8::1]:1", 1),
		place("[fe80::1]:1", 1),
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Place.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("the order is\n%v\nwant\n%v", got, want)
	}
	mapped := Place{netip.MustParseAddrPort("[::ffff:10.0.0.2]:17472"), ID{1}}
	if mapped.Compare(want[2]) != 0 {
		t.Error("an address that is written in another way stands elsewhere")
	}
}

// TestOrderIsTotal: of any three places, each two are ordered, consistently
// both ways round and along the line.
func TestOrderIsTotal(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) Place {
		a := netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(0, 2).Draw(t, "a"))})
		if rapid.Bool().Draw(t, "six") {
			a = netip.AddrFrom16([16]byte{15: byte(rapid.IntRange(0, 2).Draw(t, "b"))})
		}
		return Place{netip.AddrPortFrom(a, uint16(rapid.IntRange(0, 65535).Draw(t, "port"))), ID{byte(rapid.IntRange(0, 2).Draw(t, "id"))}}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := draw.Draw(t, "a"), draw.Draw(t, "b"), draw.Draw(t, "c")
		if sign(a.Compare(b)) != -sign(b.Compare(a)) {
			t.Fatalf("%v and %v", a, b)
		}
		if (a.Compare(b) == 0) != (a == b) {
			t.Fatalf("%v and %v are one place: %v", a, b, a.Compare(b) == 0)
		}
		if a.Compare(b) < 0 && b.Compare(c) < 0 && a.Compare(c) >= 0 {
			t.Fatalf("%v < %v < %v, but not the first before the last", a, b, c)
		}
	})
}

func sign(n int) int { return max(-1, min(1, n)) }

func TestPlaceString(t *testing.T) {
	p := place("10.0.0.2:17472", 0xab)
	if got := p.String(); got != "10.0.0.2:17472/ab000000" {
		t.Errorf("%s", got)
	}
}
