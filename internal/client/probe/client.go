package probe

import (
	"context"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/fault"
)

// Status is what a client knows of its place in the chain and of its work.
type Status struct {
	Address  netip.AddrPort // where neighbours reach it
	Server   netip.AddrPort // with which it registered last; the zero AddrPort before
	Back     Peer
	Front    Peer
	Answered uint64 // questions that it has computed
	Cached   int    // answers of sensors that it remembers
	CacheMax int
}

// A Peer is who stands next to a client: nobody, the server or another client.
type Peer struct {
	Server bool
	Addr   netip.AddrPort // of another client
}

func (p Peer) nobody() bool { return !p.Server && !p.Addr.IsValid() }

func (p Peer) String() string {
	switch {
	case p.Server:
		return "Server"
	case p.Addr.IsValid():
		return p.Addr.String()
	}
	return ""
}

// tagsFile is where a machine's tags stand, in the client's folder.
const tagsFile = "custom-tags.txt"

// clientFacts are what the client says of itself.
func (p *Probe) clientFacts() map[string]fact {
	return map[string]fact{
		"Computer Name":          text(p.computerName),
		"Computer ID":            text(p.computerID),
		"Client Version":         text(p.version),
		"Online":                 truth(true),
		"Client Program":         table(p.clientProgram),
		"Client Uptime":          text(clientUptime),
		"Client Memory":          text(clientMemory),
		"Client CPU Consumption": text(clientConsumption),
		"Client Folder":          table(p.clientFolder),
		"Client Environment":     table(clientEnvironment),
		"Custom Tags":            list(p.tags),
		"Has Custom Tag":         with(1, p.hasTag),
		"Sensor Run Times":       table(p.sensorRunTimes),
		"Client Address":         p.status(func(s Status) (string, bool) { return s.Address.String(), s.Address.IsValid() }),
		"Server Address":         p.status(func(s Status) (string, bool) { return s.Server.String(), s.Server.IsValid() }),
		"Peer Address":           p.status(func(s Status) (string, bool) { return s.Front.String(), true }),
		"Back Peer Address":      p.status(func(s Status) (string, bool) { return s.Back.String(), true }),
		"Chain Role":             p.status(func(s Status) (string, bool) { return chainRole(s.Back, s.Front), true }),
		"Questions Answered":     p.status(func(s Status) (string, bool) { return strconv.FormatUint(s.Answered, 10), true }),
		"Sensor Cache":           table(p.sensorCache),
	}
}

var errNoStatus = fault.New(fault.Unavailable, "the client is in no chain yet")

// status is a fact that the client knows of its place in the chain, or not yet.
func (p *Probe) status(f func(Status) (string, bool)) fact {
	return text(func() (string, error) {
		if p.self.Status == nil {
			return "", errNoStatus
		}
		s, ok := f(p.self.Status())
		if !ok {
			return "", errNoStatus
		}
		return s, nil
	})
}

func chainRole(back, front Peer) string {
	switch {
	case back.nobody() || front.nobody():
		return "Apart"
	case back.Server && front.Server:
		return "Only Member"
	case back.Server:
		return "Backward Leader"
	case front.Server:
		return "Forward Leader"
	}
	return "Member"
}

func (p *Probe) sensorCache(context.Context) ([][]string, error) {
	if p.self.Status == nil {
		return nil, errNoStatus
	}
	s := p.self.Status()
	return [][]string{{strconv.Itoa(s.Cached), strconv.Itoa(s.CacheMax)}}, nil
}

func (p *Probe) clientProgram(ctx context.Context) ([][]string, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	sum, err := p.sums.of(ctx, path, sha256Sum)
	if err != nil {
		return nil, err
	}
	return [][]string{{path, sum, runtime.GOOS + "/" + runtime.GOARCH, strings.TrimPrefix(runtime.Version(), "go")}}, nil
}

func clientUptime() (string, error) {
	started, _, err := ownTimes()
	return span(time.Since(started)), err
}

// clientConsumption is the client's share of one processor since its start.
func clientConsumption() (string, error) {
	started, used, err := ownTimes()
	if err != nil {
		return "", err
	}
	return percent(float64(used) / float64(max(time.Since(started), time.Millisecond))), nil
}

// percent writes a share with two digits, as a value of type Numeric.
func percent(share float64) string {
	return strconv.FormatFloat(100*share, 'f', 2, 64)
}

func (p *Probe) clientFolder(ctx context.Context) ([][]string, error) {
	if p.self.Folder == "" {
		return nil, unknown("client's folder", "it has none")
	}
	files, sum := 0, uint64(0)
	err := filepath.WalkDir(p.self.Folder, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return errorUnlessAbsent(err)
		}
		info, err := e.Info()
		if err != nil {
			return errorUnlessAbsent(err)
		}
		files, sum = files+1, sum+uint64(info.Size())
		return stoppedIf(ctx, "reading the client's folder")
	})
	return [][]string{{p.self.Folder, size(sum), strconv.Itoa(files)}}, err
}

// errorUnlessAbsent passes over what vanished while a folder was read.
func errorUnlessAbsent(err error) error {
	if absent(err) {
		return nil
	}
	return err
}

// openVariables hold nothing that has to be kept from others.
var openVariables = []string{
	"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "TMP", "USER", "LOGNAME", "SHELL", "PWD",
	"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK", "SystemRoot", "windir", "ComSpec", "PATHEXT",
	"ProgramData", "ProgramFiles", "PROCESSOR_ARCHITECTURE", "NUMBER_OF_PROCESSORS", "INVOCATION_ID", "JOURNAL_STREAM",
}

func clientEnvironment(context.Context) ([][]string, error) {
	var rows [][]string
	for _, variable := range os.Environ() {
		name, v, _ := strings.Cut(variable, "=")
		if name == "" { // Windows keeps the folders of its drives so
			continue
		}
		if !slices.Contains(openVariables, name) {
			v = ""
		}
		rows = append(rows, []string{name, v})
	}
	return uniqueRows(rows), nil
}

func (p *Probe) tags(context.Context) ([]string, error) {
	if p.self.Folder == "" {
		return nil, nil
	}
	b, err := readSystem(filepath.Join(p.self.Folder, tagsFile))
	if absent(err) {
		return nil, nil
	}
	var tags []string
	for _, line := range splitLines(decodeText(b)) {
		if tag := strings.TrimSpace(line); tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags, err
}

func (p *Probe) hasTag(ctx context.Context, params []string) ([][]string, error) {
	tags, err := p.tags(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err := newWildcard(params[0])
	if err != nil {
		return nil, err
	}
	return [][]string{{yesNo(slices.ContainsFunc(tags, wanted.matches))}}, nil
}
