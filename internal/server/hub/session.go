package hub

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// A resume token says which session its bearer has, and that a server of this cluster has said so: session.connection.signature. Whose it
// is, is signed too. It is good for ever, as the name of one's own; what it opens is over soon after the connection.

// tokenOf returns the resume token of a session, "" if there can be none.
func (h *Hub) tokenOf(s *session) string {
	key := h.key.Load()
	if h.config.SessionTTL == 0 || key == nil {
		return ""
	}
	return s.id + "." + s.connection + "." + sign(*key, s.id, s.connection, s.user)
}

// genuine returns what a resume token says; ok is false if none of us has given it to the user.
func (h *Hub) genuine(token, user string) (id, connection string, ok bool) {
	parts := strings.Split(token, ".")
	key := h.key.Load()
	if len(parts) != 3 || key == nil {
		return "", "", false
	}
	want := sign(*key, parts[0], parts[1], user)
	return parts[0], parts[1], subtle.ConstantTimeCompare([]byte(parts[2]), []byte(want)) == 1
}

func sign(key []byte, id, connection, user string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "\x00" + connection + "\x00" + user)) // it never returns an error
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// comesBack reports whether the client of a connection that has ended may go on with its session.
func comesBack(why roomcast.EndReason, code int) bool {
	switch why {
	case roomcast.EndClient:
		return code != roomcast.CloseNormal && code != roomcast.CloseGoingAway && code != roomcast.CloseNoStatus // it is through, or its page is closed
	case roomcast.EndServer:
		return protocol.CloseCode(code).Retry() != protocol.RetryNever
	case roomcast.EndRejected, roomcast.EndProtocol, roomcast.EndInvalidUTF8, roomcast.EndTooBig:
		return false
	default:
		return true
	}
}

// depart is what is left to do for the session of a client that has gone.
func (h *Hub) depart(c *client, code int) {
	var stays time.Duration
	if comesBack(c.conn.Why(), code) {
		stays = h.config.SessionTTL
	}
	c.mu.Lock() // nobody is about to put it into a room
	defer c.mu.Unlock()
	h.roster.detach(c, stays, h.over)
}

// over ends a session for which nobody is connected.
func (h *Hub) over(s *session) {
	h.telling.Lock()
	defer h.telling.Unlock()
	if h.roster.drop(s) && h.roster.node != "" {
		h.config.Engine.Present(roomcast.Member{ID: s.id, Gone: true})
	}
}

// announce tells the other nodes how a session is now.
func (h *Hub) announce(s *session) {
	if h.roster.node == "" {
		return
	}
	h.telling.Lock()
	defer h.telling.Unlock()
	if m, ours := h.roster.member(s); ours {
		h.config.Engine.Present(m)
	}
}

// resume makes the client go on with a session that it had on another connection: it is in its rooms again, and gets what it has missed there.
func (c *client) resume(r protocol.Request) (answer []byte, _ *refusal) {
	if c.hub.key.Load() == nil {
		return nil, refuse(protocol.Unavailable, "it cannot be told yet whether the resume token is genuine; repeat it later")
	}
	id, connection, ok := c.hub.genuine(r.Resume, c.user)
	if !ok {
		return nil, refuse(protocol.Forbidden, "the resume token is of another user, another cluster, or invented; join the rooms instead")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h, fresh := c.hub, c.self.Load()
	if h.roster.busy(fresh) {
		return nil, refuse(protocol.BadRequest, "this connection is in a room already; resume comes before any join")
	}
	h.telling.Lock()
	s, rooms, before, found := h.roster.claim(c, id, connection)
	if h.roster.node != "" && s != fresh {
		h.config.Engine.Present(roomcast.Member{ID: fresh.id, Gone: true})
	}
	h.telling.Unlock()
	if before != nil {
		before.end(protocol.CloseSuperseded, "the session goes on in another connection")
	}
	h.announce(s) // at once: until then it is the other node's, if there is one
	positions := make(map[string]roomcast.Position, len(r.Positions))
	for _, p := range r.Positions {
		positions[p.Room] = roomcast.Position(p.Position)
	}
	for room, g := range rooms {
		since, listed := positions[room]
		err := c.restore(room, g, since, listed)
		if errors.Is(err, roomcast.ErrClosed) {
			break // this connection has ended as well: the session waits in its rooms for the next
		}
		if err != nil {
			h.roster.exit(c, room)
		}
	}
	h.announce(s)
	return protocol.AppendResumed(nil, r.ID, protocol.Resumed{Resumed: found, Session: s.id, Connection: s.connection, Resume: h.tokenOf(s)}), nil
}

var errForbidden = errors.New("hub: the token does not allow it")

// restore makes the client a member again of a room that its session is in, from where on it wants what it has missed if that is listed. c.mu is held.
func (c *client) restore(room string, g grip, since roomcast.Position, listed bool) error {
	if g.by == byItself && !c.pass.Allows(auth.Join, room) {
		return errForbidden
	}
	g.watches = g.watches && c.pass.Allows(auth.Presence, room)
	return c.conn.JoinFrom(room, roomcast.Joining{Since: since, Greet: func(at roomcast.Position, recovered bool) roomcast.Message {
		c.hub.roster.enter(c, room, g)
		placed := protocol.Placed{Position: protocol.Position(at), Since: listed, Recovered: recovered}
		return roomcast.Message{Data: protocol.AppendJoined(nil, room, placed)}
	}})
}
