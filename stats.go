package roomcast

import (
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/tally"
)

// EndReason is why a connection ended: one of a closed list.
type EndReason string

// The reasons for which a connection ends.
const (
	EndClient      EndReason = "client"         // the client sent a Close frame
	EndNetwork     EndReason = "network"        // the connection was lost without one, or the server was closed: 1006
	EndServer      EndReason = "server"         // Conn.Close
	EndShutdown    EndReason = "shutdown"       // Server.Shutdown: 1001
	EndRejected    EndReason = "rejected"       // the Connect callback returned an error: 1008
	EndPongTimeout EndReason = "pong_timeout"   // Options.PongTimeout: 1001
	EndOutboxFull  EndReason = "outbox_full"    // Options.OutboxBytes: 1013
	EndProtocol    EndReason = "protocol_error" // the client broke RFC 6455 or RFC 7692: 1002
	EndInvalidUTF8 EndReason = "invalid_utf8"   // the client sent text that is not UTF-8: 1007
	EndTooBig      EndReason = "too_big"        // Options.MaxMessageBytes: 1009
	EndPanic       EndReason = "panic"          // a callback panicked: 1011
)

// endReasons is all of them, in the order of their counters.
var endReasons = [...]EndReason{EndClient, EndNetwork, EndServer, EndShutdown, EndRejected, EndPongTimeout, EndOutboxFull,
	EndProtocol, EndInvalidUTF8, EndTooBig, EndPanic}

// endReasonOf returns the reason behind a close code of the session.
func endReasonOf(code int) EndReason {
	switch code {
	case CloseInvalidUTF8:
		return EndInvalidUTF8
	case CloseTooBig:
		return EndTooBig
	default:
		return EndProtocol
	}
}

// Stats is what a Server has done so far. The counts start at zero with the server and never fall, save Connections and Rooms,
// which tell how many there are now.
type Stats struct {
	Connections int                  // those not yet forgotten, closing ones included
	Rooms       int                  // those with a member
	Accepted    uint64               // connections upgraded
	Ended       map[EndReason]uint64 // connections that have left, by reason; every reason is there
	Broadcasts  uint64               // calls of Broadcast and BroadcastExcept that had a valid message
	Delivered   uint64               // messages handed to connections: one broadcast to ten members counts ten
	Dropped     uint64               // messages that a member missed because it was slow: Options.Slow
	Superseded  uint64               // messages that were dropped because a later one with the same key followed: SlowKeepLatest
	Writes      Histogram            // how many frames left with one write to a socket; those of a client that were relayed at once are one
	Latency     Histogram            // seconds from a broadcast to the write that sends it: of one in 64, where it was the first in its write
}

// Histogram counts values by their size.
type Histogram = tally.Histogram

// The bounds of the two histograms: the first is powers of two.
var (
	writeBounds   = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}
	latencyBounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

// sampleEvery is how many messages are broadcast for each whose latency is measured.
const sampleEvery = 64

// counters is what Stats is made of.
type counters struct {
	accepted   atomic.Uint64
	broadcasts atomic.Uint64
	delivered  atomic.Uint64
	dropped    atomic.Uint64
	superseded atomic.Uint64
	ended      [len(endReasons)]atomic.Uint64

	writes  *tally.Counter // frames
	latency *tally.Counter // nanoseconds

	start time.Time // Conn.since and frame.born count from here
}

// sample returns when a broadcast begins that is to be measured, or 0. It is called for each, with how many messages it has.
func (n *counters) sample(messages int) (born time.Duration) {
	if n.broadcasts.Add(uint64(messages))%sampleEvery >= uint64(messages) {
		return 0
	}
	return max(1, time.Since(n.start))
}

// countWrite counts a write that has sent so many frames, the first of which was broadcast when born says, if it is measured.
func (n *counters) countWrite(frames int, born time.Duration) {
	if frames == 0 {
		return // a part of one
	}
	n.writes.Count(uint64(frames))
	if born != 0 {
		n.latency.Count(uint64(time.Since(n.start) - born))
	}
}

// countEnd counts the end of a connection.
func (n *counters) countEnd(why EndReason) {
	for i, r := range endReasons {
		if r == why {
			n.ended[i].Add(1)
		}
	}
}

// Stats returns the counts at this moment.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	connections := s.conns.Len()
	s.mu.Unlock()
	st := Stats{
		Connections: connections,
		Rooms:       s.rooms.count(),
		Accepted:    s.stats.accepted.Load(),
		Ended:       make(map[EndReason]uint64, len(endReasons)),
		Broadcasts:  s.stats.broadcasts.Load(),
		Delivered:   s.stats.delivered.Load(),
		Dropped:     s.stats.dropped.Load(),
		Superseded:  s.stats.superseded.Load(),
		Writes:      s.stats.writes.Histogram(),
		Latency:     s.stats.latency.Histogram(),
	}
	for i, r := range endReasons {
		st.Ended[r] = s.stats.ended[i].Load()
	}
	return st
}

// Waiting returns how many bytes wait in the outboxes of all connections. It looks at each of them.
func (s *Server) Waiting() (bytes int) {
	for _, c := range s.Conns() {
		c.mu.Lock()
		bytes += c.out.bytes
		c.mu.Unlock()
	}
	return bytes
}
