package loadgen

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/gobwas/ws"
)

// event is what the bytes of a server amount to.
type event int

const (
	needMore event = iota // the frame is not complete
	message               // of the right size and with the right filling; its body is what comes before that, at its end the header
	damaged               // a message of another size, or with another filling; its body is the beginning
	ping                  // its body is the payload
	pong
	closing // a Close frame; its body is the payload
)

// What a server must not send, or not to this client.
var (
	errMasked   = errors.New("the server sent a masked frame")
	errReserved = errors.New("the server sent a frame with reserved bits, but no extension was agreed on")
	errFragment = errors.New("the server sent a message in fragments; only whole ones can be measured")
	errOpcode   = errors.New("the server sent a frame with an unknown opcode")
	errLength   = errors.New("the server sent a frame with a length that is not allowed")
)

// maxFrameHead is the longest header of a frame with the longest payload of a control frame.
const maxFrameHead = ws.MaxHeaderSize + ws.MaxControlFramePayloadSize

// framer takes the frames of one connection out of the bytes as they come. It keeps what is incomplete at the end of one read, of
// a message no more than up to the header: the rest is compared and let go.
type framer struct {
	filling  []byte // what follows the header in each message
	envelope int    // bytes that may come before the header

	head []byte // the beginning of a frame that came in pieces; nil before the first
	have int    // bytes in head; 0 if there is no such frame
	body int    // length of its WebSocket header, when known; 0 before
	left int    // bytes of its payload that are to come after head
	good bool   // the payload so far is as it should be
}

// frameHead is a decoded frame header.
type frameHead struct {
	op     ws.OpCode
	header int // bytes of the header
	length int // bytes of the payload
}

// next takes one frame off p. The body is valid until p is reused or the next call.
func (f *framer) next(p []byte) (rest []byte, e event, body []byte, err error) {
	if f.have > 0 {
		return f.resume(p)
	}
	h, ok, err := decodeHead(p)
	if err != nil {
		return nil, needMore, nil, err
	}
	if !ok || len(p) < h.header+h.length {
		return f.resume(p)
	}
	payload := p[h.header : h.header+h.length]
	e = f.kind(h)
	if e == message {
		if at := h.length - len(f.filling); bytes.Equal(payload[at:], f.filling) {
			payload = payload[:at]
		} else {
			e = damaged
		}
	}
	return p[h.header+h.length:], e, payload, nil
}

// kind is what a frame is, before its payload has been looked at.
func (f *framer) kind(h frameHead) event {
	before := h.length - HeaderBytes - len(f.filling)
	switch {
	case h.op == ws.OpPing:
		return ping
	case h.op == ws.OpPong:
		return pong
	case h.op == ws.OpClose:
		return closing
	case before < 0 || before > f.envelope:
		return damaged
	}
	return message
}

// resume continues a frame that came in pieces.
func (f *framer) resume(p []byte) (rest []byte, e event, body []byte, err error) {
	if f.head == nil {
		f.head = make([]byte, maxFrameHead+f.envelope)
	}
	h, ok, _ := decodeHead(f.head[:f.have])
	for !ok { // the header itself is incomplete: at most 10 bytes, one by one
		if len(p) == 0 {
			return nil, needMore, nil, nil
		}
		f.head[f.have] = p[0]
		f.have++
		p = p[1:]
		if h, ok, err = decodeHead(f.head[:f.have]); err != nil {
			return nil, needMore, nil, err
		}
	}
	e = f.kind(h)
	keep := h.length // of the payload
	switch e {
	case message:
		keep = h.length - len(f.filling)
	case damaged:
		keep = min(h.length, HeaderBytes+f.envelope)
	}
	if f.body == 0 {
		f.body, f.left, f.good = h.header, h.length-keep, true
	}
	n := copy(f.head[f.have:f.body+keep], p)
	f.have += n
	p = p[n:]
	if f.have < f.body+keep {
		return nil, needMore, nil, nil
	}
	n = min(len(p), f.left)
	if e == message {
		at := len(f.filling) - f.left
		f.good = f.good && bytes.Equal(p[:n], f.filling[at:at+n])
	}
	if f.left -= n; f.left > 0 {
		return nil, needMore, nil, nil
	}
	body = f.head[f.body:f.have]
	if !f.good {
		e = damaged
	}
	f.have, f.body = 0, 0
	return p[n:], e, body, nil
}

// decodeHead reads a frame header by hand: it is done once for each delivery. ok is false if p ends within it.
func decodeHead(p []byte) (h frameHead, ok bool, err error) {
	if len(p) < 2 {
		return h, false, nil
	}
	h = frameHead{op: ws.OpCode(p[0] & 0x0f), header: 2, length: int(p[1])}
	if p[0] != 0x81 && p[0] != 0x82 { // not a whole message
		if err := checkHead(p[0], p[1]); err != nil {
			return h, false, err
		}
	}
	switch {
	case h.length < 126:
	case h.length == 126:
		if len(p) < 4 {
			return h, false, nil
		}
		h.header, h.length = 4, int(binary.BigEndian.Uint16(p[2:]))
	case h.length == 127:
		if len(p) < 10 {
			return h, false, nil
		}
		length := binary.BigEndian.Uint64(p[2:])
		if length > 1<<31 {
			return h, false, errLength
		}
		h.header, h.length = 10, int(length)
	default:
		return h, false, errMasked
	}
	return h, true, nil
}

// checkHead judges the first two bytes of what is not a whole, unmasked message.
func checkHead(b0, b1 byte) error {
	op := ws.OpCode(b0 & 0x0f)
	switch {
	case b0&0x70 != 0:
		return errReserved
	case op.IsReserved():
		return errOpcode
	case b0&0x80 == 0 || op == ws.OpContinuation:
		return errFragment
	case b1&0x7f > ws.MaxControlFramePayloadSize:
		return errLength
	}
	return nil
}
