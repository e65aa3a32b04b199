package roomcast

import (
	"errors"
	"runtime/debug"

	"github.com/roomcast/roomcast/internal/session"
)

// mailbox is what waits for the callbacks of one connection: its messages, oldest first, and at last its end. It holds no lock
// and calls nobody; it is guarded by Conn.mu.
type mailbox struct {
	queue []Message // waiting; nil while there are none
	bytes int       // what waits, in the measure of Options.MailboxBytes
	head  uint32    // the oldest in queue

	running bool // a goroutine is handling what waits
	paused  bool // full: the link has been told to stop reading
	muted   bool // no further message is handled
	ended   bool // the end waits behind the messages
}

// messageOverhead is what a waiting message counts besides its payload, so that very small ones are bounded too.
const messageOverhead = 64

// post appends a message and reports whether a goroutine has to be started for it.
func (m *mailbox) post(msg Message) (start bool) {
	if m.muted {
		return false
	}
	if len(m.queue) == cap(m.queue) && int(m.head) > len(m.queue)/2 {
		n := copy(m.queue, m.queue[m.head:]) // half of it is handled: move the rest rather than grow
		clear(m.queue[n:])
		m.queue, m.head = m.queue[:n], 0
	}
	m.queue = append(m.queue, msg)
	m.bytes += len(msg.Data) + messageOverhead
	return m.start()
}

// full reports whether reading has to stop, and notes it.
func (m *mailbox) full(limit int) bool {
	m.paused = m.paused || m.bytes >= limit
	return m.paused
}

// mute drops the messages that wait and those still to come.
func (m *mailbox) mute() {
	m.muted = true
	m.queue, m.head, m.bytes = nil, 0, 0
}

// end posts the end of the connection and reports whether a goroutine has to be started for it.
func (m *mailbox) end() (start bool) {
	m.ended = true
	return m.start()
}

// start reports whether nobody handles what waits, and notes that somebody will.
func (m *mailbox) start() bool {
	first := !m.running
	m.running = true
	return first
}

// job is what a mailbox hands out next.
type job uint8

const (
	jobNone    job = iota // nothing waits: the goroutine ends
	jobMessage            // handle the message, or all that are handed out with it
	jobEnd                // handle the end of the connection; nothing follows
)

// next takes what has waited longest. resume reports whether reading may go on, half of the limit being free again.
func (m *mailbox) next(limit int) (what job, msg Message, resume bool) {
	if int(m.head) == len(m.queue) {
		what = m.idle()
		return what, Message{}, what == jobNone && m.resume(limit)
	}
	msg = m.queue[m.head]
	m.queue[m.head] = Message{}
	m.head++
	m.bytes -= len(msg.Data) + messageOverhead
	return jobMessage, msg, m.resume(limit)
}

// nextAll is next for all messages that wait.
func (m *mailbox) nextAll(limit int) (what job, all []Message, resume bool) {
	if len(m.queue) == 0 {
		what = m.idle()
		return what, nil, what == jobNone && m.resume(limit)
	}
	all = m.queue
	m.queue, m.bytes = nil, 0
	return jobMessage, all, m.resume(limit)
}

// idle is what is next when no message waits.
func (m *mailbox) idle() job {
	m.queue, m.head = nil, 0
	if m.ended {
		m.ended = false // once
		return jobEnd
	}
	m.running = false
	return jobNone
}

// resume reports whether reading was stopped and may go on, and notes it.
func (m *mailbox) resume(limit int) bool {
	if !m.paused || m.bytes > limit/2 {
		return false
	}
	m.paused = false
	return true
}

// work is the actor: it runs the callbacks of the connection, one after the other, for as long as something waits for them (G6).
func (c *Conn) work() {
	returned := false
	defer func() {
		if !returned { // a callback ended this goroutine with runtime.Goexit
			go c.work()
		}
	}()
	for {
		switch what := c.workOnce(); what {
		case jobMessage:
		case jobEnd:
			c.handleEnd()
			fallthrough
		case jobNone:
			returned = true
			return
		}
	}
}

// workOnce handles the next message or, for Handler.Messages, all that wait, if any do.
func (c *Conn) workOnce() (what job) {
	var one Message
	var all []Message
	var resume bool
	c.mu.Lock()
	if c.srv.handler.Messages != nil {
		what, all, resume = c.in.nextAll(c.srv.opts.MailboxBytes)
	} else {
		what, one, resume = c.in.next(c.srv.opts.MailboxBytes)
	}
	c.mu.Unlock()
	if resume {
		c.link.Resume()
	}
	switch {
	case what != jobMessage:
	case all != nil:
		c.guard("Messages", func() { c.srv.handler.Messages(c, all) })
	default:
		c.guard("Message", func() { c.srv.handler.Message(c, one) })
	}
	return what
}

func (c *Conn) handleEnd() {
	defer c.release()
	c.srv.logEnd(c)
	if c.srv.handler.Close != nil {
		c.guard("Close", func() { c.srv.handler.Close(c, c.end.code, c.end.reason) })
	}
}

// guard runs a callback. If it ends without returning, by a panic or by runtime.Goexit, that ends this connection alone (G6).
func (c *Conn) guard(name string, callback func()) {
	returned := false
	defer func() {
		if returned {
			return
		}
		c.srv.opts.Logger.Error("callback did not return", "callback", name, "conn", c.ID(), "panic", recover(),
			"stack", string(debug.Stack()))
		c.shut(ending{CloseInternal, "internal error", EndPanic})
	}()
	callback()
	returned = true
}

// Receive is netloop.Peer: bytes from the client.
func (c *Conn) Receive(p []byte) (more bool) {
	feed := c.receive
	if c.srv.handler.Relay {
		feed = c.receiveToRelay
	}
	if err := feed(p); err != nil {
		c.shut(violation(err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received += uint64(len(p))
	c.pulse.heard(c.reader.MidFrame())
	return c.end != nil || !c.in.full(c.srv.opts.MailboxBytes)
}

func (c *Conn) receive(p []byte) error {
	return c.reader.Feed(p, int64(c.srv.opts.MaxMessageBytes), (*inbound)(c))
}

// inbound is what a session reports about a connection.
type inbound Conn

// OnMessage is session.Handler: a message waits for the callback, unless the connection is closing.
func (i *inbound) OnMessage(binary bool, data []byte) {
	c := (*Conn)(i)
	if c.srv.handler.Message == nil && c.srv.handler.Messages == nil {
		return
	}
	c.mu.Lock()
	start := c.end == nil && c.in.post(Message{Data: data, Binary: binary})
	c.mu.Unlock()
	if start {
		go c.work()
	}
}

// OnPing is session.Handler: a ping is answered (RFC 6455, section 5.5.2). The pong waits its turn in the outbox and counts there,
// so that a client that pings without reading is closed like any other slow one.
func (i *inbound) OnPing(data []byte) {
	c := (*Conn)(i)
	if c.offer(&frame{bytes: session.AppendPong(nil, data)}) == offerFull {
		c.depart()
	}
}

// OnPong is session.Handler: the client lives.
func (i *inbound) OnPong([]byte) {
	c := (*Conn)(i)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulse.pong()
}

// OnClose is session.Handler: the client closes, or answers our Close frame.
func (i *inbound) OnClose(code int, reason string) { (*Conn)(i).closedByPeer(code, reason) }

// violation is the end of a connection whose client broke the protocol.
func violation(err error) ending {
	v, _ := errors.AsType[*session.Error](err) // Feed returns no other
	return ending{v.Code, v.Reason, endReasonOf(v.Code)}
}
