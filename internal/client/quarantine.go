package client

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"catenary/internal/keyfile"
	"catenary/internal/sensor"
	"catenary/internal/wire"
)

const (
	quarantineFile = "quarantine.json"
	// overrunsKept bounds the sensors of which overruns are noted; the one that
	// was last noted longest ago goes.
	overrunsKept = 256
)

// A quarantine knows which sensors are not run here any more because they took
// too long, by the server's rules. It survives a restart: a script that hangs
// would else have its minutes again after each.
type quarantine struct {
	path string

	mu    sync.Mutex // guards the fields below
	rules sensor.Rules
	held  map[string]overrun // by sensor and definition
}

// An overrun is a sensor that was stopped at its time limit.
type overrun struct {
	Sensor string    `json:"sensor"`
	Times  int       `json:"times"` // in a row
	Last   time.Time `json:"last"`
	Held   bool      `json:"held"`  // it is not run any more
	Rules  uint64    `json:"rules"` // number of those under which it was given up
}

// kept is the content of the file.
type kept struct {
	Rules []byte             `json:"rules"`
	Held  map[string]overrun `json:"held"`
}

// openQuarantine reads the file. One that cannot be read is as good as none: the
// worst is that a sensor has its minutes again.
func openQuarantine(path string) (*quarantine, error) {
	q := &quarantine{path: path, rules: sensor.DefaultRules, held: map[string]overrun{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return q, nil
	}
	var k kept
	if err == nil {
		err = json.Unmarshal(data, &k)
	}
	if err == nil && len(k.Rules) > 0 {
		q.rules, err = sensor.DecodeRules(k.Rules)
	}
	if err != nil {
		q.rules = sensor.DefaultRules
		return q, fmt.Errorf("%s: %w", quarantineFile, err)
	}
	if k.Held != nil {
		q.held = k.Held
	}
	return q, nil
}

// keyOf tells definitions of a sensor apart: a new one starts afresh.
func keyOf(name string, definition []byte) string {
	sum := sha256.Sum256(definition)
	return hex.EncodeToString(sum[:8]) + " " + name
}

// refuses returns why a sensor is not run, or nil.
func (q *quarantine) refuses(key string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if x := q.held[key]; x.Held && !q.rules.Off {
		return fmt.Errorf("quarantined: on this machine it was stopped at its time limit, %d in a row", x.Times)
	}
	return nil
}

// ran notes how a run has ended: stopped, after a time, or in time. It reports
// whether the sensor is given up from now on.
func (q *quarantine) ran(now time.Time, key, name string, took time.Duration, stopped bool) (gaveUp bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	x, known := q.held[key]
	switch {
	case !stopped && !known, x.Held:
		return false, nil
	case !stopped:
		delete(q.held, key)
		return false, q.save()
	case took < q.rules.After:
		return false, nil // it was given less time than any sensor may have
	}
	if !known && len(q.held) >= overrunsKept {
		q.forgetOne()
	}
	x.Sensor, x.Times, x.Last = name, x.Times+1, now
	if x.Times >= q.rules.Overruns && !q.rules.Off {
		x.Held, x.Rules = true, q.rules.Number
	}
	q.held[key] = x
	return x.Held, q.save()
}

func (q *quarantine) forgetOne() {
	oldest := ""
	for key, x := range q.held {
		if oldest == "" || x.Last.Before(q.held[oldest].Last) {
			oldest = key
		}
	}
	delete(q.held, oldest)
}

// take goes by new rules from now on, and lets those sensors go that they free.
func (q *quarantine) take(r sensor.Rules) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.Number <= q.rules.Number {
		return nil // late
	}
	q.rules = r
	for key, x := range q.held {
		if x.Held && r.Frees(sensor.Hash(x.Sensor), x.Rules) {
			delete(q.held, key)
		}
	}
	return q.save()
}

// tells adds to a registration what the server is to know.
func (q *quarantine) tells(m *wire.Register) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m.Rules = q.rules.Number
	for _, x := range q.held {
		if x.Held && !q.rules.Off {
			m.Quarantined = append(m.Quarantined, sensor.Hash(x.Sensor))
		}
	}
	slices.Sort(m.Quarantined)
	m.Quarantined = slices.Compact(m.Quarantined)
	m.Quarantined = m.Quarantined[:min(len(m.Quarantined), wire.QuarantinedMax)]
}

func (q *quarantine) save() error {
	data, err := json.MarshalIndent(kept{q.rules.Append(nil), q.held}, "", "  ")
	if err != nil {
		return err
	}
	return keyfile.Replace(q.path, append(data, '\n'))
}
