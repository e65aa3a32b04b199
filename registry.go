package roomcast

import (
	"hash/maphash"
	"sync"
)

// registry is the rooms by name, and the one place where memberships begin and end. It is sharded by name, so that rooms seldom wait for one another.
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

// pin returns the named room, which comes into being if there is none, and keeps it until unpin. fresh is whether it has.
func (g *registry) pin(name string, o *Options) (r *room, fresh bool) {
	slow := SlowClose
	if o.Slow != nil {
		slow = o.Slow(name)
	}
	s := g.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r = s.rooms[name]; r == nil {
		r, fresh = newRoom(name, slow, o.Engine != nil), true
		if s.rooms == nil {
			s.rooms = make(map[string]*room)
		}
		s.rooms[name] = r
	}
	r.pins++
	return r, fresh
}

// unpin ends that, and the room if nobody has become a member.
func (g *registry) unpin(r *room) {
	s := g.shard(r.name)
	s.mu.Lock()
	r.pins--
	gone := s.dropEmptyLocked(r)
	s.mu.Unlock()
	if gone {
		r.feed.stop()
	}
}

// join makes c a member of a pinned room. If it is one now, fresh if it was none, welcome is called before it can be handed anything else, with r.mu held.
func (g *registry) join(c *Conn, r *room, welcome func(fresh bool)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := !c.isIn(r)
	if err := c.enter(r); err != nil {
		return err
	}
	welcome(fresh)
	return nil
}

// leave ends c's membership in the named room, if there is one.
func (g *registry) leave(c *Conn, name string) {
	if r := g.find(name); r != nil {
		g.remove(c, r)
	}
}

// leaveAll ends every membership of c, which is closing, so that none is added meanwhile. It costs the number of c's rooms (G2).
func (g *registry) leaveAll(c *Conn) {
	for _, r := range c.appendRooms(nil) {
		g.remove(c, r)
	}
}

// remove ends c's membership in r on both sides, and r with its last member (G3).
func (g *registry) remove(c *Conn, r *room) {
	s := g.shard(r.name)
	s.mu.Lock()
	r.mu.Lock()
	seat := c.exit(r)
	if seat != nil {
		r.removeLocked(seat)
	}
	r.mu.Unlock()
	gone := seat != nil && s.dropEmptyLocked(r)
	s.mu.Unlock()
	if gone {
		r.feed.stop()
	}
}

// dropEmptyLocked ends a room that has no member and no pin, and reports whether it did. Who joins has pinned it, so that none is added meanwhile.
func (s *shard) dropEmptyLocked(r *room) bool {
	if r.pins > 0 || len(r.members) > 0 {
		return false
	}
	if delete(s.rooms, r.name); len(s.rooms) == 0 {
		s.rooms = nil
	}
	return true
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
