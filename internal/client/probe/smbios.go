package probe

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// A machine is what its firmware says about it in the SMBIOS tables (DMTF
// DSP0134).
type machine struct {
	manufacturer, product string
	chassis               byte // 0 if the tables do not tell it
}

const (
	smbiosHeader  = 4 // bytes: type, length, handle
	smbiosSystem  = 1 // DSP0134 7.2: System Information
	smbiosChassis = 3 // DSP0134 7.4: System Enclosure or Chassis
	smbiosEnd     = 127
)

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
		switch {
		case kind == smbiosSystem && length > 5 && m.product == "":
			m.manufacturer = smbiosText(texts, formatted[4])
			m.product = smbiosText(texts, formatted[5])
		case kind == smbiosChassis && length > 5 && m.chassis == 0:
			m.chassis = formatted[5] & 0x7f // the highest bit says whether it has a lock
		}
		table = next
	}
	return m
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
