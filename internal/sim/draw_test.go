package sim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// TestDraw: a story of each family can be drawn; the picture is well formed, says
// what it shows, and is always the same.
func TestDraw(t *testing.T) {
	for _, f := range []Family{Storm, Trial, Byzantine} {
		t.Run(f.String(), func(t *testing.T) {
			picture := func() string {
				var y History
				var b bytes.Buffer
				if err := errors.Join(playFor(f, 7, &y), y.Draw(&b, 0, 0)); err != nil {
					t.Fatal(err)
				}
				return b.String()
			}
			text := picture()
			for _, want := range []string{f.String() + " 7, ", `class="live"`, `class="band"`, ">question ", ">server<"} {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in the picture", want)
				}
			}
			for d := xml.NewDecoder(strings.NewReader(text)); ; {
				_, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if picture() != text {
				t.Error("another picture of the same story")
			}
		})
	}
}

func playFor(f Family, seed uint64, y *History) (err error) {
	opt := Options{History: y}
	switch f {
	case Storm:
		_, err = Run(seed, opt)
	case Trial:
		_, err = RunTrial(seed, Control{}, opt)
	case Byzantine:
		_, err = RunByzantine(seed, opt)
	}
	return err
}

// TestDrawFailure: the picture of a story that broke a law ends there, and says
// which it was.
func TestDrawFailure(t *testing.T) {
	var y History
	w := newWorld(7, nil)
	w.watch(Storm, Options{History: &y})
	w.drawWeather()
	w.boot(bootTime)
	w.at(30*time.Second, func() { w.fail("two & two are <five>") })
	w.run(time.Minute)
	y.end(w)
	var b bytes.Buffer
	if err := y.Draw(&b, 0, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"seed 7, 20.000 s to 30.000 s of 30.000 s", "two &amp; two are &lt;five&gt;", `class="law"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in the picture", want)
		}
	}
	if err := new(History).Draw(&b, 0, 0); err == nil {
		t.Error("a story that was never told is drawn")
	}
	if err := y.Draw(&b, time.Hour, 0); err == nil {
		t.Error("what comes after the end is drawn")
	}
}
