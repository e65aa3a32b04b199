package loadgen

import (
	"fmt"
	"math"
	"runtime"
)

// result puts the figures together, when all goroutines have ended.
func (r *run) result(marks *marks, stopped bool) *Result {
	c := &r.cfg
	seconds := secondsOf(marks.end.at - marks.begin.at)
	latency, lateness := r.pool.histograms()
	delivered := marks.end.delivered - marks.begin.delivered
	if marks.finished {
		delivered = uint64(latency.TotalCount()) // those of the measured messages, late ones included
	}
	var sent uint64
	for _, s := range r.senders {
		sent += s.measured.Load()
	}
	due := uint64(0)
	if c.Rate > 0 && !marks.finished {
		due = uint64(seconds * c.Rate)
	}
	result := &Result{
		URL: c.URL,
		Load: Load{Protocol: c.Protocol, Connections: c.Conns, Rooms: c.Rooms, Senders: c.Senders, Window: c.Window, Rate: c.Rate, Size: c.Size,
			Warmup: c.Warmup.Seconds()},
		Stopped:        stopped,
		ConnectSeconds: secondsOf(marks.connected.at - marks.before.at),
		Seconds:        seconds,
		Messages:       count(sent, seconds),
		Unsent:         due - min(due, sent),
		Deliveries:     count(delivered, seconds),
		Bytes:          count(delivered*uint64(c.Size), seconds),
		Latency:        timesOf(latency),
		Lateness:       timesOf(lateness),
		Faults:         r.verdict(marks.cut),
		Complaints:     append([]string{}, r.complaints...), // not null in JSON
	}
	if hasProc() {
		self := marks.end.self.minus(marks.begin.self)
		result.Generator = &Usage{self.user, self.system, runtime.GOMAXPROCS(0)}
	}
	if len(c.PIDs) > 0 {
		result.Server = r.server(marks, delivered)
	}
	return result
}

// verdict counts the faults of the whole run. If the last deliveries were not waited for, they are not missing.
func (r *run) verdict(cut bool) Faults {
	f := Faults{
		Duplicate:   r.faults.duplicate.Load(),
		OutOfOrder:  r.faults.outOfOrder.Load(),
		Damaged:     r.faults.damaged.Load(),
		Misdirected: r.faults.misdirected.Load(),
		Unexpected:  r.faults.unexpected.Load(),
		Closed:      r.faults.closed.Load(),
	}
	f.Checked, _ = r.pool.delivered()
	for _, m := range r.members {
		if m.gone.Load() {
			continue
		}
		for i, s := range m.room.senders {
			sent := s.sent.Load()
			if cut || s.m.gone.Load() { // of one that is gone, nobody knows what the server got
				sent = m.seen[i].last
			}
			if s.m != m {
				f.Missing += m.seen[i].missing(sent)
			}
		}
	}
	return f
}

// server is what the server's processes used.
func (r *run) server(marks *marks, delivered uint64) *Server {
	s := &Server{WithGenerator: r.cfg.OwnServer}
	switch {
	case !hasProc():
		s.Note = fmt.Sprintf("CPU time and memory are read from /proc, which %s has not", runtime.GOOS)
		return s
	case marks.err != nil:
		s.Note = marks.err.Error()
		return s
	}
	used := marks.end.server.minus(marks.begin.server)
	s.Usage = Usage{User: used.user, System: used.system}
	if delivered > 0 {
		s.PerDelivery = rounded((used.user+used.system)*1e9/float64(delivered), 10)
	}
	s.Before, s.Connected, s.End = marks.before.server.rss, marks.connected.server.rss, marks.end.server.rss
	s.PerConnection = rounded(float64(s.Connected-s.Before)/float64(r.cfg.Conns), 10)
	return s
}

// secondsOf is nanoseconds in seconds, to the microsecond.
func secondsOf(ns int64) float64 { return float64(ns/1e3) / 1e6 }

// rounded keeps one part in so many.
func rounded(x, parts float64) float64 { return math.Round(x*parts) / parts }
