package probe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Layout of what a monitor says of itself (VESA E-EDID), in bytes.
const (
	edidSize        = 128
	edidMaker       = 8
	edidProduct     = 10
	edidSerial      = 12
	edidYear        = 17
	edidDescriptors = 54 // four of 18 bytes
	edidDescriptor  = 18
	edidYearFrom    = 1990

	edidSerialText = 0xff // kinds of descriptors
	edidNameText   = 0xfc
)

// A monitor is what one says of itself.
type monitor struct {
	maker, model, serial string
	year                 int
}

// makers are names for the three letters by which makers go.
var makers = map[string]string{
	"ACR": "Acer", "AOC": "AOC", "APP": "Apple", "AUO": "AU Optronics", "AUS": "ASUS", "BNQ": "BenQ", "BOE": "BOE", "CMN": "Innolux",
	"DEL": "Dell", "ENC": "EIZO", "FUS": "Fujitsu", "GSM": "LG", "HPN": "HP", "HWP": "HP", "IVM": "Iiyama", "LEN": "Lenovo", "LGD": "LG Display",
	"MEI": "Panasonic", "MSI": "MSI", "NEC": "NEC", "PHL": "Philips", "SAM": "Samsung", "SDC": "Samsung", "SHP": "Sharp", "SNY": "Sony", "VSC": "ViewSonic",
}

// parseEDID reads the first block of what a monitor says. The maker's three
// letters have five bits each.
func parseEDID(b []byte) (monitor, bool) {
	if len(b) < edidSize || !bytes.HasPrefix(b, []byte("\x00\xff\xff\xff\xff\xff\xff\x00")) {
		return monitor{}, false
	}
	letters := binary.BigEndian.Uint16(b[edidMaker:])
	code := string([]byte{'@' + byte(letters>>10&31), '@' + byte(letters>>5&31), '@' + byte(letters&31)})
	m := monitor{maker: code, model: fmt.Sprintf("%04x", binary.LittleEndian.Uint16(b[edidProduct:])), year: edidYearFrom + int(b[edidYear])}
	if name := makers[code]; name != "" {
		m.maker = name
	}
	if n := binary.LittleEndian.Uint32(b[edidSerial:]); n != 0 && n != 0x01010101 {
		m.serial = strconv.FormatUint(uint64(n), 10)
	}
	for at := edidDescriptors; at+edidDescriptor <= edidSize-2; at += edidDescriptor {
		d := b[at : at+edidDescriptor]
		if d[0] != 0 || d[1] != 0 || d[2] != 0 { // a mode of the picture
			continue
		}
		text, _, _ := bytes.Cut(d[5:], []byte{'\n'})
		switch s := strings.TrimSpace(string(text)); {
		case d[3] == edidNameText && s != "":
			m.model = s
		case d[3] == edidSerialText && s != "":
			m.serial = s
		}
	}
	return m, true
}

func (m monitor) row() []string {
	return []string{m.maker, m.model, m.serial, strconv.Itoa(m.year)}
}
