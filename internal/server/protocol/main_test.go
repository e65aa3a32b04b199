package protocol

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// appendRequest is what a client sends for r.
func appendRequest(dst []byte, r Request) []byte {
	dst = append(dst, `{"type":"`+string(r.Type)+`"`...)
	dst = appendID(dst, r.ID)
	switch r.Type {
	case Join:
		dst = appendString(appendName(dst, "room"), r.Room)
		if r.Since != nil {
			dst = appendPosition(appendName(dst, "since"), "", *r.Since)
		}
		if r.Presence {
			dst = append(dst, `,"presence":true`...)
		}
	case Leave:
		dst = appendString(appendName(dst, "room"), r.Room)
	case List:
		dst = appendMember(appendString(appendName(dst, "room"), r.Room), "after", r.After)
		if r.Limit != MaxMembers {
			dst = appendCount(dst, "limit", r.Limit)
		}
	case Read:
		dst = appendString(appendName(dst, "room"), r.Room)
		if r.Since != nil {
			dst = appendPosition(appendName(dst, "since"), "", *r.Since)
		}
		if r.Before != nil {
			dst = appendPosition(appendName(dst, "before"), "", *r.Before)
		}
		if r.Limit != MaxHistory {
			dst = appendCount(dst, "limit", r.Limit)
		}
	case Resume:
		dst = appendMember(dst, "resume", r.Resume)
		for i, p := range r.Positions {
			if dst = append(dst, ','); i == 0 {
				dst = append(dst, `"rooms":[`...)
			}
			dst = appendPosition(dst, string(appendString([]byte(`"room":`), p.Room))+",", p.Position)
		}
		if r.Positions != nil {
			dst = append(dst, ']')
		}
	case Send:
		dst = appendString(appendName(dst, "room"), r.Room)
		if !r.Echo {
			dst = append(dst, `,"echo":false`...)
		}
		dst = appendMember(appendMember(appendMember(dst, "key", r.Key), "as", r.As), "idempotency_key", r.Once)
		dst = r.Payload.append(dst)
	case Direct:
		to := appendMember(appendMember(nil, "connection", r.To.Connection), "user", r.To.User)
		dst = append(append(append(dst, `,"to":{`...), to[1:]...), '}')
		dst = r.Payload.append(dst)
	case Token:
		dst = appendMember(dst, "token", r.Token)
	}
	return append(dst, '}')
}

// appendPosition adds an object with a position behind what else it has.
func appendPosition(dst []byte, before string, at Position) []byte {
	dst = append(append(dst, '{'), before...)
	return append(append(dst, at.append(nil)[1:]...), '}')
}

// wholeMessage is message in a room without history, body and all.
func wholeMessage(dst []byte, room string, from Sender, p Payload) []byte {
	return append(AppendBody(appendMessage(dst, room, Position{}), from, p), '}')
}
