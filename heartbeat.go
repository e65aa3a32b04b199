package roomcast

import (
	"time"

	"github.com/roomcast/roomcast/internal/session"
)

// wheelSlots is how many slots the wheel has: the time between two pings is kept to one part in so many.
const wheelSlots = 30

// wheel is the connections of a server, and when each is pinged. It turns once per Options.PingInterval, slot by slot, and two
// hands stand over it: under the first the connections of a slot are pinged, under the second, which follows it at the distance
// of Options.PongTimeout, those that have not answered are closed. A connection stays in its slot for life, so that it costs
// neither a timer nor a goroutine. Guarded by Server.mu.
type wheel struct {
	slots [wheelSlots][]*Conn
	hand  int // the slot pinged last
	count int // connections in all slots
	timer *time.Timer
}

// beat is where in the wheel a connection is.
type beat struct{ slot, index int32 }

// add puts c where its first ping is a whole turn away.
func (w *wheel) add(c *Conn) {
	c.beat = beat{int32(w.hand), int32(len(w.slots[w.hand]))}
	w.slots[w.hand] = append(w.slots[w.hand], c)
	w.count++
}

// remove takes c out; the last of its slot moves into the gap.
func (w *wheel) remove(c *Conn) {
	slot := w.slots[c.beat.slot]
	last := len(slot) - 1
	slot[c.beat.index] = slot[last]
	slot[c.beat.index].beat.index = c.beat.index
	slot[last] = nil
	w.slots[c.beat.slot] = slot[:last]
	if last == 0 {
		w.slots[c.beat.slot] = nil
	}
	w.count--
}

// turn moves both hands on by a slot and returns copies of what is under them; lag is the distance between the two, in slots:
// at most a whole turn, when a slot is checked just before it is pinged again.
func (w *wheel) turn(lag int) (ping, check []*Conn) {
	w.hand = (w.hand + 1) % wheelSlots
	second := (w.hand + wheelSlots - lag%wheelSlots) % wheelSlots
	return append(ping, w.slots[w.hand]...), append(check, w.slots[second]...)
}

// all returns every connection.
func (w *wheel) all() []*Conn {
	conns := make([]*Conn, 0, w.count)
	for _, slot := range w.slots {
		conns = append(conns, slot...)
	}
	return conns
}

// turnWheel is called by the wheel's timer, which runs while there are connections.
func (s *Server) turnWheel() {
	tick := s.opts.PingInterval / wheelSlots
	s.mu.Lock()
	if s.conns.count == 0 {
		s.mu.Unlock()
		return
	}
	s.conns.timer.Reset(tick)
	ping, check := s.conns.turn(min(int((s.opts.PongTimeout+tick-1)/tick), wheelSlots))
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
	dead := p.awaiting && !(p.active && p.midFrame) && !(p.drained && c.out.pings > 0) && !c.in.paused
	c.mu.Unlock()
	if dead {
		c.shut(ending{CloseGoingAway, "pong timeout", EndPongTimeout})
	}
}

// heard notes that bytes came.
func (p *pulse) heard(midFrame bool) { p.active, p.midFrame = true, midFrame }

// pong notes the answer to a ping.
func (p *pulse) pong() { p.awaiting = false }
