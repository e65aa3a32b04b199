// Command coder is the relay on coder/websocket, in the shape of its chat example: a channel per connection and a goroutine that
// writes what comes through it; who is too slow is cut off.
package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/roomcast/roomcast/bench/peers/peer"
)

var rooms peer.Rooms[*client]

func main() {
	peer.Serve(func(w http.ResponseWriter, r *http.Request, name string) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		conn.SetReadLimit(1 << 20)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		c := &client{conn: conn, send: make(chan message, *peer.Buffer)}
		go c.write(ctx)
		room := rooms.Join(name, c)
		defer rooms.Leave(room, c)
		c.read(room)
	})
}

// message is what one member said.
type message struct {
	kind websocket.MessageType
	data []byte
}

// client is one connection.
type client struct {
	conn *websocket.Conn
	send chan message // never closed
	slow sync.Once    // it is being cut off
}

func (c *client) read(room *peer.Room[*client]) {
	defer c.conn.CloseNow()
	for {
		kind, data, err := c.conn.Read(context.Background()) // ends when the connection does
		if err != nil {
			return
		}
		m := message{kind, data}
		room.Others(c, func(other *client) {
			select {
			case other.send <- m:
			default:
				other.slow.Do(func() { go other.conn.Close(websocket.StatusPolicyViolation, "too slow") })
			}
		})
	}
}

func (c *client) write(ctx context.Context) {
	for {
		select {
		case m := <-c.send:
			if c.conn.Write(context.Background(), m.kind, m.data) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
