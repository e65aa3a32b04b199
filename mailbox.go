package roomcast

import (
	"errors"
	"runtime/debug"

	"github.com/roomcast/roomcast/internal/mailbox"
	"github.com/roomcast/roomcast/internal/session"
)

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
		case mailbox.Handle:
		case mailbox.End:
			c.handleEnd()
			fallthrough
		case mailbox.None:
			returned = true
			return
		}
	}
}

// workOnce handles the next message or, for Handler.Messages, all that wait, if any do.
func (c *Conn) workOnce() (what mailbox.Job) {
	var one Message
	var all []Message
	var resume bool
	c.mu.Lock()
	if c.srv.handler.Messages != nil {
		what, all, resume = c.in.NextAll(c.srv.opts.MailboxBytes)
	} else {
		what, one, resume = c.in.Next(c.srv.opts.MailboxBytes)
	}
	c.mu.Unlock()
	if resume {
		c.link.Resume()
	}
	switch {
	case what != mailbox.Handle:
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
	return c.end != nil || !c.in.Full(c.srv.opts.MailboxBytes)
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
	start := c.end == nil && c.in.Post(Message{Data: data, Binary: binary})
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
	c.pulse.awaiting = false
}

// OnClose is session.Handler: the client closes, or answers our Close frame.
func (i *inbound) OnClose(code int, reason string) { (*Conn)(i).closedByPeer(code, reason) }

// violation is the end of a connection whose client broke the protocol.
func violation(err error) ending {
	v, _ := errors.AsType[*session.Error](err) // Feed returns no other
	return ending{v.Code, v.Reason, endReasonOf(v.Code)}
}
