package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	} else if answer != nil {
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
	case protocol.Resume:
		refused = refuse(protocol.UnknownType, "sessions end with their connection here; join the rooms")
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
	switch _, err := c.enter(room, byItself, protocol.AppendAck(nil, r.ID, 0)); {
	case err == nil, errors.Is(err, roomcast.ErrClosed): // nobody reads the answer
		return nil
	case errors.Is(err, roomcast.ErrTooManyRooms):
		return refuse(protocol.TooManyRooms, "this connection is in %d rooms, the most it may be in; leave one first", c.hub.config.Rooms.MaxRoomsPerConn)
	default:
		return refuse(protocol.Internal, "%v", err)
	}
}

// maySend reports why r, which is a send, is not done.
func (c *client) maySend(r protocol.Request) *refusal {
	if !c.in(r.Room) {
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
	event := roomcast.Message{Data: protocol.AppendDirect(nil, c.sender(), r.Payload)}
	reached := 0
	for _, other := range c.hub.clients.find(Target{Connection: r.To.Connection, User: r.To.User}) {
		if other.conn.Send(event) == nil {
			reached++
		}
	}
	if reached == 0 {
		return refuse(protocol.NotFound, "nobody is connected as %q", r.To.Connection+r.To.User)
	}
	return nil
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
	var everybody []protocol.Sender
	users := map[string]bool{}
	for _, conn := range c.hub.rooms.Members(r.Room) {
		if other, ok := conn.Value().(*client); ok {
			everybody = append(everybody, other.sender())
			users[cmp.Or(other.user, "\x00"+other.id)] = true
		}
	}
	slices.SortFunc(everybody, func(a, b protocol.Sender) int { return strings.Compare(a.Connection, b.Connection) })
	page := protocol.Members{Count: len(everybody), Users: len(users), Listed: everybody}
	first := 0
	for first < len(everybody) && everybody[first].Connection <= r.After {
		first++
	}
	if page.Listed = everybody[first:]; len(page.Listed) > r.Limit {
		page.Listed = page.Listed[:r.Limit]
		page.Next = page.Listed[r.Limit-1].Connection
	}
	return protocol.AppendMembers(nil, r.ID, r.Room, page), nil
}
