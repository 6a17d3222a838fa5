package api

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/rights"
	"catenary/internal/server/sensors"
	"catenary/internal/server/setting"
	"catenary/internal/server/store"
	"catenary/internal/value"
)

// Sensing is what an Engine knows of how sensors run on the machines.
type Sensing interface {
	// Strings are what machines have said lately.
	Strings() *sensors.Strings
	// SensorStats are how long sensors have run so far, by name.
	SensorStats() []store.SensorStat
	// Quarantine are the sensors that some machines do not run any more because
	// they took too long, of those that sees reports; nil: of all.
	Quarantine(ctx context.Context, sees func(endpoint.ID) bool) ([]store.Quarantined, error)
	// ReleaseSensor lets all machines run a sensor again.
	ReleaseSensor(ctx context.Context, hash uint32) error
}

func (s *server) sensingRoutes() []route {
	const v2 = "/api/v2/"
	return []route{
		{"GET", v2 + "sensor_stats", withSession, rights.ReadSensor, answers[[]sensorStat](s.listSensorStats)},
		{"GET", v2 + "sensor_stats/{id}", withSession, rights.ReadSensor, get(s.showSensorStat)},
		{"GET", v2 + "sensor_stats/by-name/{name}", withSession, rights.ReadSensor, get(s.showSensorStat)},
		{"POST", v2 + "questions/estimate", withSession, rights.AskDynamicQuestion, post(bodyMax, s.estimateQuestion)},
		{"GET", v2 + "sensor_quarantines", withSession, rights.ReadSensor, get(s.listQuarantines)},
		{"DELETE", v2 + "sensor_quarantines/{hash}", withSession, rights.WriteSensor, get(s.releaseSensor)},
	}
}

// A sensorStat is how long a sensor has run on all machines, in milliseconds, and
// what it has written: the bytes of a machine's answer. What it reads is not
// measured.
type sensorStat struct {
	ID       int64   `json:"id"`
	Name     string  `json:"name"`
	WhatHash uint32  `json:"what_hash"`
	Count    uint64  `json:"count"`
	RealAvg  float64 `json:"real_ms_avg"`
	RealMin  float64 `json:"real_ms_min"`
	RealMax  float64 `json:"real_ms_max"`
	RealStd  float64 `json:"real_ms_std"`
	UserAvg  float64 `json:"user_ms_avg"`
	UserStd  float64 `json:"user_ms_std"`
	SysAvg   float64 `json:"sys_ms_avg"`
	SysStd   float64 `json:"sys_ms_std"`
	ReadAvg  float64 `json:"read_bytes_avg"`
	ReadStd  float64 `json:"read_bytes_std"`
	WriteAvg float64 `json:"write_bytes_avg"`
	WriteStd float64 `json:"write_bytes_std"`
	OtherAvg float64 `json:"other_bytes_avg"`
	OtherStd float64 `json:"other_bytes_std"`

	// Catenary's own.
	AnswerCount uint64 `json:"answer_count"` // machines' answers behind the bytes
}

// average returns the average of measurements and their standard deviation.
func average(s store.Spread, n uint64) (avg, std float64) {
	if n == 0 {
		return 0, 0
	}
	avg = s.Sum / float64(n)
	return rounded(avg), rounded(math.Sqrt(max(0, s.Squares/float64(n)-avg*avg)))
}

// rounded is to the microsecond.
func rounded(ms float64) float64 { return math.Round(ms*1000) / 1000 }

func (s *server) toSensorStat(x store.SensorStat) sensorStat {
	o := sensorStat{Name: x.Name, WhatHash: x.Hash, Count: x.Count, RealMin: rounded(x.Min), RealMax: rounded(x.Max)}
	o.ID = s.sensorID(x.Name)
	o.RealAvg, o.RealStd = average(x.Real, x.Count)
	o.UserAvg, o.UserStd = average(x.User, x.Measured)
	o.WriteAvg, o.WriteStd = average(x.Bytes, x.Answers)
	o.AnswerCount = x.Answers
	o.SysAvg, o.SysStd = average(x.Sys, x.Measured)
	return o
}

// sensorID is the number of a sensor; 0: there is none of that name.
func (s *server) sensorID(name string) int64 {
	if r := s.shelves.ByName(sensors.Kind, name); r != nil {
		return r.ID
	}
	return 0
}

// seenStats are the statistics of those sensors that the caller may see.
func (s *server) seenStats(c call) []sensorStat {
	out := []sensorStat{}
	for _, x := range s.engine.SensorStats() {
		if s.seesSensor(c, x.Name) {
			out = append(out, s.toSensorStat(x))
		}
	}
	return out
}

// seesSensor reports whether the caller may see a sensor.
func (s *server) seesSensor(c call, name string) bool {
	r := s.shelves.ByName(sensors.Kind, name)
	if r == nil {
		return c.rights.Anything
	}
	return c.rights.May(rights.ReadSensor, r.Object.Ref("content_set").ID)
}

func (s *server) listSensorStats(w http.ResponseWriter, c call) error {
	all := s.seenStats(c)
	return s.sendList(w, c, listingBy(len(all), false, func(i int) sensorStat { return all[i] }))
}

func (s *server) showSensorStat(_ context.Context, c call) (sensorStat, error) {
	name := c.PathValue("name")
	var id uint64
	if name == "" {
		var err error
		if id, err = c.number("id", "sensor"); err != nil {
			return sensorStat{}, err
		}
	}
	for _, x := range s.seenStats(c) {
		if name != "" && value.Fold(x.Name) == value.Fold(name) || name == "" && x.ID == int64(id) && id != 0 {
			return x, nil
		}
	}
	return sensorStat{}, fault.New(fault.NotFound, "REST Object Not Found Exception:  SensorStatNotFound: the sensor has not run yet, or there is none")
}

// ---- what a question will cost ----

// An estimate is what a question costs each machine that has no fresh answer. It
// is Catenary's own.
type estimate struct {
	QuestionText string           `json:"question_text"`
	Level        string           `json:"level"` // Low, Medium or High
	AverageMs    float64          `json:"average_ms"`
	MaxMs        float64          `json:"max_ms"`
	ConditionMs  float64          `json:"condition_average_ms"` // of what every machine computes, also one that does not match
	Sensors      []sensorEstimate `json:"sensors"`              // the slowest first
	Unknown      []string         `json:"unknown"`              // sensors that have never run
}

type sensorEstimate struct {
	Name          string  `json:"name"`
	Level         string  `json:"level"`
	AverageMs     float64 `json:"average_ms"`
	MaxMs         float64 `json:"max_ms"`
	ConditionFlag bool    `json:"condition_flag"` // every machine computes it
}

// estimateQuestion says what a question will cost, without asking it.
func (s *server) estimateQuestion(_ context.Context, c call, in questionRequest) (estimate, error) {
	catalogue := s.engine.Catalogue()
	in = s.named(in)
	q, err := in.question(catalogue, s.groups)
	if err != nil {
		return estimate{}, err
	}
	about, err := in.context(catalogue, s.groups)
	for _, part := range []question.Question{q, {Where: about}} {
		if err == nil {
			err = s.allowSensors(c, part) // how long it takes is no more to be seen than the sensor
		}
	}
	if err != nil {
		return estimate{}, err
	}
	p, err := plan.Compile(q, catalogue, plan.Options{
		// What a script does is no matter here, only that there is one.
		Definition: func(sensor.Sensor) []byte { return []byte{0} },
		ComputerID: q.ComputerID, Groups: s.groups, Context: about,
	})
	if err != nil {
		return estimate{}, err
	}
	load := p.Load(s.runtimes(), plan.Thresholds{
		Medium: time.Duration(s.settingNumber(setting.LoadMedium)) * time.Millisecond,
		High:   time.Duration(s.settingNumber(setting.LoadHigh)) * time.Millisecond,
	})
	ms := func(d time.Duration) float64 { return rounded(float64(d) / float64(time.Millisecond)) }
	out := estimate{
		QuestionText: p.Text, Level: load.Level.String(), AverageMs: ms(load.Average), MaxMs: ms(load.Max), ConditionMs: ms(load.ConditionAverage),
		Sensors: []sensorEstimate{}, Unknown: append([]string{}, load.Unknown...),
	}
	for _, x := range load.Sensors {
		out.Sensors = append(out.Sensors, sensorEstimate{x.Sensor, x.Level.String(), ms(x.Average), ms(x.Max), x.InCondition})
	}
	return out, nil
}

// ---- sensors that are not run ----

// A quarantineObject is a sensor that some machines do not run any more. It is
// Catenary's own.
type quarantineObject struct {
	Hash         uint32          `json:"hash"`
	Name         string          `json:"name"`
	MachineCount int             `json:"machine_count"`
	Machines     []machineObject `json:"machines"` // the first hundred
	Releasing    bool            `json:"releasing_flag"`
}

// quarantined are the sensors that machines which the caller sees do not run.
func (s *server) quarantined(ctx context.Context, c call) ([]store.Quarantined, error) {
	sees, err := s.machinesSeen(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.engine.Quarantine(ctx, sees)
}

// sensorCalled is the sensor of a hash or a name.
func (s *server) sensorCalled(name string, hash uint32, byHash bool) (sensor.Sensor, bool) {
	if byHash {
		return s.engine.Catalogue().ByHash(hash)
	}
	return s.engine.Catalogue().ByName(name)
}

func (s *server) listQuarantines(ctx context.Context, c call) ([]quarantineObject, error) {
	list, err := s.quarantined(ctx, c)
	if err != nil {
		return nil, err
	}
	out := []quarantineObject{}
	for _, q := range list {
		if !s.seesSensor(c, q.Name) {
			continue
		}
		o := quarantineObject{Hash: q.Hash, Name: q.Name, MachineCount: q.Machines, Machines: []machineObject{}, Releasing: q.Releasing}
		for _, m := range q.Some {
			o.Machines = append(o.Machines, machineObject{m.Client, m.ComputerID, m.Name})
		}
		out = append(out, o)
	}
	return out, nil
}

// releaseSensor lets all machines run a sensor again, which is named by its hash
// or its name.
func (s *server) releaseSensor(ctx context.Context, c call) (quarantineObject, error) {
	list, err := s.quarantined(ctx, c)
	if err != nil {
		return quarantineObject{}, err
	}
	text := c.PathValue("hash")
	hash, err := strconv.ParseUint(text, 10, 32)
	numeric := err == nil
	var q store.Quarantined
	i := slices.IndexFunc(list, func(q store.Quarantined) bool {
		return numeric && uint64(q.Hash) == hash || strings.EqualFold(q.Name, text)
	})
	if i >= 0 {
		q = list[i]
	} else if d, ok := s.sensorCalled(text, uint32(hash), numeric); ok { // machines may have yet to tell
		q = store.Quarantined{Hash: sensor.Hash(d.Name), Name: d.Name}
	}
	if q.Hash == 0 || !s.seesSensor(c, q.Name) {
		return quarantineObject{}, fault.New(fault.NotFound, "there is no sensor %q, and no machine has one in quarantine", shorten(text))
	}
	if r := s.shelves.ByName(sensors.Kind, q.Name); r != nil && !c.rights.May(rights.WriteSensor, r.Object.Ref("content_set").ID) {
		return quarantineObject{}, insufficient(rights.WriteSensor)
	}
	if err := s.engine.ReleaseSensor(ctx, q.Hash); err != nil {
		return quarantineObject{}, err
	}
	if err := s.auditOf(ctx, c, store.AuditEntry{
		Type: "release", Kind: sensors.Kind, ObjectID: s.sensorID(q.Name), ObjectName: q.Name, Details: "all machines may run it again",
	}); err != nil {
		return quarantineObject{}, err
	}
	s.log.InfoContext(ctx, "sensor released from quarantine", "sensor", q.Name, "by", c.user.Name, "machines", q.Machines)
	return quarantineObject{Hash: q.Hash, Name: q.Name, MachineCount: q.Machines, Machines: []machineObject{}, Releasing: true}, nil
}
