package server

import (
	"context"
	"fmt"
	"testing"
	"time"

	"catenary/internal/sensor"
	"catenary/internal/server/store"
	"catenary/internal/value"
)

func script(name, source string) sensor.Sensor {
	return sensor.Sensor{
		Name: name, Columns: []sensor.Column{{Name: name, Type: value.String}}, MaxAge: time.Minute,
		Scripts: []sensor.Script{{Platform: sensor.Linux, Language: sensor.UnixShell, Source: source}},
	}
}

// rewrite changes a sensor in the database behind the server's back.
func (s *site) rewrite(t *testing.T, rec store.Sensor, d sensor.Sensor) {
	t.Helper()
	rec.Name = d.Name
	rec.Definition, rec.Signed = s.SignSensor(d)
	if err := s.store.Change(t.Context(), func(c *store.Change) error { return c.UpdateSensor(t.Context(), rec) }); err != nil {
		t.Fatal(err)
	}
}

// TestReloadReadsOne: a change of one sensor reads that one and no other, of
// which the database may say what it likes.
func TestReloadReadsOne(t *testing.T) {
	s := startSite(t, t.TempDir())
	first, err := s.CreateSensor(t.Context(), script("First", "echo 1"), "ann")
	if err != nil {
		t.Fatal(err)
	}
	before := s.Catalogue()
	if err := s.store.Change(t.Context(), func(c *store.Change) error {
		broken := first
		broken.Definition = []byte{0xff}
		return c.UpdateSensor(t.Context(), broken)
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateSensor(t.Context(), script("Second", "echo 2"), "ann"); err != nil {
		t.Fatalf("with another that cannot be read: %v", err)
	}
	for name, want := range map[string]string{"First": "echo 1", "Second": "echo 2"} {
		d, ok := s.Catalogue().ByName(name)
		if !ok || d.Scripts[0].Source != want || len(d.Signed) == 0 {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if _, ok := before.ByName("Second"); ok {
		t.Error("the catalogue of before has the new sensor")
	}
	if err := s.ReloadSensors(t.Context()); err == nil {
		t.Error("all of them are read without noticing the broken one")
	}
}

// TestReloadSwapsNames: of sensors that change together only the outcome counts;
// one that is gone from the database is gone from the catalogue.
func TestReloadSwapsNames(t *testing.T) {
	s := startSite(t, t.TempDir())
	one, err := s.CreateSensor(t.Context(), script("One", "echo 1"), "ann")
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.CreateSensor(t.Context(), script("Two", "echo 2"), "ann")
	if err != nil {
		t.Fatal(err)
	}
	s.rewrite(t, one, script("Other", "echo 1"))
	s.rewrite(t, two, script("One", "echo 2"))
	s.rewrite(t, one, script("Two", "echo 1"))
	if err := s.ReloadSensors(t.Context(), one.ID, two.ID); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"One": "echo 2", "Two": "echo 1"} {
		if d, _ := s.Catalogue().ByName(name); len(d.Scripts) != 1 || d.Scripts[0].Source != want {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if err := s.store.Change(t.Context(), func(c *store.Change) error { return c.RemoveSensor(t.Context(), one.ID) }); err != nil {
		t.Fatal(err)
	}
	if err := s.ReloadSensors(t.Context(), one.ID); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Catalogue().ByName("Two"); ok {
		t.Error("a sensor that was deleted can be asked for")
	}
}

// BenchmarkSensorChange is what it takes until a changed sensor can be asked
// for, beside what reading all of them takes.
func BenchmarkSensorChange(b *testing.B) {
	for _, n := range []int{0, 10_000} {
		s := startSite(b, b.TempDir())
		var rec store.Sensor
		if err := s.store.Change(b.Context(), func(c *store.Change) (err error) {
			for i := range n + 1 {
				d := script(fmt.Sprint("Bench sensor ", i), "echo")
				rec = store.Sensor{Name: d.Name}
				rec.Definition, rec.Signed = s.SignSensor(d)
				if rec, err = c.CreateSensor(b.Context(), rec); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		for name, ids := range map[string][]int64{"one": {rec.ID}, "all": nil} {
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
				for b.Loop() {
					if err := s.ReloadSensors(context.Background(), ids...); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
