// Package relay is the room any WebSocket client can use as it is: whoever connects to /rooms/{room} is in that room, and what a
// member sends goes to every other member, unchanged.
package relay

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/roomcast/roomcast"
)

// Relay serves the rooms. The name of the room is the request's path value "room".
type Relay struct {
	rooms *roomcast.Server
}

// New returns a relay with no connections; options are those of its roomcast.Server.
func New(options roomcast.Options) *Relay {
	return &Relay{rooms: roomcast.New(roomcast.Handler{Connect: connect, Relay: true}, options)}
}

// ServeHTTP upgrades the request, unless its room has an invalid name: that is a 400 with one line that says why.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if err := r.rooms.CheckRoom(req.PathValue("room")); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.rooms.ServeHTTP(w, req)
}

// Serve answers requests on the listener, which it closes, with h, until Shutdown.
func (r *Relay) Serve(l net.Listener, h http.Handler) error { return r.rooms.ServeHandler(l, h) }

// Shutdown closes all connections with 1001 and waits for them; when ctx ends first, it cuts those that are left.
func (r *Relay) Shutdown(ctx context.Context) error { return r.rooms.Shutdown(ctx) }

// SetAllowedOrigins replaces the options' AllowedOrigins for all clients that come from now on.
func (r *Relay) SetAllowedOrigins(patterns []string) error {
	return r.rooms.SetAllowedOrigins(patterns)
}

// Stats is what the relay has done so far.
func (r *Relay) Stats() roomcast.Stats { return r.rooms.Stats() }

// connect takes the client into the room. A room that it cannot join, it is not let into.
func connect(c *roomcast.Conn, req *http.Request) error {
	if err := c.Join(req.PathValue("room")); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}
