package protocol

// ErrorCode says in an error message what went wrong. It is stable: programs decide by it, and people read the text beside it.
type ErrorCode string

// The codes of error messages; ErrorCodes says what each means.
const (
	BadRequest   ErrorCode = "bad_request"
	UnknownType  ErrorCode = "unknown_type"
	BadRoom      ErrorCode = "bad_room"
	NotJoined    ErrorCode = "not_joined"
	TooManyRooms ErrorCode = "too_many_rooms"
	TooLarge     ErrorCode = "too_large"
	NotFound     ErrorCode = "not_found"
	HistoryGone  ErrorCode = "history_gone"
	Forbidden    ErrorCode = "forbidden"
	Unauthorized ErrorCode = "unauthorized"
	TokenExpired ErrorCode = "token_expired"
	Throttled    ErrorCode = "throttled"
	Unavailable  ErrorCode = "unavailable"
	Internal     ErrorCode = "internal"
)

// ErrorInfo is a row of the table of error codes.
type ErrorInfo struct {
	Code    ErrorCode
	Meaning string
	Remedy  string // what a client does about it
}

// ErrorCodes is the table of error codes, in the order of the document. It is not to be changed.
var ErrorCodes = []ErrorInfo{
	{BadRequest, "The message lacks a member, or has one that makes no sense; the text says which.", "Correct the program."},
	{UnknownType, "The server does not know this `type`.", "Do without it: the server is older than the client."},
	{BadRoom, "The name of the room is empty, too long or has control characters in it.", "Use another name."},
	{NotJoined, "Only members may send to the room, and this connection is none.", "Join first."},
	{TooManyRooms, "The connection is in `limits.rooms` rooms.", "Leave one first."},
	{TooLarge, "The message is larger than the room takes.", "Send less at once."},
	{NotFound, "Nobody is connected to whom the direct message is addressed.", "Tell the person, or try when they are back."},
	{HistoryGone, "The history that is asked for is not kept any more, or never was.", "Ask for the newest: without `since` and `before`."},
	{Forbidden, "The token does not allow it.", "Do not repeat it with this token."},
	{Unauthorized, "There is no token yet, or the one sent is not valid.", "Send a valid `token`."},
	{TokenExpired, "The token sent has expired.", "Get a fresh one and send it."},
	{Throttled, "Too much at once; nothing was done.", "Repeat it after `retry_after_ms`."},
	{Unavailable, "What the server needs for it is away; nothing was done, as far as it knows.", "Repeat it later, with jitter."},
	{Internal, "A fault of the server.", "Report it; repeat it later at most once."},
}

// CloseCode is the code in the Close frame with which the server ends a connection (RFC 6455, section 7.4).
type CloseCode int

// The close codes; CloseCodes says what each means. Those from 3000 on are Roomcast's own, and their range says what a client
// does that does not know the code: 3000–3099 RetryNever, 3100–3199 RetryLater, 3200–3299 RetryNow.
const (
	CloseNormal        CloseCode = 1000
	CloseGoingAway     CloseCode = 1001
	CloseProtocolError CloseCode = 1002
	CloseInvalidUTF8   CloseCode = 1007
	CloseRejected      CloseCode = 1008
	CloseTooBig        CloseCode = 1009
	CloseInternal      CloseCode = 1011
	CloseTooSlow       CloseCode = 1013
	CloseBadRequest    CloseCode = 3000
	CloseUnauthorized  CloseCode = 3001
	CloseForbidden     CloseCode = 3002
	CloseKicked        CloseCode = 3003
	CloseSuperseded    CloseCode = 3004
	CloseThrottled     CloseCode = 3100
	CloseTokenExpired  CloseCode = 3200
)

// Retry is what a client does when its connection has ended.
type Retry string

// What a client does.
const (
	RetryNow   Retry = "retry now"   // connect again at once; if that fails, RetryLater
	RetryLater Retry = "retry later" // connect again after a random delay whose bound grows from try to try
	RetryNever Retry = "do not retry"
)

// CloseInfo is a row of the table of close codes.
type CloseInfo struct {
	Code  CloseCode
	Name  string
	Why   string
	Retry Retry
}

// CloseCodes is the table of close codes, in ascending order. It is not to be changed.
var CloseCodes = []CloseInfo{
	{CloseNormal, "normal", "The answer to the client's own Close frame.", RetryNever},
	{CloseGoingAway, "going_away", "The server stops, or a ping was not answered in time.", RetryLater},
	{CloseProtocolError, "protocol_error", "The client broke RFC 6455.", RetryNever},
	{CloseInvalidUTF8, "invalid_utf8", "A text frame was not UTF-8.", RetryNever},
	{CloseRejected, "rejected", "The server does not let this client in; the reason says why.", RetryNever},
	{CloseTooBig, "too_big", "A message was larger than `limits.message_bytes`.", RetryNever},
	{CloseInternal, "internal", "A fault of the server.", RetryLater},
	{CloseTooSlow, "too_slow", "The client took too long to read what was sent to it.", RetryLater},
	{CloseBadRequest, "bad_request", "A frame was binary, or not one JSON object.", RetryNever},
	{CloseUnauthorized, "unauthorized", "No valid token came in time.", RetryNever},
	{CloseForbidden, "forbidden", "The user is shut out, or the token was revoked.", RetryNever},
	{CloseKicked, "kicked", "Somebody ended this connection on purpose.", RetryNever},
	{CloseSuperseded, "superseded", "The session goes on in another connection.", RetryNever},
	{CloseThrottled, "throttled", "The client went on sending too much after it was told, or its user has too many connections.", RetryLater},
	{CloseTokenExpired, "token_expired", "The token expired and no fresh one came. Connect with a fresh one.", RetryNow},
}

// Retry is what a client does after the code: what the table says, or the range of a code that is not in it. Any other code,
// and a connection that ended without one, is RetryLater.
func (c CloseCode) Retry() Retry {
	for _, info := range CloseCodes {
		if info.Code == c {
			return info.Retry
		}
	}
	switch {
	case c >= 3000 && c < 3100:
		return RetryNever
	case c >= 3200 && c < 3300:
		return RetryNow
	default:
		return RetryLater
	}
}
