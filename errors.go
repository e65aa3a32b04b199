package roomcast

import "errors"

// Errors that a caller can tell apart with errors.Is. What is returned wraps them and names the thing, the value and the remedy.
var (
	// ErrClosed: the connection is closing or closed; it can join nothing and be sent nothing any more.
	ErrClosed = errors.New("roomcast: connection closed")

	// ErrOutboxFull: what waits for the connection would pass Options.OutboxBytes. The connection is being closed.
	ErrOutboxFull = errors.New("roomcast: outbox full")

	// ErrRoomName: a room name is empty, too long, not UTF-8 or has control characters in it.
	ErrRoomName = errors.New("roomcast: invalid room name")

	// ErrTooManyRooms: the connection is a member of Options.MaxRoomsPerConn rooms.
	ErrTooManyRooms = errors.New("roomcast: too many rooms")

	// ErrInvalidUTF8: a text message is not UTF-8. Every client would have to end its connection (RFC 6455, section 8.1), so it is not sent; send it as Binary.
	ErrInvalidUTF8 = errors.New("roomcast: text message is not valid UTF-8")

	// ErrUnavailable: the engine is away, and what was asked for needs it. Whether a message was stored all the same is not known.
	ErrUnavailable = errors.New("roomcast: engine unavailable")

	// ErrTooLarge: a message is larger than what the engine takes.
	ErrTooLarge = errors.New("roomcast: message too large for the engine")

	// ErrHistoryGone: what follows a position in a room cannot be had from its history.
	ErrHistoryGone = errors.New("roomcast: history gone")
)

// Close codes of RFC 6455, section 7.4.1, and the IANA registry that Roomcast itself sends or reports.
const (
	CloseNormal      = 1000 // the purpose is fulfilled
	CloseGoingAway   = 1001 // the server shuts down, or the client answered no ping in time
	CloseProtocol    = 1002 // the client broke RFC 6455
	CloseNoStatus    = 1005 // reported, never sent: the client's Close frame had no code
	CloseAbnormal    = 1006 // reported, never sent: the connection was lost without a Close frame
	CloseInvalidUTF8 = 1007 // the client sent text that is not UTF-8
	ClosePolicy      = 1008 // the connect callback rejected the client
	CloseTooBig      = 1009 // the client's message was larger than Options.MaxMessageBytes
	CloseInternal    = 1011 // a callback panicked
	CloseTryLater    = 1013 // the client was too slow for what is sent to it: Options.OutboxBytes
)
