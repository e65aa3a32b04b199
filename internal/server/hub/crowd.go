package hub

import (
	"slices"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/server/protocol"
)

const (
	noticeEvery  = time.Second            // between two notices of who has come and gone in a room, at least
	noticeGather = 100 * time.Millisecond // how long the first one waits for others
)

// crowd is who is in a room, on all nodes, and who of this node is told about it. It is guarded by roster.mu.
type crowd struct {
	room     string
	sessions map[*session]struct{}
	users    map[string]int // of those that are authenticated: their sessions here
	sorted   []*session     // all sessions in the order of their connections; nil if it has to be made

	watchers map[*session]struct{} // whose clients are told; nil if nobody is
	changes  map[string]change     // since the last notice, by person
	told     time.Time             // the last notice
	timer    *time.Timer           // of the next one; nil if nothing has changed
}

// change is a person who has come or gone.
type change struct {
	who  protocol.Sender
	came bool
}

func newCrowd(room string) *crowd {
	return &crowd{room: strings.Clone(room), sessions: map[*session]struct{}{}}
}

// enter adds a session.
func (r *roster) enterCrowdLocked(c *crowd, s *session) {
	c.sessions[s] = struct{}{}
	c.sorted = nil
	if s.user != "" {
		if c.users == nil {
			c.users = map[string]int{}
		}
		c.users[s.user]++
	}
	r.noteLocked(c, s, s.user == "" || c.users[s.user] == 1, true)
}

// exitCrowdLocked removes one.
func (r *roster) exitCrowdLocked(c *crowd, s *session) {
	delete(c.sessions, s)
	delete(c.watchers, s)
	c.sorted = nil
	if s.user != "" {
		if c.users[s.user]--; c.users[s.user] == 0 {
			delete(c.users, s.user)
		}
	}
	if len(c.sessions) > 0 {
		r.noteLocked(c, s, c.users[s.user] == 0, false)
		return
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	delete(r.rooms, c.room)
}

// noteLocked has the watchers told that the numbers have changed, and who has come or gone if it is a person who has: of a user, the first
// connection that comes and the last that goes.
func (r *roster) noteLocked(c *crowd, s *session, person, came bool) {
	if len(c.watchers) == 0 {
		return
	}
	if person {
		key := "c" + s.connection
		if s.user != "" {
			key = "u" + s.user
		}
		if before, noted := c.changes[key]; noted && before.came != came {
			delete(c.changes, key) // it has come and gone, or gone and come back
		} else {
			if c.changes == nil {
				c.changes = map[string]change{}
			}
			c.changes[key] = change{s.sender(), came}
		}
	}
	if c.timer == nil {
		wait := max(noticeGather, noticeEvery-time.Since(c.told))
		c.timer = time.AfterFunc(wait, func() { r.tell(c) })
	}
}

// tell sends the notice that is due.
func (r *roster) tell(c *crowd) {
	r.mu.Lock()
	p := protocol.Presence{Count: len(c.sessions), Users: c.people()}
	if len(c.changes) > protocol.MaxMembers {
		p.Truncated = true
	} else {
		for _, change := range c.changes {
			if change.came {
				p.Joined = append(p.Joined, change.who)
			} else {
				p.Left = append(p.Left, change.who)
			}
		}
	}
	for _, list := range [][]protocol.Sender{p.Joined, p.Left} {
		slices.SortFunc(list, func(a, b protocol.Sender) int { return strings.Compare(a.Connection, b.Connection) })
	}
	c.changes, c.timer, c.told = nil, nil, time.Now()
	watching := make([]*client, 0, len(c.watchers))
	for s := range c.watchers {
		if s.client != nil {
			watching = append(watching, s.client)
		}
	}
	r.mu.Unlock()
	event := protocol.AppendPresence(nil, c.room, p)
	for _, client := range watching {
		client.say(event)
	}
}

// people returns how many people are in the room: all connections of a user are one, and a connection without a user is one.
func (c *crowd) people() int {
	named := 0
	for _, n := range c.users {
		named += n
	}
	return len(c.users) + len(c.sessions) - named
}

// page returns the sessions in a room in the order of their connections, from the first behind after on: limit of them at most. next is behind which
// others follow, empty if none do. count is how many there are in all, and people how many people these are.
func (r *roster) page(room, after string, limit int) (page []*session, next string, count, people int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.rooms[room]
	if c == nil {
		return nil, "", 0, 0
	}
	if c.sorted == nil {
		c.sorted = make([]*session, 0, len(c.sessions))
		for s := range c.sessions {
			c.sorted = append(c.sorted, s)
		}
		slices.SortFunc(c.sorted, byConnection)
	}
	from, _ := slices.BinarySearchFunc(c.sorted, after, func(s *session, after string) int {
		if s.connection <= after {
			return -1
		}
		return 1
	})
	page = slices.Clone(c.sorted[from:min(from+limit, len(c.sorted))])
	if from+limit < len(c.sorted) {
		next = page[len(page)-1].connection
	}
	return page, next, len(c.sorted), c.people()
}

// size returns how many sessions are in a room, and how many people these are.
func (r *roster) size(room string) (count, people int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c := r.rooms[room]
	if c == nil {
		return 0, 0
	}
	return len(c.sessions), c.people()
}

func byConnection(a, b *session) int { return strings.Compare(a.connection, b.connection) }

// names returns the rooms that somebody is in.
func (r *roster) names() []Room {
	r.mu.RLock()
	defer r.mu.RUnlock()
	rooms := make([]Room, 0, len(r.rooms))
	for name, c := range r.rooms {
		rooms = append(rooms, Room{name, len(c.sessions)})
	}
	return rooms
}
