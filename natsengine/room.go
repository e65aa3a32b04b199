package natsengine

import (
	"context"
	"slices"
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
	head   place               // the newest batch that is known to be stored
	known  bool                // head has been read; it may be old all the same
	doubt  time.Time           // since when NATS has said that less is stored than head; zero if it has not
	moved  chan struct{}       // closed when head changes; nil if nobody waits for it
	reader *reader             // nil while nobody here is subscribed
	era    uint64              // counts how often what was known of the tail has lost its worth
	epochs []roomcast.Position // how far head has been in each; the latest mostEpochs
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
		r.enterLocked(h.Position)
		r.head, r.known, r.doubt = h, true, time.Time{}
		r.kind.saw(h.seq)
		if r.moved != nil {
			close(r.moved)
			r.moved = nil
		}
	}
}

// mostEpochs is how many epochs of a room are remembered, the latest.
const mostEpochs = 8

// enterLocked remembers how far the latest epoch has come. One that is over comes no further: what is stored in it once more is by nodes that do not know.
func (r *room) enterLocked(at roomcast.Position) {
	switch i := r.epochLocked(at.Epoch); {
	case at.Epoch == "":
	case i < 0:
		r.epochs = append(r.epochs[max(0, len(r.epochs)-mostEpochs+1):], at)
	case i == len(r.epochs)-1:
		r.epochs[i].Offset = max(r.epochs[i].Offset, at.Offset)
	}
}

// epochLocked is which of r.epochs it is; -1 if none.
func (r *room) epochLocked(epoch string) int {
	return slices.IndexFunc(r.epochs, func(p roomcast.Position) bool { return p.Epoch == epoch })
}

// isOverLocked reports whether an epoch was over when another one had begun. If the log has lost that, more of the positions of the epoch before have been used
// than it shows.
func (r *room) isOverLocked(epoch string) bool {
	i := r.epochLocked(epoch)
	return i >= 0 && i < len(r.epochs)-1
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
	r.writer.last = 0
	r.rewindLocked(place{}, 0)
}

// base is what a batch is to follow.
type base struct {
	place
	was  place // the last that is known to have been stored: if it is behind the other one, what was in between is lost
	over bool  // its epoch has been over: what came after that is lost
}

// opens reports whether what follows is to begin an epoch. It does after a loss, so that no position has two entries, unless somebody has begun one since.
func (b base) opens() bool {
	return b.Epoch == "" || b.over || b.seq < b.was.seq && b.Epoch == b.was.Epoch
}

// doubtTime is for how long NATS has to say that less is stored than is known, until it is believed: a server that does not lead any more may not know.
const doubtTime = 2 * time.Second

// newestHead returns the head, and reads it if it is not known. It returns less than is known if NATS has lost the end of the log, as it may by a power cut or a
// backup that is restored. That NATS is wrong about that is no harm: what is stored behind less than there is would not be stored.
func (r *room) newestHead(ctx context.Context) (base, error) {
	r.mu.Lock()
	h, known := r.baseLocked(), r.known
	r.mu.Unlock()
	if known {
		return h, nil
	}
	b, err := r.e.last(ctx, r.kind, r.name)
	if err != nil {
		return base{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.head != h.place: // something has been stored since
	case b == nil:
		r.head, r.known = place{}, true
	case b.seq >= h.seq:
		r.known, r.doubt = true, time.Time{}
		r.noteLocked(b.head())
	case r.doubt.IsZero():
		r.doubt = time.Now()
	case time.Since(r.doubt) > doubtTime:
		return base{b.head(), h.was, r.isOverLocked(b.epoch)}, nil // or so it seems
	}
	return r.baseLocked(), nil
}

// suspect has what the stream gets under sequences known from before looked for, and reports whether somebody here has been handed what is not in the stream any
// more.
func (r *room) suspect(f found) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reader == nil {
		return false
	}
	r.distrustLocked(f.last)
	return r.reader.tail.seq > f.last && r.reader.tail.seq <= f.seen
}

// verify begins another epoch in the room if its end is lost. Who publishes does so too, but in a room in which nobody here does, nothing would be heard any more
// that others store under sequences known from before.
func (r *room) verify() {
	ctx, cancel := context.WithTimeout(r.e.ctx, 2*doubtTime)
	defer cancel()
	for try := 0; ; try++ {
		r.mu.Lock()
		r.known = false
		r.mu.Unlock()
		_, err := r.begin(ctx)
		r.mu.Lock()
		sure := err == nil && r.doubt.IsZero()
		r.mu.Unlock()
		if sure || !r.e.pause(ctx, try) {
			return
		}
	}
}

func (r *room) baseLocked() base {
	b := base{r.head, r.head, r.isOverLocked(r.head.Epoch)}
	if rd := r.reader; rd != nil && rd.tail.seq > b.was.seq {
		b.was = rd.tail
	}
	return b
}

// took takes a batch that this node has stored. If its sequence is known from before, what was stored under that and behind it is lost.
func (r *room) took(ctx context.Context, b *batch, after base) {
	if b.seq <= after.was.seq {
		begin := after.seq + 1
		if !after.opens() {
			begin = r.beginning(ctx, after.place)
		}
		r.e.o.Logger.Warn("NATS has lost the end of a history: the room goes on in another epoch", "room", r.name, "epoch", b.epoch)
		r.mu.Lock()
		r.rewindLocked(after.place, begin-1)
		r.mu.Unlock()
	}
	r.accept(b)
}

// beginning returns a sequence from which on there is nothing but the epoch of the last batch, and all of it. If that cannot be found out it is what
// follows that batch: the subscribers are told how much they have missed then.
func (r *room) beginning(ctx context.Context, last place) uint64 {
	low, high := uint64(1), last.seq
	for low < high {
		middle := low + (high-low)/2
		b, err := r.e.seekAt(ctx, reach{kind: r.kind, room: r.name}, middle)
		switch {
		case err != nil:
			return last.seq + 1
		case b != nil && b.epoch == last.Epoch:
			high = middle
		default:
			low = middle + 1
		}
	}
	return low
}

// rewindLocked forgets what was behind a place, which is lost, and has the subscribers go on behind a sequence. What they have had stays with them, and does
// not come again.
func (r *room) rewindLocked(to place, behind uint64) {
	r.head, r.known, r.doubt = to, false, time.Time{}
	r.distrustLocked(behind)
	if rd := r.reader; rd != nil {
		rd.tail.seq, rd.delivered, rd.wanted, rd.early, rd.rewound = behind, behind, behind, nil, true
	}
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
		r.era++
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
