package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/pattern"
	"github.com/roomcast/roomcast/internal/server/hub"
)

// Page is which part of a list is asked for.
type Page struct {
	After string `query:"after" doc:"The next of the page before."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most."`
}

// Room is a room with somebody in it.
type Room struct {
	Name    string `json:"name" doc:"Its name."`
	Members int    `json:"members" doc:"How many connections are in it."`
}

// RoomList is a page of rooms.
type RoomList struct {
	Rooms []Room `json:"rooms" nullable:"false" doc:"In the order of the bytes of their names."`
	Next  string `json:"next,omitempty" doc:"What to give as after for the next page; left out if there is none."`
}

// Connection is a client.
type Connection struct {
	Connection string `json:"connection" doc:"Its id, the connection in hello."`
	Session    string `json:"session" doc:"The id of its session."`
	User       string `json:"user,omitempty" doc:"Whom its token names; left out if nobody is authenticated."`
	Address    string `json:"address" doc:"The client's address and port, as the server sees them."`
	Node       string `json:"node,omitempty" doc:"The server it is connected to, or was a moment ago; left out if there is only one."`
}

func connectionOf(c hub.Client) Connection {
	return Connection{Connection: c.Connection, Session: c.Session, User: c.User, Address: c.Address, Node: c.Node}
}

func connectionsOf(clients []hub.Client) []Connection {
	all := make([]Connection, len(clients)) // not nil: a list that is empty is [] in JSON
	for i, c := range clients {
		all[i] = connectionOf(c)
	}
	return all
}

// MemberList is a page of the members of a room.
type MemberList struct {
	Members []Connection `json:"members" nullable:"false" doc:"In the order of their ids."`
	Total   int          `json:"total" doc:"How many connections are in the room, those on other pages included."`
	Next    string       `json:"next,omitempty" doc:"What to give as after for the next page; left out if there is none."`
}

type roomsInput struct {
	Pattern string `query:"pattern" maxLength:"512" doc:"Which names: * stands for any characters but a slash, ** for any, \\ takes the next as it is. Without, all." example:"orders/*"`
	Page
}

type membersInput struct {
	Room string `path:"room" doc:"Name of the room." example:"kitchen"`
	Page
}

// rooms adds the operations that tell about rooms.
func (a *API) rooms(described huma.API) {
	register(described, operation{
		id: "list-rooms", method: http.MethodGet, path: "/v1/rooms", tag: tagRooms, summary: "List rooms",
		description: "The rooms that have a member, and how many. Rooms come and go between two pages; none that was there all the time is left out or comes twice.",
		example:     `{"rooms":[{"name":"kitchen","members":2},{"name":"orders/7","members":1}],"next":"orders/7"}`,
	}, a.listRooms)
	register(described, operation{
		id: "list-members", method: http.MethodGet, path: "/v1/rooms/{room}/members", tag: tagRooms, summary: "List the members of a room",
		description: "The connections that are in a room. A room that nobody is in has none.",
		example:     `{"members":[` + exampleConnection + `],"total":1}`,
	}, a.listMembers)
}

func (a *API) listRooms(_ context.Context, in *roomsInput) (RoomList, error) {
	match := func(string) bool { return true }
	if in.Pattern != "" {
		p, err := pattern.Compile(in.Pattern)
		if err != nil {
			return RoomList{}, invalid("query.pattern", in.Pattern, "%v", err)
		}
		match = p.Match
	}
	page, next := a.hub.Rooms(match, in.After, in.Limit)
	list := RoomList{Rooms: make([]Room, len(page)), Next: next}
	for i, room := range page {
		list.Rooms[i] = Room(room)
	}
	return list, nil
}

func (a *API) listMembers(_ context.Context, in *membersInput) (MemberList, error) {
	if fault := a.checkRoom("path.room", in.Room); fault != nil {
		return MemberList{}, fault
	}
	page, next, total := a.hub.Members(in.Room, in.After, in.Limit)
	return MemberList{Members: connectionsOf(page), Total: total, Next: next}, nil
}
