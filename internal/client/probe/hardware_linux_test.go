package probe

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"catenary/internal/fault"
)

func TestHardwareIsWhatToolsSay(t *testing.T) {
	compareAll(t, newProbe(), []comparison{
		{"CPU Cores", nil, nil, shell(`lscpu -p=CORE,SOCKET | grep -v '^#' | sort -u | wc -l`)},
		{"Processors", nil, []int{0, 3}, shell(`lscpu -p=SOCKET | grep -v '^#' | sort | uniq -c | awk '{ print $2 "|" $1 }'`)},
		{"CPU Features", nil, nil, shell(`lscpu | sed -n 's/^Flags: *//p' | tr ' ' '\n'`)},
		{"CPU Caches", nil, []int{0, 1, 2}, shell(`lscpu -B --caches=LEVEL,TYPE,ONE-SIZE | awk 'NR > 1 { print $1 "|" $2 "|" $3 / 1024 }'`)},
		{"CPU Vulnerabilities", nil, []int{0}, shell(`lscpu | sed -n 's/^Vulnerability \([^:]*\):.*/\1/p' | tr 'A-Z ' 'a-z_'`)},
		{"NUMA Nodes", nil, []int{0}, shell(`lscpu | sed -n 's/^NUMA node\([0-9]*\) CPU.*/\1/p'`)},
		{"Total Swap", nil, nil, shell(`free --mebi | awk '/^Swap:/ { print $2 "MB" }'`)},
		{"Swap Devices", nil, []int{0, 1}, shell(`swapon --show=NAME,TYPE --noheadings | awk '{ print $1 "|" $2 }'`)},
		{"Physical Disks", nil, []int{0, 3}, shell(`lsblk -dbno NAME,SIZE,TYPE | awk '$1 !~ /^(loop|ram|zram|dm-|md)/ && $2 > 0 { print $1 "|" int($2 / 1048576) "MB" }'`)},
		{"Disk Partitions", nil, []int{0, 1}, shell(`lsblk -no NAME,PKNAME,TYPE -r | awk '$3 == "part" { print $1 "|" $2 }'`)},
		{"Memory Usage", nil, []int{0}, shell(`awk '/ kB$/ && $1 !~ /^(Vmalloc|DirectMap)/ { sub(":", "", $1); print $1 }' /proc/meminfo`)},
		{"Kernel Hardening", nil, nil, shell(`sysctl -e ` + strings.Join(hardening, " ") + ` 2>/dev/null | sed 's/ = /|/; s/\t/ /g'`)},
		{"FIPS Mode", nil, nil, shell(`[ "$(sysctl -n crypto.fips_enabled 2>/dev/null)" = 1 ] && echo True || echo False`)},
	})
}

// TestDiskActivityIsWhatVmstatSays: others write meanwhile, so it may differ a
// little.
func TestDiskActivityIsWhatVmstatSays(t *testing.T) {
	const tolerance = 256 // MB
	rows, err := newProbe().Run(t.Context(), "Disk Activity", nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs := map[string]string{}
	for _, line := range tool(t, "sh", "-c", `vmstat -d | awk 'NR > 2 { print $1, int($4 / 2048), int($8 / 2048) }'`) {
		name, rest, _ := strings.Cut(line, " ")
		theirs[name] = rest
	}
	for _, row := range rows {
		f := strings.Fields(theirs[row[0]])
		if len(f) != 2 || !near(t, f[0], row[1], tolerance) || !near(t, f[1], row[2], tolerance) {
			t.Errorf("we say %q, vmstat says %q", row, f)
		}
	}
}

// dimm makes a structure of a module of memory.
func dimm(size uint16, extended uint32, kind byte, texts ...string) []byte {
	b := make([]byte, 0x22-smbiosHeader)
	at := func(offset int) []byte { return b[offset-smbiosHeader:] }
	binary.LittleEndian.PutUint16(at(0x0c), size)
	binary.LittleEndian.PutUint32(at(0x1c), extended)
	binary.LittleEndian.PutUint16(at(0x15), 3200)
	at(0x10)[0], at(0x12)[0], at(0x17)[0], at(0x18)[0], at(0x1a)[0] = 1, kind, 2, 3, 4
	return structure(smbiosMemory, b, texts...)
}

func TestFirmwareOfAMachine(t *testing.T) {
	table := slices.Concat(
		dimm(16384, 0, 0x1a, "DIMM A1", "Samsung", "0001", "M393 "), dimm(0x7fff, 65536, 0x22, "DIMM A2", "Hynix", "0002", "H1"),
		dimm(0, 0, 2, "DIMM A3"), dimm(0xffff, 0, 2, "DIMM A4"), dimm(0x8000|2048, 0, 0x0f, "DIMM A5"), structure(smbiosEnd, nil),
	)
	p := probeOn(t, files{
		"sys/class/dmi/id/chassis_type": "10\n", "sys/class/dmi/id/sys_vendor": "LENOVO\n", "sys/class/dmi/id/product_name": "20QV0007GE\n",
		"sys/class/dmi/id/product_serial": "PF1ABCDE  \n", "sys/class/dmi/id/product_uuid": "4C4C4544-0042-4A10-8053-B4C04F4B3532\n",
		"sys/class/dmi/id/chassis_asset_tag": "IT-0815\n", "sys/class/dmi/id/bios_vendor": "LENOVO\n", "sys/class/dmi/id/bios_version": "N2HET52W (1.35 )\n",
		"sys/class/dmi/id/bios_date": "08/26/2020\n", "sys/class/dmi/id/board_vendor": "LENOVO\n", "sys/class/dmi/id/board_name": "20QV0007GE\n",
		"sys/class/dmi/id/board_version": "SDK0T76461 WIN\n", "sys/class/dmi/id/board_serial": "L1HF9\n",
		"sys/firmware/dmi/tables/DMI": string(table), "proc/cpuinfo": "flags : fpu\n",
		"sys/devices/system/edac/mc/mc0/ce_count": "3\n", "sys/devices/system/edac/mc/mc0/ue_count": "0\n", "sys/devices/system/edac/mc/mc0/mc_name": "skx\n",
	})
	saysAll(t, p, []saying{
		{"Chassis Type", nil, []string{"Notebook"}}, {"Manufacturer", nil, []string{"LENOVO"}}, {"Model", nil, []string{"20QV0007GE"}},
		{"Serial Number", nil, []string{"PF1ABCDE"}}, {"System UUID", nil, []string{"4c4c4544-0042-4a10-8053-b4c04f4b3532"}}, {"Asset Tag", nil, []string{"IT-0815"}},
		{"BIOS Vendor", nil, []string{"LENOVO"}}, {"BIOS Version", nil, []string{"N2HET52W (1.35 )"}}, {"BIOS Date", nil, []string{"08/26/2020"}},
		{"Baseboard", nil, []string{"LENOVO|20QV0007GE|SDK0T76461 WIN|L1HF9"}}, {"Hypervisor", nil, []string{"None"}}, {"Is Virtual", nil, []string{"False"}},
		{"Memory Modules", nil, []string{
			"DIMM A1|16384MB|DDR4|3200|Samsung|M393|0001", "DIMM A2|65536MB|DDR5|3200|Hynix|H1|0002", "DIMM A5|2MB|SDRAM|3200|||",
		}},
		{"Memory Errors", nil, []string{"mc0 skx|3|0"}},
	})
	bare := probeOn(t, files{"proc/cpuinfo": "flags : hypervisor\n", "sys/hypervisor/type": "xen\n"})
	saysAll(t, bare, []saying{{"Hypervisor", nil, []string{"Xen"}}})
	for _, sensor := range []string{"Serial Number", "Chassis Type", "Baseboard", "Memory Modules", "Memory Errors", "Boot Entries", "Secure Boot", "BIOS Date"} {
		if rows, err := bare.Run(t.Context(), sensor, nil); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s of a machine that does not tell: %q, %v", sensor, rows, err)
		}
	}
}

func TestProcessorsInSMBIOS(t *testing.T) {
	b := make([]byte, 0x30-smbiosHeader)
	at := func(offset int) []byte { return b[offset-smbiosHeader:] }
	at(0x04)[0], at(0x10)[0], at(0x18)[0], at(0x23)[0], at(0x25)[0] = 1, 2, 0x41, 0xff, 0xff
	binary.LittleEndian.PutUint16(at(0x2a), 288)
	binary.LittleEndian.PutUint16(at(0x2e), 576)
	empty := make([]byte, 0x30-smbiosHeader)
	uuid := append([]byte{1, 2, 0, 3}, 0x44, 0x45, 0x4c, 0x4c, 0x42, 0x00, 0x10, 0x4a, 0x80, 0x53, 0xb4, 0xc0, 0x4f, 0x4b, 0x35, 0x32)
	m := parseSMBIOS(slices.Concat(
		structure(smbiosProcessor, b, "CPU 1", "EPYC  9 "), structure(smbiosProcessor, empty, "CPU 2"), structure(smbiosSystem, uuid, "Dell", "R1", "SN1"),
		structure(smbiosBIOS, []byte{1, 2, 0, 0, 3}, "Dell", "2.1", "01/02/2025"), structure(smbiosBoard, []byte{1, 2, 0, 0}, "Dell", "0X"),
	))
	if want := []processor{{"CPU 1", "EPYC 9", 288, 576}}; !slices.Equal(m.processors, want) {
		t.Errorf("processors are %+v", m.processors)
	}
	if m.uuid != "4c4c4544-0042-4a10-8053-b4c04f4b3532" || m.serial != "SN1" || m.biosDate != "01/02/2025" || m.board[1] != "0X" {
		t.Errorf("%+v", m)
	}
	if got := smbiosUUID([16]byte(bytes.Repeat([]byte{0xff}, 16))); got != "" {
		t.Errorf("an identifier that was not set is %s", got)
	}
}

// bootOptionOf makes what the firmware keeps of something that it can start.
func bootOptionOf(active uint32, description string) string {
	b := binary.LittleEndian.AppendUint32([]byte{7, 0, 0, 0}, active)
	b = binary.LittleEndian.AppendUint16(b, 4)
	for _, unit := range utf16.Encode([]rune(description + "\x00")) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return string(b) + "\x7f\xff\x04\x00"
}

func TestUEFIOfAMachine(t *testing.T) {
	at := func(name string) string { return efiFolder + "/" + name + efiGlobal }
	all := files{
		at("BootOrder"): "\x07\x00\x00\x00\x02\x00\x00\x00\x09\x00", at("Boot0000"): bootOptionOf(1, "debian"), at("Boot0002"): bootOptionOf(1, "Windows Boot Manager"),
		at("Boot000A"): bootOptionOf(0, "Größe"), at("BootNext"): "x", at("Boot0003"): "cut", efiFolder + "/Boot0001-other": bootOptionOf(1, "other"),
		at("SecureBoot"): "\x06\x00\x00\x00\x01", at("SetupMode"): "\x06\x00\x00\x00\x00",
		"sys/class/tpm/tpm0/tpm_version_major": "2\n", "sys/class/tpm/tpmrm0/": "",
	}
	saysAll(t, probeOn(t, all), []saying{
		{"Boot Entries", nil, []string{"1|Boot0002|Windows Boot Manager|True", "2|Boot0000|debian|True", "|Boot000A|Größe|False"}},
		{"Secure Boot", nil, []string{"Enabled"}}, {"TPM", nil, []string{"tpm0|2.0|Enabled"}},
	})
	for content, want := range map[[2]string]string{{"\x00", "\x01"}: "Setup Mode", {"\x00", "\x00"}: "Disabled", {"\x01", "\x01"}: "Enabled"} {
		all[at("SecureBoot")], all[at("SetupMode")] = "\x06\x00\x00\x00"+content[0], "\x06\x00\x00\x00"+content[1]
		saysAll(t, probeOn(t, all), []saying{{"Secure Boot", nil, []string{want}}})
	}
}

// edidOf makes what a monitor says of itself.
func edidOf(maker string, product uint16, serial uint32, year int, descriptors ...string) string {
	b := make([]byte, edidSize)
	copy(b, "\x00\xff\xff\xff\xff\xff\xff\x00")
	binary.BigEndian.PutUint16(b[edidMaker:], uint16(maker[0]-'@')<<10|uint16(maker[1]-'@')<<5|uint16(maker[2]-'@'))
	binary.LittleEndian.PutUint16(b[edidProduct:], product)
	binary.LittleEndian.PutUint32(b[edidSerial:], serial)
	b[edidYear] = byte(year - edidYearFrom)
	for i, d := range descriptors {
		copy(b[edidDescriptors+i*edidDescriptor:], "\x00\x00\x00"+d)
	}
	return string(b)
}

func TestMonitors(t *testing.T) {
	p := probeOn(t, files{
		"sys/class/drm/card0-DP-1/edid": edidOf("DEL", 0xa0c7, 0, 2021, "\xff\x00ABC1234\n   ", "\xfc\x00DELL U2720Q\n"),
		"sys/class/drm/card0-DP-2/edid": edidOf("XYZ", 0x1234, 77, 2015), "sys/class/drm/card0-DP-3/edid": "",
	})
	saysAll(t, p, []saying{{"Monitors", nil, []string{"Dell|DELL U2720Q|ABC1234|2021", "XYZ|1234|77|2015"}}})
}

func FuzzFirmware(f *testing.F) {
	f.Add([]byte(edidOf("DEL", 1, 2, 2020, "\xfc\x00name\n")))
	f.Add([]byte(bootOptionOf(1, "debian")[efiAttributes:]))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, ok := parseEDID(b); ok && (m.maker == "" || m.model == "" || m.year < edidYearFrom) {
			t.Fatalf("%x is %+v", b, m)
		}
		if o, ok := parseBootOption(b); ok && len(o.description) > 3*len(b) {
			t.Fatalf("%x is %+v", b, o)
		}
		if rows := bootRows(b, map[string]bootOption{"Boot0001": {"x", true}}); len(rows) != 1 {
			t.Fatalf("%x gives %q", b, rows)
		}
	})
}
