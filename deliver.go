package roomcast

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/roomcast/roomcast/internal/netloop"
	"github.com/roomcast/roomcast/internal/session"
)

// Message is one WebSocket message, whole. The zero value is an empty text message.
type Message struct {
	// Data is the payload, in UTF-8 unless Binary is set. Sending copies it, so the caller may use it again at once. What a
	// Message callback is given belongs to the callback.
	Data []byte

	// Binary tells a binary message from a text one (RFC 6455, section 5.6).
	Binary bool
}

// Size returns how many bytes Data has.
func (m Message) Size() int { return len(m.Data) }

// Text returns a text message. That s is UTF-8 is checked when the message is sent.
func Text(s string) Message { return Message{Data: []byte(s)} }

// Binary returns a binary message.
func Binary(b []byte) Message { return Message{Data: b, Binary: true} }

// String returns the payload as it is.
func (m Message) String() string { return string(m.Data) }

// frame is a message in the bytes that are sent: encoded once, immutable from then on, shared by every outbox it waits in (G10). What
// a client has sent at once to be relayed may be one frame: the bytes are then those of all its messages, one behind the other.
type frame struct {
	bytes    []byte
	messages int
	deflated *frame        // the same compressed; nil if it has not been, or is not shorter for it
	born     time.Duration // when it was broadcast, after counters.start; 0 if that is not measured

	room   *room   // from which it may be dropped for a slow member; nil if it may not
	key    string  // what it is the latest of, if room keeps the latest
	notice *notice // what it tells a single member; nil for anything that others share
	logged []Entry // until it is delivered: what it is made of, if that is in a history or not for some sessions; all are Except the same ones
}

// check reports whether m may be sent.
func (m Message) check() error {
	if !m.Binary && !utf8.Valid(m.Data) {
		return fmt.Errorf("%w: %d bytes; send them with Binary", ErrInvalidUTF8, len(m.Data))
	}
	return nil
}

// newFrame encodes m, unless it is text that must not be sent.
func newFrame(m Message) (*frame, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	return &frame{bytes: session.AppendMessage(nil, m.Binary, m.Data), messages: 1}, nil
}

// deflate compresses the message. It is called at most once, before the frame is shared.
func (f *frame) deflate() {
	if bytes := session.DeflateFrames(f.bytes); bytes != nil {
		f.deflated = &frame{bytes: bytes, messages: f.messages, born: f.born, room: f.room, key: f.key}
	}
}

// as returns the message in the encoding that c is sent.
func (f *frame) as(c *Conn) *frame {
	if f.deflated != nil && c.reader.Deflate {
		return f.deflated
	}
	return f
}

// Broadcast sends m to every member of the room, and returns to how many it could not be handed: those whose outbox it would
// overflow, who are closed for it (see Options.OutboxBytes). Members that are closing are skipped and count for nothing. A room
// nobody is in is no error. The only error is ErrInvalidUTF8; then nobody is sent anything. With an Options.Engine it is Publish.
//
// When Broadcast returns, m waits in the members' outboxes and m.Data may be used again. It never waits for a member (G7) and
// may be called from anywhere, callbacks included.
func (s *Server) Broadcast(room string, m Message) (failed int, err error) {
	return s.BroadcastExcept(room, m, nil)
}

// BroadcastExcept is Broadcast without the one connection except; nil leaves nobody out. It need not be a member.
func (s *Server) BroadcastExcept(room string, m Message, except *Conn) (failed int, err error) {
	if s.opts.Engine != nil {
		receipt, err := s.Publish(room, Publication{Messages: []Message{m}, Except: []*Conn{except}})
		return receipt.Failed, err
	}
	f, err := newFrame(m)
	if err != nil {
		return 0, err
	}
	return s.deliver(s.rooms.find(room), f, except).Failed, nil
}

// Publication is a broadcast with all that can be said about one.
type Publication struct {
	// Messages are sent in this order. Several at once cost a large room little more than one.
	Messages []Message

	// Except is who is left out; none of them need be a member. Each costs a comparison with every member.
	Except []*Conn

	// Sessions are left out too, whatever connections they are on (Conn.Session): for those on other nodes, or not there at the moment.
	Sessions []string

	// Key is what the messages are the latest of, in a room that keeps only the latest for slow members (SlowKeepLatest). Messages
	// without a key are never superseded.
	Key string

	// Once is the idempotency key of the message, which is the only one. It counts in rooms that keep a history (Entry.Once). "" is none.
	Once string

	// Positions is set by Publish to where each of the messages stands in the history of the room; nil if nobody wants to know. Messages of others
	// may stand between them.
	Positions []Position
}

// Receipt counts what became of a broadcast, in messages for one member each: two messages for three members are six.
type Receipt struct {
	Delivered int // wait in an outbox
	Failed    int // found no room in one, and its connection is closed for it: Options.OutboxBytes
	Dropped   int // found no room in one, and are missed: Options.Slow

	// At is the position of the last message in the history of the room; zero if it keeps none. The counts are
	// zero if it is not. Again is whether nothing was stored now, since there was one with the same Once.
	At    Position
	Again bool
}

// Publish is Broadcast for several messages, without several connections, and it says to how many it was handed. With an Options.Engine the
// messages go to all nodes, and the counts are those of this one. If the room keeps a history, Publish waits until they are stored; the
// errors are those of the engine then, ErrUnavailable among them, and what has been stored is not known.
func (s *Server) Publish(room string, p Publication) (Receipt, error) {
	for _, m := range p.Messages {
		if err := m.check(); err != nil {
			return Receipt{}, err
		}
	}
	var logged []Entry
	if s.opts.Engine != nil {
		entries, err := s.publish(room, p)
		if err != nil || len(entries) == 0 {
			return Receipt{}, err
		}
		for i := range p.Positions {
			p.Positions[i] = entries[i].Position
		}
		if last := entries[len(entries)-1]; last.Position.Epoch != "" || last.Again {
			return Receipt{At: last.Position, Again: last.Again}, nil
		}
		p.Messages = s.render(room, entries)
		if len(p.Sessions) > 0 {
			logged = entries[:1]
		}
	}
	r := s.rooms.find(room)
	var sum Receipt
	for rest := p.Messages; len(rest) > 0; {
		var f *frame
		f, rest = s.encodeSome(rest)
		f.key, f.logged = p.Key, logged
		receipt := s.deliver(r, f, p.Except...)
		sum.Delivered += receipt.Delivered
		sum.Failed += receipt.Failed
		sum.Dropped += receipt.Dropped
	}
	return sum, nil
}

// encodeSome encodes as many of the messages as are delivered at once, at least one, and returns the others.
func (s *Server) encodeSome(messages []Message) (f *frame, rest []Message) {
	n, size := 0, 0
	for n < len(messages) && (n == 0 || size+session.MaxHeader+len(messages[n].Data) <= s.atOnce()) {
		size += session.MaxHeader + len(messages[n].Data)
		n++
	}
	f = &frame{bytes: make([]byte, 0, size), messages: n}
	for _, m := range messages[:n] {
		f.bytes = session.AppendMessage(f.bytes, m.Binary, m.Data)
	}
	return f, messages[n:]
}

// atOnce is how many bytes of messages are delivered at once, at most, unless a single one is larger. Larger ones would be no faster, and
// what fits into an outbox one by one is not to overflow it together.
func (s *Server) atOnce() int { return min(netloop.DirectSize, s.opts.OutboxBytes) }

// deliver is the one way of a message into a room, which is nil if there is none of its name.
func (s *Server) deliver(r *room, f *frame, except ...*Conn) Receipt {
	f.born = s.stats.sample(f.messages)
	if r == nil {
		return Receipt{}
	}
	if r.slow != SlowClose {
		f.room = r
	}
	if r.slow != SlowKeepLatest {
		f.key = ""
	}
	if r.deflates(except) {
		f.deflate() // for all of them at once (G10), and before the room is locked
	}
	receipt, slow := r.deliver(f, except)
	s.stats.delivered.Add(uint64(receipt.Delivered))
	for _, c := range slow {
		c.depart()
	}
	return receipt
}

// deflates reports whether a member is to be sent compressed messages, if there is no other but one. Who becomes a member just after
// is sent the plain frame, as everybody may be.
func (r *room) deflates(except []*Conn) bool {
	n := r.deflating.Load()
	if n == 1 && len(except) == 1 && except[0] != nil && except[0].reader.Deflate && except[0].isIn(r) {
		return false
	}
	return n > 0
}

// deliver adds f to the outbox of every open member but some. slow are those that had no room for it: they have begun to close,
// and the caller, who holds no lock, has to go on with it.
func (r *room) deliver(f *frame, except []*Conn) (receipt Receipt, slow []*Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.logged != nil && f.logged[0].Position.Epoch != "" {
		r.feed.advanceLocked(f.logged)
	}
	for _, m := range r.members {
		if slices.Contains(except, m.conn) {
			continue
		}
		switch m.conn.offer(f) {
		case offerTaken:
			receipt.Delivered += f.messages
		case offerFull:
			slow = append(slow, m.conn)
			receipt.Failed += f.messages
		case offerDropped:
			receipt.Dropped += f.messages
		}
	}
	f.logged = nil // the frame may wait for long, and the entries, or all that was stored with them, are not to wait with it
	return receipt, slow
}

// offering is what became of a frame offered to a connection.
type offering uint8

const (
	offerTaken   offering = iota // it waits in the outbox
	offerClosed                  // the connection is closing, or is left out: nothing is added
	offerFull                    // it does not fit: with this the connection has begun to close, and the caller calls depart
	offerDropped                 // it does not fit, and the member does without it
)

// offer adds f to the outbox of c, in the encoding of c.
func (c *Conn) offer(f *frame) offering {
	logged, f := f.logged, f.as(c)
	c.mu.Lock()
	switch {
	case c.end != nil, len(logged) > 0 && len(logged[0].Except) > 0 && slices.Contains(logged[0].Except, c.sessionLocked()):
		c.mu.Unlock()
		return offerClosed
	case f.room != nil:
		if !c.yieldLocked(f) {
			c.mu.Unlock()
			return offerDropped
		}
	case !c.out.fits(len(f.bytes), c.srv.opts.OutboxBytes):
		c.closeLocked(ending{CloseTryLater, "too slow", EndOutboxFull})
		c.mu.Unlock()
		return offerFull
	}
	wake := c.out.add(f)
	c.mu.Unlock()
	if wake {
		c.link.Wake()
	}
	return offerTaken
}

// relaying is the session.Handler of a connection whose messages are relayed. What has come at once is delivered at once: for a
// room of a thousand, a frame of ten messages costs a tenth of ten frames.
type relaying struct {
	*inbound
	frames   []byte  // encoded, to be delivered
	messages int     // in frames
	coming   int     // how many bytes have come, which are more than those of the frames in them
	entries  []Entry // the same for other nodes; nil if there is no engine
}

var relayings = sync.Pool{New: func() any { return new(relaying) }}

// receiveToRelay is receive for Handler.Relay.
func (c *Conn) receiveToRelay(p []byte) error {
	r := relayings.Get().(*relaying)
	defer relayings.Put(r)
	r.inbound, r.coming = (*inbound)(c), len(p)
	err := c.reader.Feed(p, int64(c.srv.opts.MaxMessageBytes), r)
	r.deliver()
	r.inbound = nil
	return err
}

// OnMessage is session.Handler: a message for the others in the connection's rooms.
func (r *relaying) OnMessage(binary bool, data []byte) {
	most := r.srv.atOnce()
	if len(r.frames) > 0 && len(r.frames)+session.MaxHeader+len(data) > most {
		r.deliver()
	}
	if r.frames == nil {
		r.frames = make([]byte, 0, max(session.MaxHeader+len(data), min(r.coming, most)))
	}
	r.frames = session.AppendMessage(r.frames, binary, data)
	r.messages++
	if r.srv.opts.Engine != nil {
		r.entries = append(r.entries, Entry{Message: Message{Data: bytes.Clone(data), Binary: binary}})
	}
}

// OnPing is session.Handler: what the client has sent before goes first.
func (r *relaying) OnPing(data []byte) {
	r.deliver()
	r.inbound.OnPing(data)
}

// OnClose is session.Handler: what the client has sent before counts.
func (r *relaying) OnClose(code int, reason string) {
	r.deliver()
	r.inbound.OnClose(code, reason)
}

// deliver delivers what has come so far, unless the connection is closing.
func (r *relaying) deliver() {
	frames, messages, entries := r.frames, r.messages, r.entries
	r.frames, r.messages, r.entries = nil, 0, nil
	c := (*Conn)(r.inbound)
	if messages == 0 || !c.isOpen() {
		return
	}
	if cap(frames) > 2*len(frames) {
		frames = bytes.Clone(frames) // it may wait for long, and nothing else is to wait with it
	}
	var few [4]*room
	rooms := c.appendRooms(few[:0])
	for i := 0; i < len(rooms) && entries != nil; i++ {
		_ = c.srv.opts.Engine.Publish(context.Background(), rooms[i].name, entries) // to whom it can: it never waits in a room without a history
	}
	if len(rooms) == 1 {
		c.srv.deliver(rooms[0], &frame{bytes: frames, messages: messages}, c)
		return
	}
	for len(frames) > 0 { // whoever is in several rooms too sees them in one order (G4)
		var one []byte
		one, frames = session.CutFrame(frames)
		one = bytes.Clone(one) // it may wait for long, and its neighbours are not to wait with it
		for _, room := range rooms {
			c.srv.deliver(room, &frame{bytes: one, messages: 1}, c)
		}
	}
}
