package loadgen

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

// writeBuffer is how much a sender writes at once, if one message is not more.
const writeBuffer = 64 << 10

// sender is the writing goroutine of a member that sends.
type sender struct {
	run   *run
	id    int
	m     *member
	quota uint64 // messages in the measured time; 0 for no such bound

	envelope envelope // with the protocol, how its messages begin; written before anything is sent

	sent     atomic.Uint64        // since the start; the last sequence number
	measured atomic.Uint64        // of them, due in the measured time
	ring     atomic.Pointer[ring] // nil with a rate
	renew    atomic.Bool          // a member of the room is gone: who waits for it waits in vain
	wake     chan struct{}        // cap 1: something may have become possible; never closed

	buf []byte // owned by the goroutine
}

// poke wakes the sender.
func (s *sender) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// work sends until the run says stop, the sender's share is sent, or its connection is lost.
func (s *sender) work(stop <-chan struct{}) {
	patience := time.NewTimer(s.run.cfg.Timeout)
	defer patience.Stop()
	for !s.m.gone.Load() {
		select {
		case <-stop:
			return
		default:
		}
		now := s.run.now()
		n, finished := s.allowed(now)
		if finished {
			return
		}
		if n > 0 {
			if err := s.send(n, now); err != nil {
				return // the reader says why
			}
			patience.Reset(s.run.cfg.Timeout)
			continue
		}
		select {
		case <-stop:
			return
		case <-s.wake:
		case <-patience.C:
			s.renew.Store(true)
			patience.Reset(s.run.cfg.Timeout)
		}
		if s.renew.CompareAndSwap(true, false) && !s.startRing() {
			return
		}
	}
}

// startRing forgets what is on the way; false if nobody is left to send to.
func (s *sender) startRing() bool {
	others := int(s.m.room.live.Load()) - 1
	if s.run.cfg.Window > 0 {
		s.ring.Store(newRing(s.sent.Load(), others, s.run.cfg.Window))
	}
	return others > 0
}

// allowed is how many messages may be sent at that time; finished, that there will be no more.
func (s *sender) allowed(now int64) (n int, finished bool) {
	sent := s.sent.Load()
	if g := s.ring.Load(); g != nil {
		n = g.free(sent)
	} else {
		for n < s.batch() && s.run.plan.isDue(s.number(sent+uint64(n)), now) {
			n++
		}
	}
	n = min(n, s.batch())
	if s.quota > 0 && s.run.begin.Load() <= now {
		left := s.quota - s.measured.Load()
		n = int(min(uint64(n), left))
		finished = left == 0
	}
	return n, finished
}

// batch is how many messages are written at once at most.
func (s *sender) batch() int { return max(1, writeBuffer/(s.length()+ws.MaxHeaderSize)) }

// length is that of what is in a frame.
func (s *sender) length() int { return len(s.m.room.lead) + HeaderBytes + len(s.run.filling) }

// number is that of the sender's own n-th message among all, both from 0.
func (s *sender) number(n uint64) uint64 { return s.run.plan.of(s.id, n) }

// send writes the next n messages.
func (s *sender) send(n int, now int64) error {
	sent, begin := s.sent.Load(), s.run.begin.Load()
	measured := uint64(0)
	s.buf = s.buf[:0]
	for i := range uint64(n) {
		st := stamp{room: s.id % len(s.run.rooms), sender: s.id, seq: sent + i + 1, due: now}
		if s.ring.Load() == nil {
			st.due = s.run.plan.due(s.number(sent + i))
		}
		if st.due >= begin {
			measured++
			s.lateBy(now - st.due)
		}
		s.appendMessage(st)
	}
	s.measured.Add(measured)
	s.sent.Store(sent + uint64(n)) // before anybody can have them
	if err := s.m.out.write(s.buf); err != nil {
		return fmt.Errorf("sender %d: %w", s.id, err)
	}
	return nil
}

func (s *sender) appendMessage(st stamp) {
	s.buf = appendHead(s.buf, ws.OpText, s.length())
	start := len(s.buf)
	s.buf = append(s.buf, s.m.room.lead...)
	s.buf = appendHeader(s.buf, s.run.word, st)
	s.buf = append(s.buf, s.run.filling...)
	maskLast(s.buf, start)
}

// lateBy notes how far an open loop is behind its schedule.
func (s *sender) lateBy(ns int64) {
	if s.run.cfg.Rate == 0 {
		return
	}
	w := s.run.pool.get()
	defer s.run.pool.put(w)
	if w.lateness == nil {
		w.lateness = newHistogram()
	}
	record(w.lateness, ns)
}
