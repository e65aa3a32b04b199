package roomcast

import (
	"strings"
	"sync"
	"sync/atomic"
)

// room is who is in it. It exists in the registry while it has a member. How a message reaches the members is in deliver.go.
type room struct {
	name string
	slow Slow  // what becomes of a message that is too much for a member
	feed *feed // what comes from the engine; nil if there is none
	pins int   // who holds on to it without being a member; guarded by shard.mu

	// mu is also the room's sequencing lock: it is held while a broadcast is added to the members' outboxes, so that all of
	// them see the room's broadcasts in one order (G4).
	mu      sync.Mutex
	members []member

	deflating atomic.Int32 // members that are sent compressed messages; it changes with members
}

// member is one connection's place in a room, seen from the room.
type member struct {
	conn *Conn
	seat *seat
}

// seat is where in room.members a member sits, so that leaving costs the same in a room of any size. It is guarded by room.mu
// and shared by the two views of the membership: member, and membership in Conn.
type seat struct{ index int32 }

// membership is one connection's place in a room, seen from the connection.
type membership struct {
	room *room
	seat *seat
}

func newRoom(name string, slow Slow, fed bool) *room {
	r := &room{name: strings.Clone(name), slow: slow}
	if fed {
		r.feed = &feed{ready: make(chan struct{})}
	}
	return r
}

// addLocked seats c.
func (r *room) addLocked(c *Conn) *seat {
	if c.reader.Deflate {
		r.deflating.Add(1)
	}
	s := &seat{int32(len(r.members))}
	r.members = append(r.members, member{c, s})
	return s
}

// removeLocked frees a seat; the last member moves into the gap.
func (r *room) removeLocked(s *seat) {
	if r.members[s.index].conn.reader.Deflate {
		r.deflating.Add(-1)
	}
	last := len(r.members) - 1
	r.members[s.index] = r.members[last]
	r.members[s.index].seat.index = s.index
	r.members[last] = member{}
	r.members = r.members[:last]
	if cap(r.members) > 64 && last < cap(r.members)/4 {
		r.members = append(make([]member, 0, cap(r.members)/2), r.members...) // a room that was large gives memory back (G3)
	}
}

// open returns the members that have not begun to close.
func (r *room) open() []*Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	conns := make([]*Conn, 0, len(r.members))
	for _, m := range r.members {
		if m.conn.isOpen() {
			conns = append(conns, m.conn)
		}
	}
	return conns
}

// sample returns up to n open members, and how many members there are.
func (r *room) sample(n int) (some []*Conn, total int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		if len(some) >= n {
			break
		}
		if m.conn.isOpen() {
			some = append(some, m.conn)
		}
	}
	return some, len(r.members)
}

// anyOpen reports whether open would return any.
func (r *room) anyOpen() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		if m.conn.isOpen() {
			return true
		}
	}
	return false
}
