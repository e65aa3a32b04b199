package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

const (
	// MaxIDBytes is how long the id of a request may be, as it stands in the frame, the quotes of a string included.
	MaxIDBytes = 64

	// MaxKeyBytes is how long the key of a message may be, and its idempotency key.
	MaxKeyBytes = 64

	// MaxMembers is how many members one answer lists, and how many changes one notice.
	MaxMembers = 100

	// MaxHistory is how many messages of a history one answer has.
	MaxHistory = 100

	// MaxDepth is how many objects and arrays may be around a value, the request itself included. Some parsers take no more by
	// default, and a payload is as deep in the message that others get as it was in the request.
	MaxDepth = 64
)

// RequestType is what a client asks for.
type RequestType string

// The requests, with the fields of Request that each has besides Type and ID.
const (
	Join   RequestType = "join"    // Room, Since, Presence
	Leave  RequestType = "leave"   // Room
	Send   RequestType = "send"    // Room, Payload, Echo, Key, As, Once
	Direct RequestType = "direct"  // To, Payload
	List   RequestType = "members" // Room, After, Limit
	Read   RequestType = "history" // Room, Since or Before, Limit
	Resume RequestType = "resume"  // Resume, Positions
	Token  RequestType = "token"   // Token
	Ping   RequestType = "ping"    // nothing
)

var requestTypes = [...]RequestType{Join, Leave, Send, Direct, List, Read, Resume, Token, Ping}

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
	Once    string  // the idempotency key, at most MaxKeyBytes; empty means none
	Token   string  // not empty, and otherwise unchecked

	Since    *Position // after which the room's messages are wanted; nil means those to come or, of a Read, the newest
	Before   *Position // before which they are wanted; nil if Since is not
	Presence bool      // who comes and goes is wanted, too

	Resume    string         // the secret of the session to go on with; not empty, and otherwise unchecked
	Positions []RoomPosition // from where on what was missed is wanted

	After string // the connection behind which the list goes on; empty means from the beginning
	Limit int    // how many members or messages are wanted, 1 to MaxMembers or MaxHistory
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
	typ, id, room, to, data, base64, echo, key, as, once, token []byte
	since, before, presence, resume, rooms, after, limit        []byte

	twice string // a name that came twice
}

// set notes a member, for members.
func (m *known) set(name, value []byte) {
	slot := m.slot(string(plain(name)))
	if slot == nil {
		return
	}
	if *slot != nil {
		m.twice = string(plain(name))
		return
	}
	*slot = value
}

// slot is where the member of this name is noted; nil if it has no meaning.
func (m *known) slot(name string) *[]byte {
	switch name {
	case "type":
		return &m.typ
	case "id":
		return &m.id
	case "room":
		return &m.room
	case "to":
		return &m.to
	case "data":
		return &m.data
	case "base64":
		return &m.base64
	case "echo":
		return &m.echo
	case "key":
		return &m.key
	case "as":
		return &m.as
	case "idempotency_key":
		return &m.once
	case "token":
		return &m.token
	case "since":
		return &m.since
	case "before":
		return &m.before
	case "presence":
		return &m.presence
	case "resume":
		return &m.resume
	case "rooms":
		return &m.rooms
	case "after":
		return &m.after
	case "limit":
		return &m.limit
	}
	return nil
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
	return fmt.Sprintf("unknown type %.64q; use join, leave, send, direct, members, history, resume, token or ping", string(t))
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
	case Join:
		err = m.join(r)
	case Leave:
		r.Room, err = text("room", m.room)
	case List:
		err = m.list(r)
	case Read:
		err = m.read(r)
	case Send:
		err = m.send(r)
	case Direct:
		if r.To, err = m.target(); err == nil {
			r.Payload, err = m.payload()
		}
	case Resume:
		if r.Resume, err = secret("resume", m.resume); err == nil {
			r.Positions, err = positions(m.rooms)
		}
	case Token:
		r.Token, err = secret("token", m.token)
	case Ping:
	default:
		return unknownType(typ)
	}
	return err
}

// join reads the members of a join.
func (m *known) join(r *Request) (err error) {
	if r.Room, err = text("room", m.room); err != nil {
		return err
	}
	if r.Presence, err = boolean("presence", m.presence, false); err == nil {
		r.Since, err = maybe("since", m.since)
	}
	return err
}

// list reads the members of a request for the list of members.
func (m *known) list(r *Request) (err error) {
	if r.Room, err = text("room", m.room); err != nil {
		return err
	}
	if r.After, err = optional("after", m.after); err != nil {
		return err
	}
	r.Limit, err = m.most(MaxMembers)
	return err
}

// read reads the members of a request for a part of the history.
func (m *known) read(r *Request) (err error) {
	if r.Room, err = text("room", m.room); err != nil {
		return err
	}
	if r.Since, err = maybe("since", m.since); err != nil {
		return err
	}
	if r.Before, err = maybe("before", m.before); err != nil {
		return err
	}
	if r.Since != nil && r.Before != nil {
		return errors.New(`"since" and "before" are both there; send one of them, or none for the newest`)
	}
	r.Limit, err = m.most(MaxHistory)
	return err
}

// most reads "limit", of which the largest is the default.
func (m *known) most(largest uint64) (int, error) {
	if absent(m.limit) {
		return int(largest), nil
	}
	n, ok := whole(m.limit)
	if !ok || n < 1 || n > largest {
		return 0, fmt.Errorf(`"limit" has to be a whole number from 1 to %d`, largest)
	}
	return int(n), nil
}

// send reads the members of a send.
func (m *known) send(r *Request) (err error) {
	if r.Room, err = text("room", m.room); err != nil {
		return err
	}
	if r.Echo, err = boolean("echo", m.echo, true); err != nil {
		return err
	}
	if r.Key, err = key("key", m.key); err != nil {
		return err
	}
	if r.Once, err = key("idempotency_key", m.once); err != nil {
		return err
	}
	if r.As, err = optional("as", m.as); err != nil {
		return err
	}
	r.Payload, err = m.payload()
	return err
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
	found, err := pick("to", m.to, "connection", "user")
	if err != nil {
		return Target{}, err
	}
	var to Target
	if to.Connection, err = optional("to.connection", found[0]); err == nil {
		to.User, err = optional("to.user", found[1])
	}
	if err == nil && (to.Connection == "") == (to.User == "") {
		err = errors.New(remedy + ", one of them and not empty")
	}
	return to, err
}

// pick returns the wanted members of an object, at most three, each as it stands there. The name is for the error.
func pick(name string, object []byte, wanted ...string) (found [3][]byte, err error) {
	members(object, func(member, value []byte) {
		i := slices.Index(wanted, string(plain(member)))
		switch {
		case i < 0:
		case found[i] != nil:
			err = fmt.Errorf("%q is there twice; write it once", name+"."+wanted[i])
		default:
			found[i] = value
		}
	})
	return found, err
}

// absent is whether a member is not there, or null, which stands for that.
func absent(value []byte) bool { return value == nil || string(value) == "null" }

// boolean reads true or false; missing is what stands for neither.
func boolean(name string, value []byte, missing bool) (bool, error) {
	switch {
	case absent(value):
		return missing, nil
	case string(value) == "true", string(value) == "false":
		return string(value) == "true", nil
	default:
		return false, fmt.Errorf("%q has to be true or false", name)
	}
}

// text reads a string that has to be there. The name is for the error.
func text(name string, value []byte) (string, error) {
	p, err := inside(name, value)
	return string(p), err
}

// secret is text that is not empty.
func secret(name string, value []byte) (string, error) {
	s, err := text(name, value)
	if err == nil && s == "" {
		err = fmt.Errorf("%q is empty; send it as it was given", name)
	}
	return s, err
}

// optional is text that may be left out.
func optional(name string, value []byte) (string, error) {
	if absent(value) {
		return "", nil
	}
	return text(name, value)
}

// key is optional, and short.
func key(name string, value []byte) (string, error) {
	s, err := optional(name, value)
	if err == nil && len(s) > MaxKeyBytes {
		err = fmt.Errorf("%q has %d bytes; use at most %d", name, len(s), MaxKeyBytes)
	}
	return s, err
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
