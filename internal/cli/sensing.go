package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

// A sensorStat is how long a sensor has run, as the API says it, in
// milliseconds.
type sensorStat struct {
	Name    string  `json:"name"`
	Count   uint64  `json:"count"`
	RealAvg float64 `json:"real_ms_avg"`
	RealMin float64 `json:"real_ms_min"`
	RealMax float64 `json:"real_ms_max"`
	RealStd float64 `json:"real_ms_std"`
	UserAvg float64 `json:"user_ms_avg"`
	SysAvg  float64 `json:"sys_ms_avg"`
}

// A quarantined sensor is one that some machines do not run any more.
type quarantined struct {
	Hash      uint32          `json:"hash"`
	Name      string          `json:"name"`
	Count     int             `json:"machine_count"`
	Machines  []machineObject `json:"machines"`
	Releasing bool            `json:"releasing_flag"`
}

// milliseconds writes a time as people read it.
func milliseconds(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

func (d *desk) sensorStats(f *flags) *cobra.Command {
	return d.listing(f, &cobra.Command{
		Use:   "stats",
		Short: "Show how long sensors run on the machines, the slowest first",
		Long: `Stats shows how long sensors have run on all machines together. Machines tell of
that when they register, so that the figures are a minute or two behind. User and
System are the processor's time of those that are scripts.`,
		Example: `  catenary sensor stats
  catenary sensor stats --format csv > sensors.csv`,
	}, func(cmd *cobra.Command, c *client, _ format) (grid, error) {
		stats, err := c.sensorStats(cmd.Context())
		slices.SortStableFunc(stats, func(a, b sensorStat) int { return cmp.Compare(b.RealAvg, a.RealAvg) })
		g := grid{columns: []column{
			{name: "Sensor"}, {name: "Runs", right: true, number: true}, {name: "Average", right: true}, {name: "Least", right: true},
			{name: "Most", right: true}, {name: "Deviation", right: true}, {name: "User", right: true}, {name: "System", right: true},
		}}
		for _, s := range stats {
			g.add(s.Name, strconv.FormatUint(s.Count, 10), milliseconds(s.RealAvg), milliseconds(s.RealMin), milliseconds(s.RealMax),
				milliseconds(s.RealStd), milliseconds(s.UserAvg), milliseconds(s.SysAvg))
		}
		return g, err
	})
}

// sensorStats are all statistics.
func (c *client) sensorStats(ctx context.Context) (stats []sensorStat, err error) {
	err = c.call(ctx, http.MethodGet, "/api/v2/sensor_stats", nil, &stats)
	return stats, err
}

func (d *desk) sensorQuarantine(f *flags) *cobra.Command {
	return d.listing(f, &cobra.Command{
		Use:   "quarantine",
		Short: "List the sensors that machines do not run any more",
		Long: `A machine that had to stop a sensor at its time limit three times in a row runs
it no more, and answers that it is quarantined. It tries again when the sensor is
released (catenary sensor release) or gets another definition. The settings
sensor_quarantine_enabled, sensor_quarantine_overruns and
sensor_quarantine_seconds say how patient machines are.`,
		Example: `  catenary sensor quarantine
  catenary sensor release 'Slow Sensor'`,
	}, func(cmd *cobra.Command, c *client, _ format) (grid, error) {
		var list []quarantined
		err := c.call(cmd.Context(), http.MethodGet, "/api/v2/sensor_quarantines", nil, &list)
		g := grid{columns: []column{{name: "Sensor"}, {name: "Machines", right: true, number: true}, {name: "Among Them"}, {name: "State"}}}
		for _, q := range list {
			state := "not run"
			if q.Releasing {
				state = "released; they will hear of it"
			}
			name := q.Name
			if name == "" {
				name = strconv.FormatUint(uint64(q.Hash), 10)
			}
			g.rows = append(g.rows, []cell{{name}, {strconv.Itoa(q.Count)}, named(q.Machines), {state}})
		}
		return g, err
	})
}

func (d *desk) sensorRelease(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:     "release NAME",
		Short:   "Let machines run a sensor again that they have in quarantine",
		Example: `  catenary sensor release 'Slow Sensor'`,
		Args:    words(1, 1, "the name of a sensor"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			var q quarantined
			if err := c.call(cmd.Context(), http.MethodDelete, "/api/v2/sensor_quarantines/"+url.PathEscape(args[0]), nil, &q); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is released: %d machines hear of it when they next register\n", printable(args[0]), q.Count)
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

// An estimate is what a question costs each machine, as the API says it.
type estimate struct {
	Level       string  `json:"level"`
	AverageMs   float64 `json:"average_ms"`
	MaxMs       float64 `json:"max_ms"`
	ConditionMs float64 `json:"condition_average_ms"`
	Sensors     []struct {
		Name      string  `json:"name"`
		Level     string  `json:"level"`
		AverageMs float64 `json:"average_ms"`
		MaxMs     float64 `json:"max_ms"`
		Condition bool    `json:"condition_flag"`
	} `json:"sensors"`
	Unknown []string `json:"unknown"`
}

// runEstimate says what a question would cost, and does not ask it.
func (d *desk) runEstimate(cmd *cobra.Command, a *asking, text string) error {
	if a.resume > 0 {
		return UsageError(cmd, fmt.Errorf("--estimate is for a question that is yet to be asked: leave out --resume"))
	}
	c, err := d.connect(&a.flags)
	if err != nil {
		return err
	}
	var e estimate
	if err := c.call(cmd.Context(), http.MethodPost, "/api/v2/questions/estimate", newQuestion{Text: text}, &e); err != nil {
		if fault.KindOf(err) == fault.Invalid {
			width, _ := d.terminal(cmd.ErrOrStderr())
			return pointAt(text, err, width)
		}
		return err
	}
	g := grid{columns: []column{{name: "Sensor"}, {name: "Load"}, {name: "Average", right: true}, {name: "Most", right: true}, {name: "Computed By"}}}
	for _, s := range e.Sensors {
		by := "machines that match"
		if s.Condition {
			by = "all machines"
		}
		g.add(s.Name, s.Level, milliseconds(s.AverageMs), milliseconds(s.MaxMs), by)
	}
	if err := d.print(cmd, a.format, g); err != nil || a.format != formatTable {
		return err
	}
	summary := fmt.Sprintf("\nLoad on a machine that matches: %s (%s on average, %s at most; %s for the condition alone)\n",
		e.Level, milliseconds(e.AverageMs), milliseconds(e.MaxMs), milliseconds(e.ConditionMs))
	if len(e.Unknown) > 0 {
		summary += "Never run so far, so not counted: " + printable(strings.Join(e.Unknown, ", ")) + "\n"
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), summary)
	return err
}
