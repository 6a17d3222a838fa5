// Package probe is how each native sensor is computed on this machine.
//
// A [Probe] is asked by the client for one sensor at a time and reads what the
// system itself keeps: files below /proc, /sys and /etc, system calls, the
// registry. It changes nothing and starts no program; where a system has no
// better source, gopsutil asks the system's own tools. A fact that cannot be
// had is an error and never a guess.
//
// What a sensor is called, which columns it has and how long its answer stays
// fresh is said in [sensor.Builtin].
package probe

import (
	"context"
	"net/netip"
	"strings"

	"catenary/internal/fault"
)

// rowsMax is how many rows one sensor may have on one machine. Sockets and
// processes are as many as a machine's users like; an answer is not.
const rowsMax = 100_000

// Self is what a client knows about itself better than its machine does.
type Self struct {
	ComputerName string        // instead of the host name, if not empty
	ComputerID   func() uint32 // 0 until the client is registered
	Version      string        // of the client
	Addresses    []netip.Addr  // instead of the machine's, if not empty
}

// A Probe computes native sensors. It may be used by several goroutines.
type Probe struct {
	self  Self
	facts map[string]fact
	sums  sums
}

// New returns a probe for the client that self describes.
func New(self Self) *Probe {
	p := &Probe{self: self}
	p.facts = p.table()
	return p
}

// table says for each sensor of [sensor.Builtin] by which function it is
// computed.
func (p *Probe) table() map[string]fact {
	return map[string]fact{
		"Computer Name":               text(p.computerName),
		"Computer ID":                 text(p.computerID),
		"Client Version":              text(p.version),
		"Online":                      truth(true),
		"Operating System":            text(operatingSystem),
		"OS Platform":                 text(platformName),
		"Kernel Version":              text(kernelVersion),
		"Uptime":                      text(uptime),
		"Last Reboot":                 text(lastReboot),
		"Time Zone":                   text(timeZone),
		"Logged In Users":             list(loggedInUsers),
		"Is Linux":                    truth(isLinux),
		"Is Windows":                  truth(isWindows),
		"Is Mac":                      truth(isMac),
		"CPU Architecture":            text(cpuArchitecture),
		"CPU Model":                   list(cpuModels),
		"Number of CPUs":              text(cpuCount),
		"Chassis Type":                text(chassisType),
		"Manufacturer":                text(manufacturer),
		"Model":                       text(model),
		"Is Virtual":                  text(isVirtual),
		"Total Memory":                text(totalMemory),
		"Free Memory":                 text(freeMemory),
		"Disk Free Space":             table(disks),
		"IP Address":                  list(p.addresses),
		"MAC Address":                 list(hardwareAddresses),
		"Network Adapters":            table(adapters),
		"Default Gateway":             list(defaultGateways),
		"DNS Servers":                 list(nameServers),
		"Listening Ports":             table(listeningPorts),
		"Established Connections":     table(establishedConnections),
		"Running Processes":           list(processNames),
		"Running Processes with Hash": table(p.processHashes),
		"Running Services":            table(services),
		"Installed Applications":      table(applications),
		"File Exists":                 ofPath(fileExists),
		"File Hash":                   ofPath(p.fileHash),
		"Folder Contents":             ofPath(folderContents),
		"File Contents":               ofPath(fileContents),
	}
}

// Run computes the sensor of the given name: one []string per row, with one
// text per column of its definition.
func (p *Probe) Run(ctx context.Context, name string, params []string) ([][]string, error) {
	compute, ok := p.facts[name]
	if !ok {
		return nil, fault.New(fault.NotFound, "this client has no sensor %q", name)
	}
	rows, err := compute(ctx, params)
	if err != nil {
		return nil, err
	}
	if len(rows) > rowsMax {
		return nil, fault.New(fault.Invalid, "more than %d rows", rowsMax)
	}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = clean(cell)
		}
	}
	return rows, nil
}

// clean makes a text that every link and database takes: valid UTF-8 without
// the zero character. File names and process names may be any bytes.
func clean(s string) string {
	const replacement = "\uFFFD"
	return strings.ReplaceAll(strings.ToValidUTF8(s, replacement), "\x00", replacement)
}
