package hub

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// Hub serves the clients of the protocol. Its methods may be called from anywhere at any time.
type Hub struct {
	rooms   *roomcast.Server
	server  string // its name and version, for hello
	options roomcast.Options
	clients directory
	limits  atomic.Pointer[Limits]
	log     *slog.Logger
}

// Limits is what one connection or user may do. It can be changed while the hub serves: Hub.SetLimits.
type Limits struct {
	AuthTimeout time.Duration
}

// New returns a hub without clients. version is the name and version of the server, for hello.
func New(version string, options roomcast.Options, limits Limits) *Hub {
	options.Subprotocols = []string{protocol.Version}
	h := &Hub{server: version, options: options, log: options.Logger}
	h.limits.Store(&limits)
	h.rooms = roomcast.New(roomcast.Handler{Connect: h.connect, Messages: h.messages, Close: h.close}, options)
	return h
}

// ServeHTTP upgrades a request of a client.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.rooms.ServeHTTP(w, r) }

// Serve answers requests on the listener, which it closes, with handler, until Shutdown.
func (h *Hub) Serve(l net.Listener, handler http.Handler) error {
	return h.rooms.ServeHandler(l, handler)
}

// Shutdown closes all clients with 1001 and waits for them; when ctx ends first, it cuts those that are left.
func (h *Hub) Shutdown(ctx context.Context) error { return h.rooms.Shutdown(ctx) }

// SetAllowedOrigins replaces the options' AllowedOrigins for all clients that come from now on.
func (h *Hub) SetAllowedOrigins(patterns []string) error { return h.rooms.SetAllowedOrigins(patterns) }

// Stats is what the hub has done so far.
func (h *Hub) Stats() roomcast.Stats { return h.rooms.Stats() }
