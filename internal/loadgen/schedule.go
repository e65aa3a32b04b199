package loadgen

import "math"

// schedule says when each message of an open loop is due. Messages are numbered from 0 over all senders; the senders take turns.
type schedule struct {
	start   int64   // when message 0 is due, in nanoseconds
	rate    float64 // messages a second over all senders
	senders int
	end     int64 // what is due then or later is not sent; 0 for no end
}

// due is when message k of all is due, in nanoseconds.
func (s schedule) due(k uint64) int64 {
	t := float64(k) / s.rate * 1e9
	if t > math.MaxInt64/2 {
		return math.MaxInt64
	}
	return s.start + int64(t)
}

// isDue reports whether message k is to be sent at that time or before.
func (s schedule) isDue(k uint64, now int64) bool {
	due := s.due(k)
	return due <= now && (s.end == 0 || due < s.end)
}

// of is the number of a sender's own n-th message, both from 0.
func (s schedule) of(sender int, n uint64) uint64 { return n*uint64(s.senders) + uint64(sender) }

// share is how many of all messages a sender sends, so that the shares differ by at most one and add up to all.
func share(all uint64, sender, senders int) uint64 {
	n := all / uint64(senders)
	if uint64(sender) < all%uint64(senders) {
		n++
	}
	return n
}
