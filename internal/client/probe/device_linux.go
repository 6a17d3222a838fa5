package probe

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	efiFolder = "sys/firmware/efi/efivars"
	efiGlobal = "-8be4df61-93ca-11d2-aa0d-00e098032b8c" // the firmware's own variables end so

	idsMax       = 16 << 20 // bytes of the list of names of devices
	pciDisplay   = "03"     // the class of graphics adapters
	usbHub       = "09"     // the class of hubs
	milli        = 1000     // thermometers tell thousandths
	hundred      = 100
	healthyUntil = 1000 // percent; a battery that claims to hold more is not believed
)

func (p *Probe) deviceFacts() map[string]fact {
	return map[string]fact{
		"PCI Devices":        p.tableIn(func(_ context.Context, at tree) ([][]string, error) { return pciRows(at, "") }),
		"Graphics Adapters":  p.tableIn(graphicsAdapters),
		"USB Devices":        p.tableIn(usbDevices),
		"Batteries":          p.tableIn(batteries),
		"Power Source":       p.tableIn(powerSources),
		"Temperatures":       p.tableIn(temperatures),
		"Fans":               p.tableIn(fans),
		"Monitors":           p.tableIn(monitors),
		"Audio Devices":      p.tableIn(audioDevices),
		"Input Devices":      p.tableIn(inputDevices),
		"Printers":           p.tableIn(cupsPrinters),
		"Bluetooth Adapters": p.listIn(bluetoothAdapters),
		"TPM":                p.tableIn(tpms),
		"Secure Boot":        p.textIn(secureBoot),
	}
}

// pciRows tells the devices of a class, or all.
func pciRows(at tree, class string) ([][]string, error) {
	folders, err := at.glob("/sys/bus/pci/devices/*")
	if err != nil || folders == nil {
		return nil, err
	}
	names := pciNames{}
	for _, file := range []string{"usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids"} {
		if b, err := smallFile(at.at(file), idsMax); err == nil {
			names = parsePCINames(string(b))
			break
		}
	}
	var rows [][]string
	for _, folder := range folders {
		kind := strings.TrimPrefix(at.attribute(folder+"/class"), "0x")
		if !strings.HasPrefix(kind, class) || len(kind) < 4 {
			continue
		}
		vendor := strings.TrimPrefix(at.attribute(folder+"/vendor"), "0x")
		device := strings.TrimPrefix(at.attribute(folder+"/device"), "0x")
		rows = append(rows, []string{
			path.Base(folder), names.of("C "+kind[:4], names.of("C "+kind[:2], kind[:4])), names.of(vendor, vendor),
			names.of(vendor+" "+device, device), at.link(folder + "/driver"),
		})
	}
	return rows, nil
}

// pciNames are names of vendors by their numbers, of devices by vendor and
// number, and of classes by C and number.
type pciNames map[string]string

func (n pciNames) of(key, otherwise string) string {
	if name := n[key]; name != "" {
		return name
	}
	return otherwise
}

// parsePCINames reads a list of names: at the begin of a line a vendor, or a
// class after C; after a tab its devices or subclasses.
func parsePCINames(text string) pciNames {
	names := pciNames{}
	above := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		inner, below := strings.CutPrefix(line, "\t")
		if line == "" || line[0] == '#' || strings.HasPrefix(inner, "\t") {
			continue
		}
		number, name, ok := strings.Cut(inner, "  ")
		switch {
		case !ok:
		case !below:
			above = number
			names[number] = name
		case strings.HasPrefix(above, "C "):
			names[above+number] = name
		default:
			names[above+" "+number] = name
		}
	}
	return names
}

func graphicsAdapters(_ context.Context, at tree) ([][]string, error) {
	all, err := pciRows(at, pciDisplay)
	var rows [][]string
	for _, r := range all {
		rows = append(rows, r[2:])
	}
	return rows, err
}

func usbDevices(_ context.Context, at tree) ([][]string, error) {
	folders, err := at.glob("/sys/bus/usb/devices/*")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, folder := range folders {
		vendor := at.attribute(folder + "/idVendor")
		if vendor == "" || at.attribute(folder+"/bDeviceClass") == usbHub {
			continue
		}
		rows = append(rows, []string{
			vendor, at.attribute(folder + "/idProduct"), at.attribute(folder + "/manufacturer"),
			at.attribute(folder + "/product"), at.attribute(folder + "/serial"),
		})
	}
	return uniqueRows(rows), nil
}

func bluetoothAdapters(_ context.Context, at tree) ([]string, error) {
	names, err := at.names("sys/class/bluetooth")
	return slices.DeleteFunc(names, func(n string) bool { return strings.Contains(n, ":") }), err // those are connections
}

// supplies calls visit for the power supplies of the machine itself, with their
// kind.
func supplies(at tree, visit func(folder, kind string)) error {
	folders, err := at.glob("/sys/class/power_supply/*")
	for _, folder := range folders {
		if at.attribute(folder+"/scope") != "Device" { // that of a mouse or a headset
			visit(folder, at.attribute(folder+"/type"))
		}
	}
	return err
}

func batteries(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	err := supplies(at, func(folder, kind string) {
		if kind != "Battery" || at.attribute(folder+"/present") == "0" {
			return
		}
		rows = append(rows, []string{
			path.Base(folder), at.attribute(folder + "/status"), at.attribute(folder + "/capacity"), batteryHealth(at, folder),
			at.attribute(folder + "/cycle_count"),
		})
	})
	return rows, err
}

// batteryHealth is how much a battery holds of what it was made for, in
// percent. Some tell energy, some charge.
func batteryHealth(at tree, folder string) string {
	for _, kind := range []string{"energy", "charge"} {
		now, err := strconv.ParseUint(at.attribute(folder+"/"+kind+"_full"), 10, 54)
		if err != nil {
			continue
		}
		made, err := strconv.ParseUint(at.attribute(folder+"/"+kind+"_full_design"), 10, 54)
		if err != nil || made == 0 || now/made > healthyUntil/hundred {
			continue
		}
		return wholePercent(now, made)
	}
	return ""
}

func powerSources(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	err := supplies(at, func(folder, kind string) {
		if online := at.attribute(folder + "/online"); kind != "Battery" && online != "" {
			rows = append(rows, []string{path.Base(folder), yesNo(online != "0")})
		}
	})
	return rows, err
}

// temperatures are what drivers of hardware monitors tell, and zones that the
// firmware watches over.
func temperatures(_ context.Context, at tree) ([][]string, error) {
	rows, err := monitored(at, "temp")
	if err != nil {
		return nil, err
	}
	zones, err := at.glob("/sys/class/thermal/thermal_zone*")
	if err != nil {
		return nil, err
	}
	for _, zone := range zones {
		if t, err := strconv.ParseInt(at.attribute(zone+"/temp"), 10, 54); err == nil {
			rows = append(rows, []string{"zone " + at.attribute(zone+"/type"), thousandths(t)})
		}
	}
	return uniqueRows(rows), nil
}

func fans(_ context.Context, at tree) ([][]string, error) {
	rows, err := monitored(at, "fan")
	return uniqueRows(rows), err
}

// monitored reads the inputs of a kind of all hardware monitors. Each has the
// monitor's name and, where the driver has one, a label of its own.
func monitored(at tree, kind string) ([][]string, error) {
	inputs, err := at.glob("/sys/class/hwmon/hwmon*/" + kind + "*_input")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, input := range inputs {
		n, err := strconv.ParseInt(at.attribute(input), 10, 54)
		if err != nil { // it sleeps
			continue
		}
		label := at.attribute(strings.TrimSuffix(input, "_input") + "_label")
		if label == "" {
			label = strings.TrimSuffix(path.Base(input), "_input")
		}
		value := strconv.FormatInt(n, 10)
		if kind == "temp" {
			value = thousandths(n)
		}
		rows = append(rows, []string{at.attribute(path.Dir(input)+"/name") + " " + label, value})
	}
	return rows, nil
}

func thousandths(n int64) string {
	return strconv.FormatFloat(float64(n)/milli, 'f', -1, 64)
}

func monitors(_ context.Context, at tree) ([][]string, error) {
	files, err := at.glob("/sys/class/drm/*/edid")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, file := range files {
		b, err := at.read(file)
		if err != nil {
			continue // unplugged meanwhile
		}
		if m, ok := parseEDID(b); ok { // a socket without a monitor has an empty file
			rows = append(rows, m.row())
		}
	}
	return rows, nil
}

// audioDevices reads /proc/asound/cards: " 0 [PCH   ]: HDA-Intel - HDA Intel
// PCH", and a line that says it at more length.
func audioDevices(_ context.Context, at tree) ([][]string, error) {
	text, err := at.text("proc/asound/cards")
	return parseCards(text), err
}

func parseCards(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		_, rest, ok := strings.Cut(line, "[")
		id, rest, ok2 := strings.Cut(rest, "]:")
		driver, name, ok3 := strings.Cut(rest, " - ")
		if ok && ok2 && ok3 {
			rows = append(rows, []string{strings.TrimSpace(id), strings.TrimSpace(driver), strings.TrimSpace(name)})
		}
	}
	return rows
}

// inputBuses are the numbers of buses in linux/input.h.
var inputBuses = map[string]string{
	"0001": "PCI", "0003": "USB", "0005": "Bluetooth", "0006": "Virtual", "0011": "PS/2", "0018": "I2C", "0019": "Host", "001c": "SPI", "001d": "RMI",
}

// inputDevices reads /proc/bus/input/devices: paragraphs with lines of a letter
// and what it stands for.
func inputDevices(_ context.Context, at tree) ([][]string, error) {
	text, err := at.text("proc/bus/input/devices")
	return parseInputs(text), err
}

func parseInputs(text string) [][]string {
	var rows [][]string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		var row [3]string
		for line := range strings.Lines(paragraph) {
			switch line = strings.TrimSpace(line); {
			case strings.HasPrefix(line, "I: Bus="):
				number, _, _ := strings.Cut(strings.TrimPrefix(line, "I: Bus="), " ")
				if row[1] = number; inputBuses[number] != "" {
					row[1] = inputBuses[number]
				}
			case strings.HasPrefix(line, "N: Name="):
				row[0] = unquote(strings.TrimPrefix(line, "N: Name="))
			case strings.HasPrefix(line, "P: Phys="):
				row[2] = strings.TrimPrefix(line, "P: Phys=")
			}
		}
		if row[0] != "" {
			rows = append(rows, row[:])
		}
	}
	return rows
}

func tpms(_ context.Context, at tree) ([][]string, error) {
	folders, err := at.glob("/sys/class/tpm/tpm[0-9]*")
	var rows [][]string
	for _, folder := range folders {
		version := at.attribute(folder + "/tpm_version_major")
		if version == "2" {
			version = "2.0"
		} else if version == "1" || version == "" { // the kernel tells the version since there are two
			version = "1.2"
		}
		state := "Enabled"
		if at.attribute(folder+"/device/enabled") == "0" {
			state = "Disabled"
		}
		rows = append(rows, []string{path.Base(folder), version, state})
	}
	return rows, err
}

// efiVariable reads a variable of the firmware without its attributes.
func efiVariable(at tree, name string) ([]byte, error) {
	b, err := at.read(efiFolder + "/" + name + efiGlobal)
	if err != nil {
		return nil, err
	}
	if len(b) < efiAttributes {
		return nil, fmt.Errorf("the firmware's variable %s is cut", name)
	}
	return b[efiAttributes:], nil
}

func secureBoot(at tree) (string, error) {
	on, err := efiVariable(at, "SecureBoot")
	if absent(err) {
		return "", unknown("state of Secure Boot", "the firmware does not tell it, or is no UEFI")
	}
	if err != nil {
		return "", err
	}
	setup, err := efiVariable(at, "SetupMode")
	if err != nil && !absent(err) {
		return "", err
	}
	switch yes := []byte{1}; {
	case bytes.Equal(on, yes):
		return "Enabled", nil
	case bytes.Equal(setup, yes):
		return "Setup Mode", nil
	}
	return "Disabled", nil
}

func bootEntries(_ context.Context, at tree) ([][]string, error) {
	names, err := at.names(efiFolder)
	if err != nil {
		return nil, err
	}
	if names == nil {
		return nil, unknown("list of boot entries", "the firmware is no UEFI, or does not show it")
	}
	options := map[string]bootOption{}
	for _, name := range names {
		name, ours := strings.CutSuffix(name, efiGlobal)
		if !ours || !bootNumber(name) {
			continue
		}
		b, err := efiVariable(at, name)
		if err != nil {
			continue // gone meanwhile
		}
		if o, ok := parseBootOption(b); ok {
			options[name] = o
		}
	}
	order, err := efiVariable(at, "BootOrder")
	if err != nil && !absent(err) {
		return nil, err
	}
	return bootRows(order, options), nil
}
