package sim

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// sites are the parts of a large world: the server, and each LAN. Whatever passes
// between two of them takes its time over the WAN, so that each can be played for
// just as long without a look at the others: the LANs, to each of which only the
// server has anything to say, beside each other and beside the server. What is shared
// stands still meanwhile, and what they send is delivered in their order afterwards:
// the story does not depend on how many processors play it.
type sites struct {
	size   int           // machines of a LAN
	wan    time.Duration // the least delay between the server and a machine
	server *world
	lans   []world
	until  time.Duration // to here each is played before the next
	memory uint64        // in use, in bytes, when garbage is collected
}

// apart gives each LAN a site of its own. Nothing has happened yet.
func (w *world) apart(size int, memory uint64) {
	s := &sites{
		size: size, wan: w.weather.wanMin, memory: memory,
		server: w, lans: make([]world, 1+(len(w.hosts)-1)/size),
	}
	w.sites = s
	for i := range s.lans {
		s.lans[i] = world{w.commons, newSite(w.seed, uint64(1+i))}
		s.lans[i].near = w.hosts[i*size : min((i+1)*size, len(w.hosts))]
		s.lans[i].todo.timers = make([]timer, 0, size)
	}
}

// of is the world of a machine, or of the server, which is nil.
func (w *world) of(h *host) *world {
	switch {
	case w.sites == nil:
		return w
	case h == nil:
		return w.sites.server
	}
	return &w.sites.lans[h.index/w.sites.size]
}

// atOf lets something happen to a machine, or to the server, which is nil.
func (w *world) atOf(h *host, t time.Duration, do func()) {
	switch there := w.of(h); {
	case there == w:
		w.at(t, do)
	case t < w.sites.until:
		w.fail("what happens at %v on one site is known on another, which may be at %v", t, w.sites.until)
	case h != nil && w != w.sites.server:
		w.fail("a machine of another LAN is told something past the server: %v", h)
	case w.sites.until == 0: // nobody is at play
		there.at(t, do)
	default:
		w.away = append(w.away, parting{thing{moment{at: t}, do}, h})
	}
}

// A parting thing is to happen on another site, where somebody else is at play.
type parting struct {
	thing
	to *host // nil: the server
}

// run lets time pass on all sites, until the end.
func (s *sites) run(end time.Duration) {
	for s.server.err == nil {
		from, some := s.next()
		if !some || from > end {
			break
		}
		s.until = min(from+s.wan, end+1)
		var server sync.WaitGroup
		server.Go(func() { s.server.play(s.until) })
		s.each(func(w *world) { w.play(s.until) })
		server.Wait()
		s.deliver(s.server)
		for i := range s.lans {
			s.deliver(&s.lans[i])
		}
	}
	s.until = 0
	if s.server.err == nil {
		s.server.now = end
		for i := range s.lans {
			s.lans[i].now = end
		}
	}
}

// play lets everything happen on one site that does so before a moment.
func (w *world) play(until time.Duration) {
	for w.err == nil && w.next(until-1) {
	}
}

// each does something with all LANs, with all processors.
func (s *sites) each(do func(*world)) {
	var next atomic.Int64 // LAN that nobody has taken
	for int(next.Load()) < len(s.lans) {
		var full atomic.Bool
		var all sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			all.Go(func() {
				var scratch []byte // one for each LAN would be much
				for !full.Load() {
					i := int(next.Add(1) - 1)
					if i >= len(s.lans) {
						return
					}
					w := &s.lans[i]
					w.scratch = scratch
					do(w)
					scratch, w.scratch = w.scratch, nil
					if i%lookEvery == 0 && usedMemory() > s.memory {
						full.Store(true)
					}
				}
			})
		}
		if all.Wait(); full.Load() {
			s.collect()
		}
	}
}

// collect lets garbage go. All wait for it: beside them it would take twice as long,
// and keep what they have let go of meanwhile. A world that is too large for its
// memory gets more.
func (s *sites) collect() {
	runtime.GC()
	if used := usedMemory(); s.memory < used+used/roomMin {
		s.memory = used + used/roomMin
		debug.SetMemoryLimit(int64(s.memory) + scaleReserve)
	}
}

const (
	lookEvery = 16 // LANs after which somebody looks how much memory is in use
	roomMin   = 14 // one part in so many is for garbage, at least
)

// deliver brings what a site has sent to where it is to happen, and the server the
// law that was broken there.
func (s *sites) deliver(w *world) {
	for _, x := range w.away {
		w.of(x.to).at(x.at, x.do)
	}
	w.away = nil
	if s.server.err == nil {
		s.server.err = w.err
	}
}

// next is when something is to happen next on any site.
func (s *sites) next() (first time.Duration, some bool) {
	first, some = s.server.todo.next()
	for i := range s.lans {
		if at, any := s.lans[i].todo.next(); any && (!some || at < first) {
			first, some = at, true
		}
	}
	return first, some
}

// tolls is how much there was to do on all sites.
func (w *world) tolls() toll {
	sum := w.toll
	if w.sites == nil {
		return sum
	}
	for i := range w.sites.lans {
		t := &w.sites.lans[i].toll
		sum.events += t.events
		sum.dialled += t.dialled
		for k := range kinds {
			sum.traffic[k].join(t.traffic[k])
			sum.wan[k].join(t.wan[k])
		}
	}
	return sum
}

// fingerprint is the hash of everything that happened on any site.
func (w *world) fingerprint() uint64 {
	if w.sites != nil {
		for i := range w.sites.lans {
			w.hash.add(uint64(w.sites.lans[i].hash))
		}
	}
	return uint64(w.hash)
}
