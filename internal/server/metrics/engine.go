package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Engine is what is known of the engine behind the rooms. What an engine in memory has none of stays zero.
type Engine struct {
	Up         bool              // it is there
	Reconnects uint64            // how often it came back
	Stored     uint64            // messages stored in histories by this server
	Duplicates uint64            // messages not stored again, by their idempotency key
	Conflicts  uint64            // attempts to store that another server's came before, and that were repeated
	Unsent     uint64            // messages of rooms without a history that did not get to other servers
	Fetched    uint64            // messages fetched from a history because the notice of them had got lost
	Missed     uint64            // places in histories where messages could not be had any more
	Lag        time.Duration     // of the latest message: from stored to delivered here
	History    map[string]Stored // by kind
	Members    int               // sessions present, on all servers
	Changes    uint64            // of presence, seen
}

// Stored is what is kept of the rooms of one kind.
type Stored struct {
	Messages, Bytes int64
}

var (
	up              = describe("engine_up", "1 while the engine behind the rooms is there: connected, its streams found, presence read. In memory, always.")
	reconnects      = describe("engine_reconnects_total", "How often the connection to NATS came back after an interruption.")
	stored          = describe("engine_stored_total", "Messages that this server has stored in histories.")
	duplicates      = describe("engine_duplicates_total", "Messages that were not stored again, for their idempotency key was known.")
	conflicts       = describe("engine_conflicts_total", "Attempts to store that another server's came before; they were repeated.")
	unsent          = describe("engine_unsent_total", "Messages of rooms without a history that did not get to other servers.")
	fetched         = describe("engine_fetched_total", "Messages fetched from a history because the notice of them had got lost.")
	missed          = describe("engine_missed_total", "Places in histories where messages could not be had any more.")
	lag             = describe("engine_lag_seconds", "Age of the latest message of a history when it was delivered here, by the clocks of both machines.")
	historyMessages = describe("engine_history_messages", "Messages kept in all rooms of a kind; what was stored together counts once.", "kind")
	historyBytes    = describe("engine_history_bytes", "Bytes they take, of the limit of the kind.", "kind")
	members         = describe("engine_presence_members", "Sessions present, on all servers together.")
	changes         = describe("engine_presence_changes_total", "Changes of presence seen: sessions that came, moved or went, and rooms that they joined and left.")
)

// describeEngine is the part of collector.Describe that is of the engine.
func describeEngine(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{up, reconnects, stored, duplicates, conflicts, unsent, fetched, missed, lag, historyMessages, historyBytes, members, changes} {
		descriptions <- d
	}
}

// collect is the part of collector.Collect that is of the engine.
func (e Engine) collect(metrics chan<- prometheus.Metric) {
	gauge, count := into(metrics)
	gauge(up, flag(e.Up))
	count(reconnects, e.Reconnects)
	count(stored, e.Stored)
	count(duplicates, e.Duplicates)
	count(conflicts, e.Conflicts)
	count(unsent, e.Unsent)
	count(fetched, e.Fetched)
	count(missed, e.Missed)
	gauge(lag, e.Lag.Seconds())
	for kind, kept := range e.History {
		gauge(historyMessages, float64(kept.Messages), kind)
		gauge(historyBytes, float64(kept.Bytes), kind)
	}
	gauge(members, float64(e.Members))
	count(changes, e.Changes)
}
