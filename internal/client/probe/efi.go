package probe

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

const (
	efiAttributes = 4 // bytes before a variable's content, as Linux shows it
	efiActive     = 1 // of a boot option
	efiHead       = 6 // bytes of a boot option before its name: attributes, length of what follows the name
)

// A bootOption is one that the firmware can start (UEFI specification 3.1.3).
type bootOption struct {
	description string
	active      bool
}

func parseBootOption(b []byte) (bootOption, bool) {
	if len(b) < efiHead {
		return bootOption{}, false
	}
	active := binary.LittleEndian.Uint32(b)&efiActive != 0
	var units []uint16
	for b = b[efiHead:]; len(b) >= 2; b = b[2:] {
		unit := binary.LittleEndian.Uint16(b)
		if unit == 0 {
			return bootOption{string(utf16.Decode(units)), active}, true
		}
		units = append(units, unit)
	}
	return bootOption{}, false
}

// bootRows tells the options in the order in which the firmware tries them, and
// then those that it does not try.
func bootRows(order []byte, options map[string]bootOption) [][]string {
	var rows [][]string
	var placed []string
	for ; len(order) >= 2; order = order[2:] {
		name := fmt.Sprintf("Boot%04X", binary.LittleEndian.Uint16(order))
		if o, ok := options[name]; ok && !slices.Contains(placed, name) {
			placed = append(placed, name)
			rows = append(rows, []string{strconv.Itoa(len(placed)), name, o.description, yesNo(o.active)})
		}
	}
	var rest [][]string
	for name, o := range options {
		if !slices.Contains(placed, name) {
			rest = append(rest, []string{"", name, o.description, yesNo(o.active)})
		}
	}
	return append(rows, uniqueRows(rest)...)
}

// bootNumber reports whether a variable is a boot option: Boot and four
// hexadecimal digits.
func bootNumber(name string) bool {
	digits, ok := strings.CutPrefix(name, "Boot")
	return ok && len(digits) == 4 && strings.Trim(digits, "0123456789ABCDEF") == ""
}
