package natsengine

import (
	"sync/atomic"
	"time"
)

// Stats is how an Engine is doing. Numbers count from its beginning, but for those that are said to be as of now.
type Stats struct {
	Connected  bool   // now
	Reconnects uint64 // connections to NATS after the first

	Stored     uint64        // entries stored by this node
	Attempts   uint64        // to store a batch of them
	Conflicts  uint64        // attempts that another node's came before
	Duplicates uint64        // entries that had been stored before, by their idempotency key
	Unsent     uint64        // messages in rooms without history that were lost on the way out
	Lag        time.Duration // from stored to delivered here, lately, by the clocks of two machines

	Listening   int    // rooms that this node has subscriptions in, now
	TailChecks  uint64 // rooms looked at for a lost notification
	TailsBehind uint64 // of those, with something lost
	Fetched     uint64 // entries read because their notifications were lost or late
	Jumps       uint64 // places where entries could not be had any more
	Malformed   uint64 // messages that could not be understood
	Slow        uint64 // notifications lost in this process because too many waited

	Members         int    // who are there in the cluster, now
	PresenceChanges uint64 // in who is there

	Kinds []KindStats // of histories, in the order of Options.History
}

// KindStats is what is stored of one kind of rooms, lately.
type KindStats struct {
	Name            string
	Messages, Bytes int64
}

// counters is what Stats is made of.
type counters struct {
	reconnects, stored, attempts, conflicts, duplicates, unsent atomic.Uint64
	tailChecks, tailsBehind, fetched, jumps, malformed, slow    atomic.Uint64
	lastLag                                                     atomic.Int64
}

// lag notes how long ago something was stored.
func (c *counters) lag(stamp string) {
	if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
		c.lastLag.Store(int64(max(time.Since(at), 0)))
	}
}

// Stats returns how the engine is doing.
func (e *Engine) Stats() Stats {
	c := &e.stats
	s := Stats{
		Connected:   e.isConnected(),
		Reconnects:  c.reconnects.Load(),
		Stored:      c.stored.Load(),
		Attempts:    c.attempts.Load(),
		Conflicts:   c.conflicts.Load(),
		Duplicates:  c.duplicates.Load(),
		Unsent:      c.unsent.Load(),
		Lag:         time.Duration(c.lastLag.Load()),
		Listening:   e.live.len(),
		TailChecks:  c.tailChecks.Load(),
		TailsBehind: c.tailsBehind.Load(),
		Fetched:     c.fetched.Load(),
		Jumps:       c.jumps.Load(),
		Malformed:   c.malformed.Load(),
		Slow:        c.slow.Load(),
	}
	s.Members, s.PresenceChanges = e.presence.stats()
	for _, r := range e.allRooms() {
		if r.listening() {
			s.Listening++
		}
	}
	for _, k := range e.kinds {
		s.Kinds = append(s.Kinds, KindStats{k.Name, k.messages.Load(), k.bytes.Load()})
	}
	return s
}
