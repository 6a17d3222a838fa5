package store

import (
	"errors"
	"testing"

	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/server/store/storetest"
)

func TestSensorChange(t *testing.T) { storetest.Each(t, testSensorChange) }

func testSensorChange(t *testing.T, e storetest.Engine) {
	s := openAt(t, prepared(t, e))
	ctx := t.Context()
	must(t, s.SyncBuiltin(ctx, []sensor.Sensor{{Name: "Alpha"}, {Name: "Lost"}}, noon))
	must(t, s.SyncBuiltin(ctx, []sensor.Sensor{{Name: "Alpha"}}, noon))
	var who Sensor
	must(t, s.Change(ctx, func(c *Change) (err error) {
		if who, err = c.CreateSensor(ctx, Sensor{Name: "Who", Definition: []byte("w"), Signed: []byte("s"), Created: noon, Modified: noon, ModifiedBy: "ann"}); err != nil {
			return err
		}
		for _, taken := range []string{"ALPHA", "who"} {
			_, err := c.CreateSensor(ctx, Sensor{Name: taken, Definition: []byte("x")})
			wantKind(t, err, fault.Conflict, "SensorNameNotUnique: there is a sensor ")
		}
		_, err = c.CreateSensor(ctx, Sensor{Name: "lost", Definition: []byte("l"), Created: noon, Modified: noon}) // nobody has that name any more
		return err
	}))
	refused := errors.New("no")
	if err := s.Change(ctx, func(c *Change) error {
		must(t, c.UpdateSensor(ctx, Sensor{ID: who.ID, Name: "Whoever", Definition: []byte("never")}))
		return refused
	}); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	must(t, s.Change(ctx, func(c *Change) error {
		wantKind(t, c.UpdateSensor(ctx, Sensor{ID: who.ID, Name: "Alpha", Definition: []byte("x")}), fault.Conflict, `SensorNameNotUnique: there is a sensor "Alpha" already`)
		wantKind(t, c.UpdateSensor(ctx, Sensor{ID: 999, Name: "Nobody", Definition: []byte("x")}), fault.NotFound, `sensor "Nobody"`)
		wantKind(t, c.RemoveSensor(ctx, 999), fault.NotFound, "sensor 999")
		return c.UpdateSensor(ctx, Sensor{ID: who.ID, Name: "Who Else", Definition: []byte("w2"), Signed: []byte("s2"), Modified: noon, ModifiedBy: "bob"})
	}))
	all, err := s.Sensors(ctx)
	must(t, err)
	same(t, len(all), 3)
	same(t, []any{all[2].ID, all[2].Name, string(all[2].Definition), string(all[2].Signed), all[2].ModifiedBy}, []any{who.ID, "Who Else", "w2", "s2", "bob"})
	var again Sensor
	must(t, s.Change(ctx, func(c *Change) (err error) {
		if err := c.RemoveSensor(ctx, who.ID); err != nil {
			return err
		}
		again, err = c.CreateSensor(ctx, Sensor{Name: "Who Else", Definition: []byte("w"), Created: noon, Modified: noon})
		return err
	}))
	if again.ID <= who.ID {
		t.Errorf("the number %d was given again", again.ID)
	}
}
