// Command gorilla is the relay on gorilla/websocket, in the shape of its chat example: a hub per room, and for each connection two
// goroutines and a channel. A broadcast is encoded once (PreparedMessage); write buffers are pooled.
package main

import (
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/roomcast/roomcast/bench/peers/peer"
)

const writeWait = 10 * time.Second

var upgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024, WriteBufferPool: &sync.Pool{}}

func main() {
	var hubs hubs
	peer.Serve(func(w http.ResponseWriter, r *http.Request, room string) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &client{conn: conn, send: make(chan *websocket.PreparedMessage, *peer.Buffer)}
		h := hubs.enter(room)
		c.hub = h
		h.register <- c
		go c.write()
		go c.read(func() { hubs.exit(room, h) }) // not here: net/http's goroutine and buffers may go
	})
}

// client is one connection.
type client struct {
	hub  *hub
	conn *websocket.Conn
	send chan *websocket.PreparedMessage // closed by the hub, when it has taken the client out
}

func (c *client) read(gone func()) {
	defer func() {
		c.hub.unregister <- c
		gone()
		c.conn.Close()
	}()
	for {
		kind, data, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		m, err := websocket.NewPreparedMessage(kind, data)
		if err != nil {
			return
		}
		c.hub.broadcast <- post{from: c, message: m}
	}
}

func (c *client) write() {
	defer c.conn.Close()
	for m := range c.send {
		c.conn.SetWriteDeadline(time.Now().Add(writeWait))
		if c.conn.WritePreparedMessage(m) != nil {
			return
		}
	}
}
