package memengine

import (
	"crypto/rand"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast"
)

// cluster is what its nodes share.
//
// Lock order: room.turn, then kind.mu or cluster.mu, then room.mu, then those of window and outlet. Callbacks run under room.turn alone,
// which nobody needs but who publishes to the same room.
type cluster struct {
	start  time.Time // of the clock by which everything ages
	kinds  []*kind
	keys   window
	people presence
	alone  bool // there will be no second node

	// epoch and lost make the epoch of a new room, so that one that has been forgotten without ever having had an entry is the same when it is back.
	epoch string

	mu    sync.RWMutex
	rooms map[string]*room // with somebody subscribed, or something kept
	lost  uint64           // how many rooms have been forgotten that had entries once
	named int              // nodes that were ever made
	open  int              // nodes that are not closed
	ended bool             // all are
}

func newCluster(o Options) *cluster {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	c := &cluster{start: time.Now(), rooms: map[string]*room{}, epoch: rand.Text()[:8]}
	c.keys = window{length: o.Window, most: o.Keys, now: c.now}
	or(&c.keys.length, 5*time.Minute)
	or(&c.keys.most, 1_000_000)
	for _, r := range o.History {
		c.kinds = append(c.kinds, newKind(c, r))
	}
	return c
}

// or sets *v to def if it is zero.
func or[T int | int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

func (c *cluster) now() time.Duration { return time.Since(c.start) }

// kindOf returns what is kept of a room, nil if nothing is.
func (c *cluster) kindOf(room string) *kind {
	if strings.HasPrefix(room, "\x01") { // a program's own
		return nil
	}
	for _, k := range c.kinds {
		if k.Match(room) {
			return k
		}
	}
	return nil
}

// find returns a room, or nil if there is nothing to know of it.
func (c *cluster) find(name string) *room {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.rooms[name]
}

// room returns a room, which is made if need be. Until somebody has subscribed or something is kept, it may be forgotten.
func (c *cluster) room(name string, k *kind) *room {
	if r := c.find(name); r != nil {
		return r
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rooms[name]
	if r == nil {
		r = newRoom(name, k, c.epoch+strconv.FormatUint(c.lost, 36))
		c.rooms[name] = r
	}
	return r
}

// forget takes a room out if nothing is left of it.
func (c *cluster) forget(r *room) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.forgotten || len(r.subs) > 0 || r.log.Len() > 0 || r.queued {
		return
	}
	if r.log.Last() > 0 {
		c.lost++
	}
	r.forgotten = true
	delete(c.rooms, r.name)
	if len(c.rooms) == 0 {
		c.rooms = map[string]*room{} // the old one has the size of the time when it was largest
	}
}

// publish stores entries in a room and hands them to who is subscribed. It returns false if the room has been forgotten.
func (c *cluster) publish(r *room, entries []roomcast.Entry) bool {
	r.turn.Lock()
	defer r.turn.Unlock()
	stored, subs, ok := r.store(c, entries)
	if !ok {
		return false
	}
	r.kind.added(r)
	for _, s := range subs {
		s.hand(stored)
	}
	return true
}

// cancel ends a subscription.
func (c *cluster) cancel(r *room, s *subscription) {
	s.end()
	r.unsubscribe(func(other *subscription) bool { return other == s })
	c.forget(r)
}

// unsubscribe ends all subscriptions of a node that is closed.
func (c *cluster) unsubscribe(e *Engine) {
	c.mu.RLock()
	rooms := make([]*room, 0, len(c.rooms))
	for _, r := range c.rooms {
		rooms = append(rooms, r)
	}
	c.mu.RUnlock()
	for _, r := range rooms {
		r.unsubscribe(func(s *subscription) bool {
			if s.node != e {
				return false
			}
			s.end()
			return true
		})
		c.forget(r)
	}
}

// left counts a node that is closed; with the last one everything ends.
func (c *cluster) left() {
	c.mu.Lock()
	c.open--
	c.ended = c.open == 0
	ended := c.ended
	if ended {
		c.rooms = map[string]*room{}
	}
	c.mu.Unlock()
	if !ended {
		return
	}
	for _, k := range c.kinds {
		k.end()
	}
	c.keys.end()
}
