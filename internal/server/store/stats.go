package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/uptrace/bun"
)

// A SensorStat is how long a sensor has run on all machines, in milliseconds, and
// how much they have answered.
type SensorStat struct {
	Hash  uint32 `json:"-"` // of the sensor's name
	Name  string `json:"name"`
	Count uint64 `json:"count"` // runs

	Real, User, Sys Spread
	Min, Max        float64 // of Real
	// Measured runs have a User and a Sys: scripts do, what the client computes
	// itself has none.
	Measured uint64

	Answers uint64 // that machines gave to questions which are closed
	Bytes   Spread // of the texts of each
}

// A Spread is the sum of measurements and of their squares.
type Spread struct {
	Sum     float64 `json:"sum"`
	Squares float64 `json:"squares"`
}

// KeepSensorStats writes statistics down, each in the place of what was known.
func (s *Store) KeepSensorStats(ctx context.Context, list []SensorStat) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, x := range list {
			stat, err := json.Marshal(x)
			if err != nil {
				return err
			}
			if _, err := tx.Tx.ExecContext(ctx, `INSERT INTO sensor_stats (hash, stat) VALUES ($1, $2)
				ON CONFLICT (hash) DO UPDATE SET stat = excluded.stat`, int64(x.Hash), stat); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return failed(err, "statistics of %d sensors", len(list))
	}
	return nil
}

// SensorStats returns the statistics of all sensors.
func (s *Store) SensorStats(ctx context.Context) ([]SensorStat, error) {
	list, err := collect(ctx, s.read.DB, func(rows *sql.Rows) (x SensorStat, err error) {
		var hash int64
		var stat []byte
		if err := rows.Scan(&hash, &stat); err != nil {
			return x, err
		}
		err = json.Unmarshal(stat, &x)
		x.Hash = uint32(hash)
		return x, err
	}, "SELECT hash, stat FROM sensor_stats ORDER BY hash")
	if err != nil {
		return nil, failed(err, "statistics of sensors")
	}
	return list, nil
}

// A Quarantined sensor is one that some machines do not run any more because it
// took too long. It is not in the database: machines say so themselves.
type Quarantined struct {
	Hash     uint32
	Name     string // empty: no sensor has the hash any more
	Machines int
	Some     []Machine // the first of them
	// Releasing: it was released since, and none of these machines has heard of
	// that.
	Releasing bool
}
