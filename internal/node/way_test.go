package node

import (
	"testing"
	"time"

	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/seal"
	"catenary/internal/wire"
)

// sends returns the registration among the effects, or else lets time pass
// until there is one.
func (r *rig) sends(efs []Effect) (Register, time.Duration) {
	r.Helper()
	from := r.now
	for range 1000 {
		r.refused(efs)
		if regs := of[Register](efs); len(regs) == 1 {
			return regs[0], r.now.Sub(from)
		}
		r.now = r.node.Deadline()
		efs = r.step(Tick{})
	}
	r.Fatal("the node does not register")
	return Register{}, 0
}

const keyLife = 6 * time.Hour

// keyed is a reply over TLS, which brings a key.
func (r *rig) keyed() wire.Registered {
	m := r.reply()
	m.Key, m.KeyName, m.KeyLife = [32]byte{1}, wire.KeyName{2}, keyLife
	return m
}

// same is a reply by which nothing has changed.
func (r *rig) same() wire.Registered {
	return wire.Registered{Same: true, Now: r.now.Add(r.skew)}
}

// inMiddle puts the node between two peers and gives it a key.
func (r *rig) inMiddle() {
	r.Helper()
	r.step(Tick{})
	for _, d := range of[Dial](r.step(Registered{r.keyed()})) {
		r.step(Up{Conn: d.Conn})
	}
	if r.node.chain.Leads(chain.Back) || r.node.chain.Leads(chain.Fore) {
		r.Fatal("the node leads")
	}
}

// TestWays: the first registration goes over TLS, the next by datagram: first
// everything, then only what is new, then everything again if it has changed or
// the server has forgotten it.
func TestWays(t *testing.T) {
	r := newRig(t, 1)
	first, _ := r.sends(nil)
	if first.Way != ByTLS || first.Request.IsBrief() || first.Request.State == 0 {
		t.Errorf("first %+v", first)
	}
	r = newRig(t, 1)
	r.inMiddle()
	full, _ := r.sends(nil)
	if full.Way != ByDatagram || full.Key.Key != (seal.RegistrationKey{1}) || full.Key.Name != (seal.KeyName{2}) || full.Request.IsBrief() {
		t.Fatalf("the second is %+v", full)
	}
	brief, _ := r.sends(r.step(Registered{r.same()}))
	if m := brief.Request; brief.Way != ByDatagram || !m.IsBrief() || m.State != full.Request.State || m.Sequence != full.Request.Sequence+1 || m.Peers != 77 {
		t.Errorf("the third is %+v", brief)
	}
	// The server knows the state no more: everything is said at once.
	forgotten := wire.Registered{Again: true, Now: r.now.Add(r.skew)}
	again, wait := r.sends(r.step(Registered{forgotten}))
	if wait != 0 || again.Way != ByDatagram || again.Request.IsBrief() || again.Request.Sequence != brief.Request.Sequence+1 {
		t.Errorf("after %v it says %+v", wait, again)
	}
	// A server that asks again and again gets nothing more before the next slot.
	later, wait := r.sends(r.step(Registered{forgotten}))
	if wait < 30*time.Second || later.Request.IsBrief() {
		t.Errorf("after %v it says %+v", wait, later)
	}
	// Another slot is another state.
	moved := r.reply()
	moved.Slot = 9
	changed, _ := r.sends(r.step(Registered{moved}))
	if changed.Request.IsBrief() || changed.Request.Slot != 9 {
		t.Errorf("with another slot it says %+v", changed)
	}
	key, ok := r.node.Key(r.now)
	if !ok || key != full.Key {
		t.Errorf("the key is %+v, %v", key, ok)
	}
	if _, ok := r.node.Key(r.now.Add(keyLife)); ok {
		t.Error("the key outlives itself")
	}
}

// TestSameKeepsAll: what a reply leaves out stays as it was.
func TestSameKeepsAll(t *testing.T) {
	r := newRig(t, 1)
	r.inMiddle()
	r.sends(nil)
	efs := r.step(Registered{r.same()})
	if len(of[Dial](efs))+len(of[Hangup](efs)) > 0 {
		t.Errorf("effects are %v", efs)
	}
	next, wait := r.sends(efs)
	if wait < 30*time.Second || wait > 90*time.Second {
		t.Errorf("the intervals are not kept: the next comes after %v", wait)
	}
	if m := next.Request; m.Peers != 77 {
		t.Errorf("then it says %+v", m)
	}
	if next, _ = r.sends(r.step(Registered{wire.Registered{Again: true, Now: r.now.Add(r.skew)}})); next.Request.Slot != 5 || !next.Request.HasSlot {
		t.Errorf("then it says %+v", next.Request)
	}
}

// TestUnanswered: a datagram that nobody answers is followed by TLS at once. If
// the network swallows several in a row, datagrams rest, longer each time, and
// are tried again.
func TestUnanswered(t *testing.T) {
	r := newRig(t, 1)
	r.inMiddle()
	out, _ := r.sends(nil)
	// miss lets the datagram fail, and returns how long until the next one.
	miss := func() time.Duration {
		t.Helper()
		if out.Way != ByDatagram {
			t.Fatalf("want a datagram, got %+v", out)
		}
		sequence := out.Request.Sequence
		over, wait := r.sends(r.step(NotRegistered{}))
		if over.Way != ByTLS || wait != 0 || over.Request.Sequence != sequence+1 || over.Request.IsBrief() || over.Request.Initial {
			t.Fatalf("after %v comes %+v", wait, over)
		}
		from := r.now
		for out = over; out.Way == ByTLS && r.now.Sub(from) < 5*time.Hour; {
			if out, _ = r.sends(r.step(Registered{r.keyed()})); out.Request.Initial {
				r.node.reg.initial = r.now.Add(100 * time.Hour) // not what this is about
			}
		}
		return r.now.Sub(from)
	}
	r.node.reg.initial = r.now.Add(100 * time.Hour)
	for i := range missesMax - 1 {
		if wait := miss(); wait > 90*time.Second {
			t.Fatalf("after %d misses datagrams rest for %v", i+1, wait)
		}
	}
	for _, most := range []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute} {
		if wait := miss(); wait < most/2 || wait > most+90*time.Second {
			t.Fatalf("datagrams rest for %v, want %v to %v", wait, most/2, most)
		}
	}
	// One that is answered makes up for all.
	out, _ = r.sends(r.step(Registered{r.same()}))
	if wait := miss(); wait > 90*time.Second {
		t.Errorf("after a success one miss makes datagrams rest for %v", wait)
	}
}

// TestServerIsGone: while the server does not answer over TLS either, the slots
// stay, and datagrams are not to blame.
func TestServerIsGone(t *testing.T) {
	r := newRig(t, 1)
	r.inMiddle()
	r.node.reg.initial = r.now.Add(100 * time.Hour)
	out, _ := r.sends(nil)
	for i := range 10 {
		if out.Way != ByDatagram {
			t.Fatalf("try %d goes by %v", i, out.Way)
		}
		over, wait := r.sends(r.step(NotRegistered{}))
		if over.Way != ByTLS || wait != 0 {
			t.Fatalf("after %v comes %+v", wait, over)
		}
		if out, wait = r.sends(r.step(NotRegistered{})); wait < 30*time.Second || wait > 90*time.Second {
			t.Fatalf("the next slot comes after %v", wait)
		}
	}
	if out, _ = r.sends(r.step(Registered{r.same()})); out.Way != ByDatagram {
		t.Errorf("when it is back, the next goes by %v", out.Way)
	}
}

// TestRefusedDatagram: who is refused waits for its next slot.
func TestRefusedDatagram(t *testing.T) {
	r := newRig(t, 1)
	r.inMiddle()
	r.sends(nil)
	if out, wait := r.sends(r.step(NotRegistered{Refused: true})); wait < 30*time.Second || out.Way != ByDatagram {
		t.Errorf("after %v comes %+v", wait, out)
	}
}

// TestCome: who is asked to come over TLS does, when it is told to, but does not
// wait for ever. A notice means that the key is of no use.
func TestCome(t *testing.T) {
	for _, tt := range []struct{ after, want time.Duration }{{0, 0}, {7 * time.Second, 7 * time.Second}, {time.Hour, 10 * time.Minute}} {
		r := newRig(t, 1)
		r.inMiddle()
		r.sends(nil)
		out, wait := r.sends(r.step(Come{tt.after}))
		if wait != tt.want || out.Way != ByTLS {
			t.Errorf("told to come in %v it comes after %v: %+v", tt.after, wait, out)
		}
		if _, ok := r.node.Key(r.now); ok {
			t.Error("the key is still used")
		}
		if out, _ = r.sends(r.step(Registered{r.keyed()})); out.Way != ByDatagram {
			t.Errorf("with a new key it comes by %v", out.Way)
		}
	}
	// The server has registered us, and has more for us.
	r := newRig(t, 1)
	r.inMiddle()
	r.sends(nil)
	more := r.same()
	more.Come = 3 * time.Second
	if out, wait := r.sends(r.step(Registered{more})); wait != 3*time.Second || out.Way != ByTLS || out.Request.Initial {
		t.Errorf("after %v comes %+v", wait, out)
	}
	if out, wait := r.sends(r.step(Registered{r.keyed()})); wait < 30*time.Second || out.Way != ByDatagram {
		t.Errorf("after %v comes %+v", wait, out)
	}
	// It has not, and what it has to say it says only over TLS.
	if out, wait := r.sends(r.step(Registered{wire.Registered{Again: true, Come: time.Second, Now: r.now.Add(r.skew)}})); wait != time.Second || out.Way != ByTLS {
		t.Errorf("after %v comes %+v", wait, out)
	}
	// Notices about nothing do nothing.
	due := r.node.Deadline()
	if efs := r.step(Come{0}); len(efs) > 0 || r.node.Deadline() != due {
		t.Errorf("a notice about a registration over TLS has effects %v", efs)
	}
}

// TestOldKey: a key is not used beyond its life, nor one that nobody has given.
func TestOldKey(t *testing.T) {
	r := newRig(t, 1)
	r.inMiddle()
	r.node.reg.initial = r.now.Add(100 * time.Hour)
	out, _ := r.sends(nil)
	end := r.now.Add(keyLife)
	for out.Way == ByDatagram {
		if r.now.After(end) {
			t.Fatal("the key is used beyond its life")
		}
		out, _ = r.sends(r.step(Registered{r.same()}))
	}
	if r.now.Before(end.Add(-5 * time.Minute)) {
		t.Errorf("the key is given up %v before its end", end.Sub(r.now))
	}
	if out, _ = r.sends(r.step(Registered{r.reply()})); out.Way != ByTLS {
		t.Errorf("without a key it comes by %v", out.Way)
	}
}

// TestTooMuch: what does not fit in a datagram goes over TLS.
func TestTooMuch(t *testing.T) {
	r := newRig(t, 1)
	r.node.cfg.Name = string(make([]byte, 256))
	r.inMiddle()
	r.node.debts = nil
	out, _ := r.sends(nil)
	if out.Way != ByDatagram {
		t.Fatalf("a long name goes by %v", out.Way)
	}
	m := wire.Register{Version: wire.Version, Place: place(5), Unreachable: make([]endpoint.ID, wire.UnreachableMax)}
	r.node.out = nil
	r.node.send(r.now, m)
	if out := of[Register](r.node.out)[0]; out.Way != ByTLS || out.Request.IsBrief() {
		t.Errorf("64 peers that cannot be reached go by %v", out.Way)
	}
}

// leads registers the node and makes it lead its chain on one side.
func (r *rig) leads(s chain.Side) chain.Conn {
	r.Helper()
	r.step(Tick{})
	m := r.keyed()
	if s == chain.Back {
		m.Back = nil
	} else {
		m.Fore = nil
	}
	var conn chain.Conn
	for _, d := range of[Dial](r.step(Registered{m})) {
		r.step(Up{Conn: d.Conn})
		if d.Peer == chain.Server {
			conn = d.Conn
		}
	}
	if !r.node.chain.Leads(s) {
		r.Fatal("the node does not lead")
	}
	return conn
}

// TestLeaderRegisters: a leader registers on its connection, and takes the reply from
// there. If that fails it takes another way at its next slot, and stays off that
// connection.
func TestLeaderRegisters(t *testing.T) {
	for _, s := range []chain.Side{chain.Back, chain.Fore} {
		r := newRig(t, 1)
		conn := r.leads(s)
		out, _ := r.sends(nil)
		if out.Way != ByLeader || out.Conn != conn || out.Request.IsBrief() {
			t.Fatalf("registers with %+v", out)
		}
		out, wait := r.sends(r.step(Got{conn, r.same()}))
		if wait < 30*time.Second || out.Way != ByLeader || !out.Request.IsBrief() {
			t.Errorf("after %v comes %+v", wait, out)
		}
		out, wait = r.sends(r.step(Got{conn, wire.Registered{Again: true, Now: r.now.Add(r.skew)}}))
		if wait != 0 || out.Way != ByLeader || out.Request.IsBrief() {
			t.Errorf("after %v comes %+v", wait, out)
		}
		// The reply may also come as the host's report.
		if out, wait = r.sends(r.step(Registered{r.same()})); wait < 30*time.Second || !out.Request.IsBrief() {
			t.Errorf("after %v comes %+v", wait, out)
		}
		if efs := r.step(Got{conn, wire.Refused{Reason: wire.TryLater}}); len(of[Hangup](efs)) > 0 {
			t.Errorf("a refusal has effects %v", efs)
		}
		if out, wait = r.sends(nil); wait < 30*time.Second || out.Way != ByDatagram {
			t.Errorf("after a refusal, %v later, comes %+v", wait, out)
		}
	}
}

// TestLeaderIsCutOff: when the connection ends while it registers, or nothing
// comes, the next slot is another way's.
func TestLeaderIsCutOff(t *testing.T) {
	r := newRig(t, 1)
	conn := r.leads(chain.Back)
	r.sends(nil)
	sent := r.now
	efs := r.step(Down{conn})
	if r.node.reg.waiting {
		t.Error("it waits for a reply on a connection that has ended")
	}
	if out, _ := r.sends(efs); r.now.Sub(sent) < 30*time.Second || out.Way != ByDatagram {
		t.Errorf("after %v comes %+v", r.now.Sub(sent), out)
	}
	r = newRig(t, 1)
	r.leads(chain.Back)
	r.sends(nil)
	sent = r.now
	if r.now = r.node.Deadline(); r.now.Sub(sent) > leaderTimeout {
		t.Errorf("waits for %v", r.now.Sub(sent))
	}
	out, _ := r.sends(r.step(Tick{}))
	if wait := r.now.Sub(sent); wait < 35*time.Second || wait > 95*time.Second || out.Way != ByDatagram {
		t.Errorf("after %v comes %+v", wait, out)
	}
}

// TestLeaderIsReplaced: when the node itself ends the connection while it
// registers, for somebody nearer, it registers soon another way.
func TestLeaderIsReplaced(t *testing.T) {
	r := newRig(t, 1)
	conn := r.leads(chain.Back)
	r.sends(nil)
	sent := r.now
	efs := r.step(Knock{3, wire.Hello{Version: wire.Version, Role: wire.Behind, Place: place(4)}})
	if hung := of[Hangup](efs); len(hung) != 1 || hung[0].Conn != conn {
		t.Fatalf("effects are %v", efs)
	}
	if out, _ := r.sends(efs); r.now.Sub(sent) > settleMax || out.Way != ByDatagram {
		t.Errorf("after %v comes %+v", r.now.Sub(sent), out)
	}
}

// TestFalseReplies: nobody but the server registers a client.
func TestFalseReplies(t *testing.T) {
	r := newRig(t, 1)
	conn := r.leads(chain.Back)
	r.sends(nil)
	_, peer := r.node.chain.Neighbour(chain.Fore)
	lie := r.reply()
	lie.Slot = 99
	if efs := r.step(Got{peer, lie}); len(of[Hangup](efs)) != 1 || r.node.reg.slot == 99 {
		t.Errorf("a peer's reply has effects %v, slot %d", efs, r.node.reg.slot)
	}
	r.step(Got{conn, r.same()})
	if r.step(Got{conn, lie}); r.node.reg.slot == 99 {
		t.Error("a second reply is taken")
	}
}
