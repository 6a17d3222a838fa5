package depot

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"catenary/internal/fault"
)

var errBroken = errors.New("broken off")

// cut is a reader that breaks off behind a text.
func cut(text string) io.Reader { return io.MultiReader(strings.NewReader(text), broken{}) }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

func always(Hash, int64) error { return nil }

// TestBeginning: a file comes in pieces, between which the depot may be opened
// again, and is there when it is whole.
func TestBeginning(t *testing.T) {
	dir := t.TempDir()
	key := KeyOf("the file")
	piece := strings.Repeat("x", beginningMin)
	var from Beginning
	for i := range 3 {
		d := open(t, dir)
		if got := d.Beginning(key); got != from {
			t.Fatalf("before piece %d there is %v, want %v", i, got, from)
		}
		from.Note = "version 1"
		if _, _, err := d.PutBehind(key, from, cut(piece), always); !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		from.Size += beginningMin
		if got := d.Beginning(key); got != from {
			t.Fatalf("behind piece %d there is %v, want %v", i, got, from)
		}
		if i == 1 {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	d := open(t, dir)
	text := strings.Repeat(piece, 3) + "end"
	h, size, err := d.PutBehind(key, from, strings.NewReader("end"), always)
	if err != nil || h != hashOf(text) || size != int64(len(text)) {
		t.Fatalf("%s, %d, %v", h, size, err)
	}
	if content(t, d, h) != text {
		t.Error("it is another file")
	}
	if got := d.Beginning(key); got != (Beginning{}) {
		t.Errorf("of the whole file there is a beginning, %v", got)
	}
	if files := left(t, dir); len(files) != 1 {
		t.Errorf("in the folder lie %v", files)
	}
}

// TestBeginningIsNotKept: what is of no use leaves nothing behind.
func TestBeginningIsNotKept(t *testing.T) {
	long := strings.Repeat("x", beginningMin)
	refused := errors.New("refused")
	for name, put := range map[string]func(d *Depot) error{
		"short": func(d *Depot) error {
			_, _, err := d.PutBehind(KeyOf("f"), Beginning{0, "n"}, cut("x"), always)
			return err
		},
		"without note": func(d *Depot) error { _, _, err := d.PutBehind(KeyOf("f"), Beginning{}, cut(long), always); return err },
		"refused": func(d *Depot) error {
			_, _, err := d.PutBehind(KeyOf("f"), Beginning{0, "n"}, strings.NewReader(long), func(Hash, int64) error { return refused })
			return err
		},
		"forgotten": func(d *Depot) error {
			_, _, err := d.PutBehind(KeyOf("f"), Beginning{0, "n"}, cut(long), always)
			return errors.Join(err, d.Forget(KeyOf("f")))
		},
		"old": func(d *Depot) error {
			_, _, err := d.PutBehind(KeyOf("f"), Beginning{0, "n"}, cut(long), always)
			now := time.Now()
			if _, err := d.Sweep(now.Add(beginningLife-time.Minute), now, nil); err != nil || d.Beginning(KeyOf("f")).Size == 0 {
				t.Error("it is swept away too early", err)
			}
			_, e := d.Sweep(now.Add(beginningLife+time.Minute), now, nil)
			return errors.Join(err, e)
		},
	} {
		dir := t.TempDir()
		d := open(t, dir)
		if err := put(d); err == nil {
			t.Errorf("%s: it is there", name)
		}
		if files := left(t, dir); len(files) != 0 || d.Beginning(KeyOf("f")) != (Beginning{}) {
			t.Errorf("%s: in the folder lie %v", name, files)
		}
	}
}

// TestBeginningsAreBounded: the longest untouched makes room.
func TestBeginningsAreBounded(t *testing.T) {
	d := open(t, t.TempDir())
	long := strings.Repeat("x", beginningMin)
	for i := range beginningsMax + 1 {
		if _, _, err := d.PutBehind(KeyOf(string(rune('a'+i))), Beginning{0, "n"}, cut(long), always); !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
	}
	if d.Beginning(KeyOf("a")).Size != 0 || d.Beginning(KeyOf("b")).Size == 0 || len(d.beginnings) != beginningsMax {
		t.Errorf("%d are kept, or another went", len(d.beginnings))
	}
}

// TestBeginningOfOne: two do not write the same beginning, nor behind one that is
// another by now.
func TestBeginningOfOne(t *testing.T) {
	d := open(t, t.TempDir())
	key := KeyOf("f")
	in, out := io.Pipe()
	done := make(chan error)
	go func() {
		_, _, err := d.PutBehind(key, Beginning{0, "n"}, in, always)
		done <- err
	}()
	if _, err := out.Write(bytes.Repeat([]byte("x"), beginningMin)); err != nil { // it has begun
		t.Fatal(err)
	}
	if got := d.Beginning(key); got != (Beginning{}) {
		t.Errorf("of what is coming %v is there", got)
	}
	if _, _, err := d.PutBehind(key, Beginning{0, "n"}, strings.NewReader("y"), always); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a second one: %v", err)
	}
	if err := d.Forget(key); err != nil {
		t.Fatal(err)
	}
	if err := out.CloseWithError(errBroken); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	for _, other := range []Beginning{{beginningMin, "m"}, {beginningMin + 1, "n"}} {
		if _, _, err := d.PutBehind(key, other, strings.NewReader("y"), always); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("behind %v: %v", other, err)
		}
	}
	if h, _, err := d.PutBehind(key, Beginning{0, ""}, strings.NewReader("y"), always); err != nil || h != hashOf("y") {
		t.Errorf("afresh: %s, %v", h, err)
	}
}
