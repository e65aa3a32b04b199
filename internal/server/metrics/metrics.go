// Package metrics is what Prometheus reads at /metrics. Nothing is counted here: with each scrape it asks those who count anyway.
//
// No label's values grow with users, rooms or connections: endpoints, reasons and causes are closed lists.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roomcast/roomcast"
)

// Source is who is asked.
type Source struct {
	Version   string                      // of the program
	Endpoints map[string]*roomcast.Server // by the name in the label endpoint
	Refused   func() map[string]uint64    // connections and requests that were not let in, by cause
	Draining  func() bool                 // whether the server is about to stop
	Engine    func() Engine               // what lies behind the rooms
}

// Handler answers GET with the metrics, those of the Go runtime and of the process among them.
func Handler(s Source) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// What there is, in the order in which it is documented in docs/operating.md.
var (
	info        = describe("build_info", "Always 1; the label tells the version.", "version")
	draining    = describe("draining", "1 while the server is about to stop, else 0.")
	connections = describe("connections", "Connections now, closing ones included.", "endpoint")
	rooms       = describe("rooms", "Rooms with a member now.", "endpoint")
	accepted    = describe("connections_accepted_total", "Connections upgraded.", "endpoint")
	ended       = describe("connections_ended_total", "Connections that have ended, by reason.", "endpoint", "reason")
	refused     = describe("refused_total", "Upgrades, tokens and API requests that were not let in, by cause.", "cause")
	published   = describe("messages_published_total", "Messages sent to a room, whatever the number of its members.", "endpoint")
	delivered   = describe("deliveries_total", "Messages handed to connections: one for ten members counts ten.", "endpoint")
	failed      = describe("delivery_failures_total", "Messages that a member did not get, by reason: its outbox was full and it was closed (outbox_full, once for each connection), "+
		"dropped by the policy of the room (dropped), or overtaken by a later one with the same key (superseded).", "endpoint", "reason")
	waiting = describe("outbox_bytes", "Bytes that wait to be written, in all connections.", "endpoint")
	writes  = describe("write_frames", "Frames that left with one write to a socket.", "endpoint")
	latency = describe("delivery_seconds", "Time from a message's coming to a room until a member's socket takes it: of one message in 64, where it is the first in its write.", "endpoint")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("roomcast_"+name, help, labels, nil)
}

// collector is prometheus.Collector.
type collector struct{ Source }

// Describe is prometheus.Collector.
func (c collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{info, draining, connections, rooms, accepted, ended, refused, published, delivered, failed, waiting, writes, latency} {
		descriptions <- d
	}
	describeEngine(descriptions)
}

// Collect is prometheus.Collector.
func (c collector) Collect(metrics chan<- prometheus.Metric) {
	gauge, count := into(metrics)
	gauge(info, 1, c.Version)
	gauge(draining, flag(c.Draining()))
	for cause, n := range c.Refused() {
		count(refused, n, cause)
	}
	c.Engine().collect(metrics)
	for endpoint, server := range c.Endpoints {
		st := server.Stats()
		gauge(connections, float64(st.Connections), endpoint)
		gauge(rooms, float64(st.Rooms), endpoint)
		gauge(waiting, float64(server.Waiting()), endpoint)
		count(accepted, st.Accepted, endpoint)
		count(published, st.Broadcasts, endpoint)
		count(delivered, st.Delivered, endpoint)
		for reason, n := range st.Ended {
			count(ended, n, endpoint, string(reason))
		}
		count(failed, st.Ended[roomcast.EndOutboxFull], endpoint, "outbox_full")
		count(failed, st.Dropped, endpoint, "dropped")
		count(failed, st.Superseded, endpoint, "superseded")
		metrics <- histogram(writes, st.Writes, endpoint)
		metrics <- histogram(latency, st.Latency, endpoint)
	}
}

// into is how a gauge and a counter get into the channel.
func into(metrics chan<- prometheus.Metric) (gauge func(d *prometheus.Desc, value float64, labels ...string), count func(d *prometheus.Desc, value uint64, labels ...string)) {
	gauge = func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	count = func(d *prometheus.Desc, value uint64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	return gauge, count
}

// flag is 1 for yes and 0 for no.
func flag(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// histogram adds up the counts, as Prometheus wants them.
func histogram(d *prometheus.Desc, h roomcast.Histogram, labels ...string) prometheus.Metric {
	buckets, total := make(map[float64]uint64, len(h.Bounds)), uint64(0)
	for i, n := range h.Counts {
		if total += n; i < len(h.Bounds) {
			buckets[h.Bounds[i]] = total
		}
	}
	return prometheus.MustNewConstHistogram(d, total, h.Sum, buckets, labels...)
}
