package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

const (
	// MaxIDBytes is how long the id of a request may be, as it stands in the frame, the quotes of a string included.
	MaxIDBytes = 64

	// MaxKeyBytes is how long the key of a message may be.
	MaxKeyBytes = 64

	// MaxDepth is how many objects and arrays may be around a value, the request itself included. Some parsers take no more by
	// default, and a payload is as deep in the message that others get as it was in the request.
	MaxDepth = 64
)

// RequestType is what a client asks for.
type RequestType string

// The requests, with the fields of Request that each has besides Type and ID.
const (
	Join   RequestType = "join"    // Room
	Leave  RequestType = "leave"   // Room
	Send   RequestType = "send"    // Room, Payload, Echo, Key, As
	Direct RequestType = "direct"  // To, Payload
	List   RequestType = "members" // Room
	Token  RequestType = "token"   // Token
	Ping   RequestType = "ping"    // nothing
)

var requestTypes = [...]RequestType{Join, Leave, Send, Direct, List, Token, Ping}

// Request is a message of a client. ID and the bytes of a JSON payload are parts of the frame it was decoded from.
type Request struct {
	Type    RequestType
	ID      []byte  // a JSON number or string as it came, at most MaxIDBytes; nil means that no ack is wanted
	Room    string  // a name nobody has checked yet
	To      Target  // one of its fields is not empty
	Payload Payload // the bytes of a binary one are at most three quarters of the frame
	Echo    bool    // also to the sender itself; true unless the client says otherwise
	Key     string  // what the message is the latest of, at most MaxKeyBytes; empty means the sender's own
	As      string  // the user in whose name it is sent; empty means the sender's own
	Token   string  // not empty, and otherwise unchecked
}

// Target is to whom a direct message goes: one connection, or every connection of a user. The other field is empty.
type Target struct {
	Connection string
	User       string
}

// Fault is why a frame is no Request.
type Fault struct {
	// Close is 0 if the client is to be sent Error and stays connected, and otherwise the code to close with; Error.Message is
	// then the reason, at most 123 bytes, and no error is sent.
	Close CloseCode
	Error Error
}

// garbage is the reason to close with.
const garbage = "a text frame has to be one JSON object in UTF-8 and nothing else"

// Decode reads a text frame. Members it does not know are ignored, and so are those that do not belong to the type.
func Decode(p []byte) (Request, *Fault) {
	var m known
	end := invalid
	if utf8.Valid(p) {
		end = members(p, m.set)
	}
	if end == invalid {
		return Request{}, &Fault{Close: CloseBadRequest, Error: Error{Code: BadRequest, Message: garbage}}
	}
	r, err := Request{}, error(nil)
	if r.ID, err = m.identity(); err == nil {
		err = m.check(end)
	}
	if err == nil {
		err = m.request(&r)
	}
	if err == nil {
		return r, nil
	}
	code := BadRequest
	if _, unknown := err.(unknownType); unknown {
		code = UnknownType
	}
	return Request{}, &Fault{Error: Error{ID: r.ID, Code: code, Message: err.Error(), Room: r.Room}}
}

// known are the members that have a meaning, each as it stands in the frame the first time; nil are those that are not there.
type known struct {
	typ, id, room, to, data, base64, echo, key, as, token []byte

	twice string // a name that came twice
}

// set notes a member, for members.
func (m *known) set(name, value []byte) {
	var slot *[]byte
	switch string(plain(name)) {
	case "type":
		slot = &m.typ
	case "id":
		slot = &m.id
	case "room":
		slot = &m.room
	case "to":
		slot = &m.to
	case "data":
		slot = &m.data
	case "base64":
		slot = &m.base64
	case "echo":
		slot = &m.echo
	case "key":
		slot = &m.key
	case "as":
		slot = &m.as
	case "token":
		slot = &m.token
	default:
		return
	}
	if *slot != nil {
		m.twice = string(plain(name))
		return
	}
	*slot = value
}

// identity returns the id, nil if there is none.
func (m *known) identity() ([]byte, error) {
	switch {
	case absent(m.id):
		return nil, nil
	case len(m.id) > MaxIDBytes:
		return nil, fmt.Errorf(`"id" has %d bytes; use at most %d, quotes included`, len(m.id), MaxIDBytes)
	case m.id[0] != '"' && m.id[0] != '-' && (m.id[0] < '0' || m.id[0] > '9'):
		return nil, errors.New(`"id" has to be a number or a string`)
	}
	return m.id, nil
}

// check refuses what is wrong whatever the type; end is what members returned.
func (m *known) check(end int) error {
	switch {
	case end == tooDeep:
		return fmt.Errorf("nested deeper than %d objects and arrays, the message itself included; send it flatter", MaxDepth)
	case m.twice != "":
		return fmt.Errorf("%q is there twice; write it once", m.twice)
	}
	return nil
}

// unknownType is the error of a type that is not in the protocol.
type unknownType string

func (t unknownType) Error() string {
	return fmt.Sprintf("unknown type %.64q; use join, leave, send, direct, members, token or ping", string(t))
}

// request reads the members that belong to the type.
func (m *known) request(r *Request) error {
	typ, err := inside("type", m.typ)
	if err != nil {
		return err
	}
	for _, known := range requestTypes {
		if string(typ) == string(known) {
			r.Type = known
		}
	}
	switch r.Type {
	case Join, Leave, List:
		r.Room, err = text("room", m.room)
	case Send:
		err = m.send(r)
	case Direct:
		if r.To, err = m.target(); err == nil {
			r.Payload, err = m.payload()
		}
	case Token:
		if r.Token, err = text("token", m.token); err == nil && r.Token == "" {
			err = errors.New(`"token" is empty; send the token itself`)
		}
	case Ping:
	default:
		return unknownType(typ)
	}
	return err
}

// send reads the members of a send.
func (m *known) send(r *Request) (err error) {
	if r.Room, err = text("room", m.room); err != nil {
		return err
	}
	if r.Echo, err = m.echoes(); err != nil {
		return err
	}
	if !absent(m.key) {
		if r.Key, err = text("key", m.key); err == nil && len(r.Key) > MaxKeyBytes {
			err = fmt.Errorf(`"key" has %d bytes; use at most %d`, len(r.Key), MaxKeyBytes)
		}
	}
	if !absent(m.as) && err == nil {
		r.As, err = text("as", m.as)
	}
	if err == nil {
		r.Payload, err = m.payload()
	}
	return err
}

func (m *known) echoes() (bool, error) {
	switch {
	case absent(m.echo), string(m.echo) == "true":
		return true, nil
	case string(m.echo) == "false":
		return false, nil
	default:
		return false, errors.New(`"echo" has to be true or false`)
	}
}

// payload reads "data" or "base64". A null is a payload in the one and stands for nothing in the other.
func (m *known) payload() (Payload, error) {
	switch hasData, hasBytes := m.data != nil, !absent(m.base64); {
	case hasData && hasBytes:
		return Payload{}, errors.New(`"data" and "base64" are both there; send one of them`)
	case hasData:
		return Payload{Bytes: m.data}, nil
	case !hasBytes:
		return Payload{}, errors.New(`"data" is missing; send any JSON value, or bytes as "base64"`)
	}
	encoded, err := inside("base64", m.base64)
	if err != nil {
		return Payload{}, err
	}
	decoded := make([]byte, strict.DecodedLen(len(encoded)))
	n, err := strict.Decode(decoded, encoded)
	if err != nil || strict.EncodedLen(n) != len(encoded) { // Decode skips line breaks
		return Payload{}, errors.New(`"base64" is not standard base64 with padding and without line breaks`)
	}
	return Payload{Bytes: decoded[:n], Binary: true}, nil
}

// target reads "to".
func (m *known) target() (Target, error) {
	const remedy = `"to" has to be {"connection": "…"} or {"user": "…"}`
	if len(m.to) == 0 || m.to[0] != '{' {
		return Target{}, errors.New(remedy)
	}
	var connection, user []byte
	twice := false
	members(m.to, func(name, value []byte) {
		switch string(plain(name)) {
		case "connection":
			twice = twice || connection != nil
			connection = value
		case "user":
			twice = twice || user != nil
			user = value
		}
	})
	var to Target
	var err error
	if !absent(connection) {
		to.Connection, err = text("to.connection", connection)
	}
	if !absent(user) && err == nil {
		to.User, err = text("to.user", user)
	}
	if err == nil && (twice || (to.Connection == "") == (to.User == "")) {
		err = errors.New(remedy + ", one of them, once and not empty")
	}
	return to, err
}

// absent is whether a member is not there, or null, which stands for that.
func absent(value []byte) bool { return value == nil || string(value) == "null" }

// text reads a string that has to be there. The name is for the error.
func text(name string, value []byte) (string, error) {
	p, err := inside(name, value)
	return string(p), err
}

// inside is text that may still be a part of the frame.
func inside(name string, value []byte) ([]byte, error) {
	if absent(value) {
		return nil, fmt.Errorf("%q is missing", name)
	}
	if value[0] != '"' {
		return nil, fmt.Errorf("%q has to be a string", name)
	}
	return plain(value[1 : len(value)-1]), nil
}

// plain is what p, the inside of a valid JSON string, stands for. Half a surrogate pair becomes U+FFFD.
func plain(p []byte) []byte {
	if bytes.IndexByte(p, '\\') < 0 {
		return p
	}
	quoted := make([]byte, 0, len(p)+2)
	quoted = append(append(append(quoted, '"'), p...), '"')
	var s string
	_ = json.Unmarshal(quoted, &s) // cannot fail: the whole frame is valid JSON
	return []byte(s)
}
