// Command rows prints what the answers of one chain cost on its links, in
// bytes: each machine's answer by itself, merged as they pass, and merged on
// links that have carried the same question before.
//
//	go run ./bench/rows
//
// Merging, encoding and the dictionaries of the links are the real ones; no
// connection is opened. The 22 bytes that TLS adds to each record are not
// counted.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"

	"catenary/internal/answer"
	"catenary/internal/wire"
)

// A sensor is what the machines of a chain answer to one question.
type sensor struct {
	name     string
	limits   answer.Limits
	machine  int     // rows of one machine
	universe uint64  // rows that exist
	skew     float64 // of the Zipf law by which machines have them; 0: each its own
	size     int     // bytes of a row's text, on the average
}

var sensors = []sensor{
	{"OS version", answer.ChainLimits, 1, 5, 1.2, 24},
	{"host name, unique", answer.ChainLimits, 1, 0, 0, 8},
	{"installed applications, 80 of a Zipf law", answer.ChainLimits, 80, 22_000, 1.03, 24},
	{"processes, 150 of a Zipf law", answer.ChainLimits, 150, 16_000, 1.04, 55},
	{"processes, at most 1,000 rows", answer.Limits{Rows: 1000, Bytes: answer.ChainLimits.Bytes}, 150, 16_000, 1.04, 55},
}

const changed = 20 // one row in so many is a new one when the question comes again

func main() {
	machines := flag.Int("machines", 100, "machines in the chain")
	flag.Parse()
	fmt.Printf("a chain of %d machines; bytes on the last link, which leads to the server, and on all %d together\n\n", *machines, *machines)
	fmt.Println("| question | rows there are | rows that arrive | last: unmerged | merged | again | again, 5 % new | all: unmerged | merged | again | again, 5 % new |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|")
	for _, s := range sensors {
		s.measure(*machines)
	}
}

func (s sensor) measure(machines int) {
	c := &chain{limits: s.limits, links: make([]wire.Dictionary, machines)}
	r := rand.New(rand.NewPCG(1, 2))
	said := make([][]answer.Row, machines)
	distinct := map[uint64]bool{}
	for i := range said {
		said[i] = s.rows(r, i)
		for _, row := range said[i] {
			distinct[row.Hash] = true
		}
	}
	alone := c.alone(said)
	cold, arrived := c.ask(said)
	warm, _ := c.ask(said)
	for i := range said {
		for j := range said[i] {
			if r.IntN(changed) == 0 {
				said[i][j] = s.row(fmt.Sprint("new-", i, "-", j))
			}
		}
	}
	mixed, _ := c.ask(said)
	fmt.Printf("| %s | %d | %d |", s.name, len(distinct), arrived)
	for _, cost := range []func(cost) int{func(c cost) int { return c.last }, func(c cost) int { return c.all }} {
		fmt.Printf(" %d | %d | %d | %d |", cost(alone), cost(cold), cost(warm), cost(mixed))
	}
	fmt.Println()
}

// key hashes the rows of all questions.
var key = answer.Key{'b', 'e', 'n', 'c', 'h'}

// rows are what one machine says.
func (s sensor) rows(r *rand.Rand, machine int) []answer.Row {
	if s.skew == 0 {
		return []answer.Row{s.row(fmt.Sprintf("ws-%05d", machine))}
	}
	law := rand.NewZipf(r, s.skew, 1, s.universe-1)
	has := map[uint64]bool{}
	var rows []answer.Row
	for len(rows) < s.machine {
		n := law.Uint64()
		if !has[n] {
			has[n] = true
			rows = append(rows, s.row(fmt.Sprintf("%d", n*7919)))
		}
	}
	return rows
}

// row is a row of one text, of about the sensor's size.
func (s sensor) row(name string) answer.Row {
	text := name
	if rest := s.size - len(text); rest > 0 {
		text += "/" + strings.Repeat("usr/lib/", rest/8+1)[:rest-1+len(name)%2]
	}
	return key.Row([]answer.Cell{{text}})
}

// A chain is links that stay while questions come and go.
type chain struct {
	limits   answer.Limits
	links    []wire.Dictionary // of the sending ends, the last leads to the server
	question uint64
}

// A cost is bytes on the last link and on all.
type cost struct{ last, all int }

func (c *chain) bundle(machine int, rows []answer.Row) answer.Bundle {
	return answer.Bundle{
		Question: c.question, Set: answer.SetOf(answer.Slot(machine)),
		Rows: answer.RowsOf(c.limits, rows...), Counts: answer.Counts{Passed: 1},
	}
}

func (c *chain) message(b answer.Bundle) wire.Message {
	return wire.Answer{Report: answer.Report{Seq: c.question, Question: c.question, First: true, Final: true, Bundle: b}}
}

// alone lets each machine's answer travel by itself.
func (c *chain) alone(said [][]answer.Row) cost {
	var sum cost
	for i, rows := range said {
		n := len(wire.Append(nil, c.message(c.bundle(i, rows))))
		sum.last += n
		sum.all += n * (len(said) - i)
	}
	return sum
}

// ask lets the answers merge from link to link, and says how many rows the
// server gets.
func (c *chain) ask(said [][]answer.Row) (sum cost, rows int) {
	c.question++
	var all answer.Bundle
	for i, own := range said {
		if b := c.bundle(i, own); i == 0 {
			all = b
		} else {
			all = answer.Merge(c.limits, all, b)
		}
		sum.last = len(c.links[i].Append(nil, c.message(all)))
		sum.all += sum.last
	}
	return sum, len(all.Rows.List)
}
