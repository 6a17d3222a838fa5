package probe

import (
	"encoding/binary"
	"reflect"
	"slices"
	"testing"

	"catenary/internal/fault"
)

// structure makes one structure of an SMBIOS table: its type, the bytes after
// its head, and its texts.
func structure(kind byte, formatted []byte, texts ...string) []byte {
	b := append([]byte{kind, byte(smbiosHeader + len(formatted)), 1, 0}, formatted...)
	for _, s := range texts {
		b = append(append(b, s...), 0)
	}
	if len(texts) == 0 {
		b = append(b, 0)
	}
	return append(b, 0)
}

func TestParseSMBIOS(t *testing.T) {
	bios := structure(0, make([]byte, 14), "SeaBIOS", "1.16")
	system := structure(smbiosSystem, append([]byte{2, 1}, make([]byte, 21)...), "Model 9", " Maker Inc. ")
	chassis := structure(smbiosChassis, []byte{0, 0x80 | 10, 0})
	end := structure(smbiosEnd, nil)
	whole := machine{manufacturer: "Maker Inc.", product: "Model 9", chassis: 10}
	for _, c := range []struct {
		name  string
		table []byte
		want  machine
	}{
		{"whole", slices.Concat(bios, system, chassis, end), whole},
		{"the first of several counts", slices.Concat(system, chassis, structure(smbiosSystem, []byte{1, 1}, "Other"), end), whole},
		{"no end", slices.Concat(bios, system, chassis), whole},
		{"what follows the end", slices.Concat(system, end, chassis), machine{manufacturer: "Maker Inc.", product: "Model 9"}},
		{"texts that are not there", structure(smbiosSystem, []byte{3, 0}, "x"), machine{}},
		{"cut", slices.Concat(system, chassis[:6]), machine{manufacturer: "Maker Inc.", product: "Model 9"}},
		{"too short a length", []byte{smbiosSystem, 3, 0, 0, 0, 0}, machine{}},
		{"empty", nil, machine{}},
	} {
		if got := parseSMBIOS(c.table); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func FuzzParseSMBIOS(f *testing.F) {
	f.Add(slices.Concat(structure(smbiosSystem, []byte{1, 2}, "a", "b"), structure(smbiosChassis, []byte{0, 3})))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m := parseSMBIOS(b); len(m.manufacturer) > len(b) || len(m.product) > len(b) || m.chassis > 0x7f {
			t.Fatalf("%x gives %+v", b, m)
		}
		if len(rawSMBIOS(b)) > len(b) {
			t.Fatalf("%x has more than it has", b)
		}
	})
}

func TestRawSMBIOS(t *testing.T) {
	head := binary.LittleEndian.AppendUint32([]byte{0, 3, 4, 0}, 3)
	for _, c := range []struct{ b, want []byte }{
		{append(head, 1, 2, 3, 4), []byte{1, 2, 3}}, {append(head, 1, 2), []byte{1, 2}}, {head, nil}, {head[:7], nil},
	} {
		if got := rawSMBIOS(c.b); !slices.Equal(got, c.want) {
			t.Errorf("%x gives %x", c.b, got)
		}
	}
}

func TestChassisName(t *testing.T) {
	for number, want := range map[int]string{1: "Other", 3: "Desktop", 10: "Notebook", 23: "Rack Mount Chassis", 36: "Stick PC"} {
		if got, err := chassisName(number); got != want || err != nil {
			t.Errorf("%d is %q, %v", number, got, err)
		}
	}
	for _, number := range []int{-1, 0, 37} {
		if got, err := chassisName(number); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%d is %q, %v", number, got, err)
		}
	}
}

func TestVirtualHardware(t *testing.T) {
	for _, c := range []struct {
		vendor, product string
		want            bool
	}{
		{"QEMU", "Standard PC (Q35 + ICH9, 2009)", true},
		{"VMware, Inc.", "VMware7,1", true},
		{"Microsoft Corporation", "Virtual Machine", true},
		{"Microsoft Corporation", "Surface Laptop 5", false},
		{"innotek GmbH", "VirtualBox", true},
		{"Amazon EC2", "m5.large", true},
		{"Amazon EC2", "m5.metal", false},
		{"Google", "Google Compute Engine", true},
		{"Google", "Eve", false},
		{"Dell Inc.", "PowerEdge R740", false},
		{"LENOVO", "20QV", false},
		{"", "", false},
	} {
		if got := virtualHardware(c.vendor, c.product); got != c.want {
			t.Errorf("%s %s: %t", c.vendor, c.product, got)
		}
	}
}
