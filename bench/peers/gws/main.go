// Command gws is the relay on lxzan/gws: its own server (no net/http), one goroutine per connection that reads, and a Broadcaster,
// which encodes once and hands the frame to each connection's write queue.
package main

import (
	"log"
	"net"
	"net/http"

	"github.com/lxzan/gws"

	"github.com/roomcast/roomcast/bench/peers/peer"
)

const roomKey = "room"

func main() {
	server := gws.NewServer(&relay{}, &gws.ServerOption{
		Authorize: func(r *http.Request, session gws.SessionStorage) bool {
			name := peer.RoomName(r.URL.Path)
			session.Store(roomKey, name)
			return name != ""
		},
	})
	server.OnError = func(net.Conn, error) {} // a client that hangs up is no news
	log.Fatal(server.RunListener(peer.Listen()))
}

// relay is what happens on a connection.
type relay struct {
	gws.BuiltinEventHandler
	rooms peer.Rooms[*gws.Conn]
}

func (h *relay) OnOpen(c *gws.Conn) {
	name, _ := c.Session().Load(roomKey)
	c.Session().Store(roomKey, h.rooms.Join(name.(string), c))
}

func (h *relay) OnClose(c *gws.Conn, _ error) { h.rooms.Leave(roomOf(c), c) }

func (h *relay) OnPing(c *gws.Conn, payload []byte) { c.WritePong(payload) }

func (h *relay) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	b := gws.NewBroadcaster(m.Opcode, m.Bytes())
	defer b.Close()
	roomOf(c).Others(c, func(other *gws.Conn) { b.Broadcast(other) })
}

func roomOf(c *gws.Conn) *peer.Room[*gws.Conn] {
	room, _ := c.Session().Load(roomKey)
	return room.(*peer.Room[*gws.Conn])
}
