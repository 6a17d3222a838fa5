package probe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// A machine is what its firmware says about it in the SMBIOS tables (DMTF
// DSP0134).
type machine struct {
	biosVendor, biosVersion, biosDate   string
	manufacturer, product, serial, uuid string
	board                               [4]string // manufacturer, product, version, serial number
	chassis                             byte      // 0 if the tables do not tell it
	asset                               string
	processors                          []processor
	modules                             []memoryModule
}

// A processor is what sits in a socket.
type processor struct {
	socket, model  string
	cores, logical int // 0 if the tables do not tell them
}

// A memoryModule is what sits in a slot for memory.
type memoryModule struct {
	slot, kind, manufacturer, part, serial string
	bytes                                  uint64
	speed                                  int // millions of transfers per second
}

// Structures of the tables, by DSP0134 section 7.
const (
	smbiosHeader    = 4 // bytes: type, length, handle
	smbiosBIOS      = 0
	smbiosSystem    = 1
	smbiosBoard     = 2
	smbiosChassis   = 3
	smbiosProcessor = 4
	smbiosMemory    = 17
	smbiosEnd       = 127

	smbiosPartsMax = 4096 // processors or modules of one machine
)

// A smbiosPart is one of the tables' parts: numbers at fixed places, and texts
// that they refer to.
type smbiosPart struct {
	formatted, texts []byte
}

// number is the little-endian number of so many bytes at a place; one that lies
// beyond the structure, as in older tables, is 0.
func (s smbiosPart) number(at, bytes int) uint64 {
	if at+bytes > len(s.formatted) {
		return 0
	}
	n := uint64(0)
	for i := range bytes {
		n |= uint64(s.formatted[at+i]) << (8 * i)
	}
	return n
}

// text is the text to which the number at a place refers.
func (s smbiosPart) text(at int) string { return smbiosText(s.texts, byte(s.number(at, 1))) }

// parseSMBIOS reads the structures of a table. Each has a formatted part of a
// length that it tells, then texts that end with a zero byte, then one more
// zero byte. Damaged tables end where they cannot be read on.
func parseSMBIOS(table []byte) machine {
	var m machine
	for len(table) >= smbiosHeader {
		kind, length := table[0], int(table[1])
		if length < smbiosHeader || length > len(table) || kind == smbiosEnd {
			break
		}
		formatted, rest := table[:length], table[length:]
		texts, next, ok := bytes.Cut(rest, []byte{0, 0})
		if !ok {
			break
		}
		m.take(kind, smbiosPart{formatted, texts})
		table = next
	}
	return m
}

// take notes what a structure says. Of several of a kind that a machine has
// once, the first counts.
func (m *machine) take(kind byte, s smbiosPart) {
	switch {
	case kind == smbiosBIOS && m.biosVendor == "":
		m.biosVendor, m.biosVersion, m.biosDate = s.text(4), s.text(5), s.text(8)
	case kind == smbiosSystem && m.product == "":
		m.manufacturer, m.product, m.serial = s.text(4), s.text(5), s.text(7)
		if len(s.formatted) >= 24 {
			m.uuid = smbiosUUID([16]byte(s.formatted[8:24]))
		}
	case kind == smbiosBoard && m.board == [4]string{}:
		m.board = [4]string{s.text(4), s.text(5), s.text(6), s.text(7)}
	case kind == smbiosChassis && m.chassis == 0:
		m.chassis = byte(s.number(5, 1)) & 0x7f // the highest bit says whether it has a lock
		m.asset = s.text(8)
	case kind == smbiosProcessor && len(m.processors) < smbiosPartsMax:
		m.takeProcessor(s)
	case kind == smbiosMemory && len(m.modules) < smbiosPartsMax:
		m.takeModule(s)
	}
}

func (m *machine) takeProcessor(s smbiosPart) {
	const populated = 0x40 // of the status
	if s.number(0x18, 1)&populated == 0 {
		return
	}
	p := processor{socket: s.text(4), model: strings.Join(strings.Fields(s.text(0x10)), " ")}
	p.cores, p.logical = int(s.number(0x23, 1)), int(s.number(0x25, 1))
	if p.cores == 0xff { // more than a byte tells
		p.cores = int(s.number(0x2a, 2))
	}
	if p.logical == 0xff {
		p.logical = int(s.number(0x2e, 2))
	}
	m.processors = append(m.processors, p)
}

// memoryKinds are the kinds of memory that machines have had of late, by their
// numbers in DSP0134 7.18.2.
var memoryKinds = map[uint64]string{
	0x03: "DRAM", 0x07: "RAM", 0x0f: "SDRAM", 0x12: "DDR", 0x13: "DDR2", 0x18: "DDR3", 0x1a: "DDR4", 0x1b: "LPDDR", 0x1c: "LPDDR2",
	0x1d: "LPDDR3", 0x1e: "LPDDR4", 0x1f: "Non-volatile", 0x20: "HBM", 0x21: "HBM2", 0x22: "DDR5", 0x23: "LPDDR5", 0x24: "HBM3",
}

func (m *machine) takeModule(s smbiosPart) {
	const unknownSize, extended, kilobytes = 0xffff, 0x7fff, 0x8000
	bytes := s.number(0x0c, 2)
	switch {
	case bytes == 0 || bytes == unknownSize: // an empty slot
		return
	case bytes == extended:
		bytes = s.number(0x1c, 4) << 20
	case bytes&kilobytes != 0:
		bytes = (bytes &^ kilobytes) << 10
	default:
		bytes <<= 20
	}
	m.modules = append(m.modules, memoryModule{
		slot: s.text(0x10), kind: memoryKinds[s.number(0x12, 1)], bytes: bytes, speed: int(s.number(0x15, 2)),
		manufacturer: s.text(0x17), serial: s.text(0x18), part: s.text(0x1a),
	})
}

// smbiosUUID writes an identifier, whose first three fields are numbers of the
// machine's byte order. It is empty if none was set.
func smbiosUUID(b [16]byte) string {
	if b == [16]byte{} || b == [16]byte(bytes.Repeat([]byte{0xff}, 16)) {
		return ""
	}
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint16(b[4:]),
		binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:])
}

// moduleRows tells the modules of memory.
func moduleRows(m machine) [][]string {
	var rows [][]string
	for _, mod := range m.modules {
		speed := ""
		if mod.speed != 0 {
			speed = strconv.Itoa(mod.speed)
		}
		rows = append(rows, []string{mod.slot, size(mod.bytes), mod.kind, speed, mod.manufacturer, mod.part, mod.serial})
	}
	return rows
}

// smbiosText returns the text of a structure by its number, which starts at 1.
func smbiosText(texts []byte, number byte) string {
	all := bytes.Split(texts, []byte{0})
	if number == 0 || int(number) > len(all) {
		return ""
	}
	return strings.TrimSpace(string(all[number-1]))
}

// rawSMBIOS takes the table out of what Windows hands over: a header of eight
// bytes, of which the last four are the table's length.
func rawSMBIOS(b []byte) []byte {
	const header = 8
	if len(b) < header {
		return nil
	}
	n := binary.LittleEndian.Uint32(b[4:header])
	b = b[header:]
	return b[:min(uint64(n), uint64(len(b)))]
}

// chassisNames are the chassis types of DSP0134 7.4.1, by number.
var chassisNames = [...]string{
	1: "Other", 2: "Unknown", 3: "Desktop", 4: "Low Profile Desktop", 5: "Pizza Box", 6: "Mini Tower",
	7: "Tower", 8: "Portable", 9: "Laptop", 10: "Notebook", 11: "Hand Held", 12: "Docking Station",
	13: "All in One", 14: "Sub Notebook", 15: "Space-saving", 16: "Lunch Box", 17: "Main Server Chassis",
	18: "Expansion Chassis", 19: "SubChassis", 20: "Bus Expansion Chassis", 21: "Peripheral Chassis",
	22: "RAID Chassis", 23: "Rack Mount Chassis", 24: "Sealed-case PC", 25: "Multi-system Chassis",
	26: "Compact PCI", 27: "Advanced TCA", 28: "Blade", 29: "Blade Enclosure", 30: "Tablet",
	31: "Convertible", 32: "Detachable", 33: "IoT Gateway", 34: "Embedded PC", 35: "Mini PC", 36: "Stick PC",
}

func chassisName(number int) (string, error) {
	if number < 1 || number >= len(chassisNames) {
		return "", unknown("chassis type", "the firmware does not tell it")
	}
	return chassisNames[number], nil
}

// virtualVendors are the makers that build no hardware, in lower case.
var virtualVendors = []string{
	"qemu", "vmware", "innotek", "xen", "bochs", "parallels", "nutanix", "ovirt", "red hat", "kvm",
	"openstack", "bhyve", "amazon ec2", "alibaba cloud", "digitalocean", "hetzner", "scaleway",
}

// virtualProducts are products of makers that build hardware as well.
var virtualProducts = []string{
	"virtual machine", "virtualbox", "vmware", "kvm", "hvm domu", "standard pc", "google compute engine", "openstack",
}

// virtualHardware reports whether maker and product are those of a hypervisor's
// machine. Clouds also rent real machines, which they name so.
func virtualHardware(vendor, product string) bool {
	vendor, product = strings.ToLower(vendor), strings.ToLower(product)
	if strings.Contains(product, "metal") {
		return false
	}
	for _, v := range virtualVendors {
		if strings.HasPrefix(vendor, v) {
			return true
		}
	}
	for _, p := range virtualProducts {
		if strings.Contains(product, p) {
			return true
		}
	}
	return false
}

// hypervisors are the signs of each in what the firmware says.
var hypervisors = []struct{ sign, name string }{
	{"vmware", "VMware"}, {"virtualbox", "VirtualBox"}, {"innotek", "VirtualBox"}, {"xen", "Xen"}, {"bochs", "Bochs"}, {"parallels", "Parallels"},
	{"bhyve", "bhyve"}, {"amazon ec2", "KVM"}, {"google", "KVM"}, {"openstack", "KVM"}, {"digitalocean", "KVM"}, {"kvm", "KVM"}, {"qemu", "KVM"},
	{"virtual machine", "Hyper-V"}, {"nutanix", "KVM"}, {"ovirt", "KVM"}, {"red hat", "KVM"}, {"alibaba cloud", "KVM"}, {"apple virtualization", "Apple"},
}

// hypervisorBy knows a hypervisor by what the firmware says in lower case.
func hypervisorBy(said string) string {
	for _, h := range hypervisors {
		if strings.Contains(said, h.sign) {
			return h.name
		}
	}
	return ""
}
