// Command melody is the relay on olahol/melody: an instance of Melody per room, so that a broadcast does not have to filter the
// sessions of other rooms, and BroadcastOthers.
package main

import (
	"net/http"
	"sync"

	"github.com/olahol/melody"

	"github.com/roomcast/roomcast/bench/peers/peer"
)

func main() {
	var rooms rooms
	peer.Serve(func(w http.ResponseWriter, r *http.Request, name string) {
		room := rooms.enter(name)
		defer rooms.exit(name, room)
		if room.melody.HandleRequest(w, r) != nil { // returns when the connection has ended
			return
		}
	})
}

// room is one Melody, with how many requests are in it.
type room struct {
	users  int // guarded by rooms.mu
	melody *melody.Melody
}

// rooms are the rooms by name.
type rooms struct {
	mu sync.Mutex
	m  map[string]*room
}

func (s *rooms) enter(name string) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[string]*room{}
	}
	r := s.m[name]
	if r == nil {
		r = &room{melody: newMelody()}
		s.m[name] = r
	}
	r.users++
	return r
}

func (s *rooms) exit(name string, r *room) {
	s.mu.Lock()
	last := false
	if r.users--; r.users == 0 {
		delete(s.m, name)
		last = true
	}
	s.mu.Unlock()
	if last {
		r.melody.Close() // ends its goroutine
	}
}

func newMelody() *melody.Melody {
	m := melody.New()
	m.Config.MaxMessageSize = 1 << 20
	m.Config.MessageBufferSize = *peer.Buffer
	m.HandleMessage(func(s *melody.Session, message []byte) { m.BroadcastOthers(message, s) })
	m.HandleMessageBinary(func(s *melody.Session, message []byte) { m.BroadcastBinaryOthers(message, s) })
	return m
}
