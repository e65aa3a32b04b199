package protocol

import (
	"strconv"
	"time"
)

// Version is the name of the protocol: of the WebSocket subprotocol, and in hello.
const Version = "roomcast.v1"

// Hello is the first message to a client.
type Hello struct {
	Server     string        // name and version of the server, for people
	Connection string        // the id of the connection, by which others can address it
	Session    string        // the id of the client's session, which others do not see
	User       string        // whom the token names; empty means nobody
	TokenTTL   time.Duration // until the token expires; 0 means never
	Limits     Limits
}

// Limits is what a client may do. A member that is 0 has no limit and is left out of the message.
type Limits struct {
	MessageBytes      int           // of one frame from the client
	Rooms             int           // one connection may be in
	RoomNameBytes     int           // in UTF-8
	MessagesPerSecond int           // send, direct, members and token, and what is no request
	BytesPerSecond    int           // of frames from the client
	JoinsPerSecond    int           // join
	PingInterval      time.Duration // between two WebSocket pings of the server
}

// AppendHello adds hello.
func AppendHello(dst []byte, h Hello) []byte {
	dst = append(dst, `{"type":"hello","protocol":"`+Version+`"`...)
	dst = appendMember(dst, "server", h.Server)
	dst = appendMember(dst, "connection", h.Connection)
	dst = appendMember(dst, "session", h.Session)
	dst = appendMember(dst, "user", h.User)
	dst = appendMillis(dst, "token_ttl_ms", h.TokenTTL)
	dst = appendName(dst, "limits")
	start := len(dst)
	dst = appendCount(dst, "message_bytes", h.Limits.MessageBytes)
	dst = appendCount(dst, "rooms", h.Limits.Rooms)
	dst = appendCount(dst, "room_name_bytes", h.Limits.RoomNameBytes)
	dst = appendCount(dst, "messages_per_second", h.Limits.MessagesPerSecond)
	dst = appendCount(dst, "bytes_per_second", h.Limits.BytesPerSecond)
	dst = appendCount(dst, "joins_per_second", h.Limits.JoinsPerSecond)
	dst = appendMillis(dst, "ping_interval_ms", h.Limits.PingInterval)
	if len(dst) == start {
		return append(dst, "{}}"...)
	}
	dst[start] = '{' // instead of the first comma
	return append(dst, "}}"...)
}

// AppendAck adds ack: what the request with this id asked for is done. tokenTTL is for the ack of a token: how long until it
// expires, 0 for never and for every other request. It adds nothing for a request without an id, which has no ack.
func AppendAck(dst, id []byte, tokenTTL time.Duration) []byte {
	if id == nil {
		return dst
	}
	dst = append(dst, `{"type":"ack"`...)
	dst = appendID(dst, id)
	dst = appendMillis(dst, "token_ttl_ms", tokenTTL)
	return append(dst, '}')
}

// AppendPong adds pong, the answer to a ping with this id or, if it is nil, without one.
func AppendPong(dst, id []byte) []byte {
	dst = append(dst, `{"type":"pong"`...)
	dst = appendID(dst, id)
	return append(dst, '}')
}

// Error is a request that was not done.
type Error struct {
	ID         []byte // of the request, as it came; nil means it had none, or none that could be read
	Code       ErrorCode
	Message    string        // for people: what is wrong, and what to do instead
	Room       string        // which the request was about; empty means none
	RetryAfter time.Duration // for Throttled: when to repeat it; 0 means it does not say
}

// AppendError adds error.
func AppendError(dst []byte, e Error) []byte {
	dst = append(dst, `{"type":"error"`...)
	dst = appendID(dst, e.ID)
	dst = appendMember(dst, "code", string(e.Code))
	dst = appendMember(dst, "message", e.Message)
	dst = appendMember(dst, "room", e.Room)
	dst = appendMillis(dst, "retry_after_ms", e.RetryAfter)
	return append(dst, '}')
}

// Sender is who sent a message. Without both members it came from the backend, and the message has no "from".
type Sender struct {
	Connection string // empty if the backend sent it in the name of the user
	User       string // empty if nobody was authenticated
}

func (s Sender) append(dst []byte) []byte {
	switch {
	case s.Connection != "":
		dst = append(dst, `,"from":{"connection":`...)
		dst = appendString(dst, s.Connection)
		dst = appendMember(dst, "user", s.User)
	case s.User != "":
		dst = append(dst, `,"from":{"user":`...)
		dst = appendString(dst, s.User)
	default:
		return dst
	}
	return append(dst, '}')
}

// AppendMessage adds message: what somebody sent to the room.
func AppendMessage(dst []byte, room string, from Sender, p Payload) []byte {
	dst = append(dst, `{"type":"message","room":`...)
	dst = appendString(dst, room)
	dst = from.append(dst)
	dst = p.append(dst)
	return append(dst, '}')
}

// AppendDirect adds direct: what somebody sent to this connection or its user.
func AppendDirect(dst []byte, from Sender, p Payload) []byte {
	dst = append(dst, `{"type":"direct"`...)
	dst = from.append(dst)
	dst = p.append(dst)
	return append(dst, '}')
}

// AppendMembers adds members, the answer to a request with this id or, if it is nil, without one: how many connections are in the room, and who
// some of them are.
func AppendMembers(dst, id []byte, room string, count int, members []Sender) []byte {
	dst = appendID(append(dst, `{"type":"members"`...), id)
	dst = appendMember(dst, "room", room)
	dst = strconv.AppendInt(appendName(dst, "count"), int64(count), 10)
	dst = append(appendName(dst, "members"), '[')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"connection":`...), m.Connection)
		dst = append(appendMember(dst, "user", m.User), '}')
	}
	return append(dst, "]}"...)
}

// AppendJoined adds joined: the backend, not the client, has put the connection into the room.
func AppendJoined(dst []byte, room string) []byte {
	dst = append(dst, `{"type":"joined","room":`...)
	return append(appendString(dst, room), '}')
}

// AppendLeft adds left: the backend, not the client, has taken the connection out of the room. The reason is for people; empty
// means none is given.
func AppendLeft(dst []byte, room, reason string) []byte {
	dst = append(dst, `{"type":"left","room":`...)
	dst = appendMember(appendString(dst, room), "reason", reason)
	return append(dst, '}')
}

// AppendThrottled adds throttled: requests without an id are being refused, and will be for that long.
func AppendThrottled(dst []byte, retryAfter time.Duration) []byte {
	dst = append(dst, `{"type":"throttled"`...)
	return append(appendMillis(dst, "retry_after_ms", retryAfter), '}')
}

// AppendDraining adds draining: the server is about to close the connection, and the client waits that long before it connects again.
func AppendDraining(dst []byte, reconnectAfter time.Duration) []byte {
	dst = append(dst, `{"type":"draining"`...)
	return append(appendMillis(dst, "reconnect_after_ms", reconnectAfter), '}')
}

// AppendGap adds gap: so many messages of the room did not reach the client, at this place in their order.
func AppendGap(dst []byte, room string, missed uint64) []byte {
	dst = append(dst, `{"type":"gap","room":`...)
	dst = appendString(dst, room)
	dst = strconv.AppendUint(appendName(dst, "missed"), missed, 10)
	return append(dst, '}')
}
