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
	chains        prometheus.Gauge
	questions     prometheus.Gauge
	connections   *prometheus.GaugeVec
	registrations *prometheus.CounterVec
	dropped       *prometheus.CounterVec
	enrolments    *prometheus.CounterVec
	bundles       *prometheus.CounterVec
	bytes         *prometheus.CounterVec
	asked         prometheus.Counter
	again         prometheus.Counter
	boxes         *prometheus.CounterVec
	audits        *prometheus.CounterVec
	violations    *prometheus.CounterVec
	waiting       prometheus.Gauge
	retries       prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		clients: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catenary_clients", Help: "Registered clients."}),
		lans: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catenary_lans", Help: "LANs with a registered client."}),
		chains: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catenary_chains", Help: "Chains that there should be: segments of LANs, and clients that are alone. Each has two leader connections when all is well."}),
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
	m.boxes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catenary_boxes_total", Help: "Sealed and attested answers of machines, by whether they could be opened."}, []string{"outcome"})
	m.audits = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catenary_audits_total", Help: "Clients that were audited, by what it brought."}, []string{"outcome"})
	m.violations = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catenary_audit_violations_total", Help: "Signs that an answer was tampered with on its way."}, []string{"kind"})
	m.waiting = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "catenary_database_writes_waiting", Help: "What waits to be written to the database."})
	m.retries = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "catenary_database_retries_total", Help: "Times that something was tried again because the database did not take it."})
	m.registry.MustRegister(m.boxes, m.audits, m.violations, m.waiting, m.retries)
	m.registry.MustRegister(m.clients, m.lans, m.chains, m.questions, m.connections, m.registrations, m.dropped, m.enrolments,
		m.bundles, m.bytes, m.asked, m.again, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}
