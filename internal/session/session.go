// session.go: the Reader, from bytes to events. What it remembers between two calls is in partial.go.

package session

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Handler receives what the peer sent, in order. It is called from within [Reader.Feed] and must not call Feed itself.
type Handler interface {
	// OnMessage receives one whole text or binary message (RFC 6455 section 5.6). Text is valid UTF-8. The callee owns data.
	OnMessage(binary bool, data []byte)
	// OnPing receives the payload of a Ping, to be sent back in a Pong (section 5.5.2). data is valid during the call only.
	OnPing(data []byte)
	// OnPong receives the payload of a Pong (section 5.5.3). data is valid during the call only.
	OnPong(data []byte)
	// OnClose receives the peer's Close frame (section 5.5.1); code is 1005 and reason "" if it was empty. Nothing comes after it.
	OnClose(code int, reason string)
}

// Error says how the peer violated RFC 6455. Code and Reason are made to be sent back in the Close frame (section 7.1.7).
type Error struct {
	Code   int    // 1002 protocol error, 1007 text that is not UTF-8, 1009 message too big (section 7.4.1)
	Reason string // what was wrong, and the limit if there is one; valid UTF-8 of at most 123 bytes
}

// Error returns the reason and the close code (RFC 6455 section 7.4.1).
func (e *Error) Error() string { return fmt.Sprintf("%s (close code %d)", e.Reason, e.Code) }

func violation(code ws.StatusCode, format string, args ...any) *Error {
	return &Error{Code: int(code), Reason: fmt.Sprintf(format, args...)}
}

// Reader turns the bytes of one client into events (RFC 6455 sections 5 and 8.1). The zero value is ready to use.
//
// It is as small as this because a server holds one per idle connection.
type Reader struct {
	// Deflate tells that permessage-deflate has been agreed on (see [AcceptDeflate]). It is set before the first Feed.
	Deflate bool

	ended bool     // after a Close frame or a violation: whatever follows is ignored
	part  *partial // an unfinished frame or message; nil between messages
}

// Feed reads p, which continues what was fed before, and reports to h every message and control frame that p completes.
//
// limit is the largest message in bytes, all its fragments together. p is unmasked in place and not kept. The first violation of
// RFC 6455 is returned as an [*Error], after the events that precede it. From then on, and after a Close frame, Feed ignores its
// input and returns nil (section 7.1.7: do not process data after failing the connection).
func (r *Reader) Feed(p []byte, limit int64, h Handler) error {
	if r.ended || len(p) == 0 {
		return nil
	}
	d := decoders.Get().(*decoder)
	fault := r.feed(d, p, min(limit, math.MaxInt), h)
	d.src = nil // p is the caller's again
	decoders.Put(d)
	if fault != nil {
		r.ended = true
	}
	if r.ended {
		r.part.release()
		r.part = nil
	}
	if fault != nil {
		return fault
	}
	return nil // not fault: a nil *Error in an error is not nil
}

// MidFrame reports whether a frame has begun and not ended. Until it ends the peer cannot send anything else, not even a Pong
// (RFC 6455 section 5.4: frames, unlike messages, are never interleaved).
func (r *Reader) MidFrame() bool {
	return r.part != nil && (r.part.inFrame || r.part.headLen > 0)
}

func (r *Reader) feed(d *decoder, p []byte, limit int64, to Handler) *Error {
	for len(p) > 0 && !r.ended {
		if r.part == nil || !r.part.inFrame {
			head, rest, ok, fault := r.header(d, p, limit)
			if fault != nil || !ok {
				return fault
			}
			p = rest
			if int64(len(p)) >= head.Length && r.standsAlone(head) {
				n := int(head.Length)
				if fault := r.wholeFrame(head, p[:n], limit, to); fault != nil {
					return fault
				}
				p = p[n:]
				continue
			}
			r.hold().begin(head)
		}
		rest, fault := r.payload(p, limit, to)
		if fault != nil {
			return fault
		}
		p = rest
	}
	return nil
}

// header takes the next frame's header from what is left of the last call and p. ok is false while it is incomplete.
func (r *Reader) header(d *decoder, p []byte, limit int64) (head ws.Header, rest []byte, ok bool, fault *Error) {
	in := setting{state: ws.StateServerSide, deflate: r.Deflate, limit: limit}
	raw, old := p, 0
	if m := r.part; m != nil {
		if m.open {
			in.state, in.have, in.deflated = in.state.Set(ws.StateFragmented), int64(len(m.data)), m.deflated
		}
		if old = m.headLen; old > 0 {
			raw = m.head[:old+copy(m.head[old:], p)]
		}
	}
	head, size, fault := d.decode(raw, in)
	if fault != nil {
		return head, nil, false, fault
	}
	if size == 0 {
		m := r.hold()
		m.headLen = copy(m.head[:], raw)
		return head, nil, false, nil
	}
	if old > 0 {
		r.part.headLen = 0
	}
	return head, p[size-old:], true, nil
}

// standsAlone reports whether the frame needs nothing but its own payload: a control frame, or a message in one frame.
func (r *Reader) standsAlone(head ws.Header) bool {
	return head.OpCode.IsControl() || head.Fin && head.OpCode != ws.OpContinuation
}

// wholeFrame is the fast path: all of a frame that stands alone lies in one piece, so nothing is copied but the message itself.
func (r *Reader) wholeFrame(head ws.Header, body []byte, limit int64, to Handler) *Error {
	ws.Cipher(body, head.Mask, 0)
	if head.OpCode.IsControl() {
		return r.control(head.OpCode, body, to)
	}
	data, fault := wholeMessage(head, body, limit)
	if fault != nil {
		return fault
	}
	r.settle()
	to.OnMessage(head.OpCode == ws.OpBinary, data)
	return nil
}

// wholeMessage returns the message of which body is the only frame, in memory of its own.
func wholeMessage(head ws.Header, body []byte, limit int64) ([]byte, *Error) {
	text := head.OpCode == ws.OpText
	if head.Rsv != 0 {
		return inflate(body, text, limit)
	}
	if text && !utf8.Valid(body) {
		return nil, notUTF8()
	}
	data := make([]byte, len(body))
	copy(data, body)
	return data, nil
}

// payload takes what p has of the current frame's payload and finishes the frame if that was the rest of it.
func (r *Reader) payload(p []byte, limit int64, to Handler) (rest []byte, fault *Error) {
	m := r.part
	n := int(min(int64(len(p)), m.frame.Length-m.off))
	if fault := m.add(p[:n], limit); fault != nil {
		return nil, fault
	}
	if m.off < m.frame.Length {
		return nil, nil
	}
	m.inFrame = false
	switch {
	case m.frame.OpCode.IsControl():
		fault = r.control(m.frame.OpCode, m.body[:m.off], to)
	case m.frame.Fin:
		fault = r.message(limit, to)
	default:
		m.open = true
	}
	return p[n:], fault
}

// message reports the message that has just become complete.
func (r *Reader) message(limit int64, to Handler) *Error {
	binary, data, fault := r.part.take(limit)
	if fault != nil {
		return fault
	}
	r.settle()
	to.OnMessage(binary, data)
	return nil
}

// control reports a control frame. Its body may lie in r.part, so that is tidied up after the call.
func (r *Reader) control(op ws.OpCode, body []byte, to Handler) *Error {
	switch op {
	case ws.OpPing:
		to.OnPing(body)
	case ws.OpPong:
		to.OnPong(body)
	default: // Close: the header's check let no other opcode through
		return r.close(body, to)
	}
	r.settle()
	return nil
}

func (r *Reader) close(body []byte, to Handler) *Error {
	code, reason := int(ws.StatusNoStatusRcvd), ""
	switch {
	case len(body) == 1:
		return violation(ws.StatusProtocolError, "Close frame with a body of 1 byte; it must be empty or begin with a 2-byte code")
	case len(body) > 1:
		code, reason = int(binary.BigEndian.Uint16(body)), string(body[2:])
		if !sendable(code) {
			return violation(ws.StatusProtocolError, "Close frame with code %d, which must not be sent", code)
		}
		if !utf8.ValidString(reason) {
			return violation(ws.StatusInvalidFramePayloadData, "reason in the Close frame is not valid UTF-8")
		}
	}
	r.ended = true
	to.OnClose(code, reason)
	return nil
}

// hold returns the unfinished part and creates it if there is none.
func (r *Reader) hold() *partial {
	if r.part == nil {
		r.part = partials.Get().(*partial)
	}
	return r.part
}

// settle drops the unfinished part if nothing is unfinished any more.
func (r *Reader) settle() {
	if m := r.part; m != nil && !m.inFrame && !m.open && m.headLen == 0 {
		m.release()
		r.part = nil
	}
}
