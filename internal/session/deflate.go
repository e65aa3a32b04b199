// deflate.go: permessage-deflate without context takeover (RFC 7692 section 7.2): frames compressed, messages inflated.
//
// What compresses and what inflates is large, and borrowed from a pool for the time of one message: a connection holds neither.

package session

import (
	"compress/flate"
	"errors"
	"io"
	"math"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// MinDeflate is the smallest payload, in bytes, that DeflateFrame compresses. Below it the gain is a few dozen bytes, less than
// what the network adds to them (docs/decisions has the figures).
const MinDeflate = 256

// rsv1 marks the first frame of a compressed message (RFC 7692 section 6).
const rsv1 = 0x04

// deflateTail ends what a sender has flushed and cut off (RFC 7692 section 7.2.2): the four bytes it cut off, and an empty last
// block, so that the stream has an end.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// flushTail is how many bytes of it the sender has cut off (RFC 7692 section 7.2.1).
const flushTail = 4

// keptBuffer is the largest output buffer that goes back to a pool.
const keptBuffer = 64 << 10

// DeflateFrames returns frames that AppendMessage has built, one behind the other, with their payloads compressed, in memory of their
// own. A payload that is shorter than MinDeflate or does not become shorter stays as it is; nil if all do.
func DeflateFrames(frames []byte) []byte {
	var all []byte
	shorter := false
	for len(frames) > 0 {
		var frame []byte
		frame, frames = CutFrame(frames)
		deflated := deflateFrame(frame)
		if deflated != nil {
			frame, shorter = deflated, true
		}
		if all == nil && len(frames) == 0 {
			return deflated // it is the only one
		}
		all = append(all, frame...)
	}
	if !shorter {
		return nil
	}
	return all
}

func deflateFrame(frame []byte) []byte {
	op, payload := ws.OpCode(frame[0]&0x0f), frame[headerSize(frame):]
	if len(payload) < MinDeflate {
		return nil
	}
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	return d.frame(op, payload)
}

// deflater is a compressor and its output, which is bounded: what does not become shorter is given up.
type deflater struct {
	w    *flate.Writer
	out  []byte
	most int
}

var deflaters = sync.Pool{New: func() any {
	d := new(deflater)
	d.w, _ = flate.NewWriter(d, flate.BestSpeed) // fails for an unknown level only
	return d
}}

var errNotShorter = errors.New("not shorter")

// Write is io.Writer for the compressor.
func (d *deflater) Write(p []byte) (int, error) {
	if len(d.out)+len(p) > d.most {
		return 0, errNotShorter
	}
	d.out = append(d.out, p...)
	return len(p), nil
}

func (d *deflater) frame(op ws.OpCode, payload []byte) []byte {
	d.out, d.most = d.out[:0], len(payload)-1+flushTail
	defer func() {
		if cap(d.out) > keptBuffer {
			d.out = nil
		}
	}()
	d.w.Reset(d)
	if _, err := d.w.Write(payload); err != nil {
		return nil
	}
	if err := d.w.Flush(); err != nil {
		return nil
	}
	return appendFrame(nil, ws.Header{Fin: true, Rsv: rsv1, OpCode: op}, d.out[:len(d.out)-flushTail])
}

// deflateBound is the longest compressed form of a message within the limit. Every compressor keeps to it: in blocks of literals with
// the fixed code a byte becomes at most 9 bits (RFC 1951 section 3.2.6).
func deflateBound(limit int64) int64 {
	if limit < 0 || limit > math.MaxInt-limit/8-64 {
		return limit
	}
	return limit + limit/8 + 64
}

// inflater is a decompressor, its input, and where a message goes at first.
type inflater struct {
	r       io.ReadCloser
	payload []byte // what is left of the message
	tail    string // what is left of deflateTail

	pieces [][]byte // the inflated message
	first  [firstInflated]byte
}

// firstInflated is the size of the first piece, which is borrowed: a message that fits into it is allocated once.
const firstInflated = 32 << 10

var inflaters = sync.Pool{New: func() any {
	z := new(inflater)
	z.r = flate.NewReader(z)
	return z
}}

// ReadByte is io.ByteReader for the decompressor: with it, it takes no more than it needs.
func (z *inflater) ReadByte() (c byte, err error) {
	switch {
	case len(z.payload) > 0:
		c, z.payload = z.payload[0], z.payload[1:]
	case len(z.tail) > 0:
		c, z.tail = z.tail[0], z.tail[1:]
	default:
		err = io.EOF
	}
	return c, err
}

// Read is io.Reader for the decompressor.
func (z *inflater) Read(p []byte) (n int, err error) {
	switch {
	case len(z.payload) > 0:
		n = copy(p, z.payload)
		z.payload = z.payload[n:]
	case len(z.tail) > 0:
		n = copy(p, z.tail)
		z.tail = z.tail[n:]
	default:
		err = io.EOF
	}
	return n, err
}

// inflate returns the message whose compressed form is p, in memory of its own. It is inflated into pieces, so that what is allocated
// follows what the message turns out to be, and ends at the limit.
func inflate(p []byte, text bool, limit int64) (data []byte, fault *Error) {
	z := inflaters.Get().(*inflater)
	defer inflaters.Put(z)
	z.payload, z.tail = p, deflateTail
	_ = z.r.(flate.Resetter).Reset(z, nil) // never fails
	size, err := z.read(max(limit, 0))
	switch {
	case size > limit:
		fault = violation(ws.StatusMessageTooBig, "compressed message is over the limit of %d bytes", limit)
	case err != nil:
		fault = violation(ws.StatusProtocolError, "compressed message is not valid DEFLATE data")
	case !z.ended():
		fault = violation(ws.StatusProtocolError, "compressed message does not end with its last DEFLATE block")
	default:
		data = make([]byte, 0, size)
		for _, piece := range z.pieces {
			data = append(data, piece...)
		}
		if text && !utf8.Valid(data) {
			data, fault = nil, notUTF8()
		}
	}
	clear(z.pieces)
	z.payload = nil // it is the caller's
	return data, fault
}

// read inflates into z.pieces, to the end or until there is a byte more than the limit.
func (z *inflater) read(limit int64) (size int64, err error) {
	limit = min(limit, math.MaxInt-1)
	piece := z.first[:0]
	z.pieces = append(z.pieces[:0], piece)
	for {
		if len(piece) == cap(piece) {
			piece = make([]byte, 0, min(size, limit+1-size)) // twice as much as before
			z.pieces = append(z.pieces, piece)
		}
		n, err := z.r.Read(piece[len(piece):min(int64(cap(piece)), int64(len(piece))+limit+1-size)])
		piece = piece[:len(piece)+n]
		z.pieces[len(z.pieces)-1] = piece
		size += int64(n)
		switch {
		case err == io.EOF || size > limit:
			return size, nil
		case err != nil:
			return size, err
		}
	}
}

// ended reports whether the DEFLATE stream has ended where the message does: with the block that deflateTail adds, or with an
// earlier one that is marked as the last. In an earlier one what the sender cut off was its end, or a block behind it of which a zero
// byte is left (RFC 7692 section 7.2.3.4); senders that forget that byte are understood by everybody.
func (z *inflater) ended() bool {
	switch len(z.payload) {
	case 0:
		return len(z.tail) == 0 || len(z.tail) == len(deflateTail)-flushTail || len(z.tail) == len(deflateTail)
	case 1:
		return z.payload[0] == 0
	}
	return false
}
