package box

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catenary/internal/answer"
	"catenary/internal/seal"
)

var (
	rowKey = answer.Key{4, 2}
	mine   = Key{seal.RegistrationKey{1}, seal.Epoch{1}}
	theirs = Key{seal.RegistrationKey{2}, seal.Epoch{2}}
	about  = About{Question: 7, Plan: [32]byte{3}, Client: [16]byte{5}, LAN: 11, Slot: 13}
)

func drawAnswer(t *rapid.T) (answer.Rows, answer.Counts) {
	var rows []answer.Row
	for range rapid.IntRange(0, 6).Draw(t, "rows") {
		var cells []answer.Cell
		for range rapid.IntRange(0, 3).Draw(t, "cells") {
			cells = append(cells, rapid.SliceOfN(rapid.StringN(0, -1, 200), 0, 3).Draw(t, "texts"))
		}
		row := rowKey.Row(cells)
		row.Count = rapid.Uint64Range(1, countMax/8).Draw(t, "count")
		rows = append(rows, row)
	}
	lim := answer.BoxLimits
	lim.Rows = rapid.IntRange(0, 6).Draw(t, "kept")
	one := rapid.Uint64Range(0, 1)
	c := answer.Counts{Passed: one.Draw(t, "passed"), Errors: one.Draw(t, "failed"), NoResults: one.Draw(t, "none")}
	c.Stopped = c.Errors * one.Draw(t, "stopped")
	if (c == answer.Counts{}) {
		c.Outside = one.Draw(t, "outside")
	}
	return answer.RowsOf(lim, rows...), c
}

// TestFlags: which bytes are the counts of a machine, and that they come back.
func TestFlags(t *testing.T) {
	for n := range 256 {
		c, err := countsOf(byte(n))
		// Nobody is stopped without failing, and who may not be asked says that alone.
		want := n < 1<<5 && (n&4 == 0 || n&2 != 0) && (n&16 == 0 || n == 16)
		if (err == nil) != want || err == nil && flagsOf(c) != byte(n) {
			t.Errorf("%08b is %+v, %v", n, c, err)
		}
	}
}

// equal compares rows; no cells and no texts are the same.
func equal(a, b answer.Rows) bool {
	return a.Cut == b.Cut && fmt.Sprint(a.List) == fmt.Sprint(b.List)
}

// TestBoxes: what goes into a box comes out of it, for its machine, question,
// plan, LAN and slot, and for nothing else.
func TestBoxes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, counts := drawAnswer(t)
		sealed, attested, digests := mine.Seal(about, rows, counts), mine.Attest(about, rows, counts), DigestsOf(rows)
		got, c, err := Open(mine.Key, about, sealed, rowKey)
		if err != nil || c != counts || !equal(got, rows) {
			t.Fatalf("sealed:\n%v %+v\nopened:\n%v %+v, %v", rows, counts, got, c, err)
		}
		if c, err := digests.Verify(mine.Key, about, attested, rows.Cut); err != nil || c != counts {
			t.Fatalf("attested %+v, verified %+v, %v", counts, c, err)
		}
		for _, x := range []answer.Box{sealed, attested} {
			if e, ok := EpochOf(x); !ok || e != mine.Epoch {
				t.Fatalf("the epoch is %x", e)
			}
		}
		for name, other := range map[string]About{
			"question": {8, about.Plan, about.Client, 11, 13}, "plan": {7, [32]byte{4}, about.Client, 11, 13},
			"client": {7, about.Plan, [16]byte{6}, 11, 13}, "LAN": {7, about.Plan, about.Client, 12, 13}, "slot": {7, about.Plan, about.Client, 11, 14},
		} {
			if _, _, err := Open(mine.Key, other, sealed, rowKey); err == nil {
				t.Fatalf("a sealed box opens for another %s", name)
			}
			if _, err := digests.Verify(mine.Key, other, attested, rows.Cut); err == nil {
				t.Fatalf("an attested box holds for another %s", name)
			}
		}
		if _, _, err := Open(theirs.Key, about, sealed, rowKey); err == nil {
			t.Fatal("another key opens a sealed box")
		}
		if _, err := digests.Verify(theirs.Key, about, attested, rows.Cut); err == nil {
			t.Fatal("an attested box holds with another key")
		}
		if _, err := digests.Verify(mine.Key, about, attested, rows.Cut+1); err == nil {
			t.Fatal("an attested box holds with another cut")
		}
	})
}

// TestTampered: a box with any bit changed, or cut short anywhere, says nothing.
// (The epoch says which key to try: the server would try another.)
func TestTampered(t *testing.T) {
	rows := answer.RowsOf(answer.BoxLimits, rowKey.Row([]answer.Cell{{"a", "b"}}), rowKey.Row([]answer.Cell{{"c"}}))
	counts := answer.Counts{Passed: 1}
	digests := DigestsOf(rows)
	sealed, attested := mine.Seal(about, rows, counts), mine.Attest(about, rows, counts)
	opens := func(b []byte) bool {
		_, _, err := Open(mine.Key, about, answer.Box{Bytes: b}, rowKey)
		return err == nil
	}
	holds := func(x answer.Box) bool {
		_, err := digests.Verify(mine.Key, about, x, rows.Cut)
		return err == nil
	}
	for bit := 8 * epochSize; bit < 8*len(sealed.Bytes); bit++ {
		b := bytes.Clone(sealed.Bytes)
		b[bit/8] ^= 1 << (bit % 8)
		if opens(b) || bit%8 == 0 && opens(sealed.Bytes[:bit/8]) {
			t.Fatalf("sealed: opens with bit %d changed, or cut there", bit)
		}
	}
	for bit := 8 * epochSize; bit < 8*len(attested.Bytes); bit++ {
		b := bytes.Clone(attested.Bytes)
		b[bit/8] ^= 1 << (bit % 8)
		if holds(answer.Box{Rows: attested.Rows, Bytes: b}) || bit%8 == 0 && holds(answer.Box{Rows: attested.Rows, Bytes: attested.Bytes[:bit/8]}) {
			t.Fatalf("attested: holds with bit %d changed, or cut there", bit)
		}
	}
	for name, refs := range map[string][]answer.Ref{
		"none":         nil,
		"one left out": attested.Rows[:1],
		"one twice":    append(append([]answer.Ref{}, attested.Rows...), attested.Rows[1]),
		"more often":   {attested.Rows[0], {Hash: attested.Rows[1].Hash, Count: 2}},
		"not there":    {attested.Rows[0], {Hash: 1, Count: 1}},
		"other order":  {attested.Rows[1], attested.Rows[0]},
	} {
		if holds(answer.Box{Rows: refs, Bytes: attested.Bytes}) {
			t.Errorf("attested: holds with rows %s", name)
		}
	}
	// The hash of a row is short; its text counts.
	rows.List[0].Cells = []answer.Cell{{"another text under the same hash"}}
	if _, err := DigestsOf(rows).Verify(mine.Key, about, attested, rows.Cut); err == nil {
		t.Error("attested: holds with another text under the hash")
	}
}

// TestSealedSize: a sealed box of a short value, of an error and of no rows at
// all have one size; long ones are told apart in steps, for an eighth at most.
func TestSealedSize(t *testing.T) {
	size := func(rows ...answer.Row) int {
		return len(mine.Seal(about, answer.RowsOf(answer.BoxLimits, rows...), answer.Counts{}).Bytes)
	}
	text := func(n int) answer.Row { return rowKey.Row([]answer.Cell{{strings.Repeat("x", n)}}) }
	least := size()
	if least != epochSize+seal.BoxOverhead+leastPlain {
		t.Errorf("an empty box has %d bytes", least)
	}
	if a, b := size(text(4)), size(text(50)); a != least || b != least {
		t.Errorf("boxes of short values have %d and %d bytes, one of none %d", a, b, least)
	}
	sizes := map[int]bool{}
	for n := range 3000 {
		got := size(text(n))
		sizes[got] = true
		if plain := n + 13; got < plain || plain > leastPlain && got > plain+plain/8+epochSize+seal.BoxOverhead+16 {
			t.Errorf("a text of %d bytes is sealed in %d", n, got)
		}
	}
	if len(sizes) > 50 {
		t.Errorf("texts of up to 3000 bytes have %d sizes", len(sizes))
	}
}

// TestSameSaying: the box is a function of what is said, so that a client that
// says the same again tells peers nothing, and no nonce serves two texts.
func TestSameSaying(t *testing.T) {
	yes, no := answer.RowsOf(answer.BoxLimits, rowKey.Row([]answer.Cell{{"yes"}})), answer.RowsOf(answer.BoxLimits, rowKey.Row([]answer.Cell{{"no"}}))
	a, b := mine.Seal(about, yes, answer.Counts{}), mine.Seal(about, no, answer.Counts{})
	if !reflect.DeepEqual(a, mine.Seal(about, yes, answer.Counts{})) {
		t.Error("the same saying is sealed twice in different boxes")
	}
	nonce := func(x answer.Box) string { return string(x.Bytes[epochSize : epochSize+12]) }
	other := about
	other.Slot++
	if nonce(a) == nonce(b) || nonce(a) == nonce(mine.Seal(other, yes, answer.Counts{})) {
		t.Error("one nonce serves two boxes")
	}
}

// FuzzDecodeSaid: what is read from a box is written to the same bytes.
func FuzzDecodeSaid(f *testing.F) {
	pad := func(b []byte) []byte { return append(b, make([]byte, padded(len(b))-len(b))...) }
	rows := answer.RowsOf(answer.BoxLimits, rowKey.Row([]answer.Cell{{"a", ""}, {}}), rowKey.Row(nil), rowKey.Row([]answer.Cell{{strings.Repeat("x", 200)}}))
	f.Add(pad(appendSaid(nil, rows, answer.Counts{Passed: 1})))
	f.Add(pad(appendSaid(nil, answer.Rows{Cut: 9}, answer.Counts{Errors: 1, Stopped: 1})))
	f.Add(make([]byte, leastPlain))
	f.Add(pad(binary.AppendUvarint(make([]byte, 9), 1<<63)))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, counts, err := decodeSaid(b, rowKey)
		if err != nil {
			return
		}
		if again := pad(appendSaid(nil, rows, counts)); !bytes.Equal(again, b) {
			t.Fatalf("%x is read as %v %+v, written %x", b, rows, counts, again)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	rows := answer.RowsOf(answer.BoxLimits, rowKey.Row([]answer.Cell{{"Debian GNU/Linux 12 (bookworm)"}}))
	secret := seal.KeySecret{1}
	e := seal.Epoch{1}
	k := Key{seal.DeriveEpochKey(secret, about.Client, e), e}
	b.Run("sealed", func(b *testing.B) {
		x := k.Seal(about, rows, answer.Counts{Passed: 1})
		for b.Loop() {
			if _, _, err := Open(seal.DeriveEpochKey(secret, about.Client, e), about, x, rowKey); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("attested", func(b *testing.B) {
		x, d := k.Attest(about, rows, answer.Counts{Passed: 1}), DigestsOf(rows)
		for b.Loop() {
			if _, err := d.Verify(seal.DeriveEpochKey(secret, about.Client, e), about, x, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}
