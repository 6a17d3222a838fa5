package sweep

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
)

var update = flag.Bool("update", false, "rewrite the expected effects in testdata")

// TestScripts plays each testdata/*.txt to one sweep. A line that begins with a
// time is an event; the indented lines after it are the effects it must have.
// A set is written 1,2,3; the rows of a bundle count its machines.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s\n(go test ./internal/sweep -update accepts it)", got, want)
			}
		})
	}
}

func play(t *testing.T, script string) string {
	var out strings.Builder
	s, start := New(answer.ChainLimits), time.Unix(0, 0)
	lives = 0
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "\t") {
			continue // an effect from the last time
		}
		out.WriteString(line)
		at, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || at == "#" {
			continue
		}
		d, err := time.ParseDuration(at)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		now := start.Add(d)
		ev := parse(t, now, rest)
		if _, tick := ev.(Tick); tick {
			if dl := s.Deadline(); !dl.IsZero() && now.After(dl) && strings.HasSuffix(rest, "late") {
				ev = Tick{Late: now.Sub(dl)}
			}
		}
		for _, ef := range s.Step(now, ev) {
			fmt.Fprintf(&out, "\t%s\n", show(ef))
		}
		switch dl := s.Deadline(); {
		case !strings.HasPrefix(rest, "tick"):
		case dl.IsZero():
			out.WriteString("\t(nothing is due)\n")
		case !dl.After(now):
			t.Errorf("%q leaves something overdue", line)
		default:
			fmt.Fprintf(&out, "\t(next at %v)\n", dl.Sub(start))
		}
	}
	return out.String()
}

// key hashes the one row of every bundle in the scripts.
var key = answer.Key{1}

// rowOf is the row that so many machines have given.
func rowOf(machines int) answer.Rows {
	row := key.Row([]answer.Cell{{"yes"}})
	row.Count = uint64(machines)
	return answer.Rows{List: []answer.Row{row}}
}

// parse reads an event: a verb, and words that each stand for a field or are
// followed by its value.
func parse(t *testing.T, now time.Time, s string) Event {
	f := strings.Fields(s)
	word := func(name string) string {
		if i := slices.Index(f, name); i >= 0 && i+1 < len(f) {
			return f[i+1]
		}
		return ""
	}
	number := func(name string) uint64 {
		n, err := strconv.ParseUint(word(name), 10, 64)
		if err != nil && word(name) != "" {
			t.Fatalf("%q: %v", s, err)
		}
		return n
	}
	numbers := func(name string) []uint64 {
		var out []uint64
		for x := range set(t, word(name)).All() {
			out = append(out, uint64(x))
		}
		return out
	}
	switch f[0] {
	case "tick":
		return Tick{}
	case "joined":
		return Joined{Slot: answer.Slot(number("joined")), Highest: number("highest"), Moved: slices.Contains(f, "moved"), Counted: numbers("counted")}
	case "ahead":
		front := map[string]Front{"nobody": Nobody, "peer": Peer, "server": Server}[f[1]]
		return Ahead{Front: front, Life: lifeOf(front == Peer, word("peer")), Heard: number("heard"), Known: numbers("known")}
	case "behind":
		return Behind{f[1] == "peer", lifeOf(f[1] == "peer", word("peer"))}
	case "direct":
		return Direct{numbers("direct")}
	case "asked":
		hold, err := time.ParseDuration(word("hold"))
		life, err2 := time.ParseDuration(word("life"))
		if err != nil || err2 != nil {
			t.Fatalf("%q needs hold and life", s)
		}
		from := map[string]Source{"": FromBehind, "front": FromFront, "server": FromServer}[word("from")]
		return Asked{Question{ID: number("asked"), Sealed: []byte(word("asked")), Expires: now.Add(life), Hold: hold},
			number("round"), set(t, word("only")), from}
	case "told":
		r := answer.Report{
			Seq: number("told"), Question: number("question"),
			First: slices.Contains(f, "first"), Final: slices.Contains(f, "final"), Pending: set(t, word("pending")),
		}
		r.Bundle = answer.Bundle{Question: r.Question, Set: set(t, word("set")), Tainted: slices.Contains(f, "tainted")}
		if n := r.Bundle.Set.Len(); n > 0 {
			r.Bundle.Rows, r.Bundle.Counts.Passed = rowOf(n), uint64(n)
		}
		return Told{r}
	case "acked":
		return Acked{number("acked"), numbers("unsafe"), numbers("questions")}
	case "evaluated":
		return Evaluated{Question: number("evaluated"), Rows: rowOf(1), Counts: answer.Counts{Passed: 1}}
	}
	t.Fatalf("unknown event %q", s)
	return nil
}

// lives counts the neighbours that a script has not named: each is another one.
var lives byte

// lifeOf is the life that a script calls by a letter, or one more without a name.
func lifeOf(present bool, name string) Life {
	switch {
	case !present:
		return Life{}
	case len(name) == 1:
		return Life{ID: [16]byte{name[0]}, Incarnation: 1}
	case len(name) == 2: // a letter and the incarnation
		return Life{ID: [16]byte{name[0]}, Incarnation: uint64(name[1] - '0')}
	}
	lives++
	return Life{ID: [16]byte{0, lives}, Incarnation: 1}
}

func set(t *testing.T, s string) answer.Set {
	var out answer.Set
	for _, x := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(x)
		if err != nil {
			t.Fatalf("set %q: %v", s, err)
		}
		out.Add(answer.Slot(n))
	}
	return out
}

func show(ef Effect) string {
	switch ef := ef.(type) {
	case Forward:
		return fmt.Sprintf("forward %d", ef.Question.ID) + showRound(ef.Round, ef.Only)
	case Reverse:
		return fmt.Sprintf("reverse %d", ef.Question.ID) + showRound(ef.Round, ef.Only)
	case Witness:
		return "witness " + showReport(ef.Report)
	case Suspect:
		return "suspect"
	case Trust:
		return "trust"
	case Evaluate:
		return fmt.Sprintf("evaluate %d", ef.Question.ID)
	case Ack:
		out := fmt.Sprintf("ack %d", ef.Seq)
		if len(ef.Unsafe) > 0 {
			out += " unsafe " + join(ef.Unsafe)
		}
		if len(ef.Questions) > 0 {
			out += " questions " + join(ef.Questions)
		}
		return out
	case Stalled:
		return "stalled"
	case Lost:
		return fmt.Sprintf("lost question %d: %s", ef.Question, ef.Why)
	case Send:
		return "send " + showReport(ef.Report)
	}
	panic(fmt.Sprintf("unknown effect %T", ef))
}

func showRound(round uint64, only answer.Set) string {
	if round == 0 {
		return ""
	}
	return fmt.Sprintf(" round %d only %s", round, list(only))
}

func join(numbers []uint64) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ","), "[]")
}

func showReport(r answer.Report) string {
	s := fmt.Sprintf("%d question %d", r.Seq, r.Question)
	add := func(when bool, text string) {
		if when {
			s += " " + text
		}
	}
	add(r.First, "first")
	add(r.Final, "final")
	add(!r.Pending.Empty(), "pending "+list(r.Pending))
	b := r.Bundle
	add(!b.Set.Empty(), "set "+list(b.Set))
	add(b.Tainted, "tainted")
	if n := len(b.Rows.List); n > 0 && b.Rows.List[0].Count != uint64(b.Set.Len()) || b.Counts.Passed != uint64(b.Set.Len()) || b.Question != r.Question && n > 0 {
		s += fmt.Sprintf(" BUT %+v", b)
	}
	return s
}

func list(s answer.Set) string {
	var out []string
	for x := range s.All() {
		out = append(out, strconv.Itoa(int(x)))
	}
	return strings.Join(out, ",")
}
