// Command gobwas is the relay on gobwas/ws, written as its users do when it must be fast: the zero-copy upgrade straight on the
// accepted socket, one goroutine per connection that reads, and another only while there is something to write. A broadcast is encoded
// once; all frames that wait for a member leave in one writev (net.Buffers).
package main

import (
	"bufio"
	"io"
	"log"
	"net"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast/bench/peers/peer"
)

// readBuffer holds a message and its header in one read; a larger message bypasses it.
const readBuffer = 512

var rooms peer.Rooms[*client]

func main() {
	l := peer.Listen()
	for {
		conn, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(conn)
	}
}

func serve(conn net.Conn) {
	defer conn.Close()
	c := &client{conn: conn}
	var name string
	up := ws.Upgrader{OnRequest: func(uri []byte) error {
		if name = peer.RoomName(string(uri)); name == "" {
			return ws.RejectConnectionError(ws.RejectionStatus(404))
		}
		return nil
	}}
	if _, err := up.Upgrade(conn); err != nil {
		return
	}
	room := rooms.Join(name, c)
	defer rooms.Leave(room, c)
	c.read(room)
}

// client is one connection.
type client struct {
	conn net.Conn

	mu      sync.Mutex
	waiting [][]byte // frames, shared between the members
	writing bool     // flush runs
}

// read relays messages until the connection ends.
func (c *client) read(room *peer.Room[*client]) {
	in := bufio.NewReaderSize(c.conn, readBuffer)
	for {
		h, err := ws.ReadHeader(in)
		if err != nil || ws.CheckHeader(h, ws.StateServerSide) != nil || !h.Fin || h.Length > 1<<20 {
			return // the load generator sends no fragments; who does is cut off
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(in, payload); err != nil {
			return
		}
		ws.Cipher(payload, h.Mask, 0)
		switch h.OpCode {
		case ws.OpText, ws.OpBinary:
			if h.OpCode == ws.OpText && !utf8.Valid(payload) {
				return
			}
			frame, err := ws.CompileFrame(ws.NewFrame(h.OpCode, true, payload))
			if err != nil {
				return
			}
			room.Others(c, func(m *client) { m.enqueue(frame) })
		case ws.OpPing:
			c.enqueue(ws.MustCompileFrame(ws.NewPongFrame(payload)))
		case ws.OpClose:
			c.conn.Write(ws.MustCompileFrame(ws.NewCloseFrame(payload)))
			return
		}
	}
}

// enqueue lets frame leave with whatever else is waiting.
func (c *client) enqueue(frame []byte) {
	c.mu.Lock()
	c.waiting = append(c.waiting, frame)
	start := !c.writing
	c.writing = true
	c.mu.Unlock()
	if start {
		go c.flush()
	}
}

// flush writes until nothing is waiting.
func (c *client) flush() {
	var spare [][]byte
	for {
		c.mu.Lock()
		batch := c.waiting
		if len(batch) == 0 {
			c.writing = false
			c.mu.Unlock()
			return
		}
		c.waiting = spare[:0]
		c.mu.Unlock()
		frames := net.Buffers(batch) // WriteTo moves it forward, batch stays
		if _, err := frames.WriteTo(c.conn); err != nil {
			c.conn.Close()
			return // writing stays set: nothing is started again
		}
		clear(batch)
		spare = batch
	}
}
