package client

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

// verdict is what to do when a connection has ended or could not be made.
type verdict int

const (
	later verdict = iota // after a random time whose bound grows
	now                  // at once, unless the connection was short
	never                // it would end the same way
)

// verdicts are the close codes of the protocol whose verdict their range does not say.
var verdicts = map[websocket.StatusCode]verdict{
	1000: never, 1002: never, 1007: never, 1008: never, 1009: never,
}

// after is what the protocol asks for after a close code; -1 stands for an end without one.
func after(code websocket.StatusCode) verdict {
	if v, ok := verdicts[code]; ok {
		return v
	}
	switch {
	case code >= 3000 && code < 3100:
		return never
	case code >= 3200 && code < 3300:
		return now
	default:
		return later
	}
}

const (
	firstBound = time.Second
	lastBound  = 30 * time.Second
	settled    = 5 * time.Second // a connection that lasted as long as that was a good one
)

// backoff counts the attempts since the last good connection.
type backoff struct {
	tries  int
	random func() float64 // from 0 up to 1
}

// delay is how long to wait before the next attempt: full jitter, so that a thousand clients do not come back together.
func (b *backoff) delay() time.Duration {
	bound := lastBound
	if b.tries < 5 { // 1 s << 5 is past the last bound
		bound = firstBound << b.tries
	}
	b.tries++
	return time.Duration(b.random() * float64(bound))
}

// ClosedError is the end of a connection by the server, with a close code.
type ClosedError struct {
	Code   int
	Reason string
}

// Error is one line.
func (e *ClosedError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("the server closed the connection with %d", e.Code)
	}
	return fmt.Sprintf("the server closed the connection with %d: %s", e.Code, e.Reason)
}

// HTTPError is an answer to the upgrade that is no upgrade.
type HTTPError struct {
	Status int
	Body   string // its first line

	retryAfter time.Duration // 0 if the server has not said
}

// Error is one line.
func (e *HTTPError) Error() string {
	if e.Body == "" {
		return fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("the server answered %d: %s", e.Status, e.Body)
}

// judge says what to do after err, and the delay that the server has asked for, 0 if none.
func judge(err error) (verdict, time.Duration) {
	var closed *ClosedError
	var answered *HTTPError
	var refused *RefusedError
	switch {
	case errors.As(err, &closed):
		return after(websocket.StatusCode(closed.Code)), 0
	case errors.As(err, &answered):
		if s := answered.Status; s >= 500 || s == http.StatusTooManyRequests || s == http.StatusRequestTimeout {
			return later, answered.retryAfter
		}
		return never, 0
	case errors.As(err, &refused):
		if refused.Code == "unavailable" || refused.Code == "internal" {
			return later, 0
		}
		return never, 0
	case errors.Is(err, ErrProtocol), errors.Is(err, ErrNoRooms):
		return never, 0
	default:
		return later, 0
	}
}

// seconds reads a Retry-After; one that is a date is not worth the trouble.
func seconds(header string) time.Duration {
	n, err := strconv.Atoi(header)
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, lastBound)
}
