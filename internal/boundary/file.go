package boundary

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const byteOrderMark = "\ufeff" // as some editors write it at the beginning

// ReadFile reads the file form of the subnets of one kind: a network in each
// line, then a name if there is one, then a comment behind a semicolon. For
// intentional subnets the name is the neighbourhood's, and several networks may
// stand in one line with commas between them. Empty lines and those that begin
// with # or ; say nothing. An error names its line.
func ReadFile(kind Kind, data []byte) ([]Subnet, error) {
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	var out []Subnet
	number := 0
	line := map[netip.Prefix]int{}
	for text := range strings.Lines(string(data)) {
		number++
		s, ok, err := readLine(kind, text)
		if err == nil && ok {
			err = s.check()
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if !ok {
			continue
		}
		for _, p := range s.Networks {
			if first := line[p]; first != 0 {
				return nil, fmt.Errorf("line %d: %v stands in line %d already", number, p, first)
			}
			line[p] = number
		}
		if out = append(out, s); len(out) > SubnetsMax {
			return nil, fmt.Errorf("line %d: more than %d subnets", number, SubnetsMax)
		}
	}
	return out, nil
}

// readLine reads one line; ok is false if it says nothing.
func readLine(kind Kind, text string) (s Subnet, ok bool, err error) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] == '#' || text[0] == ';' {
		return s, false, nil
	}
	said, comment, _ := strings.Cut(text, ";")
	said = strings.TrimSpace(said)
	networks, name := said, ""
	if i := strings.IndexAny(said, " \t"); i >= 0 {
		networks, name = said[:i], strings.TrimSpace(said[i:])
	}
	s = Subnet{Kind: kind, Name: name, Comment: strings.TrimSpace(comment)}
	if kind == Intentional {
		s.Name, s.Neighborhood = "", name
	}
	for part := range strings.SplitSeq(networks, ",") {
		p, err := ParseNetwork(part)
		if err != nil {
			return s, false, err
		}
		s.Networks = append(s.Networks, p)
	}
	return s, true, nil
}

// AppendFile writes subnets as ReadFile reads them. The names of intentional
// subnets have no place in it.
func AppendFile(b []byte, list []Subnet) []byte {
	for _, s := range list {
		for i, p := range s.Networks {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, p.String()...)
		}
		name := s.Name
		if s.Kind == Intentional {
			name = s.Neighborhood
		}
		if name != "" {
			b = append(append(b, ' '), name...)
		}
		if s.Comment != "" {
			b = append(append(b, " ; "...), s.Comment...)
		}
		b = append(b, '\n')
	}
	return b
}

// LineOf returns the number of the line of a file that ReadFile has read in
// which one of the networks stands; 0: in none.
func LineOf(kind Kind, data []byte, networks ...netip.Prefix) int {
	number := 0
	for text := range strings.Lines(string(bytes.TrimPrefix(data, []byte(byteOrderMark)))) {
		number++
		s, _, err := readLine(kind, text)
		if err == nil && slices.ContainsFunc(networks, func(p netip.Prefix) bool { return slices.Contains(s.Networks, p) }) {
			return number
		}
	}
	return 0
}
