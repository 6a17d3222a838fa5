// Command modes prints what the answers of one chain cost in each mode: bytes
// on its links, and the processor time that the server needs to count them.
//
//	go run ./bench/modes
//
// Boxes, merging, encoding and counting are the real ones; no connection is
// opened, and the links have no dictionaries yet. The 22 bytes that TLS adds to
// each record are not counted.
package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"catenary/internal/answer"
	"catenary/internal/box"
	"catenary/internal/seal"
	"catenary/internal/server/tally"
	"catenary/internal/wire"
)

// A sensor is what the machines of a chain answer to one question.
type sensor struct {
	name string
	rows func(r *rand.Rand, machine int) []string
}

var sensors = []sensor{
	{"OS version, 5 distinct", func(r *rand.Rand, _ int) []string {
		return []string{fmt.Sprintf("Debian GNU/Linux %2d trixie", r.IntN(5))}
	}},
	{"host name, unique", func(_ *rand.Rand, machine int) []string { return []string{fmt.Sprintf("ws-%05d", machine)} }},
	{"installed applications, 80 of a Zipf law", func(r *rand.Rand, _ int) []string {
		law := rand.NewZipf(r, 1.03, 1, 22_000)
		has := map[string]bool{}
		for len(has) < 80 {
			has[fmt.Sprintf("%-24d", law.Uint64()*7919)] = true
		}
		return slices.Sorted(func(yield func(string) bool) {
			for text := range has {
				if !yield(text) {
					return
				}
			}
		})
	}},
}

var modes = []answer.Mode{answer.Merged, answer.Attested, answer.Sealed}

const (
	question = 4711
	lan      = 0x1122334455667788
	chains   = 50 // that are counted, to measure the time of one
)

var (
	rowKey = answer.Key{'b', 'e', 'n', 'c', 'h'}
	secret = seal.KeySecret{1}
	plan   = sha256.Sum256([]byte("plan"))
)

func main() {
	machines := flag.Int("machines", 100, "machines in the chain")
	flag.Parse()
	fmt.Printf("a chain of %d machines: bytes on the last link, which leads to the server, and on all %d together;\n", *machines, *machines)
	fmt.Printf("processor time of the server for each machine, in µs\n\n")
	fmt.Println("| question | last link: " + joined() + " | all links: " + joined() + " | server, µs: " + joined() + " |")
	fmt.Println("|" + strings.Repeat("---|", 1+3*len(modes)))
	for _, s := range sensors {
		var last, all, spent []string
		for _, m := range modes {
			c := measure(s, m, *machines)
			last, all = append(last, fmt.Sprint(c.last)), append(all, fmt.Sprint(c.all))
			spent = append(spent, fmt.Sprintf("%.1f", c.server.Seconds()*1e6/float64(*machines)))
		}
		fmt.Printf("| %s | %s |\n", s.name, strings.Join(slices.Concat(last, all, spent), " | "))
	}
}

func joined() string {
	var names []string
	for _, m := range modes {
		names = append(names, m.String())
	}
	return strings.Join(names, " | ")
}

// A cost is bytes on the last link and on all, and the server's time for the
// chain.
type cost struct {
	last, all int
	server    time.Duration
}

func client(machine int) [16]byte {
	return [16]byte(binary.BigEndian.AppendUint64(make([]byte, 8, 16), uint64(machine)))
}

func epoch(machine int) seal.Epoch { return seal.Epoch{0: 0x6b, 11: byte(machine)} }

func about(machine int) box.About {
	return box.About{Question: question, Plan: plan, Client: client(machine), LAN: lan, Slot: answer.Slot(machine)}
}

// says is the answer of one machine.
func says(s sensor, m answer.Mode, r *rand.Rand, machine int) answer.Bundle {
	var list []answer.Row
	for _, text := range s.rows(r, machine) {
		list = append(list, rowKey.Row([]answer.Cell{{text}}))
	}
	rows, counts := answer.RowsOf(answer.BoxLimits, list...), answer.Counts{Passed: 1}
	k := box.Key{Key: seal.DeriveEpochKey(secret, client(machine), epoch(machine)), Epoch: epoch(machine)}
	switch b := answer.BundleOf(question, answer.Slot(machine), rows, counts); m {
	case answer.Attested:
		return b.Boxed(m, k.Attest(about(machine), rows, counts))
	case answer.Sealed:
		return answer.BundleOf(question, answer.Slot(machine), answer.Rows{}, answer.Counts{}).Boxed(m, k.Seal(about(machine), rows, counts))
	default:
		return b
	}
}

func measure(s sensor, m answer.Mode, machines int) (c cost) {
	r := rand.New(rand.NewPCG(1, 2))
	var all answer.Bundle
	var frame []byte
	for i := range machines {
		one := says(s, m, r, i)
		if i == 0 {
			all = one
		} else {
			sum, fits := answer.Fit(answer.ChainLimits, all, one)
			if !fits {
				log.Fatalf("%s, %v: the answers of %d machines do not fit in one message", s.name, m, i+1)
			}
			all = sum
		}
		frame = wire.Append(frame[:0], wire.Answer{Report: answer.Report{Seq: 1, Question: question, First: true, Final: true, Bundle: all}})
		c.last = len(frame)
		c.all += c.last
	}
	lans := map[netip.Prefix]answer.Set{}
	for i := range chains {
		lans[netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24)] = all.Set
	}
	t := tally.New(question, time.Unix(0, 0), time.Unix(60, 0), time.Second, answer.ServerLimits, lans)
	from := processor()
	for lan := range lans {
		count(t, lan, frame)
	}
	t.Result()
	c.server = (processor() - from) / chains
	if got := t.Progress(); got.Answered != chains*machines {
		log.Fatalf("%s, %v: counted %d of %d machines", s.name, m, got.Answered, chains*machines)
	}
	return c
}

// count does what the server does with a frame.
func count(t *tally.Tally, lan netip.Prefix, frame []byte) {
	m, err := wire.Decode(frame[4:])
	if err != nil {
		log.Fatal(err)
	}
	report := m.(wire.Answer).Report
	b := report.Bundle
	for _, row := range b.Rows.List {
		if rowKey.Row(row.Cells).Hash != row.Hash {
			log.Fatal("a row does not have its hash")
		}
	}
	if b.Mode == answer.Merged {
		t.Take(time.Unix(1, 0), lan, report)
		return
	}
	digests := box.DigestsOf(b.Rows)
	var each []answer.Bundle
	for _, x := range b.Boxes {
		each = append(each, open(b, x, digests))
	}
	t.TakeEach(time.Unix(1, 0), lan, report, each)
}

func open(b answer.Bundle, x answer.Box, digests box.Digests) answer.Bundle {
	e, _ := box.EpochOf(x)
	key := seal.DeriveEpochKey(secret, client(int(x.Slot)), e)
	var rows answer.Rows
	var counts answer.Counts
	var err error
	if b.Mode == answer.Sealed {
		rows, counts, err = box.Open(key, about(int(x.Slot)), x, rowKey)
	} else {
		for _, ref := range x.Rows {
			i, _ := slices.BinarySearchFunc(b.Rows.List, ref.Hash, func(r answer.Row, hash uint64) int { return cmp.Compare(r.Hash, hash) })
			row := b.Rows.List[i]
			row.Count = ref.Count
			rows.List = append(rows.List, row)
		}
		counts, err = digests.Verify(key, about(int(x.Slot)), x, 0)
	}
	if err != nil {
		log.Fatal(err)
	}
	return answer.BundleOf(question, x.Slot, rows, counts)
}

// processor is the time that this program has used.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
