package api

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

const (
	urlPatternMax = 4096 // bytes of the pattern of an allowed URL
	scheduleLeast = 60   // seconds between two runs of a plugin
	scheduleMost  = 366 * 24 * 3600
)

// prepareDashboard checks a dashboard or a category.
func prepareDashboard(_ context.Context, c call, _ *shelf.Change, was *shelf.Record, o *object.Object) error {
	if strings.TrimSpace(o.Text("name")) == "" {
		return object.Bad("name", "is missing")
	}
	if was == nil {
		o.Set("user", object.Ref{ID: c.user.ID})
	} else {
		o.Set("user", was.Object.Ref("user")) // it changes hands by a route of its own
	}
	return nil
}

// hidesDashboard reports whether a dashboard is not the caller's to see.
func hidesDashboard(c call, o *object.Object) bool {
	return !o.Is("public_flag") && o.Ref("user").ID != c.user.ID && !c.rights.Anything
}

// removeDashboard refuses to delete a dashboard that categories show.
func (s *server) removeDashboard(_ context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	return s.refuseUsed(ch, "Dashboard", "dashboard", r)
}

// prepareURL checks the pattern of URLs from which files of packages may come.
func prepareURL(_ context.Context, _ call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	pattern := o.Text("url_regex")
	if pattern == "" || len(pattern) > urlPatternMax {
		return object.Bad("url_regex", "a pattern of 1 to %d bytes is expected", urlPatternMax)
	}
	if _, err := regexp.Compile(pattern); err != nil {
		return object.Bad("url_regex", "%v", err)
	}
	for _, r := range ch.All("white_listed_url") {
		if r.Object.Text("url_regex") == pattern && (was == nil || was.ID != r.ID) {
			return fault.New(fault.Conflict, "WhiteListedURLAlreadyExists: %q is allowed already, as number %d", shorten(pattern), r.ID)
		}
	}
	for _, field := range []string{"download_seconds", "expire_seconds"} {
		if n := o.Int(field); n < 0 || n > issueMax {
			return object.Bad(field, "it is %d, not 0 to %d", n, issueMax)
		}
	}
	return nil
}

// preparePluginSchedule checks when a plugin is to run. There are no plugins
// yet, so there is nothing to schedule.
func preparePluginSchedule(_ context.Context, _ call, _ *shelf.Change, was *shelf.Record, o *object.Object) error {
	if n := o.Int("run_interval_seconds"); n != 0 && (n < scheduleLeast || n > scheduleMost) {
		return fault.New(fault.Invalid, "PluginScheduleInvalid: run_interval_seconds is %d, not 0 or %d to %d", n, scheduleLeast, scheduleMost)
	}
	for _, field := range []string{"start_hour", "end_hour"} {
		if n := o.Int(field); n < 0 || n > 23 {
			return fault.New(fault.Invalid, "PluginScheduleInvalid: %s is %d, not 0 to 23", field, n)
		}
	}
	for _, field := range []string{"start_date", "end_date"} {
		if _, err := object.ParseTime(o.Text(field)); err != nil {
			return fault.New(fault.Invalid, "PluginScheduleInvalid: %s: %w", field, err)
		}
	}
	if was == nil && o.Is("enabled") {
		return fault.New(fault.NotFound, "PluginNotFound: there is no plugin %q: a schedule of it can be kept, but not be enabled", shorten(o.Text("plugin_name")))
	}
	return nil
}

// pluginRoutes are those of plugins, of which this version has none.
func (s *server) pluginRoutes() []route {
	const v2 = "/api/v2/"
	return []route{
		{"GET", v2 + "plugins", withSession, rights.ReadPlugin, get(s.listPlugins)},
		{"POST", v2 + "run_plugin", withSession, rights.ExecutePlugin, post(bodyMax, s.runPlugin)},
	}
}

func (s *server) listPlugins(context.Context, call) ([]any, error) {
	return listed([]struct{}{}, 0), nil
}

type pluginRequest struct {
	Name      string           `json:"name"`
	Bundle    string           `json:"bundle"`
	Arguments []pluginArgument `json:"arguments"`
}

type pluginArgument struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

// A pluginAnswer is what a plugin has said, in the form in which programs expect
// it.
type pluginAnswer struct {
	Plugin struct {
		Name     string `json:"name"`
		Bundle   string `json:"bundle"`
		ExitCode int    `json:"exit_code"`
		Response string `json:"script_response"`
	} `json:"plugin"`
}

// runPlugin finds none: a later version has module services that take their
// part.
func (s *server) runPlugin(_ context.Context, _ call, in pluginRequest) (pluginAnswer, error) {
	if in.Name == "" {
		return pluginAnswer{}, object.Bad("name", "is missing: which plugin is to run?")
	}
	return pluginAnswer{}, fault.New(fault.NotFound, "REST Object Not Found Exception:  PluginNotFound: The requested plugin was not found: %q of the bundle %q; there are none yet", shorten(in.Name), shorten(in.Bundle))
}
