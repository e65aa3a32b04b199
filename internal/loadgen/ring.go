package loadgen

import "sync/atomic"

// ring counts, for the messages of one sender that are on the way in a closed loop, how many members have them. A message has
// arrived when all have it. The sender makes a new ring, after the last number it has sent, when it gives up waiting.
type ring struct {
	base    uint64         // numbers up to this one do not count
	need    int32          // members that get each message
	arrived atomic.Uint64  // messages after base that all have
	counts  []atomic.Int32 // by number modulo the window
}

func newRing(base uint64, need, window int) *ring {
	return &ring{base: base, need: int32(need), counts: make([]atomic.Int32, window)}
}

// reached notes that a member whose highest number was from has now seen to, and with it whatever lies between: what is lost there
// is no longer waited for. It reports whether a message has arrived at the last member.
func (g *ring) reached(from, to uint64) bool {
	completed := false
	for seq := max(from, g.base) + 1; seq <= to; seq++ {
		count := &g.counts[seq%uint64(len(g.counts))]
		if count.Add(1) == g.need {
			count.Store(0) // before the sender can learn that it may use the place again
			g.arrived.Add(1)
			completed = true
		}
	}
	return completed
}

// free is how many messages more may be sent when sent is the last number sent.
func (g *ring) free(sent uint64) int {
	return len(g.counts) - int(sent-g.base-g.arrived.Load())
}
