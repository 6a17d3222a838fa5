package probe

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"strings"
	"unicode/utf16"
)

// Layout of a binary property list: a magic, objects, a table of their
// offsets, and a trailer of 32 bytes that tells how to read the table.
const (
	plistMagic   = "bplist00"
	plistTrailer = 32
	plistASCII   = 0x50 // kinds of objects, in the upper half of their first byte
	plistUTF16   = 0x60
	plistInteger = 0x10
	plistDict    = 0xd0
	plistDictMax = 10_000 // entries looked at
)

// plistTexts returns the texts of a property list's outermost dictionary, in
// either of its two forms, XML and binary. What cannot be read is left out.
func plistTexts(b []byte) map[string]string {
	if bytes.HasPrefix(b, []byte(plistMagic)) {
		return binaryPlist(b)
	}
	return xmlPlist(b)
}

func xmlPlist(b []byte) map[string]string {
	texts := map[string]string{}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = false
	depth, key := 0, ""
	for {
		token, err := d.Token()
		if err != nil {
			return texts
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth != 2 || t.Name.Local != "key" && t.Name.Local != "string" { // plist, dict
				depth++
				if depth == 3 {
					key = ""
				}
				continue
			}
			var text string
			if err := d.DecodeElement(&text, &t); err != nil {
				return texts
			}
			if t.Name.Local == "key" {
				key = strings.TrimSpace(text)
			} else if key != "" {
				texts[key], key = text, ""
			}
		case xml.EndElement:
			depth--
		}
	}
}

// A binaryList is a binary property list whose trailer has been read.
type binaryList struct {
	b                 []byte
	table             []byte // offsets of objects
	offsetLen, refLen int
}

func binaryPlist(b []byte) map[string]string {
	texts := map[string]string{}
	if len(b) < len(plistMagic)+plistTrailer {
		return texts
	}
	trailer := b[len(b)-plistTrailer:]
	objects, top, table := binary.BigEndian.Uint64(trailer[8:]), binary.BigEndian.Uint64(trailer[16:]), binary.BigEndian.Uint64(trailer[24:])
	l := binaryList{b: b, offsetLen: int(trailer[6]), refLen: int(trailer[7])}
	if l.offsetLen < 1 || l.offsetLen > 8 || l.refLen < 1 || l.refLen > 8 ||
		objects > uint64(len(b)) || table > uint64(len(b)) || table+objects*uint64(l.offsetLen) > uint64(len(b)) {
		return texts
	}
	l.table = b[table:][:objects*uint64(l.offsetLen)]
	kind, n, body := l.object(top)
	if kind != plistDict || n > plistDictMax || uint64(len(body)) < 2*n*uint64(l.refLen) {
		return texts
	}
	for i := range n {
		key, ok1 := l.text(l.number(body[i*uint64(l.refLen):], l.refLen))
		text, ok2 := l.text(l.number(body[(n+i)*uint64(l.refLen):], l.refLen))
		if ok1 && ok2 {
			texts[key] = text
		}
	}
	return texts
}

// number reads a big-endian number of a length.
func (l binaryList) number(b []byte, length int) uint64 {
	var n uint64
	for _, c := range b[:length] {
		n = n<<8 | uint64(c)
	}
	return n
}

// object returns an object's kind, its count, and what follows. The kind is 0
// for an object that is not there.
func (l binaryList) object(number uint64) (kind byte, count uint64, body []byte) {
	if number >= uint64(len(l.table)/l.offsetLen) {
		return 0, 0, nil
	}
	offset := l.number(l.table[number*uint64(l.offsetLen):], l.offsetLen)
	if offset >= uint64(len(l.b)) {
		return 0, 0, nil
	}
	mark, body := l.b[offset], l.b[offset+1:]
	kind, count = mark&0xf0, uint64(mark&0x0f)
	if count != 0x0f {
		return kind, count, body
	}
	if len(body) == 0 || body[0]&0xf0 != plistInteger || body[0]&0x0f > 3 { // a longer count is a number object
		return 0, 0, nil
	}
	length := 1 << (body[0] & 0x0f)
	if len(body) < 1+length {
		return 0, 0, nil
	}
	return kind, l.number(body[1:], length), body[1+length:]
}

func (l binaryList) text(number uint64) (string, bool) {
	kind, n, body := l.object(number)
	switch {
	case kind == plistASCII && n <= uint64(len(body)):
		return string(body[:n]), true
	case kind == plistUTF16 && n <= uint64(len(body)/2):
		units := make([]uint16, n)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(body[2*i:])
		}
		return string(utf16.Decode(units)), true
	}
	return "", false
}
