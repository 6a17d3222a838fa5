package dispatch

import (
	"net/netip"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/server/roster"
	"catenary/internal/wire"
)

// TestDeadStayDead: a machine that was found dead is not waited for by the next
// question either, until something is heard of it.
func TestDeadStayDead(t *testing.T) {
	for name, tt := range map[string]struct {
		after    func(w *traveller)
		expected int
		gone     bool
	}{
		"nothing":   {func(*traveller) {}, 2, true},
		"registers": {func(w *traveller) { w.come(1, 1) }, 3, false},
		"leads": {func(w *traveller) {
			w.desk.Lead(w.now, 50, endpoint.ID{2}, wire.BackwardLeader, w.at[1].LAN, nil)
		}, 3, false},
		"expires": {func(w *traveller) {
			w.now = w.now.Add(5 * time.Minute)
			w.desk.Off(w.roster.Expire(w.now))
			w.come(0, 1)
			w.come(2, 1)
		}, 2, false},
		"is named from another LAN": {func(w *traveller) {
			w.come(1, 1)
			w.come(3, 2)
			w.bury(t, 2, 1)
		}, 4, false},
		"is named after it has expired": {func(w *traveller) {
			w.now = w.now.Add(5 * time.Minute)
			w.desk.Off(w.roster.Expire(w.now))
			w.come(0, 1)
			w.come(2, 1)
			w.bury(t, 1, 1)
		}, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTraveller()
			for n := range 3 {
				w.come(n, 1)
			}
			w.bury(t, 1, 1)
			tt.after(w)
			w.ask()
			w.want(t, tt.expected, 0)
			if got := w.desk.Gone(endpoint.ID{2}); got != tt.gone {
				t.Errorf("is gone: %v", got)
			}
			if len(w.desk.dead) > 1 {
				t.Errorf("remembers %v", w.desk.dead)
			}
		})
	}
}

// bury lets the leader of a LAN name client n dead.
func (w *traveller) bury(t *testing.T, lan, n int) {
	t.Helper()
	key := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(lan), 0}), 24)
	if _, err := w.desk.Got(w.now, w.lines[key], wire.Gone{Clients: []endpoint.ID{{byte(n + 1)}}}); err != nil {
		t.Fatal(err)
	}
}

// TestAwaited: who has not registered since the server started is expected, and
// counted by its seat, before it comes.
func TestAwaited(t *testing.T) {
	w := newTraveller()
	w.come(0, 1)
	lan := w.at[0].LAN
	w.desk.Ask(w.now, Question{
		ID: travelled, Sealed: []byte{1}, Issued: w.now, Expires: w.now.Add(time.Minute), Limit: time.Minute,
		Awaited: []roster.Seat{{LAN: lan, Slot: 7}, {LAN: netip.MustParsePrefix("10.0.9.0/24"), Slot: 0}},
	})
	w.want(t, 3, 0)
	_, r := w.answered(1, 0)
	r.Bundle.Set.Add(answer.Slot(7))
	w.deliver(t, lan, r)
	w.want(t, 3, 2)
}
