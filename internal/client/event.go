package client

import (
	"encoding/json"
	"time"
)

// Event is a message of the server. Which fields it has besides Type and Raw is said in docs/protocol.md.
type Event struct {
	Type string          `json:"type"`
	ID   json.RawMessage `json:"id"`
	Room string          `json:"room"`
	From struct {
		Connection string `json:"connection"`
		User       string `json:"user"`
	} `json:"from"`
	Data   json.RawMessage `json:"data"`
	Base64 *string         `json:"base64"` // nil if the payload is in Data

	Code    string `json:"code"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Missed  int    `json:"missed"`

	RetryAfterMS     int64 `json:"retry_after_ms"`
	ReconnectAfterMS int64 `json:"reconnect_after_ms"`

	Connection string `json:"connection"` // of hello: our own
	User       string `json:"user"`       // likewise

	Raw []byte `json:"-"` // the frame as it came
}

// RetryAfter is how long to wait before what was refused is repeated.
func (e *Event) RetryAfter() time.Duration { return time.Duration(e.RetryAfterMS) * time.Millisecond }

// RefusedError is an answer of the server: it has understood the request and not done it.
type RefusedError struct {
	Code    string // such as not_joined; programs go by it
	Message string // for people
	Room    string // "" if it is not about one

	retryAfter time.Duration
}

// Error is one line: what, why, and the code in brackets.
func (e *RefusedError) Error() string {
	where := ""
	if e.Room != "" {
		where = "room " + e.Room + ": "
	}
	return where + e.Message + " (" + e.Code + ")"
}

// request is what is sent; fields that are empty are left out.
type request struct {
	Type string          `json:"type"`
	ID   uint64          `json:"id,omitempty"`
	Room string          `json:"room,omitempty"`
	Data json.RawMessage `json:"data,omitempty"`
	Echo *bool           `json:"echo,omitempty"`
}
