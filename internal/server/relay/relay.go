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

// member is what is remembered of a connection as its value, if there is anything.
type member struct {
	pass  *admission.Pass // nil if there are no tokens
	leave func()          // its address's count; nil if there is none
}

// New returns a relay with no connections; options are those of its roomcast.Server, engine is what reaches other nodes, if there can be any, and desk
// says who is let in.
func New(options roomcast.Options, engine roomcast.Engine, desk *admission.Desk) *Relay {
	r := &Relay{desk: desk}
	if engine != nil && engine.Node() != "" {
		options.Engine = apart{engine}
	}
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
	var m member
	var refusal *admission.Refusal
	m.leave, refusal = r.desk.Enter(req)
	if refusal == nil && r.desk.TokenRequired() {
		m.pass, refusal = r.admit(c, req)
	}
	if m.pass != nil || m.leave != nil {
		c.SetValue(&m)
	}
	if refusal != nil {
		_ = c.Close(int(refusal.Close), refusal.Message) // one of the table, and short
		return nil
	}
	if err := c.Join(req.PathValue("room")); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

// admit lets the client in with the token in its request.
func (r *Relay) admit(c *roomcast.Conn, req *http.Request) (*admission.Pass, *admission.Refusal) {
	token, found := auth.TokenOf(req)
	if !found {
		r.desk.Refuse(admission.TokenMissing)
		return nil, &admission.Refusal{Close: protocol.CloseUnauthorized, Message: "there is no token in the request"}
	}
	grant, refusal := r.desk.Check(req.Context(), token, c.RemoteAddr())
	if refusal != nil {
		return nil, refusal
	}
	if room := req.PathValue("room"); !grant.Allows(auth.Join, room) || !grant.Allows(auth.Send, room) {
		return nil, &admission.Refusal{Close: protocol.CloseForbidden, Message: "the token does not allow to join this room and to send to it"}
	}
	return r.desk.Admit(grant, func(code protocol.CloseCode, reason string) { _ = c.Close(int(code), reason) })
}

// release is roomcast's Close callback.
func release(c *roomcast.Conn, _ int, _ string) {
	m, ok := c.Value().(*member)
	if !ok {
		return
	}
	m.pass.Release()
	if m.leave != nil {
		m.leave()
	}
}
