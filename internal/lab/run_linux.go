package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"catenary/internal/fault"
)

// errStory is what Run returns when an expectation was not met.
var errStory = errors.New("not every story has ended as it must")

// Run plays scenarios, each in a lab of its own, and prints what happens. With
// opt.Dir each keeps its data in a folder below it.
func Run(ctx context.Context, opt Options, all []Scenario, out io.Writer) error {
	sum := Summary{Processors: runtime.NumCPU(), Patience: opt.Patience}
	for _, s := range all {
		began := time.Now()
		o := Outcome{Story: s.Name}
		o.Figures, o.Misses, o.Broken = runOne(ctx, opt, s, out)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var err error
		if o.Load, err = load(); err != nil {
			return err
		}
		o.Took = time.Since(began)
		sum.Outcomes = append(sum.Outcomes, o)
		if _, err := fmt.Fprintf(out, "== %s: %v\n\n", s.Name, o); err != nil {
			return err
		}
	}
	if err := sum.Write(out); err != nil {
		return err
	}
	if !sum.Ok() {
		return errStory
	}
	return nil
}

// load is how many processes have wanted to run, on the average of a minute.
func load() (l float64, err error) {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(string(data), &l)
	return l, err
}

func runOne(ctx context.Context, opt Options, s Scenario, out io.Writer) (figures []Figure, misses int, err error) {
	fmt.Fprintf(out, "== %s: %s\n", s.Name, s.Title)
	opt.Layout = s.Layout
	if opt.Dir != "" {
		opt.Dir = filepath.Join(opt.Dir, s.Name)
		if _, err := os.Stat(opt.Dir); err == nil {
			return nil, 0, fault.New(fault.Conflict, "%s holds the data of an earlier run", opt.Dir)
		}
	}
	l, err := open(ctx, opt, out)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r, err := l.await(ctx)
	if err != nil {
		return nil, 0, err
	}
	fmt.Fprintf(out, "   %s: ready after %.1f s\n", s.Layout.Size(), r.Seconds)
	t := &teller{
		outer: l, out: out, began: time.Now(), memory: map[string]Traffic{}, patience: max(1, opt.Patience),
		program: opt.Program, ready: r,
	}
	for _, st := range s.Steps {
		fmt.Fprintf(out, "%8.2f  %v\n", time.Since(t.began).Seconds(), st.Step)
		if err := t.step(ctx, st.Step); err != nil {
			return t.figures, t.misses, fmt.Errorf("line %d: %v: %w", st.Line, st.Step, err)
		}
	}
	return t.figures, t.misses, nil
}

// A teller tells one story in one lab.
type teller struct {
	*outer
	out      io.Writer
	began    time.Time
	question question
	judged   judgement // of the answers to it
	memory   map[string]Traffic
	patience float64 // how many times as long as is written
	program  string  // path of the program catenary
	ready    Ready
	misses   int
	figures  []Figure
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
	t.judged, t.question.asked = judgement{}, time.Now()
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
		t.lines(table.String())
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
	case ClientsReport:
		return t.print(ctx, "client", "list")
	case QuestionReport:
		return t.print(ctx, "question", "show", strconv.FormatUint(t.question.id, 10))
	default:
		panic(fmt.Sprintf("lab: unknown subject %T", s))
	}
}

// print runs the program as an operator would, and prints what it says.
func (t *teller) print(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, t.program, args...)
	cmd.Env = append(os.Environ(), "CATENARY_URL="+t.ready.API, "CATENARY_TOKEN="+t.ready.Token, "CATENARY_CA="+t.ready.CA)
	said, err := cmd.CombinedOutput()
	t.lines(string(said))
	return err
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
	return fmt.Sprintf("%.1f times, %s and not %s", t.factor(now, name), exact(now.WAN().Sum()), exact(t.memory[name].WAN().Sum()))
}

// lines prints a text below the line of the step.
func (t *teller) lines(text string) {
	for line := range strings.Lines(text) {
		t.say("%s", strings.TrimSuffix(line, "\n"))
	}
}

// say prints below the line of the step.
func (t *teller) say(format string, args ...any) {
	fmt.Fprintf(t.out, "            "+format+"\n", args...)
}
