package natsengine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

var (
	// errAway: there is no connection, or it broke while an answer was awaited.
	errAway = errors.New("not connected to NATS")
	// errSetUp: nobody has looked yet.
	errSetUp = errors.New("the streams in NATS are being looked at")
	// errNobody: nobody is listening there. What was asked has not been done.
	errNobody = errors.New("nobody answers at NATS: no stream, or none of its servers leads")
	// errTorn: a part of an answer is missing.
	errTorn = errors.New("an answer of NATS came in part")
)

// calls asks NATS for things and waits for the answers. In contrast to the requests of nats.go, one may have any number of answers, and
// those that wait learn at once that the connection is gone.
type calls struct {
	nc     *nats.Conn
	prefix string // of the subjects of answers
	sub    *nats.Subscription

	up      atomic.Bool  // as far as is known there is a connection
	payload atomic.Int64 // of a message of NATS, at most; 0: not known yet

	mu      sync.Mutex
	next    uint64
	waiting map[string]chan *nats.Msg // by subject of the answer; not closed
	broken  chan struct{}             // closed by disconnected; another one from connected on
}

func newCalls(nc *nats.Conn) (*calls, error) {
	c := &calls{nc: nc, prefix: nc.NewInbox() + ".", waiting: map[string]chan *nats.Msg{}, broken: make(chan struct{})}
	sub, err := nc.Subscribe(c.prefix+"*", c.answer)
	if err != nil {
		return nil, err
	}
	c.sub = sub
	return c, sub.SetPendingLimits(-1, -1)
}

func (c *calls) answer(m *nats.Msg) {
	c.mu.Lock()
	ch := c.waiting[m.Subject]
	c.mu.Unlock()
	if ch == nil {
		return // came too late
	}
	select {
	case ch <- m:
	default: // more than was asked for: what is missing at the end is noticed
	}
}

// disconnected makes all fail that wait.
func (c *calls) disconnected() {
	c.up.Store(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.broken:
	default:
		close(c.broken)
	}
}

func (c *calls) connected() {
	c.payload.Store(c.nc.MaxPayload())
	c.up.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.broken:
		c.broken = make(chan struct{})
	default:
	}
}

// many sends a message and calls take with each of at most n answers, until it says that this was the last one. sent is false if
// it is certain that the message has not been sent.
func (c *calls) many(ctx context.Context, m *nats.Msg, n int, take func(*nats.Msg) (last bool, err error)) (sent bool, err error) {
	ch := make(chan *nats.Msg, n)
	c.mu.Lock()
	c.next++
	m.Reply = c.prefix + strconv.FormatUint(c.next, 36)
	c.waiting[m.Reply] = ch
	broken := c.broken
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, m.Reply)
		c.mu.Unlock()
	}()
	if err := c.nc.PublishMsg(m); err != nil {
		return false, fmt.Errorf("%w (%w)", errAway, err)
	}
	for {
		select {
		case answer := <-ch:
			if len(answer.Data) == 0 && answer.Header.Get("Status") == "503" {
				return false, errNobody
			}
			if last, err := take(answer); last || err != nil {
				return true, err
			}
		case <-broken:
			return true, errAway
		case <-ctx.Done():
			return true, context.Cause(ctx)
		}
	}
}

// one sends a message and returns the answer.
func (c *calls) one(ctx context.Context, m *nats.Msg) (answer *nats.Msg, sent bool, err error) {
	sent, err = c.many(ctx, m, 1, func(m *nats.Msg) (bool, error) {
		answer = m
		return true, nil
	})
	return answer, sent, err
}
