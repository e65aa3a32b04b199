package peer

import "sync"

// Rooms is a set of rooms by name. M is a member, usually a pointer to a connection.
type Rooms[M comparable] struct {
	mu    sync.Mutex
	rooms map[string]*Room[M]
}

// Room is a list of members that is quick to walk through. It keeps its order only until somebody leaves.
type Room[M comparable] struct {
	name  string
	joins int // guarded by Rooms.mu

	mu      sync.Mutex
	members []M
	place   map[M]int
}

// Join adds m to the room with this name, which is made if there is none.
func (s *Rooms[M]) Join(name string, m M) *Room[M] {
	s.mu.Lock()
	if s.rooms == nil {
		s.rooms = map[string]*Room[M]{}
	}
	r := s.rooms[name]
	if r == nil {
		r = &Room[M]{name: name, place: map[M]int{}}
		s.rooms[name] = r
	}
	r.joins++
	s.mu.Unlock()

	r.mu.Lock()
	r.place[m] = len(r.members)
	r.members = append(r.members, m)
	r.mu.Unlock()
	return r
}

// Leave takes m out of r, once for each Join, and forgets the room when nobody is left.
func (s *Rooms[M]) Leave(r *Room[M], m M) {
	r.mu.Lock()
	if i, ok := r.place[m]; ok {
		last := len(r.members) - 1
		r.members[i] = r.members[last]
		r.place[r.members[i]] = i
		clear(r.members[last:])
		r.members = r.members[:last]
		delete(r.place, m)
	}
	r.mu.Unlock()

	s.mu.Lock()
	if r.joins--; r.joins == 0 {
		delete(s.rooms, r.name)
	}
	s.mu.Unlock()
}

// Others calls each for every member but self, one message at a time: all members get a room's messages in the same order.
func (r *Room[M]) Others(self M, each func(M)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		if m != self {
			each(m)
		}
	}
}
