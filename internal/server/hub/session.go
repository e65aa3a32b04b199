package hub

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// A resume token says which session its bearer has, and that a server of this cluster has said so: session.connection.turn.signature. Whose it
// is, is signed too. It is good for ever, as the name of one's own; what it opens is over soon after the connection. The turn is there for
// a node that has not heard of the session lately: the client that was given the latest token is the one that has it.

// ticket is what a resume token says.
type ticket struct {
	id, connection string // of the session
	turn           uint64 // session.turn when it was given
}

// tokenOf returns the resume token of a session, "" if there can be none.
func (h *Hub) tokenOf(s *session) string {
	key := h.key.Load()
	if h.config.SessionTTL == 0 || key == nil {
		return ""
	}
	t := ticket{s.id, s.connection, h.roster.turn(s)}
	return t.String() + "." + t.sign(*key, s.user)
}

// genuine returns what a resume token says; ok is false if none of us has given it to the user.
func (h *Hub) genuine(token, user string) (t ticket, ok bool) {
	parts := strings.Split(token, ".")
	key := h.key.Load()
	if len(parts) != 4 || key == nil {
		return ticket{}, false
	}
	turn, err := strconv.ParseUint(parts[2], 36, 64)
	t = ticket{parts[0], parts[1], turn}
	return t, err == nil && subtle.ConstantTimeCompare([]byte(parts[3]), []byte(t.sign(*key, user))) == 1
}

func (t ticket) String() string {
	return t.id + "." + t.connection + "." + strconv.FormatUint(t.turn, 36)
}

func (t ticket) sign(key []byte, user string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(t.String() + "\x00" + user)) // it never returns an error
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
	h.settle(c.self.Load()) // the client may come back to another node
}

// over ends a session for which nobody is connected.
func (h *Hub) over(s *session) {
	h.telling.Lock()
	defer h.telling.Unlock()
	if h.roster.drop(s) {
		h.gone(s)
	}
}

// gone tells the other nodes that a session is over. h.telling is held.
func (h *Hub) gone(s *session) {
	if h.roster.node != "" {
		h.config.Engine.Present(roomcast.Member{ID: s.id, Gone: true})
	}
}

// strayTimeout is after what time a node that has a session has said so again, if another one has claimed it.
const strayTimeout = 5 * time.Second

// retract takes back what this node has said of a session before it knew that it had gone to another one: that may have ended it meanwhile, and then nobody else
// would.
func (h *Hub) retract(m roomcast.Member) {
	select {
	case <-time.After(strayTimeout): // if it has not ended it, that one says so first
	case <-h.ctx.Done():
		return
	}
	h.telling.Lock()
	defer h.telling.Unlock()
	if h.roster.stray(m) {
		h.gone(&session{id: m.ID})
	}
}

// What is told of a session at once, and how long others are not told of it again for each byte of what they were told: whoever is in very many rooms, and
// joins and leaves as fast as may be, costs no more than anybody else.
const (
	toldAtOnce  = 1 << 10
	toldPerByte = time.Microsecond
)

// announce tells the other nodes how a session is now. If it is large and they have just been told, that is a little later.
func (h *Hub) announce(s *session) {
	if h.roster.node == "" {
		return
	}
	h.telling.Lock()
	defer h.telling.Unlock()
	switch wait := time.Until(s.quiet); {
	case wait <= 0:
		h.tell(s)
	case s.untold == nil:
		s.untold = time.AfterFunc(wait, func() { h.settle(s) })
	}
}

// announceNow tells them at once.
func (h *Hub) announceNow(s *session) {
	h.telling.Lock()
	defer h.telling.Unlock()
	h.tell(s)
}

// settle tells them what they have not been told yet.
func (h *Hub) settle(s *session) {
	h.telling.Lock()
	defer h.telling.Unlock()
	if s.untold != nil {
		h.tell(s)
	}
}

// tell does that. h.telling is held.
func (h *Hub) tell(s *session) {
	if h.roster.node == "" {
		return
	}
	if s.untold != nil {
		s.untold.Stop()
		s.untold = nil
	}
	m, ours := h.roster.member(s)
	if !ours {
		return
	}
	h.config.Engine.Present(m)
	if len(m.Info) > toldAtOnce {
		s.quiet = time.Now().Add(time.Duration(len(m.Info)) * toldPerByte)
	}
}

// resume makes the client go on with a session that it had on another connection: it is in its rooms again, and gets what it has missed there.
func (c *client) resume(r protocol.Request) (answer []byte, _ *refusal) {
	if c.hub.config.SessionTTL > 0 && c.hub.key.Load() == nil {
		return nil, refuse(protocol.Unavailable, "this server has just begun and does not know the key of resume tokens yet; repeat it later")
	}
	t, ok := c.hub.genuine(r.Resume, c.user)
	if !ok {
		return nil, refuse(protocol.Forbidden, "the resume token is of another user, another cluster, or invented; join the rooms instead")
	}
	if !c.hub.informed() {
		return nil, refuse(protocol.Unavailable, "this server has just begun and does not know all sessions yet; repeat it later")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hub
	if !c.halfway && h.roster.joinedByItself(c.self.Load()) {
		return nil, refuse(protocol.BadRequest, "this connection is in a room already; resume comes before any join")
	}
	s, rooms, found := c.claim(t)
	if s == nil { // nobody reads the answer
		return nil, nil
	}
	positions := make(map[string]roomcast.Position, len(r.Positions))
	for _, p := range r.Positions {
		positions[p.Room] = roomcast.Position(p.Position)
	}
	in := c.conn.Rooms() // since an attempt that has stopped halfway
	until := time.Now().Add(resumeTimeout)
	for room, g := range rooms {
		if slices.Contains(in, room) {
			continue
		}
		since, listed := positions[room]
		if !time.Now().Before(until) {
			c.halfway = true
			return nil, unavailable(roomcast.ErrUnavailable)
		}
		switch err := c.restore(room, g, since, listed); {
		case err == nil:
		case errors.Is(err, roomcast.ErrClosed): // nobody reads the answer; the session waits, in all its rooms
			return nil, nil
		case errors.Is(err, roomcast.ErrUnavailable), errors.Is(err, context.DeadlineExceeded): // it stays in all its rooms
			c.halfway = true
			return nil, unavailable(err)
		default:
			h.roster.exit(c, room)
		}
	}
	c.halfway = false
	evicted := h.roster.evictions(s)
	for _, room := range slices.Sorted(maps.Keys(evicted)) {
		c.say(protocol.AppendLeft(nil, room, evicted[room]))
	}
	h.announce(s)
	return protocol.AppendResumed(nil, r.ID, protocol.Resumed{Resumed: found, Session: s.id, Connection: s.connection, Resume: h.tokenOf(s)}), nil
}

// claim makes a session that the client had on another connection its own again, and returns the rooms in which it is to be restored. c.mu is held.
func (c *client) claim(t ticket) (s *session, rooms map[string]grip, found bool) {
	h, fresh := c.hub, c.self.Load()
	h.telling.Lock()
	s, rooms, before, found := h.roster.claim(c, t)
	if s != nil && s != fresh {
		h.tell(s) // until then it is the other node's, if there is one: who ends it here must not come before that
		h.gone(fresh)
	}
	h.telling.Unlock()
	if before != nil {
		before.end(protocol.CloseSuperseded, "the session goes on in another connection")
	}
	if s == nil || s == fresh {
		return s, rooms, found
	}
	for _, room := range c.conn.Rooms() {
		if _, before := rooms[room]; before { // the backend has just put it there, where it has missed something
			c.conn.Leave(room)
		}
	}
	return s, rooms, found
}

// resumeTimeout is how long it is tried to get what a client has missed in all its rooms; then it has to ask again, for what is left. Each may take some
// time, if the client says to have more of it than there is, or the engine is slow.
const resumeTimeout = 10 * time.Second

var errForbidden = errors.New("hub: the token does not allow it")

// restore makes the client a member again of a room that its session is in, from where on it wants what it has missed if that is listed. c.mu is held.
func (c *client) restore(room string, g grip, since roomcast.Position, listed bool) error {
	if g.by == byItself && !c.pass.Allows(auth.Join, room) {
		return errForbidden
	}
	g.watches, g.untold = g.watches && c.pass.Allows(auth.Presence, room), false
	err := c.conn.JoinFrom(room, roomcast.Joining{Since: since, Greet: func(at roomcast.Position, recovered bool) roomcast.Message {
		c.hub.roster.enter(c, room, g)
		placed := protocol.Placed{Position: protocol.Position(at), Since: listed, Recovered: recovered}
		return roomcast.Message{Data: protocol.AppendJoined(nil, room, placed)}
	}})
	if err == nil && g.watches { // who has come and gone meanwhile it was not told
		count, people := c.hub.roster.size(room)
		c.say(protocol.AppendPresence(nil, room, protocol.Presence{Count: count, Users: people, Truncated: true}))
	}
	return err
}
