package natsengine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomcast/roomcast"
)

// The most that is stored as one message, unless a single entry is larger.
const (
	batchBytes   = 256 << 10
	batchEntries = 512
)

// writer is what waits to be stored in a room. One batch is on its way at a time, because its offsets follow from the one before; what comes
// meanwhile goes with the next. It is guarded by room.mu.
type writer struct {
	queue   []item
	running bool   // a goroutine is storing
	last    uint64 // sequence of what this node has stored last
	asked   bool   // since then, another node has asked to be let
}

// item is an entry that waits.
type item struct {
	pub  *publication
	n    int    // which of its entries; -1: none, there is to be an epoch
	data []byte // encoded
	once string
}

// publication is one call of Engine.Publish.
type publication struct {
	room  *room
	done  chan struct{} // closed by the writer, once all are stored or one is not
	until time.Time     // then it is over

	// Owned by the writer until done.
	left      int
	positions []roomcast.Position
	again     []bool
	head      place // after the last that was stored, by whomever
	err       error

	gone chan struct{} // closed by the caller when it does not wait any more
}

func newPublication(r *room, n int) *publication {
	return &publication{room: r, done: make(chan struct{}), gone: make(chan struct{}), until: time.Now().Add(r.e.o.Timeout),
		left: max(n, 1), positions: make([]roomcast.Position, n), again: make([]bool, n)}
}

// over reports whether nothing more of it is to be stored.
func (p *publication) over() bool {
	select {
	case <-p.gone:
		return true
	default:
		return p.err != nil
	}
}

func (p *publication) fail(err error) {
	if p.err == nil {
		p.err = err
		close(p.done)
	}
}

// publish stores entries and waits until they are stored, and delivered here.
func (r *room) publish(ctx context.Context, entries []roomcast.Entry) error {
	items := make([]item, len(entries))
	p := newPublication(r, len(entries))
	for i := range entries {
		items[i] = item{p, i, encodeEntry(&entries[i]), entries[i].Once}
		if len(items[i].data) > r.e.maxPayload() {
			return tooLarge(len(items[i].data), r.name, r.e.maxPayload())
		}
	}
	if err := p.store(ctx, items); err != nil {
		return r.e.unavailable("publish in", r.name, err)
	}
	for i := range entries {
		entries[i].Position, entries[i].Again = p.positions[i], p.again[i]
	}
	if err := r.delivered(ctx, p.head.seq); err != nil {
		return r.e.unavailable("publish in", r.name, fmt.Errorf("it is stored, but not delivered here yet: %w", err))
	}
	return nil
}

// begin gives the room an epoch if it has none, and returns where it stands.
func (r *room) begin(ctx context.Context) (place, error) {
	p := newPublication(r, 0)
	if err := p.store(ctx, []item{{pub: p, n: -1}}); err != nil {
		return place{}, err
	}
	return p.head, nil
}

func (p *publication) store(ctx context.Context, items []item) error {
	r := p.room
	r.mu.Lock()
	r.used = time.Now()
	r.writer.queue = append(r.writer.queue, items...)
	if !r.writer.running {
		r.writer.running = true
		r.e.run(r.write)
	}
	r.mu.Unlock()
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		close(p.gone)
		return context.Cause(ctx)
	}
}

// outgoing is a batch that is to be stored.
type outgoing struct {
	id    string
	items []item
	body  []byte
	count uint64
	once  string    // its Nats-Msg-Id, "" if it has none
	until time.Time // when the last who waits for it gives up
}

// write stores what waits until nothing does.
func (r *room) write() {
	for {
		o := r.nextOutgoing()
		if o == nil {
			return
		}
		s, err := r.store(o)
		for i, it := range o.items {
			it.stored(s, i, err)
		}
	}
}

// nextOutgoing takes as much out of the queue as is stored at once; an entry with an idempotency key is stored alone. nil ends the writer.
func (r *room) nextOutgoing() *outgoing {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.writer
	limit := min(batchBytes, r.e.maxPayload())
	o := &outgoing{id: r.e.nextID()}
	for len(w.queue) > 0 {
		it := w.queue[0]
		if it.pub.over() {
			w.queue = w.queue[1:]
			continue
		}
		alone := it.once != "" || it.n < 0
		if len(o.items) > 0 && (alone || len(o.items) == batchEntries || len(o.body)+len(it.data) > limit) {
			break
		}
		w.queue = w.queue[1:]
		o.items = append(o.items, it)
		o.body = append(o.body, it.data...)
		if it.pub.until.After(o.until) {
			o.until = it.pub.until
		}
		if it.n >= 0 {
			o.count++
		}
		if it.once != "" {
			o.once = messageID(r.name, it.once)
		}
		if alone {
			break
		}
	}
	if len(o.items) == 0 {
		w.running, w.queue, r.used = false, nil, time.Now()
		return nil
	}
	return o
}

// stored tells the publication what has become of its entry, the nth of a batch.
func (it item) stored(s storing, nth int, err error) {
	p := it.pub
	switch {
	case p.err != nil:
	case err != nil:
		p.fail(err)
	default:
		if it.n >= 0 {
			p.positions[it.n], p.again[it.n] = s.first, s.again
			if !s.again {
				p.positions[it.n].Offset += uint64(nth)
			}
		}
		if !s.again || s.head.seq > p.head.seq { // what was there before may not have been delivered here either
			p.head = s.head
		}
		if p.left--; p.left == 0 {
			close(p.done)
		}
	}
}

// storing is what has become of a batch.
type storing struct {
	first roomcast.Position // of its first entry
	head  place
	again bool // it was there before: first is where
}

var (
	// errConflict: something else has been stored in the room since.
	errConflict = errors.New("others publish to the room all the time")
	errLate     = fmt.Errorf("%w", errConflict) // it is stored
	errBusy     = fmt.Errorf("%w", errConflict) // it is being stored
	// errUnknown: what became of an attempt cannot be found out any more.
	errUnknown = errors.New("it is not known whether it has been stored")
	// errRefused: NATS will not store it, and trying again would not help.
	errRefused = errors.New("refused")
)

// store stores a batch exactly once behind all that is stored in the room, however often that takes, and returns where. An attempt names
// the message that it is to follow, which no other can follow then. So when it is not known what became of one, what does follow is looked at.
func (r *room) store(o *outgoing) (storing, error) {
	ctx, cancel := context.WithDeadlineCause(r.e.ctx, o.until, errSilent)
	defer cancel()
	r.yield(ctx)
	listening := false
	var unsure *base // what the first attempt followed of which nothing is known
	var cause error
	for try := 0; ; try++ {
		if !r.e.isConnected() && unsure == nil {
			return storing{}, errAway
		}
		if try > 0 && !r.retry(ctx, try, cause) {
			return storing{}, cause
		}
		var h base
		if h, cause = r.newestHead(ctx); cause != nil {
			continue
		}
		if unsure != nil && h.seq < unsure.seq {
			unsure = &h // what follows it is looked at as soon as there is something, which may be more than it seems now
		}
		if unsure != nil && h.seq != unsure.seq {
			var s storing
			if s, cause = r.find(ctx, *unsure, h.place, o); cause == nil && s.head.seq != 0 || errors.Is(cause, errUnknown) {
				return s, cause
			} else if cause != nil {
				continue
			}
			unsure = nil
		}
		if o.count == 0 && h.Epoch != "" && h.place == h.was {
			return storing{h.Position, h.place, false}, nil
		}
		s, sent, err := r.attempt(ctx, o, h)
		if err == nil || errors.Is(err, errRefused) {
			return s, err
		}
		cause = err
		r.forget(h.place)
		if sent && unsure == nil {
			unsure = &h
		}
		if !listening && errors.Is(err, errConflict) {
			listening = true
			defer r.listen()()
		}
	}
}

// retry waits a little before the next attempt. If another node's came before, that is until its batch is known.
func (r *room) retry(ctx context.Context, try int, cause error) bool {
	if !errors.Is(cause, errConflict) {
		return r.e.pause(ctx, try)
	}
	r.e.stats.conflicts.Add(1)
	r.ask()
	r.mu.Lock()
	if r.known || try == 1 && errors.Is(cause, errLate) {
		r.mu.Unlock()
		return true // it is known, or can be read
	}
	r.mu.Unlock()
	return r.await(ctx, time.Millisecond<<min(try+1, 6))
}

// await waits until something is stored in the room, but not for long. It reports whether to go on.
func (r *room) await(ctx context.Context, long time.Duration) bool {
	r.mu.Lock()
	if r.moved == nil {
		r.moved = make(chan struct{})
	}
	moved := r.moved
	r.mu.Unlock()
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-moved:
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// A node that has just stored something is the first to know what its next batch has to follow, so that two nodes would not be equal: the one that
// is nearer to NATS, or has more to say, would keep the other from storing anything. So who comes too late asks, and who has stored
// last lets another go first then.
const yieldAtMost = 10 * time.Millisecond

func (r *room) ask() {
	// It is no harm if it is lost.
	_ = r.e.nc.PublishMsg(&nats.Msg{Subject: r.notice, Data: []byte{request}})
}

func (r *room) asked() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writer.asked = true
}

// yield lets another node store something, if this one has been the last and was asked.
func (r *room) yield(ctx context.Context) {
	r.mu.Lock()
	asked := r.writer.asked && r.head.seq == r.writer.last
	r.writer.asked = false
	r.mu.Unlock()
	if asked {
		r.await(ctx, yieldAtMost)
	}
}

// find looks for a batch among what follows a place in the log. If it is not there, it never will be.
func (r *room) find(ctx context.Context, after base, to place, o *outgoing) (storing, error) {
	for from := after.place; from.seq < to.seq; {
		found, err := r.e.following(ctx, r.kind, r.name, from.seq+1, fetchMessages)
		if err != nil {
			return storing{}, err
		}
		if len(found) == 0 {
			return storing{}, errSilent // a server that is behind
		}
		for _, b := range found {
			if b.id == o.id {
				r.took(ctx, b, after)
				return storing{roomcast.Position{Epoch: b.epoch, Offset: b.first}, b.head(), false}, nil
			}
			if !b.follows(from) || from.seq != 0 && b.epoch != from.Epoch {
				return storing{}, errUnknown // it may have been where something is missing now
			}
			from = b.head()
		}
	}
	return storing{}, nil
}
