package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/hub"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

const (
	maxKey    = 64 // bytes
	maxOnce   = 255
	maxExcept = 100 // each is compared with every member of the room
)

// Message is what is sent to a connection or a user.
type Message struct {
	Data           json.RawMessage `json:"data,omitempty" doc:"Any JSON value, null included; it is passed on byte for byte. Either this or base64."`
	Base64         *string         `json:"base64,omitempty" encoding:"base64" doc:"Bytes, in the standard alphabet with padding. Either this or data."`
	User           string          `json:"user,omitempty" maxLength:"256" doc:"In whose name it is sent: the user in the message's from. Without, it comes from nobody."`
	IdempotencyKey string          `json:"idempotency_key,omitempty" maxLength:"255" doc:"The same publication with the same key is published once, and answered alike; the header Idempotency-Key does the same."`
}

// RoomMessage is what is sent to a room.
type RoomMessage struct {
	Message
	Key    string `json:"key,omitempty" maxLength:"64" doc:"What the message is the latest of, in rooms that keep only the latest for slow members."`
	Except Except `json:"except,omitzero" doc:"Which members do not get it."`
}

// Except is who is left out of a publication to a room.
type Except struct {
	Connections []string `json:"connections,omitempty" nullable:"false" doc:"Ids of connections."`
	Sessions    []string `json:"sessions,omitempty" nullable:"false" doc:"Ids of sessions."`
	Users       []string `json:"users,omitempty" nullable:"false" doc:"Users: every connection of each. In all three lists there may be 100 in all."`
}

// TransformSchema is huma.SchemaTransformer: it says that there is one payload.
func (Message) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema { return eitherPayload(s) }

// TransformSchema is huma.SchemaTransformer, as that of Message.
func (RoomMessage) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	return eitherPayload(s)
}

func eitherPayload(s *huma.Schema) *huma.Schema {
	s.OneOf = []*huma.Schema{{Required: []string{"data"}}, {Required: []string{"base64"}}}
	return s
}

// Receipt is what came of a publication.
type Receipt struct {
	Delivered int    `json:"delivered" doc:"Connections for which it waits to be written to the socket."`
	Failed    int    `json:"failed" doc:"Connections that were too slow to be given it, and are closed for it."`
	Dropped   int    `json:"dropped" doc:"Connections that were too slow to be given it and do without, for the room allows that; they are told by the notice gap."`
	Epoch     string `json:"epoch,omitempty" doc:"In a room that keeps a history: the numbering in which the message has its offset. The counts are 0 then: whoever is, or comes back, in the room gets it."`
	Offset    uint64 `json:"offset,omitempty" doc:"The place of the message in the history of the room."`
	Replayed  bool   `json:"replayed,omitempty" doc:"True if this is the answer to an earlier publication with the same idempotency key, and nothing was sent now."`
}

// Publication is a message and to whom it is sent.
type Publication struct {
	To Address `json:"to" doc:"To whom: a room, a user or a connection."`
	RoomMessage

	fault *huma.ErrorModel // that of reading it
}

// Address is a room, a user or a connection.
type Address struct {
	Room       string `json:"room,omitempty" doc:"Name of a room."`
	User       string `json:"user,omitempty" doc:"A user: every connection of it gets a direct message."`
	Connection string `json:"connection,omitempty" doc:"Id of a connection, which gets a direct message."`
}

// TransformSchema is huma.SchemaTransformer: an address is one of three.
func (Address) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.OneOf = []*huma.Schema{{Required: []string{"room"}}, {Required: []string{"user"}}, {Required: []string{"connection"}}}
	return s
}

// post is the message as the hub takes it. Where is where it stands, for errors.
func (m *RoomMessage) post(where string) (hub.Post, *huma.ErrorModel) {
	p := hub.Post{User: m.User, Key: m.Key, Once: m.IdempotencyKey}
	for _, t := range []struct {
		name, value string
		limit       int
	}{{"key", m.Key, maxKey}, {"idempotency_key", m.IdempotencyKey, maxOnce}} {
		if len(t.value) > t.limit {
			return p, invalid(where+"."+t.name, t.value, "it has %d bytes; give it at most %d", len(t.value), t.limit)
		}
	}
	if m.User != "" {
		if fault := checkUser(where+".user", m.User); fault != nil {
			return p, fault
		}
	}
	e := m.Except
	if n := len(e.Connections) + len(e.Sessions) + len(e.Users); n > maxExcept {
		return p, invalid(where+".except", nil, "%d are too many; leave out at most %d", n, maxExcept)
	}
	for _, id := range e.Connections {
		p.Except = append(p.Except, hub.Target{Connection: id})
	}
	for _, id := range e.Sessions {
		p.Except = append(p.Except, hub.Target{Session: id})
	}
	for i, user := range e.Users {
		if fault := checkUser(fmt.Sprintf("%s.except.users[%d]", where, i), user); fault != nil {
			return p, fault
		}
		p.Except = append(p.Except, hub.Target{User: user})
	}
	var fault *huma.ErrorModel
	p.Payload, fault = m.payload(where)
	return p, fault
}

func (m *Message) payload(where string) (protocol.Payload, *huma.ErrorModel) {
	switch {
	case m.Data != nil && m.Base64 != nil:
		return protocol.Payload{}, invalid(where, nil, `it has "data" and "base64": leave out one`)
	case m.Data == nil && m.Base64 == nil:
		return protocol.Payload{}, invalid(where, nil, `it has no payload: give it "data", any JSON value, or "base64"`)
	case len(m.Data) > maxBody: // possible in a batch
		return protocol.Payload{}, problem(http.StatusRequestEntityTooLarge, where+".data", nil, "it has %d bytes; give it at most %d", len(m.Data), maxBody)
	case m.Data != nil && deep(m.Data):
		return protocol.Payload{}, invalid(where+".data", nil, "there are too many objects and arrays around a value: nest at most %d", protocol.MaxDepth-1)
	case m.Data != nil:
		return protocol.Payload{Bytes: m.Data}, nil
	}
	bytes, err := base64.StdEncoding.Strict().DecodeString(*m.Base64)
	switch {
	case err != nil || strings.ContainsAny(*m.Base64, "\r\n"):
		return protocol.Payload{}, invalid(where+".base64", *m.Base64, "it is not base64: write it in the standard alphabet with padding, without line breaks (RFC 4648, section 4)")
	case len(*m.Base64) > maxBody:
		return protocol.Payload{}, problem(http.StatusRequestEntityTooLarge, where+".base64", nil, "it has %d bytes; give it at most %d", len(*m.Base64), maxBody)
	}
	return protocol.Payload{Bytes: bytes, Binary: true}, nil
}

// publish does one publication, once if it has an idempotency key.
func (a *API) publish(ctx context.Context, where string, p Publication) (Receipt, error) {
	post, fault := p.post(where)
	if fault != nil {
		return Receipt{}, fault
	}
	send := func() (Receipt, error) { return a.send(where, p.To, post) }
	if p.IdempotencyKey == "" {
		return send()
	}
	key := p.IdempotencyKey
	p.IdempotencyKey = ""
	what, _ := json.Marshal(p) // strings, and JSON that has been read
	r, replayed, err := a.done.once(ctx, key, sha256.Sum256(what), send)
	r.Replayed = r.Replayed || replayed
	switch {
	case errors.Is(err, errOtherBody):
		return r, invalid(where+".idempotency_key", key, "it was used for another publication within the last %v: take a fresh key for each", a.done.window)
	case err != nil && ctx.Err() != nil: // nobody reads it
		return r, problem(http.StatusRequestTimeout, "", nil, "the client did not wait for the answer")
	}
	return r, err
}

// send sends to whom to names.
func (a *API) send(where string, to Address, p hub.Post) (Receipt, error) {
	if to.Room == "" {
		return a.sendDirect(where, to, p)
	}
	if fault := a.checkRoom(where+".to.room", to.Room); fault != nil {
		return Receipt{}, fault
	}
	r, err := a.hub.Publish(to.Room, p)
	if err != nil {
		return Receipt{}, unavailable(err)
	}
	return receiptOf(r), nil
}

func (a *API) sendDirect(where string, to Address, p hub.Post) (Receipt, error) {
	if p.Key != "" || p.Except != nil {
		return Receipt{}, invalid(where, nil, `"key" and "except" are for rooms: leave them out`)
	}
	if to.Connection == "" {
		if fault := checkUser(where+".to.user", to.User); fault != nil {
			return Receipt{}, fault
		}
	}
	r, found, err := a.hub.PublishTo(hub.Target{Connection: to.Connection, User: to.User}, p)
	if err != nil {
		return Receipt{}, unavailable(err)
	}
	if !found && to.Connection != "" {
		return Receipt{}, noConnection(to.Connection)
	}
	return receiptOf(r), nil
}

func receiptOf(r roomcast.Receipt) Receipt {
	return Receipt{
		Delivered: r.Delivered, Failed: r.Failed, Dropped: r.Dropped, Epoch: r.At.Epoch, Offset: r.At.Offset, Replayed: r.Again,
	}
}

// checkUser reports what is wrong with the name of a user.
func checkUser(where, name string) *huma.ErrorModel {
	if err := auth.CheckName(name); err != nil {
		return invalid(where, name, "%v; a user is what a token can have as its sub", err)
	}
	return nil
}

// checkRoom reports what is wrong with the name of a room.
func (a *API) checkRoom(where, name string) *huma.ErrorModel {
	if err := a.hub.CheckRoom(name); err != nil {
		return invalid(where, name, "%s", strings.TrimPrefix(err.Error(), "roomcast: "))
	}
	return nil
}

func noConnection(id string) *huma.ErrorModel {
	return problem(http.StatusNotFound, "", nil, "connection %q: there is none with this id; it has ended", clip(id))
}
