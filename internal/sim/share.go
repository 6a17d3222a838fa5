package sim

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/node"
	"catenary/internal/seal"
	"catenary/internal/wire"
)

// A shared is what a large world keeps once although every machine has it: a
// million copies of the same bytes would show nothing but how much memory there
// is. Everything still crosses each link as a frame, there and back; what was
// read is then exchanged for the copy that is just the same.
type shared struct {
	ring     *opener
	up, down []endpoint.Place // of all machines, in the order of their places and against it
	names    string           // of all machines, each of nameSize bytes
}

// nameSize is the length of "machine-0000001".
const nameSize = 15

// share lets the world be large. Its machines are all there.
func (w *world) share() {
	s := &shared{ring: &opener{ring: seal.NewRing(w.keys.root.public), right: map[string]opened{}}}
	for _, h := range w.hosts {
		s.up = append(s.up, h.place)
	}
	names := make([]byte, 0, len(w.hosts)*nameSize)
	for i := range w.hosts {
		names = fmt.Appendf(names, "machine-%07d", i)
	}
	s.names = string(names)
	s.down = slices.Clone(s.up)
	slices.Reverse(s.down)
	w.shared = s
}

// the returns the message with a question in the one copy that there is of it.
func (s *shared) the(w *world, m wire.Message) wire.Message {
	if q, ok := m.(wire.Question); ok && s != nil {
		q.Sealed = w.sealed(q.Sealed)
		return q
	}
	return m
}

// thin does the same with what a reply says.
func (s *shared) thin(w *world, m *wire.Registered) {
	if s == nil {
		return
	}
	m.Back, m.Fore = list(s.down, m.Back, against), list(s.up, m.Fore, endpoint.Place.Compare)
	for i := range m.Questions {
		m.Questions[i] = w.sealed(m.Questions[i])
	}
	if len(m.Vouchers) == 1 && bytes.Equal(m.Vouchers[0], w.keys.voucher) {
		m.Vouchers[0] = w.keys.voucher
	}
}

// sealed returns the server's own copy of a question, if it is one.
func (w *world) sealed(b []byte) []byte {
	for _, q := range w.server.live {
		if bytes.Equal(q.sealed, b) {
			return q.sealed
		}
	}
	return b
}

// list returns the part of all that is the same as a list of neighbours.
func list(all, of []endpoint.Place, order func(a, b endpoint.Place) int) []endpoint.Place {
	if len(of) == 0 {
		return nil
	}
	if i, found := slices.BinarySearchFunc(all, of[0], order); found && i+len(of) <= len(all) {
		if part := all[i : i+len(of) : i+len(of)]; slices.Equal(part, of) {
			return part
		}
	}
	return of
}

func against(a, b endpoint.Place) int { return b.Compare(a) }

// An opener is the ring of every machine of a large world. A signature that it
// has found right it does not check again.
type opener struct {
	ring    *seal.Ring
	mu      sync.RWMutex      // guards the rest, and ring
	right   map[string]opened // by message
	checked int               // signatures
}

type opened struct {
	purpose seal.Purpose
	payload []byte
}

var _ node.Ring = (*opener)(nil)

func (o *opener) Open(now time.Time, p seal.Purpose, sealed []byte) ([]byte, error) {
	if x, known := o.known(sealed); known && x.purpose == p {
		return x.payload, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if x, known := o.right[string(sealed)]; known && x.purpose == p { // meanwhile
		return x.payload, nil
	}
	o.checked++
	payload, err := o.ring.Open(now, p, sealed)
	if err == nil {
		o.right[string(sealed)] = opened{p, payload}
	}
	return payload, err
}

func (o *opener) known(sealed []byte) (opened, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	x, known := o.right[string(sealed)]
	return x, known
}

func (o *opener) Add(voucher []byte) error {
	if _, known := o.known(voucher); known {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.right[string(voucher)]; known { // meanwhile
		return nil
	}
	o.checked++
	if err := o.ring.Add(voucher); err != nil {
		return err
	}
	o.right[string(voucher)] = opened{seal.Voucher, nil}
	return nil
}
