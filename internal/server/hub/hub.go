package hub

import (
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// Hub serves the clients of the protocol. Its methods may be called from anywhere at any time.
type Hub struct {
	rooms   *roomcast.Server
	config  Config
	desk    *admission.Desk
	clients directory
	limits  atomic.Pointer[Limits]
}

// Config is what a hub is made of.
type Config struct {
	Version string           // name and version of the server, for hello
	Rooms   roomcast.Options // MaxMessageBytes, MaxRoomsPerConn, MaxRoomNameBytes and PingInterval are set, for hello
	Desk    *admission.Desk  // who is let in
	Limits  Limits

	// TokenTimeout is how long a client may take to show a token, if one is required; then it is closed with 3001.
	TokenTimeout time.Duration
}

// Limits is how much one client may ask for, per second; 0 is no limit. What passes a limit is not done: the protocol says how the
// client is told. They can be changed while the hub serves: Hub.SetLimits.
type Limits struct {
	MessageRate int // sends and direct messages
	ByteRate    int // bytes of frames
	JoinRate    int // joins; those that a client may have in all, Options.MaxRoomsPerConn, may come at once
}

// New returns a hub without clients.
func New(c Config) *Hub {
	c.Rooms.Subprotocols = []string{protocol.Version}
	c.Rooms.Gap = gap
	h := &Hub{config: c, desk: c.Desk}
	h.limits.Store(&c.Limits)
	h.rooms = roomcast.New(roomcast.Handler{Connect: h.connect, Messages: h.messages, Close: h.close}, c.Rooms)
	return h
}

// SetLimits changes the limits of the clients that come from now on.
func (h *Hub) SetLimits(l Limits) { h.limits.Store(&l) }

// gap is what a member is told that was too slow for some messages of a room: roomcast.Options.Gap.
func gap(room string, missed int) roomcast.Message {
	return roomcast.Message{Data: protocol.AppendGap(nil, room, uint64(missed))}
}

// ServeHTTP upgrades a request of a client.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.rooms.ServeHTTP(w, r) }

// Server is what is behind the hub, to be served, drained and looked at.
func (h *Hub) Server() *roomcast.Server { return h.rooms }

// TellDraining tells every client that the server is about to stop, and each another time after which to connect again, within the given one.
func (h *Hub) TellDraining(within time.Duration) {
	for _, c := range h.clients.all() {
		c.say(protocol.AppendDraining(nil, rand.N(within+time.Millisecond)+time.Millisecond))
	}
}
