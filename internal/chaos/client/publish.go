package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/roomcast/roomcast/internal/chaos/history"
)

var (
	errLost = errors.New("client: the connection ended before the answer came")
	errOver = errors.New("client: it has ended")
)

// Sending is how something is published.
type Sending struct {
	Room   string
	Silent bool   // echo off
	Once   bool   // with an idempotency key, and again until it is acknowledged
	Pad    string // makes it larger
}

// Publish sends one message. It returns an error if it was not acknowledged: at once without Once, otherwise when ctx is over.
func (c *Client) Publish(ctx context.Context, s Sending) error {
	c.mu.Lock()
	c.seq++
	p := &history.Publish{ID: history.ID{By: c.Name, Seq: c.seq}, Silent: s.Silent}
	c.published[s.Room] = append(c.published[s.Room], p)
	c.mu.Unlock()
	r := request{Type: "send", Room: s.Room, Data: &Payload{p.By, p.Seq, s.Pad}, Echo: new(!s.Silent)}
	if s.Once {
		r.Once = p.By + "-" + strconv.Itoa(p.Seq)
	}
	for {
		f, err := c.ask(ctx, r, p)
		switch {
		case err == nil && f.Type == "ack":
			c.mu.Lock()
			p.Acked, p.At = c.now(), f.at()
			c.mu.Unlock()
			return nil
		case err == nil && f.Code == "unavailable", errors.Is(err, errLost):
		case err == nil:
			c.complain(history.RuleUnexpected, s.Room, "sending %v was answered with %s: %s", p.ID, f.Code, f.Message)
			return fmt.Errorf("client: send: %s: %s", f.Code, f.Message)
		default:
			return err
		}
		c.mu.Lock()
		c.noteLocked("%v to %s was not acknowledged at the %d. time: %v %s", p.ID, s.Room, p.Tries, err, f.Message)
		c.mu.Unlock()
		if !s.Once {
			return errLost
		}
		if err := c.wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func (c *Client) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.over:
		return errOver
	}
}

// Ready waits until the client is in all its rooms.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.up(ctx)
	return err
}

// up waits until the client is in all its rooms, and returns the connection.
func (c *Client) up(ctx context.Context) (*line, error) {
	for {
		c.mu.Lock()
		ready := c.ready
		c.mu.Unlock()
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.over:
			return nil, errOver
		}
		c.mu.Lock()
		l, same := c.line, ready == c.ready
		c.mu.Unlock()
		if l != nil && same {
			return l, nil
		}
	}
}

// ask sends a request over a connection that is in all rooms, and waits for the answer.
func (c *Client) ask(ctx context.Context, r request, p *history.Publish) (frame, error) {
	l, err := c.up(ctx)
	if err != nil {
		return frame{}, err
	}
	q := &question{answer: make(chan frame, 1), publish: p, room: r.Room}
	l.mu.Lock()
	if l.pending == nil {
		l.mu.Unlock()
		return frame{}, errLost
	}
	l.nextID++
	r.ID = strconv.Itoa(l.nextID)
	l.pending[r.ID] = q
	l.mu.Unlock()
	if p != nil {
		c.mu.Lock()
		if p.Tries++; p.Begun == 0 {
			p.Begun = c.now()
		}
		p.Conn = c.conns
		c.mu.Unlock()
	}
	if l.write(r) != nil {
		l.wire.lose(false)
		return frame{}, errLost
	}
	timer := time.NewTimer(answered)
	defer timer.Stop()
	select {
	case f, ok := <-q.answer:
		if !ok {
			return f, errLost
		}
		return f, nil
	case <-timer.C:
		c.complain(history.RuleLate, r.Room, "%s has no answer after %v, though the connection lives", r.Type, answered)
		l.wire.lose(false)
		return frame{}, errLost
	case <-ctx.Done():
		return frame{}, ctx.Err()
	}
}

// Members asks who is in a room, page by page, and returns the connections.
func (c *Client) Members(ctx context.Context, room string) ([]string, error) {
	var all []string
	r := request{Type: "members", Room: room}
	for {
		f, err := c.ask(ctx, r, nil)
		if err != nil {
			return nil, err
		}
		if f.Type != "members" {
			return nil, fmt.Errorf("client: members of %s: %s: %s", room, f.Code, f.Message)
		}
		for _, m := range f.Members {
			all = append(all, m.Connection)
		}
		if f.Next == "" {
			return all, nil
		}
		r.After = f.Next
	}
}

// Record is what a client has seen and done, so far.
type Record struct {
	Connection string
	Conns      int
	Complaints []history.Violation
	Notices    []Notice
	Sessions   Sessions
	Diary      []string // what became of its connections
}

// Record returns what it has seen and done, so far.
func (c *Client) Record() Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Record{Connection: c.connection, Conns: c.conns, Complaints: slices.Clone(c.complaints), Notices: slices.Clone(c.notices), Sessions: c.sessions, Diary: slices.Clone(c.diary)}
}

// Published is what it has sent to a room, so far.
func (c *Client) Published(room string) (all []history.Publish) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.published[room] {
		all = append(all, *p)
	}
	return all
}

// Reader is what it has seen of one of its rooms, so far; it counts as one that stayed if it is there now.
func (c *Client) Reader(name string) history.Reader {
	c.mu.Lock()
	defer c.mu.Unlock()
	room := c.rooms[name]
	return history.Reader{Name: c.Name, Events: slices.Clone(room.events), Stayed: room.in}
}

// Position is what it has last seen in a room.
func (c *Client) Position(name string) history.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms[name].pos
}

// Saw tells whether a message is among the last that it got in a room.
func (c *Client) Saw(name string, id history.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	events := c.rooms[name].events
	return slices.ContainsFunc(events[max(0, len(events)-100):], func(e history.Event) bool { return e.Kind == history.Message && e.ID == id })
}
