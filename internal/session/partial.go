// partial.go: what a Reader keeps of a frame or a message that is not complete yet.

package session

import (
	"bytes"
	"sync"

	"github.com/gobwas/ws"
)

// firstGrowth is what an unfinished message gets at least (if it is not shorter): little enough to give to anyone who declares a
// large message, and enough that small ones arriving in pieces are allocated once.
const firstGrowth = 512

// partial is borrowed from a pool while something is unfinished: a message that arrives in pieces costs no allocation but its own.
type partial struct {
	// The header being read.
	head    [ws.MaxHeaderSize]byte
	headLen int // bytes of head that are there; 0 when no header is incomplete

	// The frame being read, while inFrame.
	inFrame bool
	frame   ws.Header
	off     int64 // payload bytes that have arrived
	body    [ws.MaxControlFramePayloadSize]byte

	// The message being read. Control frames come between its frames, so it has nothing in common with the above.
	open     bool // fragmented: at least one frame is complete and the last one is yet to come
	text     bool
	deflated bool // data is compressed, and judged when it is complete
	data     []byte
	runes    runeChecker
}

var partials = sync.Pool{New: func() any { return new(partial) }}

// release gives m back. It forgets everything first: the pool must not keep a message alive.
func (m *partial) release() {
	if m != nil {
		*m = partial{}
		partials.Put(m)
	}
}

// begin starts the frame whose header is complete.
func (m *partial) begin(head ws.Header) {
	m.inFrame, m.frame, m.off = true, head, 0
	if head.OpCode == ws.OpText || head.OpCode == ws.OpBinary {
		m.text, m.deflated = head.OpCode == ws.OpText, head.Rsv != 0
	}
}

// add takes the next piece of the frame's payload and unmasks it in place.
func (m *partial) add(piece []byte, limit int64) *Error {
	ws.Cipher(piece, m.frame.Mask, int(m.off&3))
	at := m.off
	m.off += int64(len(piece))
	if m.frame.OpCode.IsControl() {
		copy(m.body[at:], piece)
		return nil
	}
	if m.deflated {
		limit = deflateBound(limit)
	} else if m.text && !m.runes.next(piece) {
		return notUTF8()
	}
	// The last frame's end is the message's end: no need to grow past it. Before that, doubling alone keeps a message of very
	// many small fragments from being copied for each of them.
	most := limit
	if m.frame.Fin {
		most = int64(len(m.data)) + m.frame.Length - at
	}
	m.data = append(grow(m.data, len(piece), int(most)), piece...)
	return nil
}

// take ends the message and hands it over.
func (m *partial) take(limit int64) (binary bool, data []byte, fault *Error) {
	if m.deflated {
		data, fault = inflate(m.data, m.text, limit)
		m.data, m.open = nil, false
		return !m.text, data, fault
	}
	if m.text && !m.runes.complete() {
		return false, nil, notUTF8()
	}
	data, binary = m.data, !m.text
	m.data, m.open = nil, false
	if spare := cap(data) - len(data); data == nil || spare > len(data)/8 {
		data = bytes.Clone(data[:len(data):len(data)])
	}
	if data == nil {
		data = []byte{} // as on the fast path: empty, not nil
	}
	return binary, data, nil
}

// grow makes room for n more bytes. It doubles, but not past most, so the room follows what has arrived and never what is declared.
func grow(data []byte, n, most int) []byte {
	need := len(data) + n
	if need <= cap(data) {
		return data
	}
	size := max(2*cap(data), firstGrowth)
	if size >= most-most/8 {
		size = most // or the last few bytes would cost one more copy of everything
	}
	size = max(size, need)
	return append(make([]byte, 0, size), data...)
}
