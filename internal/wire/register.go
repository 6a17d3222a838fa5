package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/field"
)

// Register is a client's word to the server: who and where it is, and what it
// already knows (docs/protocol.md §7).
type Register struct {
	Version     uint64
	Initial     bool   // asks for everything anew, not only for news
	Incarnation uint64 // grows with each start of the client
	Sequence    uint64 // grows with each registration of one incarnation
	Place       endpoint.Place
	Name        string // computer name
	Program     string // version of the client program
	Platform    string
	Slot        answer.Slot // the slot it holds, if HasSlot
	HasSlot     bool
	Peers       uint64   // digest of the peer lists it holds; 0: none
	Known       []uint64 // live questions it holds, ascending
	Back, Fore  Neighbour
	RenewalKey  []byte // PKIX public key for which it wants a new certificate
	// BackwardLink: its backward link stands (docs/protocol.md §3.6).
	BackwardLink bool
	// Unreachable are clients of its lists that it cannot dial.
	Unreachable []endpoint.ID
	// State names all of the above that is not new each time ([Register.Named]);
	// 0: it has no name.
	State uint64
	// RoundTrip is the time to the neighbour in front and back, smoothed; 0:
	// unknown.
	RoundTrip time.Duration
	Evidence  []Evidence // that the reply before has asked for

	// What is said of sensors is none of the state: the host adds it.
	Runs        []Run    // how long they have run since this was last said
	Quarantined []uint32 // hashes of those that are not run any more, ascending
	Rules       uint64   // number of the rules for that which it holds; 0: none
}

// A Neighbour is who stands next to a client on one side.
type Neighbour struct {
	Kind endpoint.Neighbour
	ID   endpoint.ID // of a peer
}

// Registered is the server's reply.
type Registered struct {
	ComputerID  uint32
	Slot        answer.Slot
	Peers       uint64           // digest of what [Registered.Thin] may leave out
	Same        bool             // the client holds that already
	Back, Fore  []endpoint.Place // nearest first
	Questions   [][]byte         // sealed; live ones that the client does not hold
	Highest     uint64           // highest question id that was ever asked
	Now         time.Time        // the server's clock, to the millisecond
	Intervals   Intervals
	Certificate []byte   // DER, if a renewal was asked for
	Vouchers    [][]byte // of the signing keys in use
	// Direct are live questions whose answer the server lacks although the
	// client has had them: it is to give it as a [Witness].
	Direct []uint64
	// Spread is over how long leaders are to come back that lose the server.
	Spread time.Duration

	Key     [32]byte // registration key (seal.RegistrationKey), with its name
	KeyName KeyName
	KeyLife time.Duration // how long the client may use it; 0: none is given
	Again   bool          // nothing was registered: the client is to say everything
	Come    time.Duration // more than a datagram holds waits: come over TLS then; 0: no

	// LAN names the LAN that the slot belongs to: neighbours say the same.
	LAN uint64
	// From and Until bound the places whose clients may be neighbours in the
	// chain, the first inclusive; the zero Place is no bound. For a client that
	// is to be alone, both are its own place.
	From, Until endpoint.Place
	// Across are possible neighbours for files below From, nearest first.
	Across []endpoint.Place
	// Counted are live questions to which the client's answer was counted in
	// the LAN that it has left: it passes them on and does not answer again.
	Counted []uint64
	// Audits are questions of which the client is to say next time what it has
	// answered.
	Audits []Audit
	// Rules are when sensors are to be run no more, sealed; empty: the client
	// holds the newest.
	Rules []byte
}

// Intervals are the client settings that pace registrations. A client draws
// each wait evenly between the two bounds.
type Intervals struct {
	NormalMin, NormalMax   time.Duration
	InitialMin, InitialMax time.Duration
}

// Enrol asks for an identity.
type Enrol struct {
	Version uint64
	Secret  []byte // from catenary-init.dat
	Key     []byte // PKIX public key
	Name    string // computer name
}

// Enrolled is the new identity.
type Enrolled struct {
	ID          endpoint.ID
	ComputerID  uint32
	Certificate []byte // DER
}

func (Register) Kind() Kind   { return KindRegister }
func (Registered) Kind() Kind { return KindRegistered }
func (Enrol) Kind() Kind      { return KindEnrol }
func (Enrolled) Kind() Kind   { return KindEnrolled }

func (m Register) append(b []byte) []byte {
	b = field.AppendUint(b, 1, m.Version)
	b = field.AppendBool(b, 2, m.Initial)
	b = field.AppendUint(b, 3, m.Incarnation)
	b = field.AppendUint(b, 4, m.Sequence)
	b = putPlace(b, 5, m.Place)
	b = field.AppendText(b, 6, m.Name)
	b = field.AppendText(b, 7, m.Program)
	b = field.AppendText(b, 8, m.Platform)
	b = field.AppendUint(b, 9, uint64(m.Slot))
	b = field.AppendBool(b, 10, m.HasSlot)
	b = field.AppendFixed(b, 11, m.Peers)
	b = field.AppendUint(b, 13, uint64(m.Back.Kind))
	b = putID(b, 14, m.Back.ID)
	b = field.AppendUint(b, 15, uint64(m.Fore.Kind))
	b = putID(b, 16, m.Fore.ID)
	b = field.AppendBytes(b, 17, m.RenewalKey)
	for _, id := range m.Unreachable {
		b = field.AppendPart(b, 18, id[:])
	}
	b = field.AppendBool(b, 19, m.BackwardLink)
	b = field.AppendFixed(b, 20, m.State)
	b = putNumbers(b, 21, m.Known)
	for _, e := range m.Evidence {
		b = field.AppendPart(b, 27, e.append(nil))
	}
	b = field.AppendUint(b, 30, uint64(m.RoundTrip.Microseconds()))
	for _, r := range m.Runs {
		b = field.AppendPart(b, 35, r.append(nil))
	}
	b = putHashes(b, 36, m.Quarantined)
	return field.AppendUint(b, 37, m.Rules)
}

func decodeRegister(b []byte) (Message, error) {
	var m Register
	err := fields(b, func(f value) error { return m.take(f) })
	if err == nil && (m.Back.Kind > endpoint.Server || m.Fore.Kind > endpoint.Server) {
		err = errors.New("neighbour of unknown kind")
	}
	return m, err
}

func (m *Register) take(f value) error {
	switch f.Num {
	case 1:
		return f.Uint(&m.Version)
	case 2:
		return f.Bool(&m.Initial)
	case 3:
		return f.Uint(&m.Incarnation)
	case 4:
		return f.Uint(&m.Sequence)
	case 5:
		return f.place(&m.Place)
	case 6:
		return f.short(&m.Name, textMax)
	case 7:
		return f.short(&m.Program, textMax)
	case 8:
		return f.short(&m.Platform, textMax)
	case 9:
		return f.slot(&m.Slot)
	case 10:
		return f.Bool(&m.HasSlot)
	case 11:
		return f.Fixed(&m.Peers)
	case 13:
		return f.byte((*uint8)(&m.Back.Kind))
	case 14:
		return f.Exact(m.Back.ID[:])
	case 15:
		return f.byte((*uint8)(&m.Fore.Kind))
	case 16:
		return f.Exact(m.Fore.ID[:])
	case 17:
		return f.limited(&m.RenewalKey, certMax)
	case 18:
		return f.ids(&m.Unreachable, UnreachableMax)
	case 19:
		return f.Bool(&m.BackwardLink)
	case 20:
		return f.Fixed(&m.State)
	case 21:
		return f.numbers(&m.Known, knownMax)
	case 27:
		return f.evidence(&m.Evidence)
	case 30:
		return f.micros(&m.RoundTrip)
	case 35:
		return f.run(&m.Runs)
	case 36:
		return f.quarantined(&m.Quarantined)
	case 37:
		return f.Uint(&m.Rules)
	}
	return nil
}

func (m Registered) append(b []byte) []byte {
	b = field.AppendUint(b, 1, uint64(m.ComputerID))
	b = field.AppendUint(b, 2, uint64(m.Slot))
	b = field.AppendFixed(b, 3, m.Peers)
	b = field.AppendBool(b, 4, m.Same)
	for _, q := range m.Questions {
		b = field.AppendBytes(b, 7, q)
	}
	b = field.AppendUint(b, 8, m.Highest)
	b = field.AppendUint(b, 9, uint64(m.Now.UnixMilli()))
	b = field.AppendUint(b, 10, uint64(m.Intervals.NormalMin.Milliseconds()))
	b = field.AppendUint(b, 11, uint64(m.Intervals.NormalMax.Milliseconds()))
	b = field.AppendUint(b, 12, uint64(m.Intervals.InitialMin.Milliseconds()))
	b = field.AppendUint(b, 13, uint64(m.Intervals.InitialMax.Milliseconds()))
	b = field.AppendBytes(b, 14, m.Certificate)
	for _, v := range m.Vouchers {
		b = field.AppendBytes(b, 15, v)
	}
	b = putNumbers(b, 16, m.Direct)
	b = field.AppendUint(b, 17, uint64(m.Spread.Milliseconds()))
	if m.KeyLife > 0 {
		b = field.AppendPart(b, 20, m.Key[:])
		b = field.AppendPart(b, 21, m.KeyName[:])
		b = field.AppendUint(b, 22, uint64(m.KeyLife.Milliseconds()))
	}
	b = field.AppendBool(b, 23, m.Again)
	b = field.AppendUint(b, 24, uint64(m.Come.Milliseconds()))
	b = putPlaces(b, 25, m.Back)
	b = putPlaces(b, 26, m.Fore)
	for _, a := range m.Audits {
		b = field.AppendPart(b, 27, a.append(nil))
	}
	b = field.AppendFixed(b, 30, m.LAN)
	b = putPlaces(b, 31, m.Across)
	b = putPlace(b, 32, m.From)
	b = putPlace(b, 33, m.Until)
	b = putNumbers(b, 34, m.Counted)
	return field.AppendBytes(b, 35, m.Rules)
}

// vouchersMax and QuestionsMax bound what one reply may bring; the frame bounds
// their bytes.
const (
	vouchersMax  = 16
	QuestionsMax = 256
)

func decodeRegistered(b []byte) (Message, error) {
	m := Registered{Now: time.UnixMilli(0)}
	err := fields(b, func(f value) error { return m.take(f) })
	if err == nil && m.KeyLife == 0 && (m.Key != [32]byte{} || m.KeyName != KeyName{}) {
		err = errors.New("a key without a life")
	}
	return m, err
}

func (m *Registered) take(f value) error {
	switch f.Num {
	case 1:
		if f.N > 1<<32-1 {
			return errors.New("computer id exceeds 32 bits")
		}
		m.ComputerID = uint32(f.N)
		return f.Want(0)
	case 2:
		return f.slot(&m.Slot)
	case 3:
		return f.Fixed(&m.Peers)
	case 4:
		return f.Bool(&m.Same)
	case 7:
		return f.list(&m.Questions, QuestionsMax, SealedMax)
	case 8:
		return f.Uint(&m.Highest)
	case 9:
		return f.millis(&m.Now)
	case 10:
		return f.duration(&m.Intervals.NormalMin)
	case 11:
		return f.duration(&m.Intervals.NormalMax)
	case 12:
		return f.duration(&m.Intervals.InitialMin)
	case 13:
		return f.duration(&m.Intervals.InitialMax)
	case 14:
		return f.limited(&m.Certificate, certMax)
	case 15:
		return f.list(&m.Vouchers, vouchersMax, certMax)
	case 16:
		return f.numbers(&m.Direct, KnownMax)
	case 17:
		return f.duration(&m.Spread)
	case 20:
		return f.Exact(m.Key[:])
	case 21:
		return f.Exact(m.KeyName[:])
	case 22:
		return f.duration(&m.KeyLife)
	case 23:
		return f.Bool(&m.Again)
	case 24:
		return f.duration(&m.Come)
	case 25:
		return f.places(&m.Back)
	case 26:
		return f.places(&m.Fore)
	case 27:
		return f.audit(&m.Audits)
	case 30:
		return f.Fixed(&m.LAN)
	case 31:
		return f.places(&m.Across)
	case 32:
		return f.place(&m.From)
	case 33:
		return f.place(&m.Until)
	case 34:
		return f.numbers(&m.Counted, KnownMax)
	case 35:
		return f.limited(&m.Rules, rulesMax)
	}
	return nil
}

func (m Enrol) append(b []byte) []byte {
	b = field.AppendUint(b, 1, m.Version)
	b = field.AppendBytes(b, 2, m.Secret)
	b = field.AppendBytes(b, 3, m.Key)
	return field.AppendText(b, 4, m.Name)
}

func decodeEnrol(b []byte) (Message, error) {
	var m Enrol
	err := fields(b, func(f value) error {
		switch f.Num {
		case 1:
			return f.Uint(&m.Version)
		case 2:
			return f.limited(&m.Secret, secretSize)
		case 3:
			return f.limited(&m.Key, certMax)
		case 4:
			return f.short(&m.Name, textMax)
		}
		return nil
	})
	return m, err
}

func (m Enrolled) append(b []byte) []byte {
	b = putID(b, 1, m.ID)
	b = field.AppendUint(b, 2, uint64(m.ComputerID))
	return field.AppendBytes(b, 3, m.Certificate)
}

func decodeEnrolled(b []byte) (Message, error) {
	var m Enrolled
	err := fields(b, func(f value) error {
		switch f.Num {
		case 1:
			return f.Exact(m.ID[:])
		case 2:
			if f.N > 1<<32-1 {
				return errors.New("computer id exceeds 32 bits")
			}
			m.ComputerID = uint32(f.N)
			return f.Want(0)
		case 3:
			return f.limited(&m.Certificate, certMax)
		}
		return nil
	})
	return m, err
}

// A place is the address in 16 bytes (IPv4 in its IPv6-mapped form), the port
// in 2, big-endian, and the client's ID in 16, in one string of bytes.
func putPlace(b []byte, num field.Number, p endpoint.Place) []byte {
	if !p.Addr.IsValid() {
		return b
	}
	a := p.Addr.Addr().As16()
	v := make([]byte, 0, addressMax+len(p.ID))
	v = append(v, a[:]...)
	v = append(v, byte(p.Addr.Port()>>8), byte(p.Addr.Port()))
	return field.AppendBytes(b, num, append(v, p.ID[:]...))
}

func putID(b []byte, num field.Number, id endpoint.ID) []byte {
	if id.Zero() {
		return b
	}
	return field.AppendBytes(b, num, id[:])
}

func (x value) place(to *endpoint.Place) error {
	if len(x.B) != addressMax+len(to.ID) {
		return fmt.Errorf("place of %d bytes", len(x.B))
	}
	addr := netip.AddrFrom16([16]byte(x.B[:16])).Unmap()
	to.Addr = netip.AddrPortFrom(addr, uint16(x.B[16])<<8|uint16(x.B[17]))
	copy(to.ID[:], x.B[addressMax:])
	return x.Want(2)
}

func (x value) list(to *[][]byte, count, size int) error {
	if len(*to) == count || len(x.B) == 0 || len(x.B) > size {
		return fmt.Errorf("more than %d entries, or one not of 1 to %d bytes", count, size)
	}
	*to = append(*to, x.B)
	return x.Want(2)
}

func (x value) limited(to *[]byte, size int) error {
	if len(x.B) > size {
		return fmt.Errorf("has %d bytes; the limit is %d", len(x.B), size)
	}
	return x.Bytes(to)
}

func (x value) short(to *string, size int) error {
	if len(x.B) > size {
		return fmt.Errorf("has %d bytes; the limit is %d", len(x.B), size)
	}
	return x.Text(to)
}

func (x value) slot(to *answer.Slot) error {
	if x.N >= answer.SlotMax {
		return fmt.Errorf("slot %d does not exist", x.N)
	}
	*to = answer.Slot(x.N)
	return x.Want(0)
}

func (x value) byte(to *uint8) error {
	if x.N > 255 {
		return fmt.Errorf("%d does not fit in a byte", x.N)
	}
	*to = uint8(x.N)
	return x.Want(0)
}

// durationMax and timeMax keep arithmetic on what a message says from
// overflowing: 10 years, and the year 9999.
const (
	durationMax = 10 * 365 * 24 * time.Hour
	timeMax     = 253402300799999 // milliseconds since 1970
)

func (x value) duration(to *time.Duration) error {
	if x.N > uint64(durationMax.Milliseconds()) {
		return fmt.Errorf("%d ms is too long", x.N)
	}
	*to = time.Duration(x.N) * time.Millisecond
	return x.Want(0)
}

// roundTripMax is far beyond any that a link survives.
const roundTripMax = time.Hour

func (x value) micros(to *time.Duration) error {
	if x.N > uint64(roundTripMax.Microseconds()) {
		return fmt.Errorf("%d µs is too long", x.N)
	}
	*to = time.Duration(x.N) * time.Microsecond
	return x.Want(0)
}

func (x value) millis(to *time.Time) error {
	if x.N > timeMax {
		return fmt.Errorf("%d ms is too late", x.N)
	}
	*to = time.UnixMilli(int64(x.N))
	return x.Want(0)
}
