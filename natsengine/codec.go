package natsengine

import (
	"encoding/binary"
	"errors"

	"github.com/roomcast/roomcast"
)

// What passes between the nodes begins with this byte: another format will have another, so that nodes of two versions can tell.
const format = 1

// request is all that is in a message among notices that asks the node that has stored last to let others store: see room.yield.
const request = 2

// What passes in rooms without history begins with liveFormat, and a number.
const (
	liveFormat = 3
	liveHead   = 1 + 8
)

// entry flags
const (
	flagBinary = 1 << iota
	flagExcept
	flagKey
	flagOnce
)

var errFormat = errors.New("not in a format that this version knows")

// batch is a message of the log of a room: the entries that were stored at once. An empty one opens an epoch.
type batch struct {
	epoch string
	first uint64 // offset of the first entry
	id    string // of the attempt to store it
	count uint64
	body  []byte // the entries, encoded

	seq uint64 // in the stream; zero until it is stored
	bad error  // it could not be understood
}

// last is the position of the last entry, or of what the first follows if there is none.
func (b *batch) last() roomcast.Position {
	return roomcast.Position{Epoch: b.epoch, Offset: b.first + b.count - 1}
}

// place is one in the log of a room: the last entry of a batch, and the sequence of that batch in the stream. The zero place is that of a
// room of which nothing is stored.
type place struct {
	roomcast.Position
	seq uint64
}

func (b *batch) head() place { return place{b.last(), b.seq} }

// follows reports whether nothing is missing between h and b.
func (b *batch) follows(h place) bool {
	if b.epoch != h.Epoch {
		return b.first == 1 // an epoch begins when nothing is left of the one before it
	}
	return b.first == h.Offset+1
}

func (b *batch) encode() []byte {
	data := make([]byte, 0, len(b.body)+len(b.epoch)+len(b.id)+24)
	data = append(data, format)
	data = appendString(data, b.epoch)
	data = binary.AppendUvarint(data, b.first)
	data = appendString(data, b.id)
	data = binary.AppendUvarint(data, b.count)
	return append(data, b.body...)
}

// decodeBatch reads what is stored under a sequence. If it cannot be understood, it is something without an epoch, of which one knows no
// more than that it is there: another epoch begins after it.
func decodeBatch(data []byte, seq uint64) *batch {
	r := scanner{rest: data}
	known := r.byte() == format
	b := &batch{epoch: r.string(), first: r.uvarint(), id: r.string(), count: r.uvarint(), seq: seq}
	b.body = r.rest
	if !known || r.bad || b.epoch == "" || b.first == 0 {
		return &batch{first: 1, seq: seq, bad: errFormat}
	}
	return b
}

// entries decodes what is in the batch, all with their positions.
func (b *batch) entries() ([]roomcast.Entry, error) {
	entries, err := decodeEntries(b.body, b.count)
	for i := range entries {
		entries[i].Position = roomcast.Position{Epoch: b.epoch, Offset: b.first + uint64(i)}
	}
	return entries, err
}

// passing is what was published at once in a room without history.
type passing struct {
	node    string // that published it
	number  uint64 // grows with what the node publishes
	entries []roomcast.Entry
}

// encodePassing is a message of a room without history, whose number is still to be set.
func encodePassing(node string, bodies [][]byte) []byte {
	size := liveHead + len(node) + 12
	for _, b := range bodies {
		size += len(b)
	}
	data := append(make([]byte, 0, size), liveFormat)
	data = appendString(data[:liveHead], node)
	data = binary.AppendUvarint(data, uint64(len(bodies)))
	for _, b := range bodies {
		data = append(data, b...)
	}
	return data
}

func setNumber(data []byte, n uint64) { binary.BigEndian.PutUint64(data[1:], n) }

func decodePassing(data []byte) (p passing, err error) {
	if len(data) < liveHead || data[0] != liveFormat {
		return p, errFormat
	}
	r := scanner{rest: data[liveHead:]}
	p.node, p.number = r.string(), binary.BigEndian.Uint64(data[1:])
	count := r.uvarint()
	if count == 0 { // or it is not there
		return p, errFormat
	}
	p.entries, err = decodeEntries(r.rest, count)
	return p, err
}

func encodeEntry(e *roomcast.Entry) []byte {
	size := 16 + len(e.Data) + len(e.Key) + len(e.Once)
	for _, s := range e.Except {
		size += len(s) + 3
	}
	data := make([]byte, 1, size)
	if e.Binary {
		data[0] |= flagBinary
	}
	if len(e.Except) > 0 {
		data[0] |= flagExcept
		data = binary.AppendUvarint(data, uint64(len(e.Except)))
		for _, s := range e.Except {
			data = appendString(data, s)
		}
	}
	if e.Key != "" {
		data[0] |= flagKey
		data = appendString(data, e.Key)
	}
	if e.Once != "" {
		data[0] |= flagOnce
		data = appendString(data, e.Once)
	}
	return appendString(data, e.Data)
}

// decodeEntries reads what encodeEntry has written, count times. The data of the entries is that of body.
func decodeEntries(body []byte, count uint64) ([]roomcast.Entry, error) {
	r := scanner{rest: body}
	if count > uint64(len(body)) { // an entry has two bytes or more
		return nil, errFormat
	}
	entries := make([]roomcast.Entry, count)
	for i := range entries {
		e := &entries[i]
		flags := r.byte()
		e.Binary = flags&flagBinary != 0
		if flags&flagExcept != 0 {
			n := r.uvarint()
			if n > uint64(len(r.rest)) {
				return nil, errFormat
			}
			e.Except = make([]string, n)
			for j := range e.Except {
				e.Except[j] = r.string()
			}
		}
		if flags&flagKey != 0 {
			e.Key = r.string()
		}
		if flags&flagOnce != 0 {
			e.Once = r.string()
		}
		e.Data = r.bytes()
	}
	if r.bad {
		return nil, errFormat
	}
	return entries, nil
}

func appendString[T string | []byte](data []byte, s T) []byte {
	return append(binary.AppendUvarint(data, uint64(len(s))), s...)
}

// scanner takes things from the front of rest; bad is set, for good, once something was not there.
type scanner struct {
	rest []byte
	bad  bool
}

func (r *scanner) byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *scanner) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad = true
		r.rest = nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *scanner) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad = true
		r.rest = nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *scanner) string() string { return string(r.bytes()) }
