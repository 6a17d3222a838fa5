package wire

import (
	"crypto/sha256"
	"fmt"

	"catenary/internal/answer"
	"catenary/internal/box"
	"catenary/internal/seal"
)

// boxVectors are the entries of testdata/vectors.txt about other modes than
// merged.
func boxVectors() []vector {
	l := letter()
	l.Mode = answer.Sealed
	k := box.Key{Key: seal.RegistrationKey{31: 0x1c}, Epoch: seal.Epoch{0x6b, 0x49, 0xd2, 0, 11: 4}}
	about := func(slot answer.Slot) box.About {
		return box.About{Question: 4711, Plan: sha256.Sum256(l.Plan), Client: placeA.ID, LAN: 0x1122334455667788, Slot: slot}
	}
	rows := answer.RowsOf(answer.BoxLimits, rowKey.Row([]answer.Cell{{"root", "ada"}}), rowKey.Row([]answer.Cell{{""}}))
	passed := answer.Counts{Passed: 1}
	with := fmt.Sprintf(`all boxes
			of client %v, made with the registration key
			%x, epoch %x, about question 4711 with
			the plan of the letter, LAN 1122334455667788 (hexadecimal)`, placeA.ID, k.Key, k.Epoch)
	says := func(m answer.Mode, slots ...answer.Slot) Message {
		var sum answer.Bundle
		for i, slot := range slots {
			one := answer.BundleOf(4711, slot, rows, passed)
			x := k.Attest(about(slot), rows, passed)
			if m == answer.Sealed {
				one, x = answer.BundleOf(4711, slot, answer.Rows{}, answer.Counts{}), k.Seal(about(slot), rows, passed)
			}
			if one = one.Boxed(m, x); i == 0 {
				sum = one
			} else if sum, _ = answer.Fit(answer.ChainLimits, sum, one); len(sum.Boxes) != i+1 {
				panic("boxes do not fit")
			}
		}
		return Answer{answer.Report{Seq: 1, Question: 4711, Bundle: sum}}
	}
	refused := letter()
	refused.Mode = answer.Attested
	return []vector{
		{name: "letter sealed", says: `the letter, with the answer to be sealed`, letter: &l},
		{name: "letter attested", says: `the letter, with the answer to be attested`, letter: &refused},
		{name: "frame answer sealed", says: `Answer: seq 1, question 4711, set {3, 7}, two sealed boxes: in both, passed and two
			rows in the order of their hashes, [["root", "ada"]] and [[""]], each once; ` + with,
			message: says(answer.Sealed, 3, 7)},
		{name: "frame answer attested", says: `Answer: seq 1, question 4711, set {3, 7}, 2 passed, those two rows twice each, two
			boxes that vouch for them; ` + with,
			message: says(answer.Attested, 3, 7)},
		{name: "frame register with evidence", says: `Register: version 1, incarnation 7, sequence 5, state 1122334455667788; it has
			answered question 4711 with just the two rows above, and cannot say what it has answered to question 4712`,
			message: Register{Version: 1, Incarnation: 7, Sequence: 5, State: 0x1122334455667788, Evidence: []Evidence{
				{Question: 4711, Said: true, Rows: []answer.Ref{{Hash: rows.List[0].Hash, Count: 1}, {Hash: rows.List[1].Hash, Count: 1}}},
				{Question: 4712},
			}}},
		{name: "frame registered with audits", says: `Registered: now 1800000000000, asks for evidence about question 4711 from the
			hash 8000000000000000 on`,
			message: Registered{Now: l.Issued, Audits: []Audit{{4711, 1 << 63}}}},
	}
}
