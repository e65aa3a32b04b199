package hub

import (
	"crypto/rand"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// client is one connection that speaks the protocol.
type client struct {
	hub     *Hub
	conn    *roomcast.Conn
	id      string // of the connection
	session string // others do not see it
	user    string // "" if nobody is authenticated

	ended atomic.Bool // the hub has closed the connection: what else has come from it counts for nothing

	// The rooms it may send to are kept here too: what a client sends before it hangs up is sent, though it is in no room any more.
	mu     sync.Mutex // taken before the locks of roomcast
	joined map[string]struct{}
}

// connect is roomcast's Connect callback: whoever is let in has hello before the upgrade's answer is seen (G11).
func (h *Hub) connect(conn *roomcast.Conn, r *http.Request) error {
	c := &client{hub: h, conn: conn, id: conn.ID(), session: rand.Text()}
	conn.SetValue(c)
	h.clients.add(c)
	c.say(protocol.AppendHello(nil, c.hello()))
	return nil
}

// close is roomcast's Close callback.
func (h *Hub) close(conn *roomcast.Conn, _ int, _ string) {
	if c, ok := conn.Value().(*client); ok {
		h.clients.remove(c)
	}
}

func (c *client) hello() protocol.Hello {
	o := c.hub.options
	return protocol.Hello{
		Server: c.hub.server, Connection: c.id, Session: c.session, User: c.user,
		Limits: protocol.Limits{
			MessageBytes: o.MaxMessageBytes, Rooms: o.MaxRoomsPerConn, RoomNameBytes: o.MaxRoomNameBytes,
			PingInterval: max(0, o.PingInterval),
		},
	}
}

// sender is how others see the client.
func (c *client) sender() protocol.Sender { return protocol.Sender{Connection: c.id, User: c.user} }

// say sends one message of the protocol to the client. That it cannot be sent means that the client is closing, which Close is told.
func (c *client) say(event []byte) {
	_ = c.conn.Send(roomcast.Message{Data: event})
}

// end closes the connection. What else the client has sent is not handled.
func (c *client) end(code protocol.CloseCode, reason string) {
	c.ended.Store(true)
	_ = c.conn.Close(int(code), reason) // the codes are those of the table, and the reasons are short
}

// enter makes the client a member of the room, and reports whether it was none.
func (c *client) enter(room string) (entered bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.Join(room); err != nil {
		return false, err
	}
	if c.joined == nil {
		c.joined = map[string]struct{}{}
	}
	_, in := c.joined[room]
	c.joined[room] = struct{}{}
	return !in, nil
}

// exit ends that, and reports whether the client was a member.
func (c *client) exit(room string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, in := c.joined[room]
	c.conn.Leave(room)
	delete(c.joined, room)
	return in
}

// in reports whether the client is a member, or was when it hung up.
func (c *client) in(room string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, in := c.joined[room]
	return in
}
