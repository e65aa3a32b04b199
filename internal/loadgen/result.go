package loadgen

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run has found. Its JSON names are stable, and each says its unit; docs/bench-command.md describes them.
type Result struct {
	URL            string   `json:"url"`
	Load           Load     `json:"load"`
	Stopped        bool     `json:"stopped_early"` // before its time, by the context
	ConnectSeconds float64  `json:"connect_seconds"`
	Seconds        float64  `json:"measured_seconds"`
	Messages       Count    `json:"messages"`        // sent in the measured time
	Unsent         uint64   `json:"messages_unsent"` // due in the measured time, but the server or the generator was too slow
	Deliveries     Count    `json:"deliveries"`      // received in the measured time
	Bytes          Count    `json:"payload_bytes"`   // of the deliveries
	Latency        *Times   `json:"latency_us"`      // nil if nothing was delivered
	Lateness       *Times   `json:"lateness_us"`     // of the generator behind its schedule; nil in a closed loop
	Faults         Faults   `json:"faults"`
	Complaints     []string `json:"complaints"` // the first connections that were lost and messages that were not expected
	Server         *Server  `json:"server"`     // nil if no process was named
	Generator      *Usage   `json:"generator"`  // nil if the system does not tell
}

// Load is what was asked for.
type Load struct {
	Protocol    bool    `json:"protocol"` // roomcast.v1, not the raw relay
	Connections int     `json:"connections"`
	Rooms       int     `json:"rooms"`
	Senders     int     `json:"senders"`
	Window      int     `json:"window"`          // messages on the way per sender; 0 in an open loop
	Rate        float64 `json:"rate_per_second"` // 0 in a closed loop
	Size        int     `json:"size_bytes"`
	Warmup      float64 `json:"warmup_seconds"`
}

// Count is a number of things, and how many a second.
type Count struct {
	Total  uint64  `json:"total"`
	Second float64 `json:"per_second"`
}

// Times is a distribution in microseconds, exact to three digits.
type Times struct {
	Min  float64 `json:"min"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// Faults is what went wrong, of all messages of the run, those of the warm-up included. All zero is a clean run.
type Faults struct {
	Checked     uint64 `json:"checked_deliveries"` // deliveries that were due and have come; no fault
	Missing     uint64 `json:"missing"`            // deliveries that have not come, to connections that were there to the end
	Duplicate   uint64 `json:"duplicate"`          // deliveries beyond the first
	OutOfOrder  uint64 `json:"out_of_order"`       // deliveries after one that the same sender sent later
	Damaged     uint64 `json:"damaged"`            // frames that are no message of this run, or not as it was sent
	Misdirected uint64 `json:"misdirected"`        // deliveries to another room, or to the sender itself
	Unexpected  uint64 `json:"unexpected"`         // with the protocol: errors and other messages of the server that nobody asked for
	Closed      uint64 `json:"connections_closed"` // connections that were lost before the end
}

// Usage is CPU time of the measured time, in seconds.
type Usage struct {
	User       float64 `json:"cpu_user_seconds"`
	System     float64 `json:"cpu_system_seconds"`
	Processors int     `json:"processors,omitempty"` // that it may use at the same time
}

// Server is what the server's processes used. Its memory is resident memory in bytes.
type Server struct {
	Usage
	PerDelivery   float64 `json:"cpu_ns_per_delivery"`
	Before        int64   `json:"rss_before_bytes"`         // any connection
	Connected     int64   `json:"rss_connected_bytes"`      // all connections, nothing sent
	End           int64   `json:"rss_end_bytes"`            // of the measured time
	PerConnection float64 `json:"rss_bytes_per_connection"` // (Connected - Before) / connections
	WithGenerator bool    `json:"includes_generator"`       // the server is in the generator's process
	Note          string  `json:"note,omitempty"`           // why there are no figures
}

// Fault says what is wrong in one line, or "" if the run is clean.
func (f Faults) Fault() string {
	var parts []string
	for _, p := range []struct {
		n    uint64
		what string
	}{
		{f.Missing, "missing"}, {f.Duplicate, "duplicate"}, {f.OutOfOrder, "out of order"}, {f.Damaged, "damaged"},
		{f.Misdirected, "misdirected"}, {f.Unexpected, "unexpected"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", thousands(p.n), p.what))
		}
	}
	if f.Closed > 0 {
		parts = append(parts, plural(int(f.Closed), "connection")+" lost")
	}
	return strings.Join(parts, ", ")
}

// WriteJSON writes the result as one line of JSON.
func (r *Result) WriteJSON(w io.Writer) error {
	return json.NewEncoder(w).Encode(r)
}

// count is n things in so many seconds.
func count(n uint64, seconds float64) Count {
	if seconds <= 0 {
		return Count{Total: n}
	}
	return Count{n, rounded(float64(n)/seconds, 1000)}
}

// timesOf is nil for an empty histogram of nanoseconds.
func timesOf(h *hdrhistogram.Histogram) *Times {
	if h.TotalCount() == 0 {
		return nil
	}
	us := func(ns int64) float64 { return rounded(float64(ns)/1e3, 1e3) }
	at := func(q float64) float64 { return us(h.ValueAtQuantile(q)) }
	return &Times{us(h.Min()), at(50), at(90), at(99), at(99.9), us(h.Max())}
}
