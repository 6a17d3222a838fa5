package server

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are the server's figures, in Prometheus terms.
type metrics struct {
	registry      *prometheus.Registry
	clients       prometheus.Gauge
	lans          prometheus.Gauge
	questions     prometheus.Gauge
	connections   *prometheus.GaugeVec
	registrations *prometheus.CounterVec
	dropped       *prometheus.CounterVec
	enrolments    *prometheus.CounterVec
	bundles       *prometheus.CounterVec
	bytes         *prometheus.CounterVec
	asked         prometheus.Counter
	again         prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		clients: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catenary_clients", Help: "Registered clients."}),
		lans: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catenary_lans", Help: "LANs with a registered client."}),
		questions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catenary_questions_live", Help: "Questions that may still be answered."}),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catenary_leader_connections", Help: "Connections of chain ends."}, []string{"role"}),
		registrations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catenary_registrations_total", Help: "Registrations of clients, by the way they came and what became of them."}, []string{"way", "outcome"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catenary_datagrams_dropped_total", Help: "Datagrams that registered nobody."}, []string{"reason"}),
		enrolments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catenary_enrolments_total", Help: "Enrolments of machines."}, []string{"outcome"}),
		bundles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catenary_reports_total", Help: "Reports from forward leaders, by what became of them."}, []string{"verdict"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catenary_leader_bytes_total", Help: "Bytes of frames on leader connections that have ended."}, []string{"direction"}),
		asked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catenary_questions_total", Help: "Questions asked."}),
		again: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catenary_questions_again_total", Help: "Times that a LAN was asked a question again, because answers were missing."}),
	}
	m.registry.MustRegister(m.clients, m.lans, m.questions, m.connections, m.registrations, m.dropped, m.enrolments,
		m.bundles, m.bytes, m.asked, m.again, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}
