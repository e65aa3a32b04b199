package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/roomcast/roomcast/internal/chaos/history"
)

// errAgain ends a connection so that the client tries with another one.
var errAgain = errors.New("client: the server cannot do it now")

// serve makes one connection and lives on it until it ends.
func (c *Client) serve(url string) error {
	l, err := c.dial(url)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.ctx = ctx
	c.begin(l, url)
	watched := make(chan struct{})
	go func() { defer close(watched); l.watch() }()
	defer func() {
		cancel()
		l.wire.lose(false)
		_ = l.ws.CloseNow() // it may be closed already
		<-watched
		c.end(l)
	}()
	for {
		_, text, err := l.ws.Read(ctx)
		if err != nil {
			return c.closed(err)
		}
		l.mu.Lock()
		l.heard = time.Now()
		l.mu.Unlock()
		var f frame
		if err := json.Unmarshal(text, &f); err != nil {
			c.complain(history.RuleUnexpected, "", "it got %q: %v", text, err)
			return err
		}
		if err := c.handle(l, f); err != nil {
			return err
		}
	}
}

func (c *Client) begin(l *line, url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line = l
	c.conns++
	c.noteLocked("connection %d, to %s, from %v", c.conns, url, l.wire.LocalAddr())
	select {
	case <-c.over:
		l.wire.lose(false)
	default:
	}
}

func (c *Client) end(l *line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line = nil
	c.noteLocked("connection %d has ended", c.conns)
	for _, r := range c.rooms {
		if r.in {
			r.events = append(r.events, history.Event{Kind: history.Lost, Time: c.now()})
		}
		r.in, r.asked, r.since, r.early = false, false, nil, nil
	}
	select {
	case <-c.ready:
		c.ready = make(chan struct{})
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.pending {
		close(q.answer)
	}
	l.pending = nil
}

// closed looks at why a connection has ended; some reasons no server has in these runs.
func (c *Client) closed(err error) error {
	c.mu.Lock()
	c.noteLocked("connection %d reads no more: %v", c.conns, err)
	c.mu.Unlock()
	switch code := websocket.CloseStatus(err); code {
	case -1, websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusTryAgainLater:
	default:
		c.complain(history.RuleUnexpected, "", "the server closed with %d: %v", code, err)
	}
	return err
}

func (c *Client) handle(l *line, f frame) error {
	switch f.Type {
	case "hello":
		return c.greeted(l, f)
	case "resumed":
		return c.resumed(l, f)
	case "joined":
		c.joined(f)
		return nil
	case "message":
		c.message(f)
	case "gap":
		c.gap(f)
	case "presence":
		c.notice(f)
	case "left":
		c.complain(history.RuleUnexpected, f.Room, "it was taken out of the room")
		return errAgain
	case "ack", "error", "members":
		return c.answered(l, f)
	}
	return nil
}

// greeted resumes the session if there is one, and otherwise joins.
func (c *Client) greeted(l *line, f frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noteLocked("hello on connection %d, its own session is %q, to be resumed: %q", c.conns, f.Session, c.session)
	if f.Resume == "" && c.token == "" { // a server that has just begun need not know the key of tokens; those that clients come to first say that they are ready
		c.complainLocked(history.RuleUnexpected, "", "hello has no token to resume with")
	}
	if c.token == "" {
		c.token, c.session, c.connection = f.Resume, f.Session, f.Connection
		return c.joinLocked(l)
	}
	r := request{Type: "resume", ID: "resume", Resume: c.token}
	for name, room := range c.rooms {
		if room.known && room.pos.Epoch != "" {
			room.since = new(room.pos)
			r.Rooms = append(r.Rooms, roomAt{name, placeOf(room.pos)})
		}
	}
	return l.write(r)
}

func (c *Client) resumed(l *line, f frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noteLocked("resumed: %v", f.Resumed)
	if f.Session != c.session || f.Connection != c.connection {
		c.complainLocked(history.RuleUnexpected, "", "session %s and connection %s are %s and %s after a resume", c.session, c.connection, f.Session, f.Connection)
	}
	if f.Resume != "" {
		c.token = f.Resume
	}
	c.session, c.connection = f.Session, f.Connection
	if f.Resumed {
		c.sessions.Resumed++
	} else {
		c.sessions.Over++
	}
	return c.joinLocked(l)
}

// joinLocked joins the rooms that it is not in and has not asked for.
func (c *Client) joinLocked(l *line) error {
	for name, room := range c.rooms {
		if room.in || room.asked {
			continue
		}
		r := request{Type: "join", ID: "join " + name, Room: name, Presence: c.Watch}
		room.asked, room.since = true, nil
		if room.known && room.pos.Epoch != "" {
			room.since = new(room.pos)
			r.Since = new(placeOf(room.pos))
		}
		if err := l.write(r); err != nil {
			return err
		}
	}
	c.readyLocked()
	return nil
}

func (c *Client) readyLocked() {
	for _, room := range c.rooms {
		if !room.in {
			return
		}
	}
	select {
	case <-c.ready:
	default:
		close(c.ready)
		if !c.outSince.IsZero() {
			c.sessions.Slowest = max(c.sessions.Slowest, time.Since(c.couldSince))
			c.sessions.LongestOut = max(c.sessions.LongestOut, time.Since(c.outSince))
			c.outSince = time.Time{}
		}
	}
}

// joined notes that the client is in a room, and takes what came too early.
func (c *Client) joined(f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room := c.rooms[f.Room]
	if room == nil || room.in {
		c.complainLocked(history.RuleUnexpected, f.Room, "it is told that it is in the room, and has not asked, or is there")
		return
	}
	if room.since != nil && f.Recovered == nil {
		c.complainLocked(history.RuleUnexpected, f.Room, "it asked for what follows %v, and is not told whether it comes", *room.since)
	}
	if room.since == nil {
		c.noteLocked("is in %s, from %v on", f.Room, f.at())
	} else {
		c.noteLocked("is in %s, wanted to go on from %v, goes on from %v, recovered: %v", f.Room, *room.since, f.at(), f.Recovered != nil && *f.Recovered)
	}
	room.in, room.known, room.pos = true, true, f.at()
	room.events = append(room.events, history.Event{Kind: history.Joined, Time: c.now(), At: f.at(), Since: room.since,
		Recovered: f.Recovered != nil && *f.Recovered})
	for _, m := range room.early {
		c.messageLocked(room, m)
	}
	room.early = nil
}

func (c *Client) message(f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room := c.rooms[f.Room]
	switch {
	case room == nil:
		c.complainLocked(history.RuleUnexpected, f.Room, "it got a message of a room that it never wanted to be in")
	case !room.in:
		room.early = append(room.early, f)
	default:
		c.messageLocked(room, f)
	}
}

func (c *Client) messageLocked(room *room, f frame) {
	var p Payload
	if err := json.Unmarshal(f.Data, &p); err != nil {
		c.complainLocked(history.RuleInvented, f.Room, "it got the data %q: %v", f.Data, err)
		return
	}
	room.pos = f.at()
	room.events = append(room.events, history.Event{Kind: history.Message, Time: c.now(), At: f.at(), ID: history.ID{By: p.By, Seq: p.Seq}})
}

func (c *Client) gap(f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := c.rooms[f.Room]; room != nil {
		room.events = append(room.events, history.Event{Kind: history.Gap, Time: c.now(), Missed: f.Missed})
	}
}

func (c *Client) notice(f frame) {
	names := func(all []who) (names []string) {
		for _, w := range all {
			names = append(names, w.Connection)
		}
		return names
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notices = append(c.notices, Notice{c.now(), f.Room, f.Count, names(f.Joined), names(f.Left)})
}

// answered takes the answer to a request: a join of its own, the resume, or what somebody waits for.
func (c *Client) answered(l *line, f frame) error {
	if name, ok := strings.CutPrefix(f.ID, "join "); ok && f.Type == "ack" {
		f.Room = name
		c.joined(f)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.readyLocked()
		return nil
	} else if ok || f.ID == "resume" {
		return c.refused(f)
	}
	l.mu.Lock()
	q := l.pending[f.ID]
	delete(l.pending, f.ID)
	l.mu.Unlock()
	if q == nil {
		c.complain(history.RuleUnexpected, f.Room, "it got %+v and has not asked", f)
		return nil
	}
	c.checkOwn(q, f)
	q.answer <- f
	return nil
}

// refused is an error to the resume or a join: away is a reason, everything else is none. It tries again elsewhere.
func (c *Client) refused(f frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.Code == "unavailable" {
		c.sessions.Refused++
		c.noteLocked("%s was answered with unavailable: %s", f.ID, f.Message)
		return errAgain
	}
	c.complainLocked(history.RuleUnexpected, f.Room, "%s was answered with %s: %s", f.ID, f.Code, f.Message)
	return fmt.Errorf("client: %s: %s", f.ID, f.Code)
}

// checkOwn holds the server to it that one's own message comes before its ack, on a connection on which it was sent once.
func (c *Client) checkOwn(q *question, f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room, p := c.rooms[q.room], q.publish
	if p == nil || p.Silent || p.Tries != 1 || f.Type != "ack" || f.Epoch == "" || room == nil || !room.in {
		return
	}
	if room.pos.Offset < f.Offset {
		c.complainLocked(history.RuleOwnLate, q.room, "%v is acknowledged at %v, and the last that came is %v", p.ID, f.at(), room.pos)
	}
}
