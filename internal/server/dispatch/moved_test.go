package dispatch

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/server/roster"
	"catenary/internal/server/tally"
	"catenary/internal/wire"

	"pgregory.net/rapid"
)

// A traveller is a desk of one question, and clients that move between LANs
// while it lives.
type traveller struct {
	desk   *Desk
	roster *roster.Roster
	now    time.Time
	lines  map[netip.Prefix]Line
	at     map[int]roster.Placement
}

const travelled = 1 // the question

func newTraveller() *traveller {
	r := roster.New(roster.DefaultBoundaries)
	return &traveller{New(r, 0), r, time.Unix(1_800_000_000, 0), map[netip.Prefix]Line{}, map[int]roster.Placement{}}
}

// come registers client n in the LAN of the given number.
func (w *traveller) come(n, lan int, known ...uint64) News {
	p := endpoint.Place{
		Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(lan), byte(n + 1)}), 17472), ID: endpoint.ID{byte(n + 1)},
	}
	pl, ok := w.roster.Register(w.now, roster.Claim{Place: p})
	if !ok {
		panic("no slot")
	}
	w.at[n] = pl
	if w.lines[pl.LAN] == 0 {
		w.lines[pl.LAN] = Line(len(w.lines) + 1)
		w.desk.Lead(w.now, w.lines[pl.LAN], endpoint.ID{99, byte(lan)}, wire.ForwardLeader, pl.LAN, nil)
	}
	news, _ := w.desk.Register(w.now, pl.Place, pl, known)
	return news
}

func (w *traveller) ask() {
	w.desk.Ask(w.now, Question{ID: travelled, Sealed: []byte{1}, Issued: w.now, Expires: w.now.Add(10 * time.Minute), Limit: time.Minute})
}

// answered is the report of a bundle that holds these clients' answers, as they
// stand now.
func (w *traveller) answered(seq uint64, clients ...int) (netip.Prefix, answer.Report) {
	b := answer.Bundle{Question: travelled, Rows: answer.RowsOf(answer.ChainLimits)}
	var rows []answer.Row
	for _, n := range clients {
		b.Set.Add(w.at[n].Slot)
		rows = append(rows, answer.Key{}.Row([]answer.Cell{{fmt.Sprint(n)}}))
	}
	b.Rows = answer.RowsOf(answer.ChainLimits, rows...)
	return w.at[clients[0]].LAN, answer.Report{Seq: seq, Question: travelled, Bundle: b}
}

func (w *traveller) deliver(t rapid.TB, lan netip.Prefix, r answer.Report) tally.Verdict {
	t.Helper()
	effects, err := w.desk.Got(w.now, w.lines[lan], wire.Answer{Report: r})
	if err != nil {
		t.Fatal(err)
	}
	for _, ef := range effects {
		if taken, ok := ef.(Taken); ok {
			return taken.Verdict
		}
	}
	t.Fatal("nothing became of a report")
	return 0
}

func (w *traveller) want(t *testing.T, expected, answered int) {
	t.Helper()
	count, _ := w.desk.Tally(travelled)
	if p := count.Progress(); p.Expected != expected || p.Answered != answered {
		t.Fatalf("%d expected, %d answered, want %d and %d", p.Expected, p.Answered, expected, answered)
	}
}

// TestMovesAfterAnswer: who is counted is neither expected nor asked elsewhere,
// however often it moves and registers.
func TestMovesAfterAnswer(t *testing.T) {
	w := newTraveller()
	w.come(0, 1)
	w.come(1, 1)
	w.ask()
	w.want(t, 2, 0)
	lan, r := w.answered(1, 0)
	if v := w.deliver(t, lan, r); v != tally.Counted {
		t.Fatal(v)
	}
	for i, lan := range []int{2, 2, 3, 3, 1, 1, 2} {
		w.now = w.now.Add(time.Minute)
		news := w.come(0, lan)
		if !slices.Equal(news.Counted, []uint64{travelled}) || len(news.Direct) != 0 || len(news.Questions) != 1 {
			t.Fatalf("at step %d it is told %+v", i, news)
		}
		w.want(t, 2, 1)
	}
}

// TestMovesBeforeAnswer: who is not counted is expected where it is now only,
// and hears of the question again although it says to know it.
func TestMovesBeforeAnswer(t *testing.T) {
	w := newTraveller()
	w.come(0, 1)
	w.come(1, 1)
	w.ask()
	oldLAN, both := w.answered(1, 0, 1) // still on its way
	news := w.come(0, 2, travelled)
	if len(news.Questions) != 1 || len(news.Counted) != 0 {
		t.Fatalf("%+v", news)
	}
	w.want(t, 2, 0)
	if v := w.deliver(t, oldLAN, both); v != tally.Foreign {
		t.Fatalf("what was on its way is %v", v)
	}
	w.want(t, 2, 0)
	lan, r := w.answered(2, 0)
	if v := w.deliver(t, lan, r); v != tally.Counted {
		t.Fatal(v)
	}
	w.want(t, 2, 1)
	if news := w.come(0, 1); !slices.Equal(news.Counted, []uint64{travelled}) {
		t.Fatalf("back again: %+v", news)
	}
	w.want(t, 2, 1)
	lan, r = w.answered(2, 1) // asked again
	if v := w.deliver(t, lan, r); v != tally.Counted {
		t.Fatal(v)
	}
	w.want(t, 2, 2)
}

// TestNobodyIsCountedTwice: clients move as they like, answer where they stand
// unless they are told not to, and their answers arrive late and in any order;
// every row counts its machine once at the most.
func TestNobodyIsCountedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const clients = 4
		w := newTraveller()
		for n := range clients {
			w.come(n, 1)
		}
		w.ask()
		begun := w.now
		type sent struct {
			lan    netip.Prefix
			report answer.Report
		}
		var under []sent
		silent := map[int]bool{}
		client := rapid.IntRange(0, clients-1)
		t.Repeat(map[string]func(*rapid.T){
			"move": func(t *rapid.T) {
				if w.now.Sub(begun) < 50*time.Minute {
					w.now = w.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "s")) * time.Second)
				}
				n := client.Draw(t, "client")
				silent[n] = len(w.come(n, rapid.IntRange(1, 3).Draw(t, "lan")).Counted) > 0
			},
			"off": func(t *rapid.T) {
				if w.now.Sub(begun) > 50*time.Minute {
					return // a question lives no longer than a slot rests
				}
				w.now = w.now.Add(5 * time.Minute)
				w.desk.Off(w.roster.Expire(w.now))
				w.at = map[int]roster.Placement{}
			},
			"answer": func(t *rapid.T) {
				n := client.Draw(t, "client")
				pl, here := w.at[n]
				if !here || silent[n] {
					return
				}
				members := []int{n}
				if m := client.Draw(t, "other"); m != n && w.at[m].LAN == pl.LAN && !silent[m] && rapid.Bool().Draw(t, "merged") {
					members = append(members, m)
				}
				lan, r := w.answered(uint64(len(under)+1), members...)
				r.Bundle.Tainted = rapid.Bool().Draw(t, "tainted")
				under = append(under, sent{lan, r})
			},
			"arrive": func(t *rapid.T) {
				if len(under) > 0 {
					i := rapid.IntRange(0, len(under)-1).Draw(t, "which")
					w.deliver(t, under[i].lan, under[i].report)
				}
			},
			"": func(t *rapid.T) {
				count, _ := w.desk.Tally(travelled)
				p := count.Progress()
				if p.Expected > clients || p.Answered > p.Expected {
					t.Fatalf("%d of %d machines are expected, %d have answered", p.Expected, clients, p.Answered)
				}
				for _, row := range count.Result().Rows.List {
					if row.Count > 1 {
						t.Fatalf("machine %v is counted %d times", row.Cells, row.Count)
					}
				}
			},
		})
	})
}
