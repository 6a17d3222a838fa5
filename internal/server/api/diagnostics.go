package api

import (
	"context"
	"encoding/json"
	"runtime"
	"time"

	"catenary/internal/server/setting"
)

// databaseLook is how long the database may take to say what it is. One that is
// away is a diagnosis, too.
const databaseLook = 5 * time.Second

// diagnostics are what can be said of the server, in sections. Nothing in it is
// secret: no key, no password, no text that an operator has written.
type diagnostics struct {
	Diagnostics map[string]map[string]any `json:"Diagnostics"`
}

// serverInfo says in sections what /metrics says in lines, and more.
func (s *server) serverInfo(ctx context.Context, _ call) (diagnostics, error) {
	return s.diagnose(ctx, time.Now())
}

// diagnose looks at all parts of the server.
func (s *server) diagnose(ctx context.Context, now time.Time) (diagnostics, error) {
	out, err := s.gathered()
	if err != nil {
		return diagnostics{}, err
	}
	for name, section := range map[string]map[string]any{
		"Settings": s.settingsSection(), "Server": s.serverSection(now), "Program": programSection(), "Disk": s.diskSection(),
		"Database": s.databaseSection(ctx), "Clients": s.clientsSection(ctx), "Queues": s.queuesSection(now),
	} {
		if out[name] == nil {
			out[name] = map[string]any{}
		}
		for counter, v := range section {
			out[name][counter] = v
		}
	}
	return diagnostics{out}, nil
}

// gathered are the figures of /metrics, and what programs look for by name.
func (s *server) gathered() (map[string]map[string]any, error) {
	families, err := s.registry.Gather()
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]any{"License": {"Needed": "no"}, "Installed_Solutions": {}}
	for _, r := range s.shelves.All("solution") {
		out["Installed_Solutions"][r.Name] = r.Object.Text("imported_version")
	}
	for _, family := range families {
		section, counter := sectionOf(family.GetName())
		if out[section] == nil {
			out[section] = map[string]any{}
		}
		for _, m := range family.GetMetric() {
			addCounter(out[section], counter+labelsOf(m), m)
		}
	}
	return out, nil
}

// settingsSection has what holds of the settings that are numbers: texts may be
// nobody else's business.
func (s *server) settingsSection() map[string]any {
	out := map[string]any{"Version": s.version}
	for _, known := range setting.All {
		if known.Numeric {
			out[known.Name] = s.settingNumber(known.Name)
		}
	}
	return out
}

func (s *server) serverSection(now time.Time) map[string]any {
	return map[string]any{
		"hostname": s.hostname, "version": s.version, "time": isoTime(now), "started": isoTime(s.began), "uptime_seconds": int64(now.Sub(s.began) / time.Second),
	}
}

// programSection is what the process takes.
func programSection() map[string]any {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return map[string]any{
		"goroutines": runtime.NumGoroutine(), "processors": runtime.GOMAXPROCS(0), "go_version": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
		"heap_bytes": m.HeapAlloc, "heap_objects": m.HeapObjects, "memory_bytes": m.Sys, "collections": m.NumGC,
	}
}

func (s *server) diskSection() map[string]any {
	capacity, available, err := s.engine.Disk()
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	return map[string]any{"capacity_bytes": capacity, "available_bytes": available}
}

func (s *server) databaseSection(ctx context.Context) map[string]any {
	ctx, cancel := context.WithTimeout(ctx, databaseLook)
	defer cancel()
	out := map[string]any{"name": s.store.Name(), "reachable": true}
	h, err := s.store.Health(ctx)
	if err != nil {
		_, text := statusOf(err)
		out["reachable"], out["error"] = false, text
		return out
	}
	out["engine"], out["bytes"], out["tables_version"] = h.Engine, h.Size, h.Version
	return out
}

// clientsSection counts the machines by their states and versions.
func (s *server) clientsSection(ctx context.Context) map[string]any {
	all := sight{clients: s.engine.Clients(ctx)}
	a := aggregate(all, func(yield func(int) bool) {
		for i := range all.len() {
			if !yield(i) {
				return
			}
		}
	})
	out := map[string]any{"registered": all.len()}
	versions := a.Versions
	a.Versions = nil
	b, err := json.Marshal(a)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		panic("api: " + err.Error()) // numbers can be written and read
	}
	delete(out, "versions")
	for _, v := range versions {
		out["version "+v.VersionString] = v.Count
	}
	offline := 0
	for i := range all.clients {
		if all.clients[i].Gone {
			offline++
		}
	}
	out["offline_count"] = offline
	return out
}

// queuesSection is what waits, or is under way, and how much of it may be.
func (s *server) queuesSection(now time.Time) map[string]any {
	queues := map[string][2]int{
		"event_streams":         {len(s.streams), cap(s.streams)},
		"result_sets_in_making": {len(s.renders), cap(s.renders)},
		"large_requests":        {len(s.large), cap(s.large)},
		"sign_ins_elsewhere":    {len(s.outside), cap(s.outside)},
		"requests_of_people":    {len(s.limits.people), cap(s.limits.people)},
		"requests_of_programs":  {len(s.limits.programs), cap(s.limits.programs)},
		"imports":               {len(s.imports.queue), cap(s.imports.queue)},
		"kept_lists":            {s.caches.count(), cachesMax},
		"sessions":              {s.sessions.count(now), sessionsMax},
	}
	for name, q := range s.engine.Queues() {
		queues[name] = q
	}
	out := map[string]any{}
	for name, q := range queues {
		out[name], out[name+" limit"] = q[0], q[1]
	}
	return out
}
