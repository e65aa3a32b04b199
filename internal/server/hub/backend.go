package hub

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// Post is what the backend sends.
type Post struct {
	Payload protocol.Payload // JSON has been checked to be JSON
	User    string           // in whose name; empty means nobody's
	Key     string           // what the message is the latest of, for rooms that keep the latest only; empty means the user
	Except  []Target         // who is left out, of those in the room
	Once    string           // an idempotency key that counts for the backend on all nodes, if the room keeps a history; empty means none
}

func (p Post) sender() protocol.Sender { return protocol.Sender{User: p.User} }

// Publish sends to a room, and counts the members of this node that it waits for, and those that were too slow for it. The error is that of
// the room's name, roomcast.ErrRoomName, or of the engine, such as roomcast.ErrUnavailable.
func (h *Hub) Publish(room string, p Post) (roomcast.Receipt, error) {
	if err := h.rooms.CheckRoom(room); err != nil {
		return roomcast.Receipt{}, err
	}
	var except []string
	for _, t := range p.Except {
		for _, s := range h.roster.find(t) {
			except = append(except, s.id)
		}
	}
	key := p.Key
	if key == "" {
		key = p.User
	}
	body := roomcast.Message{Data: protocol.AppendBody(nil, p.sender(), p.Payload)}
	return h.rooms.Publish(room, roomcast.Publication{Messages: []roomcast.Message{body}, Sessions: except, Key: key, Once: onceOf("backend", "", p.Once)})
}

// PublishTo sends a direct message to the clients that t means, on any node, and counts them likewise. found is false if there are none. The error is
// that it is delivered to nobody, and a node has not answered: one that has died is asked until its sessions are over.
func (h *Hub) PublishTo(t Target, p Post) (receipt roomcast.Receipt, found bool, err error) {
	o, err := h.everywhere(t, command{Do: doSend, Event: protocol.AppendDirect(nil, p.sender(), p.Payload)})
	return roomcast.Receipt{Delivered: o.Delivered, Failed: o.Failed}, o.Delivered+o.Failed > 0, err
}

// Room is a room with somebody in it.
type Room struct {
	Name    string
	Members int
}

// CheckRoom reports why a name is none that a room can have: roomcast.ErrRoomName.
func (h *Hub) CheckRoom(name string) error { return h.rooms.CheckRoom(name) }

// Rooms returns the rooms whose names match, in the order of their bytes, from the first behind after on: limit of them at most. next is
// behind which others follow, empty if none do.
func (h *Hub) Rooms(match func(name string) bool, after string, limit int) (page []Room, next string) {
	rooms := slices.DeleteFunc(h.roster.names(), func(r Room) bool { return r.Name <= after || !match(r.Name) })
	page, more := pageOf(rooms, func(a, b Room) int { return strings.Compare(a.Name, b.Name) }, limit)
	if more {
		next = page[len(page)-1].Name
	}
	return page, next
}

// Client is one client, as the backend sees it. It may be away for a moment.
type Client struct {
	Connection string
	Session    string
	User       string // empty if nobody is authenticated
	Address    string // the client's host:port
	Node       string // that it is, or was, connected to; empty if there is only one
}

// Client returns one client and the names of the rooms it is in, in the order of their bytes. found is false if there is none.
func (h *Hub) Client(connection string) (_ Client, rooms []string, found bool) {
	sessions := h.roster.find(Target{Connection: connection})
	if len(sessions) == 0 {
		return Client{}, nil, false
	}
	c, rooms := h.roster.describe(sessions[0])
	return c, rooms, true
}

// Members returns the clients in a room in the order of their connections, from the first behind after on: limit of them at most. next is
// behind which others follow, empty if none do, and total how many there are in all.
func (h *Hub) Members(room, after string, limit int) (page []Client, next string, total int) {
	sessions, next, total, _ := h.roster.page(room, after, limit)
	return h.describe(sessions), next, total
}

// Clients returns the clients that t means, or all if it is empty, in the same way.
func (h *Hub) Clients(t Target, after string, limit int) (page []Client, next string, total int) {
	sessions := h.roster.find(t)
	if t == (Target{}) {
		sessions = h.roster.all()
	}
	total = len(sessions)
	sessions = slices.DeleteFunc(sessions, func(s *session) bool { return s.connection <= after })
	sessions, more := pageOf(sessions, byConnection, limit)
	if more {
		next = sessions[len(sessions)-1].connection
	}
	return h.describe(sessions), next, total
}

func (h *Hub) describe(sessions []*session) (page []Client) {
	for _, s := range sessions {
		c, _ := h.roster.describe(s)
		page = append(page, c)
	}
	return page
}

// pageOf returns the first of all in their order, and whether there are others. It changes the order of all.
func pageOf[T any](all []T, compare func(a, b T) int, limit int) (page []T, more bool) {
	slices.SortFunc(all, compare)
	if len(all) > limit {
		return all[:limit], true
	}
	return all, false
}

// Join puts the clients that t means into the room, and tells each; who is away at the moment is told when it comes back. It returns how many are in it
// now who were not before; the error is the first of
// roomcast.ErrRoomName, roomcast.ErrTooManyRooms and roomcast.ErrUnavailable, and the others are in all the same.
func (h *Hub) Join(t Target, room string) (joined int, err error) {
	if err := h.rooms.CheckRoom(room); err != nil {
		return 0, err
	}
	o, err := h.everywhere(t, command{Do: doJoin, Room: room})
	switch {
	case o.TooMany:
		err = fmt.Errorf("%w: %s", roomcast.ErrTooManyRooms, strings.TrimPrefix(o.Refused, roomcast.ErrTooManyRooms.Error()+": "))
	case o.Refused != "":
		err = fmt.Errorf("%w: %s", roomcast.ErrUnavailable, o.Refused)
	}
	return o.Done, err
}

// Leave takes the clients that t means out of the room, and tells each, with a reason for people; who is away at the moment is told when it comes
// back. It returns how many were in it. The error is that a node has not answered.
func (h *Hub) Leave(t Target, room, reason string) (left int, err error) {
	o, err := h.everywhere(t, command{Do: doLeave, Room: room, Reason: reason})
	return o.Done, err
}

// Disconnect closes the connections that t means with 3003, and a reason of at most 123 bytes. It returns how many there were. The error is that a
// node has not answered.
func (h *Hub) Disconnect(t Target, reason string) (int, error) {
	o, err := h.everywhere(t, command{Do: doDisconnect, Reason: reason})
	return o.Done, err
}

// RevokeUser is admission.Desk.RevokeUser on all nodes. That a node has not answered is an error too: the others have done it then.
func (h *Hub) RevokeUser(user string, issuedBefore time.Time) (ended int, err error) {
	if issuedBefore.IsZero() {
		issuedBefore = time.Now() // of one clock for all
	}
	return h.revoke(command{Do: doRevokeUser, Name: user, When: issuedBefore})
}

// RevokeToken is admission.Desk.RevokeToken likewise.
func (h *Hub) RevokeToken(id string, until time.Time) (ended int, err error) {
	return h.revoke(command{Do: doRevokeToken, Name: id, When: until})
}

func (h *Hub) revokeHere(cmd command) (ended int, err error) {
	if cmd.Do == doRevokeUser {
		return h.desk.RevokeUser(cmd.Name, cmd.When)
	}
	return h.desk.RevokeToken(cmd.Name, cmd.When)
}

func (h *Hub) revoke(cmd command) (ended int, err error) {
	ended, err = h.revokeHere(cmd)
	if err != nil || h.roster.node == "" {
		return ended, err
	}
	others := slices.DeleteFunc(h.roster.others(), func(node string) bool { return h.config.Server(node) == h.config.Server(h.roster.node) })
	outcomes, err := h.askIn(allNodes, others, cmd)
	for _, o := range outcomes {
		if ended += o.Done; o.Refused != "" && err == nil {
			err = fmt.Errorf("%w: node %q: %s", roomcast.ErrUnavailable, o.Node, o.Refused)
		}
	}
	return ended, err
}
