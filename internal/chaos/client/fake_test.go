package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const fakeEpoch = "e"

// fake is a server with one memory behind all of its addresses. All that it can do wrong, it does when it is told to.
type fake struct {
	wrong string // what it does wrong
	tasks sync.WaitGroup

	mu       sync.Mutex
	log      map[string][]entry // by room
	once     map[string]uint64
	sessions map[string]*fakeSession
	stored   int
}

type entry struct {
	data   json.RawMessage
	except string // a session
}

type fakeSession struct {
	id    string
	rooms map[string]bool
	conn  *fakeConn // nil while there is none
}

// fakeConn is a connection with what is to be written to it.
type fakeConn struct {
	ctx context.Context
	out chan any // never closed
}

// say does not block long: the clients of the tests read.
func (c *fakeConn) say(v any) {
	select {
	case c.out <- v:
	case <-c.ctx.Done():
	}
}

type object = map[string]any

// serveFake starts a fake and returns it with two addresses.
func serveFake(t *testing.T, wrong string) (*fake, []string) {
	t.Helper()
	s := &fake{wrong: wrong, log: map[string][]entry{}, once: map[string]uint64{}, sessions: map[string]*fakeSession{}}
	ctx, cancel := context.WithCancel(context.Background())
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(ctx, w, r) })
	a, b := httptest.NewServer(handler), httptest.NewServer(handler)
	t.Cleanup(func() { cancel(); a.Close(); b.Close(); s.tasks.Wait() })
	return s, []string{a.URL, b.URL}
}

func (s *fake) serve(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer ws.CloseNow()
	c := &fakeConn{ctx, make(chan any, 10000)}
	s.tasks.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case v := <-c.out:
				text, err := json.Marshal(v)
				if err != nil || ws.Write(ctx, websocket.MessageText, text) != nil {
					cancel()
					return
				}
			}
		}
	})
	me := s.begin(c)
	for {
		_, text, err := ws.Read(ctx)
		if err != nil {
			return
		}
		var q request
		if err := json.Unmarshal(text, &q); err != nil {
			return
		}
		me = s.handle(c, me, q)
	}
}

func (s *fake) begin(c *fakeConn) *fakeSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	me := &fakeSession{fmt.Sprint("s", len(s.sessions)), map[string]bool{}, c}
	s.sessions[me.id] = me
	c.say(object{"type": "hello", "session": me.id, "connection": me.id, "resume": me.id})
	return me
}

func (s *fake) handle(c *fakeConn, me *fakeSession, q request) *fakeSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch q.Type {
	case "resume":
		me = s.sessions[q.Resume]
		me.conn = c
		since := map[string]*place{}
		for _, r := range q.Rooms {
			since[r.Room] = &place{r.Epoch, r.Offset}
		}
		for room := range me.rooms {
			s.enter(c, me, room, since[room], object{"type": "joined", "room": room})
		}
		c.say(object{"type": "resumed", "id": q.ID, "resumed": true, "session": me.id, "connection": me.id, "resume": me.id})
	case "join":
		me.rooms[q.Room] = true
		s.enter(c, me, q.Room, q.Since, object{"type": "ack", "id": q.ID})
	case "send":
		s.send(c, me, q)
	case "members":
		c.say(object{"type": "members", "id": q.ID, "members": []object{{"connection": me.id}}})
	case "ping":
		c.say(object{"type": "pong"})
	}
	return me
}

// enter answers a join and replays.
func (s *fake) enter(c *fakeConn, me *fakeSession, room string, since *place, answer object) {
	answer["epoch"], answer["offset"] = fakeEpoch, len(s.log[room])
	var replay []object
	if since != nil {
		answer["offset"], answer["recovered"] = since.Offset, true
		for i := int(since.Offset); i < len(s.log[room]); i++ {
			if s.log[room][i].except != me.id || s.wrong == "own in replay" {
				replay = append(replay, s.message(room, i))
			}
		}
		switch {
		case s.wrong == "replay lacks the first" && len(replay) > 0:
			replay = replay[1:]
		case s.wrong == "not recovered":
			answer["offset"], answer["recovered"] = len(s.log[room]), false
			replay = nil
		case s.wrong == "replay begins too early" && since.Offset > 0:
			replay = append([]object{s.message(room, int(since.Offset)-1)}, replay...)
		}
	}
	c.say(answer)
	for _, m := range replay {
		c.say(m)
	}
}

func (s *fake) message(room string, i int) object {
	return object{"type": "message", "room": room, "epoch": fakeEpoch, "offset": i + 1, "data": s.log[room][i].data}
}

func (s *fake) send(c *fakeConn, me *fakeSession, q request) {
	if at, ok := s.once[q.Once]; ok && q.Once != "" && s.wrong != "forgets keys" {
		c.say(object{"type": "ack", "id": q.ID, "epoch": fakeEpoch, "offset": at})
		return
	}
	data, err := json.Marshal(q.Data)
	if err != nil {
		return
	}
	e := entry{data: data}
	if !*q.Echo {
		e.except = me.id
	}
	s.stored++
	if s.wrong == "loses what it acknowledged" && s.stored%10 == 0 {
		c.say(object{"type": "ack", "id": q.ID, "epoch": fakeEpoch, "offset": len(s.log[q.Room]) + 1})
		return
	}
	s.log[q.Room] = append(s.log[q.Room], e)
	i := len(s.log[q.Room]) - 1
	if q.Once != "" {
		s.once[q.Once] = uint64(i) + 1
	}
	ack := object{"type": "ack", "id": q.ID, "epoch": fakeEpoch, "offset": i + 1}
	if s.wrong == "acknowledges first" {
		c.say(ack)
	}
	for _, other := range s.sessions {
		if other.rooms[q.Room] && other.id != e.except {
			other.conn.say(s.message(q.Room, i))
		}
	}
	if s.wrong != "acknowledges first" {
		c.say(ack)
	}
}

// moments waits a little, or until the test is over.
func moments(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
