package hub

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/protocol"
	"github.com/roomcast/roomcast/memengine"
)

// Hub serves the clients of the protocol. Its methods may be called from anywhere at any time.
type Hub struct {
	rooms  *roomcast.Server
	config Config
	desk   *admission.Desk
	roster *roster
	limits atomic.Pointer[Limits]
	key    atomic.Pointer[[]byte] // of resume tokens; nil while there is none

	knows    atomic.Bool // informed has been true
	learning sync.Mutex  // held by the one who finds out

	telling   sync.Mutex // one at a time tells other nodes of sessions, in the order of what happens to each. Taken before roster.mu
	lastAsked atomic.Uint64
	asked     sync.Map // of other nodes: chan outcome by uint64

	ctx      context.Context // until Stop
	cancel   context.CancelFunc
	stopping sync.RWMutex // held while a task is added, and by Stop
	tasks    sync.WaitGroup
	unwatch  func() // nil if there are no other nodes
}

// Config is what a hub is made of.
type Config struct {
	Version string           // name and version of the server, for hello
	Rooms   roomcast.Options // MaxMessageBytes, MaxRoomsPerConn, MaxRoomNameBytes and PingInterval are set, for hello
	Desk    *admission.Desk  // who is let in
	Limits  Limits

	// Engine is what lies behind the rooms and tells other nodes of the sessions. Nil means one in memory without any history.
	Engine roomcast.Engine

	// Ready is nil when the engine has told of all sessions that there are, or says what is missing. Until it has been nil once, clients that come back
	// have to ask again. Nil means that it is at any time.
	Ready func() error

	// Server returns of which server a node (Engine.Node) is a start: of those of one server, one lives. Nil means that each is a server of its own.
	Server func(node string) string

	// SessionTTL is how long a session waits for its client to come back. Zero means that it ends with the connection.
	SessionTTL time.Duration

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

// New returns a hub without clients. Stop has to be called when it is not needed any more.
func New(c Config) *Hub {
	if c.Engine == nil {
		c.Engine = memengine.New(memengine.Options{})
	}
	c.Rooms.Subprotocols = []string{protocol.Version}
	c.Rooms.Gap = gap
	c.Rooms.Engine, c.Rooms.Render = c.Engine, render
	if c.Server == nil {
		c.Server = func(node string) string { return node }
	}
	h := &Hub{config: c, desk: c.Desk, roster: newRoster(c.Engine.Node())}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.limits.Store(&c.Limits)
	h.rooms = roomcast.New(roomcast.Handler{Connect: h.connect, Messages: h.messages, Close: h.close}, c.Rooms)
	if h.roster.node != "" {
		h.tasks.Go(func() { h.listen(nodeRoom(h.roster.node)) })
		h.tasks.Go(func() { h.listen(allNodes) })
		h.unwatch = c.Engine.Watch(h.watch)
	}
	return h
}

// SetSessionKey has clients given resume tokens that are signed with the key, which all nodes have in common. Without one there are none.
func (h *Hub) SetSessionKey(key []byte) { h.key.Store(&key) }

// Stop ends what the hub does besides serving clients, who have gone: it listens to other nodes no more, and waits for no client to come back. The
// engine is left alone, so that other nodes know who may come back to them.
func (h *Hub) Stop() {
	if h.roster.node != "" && h.ctx.Err() == nil {
		_ = h.post(h.ctx, allNodes, letter{From: h.roster.node, Bye: true}) // if it is lost, others wait for this node now and then
	}
	h.stopping.Lock()
	h.cancel()
	h.stopping.Unlock()
	if h.unwatch != nil {
		h.unwatch()
	}
	h.roster.end()
	h.tasks.Wait()
	for _, s := range h.roster.all() {
		h.settle(s)
	}
}

// render is how members see an entry of the engine: roomcast.Options.Render.
func render(room string, e roomcast.Entry) roomcast.Message {
	return roomcast.Message{Data: protocol.AppendMessageAt(make([]byte, 0, 96+len(room)+len(e.Data)), room, protocol.Position(e.Position), e.Data)}
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
	for _, c := range h.roster.clients(h.roster.all()) {
		c.say(protocol.AppendDraining(nil, rand.N(within+time.Millisecond)+time.Millisecond))
	}
}
