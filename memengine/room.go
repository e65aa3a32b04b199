package memengine

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/ring"
)

// room is what is kept of a room and who is subscribed to it, on whatever node.
type room struct {
	name  string
	kind  *kind  // nil if nothing is kept
	epoch string // of the whole life of the room here; "" if nothing is kept

	turn sync.Mutex // held while entries are stored and handed on: that is the one order of the room

	mu        sync.Mutex // guards what follows
	log       ring.Ring[roomcast.Entry]
	subs      []*subscription // replaced when they change, so that publish can go through them without the lock
	queued    bool            // kind.rooms has it, or is about to
	forgotten bool            // cluster.rooms has it no more

	oldest time.Duration // when the oldest entry was stored, or before that; guarded by kind.mu
}

func newRoom(name string, k *kind, epoch string) *room {
	r := &room{name: name, kind: k}
	if k != nil {
		r.epoch = epoch
	}
	return r
}

var errForgotten = errors.New("the room has been forgotten")

// entryBytes is what an entry takes besides its own bytes.
const entryBytes = 192

func sizeOf(e roomcast.Entry) int64 {
	size := entryBytes + len(e.Data) + len(e.Key) + len(e.Once)
	for _, session := range e.Except {
		size += len(session)
	}
	return int64(size)
}

// kept returns e with bytes of its own: those of who publishes are his again when Publish returns.
func kept(e roomcast.Entry, at roomcast.Position) roomcast.Entry {
	e.Data, e.Except = bytes.Clone(e.Data), slices.Clone(e.Except)
	e.Position, e.Again = at, false
	return e
}

// store gives entries their positions and keeps them. It returns those that are new and who is to have them, or false if the room has been
// forgotten.
func (r *room) store(c *cluster, entries []roomcast.Entry) (stored []roomcast.Entry, subs []*subscription, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.forgotten {
		return nil, nil, false
	}
	now := c.now()
	stored = make([]roomcast.Entry, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		if e.Once != "" {
			if e.Position, e.Again = c.keys.find(r.name, e.Once); e.Again {
				continue
			}
		}
		e.Position, e.Again = roomcast.Position{Epoch: r.epoch, Offset: r.log.Last() + 1}, false
		if e.Once != "" {
			c.keys.add(r.name, e.Once, e.Position)
		}
		stored = append(stored, kept(*e, e.Position))
		size := sizeOf(*e)
		r.log.Push(stored[len(stored)-1], size, now)
		r.kind.bytes.Add(size)
	}
	r.trimLocked(now)
	return stored, r.subs, true
}

// trimLocked forgets what passes the limits of the room itself.
func (r *room) trimLocked(now time.Duration) {
	freed := r.log.DropUntil(now-r.kind.Age) + r.log.Drop(r.log.Len()-r.kind.Messages)
	r.kind.bytes.Add(-freed)
}

// subscribe adds s, unless the room has been forgotten or the node of s is closed.
func (r *room) subscribe(s *subscription) (at roomcast.Position, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.forgotten:
		return at, errForgotten
	case s.node.closed.Load(): // cluster.unsubscribe has been here, or will not see the room
		return at, errClosed
	}
	r.subs = append(slices.Clip(r.subs), s)
	return roomcast.Position{Epoch: r.epoch, Offset: r.log.Last()}, nil
}

func (r *room) unsubscribe(who func(*subscription) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.subs, who) {
		r.subs = slices.DeleteFunc(slices.Clone(r.subs), who)
	}
}

// history is Engine.History; a nil room remembers nothing.
func (r *room) history(since roomcast.Position, limit int, now time.Duration) ([]roomcast.Entry, error) {
	if r == nil || r.kind == nil {
		if since != (roomcast.Position{}) {
			return nil, roomcast.ErrHistoryGone
		}
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trimLocked(now)
	limit = max(0, min(limit, r.log.Len()))
	after := since.Offset
	switch {
	case since == roomcast.Position{}:
		after = r.log.Last() - uint64(limit)
	case since.Epoch != r.epoch || after+1 < r.log.First() || after > r.log.Last():
		return nil, roomcast.ErrHistoryGone
	}
	return r.log.Append(make([]roomcast.Entry, 0, limit), after, limit), nil
}

// subscription is one call of Engine.Subscribe.
type subscription struct {
	node    *Engine
	deliver func([]roomcast.Entry)
	ended   atomic.Bool
	live    outlet[roomcast.Entry] // what came from other nodes, in a room that keeps nothing
}

func newSubscription(e *Engine, deliver func([]roomcast.Entry)) *subscription {
	s := &subscription{node: e, deliver: deliver}
	s.live = outlet[roomcast.Entry]{hand: s.hand, tasks: &e.tasks}
	return s
}

// hand is called for one publish at a time: under room.turn, or by the outlet.
func (s *subscription) hand(entries []roomcast.Entry) {
	if len(entries) > 0 && !s.ended.Load() {
		s.deliver(entries)
	}
}

func (s *subscription) end() {
	s.ended.Store(true)
	s.live.end()
}

// pass hands entries to the subscriptions of other nodes, in a room that keeps nothing. These are called later: who publishes may hold a
// lock that they take.
func (e *Engine) pass(name string, entries []roomcast.Entry) {
	r := e.cluster.find(name)
	if r == nil {
		return
	}
	r.mu.Lock()
	subs := r.subs
	r.mu.Unlock()
	var passed []roomcast.Entry
	for _, s := range subs {
		if s.node == e {
			continue
		}
		if passed == nil {
			for _, entry := range entries {
				passed = append(passed, kept(entry, roomcast.Position{}))
			}
		}
		s.live.put(passed...)
	}
}
