package api

import (
	"context"
	"strconv"
	"strings"
	"time"

	"catenary/internal/answer"
	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/server/store"
	"catenary/internal/value"
)

type queryObject struct {
	Platform   string `json:"platform"`
	Script     string `json:"script"`
	ScriptType string `json:"script_type"`
}

type subcolumnObject struct {
	Index          int    `json:"index"`
	Name           string `json:"name"`
	ValueType      string `json:"value_type"`
	IgnoreCaseFlag bool   `json:"ignore_case_flag"`
	HiddenFlag     bool   `json:"hidden_flag"`
}

type sensorObject struct {
	ID                   int64             `json:"id"`
	Name                 string            `json:"name"`
	Hash                 uint32            `json:"hash"`
	Description          string            `json:"description"`
	Category             string            `json:"category"`
	ValueType            string            `json:"value_type"`
	Delimiter            string            `json:"delimiter"`
	Subcolumns           []subcolumnObject `json:"subcolumns,omitempty"`
	Queries              []queryObject     `json:"queries"`
	ParameterDefinition  string            `json:"parameter_definition"` // JSON in a string; empty without parameters
	MaxAgeSeconds        int64             `json:"max_age_seconds"`
	KeepDuplicatesFlag   bool              `json:"keep_duplicates_flag"`
	IgnoreCaseFlag       bool              `json:"ignore_case_flag"`
	ExcludeFromParseFlag bool              `json:"exclude_from_parse_flag"`
	HiddenFlag           bool              `json:"hidden_flag"`
	SourceID             int64             `json:"source_id"`
	SourceHash           uint32            `json:"source_hash"`
	CreationTime         isoTime           `json:"creation_time"`
	ModificationTime     isoTime           `json:"modification_time"`
	LastModifiedBy       string            `json:"last_modified_by"`
	AnswerMode           string            `json:"answer_mode,omitempty"` // attested or sealed; merged is not said
}

func toSensor(s sensor.Sensor, rec store.Sensor) (sensorObject, error) {
	o := sensorObject{
		ID: rec.ID, Name: s.Name, Hash: s.Hash(), Description: s.Description, Category: s.Category,
		ValueType: value.String.String(), Delimiter: s.Delimiter, Queries: []queryObject{},
		MaxAgeSeconds: int64(s.MaxAge / time.Second), KeepDuplicatesFlag: s.KeepDuplicates, IgnoreCaseFlag: s.IgnoreCase,
		CreationTime: isoTime(rec.Created), ModificationTime: isoTime(rec.Modified), LastModifiedBy: rec.ModifiedBy,
	}
	if s.Mode != answer.Merged {
		o.AnswerMode = s.Mode.String()
	}
	for _, sc := range s.Scripts {
		o.Queries = append(o.Queries, queryObject{string(sc.Platform), sc.Source, string(sc.Language)})
	}
	if len(s.Columns) == 1 {
		o.ValueType = s.Columns[0].Type.String()
	} else {
		for i, col := range s.Columns {
			o.Subcolumns = append(o.Subcolumns, subcolumnObject{Index: i, Name: col.Name, ValueType: col.Type.String(), IgnoreCaseFlag: s.IgnoreCase})
		}
	}
	var err error
	o.ParameterDefinition, err = printParameters(s.Parameters)
	return o, err
}

// records returns the store's sensors by lower-cased name.
func (s *server) records(ctx context.Context) (map[string]store.Sensor, error) {
	list, err := s.store.Sensors(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[string]store.Sensor, len(list))
	for _, rec := range list {
		out[strings.ToLower(rec.Name)] = rec
	}
	return out, nil
}

func (s *server) listSensors(ctx context.Context, c call) ([]any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	records, err := s.records(ctx)
	if err != nil {
		return nil, err
	}
	all := s.engine.Catalogue().All()
	from, to := p.bounds(len(all))
	objects := make([]sensorObject, 0, to-from)
	for _, sn := range all[from:to] {
		o, err := toSensor(sn, records[strings.ToLower(sn.Name)])
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return listed(objects, len(all)), nil
}

func (s *server) showSensor(ctx context.Context, sn sensor.Sensor, ok bool) (sensorObject, error) {
	if !ok {
		return sensorObject{}, missing("Sensor", "sensor")
	}
	records, err := s.records(ctx)
	if err != nil {
		return sensorObject{}, err
	}
	return toSensor(sn, records[strings.ToLower(sn.Name)])
}

func (s *server) sensorByID(ctx context.Context, c call) (sensorObject, error) {
	id, err := c.number("id", "sensor")
	if err != nil {
		return sensorObject{}, err
	}
	records, err := s.records(ctx)
	if err != nil {
		return sensorObject{}, err
	}
	for _, rec := range records {
		if uint64(rec.ID) == id {
			sn, ok := s.engine.Catalogue().ByName(rec.Name)
			return s.showSensor(ctx, sn, ok)
		}
	}
	return sensorObject{}, missing("Sensor", "sensor")
}

func (s *server) sensorByName(ctx context.Context, c call) (sensorObject, error) {
	sn, ok := s.engine.Catalogue().ByName(c.PathValue("name"))
	return s.showSensor(ctx, sn, ok)
}

func (s *server) sensorByHash(ctx context.Context, c call) (sensorObject, error) {
	h, err := strconv.ParseUint(c.PathValue("hash"), 10, 32)
	if err != nil {
		return sensorObject{}, fault.New(fault.Invalid, "%q is not the hash of a sensor", c.PathValue("hash"))
	}
	sn, ok := s.engine.Catalogue().ByHash(uint32(h))
	return s.showSensor(ctx, sn, ok)
}

type idObject struct {
	ID uint64 `json:"id"`
}

func (s *server) createSensor(ctx context.Context, c call, in sensorRequest) (idObject, error) {
	sn, err := in.sensor()
	if err != nil {
		return idObject{}, err
	}
	if other, ok := s.engine.Catalogue().ByName(sn.Name); ok {
		return idObject{}, fault.New(fault.Conflict, "SensorNameNotUnique: there is a sensor %q already", other.Name)
	}
	rec, err := s.engine.CreateSensor(withUser(ctx, c.user), sn)
	return idObject{uint64(rec.ID)}, err
}
