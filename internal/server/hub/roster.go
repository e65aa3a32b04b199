package hub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// Target is one connection, one session or every connection of a user: the one field that is not empty.
type Target struct {
	Connection string
	Session    string
	User       string
}

// session is one client over all its connections, here or on another node. What others see of it is the connection, which stays the same.
type session struct {
	id         string
	connection string
	user       string // "" if there are no tokens

	// Guarded by roster.mu.
	address string    // where the client is, or was
	node    string    // that it is connected to, or was
	turn    uint64    // grows with its connections, and is no less than the time of the last one, in milliseconds: of two nodes that claim it, the one with more has it
	from    uint64    // one more than the turn of whom it was taken over from with its rooms; 0 if they were not known
	moved   time.Time // when another node took it from this one
	acts    uint64    // how often the backend has put it into a room or taken it out
	knew    uint64    // of those, how many were known when it was taken over
	deeds   []deedAt  // the latest of them, of this node
	rooms   map[string]grip
	evicted map[string]string // rooms that the backend has taken it out of while it was away, and why: it is told when it is back
	client  *client           // connected to this node; nil otherwise
	waits   *wait             // of this node and not connected; nil otherwise

	// Guarded by Hub.telling.
	quiet  time.Time   // until then other nodes are not told of it, unless it is its end or it changes nodes
	untold *time.Timer // until they are; nil if they know
}

// grip is how a session is in a room.
type grip struct {
	by      origin
	watches bool // it wants to be told who comes and goes
	untold  bool // its client, which is away, does not know
}

// origin is who has put a client into a room. What the backend has done, a token does not undo.
type origin uint8

const (
	byItself origin = iota
	byBackend
)

func (s *session) sender() protocol.Sender {
	return protocol.Sender{Connection: s.connection, User: s.user}
}

// roster is the sessions of all nodes, and who is in which room. It calls nobody with its lock held, but to send to a connection.
type roster struct {
	node string // this one; "" if there are no others

	mu          sync.RWMutex // taken before the locks of roomcast
	sessions    map[string]*session
	connections map[string]*session
	users       map[string][]*session // those that are authenticated
	rooms       map[string]*crowd
	waiting     waitingRoom
	stopped     map[string]bool // other nodes that have stopped, for as long as they have sessions
	kicked      map[string]kick // sessions that have been expelled here lately
}

func newRoster(node string) *roster {
	return &roster{
		node: node, sessions: map[string]*session{}, connections: map[string]*session{}, users: map[string][]*session{}, rooms: map[string]*crowd{},
		waiting: waitingRoom{most: mostWaiting}, stopped: map[string]bool{}, kicked: map[string]kick{},
	}
}

// add greets a new client and lets others find it, in this order.
func (r *roster) add(c *client, s *session, hello []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.say(hello)
	s.client, s.node, s.address = c, r.node, c.conn.RemoteAddr()
	r.addLocked(s)
}

func (r *roster) addLocked(s *session) {
	r.sessions[s.id] = s
	r.connections[s.connection] = s
	if s.user != "" {
		r.users[s.user] = append(r.users[s.user], s)
	}
}

// dropLocked forgets a session.
func (r *roster) dropLocked(s *session) {
	for room := range s.rooms {
		r.exitLocked(s, room)
	}
	delete(r.sessions, s.id)
	delete(r.connections, s.connection)
	if s.user == "" {
		return
	}
	left := slices.DeleteFunc(r.users[s.user], func(other *session) bool { return other == s })
	if len(left) == 0 {
		delete(r.users, s.user)
	} else {
		r.users[s.user] = left
	}
}

// drop forgets a session, if it is this node's and nobody is connected to it. It reports whether it has.
func (r *roster) drop(s *session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.client != nil || !r.oursLocked(s) {
		return false
	}
	r.waiting.leave(s)
	r.dropLocked(s)
	return true
}

// oursLocked reports whether a session is this node's.
func (r *roster) oursLocked(s *session) bool { return s.node == r.node && r.sessions[s.id] == s }

// detach notes that a client has gone. If its session is still its own it is over after a time, 0 being at once: then over is called.
func (r *roster) detach(c *client, after time.Duration, over func(*session)) {
	s := c.self.Load()
	r.mu.Lock()
	var ended []*session
	if s.client == c {
		s.client = nil
		for room := range s.rooms {
			delete(r.rooms[room].watchers, s)
		}
		if after > 0 {
			ended = r.waiting.enter(s, time.AfterFunc(after, func() { over(s) }))
		} else {
			ended = []*session{s}
		}
	}
	r.mu.Unlock()
	for _, s := range ended {
		over(s)
	}
}

// claim makes a session that was c's before its own again, and returns the rooms it is in; found is false if it is over. before is whom it has been taken from.
// There is no session if c has lost its own, and is about to be closed. Where the backend has put c meanwhile, the session is too; that is not among
// the rooms if it was not in there before.
func (r *roster) claim(c *client, t ticket) (s *session, rooms map[string]grip, before *client, found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := c.self.Load()
	if fresh.client != c {
		return nil, nil, nil, false
	}
	if s, found = r.sessions[t.id]; s == fresh {
		return s, maps.Clone(s.rooms), nil, c.halfway
	}
	if !found {
		s = &session{id: t.id, connection: t.connection, user: c.user}
		r.addLocked(s)
	} else {
		s.from, s.knew = s.turn+1, s.acts
	}
	r.waiting.leave(s)
	before = s.client
	s.client, s.node, s.address = c, r.node, fresh.address
	s.turn = max(s.turn+1, t.turn+1, uint64(time.Now().UnixMilli())) // whatever this node has not heard of, it is the latest
	c.self.Store(s)
	for room := range s.rooms {
		delete(r.rooms[room].watchers, s) // until it is restored there
	}
	rooms = make(map[string]grip, len(s.rooms))
	maps.Copy(rooms, s.rooms)
	for room, g := range fresh.rooms {
		if old, in := rooms[room]; in {
			old.by = g.by
			s.rooms[room], rooms[room] = old, old
		} else {
			r.enterLocked(s, room, g)
		}
	}
	r.dropLocked(fresh)
	fresh.client = nil
	return s, rooms, before, found
}

// turn is session.turn.
func (r *roster) turn(s *session) uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return s.turn
}

// end stops all timers.
func (r *roster) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sessions {
		r.waiting.leave(s)
	}
	for _, c := range r.rooms {
		if c.timer != nil {
			c.timer.Stop()
		}
		c.watchers = nil
	}
}

// in reports whether a session is in a room.
func (r *roster) in(s *session, room string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, in := s.rooms[room]
	return in
}

// grips returns the rooms that a session is in.
func (r *roster) grips(s *session) map[string]grip {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(s.rooms)
}

// joinedByItself reports whether it is in a room that its client has joined.
func (r *roster) joinedByItself(s *session) bool {
	for _, g := range r.grips(s) {
		if g.by == byItself {
			return true
		}
	}
	return false
}

// blind ends that c is told who comes and goes in a room.
func (r *roster) blind(c *client, room string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := c.self.Load()
	if g, in := s.rooms[room]; in && s.client == c {
		g.watches = false
		s.rooms[room] = g
		delete(r.rooms[room].watchers, s)
	}
}

// describe is what the backend is told of a session, and the rooms it is in, in the order of their bytes.
func (r *roster) describe(s *session) (Client, []string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return Client{Connection: s.connection, Session: s.id, User: s.user, Address: s.address, Node: s.node}, slices.Sorted(maps.Keys(s.rooms))
}

// enter notes that c is in a room, and reports whether it was not.
func (r *roster) enter(c *client, room string, g grip) (entered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := c.self.Load()
	return s.client == c && r.enterLocked(s, room, g)
}

// endorse reports whether the session of c is in a room; if so, it is there by the backend's doing from now on.
func (r *roster) endorse(c *client, room string) (in bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := c.self.Load()
	g, in := s.rooms[room]
	if in {
		g.by = byBackend
		s.rooms[room] = g
	}
	return in
}

func (r *roster) enterLocked(s *session, room string, g grip) (entered bool) {
	before, in := s.rooms[room]
	if s.rooms == nil {
		s.rooms = map[string]grip{}
	}
	if g.by == byBackend {
		g.watches = before.watches
	}
	g.by = max(g.by, before.by)
	s.rooms[room] = g
	delete(s.evicted, room)
	c := r.rooms[room]
	if c == nil {
		c = newCrowd(room)
		r.rooms[room] = c
	}
	if !in {
		r.enterCrowdLocked(c, s)
	}
	if g.watches && s.client != nil {
		if c.watchers == nil {
			c.watchers = map[*session]struct{}{}
		}
		c.watchers[s] = struct{}{}
	} else {
		delete(c.watchers, s)
	}
	return !in
}

// exit notes that c is not in a room, and reports whether it was.
func (r *roster) exit(c *client, room string) (in bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := c.self.Load()
	return s.client == c && r.exitLocked(s, room)
}

// awayLocked reports whether a session is this node's, and nobody is connected to it, or not any more.
func (r *roster) awayLocked(s *session) bool {
	return r.oursLocked(s) && (s.client == nil || s.client.conn.Closing())
}

// admit puts a session that is away into a room, to which its client comes back, and reports whether it was not in it.
func (r *roster) admit(s *session, room string, most int) (entered bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, in := s.rooms[room]
	switch {
	case in || !r.awayLocked(s):
		return false, nil
	case len(s.rooms) >= most:
		return false, fmt.Errorf("%w: connection %s is in %d; take it out of one first", roomcast.ErrTooManyRooms, s.connection, most)
	}
	_, known := s.evicted[room]
	return r.enterLocked(s, room, grip{by: byBackend, untold: !known}), nil
}

// evict takes a session that is away out of a room, and reports whether it was in it. Its client is told why when it is back.
func (r *roster) evict(s *session, room, reason string) (in bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	untold := s.rooms[room].untold
	if in = r.awayLocked(s) && r.exitLocked(s, room); in && !untold {
		if s.evicted == nil {
			s.evicted = map[string]string{}
		}
		s.evicted[room] = reason
	}
	return in
}

// evictions returns what the client of a session, which is back, has not been told, and forgets it.
func (r *roster) evictions(s *session) (reasons map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	reasons, s.evicted = s.evicted, nil
	return reasons
}

// expel forgets those of the sessions that are this node's, and returns them, and who is connected, or closing: nobody goes on with them while the
// connections take their time to end.
func (r *roster) expel(sessions []*session, reason string) (ended []*session, clients []*client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range sessions {
		if !r.oursLocked(s) {
			continue
		}
		if s.client != nil {
			clients = append(clients, s.client)
			s.client = nil
		}
		r.waiting.leave(s)
		r.dropLocked(s)
		r.noteKickLocked(s, reason)
		ended = append(ended, s)
	}
	return ended, clients
}

func (r *roster) exitLocked(s *session, room string) (in bool) {
	if _, in = s.rooms[room]; !in {
		return false
	}
	delete(s.rooms, room)
	r.exitCrowdLocked(r.rooms[room], s)
	return true
}

// find returns the sessions that t means, connected or not, on any node.
func (r *roster) find(t Target) []*session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.findLocked(t)
}

// all returns the sessions of all nodes.
func (r *roster) all() []*session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Collect(maps.Values(r.sessions))
}

func (r *roster) findLocked(t Target) []*session {
	var s *session
	switch {
	case t.User != "":
		return slices.Clone(r.users[t.User])
	case t.Session != "":
		s = r.sessions[t.Session]
	default:
		s = r.connections[t.Connection]
	}
	if s == nil {
		return nil
	}
	return []*session{s}
}

// clients returns the clients of those sessions that are connected to this node and are not closing.
func (r *roster) clients(sessions []*session) []*client {
	r.mu.RLock()
	var clients []*client
	for _, s := range sessions {
		if s.client != nil {
			clients = append(clients, s.client)
		}
	}
	r.mu.RUnlock()
	return slices.DeleteFunc(clients, func(c *client) bool { return c.conn.Closing() })
}

// client returns the client of a session that is connected to this node and not closing, nil if there is none.
func (r *roster) client(s *session) *client {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if s.client == nil || s.client.conn.Closing() {
		return nil
	}
	return s.client
}

// record is what other nodes are told of a session.
type record struct {
	Turn       uint64           `json:"t"`
	From       uint64           `json:"f,omitempty"`
	Acts       uint64           `json:"d,omitempty"`
	Knew       uint64           `json:"k,omitempty"`
	Connection string           `json:"c"`
	User       string           `json:"u,omitempty"`
	Address    string           `json:"a,omitempty"`
	Rooms      map[string]uint8 `json:"r,omitempty"` // bits

	Evicted map[string]string `json:"e,omitempty"` // session.evicted
}

const (
	bitBackend = 1 << iota
	bitWatches
	bitUntold
)

// mostRooms is how many bytes the names of a session's rooms, and of those that it was taken out of, may take in what others are told of it, of the 512 KiB that an engine takes
// (roomcast.Member.Info). A thousand names of 255 bytes are less, whatever they are; of more rooms, other nodes do not know all.
const mostRooms = 508 << 10

// member is a session as others are told of it; ok is false if it is not this node's any more.
func (r *roster) member(s *session) (_ roomcast.Member, ok bool) {
	r.mu.RLock()
	if ok = r.oursLocked(s); !ok {
		r.mu.RUnlock()
		return roomcast.Member{}, false
	}
	rec := record{Turn: s.turn, From: s.from, Acts: s.acts, Knew: s.knew, Connection: s.connection, User: s.user, Address: s.address,
		Rooms: make(map[string]uint8, len(s.rooms))}
	left := mostRooms
	for room, g := range s.rooms {
		if left -= 2*len(room) + len(`"":3,`); left < 0 { // in JSON a byte of a name is two at most
			break
		}
		var bits uint8
		if g.by == byBackend {
			bits |= bitBackend
		}
		if g.watches {
			bits |= bitWatches
		}
		if g.untold {
			bits |= bitUntold
		}
		rec.Rooms[room] = bits
	}
	for room, reason := range s.evicted {
		if left -= 2*len(room) + 6*len(reason) + len(`"":"",`); left < 0 { // which may be anything
			break
		}
		if rec.Evicted == nil {
			rec.Evicted = map[string]string{}
		}
		rec.Evicted[room] = reason
	}
	r.mu.RUnlock()
	var info bytes.Buffer
	e := json.NewEncoder(&info)
	e.SetEscapeHTML(false) // which takes six bytes for one
	_ = e.Encode(rec)      // strings and numbers
	return roomcast.Member{ID: s.id, Info: info.Bytes()}, true
}

// apply takes what another node says of a session. ours is set if it claims one of this node's wrongly: it has to be told again. lost is
// a client whose session is another node's now. missed is what the backend has done here to a session that was the other node's already.
func (r *roster) apply(m roomcast.Member) (ours *session, lost *client, missed []command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sessions[m.ID]
	if m.Gone {
		if s != nil && s.node != r.node {
			r.dropLocked(s)
		}
		return nil, nil, nil
	}
	var rec record
	if m.Node == r.node || json.Unmarshal(m.Info, &rec) != nil { // what we have said ourselves, or a version that we do not know
		return nil, nil, nil
	}
	if s != nil && s.node == r.node && (s.turn > rec.Turn || s.turn == rec.Turn && r.node < m.Node) {
		return s, nil, nil
	}
	missed = r.missedLocked(m.ID, s, rec)
	if s == nil {
		s = &session{id: m.ID, connection: rec.Connection, user: rec.User}
		r.addLocked(s)
	}
	r.waiting.leave(s)
	lost, s.client = s.client, nil
	if s.node == r.node {
		s.moved = time.Now()
	}
	s.node, s.turn, s.acts, s.address, s.evicted = m.Node, rec.Turn, max(s.acts, rec.Acts), rec.Address, rec.Evicted
	for room := range s.rooms {
		if _, stays := rec.Rooms[room]; !stays {
			r.exitLocked(s, room)
		}
	}
	for room, bits := range rec.Rooms {
		g := grip{watches: bits&bitWatches != 0, untold: bits&bitUntold != 0}
		if bits&bitBackend != 0 {
			g.by = byBackend
		}
		r.enterLocked(s, strings.Clone(room), g)
	}
	return nil, lost, missed
}
