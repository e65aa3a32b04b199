package hub

import (
	"context"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// mostTokens is how many tokens that do not count one connection may show: each is checked and logged.
const mostTokens = 10

// messages is roomcast's Messages callback: the requests that wait, in their order.
func (h *Hub) messages(conn *roomcast.Conn, messages []roomcast.Message) {
	c := conn.Value().(*client)
	b := batch{client: c}
	for _, m := range messages {
		if c.ended.Load() {
			return
		}
		c.handle(&b, m)
	}
	b.flush()
}

// handle handles one frame. What is answered at once goes behind what b has gathered.
func (c *client) handle(b *batch, m roomcast.Message) {
	if m.Binary {
		b.flush()
		c.end(protocol.CloseBadRequest, "a binary frame: send JSON in text frames, bytes as \"base64\"")
		return
	}
	r, fault := protocol.Decode(m.Data)
	if fault != nil && fault.Close != 0 {
		b.flush()
		c.end(fault.Close, fault.Error.Message)
		return
	}
	if fault != nil {
		r.ID = fault.Error.ID
	}
	if c.throttle(b, r, len(m.Data)) {
		return
	}
	if fault != nil {
		b.flush()
		c.say(protocol.AppendError(nil, fault.Error))
		return
	}
	if !c.admitted && r.Type != protocol.Token {
		c.refuse(r, refuse(protocol.Unauthorized, "this server wants a token first: {\"type\":\"token\",\"token\":\"…\"}"))
		return
	}
	if r.Type == protocol.Send {
		refused := c.maySend(r)
		if refused == nil {
			b.add(r)
			return
		}
		b.flush()
		c.refuse(r, refused)
		return
	}
	b.flush()
	answer, refused := c.do(r)
	if refused != nil {
		c.refuse(r, refused)
		return
	}
	c.answer(answer)
}

// answer says what a request is answered with, if anything.
func (c *client) answer(answer []byte) {
	if answer != nil {
		c.say(answer)
	}
}

// refusal is a request that is not done.
type refusal protocol.Error

func refuse(code protocol.ErrorCode, format string, args ...any) *refusal {
	return &refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// refuse answers r with the refusal.
func (c *client) refuse(r protocol.Request, e *refusal) {
	if e.ID = r.ID; len(r.Room) <= 4*c.hub.config.Rooms.MaxRoomNameBytes { // who sends a name of a megabyte does not get it back
		e.Room = r.Room
	}
	c.say(protocol.AppendError(nil, protocol.Error(*e)))
}

// do does what r asks for, unless it is a send, and returns the answer, nil if there is none.
func (c *client) do(r protocol.Request) (answer []byte, _ *refusal) {
	var refused *refusal
	switch r.Type {
	case protocol.Join:
		return nil, c.join(r)
	case protocol.Leave:
		c.exit(r.Room, byItself, protocol.AppendAck(nil, r.ID, 0))
		return nil, nil
	case protocol.Direct:
		refused = c.direct(r)
	case protocol.List:
		return c.members(r)
	case protocol.Read:
		return c.history(r)
	case protocol.Resume:
		return c.resume(r)
	case protocol.Token:
		return c.token(r)
	case protocol.Ping:
		return protocol.AppendPong(nil, r.ID), nil
	}
	return protocol.AppendAck(nil, r.ID, 0), refused
}

// join makes the client a member, and acks it.
func (c *client) join(r protocol.Request) *refusal {
	room := r.Room
	if err := c.hub.rooms.CheckRoom(room); err != nil { // before the token is asked about it: the remedy is another one
		return refuse(protocol.BadRoom, "%v", err)
	}
	if !c.pass.Allows(auth.Join, room) {
		return refuse(protocol.Forbidden, "the token does not allow to join this room")
	}
	if r.Presence && !c.pass.Allows(auth.Presence, room) {
		return refuse(protocol.Forbidden, "the token does not allow to see who is in this room; join without \"presence\"")
	}
	var since roomcast.Position
	if r.Since != nil {
		since = roomcast.Position(*r.Since)
	}
	_, err := c.enter(room, grip{by: byItself, watches: r.Presence}, since, func(at roomcast.Position, recovered bool) []byte {
		return protocol.AppendJoinAck(nil, r.ID, protocol.Placed{Position: protocol.Position(at), Since: r.Since != nil, Recovered: recovered})
	})
	switch {
	case err == nil, errors.Is(err, roomcast.ErrClosed): // nobody reads the answer
		return nil
	case errors.Is(err, roomcast.ErrTooManyRooms):
		return refuse(protocol.TooManyRooms, "this connection is in %d rooms, the most it may be in; leave one first", c.hub.config.Rooms.MaxRoomsPerConn)
	default:
		return unavailable(err)
	}
}

// unavailable is the refusal for an error of what lies behind the rooms.
func unavailable(err error) *refusal {
	if errors.Is(err, roomcast.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return refuse(protocol.Unavailable, "what lies behind this room is away; repeat it later")
	}
	if errors.Is(err, roomcast.ErrTooLarge) {
		return refuse(protocol.TooLarge, "%v", err)
	}
	return refuse(protocol.Internal, "%v", err)
}

// maySend reports why r, which is a send, is not done.
func (c *client) maySend(r protocol.Request) *refusal {
	if !c.hub.roster.in(c.self.Load(), r.Room) {
		return refuse(protocol.NotJoined, "not in this room; join it first")
	}
	if !c.pass.Allows(auth.Send, r.Room) {
		return refuse(protocol.Forbidden, "the token does not allow to send to this room")
	}
	if r.As == "" || r.As == c.user {
		return nil
	}
	if err := auth.CheckName(r.As); err != nil {
		return refuse(protocol.BadRequest, "\"as\" is no name of a user: %v", err)
	}
	if c.pass == nil || !c.pass.Allows(auth.PublishAs, r.Room) {
		return refuse(protocol.Forbidden, "nothing allows to send as %q here; leave out \"as\"", r.As)
	}
	return nil
}

// token takes a token: the first one, whose ack comes after hello, or a fresh one.
func (c *client) token(r protocol.Request) (answer []byte, _ *refusal) {
	if !c.hub.desk.TokenRequired() {
		if !c.admitted { // the keys have been taken away meanwhile
			c.admit(nil)
		}
		return protocol.AppendAck(nil, r.ID, c.ttl()), nil
	}
	if c.admitted && c.pass == nil {
		return nil, refuse(protocol.Forbidden, "this connection is from before the server asked for tokens; connect anew")
	}
	if refused := c.show(context.Background(), r.Token); refused != nil {
		if c.shown++; c.shown >= mostTokens {
			c.end(refused.Close, refused.Message)
		}
		return nil, refuse(refused.Code, "%s", refused.Message)
	}
	return protocol.AppendAck(nil, r.ID, c.ttl()), nil
}

// direct sends to one connection, or to all of a user.
func (c *client) direct(r protocol.Request) *refusal {
	if !c.pass.MayDirect() {
		return refuse(protocol.Forbidden, "the token does not allow direct messages")
	}
	if len(r.To.Connection) > mostTarget || len(r.To.User) > mostTarget {
		return refuse(protocol.BadRequest, "\"to\" has more than %d bytes, as no connection and no user has", mostTarget)
	}
	target := Target{Connection: r.To.Connection, User: r.To.User}
	done, err := c.hub.everywhere(target, command{Do: doSend, Event: protocol.AppendDirect(nil, c.self.Load().sender(), r.Payload)})
	switch {
	case done.Delivered > 0:
		return nil
	case err != nil:
		return unavailable(err)
	default:
		return refuse(protocol.NotFound, "nobody is connected as %q", r.To.Connection+r.To.User)
	}
}

// mostTarget is how long the name of a user may be; ids of connections are shorter.
const mostTarget = 256

// members tells who is in the room.
func (c *client) members(r protocol.Request) (answer []byte, _ *refusal) {
	if err := c.hub.rooms.CheckRoom(r.Room); err != nil {
		return nil, refuse(protocol.BadRoom, "%v", err)
	}
	if !c.pass.Allows(auth.Presence, r.Room) {
		return nil, refuse(protocol.Forbidden, "the token does not allow to see who is in this room")
	}
	page, next, count, people := c.hub.roster.page(r.Room, r.After, r.Limit)
	m := protocol.Members{Count: count, Users: people, Next: next, Listed: make([]protocol.Sender, 0, len(page))}
	for _, s := range page {
		m.Listed = append(m.Listed, s.sender())
	}
	return protocol.AppendMembers(nil, r.ID, r.Room, m), nil
}
