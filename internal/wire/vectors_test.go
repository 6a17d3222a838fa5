package wire

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/seal"

	"github.com/dchest/siphash"
)

var update = flag.Bool("update", false, "write testdata/vectors.txt anew")

const vectorsFile = "testdata/vectors.txt"

const vectorsHead = `# Test vectors of the Catenary chain protocol, version 1 (docs/protocol.md §10).
#
# An entry is its name, what it says in words, and named strings of bytes in
# hexadecimal ("-" for none); an indented line continues the one above. Entries
# whose name starts with "frame" are whole frames: length, kind, message. Who
# decodes "bytes" must get what the words say, and who encodes that must get
# "bytes". Frames stand for themselves, but for those of entries whose name
# starts with "connection": there they refer to rows of earlier frames.
`

// A vector is one entry of the file. It holds one of the fields below its words.
type vector struct {
	name, says string
	message    Message
	letter     *Letter
	set        *answer.Set
	row        *rowVector
	sealed     *sealedVector
	skipped    []byte    // a frame of a kind that nobody knows
	crossing   []Message // what one connection carries
	digest     []Message // likewise, too much to print
	datagram   *datagramVector
}

type rowVector struct {
	key   answer.Key
	cells []answer.Cell
}

type sealedVector struct {
	purpose seal.Purpose
	seed    []byte
	payload []byte
}

// A part is one named string of bytes.
type part struct {
	name  string
	bytes []byte
}

func (v vector) parts() []part {
	switch {
	case v.crossing != nil || v.digest != nil:
		return v.connectionParts()
	case v.datagram != nil:
		return v.datagram.parts()
	case v.message != nil:
		return []part{{"bytes", Append(nil, v.message)}}
	case v.letter != nil:
		return []part{{"bytes", v.letter.Append(nil)}}
	case v.set != nil:
		return []part{{"bytes", appendSet(nil, *v.set)}}
	case v.row != nil:
		hash := v.row.key.Row(v.row.cells).Hash
		return []part{{"key", v.row.key[:]}, {"hashed", v.row.hashed()}, {"hash", binary.BigEndian.AppendUint64(nil, hash)}}
	case v.sealed != nil:
		key := ed25519.NewKeyFromSeed(v.sealed.seed)
		return []part{{"seed", v.sealed.seed}, {"payload", v.sealed.payload}, {"bytes", seal.Sign(key, v.sealed.purpose, v.sealed.payload)}}
	}
	return []part{{"bytes", v.skipped}}
}

// hashed is what docs/protocol.md §6.1 says is hashed of a row.
func (v rowVector) hashed() []byte {
	var b []byte
	for _, c := range v.cells {
		b = binary.AppendUvarint(b, uint64(len(c)))
		for _, text := range c {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
	}
	return b
}

func (v vector) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "name    %s\n", v.name)
	for i, line := range strings.Split(strings.TrimSpace(v.says), "\n") {
		label := "        "
		if i == 0 {
			label = "says    "
		}
		fmt.Fprintf(&s, "%s%s\n", label, strings.TrimSpace(line))
	}
	for _, p := range v.parts() {
		text := cmp.Or(hex.EncodeToString(p.bytes), "-")
		for i := 0; i == 0 || i < len(text); i += 64 {
			label := "        "
			if i == 0 {
				label = fmt.Sprintf("%-8s", p.name)
			}
			fmt.Fprintf(&s, "%s%s\n", label, text[i:min(i+64, len(text))])
		}
	}
	return s.String()
}

// TestVectorsFile: the file says exactly what vectors() does.
func TestVectorsFile(t *testing.T) {
	parts := []string{vectorsHead}
	for _, v := range vectors() {
		parts = append(parts, v.String())
	}
	want := strings.Join(parts, "\n")
	if *update {
		if err := os.WriteFile(vectorsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what this version encodes: the protocol has changed, or run the test with -update", vectorsFile)
	}
}

// TestVectorsDecode reads the file as another implementation would, and
// decodes its bytes.
func TestVectorsDecode(t *testing.T) {
	file := readVectors(t)
	for _, v := range vectors() {
		parts := file[v.name]
		b := parts["bytes"]
		var got any
		var err error
		switch {
		case v.message != nil:
			got, err = Decode(body(t, b))
			if d := diff(v.message, got); d != "" {
				t.Errorf("%s decodes to something else (-want +got):\n%s", v.name, d)
			}
		case v.letter != nil:
			got, err = DecodeLetter(b)
			if d := diff(*v.letter, got); d != "" {
				t.Errorf("%s decodes to something else (-want +got):\n%s", v.name, d)
			}
		case v.set != nil:
			var s answer.Set
			if s, err = decodeSet(b); !s.Equal(*v.set) {
				t.Errorf("%s decodes to %v", v.name, s)
			}
		case v.row != nil:
			k := parts["key"]
			hash := siphash.Hash(binary.LittleEndian.Uint64(k), binary.LittleEndian.Uint64(k[8:]), parts["hashed"])
			if hash != binary.BigEndian.Uint64(parts["hash"]) || hash != v.row.key.Row(v.row.cells).Hash {
				t.Errorf("%s: hash %x", v.name, hash)
			}
		case v.sealed != nil:
			err = open(v.sealed, parts)
		case v.crossing != nil || v.digest != nil:
			err = readConnection(v, parts)
		case v.datagram != nil:
			err = readDatagram(v.datagram, parts)
		default:
			if got, err = Decode(body(t, b)); got != nil {
				t.Errorf("%s is not skipped but decodes to %v", v.name, got)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
		}
		delete(file, v.name)
	}
	for name := range file {
		t.Errorf("the file has %q, of which the test knows nothing", name)
	}
}

// open checks the signatures of a sealed entry.
func open(v *sealedVector, parts map[string][]byte) error {
	ring := seal.NewRing(rootKey.Public().(ed25519.PublicKey))
	if v.purpose == seal.Voucher {
		return ring.Add(parts["bytes"])
	}
	if err := ring.Add(voucher()); err != nil {
		return err
	}
	payload, err := ring.Open(issued, v.purpose, parts["bytes"])
	if err == nil && !bytes.Equal(payload, parts["payload"]) {
		err = fmt.Errorf("opens to %x", payload)
	}
	return err
}

func readVectors(t *testing.T) map[string]map[string][]byte {
	data, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string][]byte{}
	var entry map[string]string
	name, label := "", ""
	flush := func() {
		if name == "" {
			return
		}
		out[name] = map[string][]byte{}
		for k, text := range entry {
			b, err := hex.DecodeString(strings.TrimPrefix(text, "-"))
			if err != nil {
				t.Fatalf("%s: %s: %v", name, k, err)
			}
			out[name][k] = b
		}
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if l := strings.TrimSpace(line[:8]); l != "" {
			label = l
		}
		switch rest := line[8:]; label {
		case "name":
			flush()
			name, entry = rest, map[string]string{}
		case "says":
		default:
			entry[label] += rest
		}
	}
	flush()
	return out
}

var (
	rootKey    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	signingKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	issued     = time.UnixMilli(1_800_000_000_000) // 2027-01-15 08:00:00 UTC
	placeA     = endpoint.Place{Addr: netip.MustParseAddrPort("10.1.2.3:17472"), ID: idFrom(0x00)}
	placeB     = endpoint.Place{Addr: netip.MustParseAddrPort("[2001:db8::5]:17473"), ID: idFrom(0xf0)}
	rowKey     = answer.Key{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
)

// idFrom is 16 bytes that count upwards.
func idFrom(first byte) endpoint.ID {
	var id endpoint.ID
	for i := range id {
		id[i] = first + byte(i)
	}
	return id
}

func voucher() []byte { return seal.Sign(rootKey, seal.Voucher, voucherPayload()) }

// voucherPayload is what docs/protocol.md §4 says a voucher holds.
func voucherPayload() []byte {
	b := binary.BigEndian.AppendUint64(nil, 1_790_000_000)
	b = binary.BigEndian.AppendUint64(b, 1_950_000_000)
	return append(b, signingKey.Public().(ed25519.PublicKey)...)
}

func letter() Letter {
	return Letter{
		Question: 4711, Issued: issued, Life: 10 * time.Minute, Hold: 100 * time.Millisecond,
		Limit: time.Minute, Key: rowKey, Plan: []byte("an encoded plan"),
	}
}

// TestVoucherPayload: the voucher of the vectors is one as the root makes it.
func TestVoucherPayload(t *testing.T) {
	made := seal.Vouch(rootKey, signingKey.Public().(ed25519.PublicKey), time.Unix(1_790_000_000, 0), time.Unix(1_950_000_000, 0))
	if !bytes.Equal(made, voucher()) {
		t.Errorf("voucher %x, want %x", made, voucher())
	}
}

func slots(from, to int, but ...int) answer.Set {
	var s, without answer.Set
	for _, x := range but {
		without.Add(answer.Slot(x))
	}
	for x := from; x < to; x++ {
		s.Add(answer.Slot(x))
	}
	return s.Minus(without)
}
