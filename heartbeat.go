package roomcast

import (
	"github.com/roomcast/roomcast/internal/session"
	"github.com/roomcast/roomcast/internal/wheel"
)

// turnWheel pings the connections under the first hand and closes those under the second that have not answered: docs/decisions/0002. It is called by the wheel's timer, which runs while there are connections.
func (s *Server) turnWheel() {
	tick := s.opts.PingInterval / wheel.Slots
	s.mu.Lock()
	if s.conns.Len() == 0 {
		s.mu.Unlock()
		return
	}
	s.turning.Reset(tick)
	ping, check := s.conns.Turn(min(int((s.opts.PongTimeout+tick-1)/tick), wheel.Slots))
	s.mu.Unlock()
	for _, c := range check {
		c.checkPong()
	}
	for _, c := range ping {
		c.ping()
	}
}

// pulse is what is known of a client's life. Guarded by Conn.mu.
type pulse struct {
	awaiting bool // a ping has been sent and no pong has come
	active   bool // bytes have come since the ping
	midFrame bool // they have ended inside a frame
	drained  bool // the socket has taken output since the ping
}

// pingFrame is shared by all connections.
var pingFrame = &frame{bytes: session.AppendPing(nil, nil)}

// ping asks the client for a sign of life. The two bytes are not held against Options.OutboxBytes.
func (c *Conn) ping() {
	c.mu.Lock()
	var wake bool
	if c.end == nil && c.started {
		c.pulse = pulse{awaiting: true, midFrame: c.pulse.midFrame}
		if c.out.pings == 0 {
			wake = c.out.add(pingFrame)
		}
	}
	c.mu.Unlock()
	if wake {
		c.link.Wake()
	}
}

// checkPong closes the connection if a ping has not been answered, unless the answer could not come yet: behind a frame that
// keeps arriving, behind output that keeps leaving and has the ping in it, or while nothing is read because the mailbox is full.
func (c *Conn) checkPong() {
	c.mu.Lock()
	p := c.pulse
	dead := p.awaiting && !(p.active && p.midFrame) && !(p.drained && c.out.pings > 0) && !c.in.Paused()
	c.mu.Unlock()
	if dead {
		c.shut(ending{CloseGoingAway, "pong timeout", EndPongTimeout})
	}
}

// heard notes that bytes came.
func (p *pulse) heard(midFrame bool) { p.active, p.midFrame = true, midFrame }
