package hub

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// client is one connection that speaks the protocol. Its session may be older than it is.
type client struct {
	hub   *Hub
	conn  *roomcast.Conn
	leave func() // its address's count; nil if there is none
	self  atomic.Pointer[session]

	// Owned by the callbacks of the connection, which never overlap.
	admitted bool
	deadline *time.Timer // to show a token; nil if none is awaited
	shown    int         // tokens that do not count
	pace     pace

	// Set when it is admitted, before others can find it.
	pass *admission.Pass
	user string // "" if there are no tokens

	ended atomic.Bool // the hub has closed the connection: what else has come from it counts for nothing

	mu      sync.Mutex // one at a time changes in which rooms it is. Taken before all other locks; the engine may be waited for with it held
	halfway bool       // it is to resume its session again, since the engine went away meanwhile; guarded by mu
}

// Session is what roomcast knows the connection by: it is left out of what its session has sent without echo, on whatever connection that was.
func (c *client) Session() string { return c.self.Load().id }

// connect is roomcast's Connect callback: whoever is let in has hello before the upgrade's answer is seen (G11).
func (h *Hub) connect(conn *roomcast.Conn, r *http.Request) error {
	leave, refusal := h.desk.Enter(r)
	c := &client{hub: h, conn: conn, leave: leave}
	c.self.Store(&session{id: rand.Text(), connection: conn.ID()})
	c.pace = newPace(*h.limits.Load(), h.config.Rooms.MaxRoomsPerConn)
	conn.SetValue(c)
	if refusal != nil {
		c.end(refusal.Close, refusal.Message)
		return nil
	}
	if !h.desk.TokenRequired() {
		c.admit(nil)
		return nil
	}
	token, found := auth.TokenOf(r)
	if !found {
		c.deadline = time.AfterFunc(h.config.TokenTimeout, func() {
			h.desk.Refuse(admission.TokenMissing)
			c.end(protocol.CloseUnauthorized, "no valid token came in time")
		})
		return nil
	}
	if refusal := c.show(r.Context(), token); refusal != nil {
		c.end(refusal.Close, refusal.Message)
	}
	return nil
}

// close is roomcast's Close callback.
func (h *Hub) close(conn *roomcast.Conn, code int, _ string) {
	c, ok := conn.Value().(*client)
	if !ok {
		return // Connect panicked
	}
	if c.deadline != nil {
		c.deadline.Stop()
	}
	if c.admitted {
		h.depart(c, code)
	}
	c.pass.Release()
	if c.leave != nil {
		c.leave()
	}
}

// show lets the client in with a token, or takes a fresh one of the same user.
func (c *client) show(ctx context.Context, token string) *admission.Refusal {
	grant, refusal := c.hub.desk.Check(ctx, token, c.conn.RemoteAddr())
	if refusal != nil {
		return refusal
	}
	if c.admitted {
		refusal = c.pass.Renew(grant)
		if refusal == nil {
			c.leaveForbidden()
		}
		return refusal
	}
	pass, refusal := c.hub.desk.Admit(grant, c.end)
	if refusal == nil {
		c.admit(pass)
	}
	return refusal
}

// admit greets the client. From now on others can find it.
func (c *client) admit(pass *admission.Pass) {
	if c.deadline != nil {
		c.deadline.Stop()
		c.deadline = nil
	}
	c.admitted, c.pass, c.user = true, pass, pass.User()
	s := c.self.Load()
	s.user = c.user // nobody else has it yet
	c.hub.roster.add(c, s, protocol.AppendHello(nil, c.hello(s)))
	c.hub.announce(s)
}

func (c *client) hello(s *session) protocol.Hello {
	o, l := c.hub.config.Rooms, c.hub.limits.Load()
	hello := protocol.Hello{
		Server: c.hub.config.Version, Connection: s.connection, Session: s.id, User: s.user, TokenTTL: c.ttl(),
		Limits: protocol.Limits{
			MessageBytes: o.MaxMessageBytes, Rooms: o.MaxRoomsPerConn, RoomNameBytes: o.MaxRoomNameBytes,
			MessagesPerSecond: l.MessageRate, BytesPerSecond: l.ByteRate, JoinsPerSecond: l.JoinRate,
			PingInterval: max(0, o.PingInterval),
		},
	}
	if hello.Resume = c.hub.tokenOf(s); hello.Resume != "" {
		hello.SessionTTL = c.hub.config.SessionTTL
	}
	return hello
}

// ttl is how long the token is good for; 0 is for ever, and a token that ends this instant has a nanosecond.
func (c *client) ttl() time.Duration {
	if expires := c.pass.Expires(); !expires.IsZero() {
		return max(1, time.Until(expires))
	}
	return 0
}

// say sends one message of the protocol to the client. That it cannot be sent means that the client is closing, which Close is told.
func (c *client) say(event []byte) {
	_ = c.conn.Send(roomcast.Message{Data: event})
}

// end closes the connection. What else the client has sent is not handled.
func (c *client) end(code protocol.CloseCode, reason string) {
	c.ended.Store(true)
	_ = c.conn.Close(int(code), reason) // the codes are those of the table, and the reasons are short
}

// enter makes the client a member of the room, and reports whether it was none. By itself it is greeted in any case, by the backend only as
// a new member. It is greeted before anybody else can change the membership, so that the last word that the client hears of a room is true.
func (c *client) enter(room string, g grip, since roomcast.Position, greet func(at roomcast.Position, recovered bool) []byte) (entered bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.halfway && g.by == byBackend && !slices.Contains(c.conn.Rooms(), room) && c.hub.roster.endorse(c, room) {
		c.hub.announce(c.self.Load())
		return false, nil // it is restored there when the session is resumed, with what was missed
	}
	err = c.conn.JoinFrom(room, roomcast.Joining{Since: since, Greet: func(at roomcast.Position, recovered bool) (m roomcast.Message) {
		if entered = c.hub.roster.enter(c, room, g); entered || g.by == byItself {
			m.Data = greet(at, recovered)
		}
		return m
	}})
	if err == nil {
		c.hub.announce(c.self.Load())
	}
	return entered, err
}

// exit ends that, and reports whether the client was a member. It says event, if there is one, likewise.
func (c *client) exit(room string, by origin, event []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn.Leave(room)
	in := c.hub.roster.exit(c, room)
	if event != nil && (by == byItself || in) {
		c.say(event)
	}
	if in {
		c.hub.announce(c.self.Load())
	}
	return in
}

// leaveForbidden takes the client out of the rooms that it has joined by itself and that its token does not allow any more, and tells it no more who comes
// and goes where that is so.
func (c *client) leaveForbidden() {
	blind := false
	for room, g := range c.hub.roster.grips(c.self.Load()) {
		if g.by == byItself && !c.pass.Allows(auth.Join, room) {
			c.exit(room, byBackend, protocol.AppendLeft(nil, room, "the token does not allow it any more"))
		} else if g.watches && !c.pass.Allows(auth.Presence, room) {
			c.hub.roster.blind(c, room)
			blind = true
		}
	}
	if blind {
		c.hub.announce(c.self.Load())
	}
}
