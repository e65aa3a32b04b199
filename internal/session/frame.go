// frame.go: building the frames a server sends: unmasked, never fragmented, length in its shortest form.

package session

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// MaxHeader is the largest size of the header of a frame that a server sends (RFC 6455 section 5.2).
const MaxHeader = 2 + 8

// AppendMessage appends payload as one text or binary message to dst (RFC 6455 section 5.6). A text's payload must be UTF-8, which
// is not checked here.
func AppendMessage(dst []byte, binary bool, payload []byte) []byte {
	op := ws.OpText
	if binary {
		op = ws.OpBinary
	}
	return appendFrame(dst, ws.Header{Fin: true, OpCode: op}, payload)
}

// AppendPing appends a Ping to dst (RFC 6455 section 5.5.2). Of the payload, the first 125 bytes are sent (section 5.5).
func AppendPing(dst, payload []byte) []byte {
	return appendControl(dst, ws.OpPing, payload[:min(len(payload), ws.MaxControlFramePayloadSize)])
}

// AppendPong appends a Pong to dst (RFC 6455 section 5.5.3). Of the payload, the first 125 bytes are sent (section 5.5).
func AppendPong(dst, payload []byte) []byte {
	return appendControl(dst, ws.OpPong, payload[:min(len(payload), ws.MaxControlFramePayloadSize)])
}

// AppendClose appends a Close frame to dst (RFC 6455 section 5.5.1). What it appends is always legal: the reason is made UTF-8 and
// cut at a rune's border to fit 123 bytes, and 1005, like every code that must not be sent (see [CheckClose]), gives an empty body.
func AppendClose(dst []byte, code int, reason string) []byte {
	if !sendable(code) {
		return appendControl(dst, ws.OpClose, nil)
	}
	var body [ws.MaxControlFramePayloadSize]byte
	binary.BigEndian.PutUint16(body[:], uint16(code))
	n := copy(body[2:], cutReason(reason))
	return appendControl(dst, ws.OpClose, body[:2+n])
}

func cutReason(reason string) string {
	reason = strings.ToValidUTF8(reason, string(utf8.RuneError))
	if len(reason) <= maxReason {
		return reason
	}
	end := maxReason
	for !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end]
}

// encoder is the io.Writer that gobwas wants for a header, with its buffer. Pooled, because both would be allocated per frame.
type encoder struct {
	dst []byte
	buf [ws.MaxHeaderSize]byte
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// Write implements io.Writer.
func (e *encoder) Write(p []byte) (int, error) {
	e.dst = append(e.dst, p...)
	return len(p), nil
}

func appendControl(dst []byte, op ws.OpCode, payload []byte) []byte {
	return appendFrame(dst, ws.Header{Fin: true, OpCode: op}, payload)
}

func appendFrame(dst []byte, head ws.Header, payload []byte) []byte {
	head.Length = int64(len(payload))
	e := encoders.Get().(*encoder)
	e.dst = slices.Grow(dst, ws.HeaderSize(head)+len(payload))
	// Fails only for a negative length or a failing Write, and there is neither.
	_ = ws.WriteHeaderBuffer(e, head, e.buf[:])
	dst = append(e.dst, payload...)
	e.dst = nil // the frame is the caller's
	encoders.Put(e)
	return dst
}

// CutFrame returns the first of frames that AppendMessage has built, one behind the other, and those behind it.
func CutFrame(frames []byte) (first, rest []byte) {
	size := headerSize(frames)
	switch size {
	case 2:
		size += int(frames[1])
	case 4:
		size += int(binary.BigEndian.Uint16(frames[2:]))
	default:
		size += int(binary.BigEndian.Uint64(frames[2:]))
	}
	return frames[:size:size], frames[size:]
}

// headerSize is that of a frame without a mask (RFC 6455 section 5.2).
func headerSize(frame []byte) int {
	switch frame[1] {
	case 126:
		return 2 + 2
	case 127:
		return 2 + 8
	}
	return 2
}
