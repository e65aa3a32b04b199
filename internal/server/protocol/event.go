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
	Resume     string        // the secret by which another connection goes on with the session; empty means none can
	TokenTTL   time.Duration // until the token expires; 0 means never
	SessionTTL time.Duration // how long the session outlives its connection; 0 means that it does not
	Limits     Limits
}

// Limits is what a client may do. A member that is 0 has no limit and is left out of the message.
type Limits struct {
	MessageBytes      int           // of one frame from the client
	Rooms             int           // one connection may be in
	RoomNameBytes     int           // in UTF-8
	MessagesPerSecond int           // send, direct, members, history, resume and token, and what is no request
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
	dst = appendMember(dst, "resume", h.Resume)
	dst = appendMillis(dst, "token_ttl_ms", h.TokenTTL)
	dst = appendMillis(dst, "session_ttl_ms", h.SessionTTL)
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

// AppendAckAt is AppendAck for a send to a room with history: at is where the message stands in it.
func AppendAckAt(dst, id []byte, at Position) []byte {
	if id == nil {
		return dst
	}
	dst = appendID(append(dst, `{"type":"ack"`...), id)
	return append(at.append(dst), '}')
}

// Placed is from where on a member gets the messages of a room.
type Placed struct {
	Position       // after which they begin; zero if the room keeps no history
	Since     bool // whether the client has said from where on it wants them
	Recovered bool // whether it gets them from there
}

// append adds the position and, if it was asked for, whether it is the one.
func (p Placed) append(dst []byte) []byte {
	dst = p.Position.append(dst)
	if !p.Since {
		return dst
	}
	return strconv.AppendBool(appendName(dst, "recovered"), p.Recovered)
}

// AppendJoinAck is AppendAck for a join.
func AppendJoinAck(dst, id []byte, p Placed) []byte {
	if id == nil {
		return dst
	}
	dst = appendID(append(dst, `{"type":"ack"`...), id)
	return append(p.append(dst), '}')
}

// Resumed is how a client goes on that was connected before.
type Resumed struct {
	Resumed    bool   // whether it is in its rooms again
	Session    string // the old one
	Connection string // the old one
	Resume     string // the secret for the next time
}

// AppendResumed adds resumed, the answer to a resume with this id or, if it is nil, without one.
func AppendResumed(dst, id []byte, r Resumed) []byte {
	dst = appendID(append(dst, `{"type":"resumed"`...), id)
	dst = strconv.AppendBool(appendName(dst, "resumed"), r.Resumed)
	dst = appendMember(dst, "session", r.Session)
	dst = appendMember(dst, "connection", r.Connection)
	return append(appendMember(dst, "resume", r.Resume), '}')
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

// AppendMessageAt adds message: what somebody sent to a room, with the body that AppendBody has made, at a position in the history of the room, the zero one if
// it keeps none.
func AppendMessageAt(dst []byte, room string, at Position, body []byte) []byte {
	return append(append(appendMessage(dst, room, at), body...), '}')
}

// appendMessage adds what stands in a message before its body.
func appendMessage(dst []byte, room string, at Position) []byte {
	dst = append(dst, `{"type":"message","room":`...)
	return at.append(appendString(dst, room))
}

// AppendBody adds what a message is before it has a place in its room, as a history keeps it: sender and payload.
func AppendBody(dst []byte, from Sender, p Payload) []byte {
	return p.append(from.append(dst))
}

// History is a part of what a room keeps.
type History struct {
	Epoch       string // empty means that there is nothing in it
	First, Last uint64 // offsets: all that is kept from one to the other is in it, but what the client is left out of
	Messages    []Kept
}

// Kept is a message in a history.
type Kept struct {
	Offset uint64
	Body   []byte // that AppendBody has made
}

// AppendHistory adds history, the answer to a request with this id or, if it is nil, without one.
func AppendHistory(dst, id []byte, room string, h History) []byte {
	dst = appendID(append(dst, `{"type":"history"`...), id)
	dst = appendMember(dst, "room", room)
	if h.Epoch != "" {
		dst = appendMember(dst, "epoch", h.Epoch)
		dst = strconv.AppendUint(appendName(dst, "first"), h.First, 10)
		dst = strconv.AppendUint(appendName(dst, "last"), h.Last, 10)
	}
	dst = append(appendName(dst, "messages"), '[')
	for i, m := range h.Messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(append(dst, `{"offset":`...), m.Offset, 10)
		dst = append(append(dst, m.Body...), '}')
	}
	return append(dst, "]}"...)
}

// AppendDirect adds direct: what somebody sent to this connection or its user.
func AppendDirect(dst []byte, from Sender, p Payload) []byte {
	dst = append(dst, `{"type":"direct"`...)
	dst = from.append(dst)
	dst = p.append(dst)
	return append(dst, '}')
}

// Members is who is in a room.
type Members struct {
	Count  int      // connections
	Users  int      // people: all connections of a user count once, and each without a user counts, too
	Listed []Sender // in the order of their connections
	Next   string   // after whom the list goes on; empty means that it is complete
}

// AppendMembers adds members, the answer to a request with this id or, if it is nil, without one.
func AppendMembers(dst, id []byte, room string, m Members) []byte {
	dst = appendID(append(dst, `{"type":"members"`...), id)
	dst = appendMember(dst, "room", room)
	dst = strconv.AppendInt(appendName(dst, "count"), int64(m.Count), 10)
	dst = strconv.AppendInt(appendName(dst, "users"), int64(m.Users), 10)
	dst = appendPeople(dst, "members", m.Listed)
	return append(appendMember(dst, "next", m.Next), '}')
}

// appendPeople adds an array of connections.
func appendPeople(dst []byte, name string, people []Sender) []byte {
	dst = append(appendName(dst, name), '[')
	for i, p := range people {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"connection":`...), p.Connection)
		dst = append(appendMember(dst, "user", p.User), '}')
	}
	return append(dst, ']')
}

// Presence is how those in a room have changed.
type Presence struct {
	Count, Users int      // as in Members
	Joined, Left []Sender // who has come and gone, a user with the first and the last connection only
	Truncated    bool     // there were more than MaxMembers of them, or nobody knows, and none is listed
}

// AppendPresence adds presence, for those who have asked for it when they joined the room.
func AppendPresence(dst []byte, room string, p Presence) []byte {
	dst = appendString(append(dst, `{"type":"presence","room":`...), room)
	dst = strconv.AppendInt(appendName(dst, "count"), int64(p.Count), 10)
	dst = strconv.AppendInt(appendName(dst, "users"), int64(p.Users), 10)
	if p.Truncated {
		return append(dst, `,"truncated":true}`...)
	}
	dst = appendPeople(dst, "joined", p.Joined)
	return append(appendPeople(dst, "left", p.Left), '}')
}

// AppendJoined adds joined: the backend, not the client, has put the connection into the room, or a resume has.
func AppendJoined(dst []byte, room string, p Placed) []byte {
	dst = append(dst, `{"type":"joined","room":`...)
	return append(p.append(appendString(dst, room)), '}')
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
