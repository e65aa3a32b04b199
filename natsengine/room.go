package natsengine

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomcast/roomcast"
)

// room is a room that keeps a history, as this node knows it. It stays for a while after its last use.
type room struct {
	e       *Engine
	kind    *kind
	name    string
	subject string // of its log
	notice  string // where what has been stored in it is repeated

	mu     sync.Mutex
	head   place         // the newest batch that is known to be stored
	known  bool          // head has been read; it may be old all the same
	moved  chan struct{} // closed when head changes; nil if nobody waits for it
	reader *reader       // nil while nobody here is subscribed
	writer writer
	sub    *nats.Subscription // to notice; nil while nobody needs it
	ears   int                // who do
	used   time.Time
}

func newRoom(e *Engine, k *kind, name string) *room {
	return &room{e: e, kind: k, name: name, subject: logSubject(k.prefix, k.Name, name), notice: noticeSubject(k.prefix, k.Name, name)}
}

// receive is what has been stored, by whatever node: see inbox.dispatch.
func (r *room) receive(m *nats.Msg) {
	if len(m.Data) == 1 && m.Data[0] == request {
		r.asked()
		return
	}
	b, err := stored(m)
	if err != nil {
		r.e.malformed(r.name, err)
		return
	}
	r.e.stats.lag(m.Header.Get("Nats-Time-Stamp"))
	r.accept(b)
}

// touch notes that the room is used, so that it is not forgotten.
func (r *room) touch() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used = time.Now()
}

// accept takes a batch that has been stored, from wherever it is known, in any order and as often as it comes.
func (r *room) accept(b *batch) {
	r.mu.Lock()
	if b.seq > r.head.seq && b.seq != r.writer.last {
		r.writer.asked = false // another node has been let
	}
	r.noteLocked(b.head())
	rd := r.reader
	drain := rd != nil && rd.acceptLocked(b)
	r.mu.Unlock()
	if drain {
		rd.drain()
	}
}

// noteLocked remembers the newest batch there is.
func (r *room) noteLocked(h place) {
	if h.seq > r.head.seq {
		r.head, r.known = h, true
		if r.moved != nil {
			close(r.moved)
			r.moved = nil
		}
	}
}

// listenLocked has the room told what is stored in it, until there is an unlistenLocked for every call of it.
func (r *room) listenLocked() (err error) {
	if r.ears == 0 {
		if r.sub, err = r.e.in.listen(r.e.nc, r.notice, r); err != nil {
			return err
		}
	}
	r.ears++
	return nil
}

// listen is listenLocked for a while, as well as can be: what is not heard can be read.
func (r *room) listen() (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listenLocked() != nil {
		return func() {}
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.unlistenLocked()
	}
}

func (r *room) unlistenLocked() {
	if r.ears--; r.ears == 0 {
		r.e.unlisten(r.sub)
		r.sub = nil
	}
}

// forget makes the next that needs the head read it, unless it has moved on since.
func (r *room) forget(h place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.head == h {
		r.known = false
	}
}

// reset forgets all about the stream, which is another one now.
func (r *room) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head, r.known, r.writer.last = place{}, false, 0
	if r.reader != nil {
		r.reader.tail.seq, r.reader.delivered, r.reader.through, r.reader.wanted = 0, 0, 0, 0
		r.reader.early = nil
	}
}

// newestHead returns the head, and reads it if it is not known.
func (r *room) newestHead(ctx context.Context) (place, error) {
	r.mu.Lock()
	h, known := r.head, r.known
	r.mu.Unlock()
	if known {
		return h, nil
	}
	b, err := r.e.last(ctx, r.kind, r.name)
	if err != nil {
		return place{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if b == nil {
		if r.head == h { // nothing has been stored since
			r.head, r.known = place{}, true
		}
		return r.head, nil
	}
	r.known = true
	r.noteLocked(b.head())
	return r.head, nil
}

// subscribe: see Engine.Subscribe.
func (r *room) subscribe(ctx context.Context, deliver func([]roomcast.Entry)) (roomcast.Position, func(), error) {
	s := &subscription{deliver: deliver}
	r.mu.Lock()
	if r.reader == nil {
		rd, err := newReader(r)
		if err != nil {
			r.mu.Unlock()
			return roomcast.Position{}, nil, r.e.unavailable("subscribe to", r.name, err)
		}
		r.reader = rd
		r.e.run(rd.open)
	}
	rd := r.reader
	rd.addLocked(s)
	at, open := rd.tail.Position, rd.isOpen
	r.mu.Unlock()
	cancel := func() { r.cancel(rd, s) }
	if open {
		return at, cancel, nil
	}
	select {
	case <-rd.opened:
	case <-ctx.Done():
		cancel()
		return roomcast.Position{}, nil, r.e.unavailable("subscribe to", r.name, context.Cause(ctx))
	}
	if rd.failed != nil {
		return roomcast.Position{}, nil, r.e.unavailable("subscribe to", r.name, rd.failed)
	}
	return rd.start, cancel, nil
}

// cancel ends a subscription. Nothing is delivered to it that has not begun to be.
func (r *room) cancel(rd *reader, s *subscription) {
	if s.over.Swap(true) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if rd.removeLocked(s); len(rd.subs) == 0 {
		r.closeReaderLocked(rd)
	}
}

func (r *room) closeReaderLocked(rd *reader) {
	if r.reader != rd {
		return
	}
	r.reader = nil
	r.used = time.Now()
	rd.closeLocked()
}

// delivered waits until what has been stored under seq has been delivered here, if anybody here is to have it.
func (r *room) delivered(ctx context.Context, seq uint64) error {
	r.mu.Lock()
	rd := r.reader
	if rd == nil || rd.delivered >= seq {
		r.mu.Unlock()
		return nil
	}
	reached := rd.awaitLocked(seq)
	r.mu.Unlock()
	select {
	case <-reached:
		return nil
	case <-rd.ctx.Done():
		return nil // there is nobody any more
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// unused reports whether nothing is known here that could not be read again.
func (r *room) unused(since time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reader == nil && !r.writer.running && r.used.Before(since)
}
