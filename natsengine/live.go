package natsengine

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/roomcast/roomcast"
)

// live is the rooms that keep no history. What is published in them passes once, to the nodes that are listening.
type live struct {
	e   *Engine
	out outbox

	mu    sync.Mutex
	rooms map[string]*liveRoom
}

// liveRoom is one of them, while somebody here is subscribed.
type liveRoom struct {
	e    *Engine
	name string
	subs atomic.Pointer[[]*subscription] // replaced, never changed, with live.mu held

	// latest is the number of the latest message of each node that publishes here; owned by who calls receive.
	latest map[string]uint64

	mu  sync.Mutex // held while NATS is told, which may take a while
	sub *nats.Subscription
}

func (l *live) subscribe(room string, deliver func([]roomcast.Entry)) (cancel func(), err error) {
	s := &subscription{deliver: deliver}
	l.mu.Lock()
	r := l.rooms[room]
	if r == nil {
		r = &liveRoom{e: l.e, name: room, latest: map[string]uint64{}}
		r.subs.Store(new([]*subscription{s}))
		l.rooms[room] = r
	} else {
		r.subs.Store(new(append(slices.Clone(*r.subs.Load()), s)))
	}
	l.mu.Unlock()
	cancel = func() { l.cancel(r, s) }
	if err := r.listen(); err != nil {
		cancel()
		return nil, l.e.unavailable("subscribe to", room, err)
	}
	return cancel, nil
}

// listen returns once the room is told what comes in.
func (r *liveRoom) listen() (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sub == nil {
		r.sub, err = r.e.in.listen(r.e.nc, liveSubject(r.e.o.Prefix, r.name), r)
	}
	return err
}

func (l *live) cancel(r *liveRoom, s *subscription) {
	if s.over.Swap(true) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(*r.subs.Load()), func(other *subscription) bool { return other == s })
	r.subs.Store(&left)
	if len(left) > 0 {
		return
	}
	delete(l.rooms, r.name)
	l.e.run(r.unlisten) // not here: NATS may still be being told to listen
}

func (r *liveRoom) unlisten() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sub != nil {
		r.e.unlisten(r.sub)
	}
}

func (l *live) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rooms)
}

// receive is what another node has published: see inbox.dispatch.
func (r *liveRoom) receive(m *nats.Msg) {
	p, err := decodePassing(m.Data)
	if err != nil {
		r.e.malformed(r.name, err)
		return
	}
	if !r.isNext(p) {
		return
	}
	for _, s := range *r.subs.Load() {
		if !s.over.Load() {
			s.deliver(p.entries)
		}
	}
}

// mostLatest is of how many nodes the latest number is known. Nodes have other names after each start.
const mostLatest = 1000

// isNext reports whether a message comes in its turn. A NATS server that was cut off hands on what it has kept when it is back: to the node that has published it and has
// gone to another server, for which it is not an echo any more, and to the others behind what that node has published since. It comes once or not at all.
func (r *liveRoom) isNext(p passing) bool {
	if p.node == r.e.o.Node || p.number <= r.latest[p.node] {
		return false
	}
	if len(r.latest) == mostLatest {
		clear(r.latest)
	}
	r.latest[p.node] = p.number
	return true
}

// publish never waits for anything. What cannot be sent is lost. Nothing is sent while this node is the only one.
func (l *live) publish(room string, entries []roomcast.Entry) error {
	if l.e.presence.alone.Load() {
		return nil
	}
	limit, subject := l.e.maxPayload(), liveSubject(l.e.o.Prefix, room)
	bodies := make([][]byte, len(entries))
	for i := range entries {
		if bodies[i] = encodeEntry(&entries[i]); len(bodies[i]) > limit {
			return tooLarge(len(bodies[i]), room, limit) // before any of them has gone
		}
	}
	for n, size := 0, 0; len(bodies) > 0; n, size = 0, 0 {
		for n < len(bodies) && size+len(bodies[n]) <= limit {
			size += len(bodies[n])
			n++
		}
		l.put(subject, bodies[:n])
		bodies = bodies[n:]
	}
	return nil
}

func (l *live) put(subject string, bodies [][]byte) {
	if !l.e.calls.up.Load() || !l.out.add(subject, encodePassing(l.e.o.Node, bodies)) {
		l.e.stats.unsent.Add(uint64(len(bodies)))
	}
}

func tooLarge(bytes int, room string, limit int) error {
	return fmt.Errorf("%w: %d bytes for %q: NATS takes messages of %d; raise its max_payload", roomcast.ErrTooLarge, bytes, room, limit)
}

// outbox is what waits to be written to NATS, so that who publishes does not wait for the network.
type outbox struct {
	wake chan struct{} // cap 1: something waits; never closed

	mu     sync.Mutex
	queue  []*nats.Msg
	bytes  int
	number uint64 // of the latest message
}

const outboxBytes = 16 << 20

// add gives a message its number, and reports whether there was room.
func (o *outbox) add(subject string, data []byte) bool {
	o.mu.Lock()
	if o.bytes > outboxBytes {
		o.mu.Unlock()
		return false
	}
	o.number++
	setNumber(data, o.number)
	o.queue = append(o.queue, &nats.Msg{Subject: subject, Data: data})
	o.bytes += len(data) + len(subject)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return true
}

func (o *outbox) take() []*nats.Msg {
	o.mu.Lock()
	defer o.mu.Unlock()
	queue := o.queue
	o.queue, o.bytes = nil, 0
	return queue
}

// send writes what waits until the engine ends. What cannot be sent is lost: these rooms promise no more.
func (l *live) send() {
	for {
		select {
		case <-l.out.wake:
		case <-l.e.ctx.Done():
			return
		}
		for _, m := range l.out.take() {
			if err := l.e.nc.PublishMsg(m); err != nil {
				l.e.stats.unsent.Add(1)
			}
		}
	}
}
