package filter

// NameSensors gives the sensors that are meant by nothing but their number their
// names: a catalogue has no numbers. name returns "" if no sensor has a number.
func NameSensors(name func(id int64) string, selects []Select, groups ...*Group) {
	for i := range selects {
		selects[i].Sensor.nameBy(name)
		if f := selects[i].Filter; f != nil {
			f.Sensor.nameBy(name)
		}
		nameFilters(name, selects[i].Having)
	}
	for _, g := range groups {
		if g == nil {
			continue
		}
		nameFilters(name, g.Filters)
		for i := range g.SubGroups {
			NameSensors(name, nil, &g.SubGroups[i])
		}
	}
}

func nameFilters(name func(id int64) string, filters []Filter) {
	for i := range filters {
		filters[i].Sensor.nameBy(name)
	}
}

func (o *Sensor) nameBy(name func(id int64) string) {
	if o != nil && o.ID > 0 && o.Hash == 0 && o.SourceHash == 0 && o.Name == "" {
		o.Name = name(int64(o.ID))
	}
}
