package lab

import (
	"context"
	"fmt"
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
			return nil
		}
		if took > e.Within {
			t.misses++
			t.say("FAILED: %s%s", said, after(e, took))
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
			ok = r.complete() || r.Left <= 0
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
	default:
		panic(fmt.Sprintf("lab: unknown claim %T", c))
	}
}

func closed(r result) string {
	if r.Left <= 0 {
		return ", the question is closed"
	}
	return ""
}

// people judges the names in the answer.
func (t *teller) people(ctx context.Context, c Claim) (bool, string, error) {
	r, err := t.progress(ctx, t.question, true)
	if err != nil {
		return false, "", err
	}
	names, err := r.names()
	if err != nil {
		return false, "", err
	}
	if _, ok := c.(NobodyTwice); ok {
		var all []string
		for n := range names {
			all = append(all, n)
		}
		ok, said := judge(names, all, nil)
		return ok, said, nil
	}
	now, err := t.running(ctx)
	if err != nil {
		return false, "", err
	}
	ok, said := judge(names, t.question.expected, now)
	return ok, said, nil
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
func (t *teller) bytes(ctx context.Context, c Claim) (bool, string, error) {
	tr, err := t.traffic(ctx)
	if err != nil {
		return false, "", err
	}
	switch c := c.(type) {
	case AtLeast:
		return t.factor(tr, c.Name) >= c.Times, t.against(tr, c.Name), nil
	case Under:
		s := tr.Sites[c.Site-1]
		n, what := s.WAN.Sum(), "both ways"
		if c.Of == LAN {
			b := s.busiest()
			n, what = b.Sum(), "at the busiest host, "+b.Host
		}
		return n < c.Bytes, fmt.Sprintf("%s %s", size(n), what), nil
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
