package netloop

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	smallRead = 4 << 10  // what a connection keeps for reading
	largeRead = 64 << 10 // what it borrows while it receives more than that at a time
	writeSize = 64 << 10 // what one write carries at most, unless a single frame is larger
)

// Scratch buffers are shared by all connections and borrowed for the length of a burst. They are pointers to arrays so that
// putting one back allocates nothing.
var (
	readBuffers  = sync.Pool{New: func() any { return new([largeRead]byte) }}
	writeBuffers = sync.Pool{New: func() any { return new(writeBuffer) }}
)

// writeBuffer is what Output fills.
type writeBuffer struct {
	scratch [writeSize]byte
	pieces  [1][]byte
}

// errStuck ends a writer whose socket took nothing and reported no error, against the contract of io.Writer.
var errStuck = errors.New("netloop: the connection accepts no bytes")

// Portable is the Link over any net.Conn: TCP, TLS, pipes. One goroutine reads and owns the connection from Start until it has
// closed it; a second one writes while there is output.
type Portable struct {
	conn     net.Conn
	peer     Peer
	coalesce time.Duration

	aborted atomic.Bool

	resume chan struct{} // cap 1: reading may go on; never closed
	last   chan struct{} // Output has said last; closed once, by the writing goroutine
}

// NewPortable returns the Link between conn and peer. Output waits for more for the time of coalesce. It does nothing until Start.
func NewPortable(conn net.Conn, peer Peer, coalesce time.Duration) *Portable {
	return &Portable{conn: conn, peer: peer, coalesce: coalesce, resume: make(chan struct{}, 1), last: make(chan struct{})}
}

// Start begins to read and to write; see Link.
func (l *Portable) Start(greeting, head []byte) {
	go l.read(head)
	go l.write(greeting)
}

// Wake starts the writing goroutine; see Link.
func (l *Portable) Wake() {
	if l.coalesce > 0 {
		time.AfterFunc(l.coalesce, func() { l.write(nil) })
		return
	}
	go l.write(nil)
}

// Resume goes on reading; see Link.
func (l *Portable) Resume() {
	select {
	case l.resume <- struct{}{}:
	default:
	}
}

// Finish bounds what is left to do; see Link.
func (l *Portable) Finish(within time.Duration) {
	l.setDeadline(time.Now().Add(within))
	if l.aborted.Load() {
		l.setDeadline(past)
	}
}

// Abort closes the connection at once; see Link. The deadline makes the two goroutines let go of it; the reading one closes it.
func (l *Portable) Abort() {
	l.aborted.Store(true)
	l.setDeadline(past)
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

func (l *Portable) setDeadline(t time.Time) {
	_ = l.conn.SetDeadline(t) // its error is that of a closed connection, which is what is being waited for
	l.Resume()
}

// read is the life of the connection.
func (l *Portable) read(head []byte) {
	if len(head) > 0 && !l.peer.Receive(head) {
		<-l.resume
	}
	l.peer.Lost(l.receive())
	<-l.last
	_ = l.conn.Close()
	l.peer.Released()
}

// receive hands on what arrives until reading fails, and returns why.
func (l *Portable) receive() error {
	small := make([]byte, smallRead)
	var large *[largeRead]byte // borrowed while single reads fill the buffer
	defer func() {
		if large != nil {
			readBuffers.Put(large)
		}
	}()
	for {
		buf := small
		if large != nil {
			buf = large[:]
		}
		n, err := l.conn.Read(buf)
		if n > 0 && !l.peer.Receive(buf[:n]) {
			<-l.resume
		}
		switch {
		case err != nil:
			return err
		case large == nil && n == smallRead:
			large = readBuffers.Get().(*[largeRead]byte)
		case large != nil && n < largeRead: // the socket is drained: the next read waits, with the small buffer
			readBuffers.Put(large)
			large = nil
		}
	}
}

// write sends first and then what waits, until nothing does.
func (l *Portable) write(first []byte) {
	if len(first) > 0 {
		if _, err := l.conn.Write(first); err != nil {
			l.peer.Lost(err)
		}
	}
	b := writeBuffers.Get().(*writeBuffer)
	defer func() {
		clear(b.pieces[:])
		writeBuffers.Put(b)
	}()
	for {
		pieces, last := l.peer.Output(b.scratch[:], b.pieces[:0])
		if len(pieces) == 0 {
			if last {
				l.finishWriting()
			}
			return
		}
		n, err := l.conn.Write(pieces[0])
		more := l.peer.Written(n)
		if err == nil && n < len(pieces[0]) {
			err = errStuck
		}
		if err != nil {
			l.peer.Lost(err)
		} else if !more {
			return
		}
	}
}

// finishWriting lets the other end see the end of the stream and, with it, everything before: closing at once would reset the
// connection when input is waiting, and a reset may overtake the Close frame.
func (l *Portable) finishWriting() {
	l.peer.Flushed()
	half, ok := l.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		l.Abort()
	}
	close(l.last)
}

var _ Link = (*Portable)(nil)
