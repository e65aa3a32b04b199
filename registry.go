package roomcast

import (
	"fmt"
	"hash/maphash"
	"sync"
	"unicode"
	"unicode/utf8"
)

// registry is the rooms by name, and the one place where memberships begin and end. It is sharded by name, so that rooms seldom
// wait for one another.
type registry struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

// shardCount is a power of two; at this many, two busy rooms on two cores share a shard once in a while only.
const shardCount = 256

type shard struct {
	mu    sync.RWMutex
	rooms map[string]*room // nil while there are none, so that a map that was large does not stay (G3)
	_     [24]byte         // up to a cache line, so that shards do not slow each other down
}

func newRegistry() *registry {
	return &registry{seed: maphash.MakeSeed()}
}

func (g *registry) shard(name string) *shard {
	return &g.shards[maphash.String(g.seed, name)%shardCount]
}

// find returns the room of that name, or nil.
func (g *registry) find(name string) *room {
	s := g.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rooms[name]
}

// join makes c a member of the named room, which comes into being with its first one.
func (g *registry) join(c *Conn, name string) error {
	slow := SlowClose
	if policy := c.srv.opts.Slow; policy != nil {
		slow = policy(name)
	}
	s := g.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if r == nil {
		r = newRoom(name, slow)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := c.enter(r); err != nil {
		return err
	}
	if s.rooms == nil {
		s.rooms = make(map[string]*room)
	}
	s.rooms[name] = r
	return nil
}

// leave ends c's membership in the named room, if there is one.
func (g *registry) leave(c *Conn, name string) {
	s := g.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rooms[name]; r != nil {
		s.removeLocked(c, r)
	}
}

// leaveAll ends every membership of c, which is closing, so that none is added meanwhile. It costs the number of c's rooms (G2).
func (g *registry) leaveAll(c *Conn) {
	for _, r := range c.appendRooms(nil) {
		s := g.shard(r.name)
		s.mu.Lock()
		s.removeLocked(c, r)
		s.mu.Unlock()
	}
}

// removeLocked ends c's membership in r on both sides, and r with its last member (G3).
func (s *shard) removeLocked(c *Conn, r *room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seat := c.exit(r)
	if seat == nil {
		return
	}
	r.removeLocked(seat)
	if len(r.members) == 0 {
		delete(s.rooms, r.name)
	}
	if len(s.rooms) == 0 {
		s.rooms = nil
	}
}

// names returns the rooms that have an open member, in no order.
func (g *registry) names() []string {
	var names []string
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.RLock()
		for name, r := range s.rooms {
			if r.anyOpen() {
				names = append(names, name)
			}
		}
		s.mu.RUnlock()
	}
	return names
}

// count returns how many rooms there are.
func (g *registry) count() int {
	n := 0
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.RLock()
		n += len(s.rooms)
		s.mu.RUnlock()
	}
	return n
}

// checkRoom reports what is wrong with a room name.
func checkRoom(name string, limit int) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty; give it 1 to %d bytes", ErrRoomName, limit)
	case len(name) > limit:
		return fmt.Errorf("%w: it has %d bytes; give it at most %d", ErrRoomName, len(name), limit)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: %q is not valid UTF-8", ErrRoomName, name)
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return fmt.Errorf("%w: %q has the control character %U in it; leave it out", ErrRoomName, name, r)
		}
	}
	return nil
}
