package hub

import (
	"time"

	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// mostRefused is how many more requests of a client may be refused for their number than are done; then it is closed with 3100. One that
// heeds retry_after_ms never comes near it. In a row would not do: however many it sends, now and then one is due.
const mostRefused = 10_000

// pace is how fast a client asks, against what it may.
type pace struct {
	messages, bytes, joins admission.Bucket

	refused int       // how many more requests than were done, since that was 0
	noticed time.Time // until then the client has been told that requests without an id are refused
}

func newPace(l Limits, rooms int) pace {
	return pace{
		messages: admission.NewBucket(l.MessageRate, l.MessageRate),
		bytes:    admission.NewBucket(l.ByteRate, l.ByteRate),
		joins:    admission.NewBucket(l.JoinRate, max(l.JoinRate, rooms)),
	}
}

// takes takes a request of so many bytes from what the client and its user may do, or says which of it is too much and how long to wait.
func (p *pace) take(t protocol.RequestType, bytes int, pass *admission.Pass, now time.Time) (wait time.Duration, what string) {
	if wait = p.bytes.Take(bytes, now); wait > 0 {
		return wait, "bytes"
	}
	switch t {
	case protocol.Send, protocol.Direct:
		if wait = p.messages.Take(1, now); wait == 0 {
			wait = pass.Take(bytes, now)
		}
		what = "messages"
	case protocol.Join:
		wait = p.joins.Take(1, now)
		what = "joins"
	}
	return wait, what
}

// throttle refuses r, if it is too much. The client is told with an error, or with a notice for all requests without an id together.
func (c *client) throttle(b *batch, r protocol.Request, bytes int) (refused bool) {
	now := time.Now()
	wait, what := c.pace.take(r.Type, bytes, c.pass, now)
	if wait == 0 {
		c.pace.refused = max(0, c.pace.refused-1)
		return false
	}
	b.flush()
	if c.pace.refused++; c.pace.refused > mostRefused {
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
