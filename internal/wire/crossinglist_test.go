package wire

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"catenary/internal/answer"
)

// crossingVectors are the entries of testdata/vectors.txt that consist of the
// frames of one connection.
func crossingVectors() []vector {
	row := func(count uint64, cells ...answer.Cell) answer.Row {
		r := rowKey.Row(cells)
		r.Count = count
		return r
	}
	say := func(seq, question uint64, machines int, rows ...answer.Row) Message {
		return Answer{answer.Report{Seq: seq, Question: question, First: true, Final: true, Bundle: answer.Bundle{
			Question: question, Set: slots(0, machines), Rows: answer.RowsOf(answer.ChainLimits, rows...),
			Counts: answer.Counts{Passed: uint64(machines)},
		}}}
	}
	linux, windows, mac := answer.Cell{"Linux"}, answer.Cell{"Windows"}, answer.Cell{"macOS"}
	lie := row(1, mac)
	lie.Cells = []answer.Cell{{"a lie"}}
	return []vector{
		{name: "connection", says: `frames of one connection in one direction. All answers are first and final, of the
			machines {0 … 99} or, in frames 6 and 7, {0 … 9}, all of them passed; their questions are 1 to 7.
			1: seq 1, rows [["Linux"]] 70 times, [["Windows"]] 30 times, both spelled out;
			2: seq 2, [["Linux"]] 71, [["Windows"]] 29, both by reference;
			3: an Ack of 5, which has nothing to do with it;
			4: seq 3, [["Linux"]] 70, [["Windows"]] 28, [["macOS"]] 2: the last spelled out;
			5: seq 4, [["Windows"]] 200, [["macOS"]] 1, by reference;
			6: seq 5, number of machines: the row without cells 10 times, spelled out;
			7: seq 6, the same by reference, and under the hash of [["macOS"]] the row [["a lie"]] once, spelled out;
			8: seq 7, [["macOS"]] once: spelled out, for its hash now means another row`,
			crossing: []Message{
				say(1, 1, 100, row(70, linux), row(30, windows)),
				say(2, 2, 100, row(71, linux), row(29, windows)),
				Ack{Seq: 5},
				say(3, 3, 100, row(70, linux), row(28, windows), row(2, mac)),
				say(4, 4, 100, row(200, windows), row(1, mac)),
				say(5, 5, 10, row(10)),
				say(6, 6, 10, row(10), lie),
				say(7, 7, 100, row(1, mac)),
			}},
		{name: "connection that forgets", says: `SHA-256 of the frames of one connection in one direction, one after
			another: 12 answers, the n-th with seq n, question n, first, final, set {0}, 1 passed, and 1,500 rows of
			one cell with one text, each once: the decimal numbers from 500n to 500n + 1499, with as many x behind
			each number as make it 300 bytes`,
			digest: forgotten(say)},
	}
}

func forgotten(say func(seq, question uint64, machines int, rows ...answer.Row) Message) []Message {
	var out []Message
	for n := 1; n <= 12; n++ {
		var rows []answer.Row
		for i := 500 * n; i < 500*n+1500; i++ {
			text := fmt.Sprint(i)
			rows = append(rows, rowKey.Row([]answer.Cell{{text + strings.Repeat("x", 300-len(text))}}))
		}
		out = append(out, say(uint64(n), uint64(n), 1, rows...))
	}
	return out
}

// frames are the frames of an entry that is a connection.
func (v vector) frames() [][]byte {
	var d Dictionary
	var out [][]byte
	for _, m := range append(v.crossing, v.digest...) {
		out = append(out, d.Append(nil, m))
	}
	return out
}

// connectionParts are the parts of such an entry.
func (v vector) connectionParts() []part {
	if v.digest != nil {
		h := sha256.New()
		for _, frame := range v.frames() {
			h.Write(frame)
		}
		return []part{{"sha256", h.Sum(nil)}}
	}
	var parts []part
	for i, frame := range v.frames() {
		parts = append(parts, part{fmt.Sprintf("frame %d", i+1), frame})
	}
	return parts
}

// readConnection reads the frames of such an entry as another implementation
// would.
func readConnection(v vector, parts map[string][]byte) error {
	var d Dictionary
	for i, m := range v.crossing {
		got, err := d.Decode(parts[fmt.Sprintf("frame %d", i+1)][4:])
		if diff := diff(m, got); err != nil || diff != "" {
			return fmt.Errorf("frame %d: %v (-want +got)\n%s", i+1, err, diff)
		}
	}
	return nil
}
