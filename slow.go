package roomcast

import (
	"slices"

	"github.com/roomcast/roomcast/internal/session"
)

// Slow is what becomes of a message for which a member of the room has no room in its outbox (Options.OutboxBytes). Whatever is dropped is
// dropped for that member alone, is counted (Stats.Dropped), and what is left comes in its order (G4). Control frames, and what Conn.Send
// sends, are never dropped.
type Slow uint8

// What Options.Slow can return.
const (
	// SlowClose closes the connection with 1013: what it is sent is complete, or it is told that it is not.
	SlowClose Slow = iota

	// SlowDropNewest drops the message: what waits already is kept.
	SlowDropNewest

	// SlowDropOldest drops what has waited longest of the room's messages, a quarter of the outbox at once, or the message itself if none
	// of the room's is waiting.
	SlowDropOldest

	// SlowKeepLatest drops messages of the room that are followed by one with the same Publication.Key, as soon as more than 64 messages
	// wait. These are superseded, not missed. If that is not enough it goes on like SlowDropOldest.
	SlowKeepLatest
)

// sweepFrom is how many frames wait before those that are superseded are looked for.
const sweepFrom = 64

// notice tells a member, at a place in its outbox, that messages of a room are missing there. It counts until it is written, or what is missed next is missed behind another message of the room.
type notice struct {
	room     *room
	missed   int
	followed bool // a message of the room waits behind it, or did
	say      func(room string, missed int) Message
}

// bytesOf returns what is sent for a frame that waits. A notice becomes a message with it, and counts no further.
func (o *outbox) bytesOf(f *frame) []byte {
	if f.notice != nil && f.bytes == nil {
		m := f.notice.say(f.notice.room.name, f.notice.missed)
		f.bytes = session.AppendMessage(nil, m.Binary, m.Data)
		o.bytes += len(f.bytes)
		if q := o.rest; q != nil {
			q.notices = slices.DeleteFunc(q.notices, func(open *frame) bool { return open == f })
		}
	}
	return f.bytes
}

// yieldLocked makes room for f, as the policy of its room says, and reports whether it is to be added; if not, it has been noted as missed. f.room is
// not nil, and c.mu is held.
func (c *Conn) yieldLocked(f *frame) (add bool) {
	o, limit, policy := &c.out, c.srv.opts.OutboxBytes, f.room.slow
	fits := o.fits(len(f.bytes), limit)
	if !fits && (len(f.bytes) > limit || o.isBarren(f.room)) {
		c.missLocked(f.room, missing{messages: f.messages, at: -1}) // dropping others would not help
		return false
	}
	if policy == SlowKeepLatest && o.crowded(!fits) {
		c.srv.stats.superseded.Add(uint64(o.sweep()))
		fits = o.fits(len(f.bytes), limit)
	}
	if !fits && policy != SlowDropNewest {
		c.missLocked(f.room, o.shed(f.room, max(limit/4, len(f.bytes))))
		fits = o.fits(len(f.bytes), limit)
	}
	if fits {
		o.follow(f.room)
	} else {
		c.missLocked(f.room, missing{messages: f.messages, at: -1})
	}
	return fits
}

// isBarren reports whether the last shed for the room has found little, and nothing has been written since: until then another one would look
// at everything that waits for as little.
func (o *outbox) isBarren(r *room) bool { return o.rest != nil && slices.Contains(o.rest.barren, r) }

// crowded reports whether so much waits that is new since the last sweep that another one costs little for each.
func (o *outbox) crowded(full bool) bool {
	q := o.rest
	switch {
	case q == nil:
		return false
	case full:
		return len(q.frames)-q.head > q.swept+q.swept/8
	default:
		return len(q.frames)-q.head >= max(sweepFrom, 2*q.swept)
	}
}

// missing is how many messages a member misses, and where: the place in its queue that one of them had, or -1 for the end.
type missing struct{ messages, at int }

// missLocked notes that c misses messages of a room.
func (c *Conn) missLocked(r *room, m missing) {
	if m.messages == 0 {
		return
	}
	c.srv.stats.dropped.Add(uint64(m.messages))
	if c.srv.opts.Gap == nil {
		return
	}
	if c.out.rest == nil { // what was in it is dropped
		c.out.rest = queues.Get().(*queue)
	}
	q := c.out.rest
	if open := q.noticeOf(r); open != nil && q.adjacent(open, m.at) {
		open.notice.missed += m.messages
		return
	}
	c.out.settle(r)
	f := &frame{notice: &notice{room: r, missed: m.messages, followed: m.at >= 0, say: c.srv.opts.Gap}}
	if q.notices = append(q.notices, f); m.at < 0 || m.at > len(q.frames) {
		q.push(f)
	} else {
		q.frames = slices.Insert(q.frames, m.at, f)
	}
}

// noticeOf returns the notice of a room that counts on, or nil.
func (q *queue) noticeOf(r *room) *frame {
	for _, open := range q.notices {
		if open.notice.room == r {
			return open
		}
	}
	return nil
}

// adjacent reports whether no message of its room waits between an open notice and the place at, as in missing. It looks for one only
// where messages have just been dropped, which has looked at as many.
func (q *queue) adjacent(open *frame, at int) bool {
	if at < 0 || at > len(q.frames) {
		return !open.notice.followed
	}
	place := max(slices.Index(q.frames, open), q.head) // or it is the first of all, before the queue
	return !slices.ContainsFunc(q.frames[min(place, at):max(place, at)], func(f *frame) bool { return f.room == open.notice.room })
}

// settle ends the counting of a room's notice, for behind it a message of the room is added or another notice begins.
func (o *outbox) settle(r *room) {
	if o.rest == nil {
		return
	}
	if open := o.rest.noticeOf(r); open != nil {
		o.bytesOf(open)
	}
}

// follow notes that a message of the room is added behind its notice, if there is one.
func (o *outbox) follow(r *room) {
	if o.rest == nil || len(o.rest.notices) == 0 {
		return
	}
	if open := o.rest.noticeOf(r); open != nil {
		open.notice.followed = true
	}
}

// shed drops the room's frames that have waited longest, until so many bytes are free for it.
func (o *outbox) shed(r *room, bytes int) missing {
	m := missing{at: -1}
	if o.rest == nil {
		return m
	}
	o.filter(func(i int, f *frame) (keep bool) {
		if f.room != r || bytes <= 0 {
			return true
		}
		bytes -= len(f.bytes)
		if m.messages += f.messages; m.at < 0 {
			m.at = i
		}
		return false
	})
	if bytes > 0 && o.rest != nil {
		o.rest.barren = append(o.rest.barren, r)
	}
	return m
}

// sweep drops the frames that are followed by one of the same room with the same key, and returns how many messages these were.
func (o *outbox) sweep() (superseded int) {
	type subject struct {
		room *room
		key  string
	}
	last := make(map[subject]int, sweepFrom)
	for i, f := range o.rest.frames {
		if f != nil && f.key != "" {
			last[subject{f.room, f.key}] = i
		}
	}
	o.filter(func(i int, f *frame) (keep bool) {
		if f.key == "" || last[subject{f.room, f.key}] == i {
			return true
		}
		superseded += f.messages
		return false
	})
	if q := o.rest; q != nil {
		q.swept = len(q.frames) - q.head
	}
	return superseded
}

// filter keeps some of the frames that wait in the queue. Those that have been given to the writer stay whatever keep says. i is where a frame stood before.
func (o *outbox) filter(keep func(i int, f *frame) bool) {
	q := o.rest
	from := q.head + q.lent
	kept := q.frames[:from]
	for i, f := range q.frames[from:] {
		if keep(from+i, f) {
			kept = append(kept, f)
		} else {
			o.bytes -= len(f.bytes)
		}
	}
	clear(q.frames[len(kept):])
	if q.frames = kept; len(kept) == q.head {
		q.release()
		o.rest = nil
	}
}
