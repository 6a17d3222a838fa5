package api

import (
	"context"
	"time"

	"catenary/internal/sensor"
	"catenary/internal/server/rights"
	"catenary/internal/value"
)

// statusColumns are those of the answer about an action. There is no row in it
// until machines run actions.
var statusColumns = []columnObject{
	{sensor.Hash("Computer Name"), "Computer Name", value.String},
	{sensor.Hash("Action Statuses"), "Action Statuses", value.String},
	{0, "Count", value.Numeric},
}

// actionCounters are those of an action that no machine has run.
func (s *server) actionCounters(c call, now time.Time) (counters, error) {
	id, err := c.number("id", "action")
	if err != nil {
		return counters{}, err
	}
	r, err := s.action(c, s.shelves, rights.ReadAction, int64(id))
	if err != nil {
		return counters{}, err
	}
	return counters{
		CacheID: "0", SelectCount: len(statusColumns) - 1,
		Expiration:         max(0, int64(r.Object.Time("expiration_time").Sub(now)/time.Second)),
		ExpireSeconds:      r.Object.Int("expire_seconds"),
		SecondsSinceIssued: max(0, int64(now.Sub(r.Object.Time("start_time"))/time.Second)),
	}, nil
}

func (s *server) actionInfo(_ context.Context, c call) (resultInfos, error) {
	now := time.Now()
	of, err := s.actionCounters(c, now)
	return resultInfos{Now: now.UTC().Format(nowFormat), ResultInfos: []resultInfo{{counters: of}}}, err
}

func (s *server) actionData(_ context.Context, c call) (resultSets, error) {
	now := time.Now()
	of, err := s.actionCounters(c, now)
	return resultSets{
		Now: now.UTC().Format(nowFormat), ResultSets: []resultSet{{counters: of, Columns: statusColumns, Rows: []rowObject{}}},
	}, err
}
