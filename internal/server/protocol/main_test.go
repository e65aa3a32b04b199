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
	case Join, Leave, List:
		dst = appendString(appendName(dst, "room"), r.Room)
	case Send:
		dst = appendString(appendName(dst, "room"), r.Room)
		if !r.Echo {
			dst = append(dst, `,"echo":false`...)
		}
		dst = appendMember(appendMember(dst, "key", r.Key), "as", r.As)
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
