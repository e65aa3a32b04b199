package main

import (
	"sync"

	"github.com/gorilla/websocket"
)

// post is a message on its way to everybody but its sender.
type post struct {
	from    *client
	message *websocket.PreparedMessage
}

// hub is a room: one goroutine owns the set of its clients.
type hub struct {
	users      int // guarded by hubs.mu
	broadcast  chan post
	register   chan *client
	unregister chan *client
	quit       chan struct{} // closed by hubs.exit, when nobody is left
}

func (h *hub) run() {
	clients := map[*client]struct{}{}
	drop := func(c *client) {
		if _, in := clients[c]; in {
			delete(clients, c)
			close(c.send)
		}
	}
	for {
		select {
		case c := <-h.register:
			clients[c] = struct{}{}
		case c := <-h.unregister:
			drop(c)
		case p := <-h.broadcast:
			for c := range clients {
				if c == p.from {
					continue
				}
				select {
				case c.send <- p.message:
				default:
					drop(c)
				}
			}
		case <-h.quit:
			return
		}
	}
}

// hubs are the rooms by name.
type hubs struct {
	mu sync.Mutex
	m  map[string]*hub
}

func (s *hubs) enter(room string) *hub {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[string]*hub{}
	}
	h := s.m[room]
	if h == nil {
		h = &hub{broadcast: make(chan post, 256), register: make(chan *client), unregister: make(chan *client), quit: make(chan struct{})}
		s.m[room] = h
		go h.run()
	}
	h.users++
	return h
}

func (s *hubs) exit(room string, h *hub) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.users--; h.users == 0 {
		delete(s.m, room)
		close(h.quit)
	}
}
