package lab

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

const (
	// answerEvery is how often an answer is looked at, and so how exactly its
	// time is known.
	answerEvery = 5 * time.Millisecond
	// lookEvery is how often the lab is looked at: each look reads the
	// connections of every host.
	lookEvery = 100 * time.Millisecond
)

// expect waits for a claim to become true, and prints what came of it.
func (t *teller) expect(ctx context.Context, e Expect) error {
	from, every := time.Now(), lookEvery
	switch e.Claim.(type) {
	case Complete, Closed, Answered, Living:
		from, every = t.question.asked, answerEvery
	}
	e.Within = time.Duration(t.patience * float64(e.Within))
	for {
		ok, said, err := t.holds(ctx, e.Claim)
		took := time.Since(from)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && e.Within == 0:
			return err
		case err != nil: // the server is down, say
			ok, said = false, err.Error()
		}
		if ok && (e.Within == 0 || took <= e.Within) {
			t.say("ok: %s%s", said, after(e, took))
			t.figure(e, said, took, true)
			return nil
		}
		if took > e.Within {
			t.misses++
			t.say("FAILED: %s%s", said, after(e, took))
			t.figure(e, said, took, false)
			return nil
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
		}
	}
}

func after(e Expect, took time.Duration) string {
	if e.Within == 0 {
		return ""
	}
	return fmt.Sprintf(" after %.3f s", took.Seconds())
}

// figure keeps what an expectation has measured, if that has a name.
func (t *teller) figure(e Expect, said string, took time.Duration, ok bool) {
	if e.As == "" {
		return
	}
	f := Figure{Name: e.As, Seen: said, Ok: ok}
	switch c := e.Claim.(type) {
	case Standing:
	case Under:
		f.Limit = "under " + formatBytes(c.Bytes)
	case AtLeast:
		f.Limit = fmt.Sprintf("at least %g times", c.Times)
	case Count:
		if f.Limit = fmt.Sprintf("%d in each", c.N); c.Of == Connections {
			break
		}
		f.time(e.Within, took)
	default:
		f.time(e.Within, took)
	}
	t.figures = append(t.figures, f)
}

// time makes the figure one of how long something took.
func (f *Figure) time(within, took time.Duration) {
	f.Limit = "within " + within.String()
	if f.Seen = fmt.Sprintf("%.3f s", took.Seconds()); !f.Ok {
		f.Seen = "not after " + f.Seen
	}
}

// holds looks whether a claim is true now, and says what it has seen.
func (t *teller) holds(ctx context.Context, c Claim) (ok bool, said string, err error) {
	switch c := c.(type) {
	case Complete, Closed, Answered:
		r, err := t.progress(ctx, t.question, false)
		if err != nil {
			return false, "", err
		}
		switch c := c.(type) {
		case Answered:
			ok = r.Answered == c.N
		case Closed:
			if r.Left <= 0 && !r.complete() {
				return t.whyNot(ctx, r)
			}
			ok = r.complete()
		default:
			ok = r.complete()
		}
		return ok, r.String() + closed(r), nil
	case Living, NobodyTwice:
		return t.people(ctx, c)
	case Registered:
		n, err := t.session.ClientCount(ctx)
		return n == c.N, fmt.Sprintf("%d are registered", n), err
	case Count:
		st, err := t.status(ctx)
		if err != nil {
			return false, "", err
		}
		ok, said = c.holds(st)
		return ok, said, nil
	case Under, AtLeast:
		return t.bytes(ctx, c)
	case Standing:
		return t.standing(ctx, c)
	default:
		panic(fmt.Sprintf("lab: unknown claim %T", c))
	}
}

// whyNot looks whether the server says why a question has ended incomplete.
func (t *teller) whyNot(ctx context.Context, r result) (bool, string, error) {
	var account struct {
		Why string `json:"end_reason"`
	}
	if err := t.session.Call(ctx, "GET", fmt.Sprintf("questions/%d/account", t.question.id), nil, &account); err != nil {
		return false, "", err
	}
	return account.Why != "", fmt.Sprintf("%v%s: %s", r, closed(r), cmp.Or(account.Why, "nobody knows why")), nil
}

func closed(r result) string {
	if r.Left <= 0 {
		return ", the question is closed"
	}
	return ""
}

// people judges the names in the answer.
func (t *teller) people(ctx context.Context, c Claim) (bool, string, error) {
	_, waits := c.(Living)
	if waits && t.judged.stands(time.Now()) {
		// The rows of all machines, and how all of them stand, cost what the
		// machine needs for the story: they are looked at when there is news.
		r, err := t.progress(ctx, t.question, false)
		if err != nil || r.Answered == t.judged.answered {
			return t.judged.ok, t.judged.said, err
		}
	}
	ok, said, answered, err := t.judge(ctx, c)
	if t.judged = (judgement{}); waits && err == nil {
		t.judged = judgement{ok, said, answered, time.Now()}
	}
	return ok, said, err
}

// A judgement is what came of looking at the names in an answer.
type judgement struct {
	ok       bool
	said     string
	answered int // machines, then
	at       time.Time
}

// stands reports whether the same would come of another look, but for news.
func (j judgement) stands(now time.Time) bool { return !j.ok && now.Sub(j.at) < lookEvery }

func (t *teller) judge(ctx context.Context, c Claim) (ok bool, said string, answered int, err error) {
	r, err := t.progress(ctx, t.question, true)
	if err != nil {
		return false, "", 0, err
	}
	names, err := r.names()
	if err != nil {
		return false, "", 0, err
	}
	if _, ok := c.(NobodyTwice); ok {
		var all []string
		for n := range names {
			all = append(all, n)
		}
		ok, said = judge(names, all, nil)
		return ok, said, r.Answered, nil
	}
	now, err := t.running(ctx)
	if err != nil {
		return false, "", 0, err
	}
	ok, said = judge(names, t.question.expected, now)
	return ok, said, r.Answered, nil
}

// standing looks how the server says that hosts stand.
func (t *teller) standing(ctx context.Context, c Standing) (ok bool, said string, err error) {
	var all []struct {
		Name   string `json:"host_name"` // none in what stands behind the clients
		Status string `json:"status"`
	}
	if err := t.session.Call(ctx, "GET", "system_status", nil, &all); err != nil {
		return false, "", err
	}
	is := map[string]string{}
	for _, s := range all {
		is[s.Name] = s.Status
	}
	var list []string
	ok = true
	for name := range t.names(c.Of) {
		ok = ok && slices.Contains(strings.Split(is[name], ", "), c.Word)
		list = append(list, fmt.Sprintf("%s: %s", name, cmp.Or(is[name], "not registered")))
	}
	return ok, strings.Join(list, "; "), nil
}

// names are those of the hosts that a target of the kind SomeHosts names.
func (l *outer) names(of Target) iter.Seq[string] {
	return func(yield func(string) bool) {
		for number := 1; number <= l.Sites[of.Site-1].Hosts; number++ {
			if of.includes(of.Site, number) && !yield(hostName(of.Site, number)) {
				return
			}
		}
	}
}

// holds counts chains or connections in the kernels' eyes.
func (c Count) holds(st *Status) (ok bool, said string) {
	ok = true
	var all []string
	for _, s := range st.Sites {
		if c.Site != 0 && c.Site != s.Site {
			continue
		}
		n := st.Connections[s.Site-1]
		var tangles []string
		if c.Of == Chains {
			n = 0
			for _, ch := range st.Chains {
				if ch.Site == s.Site {
					n++
					tangles = append(tangles, ch.Tangles...)
				}
			}
		}
		ok = ok && n == c.N && tangles == nil
		text := fmt.Sprintf("s%d has %d", s.Site, n)
		if tangles != nil {
			text += " (" + strings.Join(tangles, "; ") + ")"
		}
		all = append(all, text)
	}
	return ok, strings.Join(all, ", ") + " " + string(c.Of)
}

// bytes compares the counters since the mark.
func (t *teller) bytes(ctx context.Context, c Claim) (ok bool, said string, err error) {
	tr, err := t.traffic(ctx)
	if err != nil {
		return false, "", err
	}
	switch c := c.(type) {
	case AtLeast:
		return t.factor(tr, c.Name) >= c.Times, t.against(tr, c.Name), nil
	case Under:
		s := tr.Sites[c.Site-1]
		n := s.WAN.Sum()
		said = exact(n) + " both ways"
		if c.Of == LAN {
			b := s.busiest()
			n = b.Sum()
			said = fmt.Sprintf("%s at %s, %s for each link", exact(n), b.Host, exact(s.perLink()))
		}
		return n < c.Bytes, said, nil
	default:
		panic(fmt.Sprintf("lab: %T is not about bytes", c))
	}
}

// progress asks how far the question has come; rows are asked for by need.
func (l *outer) progress(ctx context.Context, q question, rows bool) (result, error) {
	if rows {
		var data struct {
			Sets []result `json:"result_sets"`
		}
		err := l.session.Call(ctx, "GET", fmt.Sprintf("result_data/question/%d", q.id), nil, &data)
		return first(data.Sets), err
	}
	var data struct {
		Infos []result `json:"result_infos"`
	}
	err := l.session.Call(ctx, "GET", fmt.Sprintf("result_info/question/%d", q.id), nil, &data)
	return first(data.Infos), err
}

func first(all []result) result {
	if len(all) == 0 {
		return result{}
	}
	return all[0]
}
