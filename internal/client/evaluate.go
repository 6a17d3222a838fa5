package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/client/exec"
	"catenary/internal/client/probe"
	"catenary/internal/endpoint"
	"catenary/internal/node"
	"catenary/internal/plan"
	"catenary/internal/seal"
	"catenary/internal/sensor"
)

// evaluationsMax bounds the questions that one client computes at a time;
// further ones wait. Most sensors wait for the disk, not for the processor.
const evaluationsMax = 8

// self is what the probe cannot find out by itself.
func (c *Client) self(at endpoint.Place) probe.Self {
	s := probe.Self{ComputerName: c.cfg.Name, ComputerID: c.computerID.Load, Version: c.cfg.Version, Folder: c.cfg.StateDir}
	if c.cfg.Source.IsValid() {
		s.Addresses = []netip.Addr{at.Addr.Addr()}
	}
	cache := c.cache
	s.Status = func() probe.Status {
		now := *c.standing.Load()
		return probe.Status{
			Address: at.Addr, Server: now.server, Back: now.back, Front: now.front,
			Answered: c.answered.Load(), Cached: cache.len(), CacheMax: cacheMax,
		}
	}
	return s
}

// A standing is where the client stands in its chain, for sensors to tell.
type standing struct {
	back, front probe.Peer
	server      netip.AddrPort
}

// stand notes where the client stands after a step of the node.
func (c *Client) stand() {
	now := standing{peer(c.node.Neighbour(chain.Back)), peer(c.node.Neighbour(chain.Fore)), c.server}
	if now != *c.standing.Load() {
		c.standing.Store(&now)
	}
}

func peer(p chain.Peer) probe.Peer {
	return probe.Peer{Server: p == chain.Server, Addr: p.Place.Addr}
}

// name is the computer's name.
func (c *Client) name() string {
	if c.cfg.Name != "" {
		return c.cfg.Name
	}
	name, err := os.Hostname()
	if err != nil {
		c.log.Warn("the system does not say its name", "because", err)
	}
	return name
}

// evaluate computes this machine's answer to a question; the loop hears of it.
func (c *Client) evaluate(ctx context.Context, ef node.Evaluate) {
	ring := c.ring.Clone() // the loop goes on adding keys to its own
	c.worker.Go(func() {
		select {
		case c.evaluations <- struct{}{}:
			defer func() { <-c.evaluations }()
		case <-ctx.Done():
			return
		}
		rows, counts := c.answer(ctx, ring, ef)
		c.answered.Add(1)
		c.tell(ctx, evaluated{node.Evaluated{
			Question: ef.Letter.Question,
			Rows:     answer.RowsOf(answer.ChainLimits, rows...),
			Counts:   counts,
		}})
	})
}

func (c *Client) answer(ctx context.Context, ring *seal.Ring, ef node.Evaluate) ([]answer.Row, answer.Counts) {
	l := ef.Letter
	p, err := plan.Decode(l.Plan)
	if err != nil {
		// Signed by our server, so of a newer version than ours.
		row := l.Key.Row([]answer.Cell{{"TSE-Error: this client is too old for the question: " + err.Error()}})
		return []answer.Row{row}, answer.Counts{Errors: 1}
	}
	return p.Answer(l.Key, c.computerID.Load(), func(use int) plan.Values {
		rows, err := c.values(ctx, ring, p.Sensors[use], ef)
		return plan.Values{Rows: rows, Err: err, Stopped: stopped(err)}
	})
}

// values are what one sensor says, from the cache while that is fresh.
func (c *Client) values(ctx context.Context, ring *seal.Ring, u plan.Use, ef node.Evaluate) ([][]string, error) {
	limit := ef.Letter.Limit
	def, native := c.sensor.ByName(u.Name)
	if !native || len(u.Definition) > 0 {
		payload, err := ring.Open(time.Now().Add(ef.Skew), seal.Sensor, u.Definition)
		if err != nil {
			return nil, fmt.Errorf("sensor %s is not to be trusted: %w", u.Name, err)
		}
		if def, err = sensor.Decode(payload); err != nil {
			return nil, err
		}
	}
	if def.Mode > ef.Letter.Mode { // the server does not ask so: what was signed does not fit together
		return nil, fmt.Errorf("sensor %s wants its answers %v, but this question has them %v", u.Name, def.Mode, ef.Letter.Mode)
	}
	held := keyOf(u.Name, u.Definition)
	if err := c.quarantine.refuses(held); err != nil {
		return nil, err
	}
	maxAge := def.MaxAge
	if u.MaxAge > 0 {
		maxAge = u.MaxAge
	}
	key := strings.Join(append([]string{u.Name, string(u.Definition)}, u.Params...), "\x00")
	return c.cache.get(ctx, key, maxAge, func() ([][]string, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, limit, &exec.Killed{Reason: exec.TimeLimit, After: limit})
		defer cancel()
		began := time.Now()
		rows, used, err := c.compute(ctx, def, u.Params, limit)
		if err != nil && errors.Is(err, context.DeadlineExceeded) {
			err = context.Cause(ctx)
		}
		c.ran(u.Name, held, time.Since(began), used, err)
		return rows, err
	})
}

// ran notes how long a sensor has run, and whether it was stopped too often.
func (c *Client) ran(name, held string, took time.Duration, used exec.Used, err error) {
	c.runs.add(name, took, used)
	if errors.Is(err, context.Canceled) {
		return // the client is about to end
	}
	gaveUp, err := c.quarantine.ran(time.Now(), held, name, took, stopped(err))
	if err != nil {
		c.log.Warn("the quarantine of sensors is not kept", "because", err)
	}
	if gaveUp {
		c.log.Warn("sensor is not run any more: it was stopped at its time limit again and again", "sensor", name)
	}
}

// stopped reports whether a sensor failed because it took longer than it may.
func stopped(err error) bool {
	var killed *exec.Killed
	return errors.As(err, &killed) && killed.Reason == exec.TimeLimit
}

func (c *Client) compute(ctx context.Context, def sensor.Sensor, params []string, limit time.Duration) ([][]string, exec.Used, error) {
	if def.Native() && !exec.Has(def) {
		rows, err := c.probe.Run(ctx, def.Name, params)
		return rows, exec.Used{}, err
	}
	return exec.Sensor(ctx, def, params, limit)
}
