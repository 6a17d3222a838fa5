package api

import (
	"context"
	"strconv"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/setting"
	"catenary/internal/server/shelf"
)

func (s *server) settingFaces() []*face {
	return []*face{
		{
			path: "system_settings", kind: setting.Kind, verbs: canAll | canRemoveByName | listHasInfo | goneSaysID, read: rights.ReadSettings, write: rights.WriteSettings,
			prepare: func(_ context.Context, _ call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
				if was == nil {
					was = ch.ByName(setting.Kind, o.Text("name"))
				}
				if was == nil {
					return setting.Settle(nil, o)
				}
				if err := setting.Settle(was.Object, o); err != nil {
					return err
				}
				return forgetPassword(ch, was, was.Object.With(o))
			},
			done:   s.proxyChanged,
			derive: func(_ *shelf.Record, o *object.Object) { setting.Show(o) },
			kept:   keeping{create: createSetting, remove: resetSetting},
		},
		{
			path: "local_settings", kind: "local_setting", verbs: canList | canCreate | canShow | canName | canRemoveByName, read: rights.ReadSettings, write: rights.WriteSettings,
			prepare: prepareLocal, kept: keeping{create: createLocal},
			says: "Local settings are kept for programs; Catenary itself acts on none of them. Those of type protected never show their value again.",
		},
	}
}

// createSetting makes a setting. One of Catenary's own is there already, and only
// gets the value.
func createSetting(_ context.Context, _ call, ch *shelf.Change, o *object.Object) (*shelf.Record, error) {
	if known, ok := setting.Find(o.Text("name")); ok {
		if was := ch.ByName(setting.Kind, known.Name); was != nil {
			return ch.Update(was, was.Object.With(o))
		}
	}
	return ch.Create(setting.Kind, 0, o)
}

// resetSetting takes an operator's setting away. One of Catenary's own stays,
// with its default.
func resetSetting(_ context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	if _, known := setting.Find(r.Name); !known {
		return ch.Delete(r)
	}
	o := r.Object.Clone()
	o.Set("value", nil)
	o.Set("protected_value", nil)
	if err := forgetPassword(ch, r, o); err != nil {
		return err
	}
	_, err := ch.Update(r, o)
	return err
}

// setting is what holds of a setting; "" if nobody knows it.
func (s *server) setting(name string) string {
	if r := s.shelves.ByName(setting.Kind, name); r != nil {
		return setting.Value(r.Object)
	}
	known, _ := setting.Find(name)
	return known.Default
}

// settingNumber is what holds of a setting that is a number.
func (s *server) settingNumber(name string) int64 {
	n, err := strconv.ParseInt(s.setting(name), 10, 64)
	if err != nil {
		return 0 // the table has a default for each number
	}
	return n
}

const protected = "protected"

// prepareLocal puts a protected value where nobody sees it again.
func prepareLocal(_ context.Context, _ call, _ *shelf.Change, _ *shelf.Record, o *object.Object) error {
	name := o.Text("name")
	if strings.TrimSpace(name) == "" || len(name) > nameMax {
		return fault.New(fault.Invalid, "LocalSettingNameInvalid: a name has 1 to %d bytes", nameMax)
	}
	if o.Text("type") == "number" {
		if _, err := strconv.ParseFloat(o.Text("value"), 64); err != nil {
			return fault.New(fault.Invalid, "LocalSettingTypeInvalid: the value %q is no number", shorten(o.Text("value")))
		}
	}
	if o.Text("type") == protected {
		o.Set("protected_value", o.Text("value"))
		o.Set("value", nil)
	}
	return nil
}

// createLocal sets a local setting, whether it was there or not.
func createLocal(_ context.Context, _ call, ch *shelf.Change, o *object.Object) (*shelf.Record, error) {
	if was := ch.ByName("local_setting", o.Text("name")); was != nil {
		return ch.Update(was, o)
	}
	return ch.Create("local_setting", 0, o)
}
