package api

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// An Installation is the engine's part in what can be said of the server itself.
type Installation interface {
	// Disk is how large the disk of the server's data is, and how much of it is
	// free, in bytes.
	Disk() (capacity, free uint64, err error)
	// Queues are what waits for the server's own parts, by their names: how much,
	// and how much at most.
	Queues() map[string][2]int
	// PublicKey is what signatures of the installation are checked with, in PEM.
	PublicKey() []byte
	// InitBundle makes a file that lets machines in: so many, for so long, and to
	// be found at these servers; without any, those that are usual.
	InitBundle(ctx context.Context, name string, servers []string, uses int, life time.Duration) ([]byte, error)
}

const (
	bundleUses    = 1000 // machines that a downloaded bundle lets in, unless more are asked for
	bundleUsesMax = 1_000_000
	bundleDays    = 7 // as long as the first bundle
	bundleDaysMax = 365
	serversMax    = 100 // addresses in a bundle
)

func (s *server) installationRoutes() []route {
	const v2 = "/api/v2/"
	return []route{
		{"GET", v2 + "server_info", withSession, rights.ReadServerStatus, get(s.serverInfo)},
		{"GET", v2 + "server_health", withSession, rights.ReadServerStatus, get(s.serverHealth)},
		{"GET", v2 + "server_host", withSession, rights.ReadServerStatus, get(s.serverHost)},
		{"GET", v2 + "license", withSession, rights.ReadServerStatus, get(s.license)},
		{"POST", v2 + "license", withSession, rights.WriteSettings, post(bodyMax, s.keepLicense)},
		{"GET", v2 + "unregistered_clients", withSession, rights.ReadSystemStatus, handler(s.unregisteredClients)},
		{"GET", v2 + "server_throttle_statuses", withSession, rights.ReadThrottles, get(s.throttleStatuses("server_throttle"))},
		{"GET", v2 + "site_throttle_statuses", withSession, rights.ReadThrottles, get(s.throttleStatuses("site_throttle"))},
		{"GET", v2 + "keys/314", withSession, rights.ReadKeys, handler(s.publicKey)},
		{"GET", v2 + "keys/315", withSession, rights.ReadKeys, handler(s.bundle)},
		{"POST", v2 + "keys/315", withSession, rights.ReadKeys, typedHandler{handler: s.bundleWith, in: typeOf[bundleRequest]()}},
	}
}

// sectionOf parts the name of a figure: catenary_api_sessions is the counter
// sessions of the section API.
func sectionOf(name string) (section, counter string) {
	section, counter, _ = strings.Cut(strings.TrimPrefix(name, "catenary_"), "_")
	if section == "api" {
		return "API", counter
	}
	if !strings.HasPrefix(name, "catenary_") || counter != "" {
		return strings.ToUpper(section[:1]) + section[1:], counter
	}
	return "Server", section
}

func labelsOf(m *dto.Metric) string {
	var texts []string
	for _, l := range m.GetLabel() {
		texts = append(texts, l.GetValue())
	}
	if len(texts) == 0 {
		return ""
	}
	return " " + strings.Join(texts, " ")
}

func addCounter(to map[string]any, name string, m *dto.Metric) {
	switch {
	case m.GetCounter() != nil:
		to[name] = m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		to[name] = m.GetGauge().GetValue()
	case m.GetHistogram() != nil:
		to[name+" count"], to[name+" sum"] = m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()
	case m.GetSummary() != nil:
		to[name+" count"], to[name+" sum"] = m.GetSummary().GetSampleCount(), m.GetSummary().GetSampleSum()
	}
}

type serverDisk struct {
	Name      string  `json:"name"`
	Capacity  uint64  `json:"capacity"`  // bytes
	Available uint64  `json:"available"` // bytes
	Timestamp isoTime `json:"timestamp"`
}

type healthObject struct {
	Servers struct {
		Main   []serverDisk `json:"tanium_servers"`
		Module []serverDisk `json:"module_servers"`
		Zone   []serverDisk `json:"zone_servers"`
	} `json:"servers"`
}

// serverHealth knows one server: this one does the modules' work, too, and zone
// servers are for a later version.
func (s *server) serverHealth(context.Context, call) (out healthObject, err error) {
	d := serverDisk{Name: s.hostname, Timestamp: isoTime(time.Now())}
	if d.Capacity, d.Available, err = s.engine.Disk(); err != nil {
		return out, err
	}
	out.Servers.Main, out.Servers.Module, out.Servers.Zone = []serverDisk{d}, []serverDisk{d}, []serverDisk{}
	return out, nil
}

type hostObject struct {
	HeartBeatAgeInMinute int          `json:"heart_beat_age_in_minute"`
	Servers              []hostServer `json:"servers"`
}

type hostServer struct {
	ID       int     `json:"id"`
	Name     string  `json:"name"`
	Type     string  `json:"type"`
	Version  string  `json:"version"`
	LastSeen isoTime `json:"last_heartbeat"`
}

func (s *server) serverHost(context.Context, call) (hostObject, error) {
	return hostObject{Servers: []hostServer{{1, s.hostname, "Server", s.version, isoTime(time.Now())}}}, nil
}

// unregisteredClients are machines, of those that the caller sees, whose last
// registration was refused.
func (s *server) unregisteredClients(w http.ResponseWriter, c call) error {
	seen, err := s.sight(c.Context(), c.rights)
	if err != nil {
		return err
	}
	l := statusListing(seen.choose(func(m *endpoint.Status) bool { return m.Refused != "" }))
	l.sums, l.info = nil, false
	return s.sendList(w, c, l)
}

type throttleStatus struct {
	ID                       int64  `json:"id"`
	Name                     string `json:"name"`
	ConnectionDelay          int    `json:"connection_delay_ms"`
	DownloadConnectionDelay  int    `json:"download_connection_delay_ms"`
	SensorConnectionDelay    int    `json:"sensor_connection_delay_ms"`
	ConnectionsWaiting       int    `json:"connections_waiting"`
	BandwidthBytesPerSecond  int64  `json:"bandwidth_bytes_per_second"`
	DownloadBytesPerSecond   int64  `json:"download_bandwidth_bytes_per_second"`
	BandwidthLimitIsEnforced bool   `json:"enforced_flag"`
}

// throttleStatuses says of each throttle what it holds back: nothing yet.
func (s *server) throttleStatuses(kind string) func(context.Context, call) ([]throttleStatus, error) {
	return func(context.Context, call) ([]throttleStatus, error) {
		out := []throttleStatus{}
		for _, r := range s.shelves.All(kind) {
			out = append(out, throttleStatus{ID: r.ID, Name: r.Object.Text("name")})
		}
		return out, nil
	}
}

func (s *server) publicKey(w http.ResponseWriter, _ call) error {
	return sendFile(w, "catenary.pub", s.engine.PublicKey())
}

// bundleRequest says what a bundle is to have otherwise than usual.
type bundleRequest struct {
	Settings map[string]string `json:"settings"`
}

// bundleSettings are those that can be said of a bundle.
const bundleSettings = "ServerNameList, uses, days, name"

func (s *server) bundle(w http.ResponseWriter, c call) error {
	return s.sendBundle(w, c, map[string]string{"ServerNameList": c.URL.Query().Get("server_list")})
}

func (s *server) bundleWith(w http.ResponseWriter, c call) error {
	body, err := readBody(w, c, bodyMax)
	if err != nil {
		return err
	}
	var in struct {
		Settings map[string]any `json:"settings"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	texts := map[string]string{}
	for name, v := range in.Settings {
		texts[name] = fmt.Sprint(v)
	}
	return s.sendBundle(w, c, texts)
}

// sendBundle makes a bundle, and says so in the audit: whoever has the file can
// let machines in.
func (s *server) sendBundle(w http.ResponseWriter, c call, settings map[string]string) error {
	name, servers, uses, days := "downloaded by "+c.user.Name, []string(nil), int64(bundleUses), int64(bundleDays)
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		text, err := settings[key], error(nil)
		switch key {
		case "ServerNameList":
			servers, err = serverList(text)
		case "uses":
			uses, err = between(key, text, bundleUsesMax)
		case "days":
			days, err = between(key, text, bundleDaysMax)
		case "name":
			if name = text; len(name) > nameMax {
				err = fault.New(fault.Invalid, "name has %d bytes, more than %d", len(name), nameMax)
			}
		default:
			err = fault.New(fault.Invalid, "the setting %q is none of %s", shorten(key), bundleSettings)
		}
		if err != nil {
			return err
		}
	}
	life := time.Duration(days) * 24 * time.Hour
	file, err := s.engine.InitBundle(c.Context(), name, servers, int(uses), life)
	if err != nil {
		return err
	}
	err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) error {
		return ch.Audit(store.AuditEntry{
			Type: "create", Kind: "init_bundle", ObjectName: name,
			Details: fmt.Sprintf("lets in %d machines for %d days", uses, days),
		})
	})
	if err != nil {
		return err
	}
	return sendFile(w, "catenary-init.dat", file)
}

func between(name, text string, most int64) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > most {
		return 0, fault.New(fault.Invalid, "%s is %q, not 1 to %d", name, shorten(text), most)
	}
	return n, nil
}

// serverList reads addresses with commas between; without a port they have the
// usual one.
func serverList(text string) (out []string, err error) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		host, port, err := net.SplitHostPort(part)
		if err != nil {
			host, port = strings.Trim(part, "[]"), defaultPort
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" || strings.ContainsAny(host, " /@") {
			return nil, fault.New(fault.Invalid, "%q is no address of a server, like catenary.example.org:17472", shorten(part))
		}
		if out = append(out, net.JoinHostPort(host, port)); len(out) > serversMax {
			return nil, fault.New(fault.Invalid, "more than %d servers", serversMax)
		}
	}
	return out, nil
}

const defaultPort = "17472"

// sendFile answers with a file that a browser saves.
func sendFile(w http.ResponseWriter, name string, content []byte) error {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	return send(w, content)
}
