package hub

import (
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
	messages []roomcast.Message
	acks     [][]byte // ids
}

// add takes a send that may be done.
func (b *batch) add(r protocol.Request) {
	if len(b.messages) > 0 && (b.room != r.Room || b.echo != r.Echo || b.key != r.Key) {
		b.flush()
	}
	b.room, b.echo, b.key = r.Room, r.Echo, r.Key
	sender := b.client.sender()
	if r.As != "" {
		sender = protocol.Sender{User: r.As}
	}
	b.messages = append(b.messages, roomcast.Message{Data: protocol.AppendMessage(nil, r.Room, sender, r.Payload)})
	if r.ID != nil {
		b.acks = append(b.acks, r.ID)
	}
}

// flush publishes what has been gathered, and acks it.
func (b *batch) flush() {
	if len(b.messages) == 0 {
		return
	}
	p := roomcast.Publication{Messages: b.messages, Key: b.key}
	if p.Key == "" {
		p.Key = b.client.id
	}
	if !b.echo {
		p.Except = []*roomcast.Conn{b.client.conn}
	}
	_, _ = b.client.hub.rooms.Publish(b.room, p) // the frames were UTF-8, and so is what is made of them
	for _, id := range b.acks {
		b.client.say(protocol.AppendAck(nil, id, 0))
	}
	clear(b.messages)
	b.messages, b.acks = b.messages[:0], b.acks[:0]
}
