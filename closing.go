package roomcast

import (
	"errors"
	"io"

	"github.com/roomcast/roomcast/internal/session"
)

// ending is why a connection ends: what its Close callback is told and what is counted.
type ending struct {
	code   int
	reason string
	why    EndReason
}

// shut ends the connection, if it is open. The caller holds no lock.
func (c *Conn) shut(e ending) {
	c.mu.Lock()
	open := c.end == nil
	if open {
		c.closeLocked(e)
	}
	c.mu.Unlock()
	if open {
		c.depart()
	}
}

// closeLocked is the instant at which an open connection is out of all rooms (G5.1) and shut down (G5.2): from here on Join, Send,
// every broadcast, every list of members and the reading of messages refuse it. The caller goes on with depart.
func (c *Conn) closeLocked(e ending) {
	c.end = &e
	if e.why == EndServer || e.why == EndPanic {
		c.in.Mute()
	}
}

// depart does what is left after closeLocked, once and without a lock held: it tidies the rooms and sends the Close frame (G5.3).
// The callback follows when that is done or given up (Flushed).
func (c *Conn) depart() {
	c.srv.rooms.leaveAll(c)
	c.srv.stats.countEnd(c.end.why)
	c.mu.Lock()
	var wake bool
	if c.end.why == EndNetwork {
		wake = c.out.drop()
	} else {
		wake = c.out.close(&frame{bytes: session.AppendClose(nil, c.end.code, c.end.reason)})
	}
	started := c.started
	c.mu.Unlock()
	if wake {
		c.link.Wake()
	}
	if started {
		c.finish()
	} // otherwise start does
}

// start hands the connection to its link, which sends the 101 first. What the Connect callback has led to waits in the outbox.
func (c *Conn) start(greeting, head []byte) {
	c.link.Start(greeting, head)
	c.mu.Lock()
	c.started = true
	closing, severed := c.end != nil, c.severed
	c.mu.Unlock()
	switch {
	case severed:
		c.link.Abort()
	case closing:
		c.finish()
	}
}

// finish bounds how long a connection that is closing keeps its link.
func (c *Conn) finish() {
	if c.end.why == EndNetwork { // the end is set once, and its setting has been seen by every caller
		c.link.Abort()
		return
	}
	c.link.Finish(c.srv.opts.CloseTimeout)
}

// Lost is netloop.Peer: the connection failed. A client that hangs up while the connection is closing may still be reading: what waits for it is written.
func (c *Conn) Lost(err error) {
	c.shut(ending{CloseAbnormal, "", EndNetwork})
	if errors.Is(err, io.EOF) {
		return
	}
	c.mu.Lock()
	wake := c.out.drop()
	c.mu.Unlock()
	if wake {
		c.link.Wake()
	}
}

// Flushed is netloop.Peer: the Close frame has been sent or given up, so the Close callback is next (G5.4).
func (c *Conn) Flushed() {
	c.mu.Lock()
	c.flushed = true
	start, hangUp := c.in.End(), c.peerClosed
	c.mu.Unlock()
	if start {
		go c.work()
	}
	if hangUp {
		c.link.Abort()
	}
}

// closedByPeer handles the client's Close frame: its own code and reason are sent back, unless it answers ours (RFC 6455, section
// 5.5.1). With a Close frame gone either way, the server hangs up at once and does not wait for the client to (section 7.1.1).
func (c *Conn) closedByPeer(code int, reason string) {
	c.mu.Lock()
	c.peerClosed = true
	hangUp := c.flushed
	c.mu.Unlock()
	c.shut(ending{code, reason, EndClient})
	if hangUp {
		c.link.Abort()
	}
}

// Released is netloop.Peer: the link is done with the connection.
func (c *Conn) Released() { c.release() }

// release forgets the connection when both its link and its callbacks are done (G5.5).
func (c *Conn) release() {
	if c.left.Add(-1) == 0 {
		c.srv.forget(c)
	}
}

// cut ends the connection at once, whether it is open, closing or still connecting.
func (c *Conn) cut() {
	c.shut(ending{CloseAbnormal, "", EndNetwork})
	c.mu.Lock()
	c.severed = true
	started := c.started
	c.mu.Unlock()
	if started {
		c.link.Abort()
	} // otherwise start does
}
