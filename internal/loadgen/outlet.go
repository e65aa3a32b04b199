package loadgen

import (
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// outlet is the writing side of a connection. Its sender writes messages; its reader writes answers to pings, but never waits for
// a sender that cannot write: then the sender writes the answer, after its message.
type outlet struct {
	conn    net.Conn
	writing sync.Mutex // held for one write

	mu   sync.Mutex // never held for a write
	pong []byte     // a frame that is to be written; empty if there is none
}

// write writes whole frames.
func (o *outlet) write(p []byte) error {
	o.writing.Lock()
	_, err := o.conn.Write(p)
	o.writing.Unlock()
	o.flush()
	return err
}

// answer writes a pong, now or after what is being written. Only the last of several is written, as RFC 6455 (5.5.3) allows.
func (o *outlet) answer(payload []byte) {
	o.mu.Lock()
	o.pong = appendFrame(o.pong[:0], ws.OpPong, payload)
	o.mu.Unlock()
	o.flush()
}

// flush looks again after each write, so that whoever fails to get the lock can leave it to the one who has it.
func (o *outlet) flush() {
	for o.pending() && o.writing.TryLock() {
		o.mu.Lock()
		frame := append(make([]byte, 0, maxFrameHead), o.pong...)
		o.pong = o.pong[:0]
		o.mu.Unlock()
		_, _ = o.conn.Write(frame) // the reader finds out what is wrong with the connection
		o.writing.Unlock()
	}
}

func (o *outlet) pending() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.pong) > 0
}

// goodbye sends a Close frame.
func (o *outlet) goodbye() {
	_ = o.write(appendFrame(nil, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
}

// appendFrame appends a whole frame with a random mask, as a client must send it.
func appendFrame(b []byte, op ws.OpCode, payload []byte) []byte {
	b = appendHead(b, op, len(payload))
	start := len(b)
	b = append(b, payload...)
	maskLast(b, start)
	return b
}

// appendHead appends the header of a masked frame, with room for its mask.
func appendHead(b []byte, op ws.OpCode, length int) []byte {
	b = append(b, 0x80|byte(op))
	switch {
	case length < 126:
		b = append(b, 0x80|byte(length))
	case length < 1<<16:
		b = append(b, 0x80|126, byte(length>>8), byte(length))
	default:
		b = append(b, 0x80|127, 0, 0, 0, 0, byte(length>>24), byte(length>>16), byte(length>>8), byte(length))
	}
	return append(b, 0, 0, 0, 0)
}

// maskLast masks the payload that begins at start and goes to the end of b, with a new mask in front of it.
func maskLast(b []byte, start int) {
	mask := ws.NewMask()
	copy(b[start-len(mask):], mask[:])
	ws.Cipher(b[start:], mask, 0)
}

// answerClose answers a Close frame, if there is nothing in the way.
func (o *outlet) answerClose(body []byte) {
	if o.writing.TryLock() {
		_ = o.conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = o.conn.Write(appendFrame(nil, ws.OpClose, body)) // the connection ends either way
		o.writing.Unlock()
	}
}
