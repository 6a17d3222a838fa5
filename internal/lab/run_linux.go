package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"catenary/internal/fault"
)

// errStory is what Run returns when an expectation was not met.
var errStory = errors.New("not every story has ended as it must")

// Run plays scenarios, each in a lab of its own, and prints what happens. With
// opt.Dir each keeps its data in a folder below it.
func Run(ctx context.Context, opt Options, all []Scenario, out io.Writer) error {
	var summary []string
	failed := false
	for _, s := range all {
		began := time.Now()
		misses, err := runOne(ctx, opt, s, out)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		how := "ok"
		switch {
		case err != nil:
			how = "BROKEN: " + err.Error()
		case misses > 0:
			how = "FAILED, " + counted(misses, "expectation")
		}
		failed = failed || how != "ok"
		summary = append(summary, fmt.Sprintf("%-22s %6.1f s  %s", s.Name, time.Since(began).Seconds(), how))
		fmt.Fprintf(out, "== %s: %s\n\n", s.Name, how)
	}
	if len(all) > 1 {
		for _, line := range summary {
			fmt.Fprintln(out, line)
		}
	}
	if failed {
		return errStory
	}
	return nil
}

func runOne(ctx context.Context, opt Options, s Scenario, out io.Writer) (misses int, err error) {
	fmt.Fprintf(out, "== %s: %s\n", s.Name, s.Title)
	opt.Layout = s.Layout
	if opt.Dir != "" {
		opt.Dir = filepath.Join(opt.Dir, s.Name)
		if _, err := os.Stat(opt.Dir); err == nil {
			return 0, fault.New(fault.Conflict, "%s holds the data of an earlier run", opt.Dir)
		}
	}
	l, err := open(ctx, opt, out)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r, err := l.await(ctx)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(out, "   %s: ready after %.1f s\n", s.Layout.Size(), r.Seconds)
	t := &teller{outer: l, out: out, began: time.Now(), memory: map[string]Traffic{}}
	for _, st := range s.Steps {
		fmt.Fprintf(out, "%8.2f  %v\n", time.Since(t.began).Seconds(), st.Step)
		if err := t.step(ctx, st.Step); err != nil {
			return t.misses, fmt.Errorf("line %d: %v: %w", st.Line, st.Step, err)
		}
	}
	return t.misses, nil
}

// A teller tells one story in one lab.
type teller struct {
	*outer
	out      io.Writer
	began    time.Time
	question question
	memory   map[string]Traffic
	misses   int
}

func (t *teller) step(ctx context.Context, s Step) error {
	switch s := s.(type) {
	case Command:
		_, err := tell(ctx, t.socket(), request{Command: s.String()})
		return err
	case Wait:
		select {
		case <-time.After(s.For):
		case <-ctx.Done():
		}
		return context.Cause(ctx)
	case Mark:
		_, err := tell(ctx, t.socket(), request{Query: queryMark})
		return err
	case NewSensor:
		return t.newSensor(ctx, s)
	case Ask:
		return t.ask(ctx, s)
	case Remember:
		tr, err := t.traffic(ctx)
		t.memory[s.Name] = tr
		return err
	case Report:
		return t.report(ctx, s.What)
	case Expect:
		return t.expect(ctx, s)
	default:
		panic(fmt.Sprintf("lab: unknown step %T", s))
	}
}

func (t *teller) newSensor(ctx context.Context, s NewSensor) error {
	return t.session.Call(ctx, "POST", "sensors", map[string]any{
		"name": s.Name, "value_type": "String", "max_age_seconds": 1,
		"queries": []map[string]string{{"platform": "Linux", "script_type": "UnixShell", "script": s.Script}},
	}, &struct{}{})
}

func (t *teller) ask(ctx context.Context, s Ask) error {
	var err error
	if t.question.expected, err = t.running(ctx); err != nil {
		return err
	}
	t.question.asked = time.Now()
	var made struct {
		ID uint64 `json:"id"`
	}
	err = t.session.Call(ctx, "POST", "questions", map[string]string{"query_text": s.Text}, &made)
	t.question.id = made.ID
	return err
}

func (t *teller) status(ctx context.Context) (*Status, error) {
	rep, err := tell(ctx, t.socket(), request{Query: queryStatus})
	return rep.Status, err
}

func (t *teller) traffic(ctx context.Context) (Traffic, error) {
	rep, err := tell(ctx, t.socket(), request{Query: queryTraffic})
	if err != nil {
		return Traffic{}, err
	}
	return *rep.Traffic, nil
}

// running are the names of the hosts whose programs run, with power.
func (t *teller) running(ctx context.Context) ([]string, error) {
	rep, err := tell(ctx, t.socket(), request{Query: queryHosts})
	if err != nil {
		return nil, err
	}
	var all []string
	for _, s := range rep.Status.Sites {
		for _, h := range s.Hosts {
			if h.State == running {
				all = append(all, h.Name)
			}
		}
	}
	return all, nil
}

func (t *teller) report(ctx context.Context, s Subject) error {
	switch s := s.(type) {
	case TrafficReport:
		tr, err := t.traffic(ctx)
		if err != nil {
			return err
		}
		var table strings.Builder
		if err := tr.Table(&table, false); err != nil {
			return err
		}
		for line := range strings.Lines(table.String()) {
			t.say("%s", strings.TrimSuffix(line, "\n"))
		}
		return nil
	case ChainsReport:
		st, err := t.status(ctx)
		if err != nil {
			return err
		}
		t.drawChains(st)
		return nil
	case Against:
		tr, err := t.traffic(ctx)
		if err != nil {
			return err
		}
		t.say("%s", t.against(tr, s.Name))
		return nil
	default:
		panic(fmt.Sprintf("lab: unknown subject %T", s))
	}
}

func (t *teller) drawChains(st *Status) {
	for _, c := range st.Chains {
		t.say("%v", c)
	}
}

// factor is how many times the remembered bytes the WANs have carried now.
func (t *teller) factor(now Traffic, name string) float64 {
	return float64(now.WAN().Sum()) / float64(max(1, t.memory[name].WAN().Sum()))
}

func (t *teller) against(now Traffic, name string) string {
	return fmt.Sprintf("WAN of all sites: %s, %s: %s: %.1f times as many bytes",
		size(now.WAN().Sum()), name, size(t.memory[name].WAN().Sum()), t.factor(now, name))
}

// say prints below the line of the step.
func (t *teller) say(format string, args ...any) {
	fmt.Fprintf(t.out, "            "+format+"\n", args...)
}
