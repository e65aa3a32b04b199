package natsengine

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast"
)

// subscription is one call of Engine.Subscribe.
type subscription struct {
	deliver func([]roomcast.Entry)
	over    atomic.Bool
}

// reader hands what is stored in a room to those who are subscribed here, in order and without a gap. It lives from the first subscription to
// the last one's end. Batches come to it from notices, from acknowledgements of this node's own publishes, and from reads; what is missing
// between two of them it reads.
type reader struct {
	room   *room
	ctx    context.Context // ends with the reader
	cancel context.CancelFunc

	opened chan struct{}     // closed by open, once start or failed is set
	start  roomcast.Position // where it began
	failed error

	// Guarded by room.mu.
	subs      []*subscription // replaced, never changed: queue refers to it
	isOpen    bool
	tail      place    // up to here, everything is delivered or in queue
	rewound   bool     // nothing has come since rewindLocked: what it has had may stand behind tail.seq
	early     []*batch // came before what is missing, by sequence
	wanted    uint64   // is known to be stored: what is missing up to here is read
	fetching  bool
	queue     []delivery
	draining  bool
	delivered uint64 // sequence up to which all calls of deliver have returned
	awaited   []awaiting
	checked   time.Time // when the tail was last known to be right
	through   uint64    // sequence in the stream up to which it is
}

// delivery is a batch on its way to those who were subscribed when it came.
type delivery struct {
	batch *batch
	to    []*subscription
}

// awaiting is somebody who waits for a delivery.
type awaiting struct {
	seq     uint64
	reached chan struct{} // closed once it is
}

// maxEarly is how many batches are kept that came too early. Others are read again.
const maxEarly = 64

// newReader listens to the room from now on. The caller holds r.mu.
func newReader(r *room) (*reader, error) {
	rd := &reader{room: r, opened: make(chan struct{})}
	if err := r.listenLocked(); err != nil {
		return nil, err
	}
	rd.ctx, rd.cancel = context.WithCancel(r.e.ctx)
	return rd, nil
}

func (rd *reader) addLocked(s *subscription) {
	rd.subs = append(slices.Clone(rd.subs), s)
}

func (rd *reader) removeLocked(s *subscription) {
	rd.subs = slices.DeleteFunc(slices.Clone(rd.subs), func(other *subscription) bool { return other == s })
}

func (rd *reader) closeLocked() {
	rd.cancel()
	rd.room.unlistenLocked()
	rd.early, rd.awaited = nil, nil
}

// open finds out where the room stands. An empty one is given its epoch, so that there is a position to come back to.
func (rd *reader) open() {
	r := rd.room
	ctx, cancel := context.WithTimeoutCause(rd.ctx, r.e.o.Timeout, errSilent)
	defer cancel()
	h, err := rd.findTail(ctx)
	r.mu.Lock()
	if err != nil {
		rd.failed = err
		r.closeReaderLocked(rd)
		r.mu.Unlock()
		close(rd.opened)
		return
	}
	r.noteLocked(h)
	rd.isOpen, rd.tail, rd.start, rd.delivered, rd.through = true, h, h.Position, h.seq, h.seq
	drain := rd.settleLocked()
	rd.announceLocked()
	r.mu.Unlock()
	close(rd.opened)
	if drain {
		rd.drain()
	}
}

func (rd *reader) findTail(ctx context.Context) (place, error) {
	r := rd.room
	for try := 0; ; try++ {
		b, err := r.e.last(ctx, r.kind, r.name)
		if err == nil && b != nil && b.bad == nil {
			return b.head(), nil
		}
		if err == nil {
			r.mu.Lock()
			if r.known = false; b != nil {
				r.noteLocked(b.head())
			}
			r.mu.Unlock()
			var h place
			if h, err = r.begin(ctx); err == nil {
				return h, nil
			}
		}
		if !r.e.pause(ctx, try) {
			return place{}, err
		}
	}
}

// acceptLocked puts a batch in its place. drain reports whether the caller has to call drain, without the lock.
func (rd *reader) acceptLocked(b *batch) (drain bool) {
	switch {
	case b.seq <= rd.tail.seq:
		return false
	case rd.hadLocked(b):
	case rd.isOpen && b.follows(rd.tail):
		rd.appendLocked(b)
		rd.checked = time.Now()
	default:
		rd.keepLocked(b)
	}
	return rd.settleLocked()
}

// keepLocked keeps a batch until what is missing before it is there.
func (rd *reader) keepLocked(b *batch) {
	rd.wanted = max(rd.wanted, b.seq)
	i, found := slices.BinarySearchFunc(rd.early, b.seq, func(b *batch, seq uint64) int { return int(int64(b.seq - seq)) })
	if !found && len(rd.early) < maxEarly {
		rd.early = slices.Insert(rd.early, i, b)
	}
}

// settleLocked goes on with what came early, if it can be, or has what is missing read.
func (rd *reader) settleLocked() (drain bool) {
	if !rd.isOpen {
		return false
	}
	for len(rd.early) > 0 && (rd.early[0].seq <= rd.tail.seq || rd.early[0].follows(rd.tail)) {
		if rd.early[0].seq > rd.tail.seq {
			rd.appendLocked(rd.early[0])
		}
		rd.early = rd.early[1:]
	}
	if rd.wanted > rd.tail.seq && !rd.fetching && rd.ctx.Err() == nil {
		rd.fetching = true
		rd.room.e.run(rd.fetch)
	}
	drain = len(rd.queue) > 0 && !rd.draining
	rd.draining = rd.draining || drain
	return drain
}

func (rd *reader) appendLocked(b *batch) {
	rd.tail, rd.rewound = b.head(), false
	rd.queue = append(rd.queue, delivery{b, rd.subs})
}

// hadLocked reports whether b has been handed on already, or was there before the reader, though it stands behind the tail, and goes on behind it then.
func (rd *reader) hadLocked(b *batch) bool {
	r := rd.room
	had := rd.rewound && b.last().Offset <= rd.tail.Offset
	if b.epoch != rd.tail.Epoch {
		i := r.epochLocked(b.epoch)
		had = i >= 0 && i < r.epochLocked(rd.tail.Epoch) && b.last().Offset <= r.epochs[i].Offset
	}
	if !had {
		return false
	}
	rd.tail.seq = b.seq
	rd.queue = append(rd.queue, delivery{batch: &batch{seq: b.seq}}) // for who waits until it is delivered
	return true
}

// drain calls the subscribers until nothing is left to be delivered. One goroutine at a time does, whichever brought something first.
func (rd *reader) drain() {
	r := rd.room
	for {
		r.mu.Lock()
		if len(rd.queue) == 0 {
			rd.draining, rd.queue = false, nil
			r.mu.Unlock()
			return
		}
		d := rd.queue[0]
		rd.queue = rd.queue[1:]
		r.mu.Unlock()
		rd.deliver(d)
		r.mu.Lock()
		rd.delivered = d.batch.seq
		rd.announceLocked()
		r.mu.Unlock()
	}
}

func (rd *reader) deliver(d delivery) {
	if d.batch.bad != nil {
		rd.room.e.malformed(rd.room.name, d.batch.bad)
	}
	if d.batch.count == 0 {
		return
	}
	entries, err := d.batch.entries()
	if err != nil {
		rd.room.e.malformed(rd.room.name, err)
		return
	}
	for _, s := range d.to {
		if !s.over.Load() {
			s.deliver(entries)
		}
	}
}

// awaitLocked returns a channel that is closed once seq is delivered.
func (rd *reader) awaitLocked(seq uint64) <-chan struct{} {
	a := awaiting{seq, make(chan struct{})}
	rd.awaited = append(rd.awaited, a)
	return a.reached
}

func (rd *reader) announceLocked() {
	rd.awaited = slices.DeleteFunc(rd.awaited, func(a awaiting) bool {
		if a.seq > rd.delivered {
			return false
		}
		close(a.reached)
		return true
	})
}

// missingTries is how often something that is known to be stored is looked for in vain before it is given up: that is some 5 s.
const missingTries = 20

// fetch reads what is missing between the tail and what is known to be stored.
func (rd *reader) fetch() {
	r := rd.room
	for try, vain := 0, 0; ; try++ {
		r.mu.Lock()
		from, done := rd.tail.seq+1, rd.wanted <= rd.tail.seq
		rd.fetching = !done
		r.mu.Unlock()
		if done {
			return
		}
		found, err := r.e.following(rd.ctx, r.kind, r.name, from, fetchMessages)
		switch {
		case rd.ctx.Err() != nil:
			return
		case len(found) > 0: // also of an answer that broke off
			try, vain = 0, 0
			if !rd.goBack(found[0]) {
				rd.take(found)
			}
			continue
		case err == nil:
			vain++
		}
		if vain > missingTries {
			rd.giveUp()
			continue
		}
		r.e.pause(rd.ctx, try)
	}
}

// goBack reports whether the epoch of b, which was found behind the tail, has begun before that, in the place of what is lost of the epoch before: then the
// reader goes on where it has.
func (rd *reader) goBack(b *batch) bool {
	r := rd.room
	r.mu.Lock()
	tail := rd.tail
	within := b.first > 1 && b.epoch != tail.Epoch && !r.isOverLocked(b.epoch)
	r.mu.Unlock()
	if !within {
		return false
	}
	begin := r.beginning(rd.ctx, b.head())
	if begin > tail.seq {
		return false // what is missing before b is kept no more
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if rd.tail == tail { // else something has come meanwhile
		rd.tail.seq, rd.rewound = begin-1, true
	}
	return true
}

// take appends batches that were read from the tail on: each is the next there is, even if offsets are missing before it.
func (rd *reader) take(found []*batch) {
	r := rd.room
	r.mu.Lock()
	for _, b := range found {
		r.noteLocked(b.head())
		if b.seq <= rd.tail.seq || rd.hadLocked(b) {
			continue
		}
		if b.follows(rd.tail) {
			r.e.stats.fetched.Add(b.count)
		} else {
			r.e.stats.jumps.Add(1)
		}
		rd.appendLocked(b)
	}
	drain := rd.settleLocked()
	r.mu.Unlock()
	if drain {
		rd.drain()
	}
}

// giveUp goes on without what cannot be had.
func (rd *reader) giveUp() {
	r := rd.room
	r.mu.Lock()
	early := rd.early
	if len(early) == 0 {
		rd.wanted = rd.tail.seq
	}
	r.mu.Unlock()
	if len(early) > 0 {
		rd.take(early[:1])
	}
}
