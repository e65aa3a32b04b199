// Package relay is the room any WebSocket client can use as it is: whoever connects to /rooms/{room} is in that room, and what a
// member sends goes to every other member, unchanged.
package relay

import (
	"fmt"
	"net/http"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// Relay serves the rooms. The name of the room is the request's path value "room".
type Relay struct {
	rooms *roomcast.Server
	desk  *admission.Desk
}

// member is what is remembered of a connection: the connection's value.
type member struct {
	pass  *admission.Pass
	leave func() // its address's count
}

// New returns a relay with no connections; options are those of its roomcast.Server, and desk says who is let in.
func New(options roomcast.Options, desk *admission.Desk) *Relay {
	r := &Relay{desk: desk}
	r.rooms = roomcast.New(roomcast.Handler{Connect: r.connect, Relay: true, Close: release}, options)
	return r
}

// ServeHTTP upgrades the request, unless its room has an invalid name: that is a 400 with one line that says why.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if err := r.rooms.CheckRoom(req.PathValue("room")); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.rooms.ServeHTTP(w, req)
}

// Server is what is behind the relay, to be served, drained and looked at.
func (r *Relay) Server() *roomcast.Server { return r.rooms }

// connect takes the client into the room, if its token allows that and to send there. A room that it cannot join, it is not let into.
func (r *Relay) connect(c *roomcast.Conn, req *http.Request) error {
	m := &member{leave: r.desk.Enter(req)}
	c.SetValue(m)
	room := req.PathValue("room")
	if r.desk.TokenRequired() {
		if refusal := r.admit(c, m, req); refusal != nil {
			_ = c.Close(int(refusal.Close), refusal.Message) // one of the table, and short
			return nil
		}
	}
	if err := c.Join(room); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

func (r *Relay) admit(c *roomcast.Conn, m *member, req *http.Request) *admission.Refusal {
	token, found := auth.TokenOf(req)
	if !found {
		r.desk.Refuse(admission.TokenMissing)
		return &admission.Refusal{Close: protocol.CloseUnauthorized, Message: "there is no token in the request"}
	}
	grant, refusal := r.desk.Check(req.Context(), token, c.RemoteAddr())
	if refusal != nil {
		return refusal
	}
	if room := req.PathValue("room"); !grant.Allows(auth.Join, room) || !grant.Allows(auth.Send, room) {
		return &admission.Refusal{Close: protocol.CloseForbidden, Message: "the token does not allow to join this room and to send to it"}
	}
	m.pass, refusal = r.desk.Admit(grant, func(code protocol.CloseCode, reason string) { _ = c.Close(int(code), reason) })
	return refusal
}

// release is roomcast's Close callback.
func release(c *roomcast.Conn, _ int, _ string) {
	if m, ok := c.Value().(*member); ok { // else Connect panicked
		m.pass.Release()
		m.leave()
	}
}
