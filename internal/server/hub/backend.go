package hub

import (
	"errors"
	"slices"
	"strings"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// Post is what the backend sends.
type Post struct {
	Payload protocol.Payload // JSON has been checked to be JSON
	User    string           // in whose name; empty means nobody's
	Key     string           // what the message is the latest of, for rooms that keep the latest only; empty means the user
	Except  []Target         // who is left out, of those in the room
}

func (p Post) sender() protocol.Sender { return protocol.Sender{User: p.User} }

// Publish sends to a room, and counts the members that it waits for, and those that were too slow for it. The only error is that of
// the room's name, roomcast.ErrRoomName.
func (h *Hub) Publish(room string, p Post) (roomcast.Receipt, error) {
	if err := h.rooms.CheckRoom(room); err != nil {
		return roomcast.Receipt{}, err
	}
	var except []*roomcast.Conn
	for _, t := range p.Except {
		for _, c := range h.clients.find(t) {
			except = append(except, c.conn)
		}
	}
	event := protocol.AppendMessage(nil, room, p.sender(), p.Payload)
	key := p.Key
	if key == "" {
		key = p.User
	}
	return h.rooms.Publish(room, roomcast.Publication{Messages: []roomcast.Message{{Data: event}}, Except: except, Key: key})
}

// PublishTo sends a direct message to the clients that t means, and counts them likewise. found is false if there are none.
func (h *Hub) PublishTo(t Target, p Post) (receipt roomcast.Receipt, found bool) {
	clients := h.clients.find(t)
	event := roomcast.Message{Data: protocol.AppendDirect(nil, p.sender(), p.Payload)}
	for _, c := range clients {
		switch err := c.conn.Send(event); {
		case err == nil:
			receipt.Delivered++
		case errors.Is(err, roomcast.ErrOutboxFull):
			receipt.Failed++
		}
	}
	return receipt, len(clients) > 0
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
	names := slices.DeleteFunc(h.rooms.Rooms(), func(name string) bool { return name <= after || !match(name) })
	names, more := pageOf(names, strings.Compare, limit)
	for _, name := range names {
		if _, n := h.rooms.Sample(name, 0); n > 0 { // else its last one has just gone
			page = append(page, Room{name, n})
		}
	}
	if more {
		next = names[len(names)-1]
	}
	return page, next
}

// Client is one connection, as the backend sees it.
type Client struct {
	Connection string
	Session    string
	User       string // empty if nobody is authenticated
	Address    string // the client's host:port
}

func (c *client) describe() Client {
	return Client{Connection: c.id, Session: c.session, User: c.user, Address: c.conn.RemoteAddr()}
}

// Client returns one client and the names of the rooms it is in, in the order of their bytes. found is false if there is none.
func (h *Hub) Client(connection string) (_ Client, rooms []string, found bool) {
	clients := h.clients.find(Target{Connection: connection})
	if len(clients) == 0 {
		return Client{}, nil, false
	}
	rooms = clients[0].conn.Rooms()
	slices.Sort(rooms)
	return clients[0].describe(), rooms, true
}

// Members returns the clients in a room in the order of their connections, from the first behind after on: limit of them at most. next is
// behind which others follow, empty if none do, and total how many there are in all.
func (h *Hub) Members(room, after string, limit int) (page []Client, next string, total int) {
	var clients []*client
	for _, conn := range h.rooms.Members(room) {
		if c, ok := conn.Value().(*client); ok {
			clients = append(clients, c)
		}
	}
	total = len(clients)
	page, next = describe(clients, after, limit)
	return page, next, total
}

// Clients returns the clients that t means, or all if it is empty, in the same way.
func (h *Hub) Clients(t Target, after string, limit int) (page []Client, next string, total int) {
	clients := h.clients.find(t)
	if t == (Target{}) {
		clients = h.clients.all()
	}
	total = len(clients)
	page, next = describe(clients, after, limit)
	return page, next, total
}

func describe(clients []*client, after string, limit int) (page []Client, next string) {
	clients = slices.DeleteFunc(clients, func(c *client) bool { return c.id <= after })
	clients, more := pageOf(clients, func(a, b *client) int { return strings.Compare(a.id, b.id) }, limit)
	for _, c := range clients {
		page = append(page, c.describe())
	}
	if more {
		next = clients[len(clients)-1].id
	}
	return page, next
}

// pageOf returns the first of all in their order, and whether there are others. It changes the order of all.
func pageOf[T any](all []T, compare func(a, b T) int, limit int) (page []T, more bool) {
	slices.SortFunc(all, compare)
	if len(all) > limit {
		return all[:limit], true
	}
	return all, false
}

// Join puts the clients that t means into the room, and tells each. It returns how many are in it now who were not before; the error is the first of
// roomcast.ErrRoomName and roomcast.ErrTooManyRooms, and the others are in all the same.
func (h *Hub) Join(t Target, room string) (joined int, err error) {
	for _, c := range h.clients.find(t) {
		switch entered, failed := c.enter(room, byBackend, protocol.AppendJoined(nil, room, protocol.Placed{})); {
		case entered:
			joined++
		case failed != nil && !errors.Is(failed, roomcast.ErrClosed) && err == nil:
			err = failed
		}
	}
	return joined, err
}

// Leave takes the clients that t means out of the room, and tells each, with a reason for people. It returns how many were in it.
func (h *Hub) Leave(t Target, room, reason string) (left int) {
	for _, c := range h.clients.find(t) {
		if c.exit(room, byBackend, protocol.AppendLeft(nil, room, reason)) {
			left++
		}
	}
	return left
}

// Disconnect closes the connections that t means with 3003, and a reason of at most 123 bytes. It returns how many there were.
func (h *Hub) Disconnect(t Target, reason string) int {
	clients := h.clients.find(t)
	for _, c := range clients {
		c.end(protocol.CloseKicked, reason)
	}
	return len(clients)
}
