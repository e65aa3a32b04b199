package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Engine is what is known of the engine behind the rooms. What an engine in memory has none of stays zero.
type Engine struct {
	Up         bool              // it is there
	Reconnects uint64            // how often it came back
	Published  uint64            // messages handed to it
	Conflicts  uint64            // writes to a history that another node forestalled, and that were repeated
	Fetched    uint64            // messages fetched from a history because their notice had got lost
	Lag        time.Duration     // of the latest message of another node: from stored to delivered here
	History    map[string]Stored // by kind
	Members    int               // sessions present, on all nodes
	Changes    uint64            // of presence, seen
}

// Stored is what is kept of the rooms of one kind.
type Stored struct {
	Messages uint64
	Bytes    uint64
}

var (
	up              = describe("engine_up", "1 while the engine behind the rooms is there: connected, its streams found, presence read. In memory, always.")
	reconnects      = describe("engine_reconnects_total", "How often the connection to NATS came back after an interruption.")
	handedOver      = describe("engine_published_total", "Messages handed to the engine.")
	conflicts       = describe("engine_conflicts_total", "Writes to a history that another node forestalled; they were repeated.")
	fetched         = describe("engine_fetched_total", "Messages fetched from a history because the notice of them had got lost.")
	lag             = describe("engine_lag_seconds", "Age of the latest message of a history when it was delivered here: from stored to delivered.")
	historyMessages = describe("engine_history_messages", "Messages kept, in all rooms of a kind.", "kind")
	historyBytes    = describe("engine_history_bytes", "Bytes they take, of the limit of the kind.", "kind")
	members         = describe("engine_presence_members", "Sessions present, on all nodes together.")
	changes         = describe("engine_presence_changes_total", "Changes of presence seen: sessions that came, moved or went, and rooms that they joined and left.")
)

// describeEngine is the part of collector.Describe that is of the engine.
func describeEngine(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{up, reconnects, handedOver, conflicts, fetched, lag, historyMessages, historyBytes, members, changes} {
		descriptions <- d
	}
}

// collect is the part of collector.Collect that is of the engine.
func (e Engine) collect(metrics chan<- prometheus.Metric) {
	gauge, count := into(metrics)
	gauge(up, flag(e.Up))
	count(reconnects, e.Reconnects)
	count(handedOver, e.Published)
	count(conflicts, e.Conflicts)
	count(fetched, e.Fetched)
	gauge(lag, e.Lag.Seconds())
	for kind, stored := range e.History {
		gauge(historyMessages, float64(stored.Messages), kind)
		gauge(historyBytes, float64(stored.Bytes), kind)
	}
	gauge(members, float64(e.Members))
	count(changes, e.Changes)
}
