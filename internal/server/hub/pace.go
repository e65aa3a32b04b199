package hub

import (
	"time"

	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// How many requests of a client may be refused for their number, per second and at once; then it is closed with 3100. One that heeds
// retry_after_ms never comes near it.
const (
	refusedPerSecond = 100
	refusedAtOnce    = 10_000
)

// pace is how fast a client asks, against what it may.
type pace struct {
	messages, bytes, joins admission.Bucket

	refusals admission.Bucket
	noticed  time.Time // until then the client has been told that requests without an id are refused
}

func newPace(l Limits, rooms int) pace {
	return pace{
		messages: admission.NewBucket(l.MessageRate, l.MessageRate),
		bytes:    admission.NewBucket(l.ByteRate, l.ByteRate),
		joins:    admission.NewBucket(l.JoinRate, max(l.JoinRate, rooms)),
		refusals: admission.NewBucket(refusedPerSecond, refusedAtOnce),
	}
}

// take takes a request of so many bytes from what the client and its user may do, or says which of it is too much and how long to wait. A
// request that is none costs a message.
func (p *pace) take(t protocol.RequestType, bytes int, pass *admission.Pass, now time.Time) (wait time.Duration, what string) {
	if wait = p.bytes.Take(bytes, now); wait > 0 {
		return wait, "bytes"
	}
	switch t {
	case protocol.Ping, protocol.Leave:
		return 0, ""
	case protocol.Join:
		return p.joins.Take(1, now), "joins"
	}
	if wait = p.messages.Take(1, now); wait == 0 && (t == protocol.Send || t == protocol.Direct) {
		wait = pass.Take(bytes, now)
	}
	return wait, "messages"
}

// throttle refuses r, if it is too much. The client is told with an error, or with a notice for all requests without an id together.
func (c *client) throttle(b *batch, r protocol.Request, bytes int) (refused bool) {
	now := time.Now()
	wait, what := c.pace.take(r.Type, bytes, c.pass, now)
	if wait == 0 {
		return false
	}
	b.flush()
	if c.pace.refusals.Take(1, now) > 0 {
		c.end(protocol.CloseThrottled, "too much was sent, again and again")
		return true
	}
	switch {
	case r.ID != nil:
		e := refuse(protocol.Throttled, "too many %s per second", what)
		e.RetryAfter = wait
		c.refuse(r, e)
	case !now.Before(c.pace.noticed):
		c.pace.noticed = now.Add(wait)
		c.say(protocol.AppendThrottled(nil, wait))
	}
	return true
}
