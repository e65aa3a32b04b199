package hub

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// batch is what a client has sent to a room at once, to be published at once: for a room of thousands, ten messages then cost little more than one.
// Its acks follow, so that a client's own message comes before the ack of it.
type batch struct {
	client   *client
	room     string
	echo     bool
	key      string
	once     string // of the one message that there is then
	messages []roomcast.Message
	ids      [][]byte // of the messages; nil is that of one that wants no ack
}

// add takes a send that may be done.
func (b *batch) add(r protocol.Request) {
	if len(b.messages) > 0 && (b.room != r.Room || b.echo != r.Echo || b.key != r.Key || b.once != "" || r.Once != "") {
		b.flush()
	}
	b.room, b.echo, b.key, b.once = r.Room, r.Echo, r.Key, r.Once
	sender := b.client.self.Load().sender()
	if r.As != "" {
		sender = protocol.Sender{User: r.As}
	}
	b.messages = append(b.messages, roomcast.Message{Data: protocol.AppendBody(nil, sender, r.Payload)})
	b.ids = append(b.ids, r.ID)
}

// flush publishes what has been gathered, and acks it.
func (b *batch) flush() {
	if len(b.messages) == 0 {
		return
	}
	c := b.client
	self := c.self.Load()
	p := roomcast.Publication{Messages: b.messages, Key: b.key, Once: onceOf("session", self.id, b.once)}
	if c.user != "" {
		p.Once = onceOf("user", c.user, b.once)
	}
	if p.Key == "" {
		p.Key = self.connection
	}
	if !b.echo {
		p.Except = []*roomcast.Conn{c.conn}
	}
	if len(b.messages) > 1 {
		p.Positions = make([]roomcast.Position, len(b.messages))
	}
	receipt, err := c.hub.rooms.Publish(b.room, p) // the frames were UTF-8, and so is what is made of them
	for i, id := range b.ids {
		switch {
		case err != nil:
			refused := unavailable(err)
			refused.ID, refused.Room = id, b.room
			c.say(protocol.AppendError(nil, protocol.Error(*refused)))
		case receipt.At.Epoch == "":
			c.answer(protocol.AppendAck(nil, id, 0))
		default:
			at := receipt.At
			if p.Positions != nil {
				at = p.Positions[i]
			}
			c.answer(protocol.AppendAckAt(nil, id, protocol.Position(at)))
		}
	}
	clear(b.messages)
	b.messages, b.ids = b.messages[:0], b.ids[:0]
}

// onceOf is an idempotency key as the engine has it, "" if there is none. An engine compares all keys of a room: one who is to take no other's gets a
// name space of its own, and what is always of one length fits, whatever the names are.
func onceOf(kind, owner, key string) string {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(kind + "\x00" + owner + "\x00" + key)) // there is no \x00 in an owner
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
