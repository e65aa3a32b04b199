package api

import (
	"context"
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/hub"
)

// maxReason is what a Close frame takes (RFC 6455, section 5.5).
const maxReason = 123

// ConnectionList is a page of connections.
type ConnectionList struct {
	Connections []Connection `json:"connections" nullable:"false" doc:"In the order of their ids."`
	Total       int          `json:"total" doc:"How many there are, those on other pages included."`
	Next        string       `json:"next,omitempty" doc:"What to give as after for the next page; left out if there is none."`
}

// ConnectionState is a connection and its rooms.
type ConnectionState struct {
	Connection
	Rooms []string `json:"rooms" nullable:"false" doc:"The rooms it is in, in the order of the bytes of their names."`
}

// Joined is what came of a join.
type Joined struct {
	Joined int `json:"joined" doc:"How many connections are in the room now that were not before."`
}

// Left is what came of a leave.
type Left struct {
	Left int `json:"left" doc:"How many connections were in the room and are not any more."`
}

// Disconnected is what came of a disconnect.
type Disconnected struct {
	Disconnected int `json:"disconnected" doc:"How many connections were closed."`
}

type listInput struct {
	User string `query:"user" doc:"Only the connections of this user." example:"ann"`
	Page
}

type connectionInput struct {
	Connection string `path:"connection" doc:"Id of the connection." example:"c7Qm2x"`
}

// ConnectionRoom is a connection and a room, in a path.
type ConnectionRoom struct {
	Connection string `path:"connection" doc:"Id of the connection." example:"c7Qm2x"`
	Room       string `path:"room" doc:"Name of the room." example:"kitchen"`
}

// UserRoom is a user and a room, in a path.
type UserRoom struct {
	User string `path:"user" doc:"The user: sub of the tokens." example:"ann"`
	Room string `path:"room" doc:"Name of the room." example:"kitchen"`
}

// Reason is why something is done to a client.
type Reason struct {
	Reason string `query:"reason" doc:"Why, for people: the client is told. At most 123 bytes." example:"the kitchen is closed"`
}

type connectionLeaveInput struct {
	ConnectionRoom
	Reason
}

type userLeaveInput struct {
	UserRoom
	Reason
}

type connectionEndInput struct {
	Connection string `path:"connection" doc:"Id of the connection." example:"c7Qm2x"`
	Reason
}

type userEndInput struct {
	User string `path:"user" doc:"The user: sub of the tokens." example:"ann"`
	Reason
}

// check reports what is wrong with a reason.
func (r Reason) check() *huma.ErrorModel {
	switch {
	case len(r.Reason) > maxReason:
		return invalid("query.reason", r.Reason, "it has %d bytes; give it at most %d", len(r.Reason), maxReason)
	case !utf8.ValidString(r.Reason):
		return invalid("query.reason", nil, "%q is not UTF-8: escape its UTF-8 bytes", r.Reason)
	}
	return nil
}

func (a *API) list(_ context.Context, in *listInput) (ConnectionList, error) {
	if in.User != "" {
		if fault := checkUser("query.user", in.User); fault != nil {
			return ConnectionList{}, fault
		}
	}
	page, next, total := a.hub.Clients(hub.Target{User: in.User}, in.After, in.Limit)
	return ConnectionList{Connections: connectionsOf(page), Total: total, Next: next}, nil
}

func (a *API) connection(_ context.Context, in *connectionInput) (ConnectionState, error) {
	c, rooms, found := a.hub.Client(in.Connection)
	if !found {
		return ConnectionState{}, noConnection(in.Connection)
	}
	return ConnectionState{Connection: connectionOf(c), Rooms: append([]string{}, rooms...)}, nil
}

// check reports what is wrong with a target of a path, which is a user or a connection: a user who is not there is nothing wrong.
func (a *API) check(t hub.Target) *huma.ErrorModel {
	if t.Connection == "" {
		return checkUser("path.user", t.User)
	}
	if _, _, found := a.hub.Client(t.Connection); !found {
		return noConnection(t.Connection)
	}
	return nil
}

func (a *API) join(t hub.Target, room string) (Joined, error) {
	if fault := first(a.checkRoom("path.room", room), a.check(t)); fault != nil {
		return Joined{}, fault
	}
	n, err := a.hub.Join(t, room)
	switch {
	case errors.Is(err, roomcast.ErrTooManyRooms):
		return Joined{}, problem(http.StatusConflict, "", nil,
			"room %q: %d connections have joined, but another one is in as many rooms as it may be; take it out of one first", room, n)
	case err != nil:
		return Joined{}, unavailable(err)
	}
	return Joined{n}, nil
}

func (a *API) leave(t hub.Target, room string, why Reason) (Left, error) {
	if fault := first(a.checkRoom("path.room", room), why.check(), a.check(t)); fault != nil {
		return Left{}, fault
	}
	n, err := a.hub.Leave(t, room, why.Reason)
	if err != nil {
		return Left{}, unavailable(err)
	}
	return Left{n}, nil
}

func (a *API) disconnect(t hub.Target, why Reason) (Disconnected, error) {
	if fault := first(why.check(), a.check(t)); fault != nil {
		return Disconnected{}, fault
	}
	n, err := a.hub.Disconnect(t, why.Reason)
	if err != nil {
		return Disconnected{}, unavailable(err)
	}
	if n > 0 {
		a.log.Info("disconnected by the backend", "connection", t.Connection, "user", t.User, "reason", why.Reason, "connections", n)
	}
	return Disconnected{n}, nil
}

// first returns the first fault that is one.
func first(faults ...*huma.ErrorModel) *huma.ErrorModel {
	for _, f := range faults {
		if f != nil {
			return f
		}
	}
	return nil
}

// connections adds the operations on connections and users.
func (a *API) connections(described huma.API) {
	register(described, operation{
		id: "list-connections", method: http.MethodGet, path: "/v1/connections", tag: tagConnections, summary: "List connections",
		description: "All connections, of a cluster those of all servers, or those of one user. One that broke a moment ago is among them while its session waits.",
		example:     `{"connections":[` + exampleConnection + `],"total":1}`,
	}, a.list)
	register(described, operation{
		id: "get-connection", method: http.MethodGet, path: "/v1/connections/{connection}", tag: tagConnections, summary: "Look at a connection",
		description: "One connection, and the rooms it is in.", errors: []int{http.StatusNotFound},
		example: `{"connection":"c7Qm2x","session":"s9fKw3Vb","user":"ann","address":"203.0.113.7:51234","rooms":["kitchen"]}`,
	}, a.connection)
	a.connectionActions(described)
	a.userActions(described)
}

func (a *API) connectionActions(described huma.API) {
	register(described, operation{
		id: "join-connection", method: http.MethodPut, path: "/v1/connections/{connection}/rooms/{room}", tag: tagConnections,
		summary: "Put a connection into a room", description: joinDescription, errors: []int{http.StatusNotFound, http.StatusConflict}, example: `{"joined":1}`,
	}, func(_ context.Context, in *ConnectionRoom) (Joined, error) {
		return a.join(hub.Target{Connection: in.Connection}, in.Room)
	})
	register(described, operation{
		id: "leave-connection", method: http.MethodDelete, path: "/v1/connections/{connection}/rooms/{room}", tag: tagConnections,
		summary: "Take a connection out of a room", description: leaveDescription, errors: []int{http.StatusNotFound}, example: `{"left":1}`,
	}, func(_ context.Context, in *connectionLeaveInput) (Left, error) {
		return a.leave(hub.Target{Connection: in.Connection}, in.Room, in.Reason)
	})
	register(described, operation{
		id: "disconnect-connection", method: http.MethodDelete, path: "/v1/connections/{connection}", tag: tagConnections,
		summary: "Disconnect a connection", description: endDescription, errors: []int{http.StatusNotFound}, example: `{"disconnected":1}`,
	}, func(_ context.Context, in *connectionEndInput) (Disconnected, error) {
		return a.disconnect(hub.Target{Connection: in.Connection}, in.Reason)
	})
}

func (a *API) userActions(described huma.API) {
	register(described, operation{
		id: "join-user", method: http.MethodPut, path: "/v1/users/{user}/rooms/{room}", tag: tagUsers,
		summary:     "Put a user into a room",
		description: "Every connection that the user has now. " + joinDescription, errors: []int{http.StatusConflict}, example: `{"joined":2}`,
	}, func(_ context.Context, in *UserRoom) (Joined, error) {
		return a.join(hub.Target{User: in.User}, in.Room)
	})
	register(described, operation{
		id: "leave-user", method: http.MethodDelete, path: "/v1/users/{user}/rooms/{room}", tag: tagUsers,
		summary: "Take a user out of a room", description: "Every connection of the user. " + leaveDescription, example: `{"left":2}`,
	}, func(_ context.Context, in *userLeaveInput) (Left, error) {
		return a.leave(hub.Target{User: in.User}, in.Room, in.Reason)
	})
	register(described, operation{
		id: "disconnect-user", method: http.MethodDelete, path: "/v1/users/{user}/connections", tag: tagUsers,
		summary: "Disconnect a user", description: "Every connection of the user. " + endDescription, example: `{"disconnected":2}`,
	}, func(_ context.Context, in *userEndInput) (Disconnected, error) {
		return a.disconnect(hub.Target{User: in.User}, in.Reason)
	})
}

const (
	joinDescription  = "The client is told by the notice joined. Who is in the room already stays in it and is not told."
	leaveDescription = "The client is told by the notice left, with the reason. Who is not in the room is not told."
	endDescription   = "It is closed with 3003 and the reason; clients of the protocol do not come back by themselves."
)
