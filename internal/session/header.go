// header.go: decoding a frame's header and saying what is wrong with it.

package session

import (
	"errors"
	"io"
	"sync"

	"github.com/gobwas/ws"
)

// decoder is what gobwas needs to read a header. It is pooled because both parts would otherwise be allocated for every frame:
// they are handed to an io.Reader's method, which the compiler cannot see through.
type decoder struct {
	src []byte
	buf [ws.MaxHeaderSize]byte
	pad [ws.MaxHeaderSize]byte
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// Read implements io.Reader on the bytes at hand.
func (d *decoder) Read(b []byte) (int, error) {
	n := copy(b, d.src)
	if n == 0 {
		return 0, io.EOF
	}
	d.src = d.src[n:]
	return n, nil
}

func (d *decoder) read(raw []byte) (head ws.Header, size int, err error) {
	d.src = raw
	head, err = ws.ReadHeaderBuffer(d, d.buf[:])
	return head, len(raw) - len(d.src), err
}

// setting is what a header is judged by.
type setting struct {
	state    ws.State // whether a message is unfinished
	deflate  bool     // permessage-deflate has been agreed on
	deflated bool     // the unfinished message is compressed
	have     int64    // bytes of the unfinished message, as they came
	limit    int64    // of a message
}

// decode reads the header at the start of raw. size is 0 while more bytes are needed and those that are there are blameless.
func (d *decoder) decode(raw []byte, in setting) (head ws.Header, size int, fault *Error) {
	head, size, err := d.read(raw)
	if err == nil && in.check(head) == nil && size == ws.HeaderSize(head) && in.fits(head) {
		return head, size, nil
	}
	return head, 0, d.judge(raw, in)
}

// check is the library's check, which knows RSV bits as an error only. RSV1 is none on the first frame of a message if it means that
// the message is compressed (RFC 7692 section 6).
func (in setting) check(head ws.Header) error {
	if in.deflate && head.OpCode.IsData() && head.OpCode != ws.OpContinuation {
		head.Rsv &^= rsv1
	}
	return ws.CheckHeader(head, in.state)
}

func (in setting) fits(head ws.Header) bool {
	return head.OpCode.IsControl() || head.Length <= in.most(head)-in.have
}

// most is the longest message that the frame may belong to, as it comes. head has been checked, so RSV bits say that it is compressed.
func (in setting) most(head ws.Header) int64 {
	if in.deflated || head.Rsv != 0 {
		return deflateBound(in.limit)
	}
	return in.limit
}

// judge says what is wrong with an incomplete or faulty header, nil if it is only incomplete.
//
// It looks at the first byte alone, then at the first two, then at the length, so that a fault is reported as soon as the bytes
// that show it are there, and a header with several faults is always given the same one, however it arrived.
func (d *decoder) judge(raw []byte, in setting) *Error {
	const masked, lengthBits = 0x80, 0x7f
	if fault := d.check(raw[0], masked, in); fault != nil {
		return fault
	}
	if len(raw) == 1 {
		return nil
	}
	if fault := d.check(raw[0], raw[1], in); fault != nil {
		return fault
	}
	extended := 0
	switch raw[1] & lengthBits {
	case 126:
		extended = 2
	case 127:
		extended = 8
	}
	if len(raw) < 2+extended {
		return nil
	}
	d.pad = [ws.MaxHeaderSize]byte{}
	copy(d.pad[:], raw) // the mask, if it is not there yet, is zero and of no interest
	head, size, err := d.read(d.pad[:])
	switch {
	case errors.Is(err, ws.ErrHeaderLengthMSB):
		return violation(ws.StatusProtocolError, "payload length with its most significant bit set")
	case size != ws.HeaderSize(head):
		return violation(ws.StatusProtocolError, "payload length %d is not in its shortest encoding", head.Length)
	case !in.fits(head):
		// Unsigned, because the sum may be beyond what int64 holds.
		return violation(ws.StatusMessageTooBig, "message of at least %d bytes is over the limit of %d bytes",
			uint64(in.have)+uint64(head.Length), in.most(head))
	}
	return nil
}

// check judges a header by its first two bytes.
func (d *decoder) check(b0, b1 byte, in setting) *Error {
	d.pad = [ws.MaxHeaderSize]byte{b0, b1}
	head, _, _ := d.read(d.pad[:]) // cannot fail: pad holds the longest header, and its length has no top bit
	// The length proper may still be to come. 126 and 127 stand for one that 7 bits cannot hold, and serve as well to show that it
	// is over a control frame's 125.
	head.Length = int64(b1 & 0x7f)
	err := in.check(head)
	if err == nil {
		return nil
	}
	const code = ws.StatusProtocolError
	switch err {
	case ws.ErrProtocolOpCodeReserved:
		return violation(code, "reserved opcode 0x%X", byte(head.OpCode))
	case ws.ErrProtocolControlPayloadOverflow:
		return violation(code, "control frame with a payload over %d bytes", ws.MaxControlFramePayloadSize)
	case ws.ErrProtocolControlNotFinal:
		return violation(code, "fragmented control frame")
	case ws.ErrProtocolNonZeroRsv:
		if in.deflate {
			return violation(code, "RSV bits set (%03b) other than RSV1 on the first frame of a compressed message", head.Rsv)
		}
		return violation(code, "RSV bits set (%03b) though no extension was negotiated", head.Rsv)
	case ws.ErrProtocolMaskRequired:
		return violation(code, "frame is not masked")
	case ws.ErrProtocolContinuationExpected:
		return violation(code, "new data frame before the fragmented message ended")
	case ws.ErrProtocolContinuationUnexpected:
		return violation(code, "continuation frame without a message to continue")
	}
	return violation(code, "%.100s", err)
}
