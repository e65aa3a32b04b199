package hub

import (
	"container/list"
	"time"
)

// What a session takes while it waits for its client, in bytes, roughly.
const (
	sessionBytes = 1 << 10
	gripBytes    = 256
)

// mostWaiting is how much all sessions that wait may take. Past it, who has waited longest is over before its time: whoever connects, joins as
// many rooms as may be and goes, again and again, takes no more than this.
const mostWaiting = 256 << 20

// waitingRoom is the sessions of this node to which nobody is connected. It is guarded by roster.mu.
type waitingRoom struct {
	most  int // bytes
	bytes int
	queue list.List // of *session, who has waited longest first
}

// wait is how a session waits.
type wait struct {
	timer *time.Timer // when it is over
	bytes int
	place *list.Element
}

// enter has a session wait, and returns those that are over for it.
func (w *waitingRoom) enter(s *session, timer *time.Timer) (over []*session) {
	s.waits = &wait{timer, sessionBytes + gripBytes*len(s.rooms), w.queue.PushBack(s)}
	w.bytes += s.waits.bytes
	for w.bytes > w.most {
		longest := w.queue.Front().Value.(*session)
		w.leave(longest)
		over = append(over, longest)
	}
	return over
}

// leave ends the waiting of a session, if it does.
func (w *waitingRoom) leave(s *session) {
	if s.waits == nil {
		return
	}
	s.waits.timer.Stop()
	w.bytes -= s.waits.bytes
	w.queue.Remove(s.waits.place)
	s.waits = nil
}
