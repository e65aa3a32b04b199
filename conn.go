package roomcast

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/mailbox"
	"github.com/roomcast/roomcast/internal/netloop"
	"github.com/roomcast/roomcast/internal/session"
	"github.com/roomcast/roomcast/internal/wheel"
)

// Conn is one client. It is made by a Server when a client connects and is of no use after its Close callback. All methods may
// be called from anywhere at any time, callbacks included; none waits for the network, save Join for the engine, if there is one.
type Conn struct {
	// Set before the connection is known to others.
	srv         *Server
	id          uint64
	remoteAddr  string
	path        string
	subprotocol uint8 // counted from 1 in Options.Subprotocols; 0 is none

	stage              // guarded by mu, like all from here to left
	pulse pulse        //
	left  atomic.Int32 // what still uses the connection: its link and its callbacks

	// Owned by the goroutine of the link that reads, save reader.Deflate, which does not change.
	reader session.Reader

	// Guarded by Server.mu.
	beat wheel.Place

	// What a delivery touches lies together.
	link netloop.Link // set before started
	mu   sync.Mutex   // the last in the lock order: shard.mu, room.mu, Conn.mu
	end  *ending      // why the connection ends; nil while it is open. Setting it is the one instant of G5
	out  outbox

	in          mailbox.Mailbox[Message]
	memberships []membership
	value       any

	traffic
}

// stage is how far a connection has come.
type stage struct {
	started    bool // link.Start has been called
	flushed    bool // link has said Flushed
	severed    bool // cut has been called
	peerClosed bool // the client's Close frame has come
}

// traffic is what a connection has to tell at its end.
type traffic struct {
	since          time.Duration // when it was upgraded, after counters.start; it does not change
	received, sent uint64        // bytes; guarded by Conn.mu
}

// ID returns a string that no other connection has, here or on another server.
func (c *Conn) ID() string { return c.srv.idPrefix + strconv.FormatUint(c.id, 36) }

// RemoteAddr returns the client's network address, as in http.Request.
func (c *Conn) RemoteAddr() string { return c.remoteAddr }

// Since returns when the connection was upgraded.
func (c *Conn) Since() time.Time { return c.srv.stats.start.Add(c.since) }

// Traffic returns how many bytes have come from the client and have been written to it, frames and all, but not the upgrade.
func (c *Conn) Traffic() (received, sent uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received, c.sent
}

// Path returns the decoded path of the upgrade request. The whole request is given to the Connect callback, and not kept: it would
// be most of an idle connection's memory.
func (c *Conn) Path() string { return c.path }

// Subprotocol returns the application protocol that was agreed on, or "" (see Options.Subprotocols).
func (c *Conn) Subprotocol() string {
	if c.subprotocol == 0 {
		return ""
	}
	return c.srv.opts.Subprotocols[c.subprotocol-1]
}

// Session returns what the connection is known by in Entry.Except: what the method Session() string of its Value says, if it has one, else its ID.
// An application whose clients come back says the same for each connection of one.
func (c *Conn) Session() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessionLocked()
}

func (c *Conn) sessionLocked() string {
	if s, ok := c.value.(interface{ Session() string }); ok {
		return s.Session() // it takes no locks that are held while others call the connection
	}
	return c.ID()
}

// SetValue attaches a value of the application's to the connection.
func (c *Conn) SetValue(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value = v
}

// Value returns what SetValue attached last, or nil.
func (c *Conn) Value() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value
}

// Join makes the connection a member of the named room; the room exists from its first member on. Once Join has returned,
// every broadcast that starts later reaches the connection (G1). Joining twice is the same as once. The errors are ErrRoomName,
// ErrTooManyRooms and ErrClosed; with an Options.Engine, for which the first member of a room waits, ErrUnavailable too.
func (c *Conn) Join(room string) error { return c.JoinFrom(room, Joining{}) }

// Leave ends the membership: once it has returned, no broadcast that starts later reaches the connection (G1). Leaving a room
// the connection is not in does nothing.
func (c *Conn) Leave(room string) { c.srv.rooms.leave(c, room) }

// Rooms returns the names of the rooms the connection is in, in no order; none once it is closing.
func (c *Conn) Rooms() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return nil
	}
	names := make([]string, len(c.memberships))
	for i, m := range c.memberships {
		names[i] = m.room.name
	}
	return names
}

// Send sends m to this connection alone. When it returns without an error m waits in the outbox, behind what was sent before,
// and m.Data may be used again. The errors are ErrInvalidUTF8, ErrClosed and ErrOutboxFull; the last one closes the connection.
func (c *Conn) Send(m Message) error {
	f, err := newFrame(m)
	if err != nil {
		return err
	}
	if c.reader.Deflate {
		f.deflate()
	}
	switch c.offer(f) {
	case offerClosed:
		return fmt.Errorf("%w: send to %s", ErrClosed, c.ID())
	case offerFull:
		c.depart()
		return fmt.Errorf("%w: %d bytes more for %s would pass Options.OutboxBytes %d", ErrOutboxFull, len(f.as(c).bytes), c.ID(),
			c.srv.opts.OutboxBytes)
	}
	c.srv.stats.delivered.Add(1)
	return nil
}

// Close ends the connection with a close code and a reason, after what has been sent to it before. When Close returns the
// connection is out of every room. Messages of the client that wait for the Message callback are not handled any more, unless the code is
// CloseGoingAway: that is the end of a server that stops, as by Shutdown (EndShutdown). Closing
// a closed connection does nothing. The error tells of a code or reason that must not be sent (RFC 6455, section 7.4): use
// 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999 and at most 123 bytes of UTF-8.
func (c *Conn) Close(code int, reason string) error {
	if err := session.CheckClose(code, reason); err != nil {
		return fmt.Errorf("roomcast: close %s: %w", c.ID(), err)
	}
	why := EndServer
	if code == CloseGoingAway {
		why = EndShutdown
	}
	c.shut(ending{code, reason, why})
	return nil
}

// Closing reports whether the connection has begun to close: it is in no room, and can join none and be sent nothing any more (G5).
func (c *Conn) Closing() bool { return !c.isOpen() }

// Why returns why the connection has begun to close, "" if it has not.
func (c *Conn) Why() EndReason {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		return ""
	}
	return c.end.why
}

// isOpen reports whether the connection has not begun to close.
func (c *Conn) isOpen() bool { return c.Why() == "" }

// isIn reports whether c is in r.
func (c *Conn) isIn(r *room) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inLocked(r)
}

func (c *Conn) inLocked(r *room) bool {
	return slices.ContainsFunc(c.memberships, func(m membership) bool { return m.room == r })
}

// enter notes that c is in r on both sides. It is called by the registry, which has locked r.
func (c *Conn) enter(r *room) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return fmt.Errorf("%w: join %q", ErrClosed, r.name)
	}
	if c.inLocked(r) {
		return nil
	}
	if most := c.srv.opts.MaxRoomsPerConn; len(c.memberships) >= most {
		return fmt.Errorf("%w: join %q: the connection is in %d, as many as Options.MaxRoomsPerConn allows; leave one first",
			ErrTooManyRooms, r.name, most)
	}
	c.memberships = append(c.memberships, membership{r, r.addLocked(c)})
	return nil
}

// exit notes on c's side that it is not in r, and returns the seat to be freed on the other; nil if it was not. It is called by
// the registry, which has locked r.
func (c *Conn) exit(r *room) *seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, m := range c.memberships {
		if m.room == r {
			last := len(c.memberships) - 1
			c.memberships[i] = c.memberships[last]
			c.memberships[last] = membership{}
			c.memberships = c.memberships[:last]
			if last == 0 {
				c.memberships = nil
			}
			return m.seat
		}
	}
	return nil
}

// appendRooms appends the rooms c is in.
func (c *Conn) appendRooms(rooms []*room) []*room {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.memberships {
		rooms = append(rooms, m.room)
	}
	return rooms
}
