package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"catenary/internal/server/setting"
)

// figures are what the API counts of itself.
type figures struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// newFigures puts the API's figures into reg and returns the handler that
// shows all of reg.
func newFigures(reg *prometheus.Registry, s *server) (http.Handler, figures) {
	f := figures{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catenary_api_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "catenary_api_request_seconds", Help: "Time to answer a request; of event streams, how long they lasted.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10, 60, 600},
		}, []string{"route"}),
	}
	reg.MustRegister(f.requests, f.seconds,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "catenary_api_sessions", Help: "Sessions that are logged in.",
		}, func() float64 { return float64(s.sessions.count(time.Now())) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "catenary_api_event_streams", Help: "Event streams that are open.",
		}, func() float64 { return float64(len(s.streams)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "catenary_api_kept_lists", Help: "Lists that are kept for further pages.",
		}, func() float64 { return float64(s.caches.count()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "catenary_api_requests_of_people", Help: "Requests with sessions that are being answered.",
		}, func() float64 { return float64(len(s.limits.people)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "catenary_api_requests_of_programs", Help: "Requests with API tokens that are being answered.",
		}, func() float64 { return float64(len(s.limits.programs)) }),
	)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{}), f
}

func (f figures) count(rec *recorder) {
	route := rec.route
	if route == "" {
		route = "unknown"
	}
	f.requests.WithLabelValues(route, strconv.Itoa(rec.status)).Inc()
	f.seconds.WithLabelValues(route).Observe(time.Since(rec.begun).Seconds())
}

func (s *server) serveMetrics(w http.ResponseWriter, c call) error {
	s.metrics.ServeHTTP(w, c.Request)
	return nil
}

type consoleObject struct {
	ServerVersion string `json:"serverVersion"`
}

func (s *server) consoleConfig(context.Context, call) (bare, error) {
	return bare{consoleObject{s.version}}, nil
}

// A preLogin is what everybody is shown before he logs in.
type preLogin struct {
	Text string `json:"text"` // empty: nothing
}

func (s *server) preLogin(context.Context, call) (preLogin, error) {
	return preLogin{s.setting(setting.PreLogin)}, nil
}

// info tells programs the version where they look for it.
func (s *server) info(context.Context, call) (bare, error) {
	return bare{map[string]any{"Diagnostics": map[string]any{"Settings": map[string]string{"Version": s.version}}}}, nil
}
