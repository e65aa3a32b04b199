package roomcast

import (
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/netloop"
)

// outbox is what waits to be sent to one connection: frames shared with other outboxes, oldest first. It holds no lock and does
// no I/O; it is guarded by Conn.mu.
type outbox struct {
	first *frame // waiting, the oldest; nil if none is
	rest  *queue // those behind it; nil if there are none
	bytes int    // waiting, in bytes not taken; pings are not held against anybody
	sent  uint32 // how many bytes of first the socket has taken

	pings   uint8 // how many of those that wait are pings: 0 or 1
	writing bool  // the link asks for output by itself, or has been told that there will be none
	closed  bool  // nothing is added any more
}

// queue is frames that wait. Queues are borrowed, so that a connection with one frame or none holds none.
type queue struct {
	frames  []*frame
	head    int      // the oldest in frames
	lent    int      // how many from there on have been given to the writer, who has not said how much of them the socket took
	notices []*frame // those in frames, or first, that count on
	swept   int      // how many the last sweep has left
}

var queues = sync.Pool{New: func() any { return &queue{frames: make([]*frame, 0, 64)} }}

// A frame that waits costs about frameOverhead bytes in the queue. Even the smallest outbox takes fewFrames.
const (
	frameOverhead = 16
	fewFrames     = 64
)

// largeQueue is how many frames a queue may have held and still be lent again.
const largeQueue = 1024

func (q *queue) push(f *frame) {
	if len(q.frames) == cap(q.frames) && q.head > len(q.frames)/2 {
		n := copy(q.frames, q.frames[q.head:]) // half of it is sent: move the rest rather than grow
		clear(q.frames[n:])
		q.frames, q.head = q.frames[:n], 0
	}
	q.frames = append(q.frames, f)
}

// release gives the queue back.
func (q *queue) release() {
	if cap(q.frames) > largeQueue {
		return
	}
	clear(q.frames[q.head:])
	clear(q.notices)
	*q = queue{frames: q.frames[:0], notices: q.notices[:0]}
	queues.Put(q)
}

// fits reports whether n more bytes may wait under the limit. A frame larger than the limit fits when nothing waits: it could
// never be sent otherwise. How many frames wait is bounded too, for each takes memory besides its bytes.
func (o *outbox) fits(n, limit int) bool {
	return o.bytes == 0 || o.bytes+n <= limit && o.waiting() < max(fewFrames, limit/frameOverhead)
}

// add appends a frame and reports whether the link has to be woken.
func (o *outbox) add(f *frame) (wake bool) {
	if o.first == nil {
		o.first = f
	} else {
		if o.rest == nil {
			o.rest = queues.Get().(*queue)
		}
		o.rest.push(f)
	}
	if f == pingFrame {
		o.pings++
	} else {
		o.bytes += len(f.bytes)
	}
	return o.wake()
}

// close ends the outbox with a last frame. It reports whether the link has to be woken.
func (o *outbox) close(last *frame) (wake bool) {
	if o.closed {
		return false
	}
	o.closed = true
	return o.add(last)
}

// drop ends the outbox and forgets what waits; what is being written counts for nothing any more. It reports whether the link
// has to be woken, to learn that nothing follows.
func (o *outbox) drop() (wake bool) {
	if o.rest != nil {
		o.rest.release()
	}
	*o = outbox{writing: o.writing, closed: true}
	return o.wake()
}

// output appends to pieces the bytes to be written next, as netloop.Peer says: those of a frame that is large or alone as they are,
// otherwise as many as fit into scratch. If there are none the writing is over, and for good if the outbox is closed.
func (o *outbox) output(scratch []byte, pieces [][]byte) [][]byte {
	if o.first == nil {
		o.writing = o.closed // after the last word nobody is woken again
		return pieces
	}
	first := o.bytesOf(o.first)[o.sent:]
	if o.rest == nil {
		return append(pieces, first)
	}
	g := netloop.Gather(scratch, pieces)
	more := g.Add(first)
	q := o.rest
	for q.lent = 0; more && q.head+q.lent < len(q.frames); q.lent++ {
		more = g.Add(o.bytesOf(q.frames[q.head+q.lent]))
	}
	return g.Pieces()
}

// taken removes the n bytes of the latest output that the socket took. It reports whether the writer has to ask for more, and if not the
// writing is over; how many frames have been sent with these bytes, and when the first of them was broadcast, if that is measured.
func (o *outbox) taken(n int) (more bool, frames int, born time.Duration) {
	if o.first != nil && n >= len(o.first.bytes)-int(o.sent) {
		born = o.first.born
	}
	if o.rest != nil {
		o.rest.lent = 0
	}
	if n == o.bytes && o.pings == 0 && (o.rest == nil || len(o.rest.notices) == 0) { // all of it: no need to look at each
		frames = o.waiting()
		o.first, o.sent, o.bytes = nil, 0, 0
		if o.rest != nil {
			o.rest.release()
			o.rest = nil
		}
	}
	for n > 0 && o.first != nil { // nil if it has been dropped meanwhile
		k := min(n, len(o.first.bytes)-int(o.sent))
		if o.first != pingFrame {
			o.bytes -= k
		}
		n -= k
		if o.sent += uint32(k); int(o.sent) == len(o.first.bytes) {
			frames++
			o.next()
		}
	}
	o.writing = o.first != nil || o.closed
	return o.writing, frames, born
}

// next removes the first frame, which is sent.
func (o *outbox) next() {
	if o.first == pingFrame {
		o.pings--
	}
	o.first, o.sent = nil, 0
	q := o.rest
	if q == nil {
		return
	}
	o.first = q.frames[q.head]
	q.frames[q.head] = nil
	if q.head++; q.head == len(q.frames) {
		q.release()
		o.rest = nil
	}
}

// waiting returns how many frames wait.
func (o *outbox) waiting() int {
	switch {
	case o.first == nil:
		return 0
	case o.rest == nil:
		return 1
	default:
		return 1 + len(o.rest.frames) - o.rest.head
	}
}

// wake reports whether nobody is writing, and notes that somebody will be.
func (o *outbox) wake() bool {
	first := !o.writing
	o.writing = true
	return first
}

// Output is netloop.Peer: bytes for the client.
func (c *Conn) Output(scratch []byte, pieces [][]byte) (out [][]byte, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.output(scratch, pieces), c.out.closed
}

// Written is netloop.Peer: n bytes are on their way.
func (c *Conn) Written(n int) (more bool) {
	c.mu.Lock()
	c.pulse.drained = c.pulse.drained || n > 0
	c.sent += uint64(n)
	more, frames, born := c.out.taken(n)
	c.mu.Unlock()
	c.srv.stats.countWrite(frames, born)
	return more
}
