package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// protocol is how a relay is spoken with: as the load generator does it.
type protocol struct {
	path   func(room string) string
	join   func(context.Context, *client) // returns when the relay has put the client in its room
	wrap   func(room, message string) string
	unwrap func(frame string) []string // the messages in it, which may be none
	echoes bool                        // the sender gets its own message
}

// raw is the protocol of Roomcast itself and of most peers: a frame is a message.
var raw = protocol{
	path: func(room string) string { return "/rooms/" + room },
	join: func(ctx context.Context, c *client) {
		if err := c.conn.Ping(ctx); err != nil { // relays begin to read when the connection is in its room
			c.t.Fatal(err)
		}
	},
	wrap:   func(_, message string) string { return message },
	unwrap: func(frame string) []string { return []string{frame} },
}

// centrifuge is JSON, one object per line.
var centrifuge = protocol{
	path: func(string) string { return "/connection/websocket" },
	join: func(ctx context.Context, c *client) {
		c.write(ctx, `{"id":1,"connect":{}}`)
		c.answer(`{"id":1,`)
		c.write(ctx, fmt.Sprintf(`{"id":2,"subscribe":{"channel":%q}}`, c.room))
		c.answer(`{"id":2,`)
	},
	wrap: func(room, message string) string {
		return fmt.Sprintf(`{"id":3,"publish":{"channel":%q,"data":{"p":%q}}}`, room, message)
	},
	unwrap: func(frame string) []string {
		var messages []string
		for line := range strings.Lines(frame) {
			var m struct {
				Push struct {
					Pub struct{ Data struct{ P string } }
				}
			}
			if json.Unmarshal([]byte(line), &m) == nil && m.Push.Pub.Data.P != "" {
				messages = append(messages, m.Push.Pub.Data.P)
			}
		}
		return messages
	},
	echoes: true,
}

// socketIO is Socket.IO 4 over Engine.IO 4, WebSocket from the start.
var socketIO = protocol{
	path: func(room string) string { return "/socket.io/?EIO=4&transport=websocket&room=" + room },
	join: func(ctx context.Context, c *client) {
		c.answer("0{")
		c.write(ctx, "40")
		c.answer("40")
	},
	wrap: func(_, message string) string { return fmt.Sprintf(`42["msg",%q]`, message) },
	unwrap: func(frame string) []string {
		var event []string
		packet, ok := strings.CutPrefix(frame, "42")
		if !ok || json.Unmarshal([]byte(packet), &event) != nil || len(event) != 2 {
			return nil
		}
		return event[1:]
	},
}

// answer waits for a frame with this beginning.
func (c *client) answer(begin string) {
	c.t.Helper()
	for frame := range c.frames {
		if strings.HasPrefix(frame, begin) {
			return
		}
	}
	c.t.Fatalf("the connection ended, want %q", begin)
}
