package wire

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/seal"
)

// vectors are the entries of testdata/vectors.txt.
func vectors() []vector {
	return slices.Concat(linkVectors(), questionVectors(), answerVectors(), boxVectors(), registerVectors(), segmentVectors(), enrolVectors(), datagramVectors(), partVectors(), crossingVectors())
}

func linkVectors() []vector {
	return []vector{
		{name: "frame hello behind", says: `Hello: version 1, role 1 (behind), place 10.1.2.3 port 17472
			of client 000102030405060708090a0b0c0d0e0f, incarnation 7`,
			message: Hello{Version: 1, Role: Behind, Place: placeA, Incarnation: 7}},
		{name: "frame hello ahead", says: `Hello: version 1, role 2 (ahead), place 2001:db8::5 port 17473
			of client f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff, incarnation 300`,
			message: Hello{Version: 1, Role: Ahead, Place: placeB, Incarnation: 300}},
		{name: "frame hello ok", says: `HelloOK: incarnation 7`, message: HelloOK{Incarnation: 7}},
		{name: "frame hello with suspects", says: `Hello: version 1, role 1 (behind), place 10.1.2.3 port 17472
			of client 000102030405060708090a0b0c0d0e0f, incarnation 7, suspects the client
			f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff, has heard up to 5 of incarnation 3, knows the questions 4711 and 4800, LAN 1122334455667788 (hexadecimal)`,
			message: Hello{Version: 1, Role: Behind, Place: placeA, Incarnation: 7, Suspects: []endpoint.ID{placeB.ID},
				Heard: Heard{3, 5}, Known: []uint64{4711, 4800}, LAN: 0x1122334455667788}},
		{name: "frame hello ok again", says: `HelloOK: incarnation 7, has heard up to 300 of incarnation 2, knows the question 4711`,
			message: HelloOK{7, Heard{2, 300}, []uint64{4711}}},
		{name: "frame refused", says: `Refused: reason 1 (nearer), text "a nearer neighbour stands here"`,
			message: Refused{Reason: Nearer, Text: "a nearer neighbour stands here"}},
		{name: "frame refused with redirect", says: `Refused: reason 1 (nearer), text "elsewhere", peer 2001:db8::5 port 17473
			of client f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff`,
			message: Refused{Nearer, "elsewhere", placeB}},
		{name: "frame ack", says: `Ack: seq 70000`, message: Ack{Seq: 70000}},
		{name: "frame ack unsafe", says: `Ack: seq 70000, of which 69990 and 70000 are not safe yet; the questions 4711 and 4800 have arrived`,
			message: Ack{70000, []uint64{69990, 70000}, []uint64{4711, 4800}}},
		{name: "frame ping", says: `Ping: number 1, not a reply`, message: Ping{Number: 1}},
		{name: "frame ping reply", says: `Ping: number 1, a reply`, message: Ping{1, true}},
		{name: "frame gone", says: `Gone: the client f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff`, message: Gone{[]endpoint.ID{placeB.ID}}},
		{name: "frame hint", says: `Hint: 2001:db8::5 port 17473 of client f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff`, message: Hint{placeB}},
		{name: "frame of nobody", says: `a frame of kind 200, which nobody knows: skipped`,
			skipped: []byte{0, 0, 0, 4, 200, 1, 2, 3}},
	}
}

func questionVectors() []vector {
	l := letter()
	sealed := seal.Sign(signingKey, seal.Question, l.Append(nil))
	return []vector{
		{name: "letter", says: `a letter: question 4711, issued 1800000000000 ms after 1970-01-01 UTC, life 600000 ms,
			hold 100 ms, sensor limit 60000 ms, row key 000102030405060708090a0b0c0d0e0f,
			plan "an encoded plan" (any bytes, for this purpose)`,
			letter: &l},
		{name: "voucher", says: `the root's word for the signing key of the next entry: good from 1790000000
			until 1950000000 (seconds since 1970-01-01 UTC); seed: of the root's Ed25519 key`,
			sealed: &sealedVector{seal.Voucher, rootKey.Seed(), voucherPayload()}},
		{name: "sealed question", says: `the letter above, sealed as a question; seed: of the signing Ed25519 key`,
			sealed: &sealedVector{seal.Question, signingKey.Seed(), l.Append(nil)}},
		{name: "frame question", says: `Question: the sealed question above`, message: Question{Sealed: sealed}},
		{name: "frame question again", says: `Question: the sealed question above, round 2, only the slots {3, 7}`,
			message: Question{sealed, 2, answer.SetOf(3, 7)}},
	}
}

func answerVectors() []vector {
	row := func(count uint64, cells ...answer.Cell) answer.Row {
		r := rowKey.Row(cells)
		r.Count = count
		return r
	}
	rows := answer.RowsOf(answer.ChainLimits, row(98, answer.Cell{"Linux"}), row(1, answer.Cell{"Windows"}))
	several := answer.RowsOf(answer.ChainLimits, row(1, answer.Cell{"ws-7"}, answer.Cell{"sshd", "nginx", ""}, answer.Cell{}))
	cut := answer.RowsOf(answer.Limits{Rows: 1, Bytes: 1 << 20}, rows.List...)
	return []vector{
		{name: "frame answer", says: `Answer: seq 1, question 4711, first, not final, pending {99}, set {0 … 98},
			not tainted, 99 passed, nobody failed, 0 without results, nothing cut,
			rows in the order of their hashes: [["Linux"]] 98 times, [["Windows"]] once`,
			message: Answer{answer.Report{Seq: 1, Question: 4711, First: true, Pending: answer.SetOf(99), Bundle: answer.Bundle{
				Question: 4711, Set: slots(0, 99), Rows: rows, Counts: answer.Counts{Passed: 99},
			}}}},
		{name: "frame answer final", says: `Answer: seq 2, question 4711, final, nothing else: no bundle`,
			message: Answer{answer.Report{Seq: 2, Question: 4711, Final: true, Bundle: answer.Bundle{Question: 4711}}}},
		{name: "frame answer tainted", says: `Answer: seq 3, question 4711, set {7}, tainted, 1 passed, failed {7}, stopped {7}, 1 without results,
			one row of three cells, once: ["ws-7"], ["sshd", "nginx", ""], and a cell of no texts`,
			message: Answer{answer.Report{Seq: 3, Question: 4711, Bundle: answer.Bundle{
				Question: 4711, Set: answer.SetOf(7), Rows: several, Tainted: true,
				Counts: answer.Counts{Passed: 1, Errors: 1, Stopped: 1, NoResults: 1},
				Failed: answer.SetOf(7), Stopped: answer.SetOf(7),
			}}}},
		{name: "frame answer cut", says: `Answer: seq 4, question 4711, set {0 … 98}, 99 passed; of the rows of the first answer
			only the one with the smaller hash is left, and the other's hash is the cut`,
			message: Answer{answer.Report{Seq: 4, Question: 4711, Bundle: answer.Bundle{
				Question: 4711, Set: slots(0, 99), Rows: cut, Counts: answer.Counts{Passed: 99},
			}}}},
		{name: "frame answer to a count", says: `Answer: seq 5, question 4712, set {0 … 3}, 3 passed, one row without cells, 3 times`,
			message: Answer{answer.Report{Seq: 5, Question: 4712, Bundle: answer.Bundle{
				Question: 4712, Set: slots(0, 4), Rows: answer.RowsOf(answer.ChainLimits, row(3)), Counts: answer.Counts{Passed: 3},
			}}}},
		{name: "frame answer outside", says: `Answer: seq 6, question 4712, set {0 … 3}, 1 passed, 2 outside, one row without cells, once`,
			message: Answer{answer.Report{Seq: 6, Question: 4712, Bundle: answer.Bundle{
				Question: 4712, Set: slots(0, 4), Rows: answer.RowsOf(answer.ChainLimits, row(1)), Counts: answer.Counts{Passed: 1, Outside: 2},
			}}}},
	}
}

// pace is that of a large installation.
var pace = Intervals{30 * time.Second, 90 * time.Second, 2 * time.Hour, 6 * time.Hour}

func registerVectors() []vector {
	return []vector{
		{name: "frame register initial", says: `Register: version 1, initial, incarnation 7, sequence 1,
			place 10.1.2.3 port 17472 of client 000102030405060708090a0b0c0d0e0f,
			name "ws-7", program "0.1.0", platform "Linux", holds no slot and no lists, nobody on either side`,
			message: Register{Version: 1, Initial: true, Incarnation: 7, Sequence: 1, Place: placeA, Name: "ws-7", Program: "0.1.0", Platform: "Linux"}},
		{name: "frame register normal", says: `Register: version 1, incarnation 7, sequence 2, place, name, program and platform as before,
			holds slot 12 and the lists with digest 1122334455667788, knows questions 4710 and 4711,
			behind: a peer, client f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff; in front: the server;
			wants a new certificate for the public key 302a (two bytes, for this purpose)`,
			message: Register{Version: 1, Incarnation: 7, Sequence: 2, Place: placeA, Name: "ws-7", Program: "0.1.0", Platform: "Linux",
				Slot: 12, HasSlot: true, Peers: 0x1122334455667788, Known: []uint64{4710, 4711},
				Back: Neighbour{endpoint.Peer, placeB.ID}, Fore: Neighbour{Kind: endpoint.Server}, RenewalKey: []byte{0x30, 0x2a}}},
		{name: "frame registered", says: `Registered: computer id 123456789, slot 12, digest 1122334455667788 of the lists,
			behind: 10.1.2.3 port 17472 of client 000102030405060708090a0b0c0d0e0f;
			in front: 2001:db8::5 port 17473 of client f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff;
			one sealed question 71 (one byte, for this purpose), highest question 4711,
			clock 1800000000000, normal every 30000 to 90000 ms, initial every 7200000 to 21600000 ms,
			certificate 3082, one voucher 76 (bytes for this purpose)`,
			message: Registered{ComputerID: 123456789, Slot: 12, Peers: 0x1122334455667788,
				Back: []endpoint.Place{placeA}, Fore: []endpoint.Place{placeB}, Questions: [][]byte{{0x71}}, Highest: 4711, Now: issued,
				Intervals:   pace,
				Certificate: []byte{0x30, 0x82}, Vouchers: [][]byte{{0x76}}}},
		{name: "frame register brief", says: `Register: version 1, incarnation 7, sequence 3, holds the reply with digest
			1122334455667788, knows questions 4710 and 4711, all else as when it said the state 8877665544332211`,
			message: Register{Version: 1, Incarnation: 7, Sequence: 3, Peers: 0x1122334455667788, Known: []uint64{4710, 4711}, State: 0x8877665544332211}},
		{name: "frame registered same", says: `Registered: all is as in the reply that the client holds, highest question 4711, clock 1800000000000`,
			message: Registered{Same: true, Highest: 4711, Now: issued}},
		{name: "frame registered again", says: `Registered: nothing was registered, the client is to say everything; clock 1800000000000`,
			message: Registered{Again: true, Now: issued}},
		{name: "frame registered come", says: `Registered: computer id 123456789, slot 12, clock and intervals as before;
			in 4000 ms the client is to come over TLS for what does not fit`,
			message: Registered{ComputerID: 123456789, Slot: 12, Now: issued, Intervals: pace, Come: 4 * time.Second}},
		{name: "frame registered with key", says: `Registered: computer id 123456789, slot 12, digest 1122334455667788,
			highest question 4711, clock and intervals as before; a registration key of 32 bytes 4b for 21600000 ms,
			with a name of 20 bytes 4e;
			behind: nobody; in front: 10.1.2.3 port 17472 of client 000102030405060708090a0b0c0d0e0f, and
			10.1.2.4 port 17472 of client f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff`,
			message: Registered{ComputerID: 123456789, Slot: 12, Peers: 0x1122334455667788, Highest: 4711, Now: issued, Intervals: pace,
				Key: [32]byte(bytes.Repeat([]byte{0x4b}, 32)), KeyName: KeyName(bytes.Repeat([]byte{0x4e}, 20)), KeyLife: 6 * time.Hour,
				Fore: []endpoint.Place{placeA, {Addr: netip.MustParseAddrPort("10.1.2.4:17472"), ID: placeB.ID}}}},
		{name: "frame register with round trip", says: `Register: version 1, incarnation 7, sequence 4, holds the reply with digest
			1122334455667788, all else as when it said the state 8877665544332211; 740 µs to the neighbour in front and back`,
			message: Register{Version: 1, Incarnation: 7, Sequence: 4, Peers: 0x1122334455667788, State: 0x8877665544332211,
				RoundTrip: 740 * time.Microsecond}},
		{name: "frame register with unreachable", says: `Register: as in "frame register brief", but sequence 6 and no known questions; it cannot reach
			the clients 000102030405060708090a0b0c0d0e0f and f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff`,
			message: Register{Version: 1, Incarnation: 7, Sequence: 6, Peers: 0x1122334455667788, State: 0x8877665544332211,
				Unreachable: []endpoint.ID{placeA.ID, placeB.ID}}},
		{name: "frame register linked", says: `Register: version 1, incarnation 7, sequence 7, place, name, program and platform as before,
			holds slot 12, state 8877665544332211; behind and in front: peers, client f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff
			(both, for this purpose); its backward link stands`,
			message: Register{Version: 1, Incarnation: 7, Sequence: 7, Place: placeA, Name: "ws-7", Program: "0.1.0", Platform: "Linux",
				Slot: 12, HasSlot: true, State: 0x8877665544332211,
				Back: Neighbour{endpoint.Peer, placeB.ID}, Fore: Neighbour{endpoint.Peer, placeB.ID}, BackwardLink: true}},
		{name: "frame registered direct", says: `Registered: all is as in the reply that the client holds, highest question 4711, clock 1800000000000;
			it is to answer the questions 4709 and 4711 directly; leaders come back over 250 ms`,
			message: Registered{Same: true, Highest: 4711, Now: issued, Direct: []uint64{4709, 4711}, Spread: 250 * time.Millisecond}},
	}
}

func segmentVectors() []vector {
	return []vector{
		{name: "frame registered in a segment", says: `Registered: computer id 123456789, slot 300, digest 1122334455667788,
			highest question 4711, clock and intervals as before; of the LAN 99aabbccddeeff00,
			in front: 10.1.2.4 port 17472 of client f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff;
			neighbours from 10.1.2.3 port 17472 of client 000102030405060708090a0b0c0d0e0f
			until, and without, 10.1.3.0 port 17472 of client f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff;
			for files, below: 10.1.2.2 port 17472 of client f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff;
			the questions 4709 and 4711 have its answer already`,
			message: Registered{ComputerID: 123456789, Slot: 300, Peers: 0x1122334455667788, Highest: 4711, Now: issued, Intervals: pace,
				Fore: []endpoint.Place{{Addr: netip.MustParseAddrPort("10.1.2.4:17472"), ID: placeB.ID}},
				LAN:  0x99aabbccddeeff00, From: placeA,
				Until:  endpoint.Place{Addr: netip.MustParseAddrPort("10.1.3.0:17472"), ID: placeB.ID},
				Across: []endpoint.Place{{Addr: netip.MustParseAddrPort("10.1.2.2:17472"), ID: placeB.ID}}, Counted: []uint64{4709, 4711}}},
	}
}

func enrolVectors() []vector {
	return []vector{
		{name: "frame enrol", says: `Enrol: version 1, a secret of 32 bytes 2a, public key 302a (two bytes, for this purpose), name "ws-7"`,
			message: Enrol{1, bytes.Repeat([]byte{0x2a}, secretSize), []byte{0x30, 0x2a}, "ws-7"}},
		{name: "frame enrolled", says: `Enrolled: client 000102030405060708090a0b0c0d0e0f, computer id 123456789, certificate 3082`,
			message: Enrolled{placeA.ID, 123456789, []byte{0x30, 0x82}}},
	}
}

func partVectors() []vector {
	set := func(name, says string, s answer.Set) vector {
		return vector{name: "set " + name, says: says, set: &s}
	}
	row := func(name, says string, cells ...answer.Cell) vector {
		return vector{name: "row " + name, says: says, row: &rowVector{rowKey, cells}}
	}
	var even answer.Set
	for x := 0; x < 40; x += 2 {
		even.Add(answer.Slot(x))
	}
	return []vector{
		set("of nobody", `the empty set: no bytes`, answer.Set{}),
		set("of one LAN", `{0 … 249} as runs: gap 0, 249 more`, slots(0, 250)),
		set("with a hole", `{0 … 249} without 100 as runs: gap 0, 99 more; gap 1, 148 more`, slots(0, 250, 100)),
		set("last slot", `{65535} as runs: gap 65535, 0 more`, answer.SetOf(65535)),
		set("even", `{0 2 4 … 38} as a bitmap`, even),
		set("equally long", `{8}: both forms take three bytes, so runs`, answer.SetOf(8)),
		row("of one text", `[["Linux"]]; hash: SipHash-2-4, as a big-endian number`, answer.Cell{"Linux"}),
		row("of two cells", `[["ws-7"], ["sshd", "nginx"]]`, answer.Cell{"ws-7"}, answer.Cell{"sshd", "nginx"}),
		row("with nothing in it", `[[""], []]: a cell of one empty text, and a cell of no texts`, answer.Cell{""}, answer.Cell{}),
		row("without cells", `[]: the row of a question that shows no sensor`),
	}
}
