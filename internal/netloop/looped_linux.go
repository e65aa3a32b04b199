package netloop

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Looped is the Link of a connection that a loop runs.
type Looped struct {
	peer Peer
	loop *loop

	asks  atomic.Uint32 // what is asked for; not 0 means that it is marked
	nth   int32         // tells it from others that had its descriptor; guarded by loop.turn
	next  *Looped       // the one marked before
	timer atomic.Pointer[time.Timer]

	// Guarded by loop.turn.
	fd    int32
	state linkState
	tls   *secured // nil without TLS
}

// What can be asked for, from any goroutine.
const (
	askWrite   uint32 = 1 << iota // there is output
	askResume                     // reading may go on
	askRead                       // TLS may hold input of which the kernel knows nothing
	askAbort                      // close at once
	askNothing                    // the link is closed: it is not marked any more
)

// linkState is what has become of a link.
type linkState uint16

const (
	added     linkState = 1 << iota // the loop knows it
	paused                          // nothing is read until Resume
	blocked                         // the socket takes no more for now
	readDone                        // the other end has hung up, or reading has failed
	lastSent                        // Output has said last, and it has been written
	closed                          //
	handed                          // to a peer that has not called Start yet, and is told nothing before
	stillborn                       // aborted before Start
	watchIn                         // the kernel is asked to report input
	watchOut                        // the kernel is asked to report room for output
)

// Start hands the connection to its loop, or to its new peer after Hand; see Link.
func (l *Looped) Start(greeting, head []byte) {
	l.loop.turn.Lock()
	defer l.loop.turn.Unlock()
	if l.state&handed != 0 {
		l.state &^= handed
		if l.state&closed != 0 {
			l.tell(net.ErrClosed) // what the old peer was not told any more
			return
		}
	}
	if l.state&added == 0 {
		l.state |= added
		if err := l.loop.add(l); err != nil {
			l.abandon(err)
			return
		}
		l.state |= watchIn
	}
	if l.state&stillborn != 0 {
		l.close(os.ErrDeadlineExceeded)
		return
	}
	if len(greeting) > 0 {
		if n, err := l.send(greeting); n < len(greeting) { // a new socket has room for it
			l.close(err)
			return
		}
	}
	l.state &^= paused
	if len(head) > 0 && !l.peer.Receive(head) {
		l.state |= paused
	}
	l.watch()
	l.ask(askWrite | askRead)
}

// Wake asks for the output to be written; see Link.
func (l *Looped) Wake() { l.ask(askWrite) }

// Resume asks for reading to go on; see Link.
func (l *Looped) Resume() { l.ask(askResume) }

// Abort asks for the connection to be closed; see Link.
func (l *Looped) Abort() { l.ask(askAbort) }

// Finish bounds what is left to do; see Link.
func (l *Looped) Finish(within time.Duration) {
	if t := time.AfterFunc(within, l.Abort); !l.timer.CompareAndSwap(nil, t) || l.asks.Load()&askNothing != 0 {
		t.Stop() // a timer of a link that is closed, and has looked for it already, would keep it in memory
	}
	l.Resume()
}

func (l *Looped) ask(what uint32) {
	if l.asks.Or(what) == 0 {
		l.loop.mark(l)
	}
}

// serve does what has been asked for.
func (l *Looped) serve(asks uint32) {
	switch {
	case l.state&closed != 0:
		return
	case l.state&added == 0:
		if asks&askAbort != 0 {
			l.state |= stillborn
		}
		return
	case asks&askAbort != 0:
		l.close(os.ErrDeadlineExceeded)
		return
	case l.state&handed != 0:
		return // the new peer has not greeted yet
	}
	if asks&askResume != 0 && l.state&paused != 0 {
		l.state &^= paused
		l.watch()
		asks |= askRead
	}
	if asks&askWrite != 0 && l.state&blocked == 0 {
		l.write()
	}
	if asks&askRead != 0 && l.tls != nil && l.state&(paused|readDone|closed) == 0 {
		l.readSecure()
	}
}

// event handles what the kernel reports.
func (l *Looped) event(events uint32) {
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 && l.state&(readDone|paused) != 0 {
		l.close(io.ErrClosedPipe)
		return
	}
	if events&unix.EPOLLOUT != 0 && l.state&blocked != 0 {
		l.state &^= blocked
		if l.tls == nil || l.flushPending() {
			l.write()
		}
	}
	switch {
	case events&^unix.EPOLLOUT == 0 || l.state&(readDone|closed) != 0:
	case l.state&paused != 0:
		l.watch() // not before there is something: most pauses are shorter
	case l.tls != nil:
		l.readSecure()
	default:
		l.read()
	}
}

// read takes what has arrived, once: the kernel reports again if there is more, and others come first.
func (l *Looped) read() {
	n, errno := rawRead(l.fd, l.loop.in)
	l.loop.read += n
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return
	case errno != 0:
		l.close(os.NewSyscallError("read", errno))
	case n == 0:
		l.hungUp()
	case !l.peer.Receive(l.loop.in[:n]):
		l.state |= paused
	}
}

// hungUp notes that nothing more is to be read.
func (l *Looped) hungUp() {
	l.state |= readDone
	l.watch()
	l.peer.Lost(io.EOF)
	if l.state&lastSent != 0 {
		l.close(io.EOF)
	}
}

// room returns the empty pieces for Output: TLS takes one at a time.
func (l *Looped) room() [][]byte {
	if l.tls != nil {
		return l.loop.pieces[:0:1]
	}
	return l.loop.pieces[:0]
}

// sendPieces gives the socket as much of the pieces as it takes.
func (l *Looped) sendPieces(pieces [][]byte) (int, error) {
	if len(pieces) == 1 {
		p := pieces[0]
		pieces[0] = nil // a frame is not to stay in memory for that it has been sent
		return l.send(p)
	}
	size := 0
	for i, p := range pieces {
		size += len(p)
		l.loop.vectors[i].Base = &p[0]
		l.loop.vectors[i].SetLen(len(p))
	}
	n, errno := rawSendVectors(l.fd, l.loop.vectors[:len(pieces)])
	clear(l.loop.vectors[:len(pieces)])
	clear(pieces)
	return l.sent(n, size, errno)
}

// send gives the socket as much of p as it takes.
func (l *Looped) send(p []byte) (int, error) {
	if l.tls != nil {
		return l.sendSecure(p)
	}
	n, errno := rawSend(l.fd, p)
	return l.sent(n, len(p), errno)
}

// sent judges a system call that was to send so many bytes.
func (l *Looped) sent(n, size int, errno syscall.Errno) (int, error) {
	if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		return 0, os.NewSyscallError("send", errno)
	}
	if n < size {
		l.state |= blocked
	}
	return n, nil
}

// write sends what waits, until nothing does or the socket takes no more.
func (l *Looped) write() {
	for range fairWrite {
		pieces, last := l.peer.Output(l.loop.out, l.room())
		if len(pieces) == 0 {
			l.watch()
			if last {
				l.finishWriting()
			}
			return
		}
		n, err := l.sendPieces(pieces)
		if err != nil {
			l.close(err)
			return
		}
		if more := l.peer.Written(n); !more || l.state&blocked != 0 {
			l.watch()
			return
		}
	}
	l.ask(askWrite) // more in the next turn
}

// finishWriting lets the other end see the end of the stream; what it still sends is received until it hangs up too.
func (l *Looped) finishWriting() {
	if l.state&lastSent != 0 || l.tls != nil && !l.notify() {
		return
	}
	l.state |= lastSent
	l.peer.Flushed()
	hungUp := l.state&readDone != 0 || l.asks.Load()&askAbort != 0 // by the peer that has been told just now: closing says it too
	if hungUp || !rawShutdown(l.fd) {
		l.close(io.EOF)
	}
}

// watch tells the kernel which events to report, if that has changed.
func (l *Looped) watch() {
	var events uint32
	var want linkState
	if l.state&(paused|readDone) == 0 {
		events, want = unix.EPOLLIN, watchIn
	}
	if l.state&blocked != 0 {
		events, want = events|unix.EPOLLOUT, want|watchOut
	}
	if l.state&(watchIn|watchOut) == want {
		return
	}
	l.state = l.state&^(watchIn|watchOut) | want
	_ = unix.EpollCtl(l.loop.poll, unix.EPOLL_CTL_MOD, int(l.fd), l.epollEvent(events)) // it is registered
}

// epollEvent is what the kernel is to report, and how.
func (l *Looped) epollEvent(events uint32) *unix.EpollEvent {
	return &unix.EpollEvent{Events: events, Fd: l.fd, Pad: l.nth}
}

// close ends the connection, whatever it has reached.
func (l *Looped) close(why error) {
	l.loop.remove(l)
	l.abandon(why)
}

// abandon does what is left to do for a connection that no loop runs any more.
func (l *Looped) abandon(why error) {
	l.state |= closed
	l.asks.Or(askNothing)
	if t := l.timer.Load(); t != nil {
		t.Stop()
	}
	rawClose(l.fd)
	if l.state&handed == 0 {
		l.tell(why)
	}
}

// tell tells the peer that the connection has ended, as far as it does not know.
func (l *Looped) tell(why error) {
	if l.state&lastSent == 0 {
		l.peer.Lost(why)
		l.peer.Flushed()
	}
	l.peer.Released()
}
