package netloop

import (
	"crypto/tls"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Loops makes links. On Linux those of TCP connections, plain or with TLS over a Swappable listener, are run by event loops, as many
// as GOMAXPROCS; a loop lives while it has a link. The zero value is ready to use.
type Loops struct {
	// Coalesce is how long output waits for more, so that fewer, larger writes leave. It is set before the first link is made.
	Coalesce time.Duration

	once  sync.Once
	loops []*loop
	next  atomic.Uint32
}

// New returns the Link between conn and peer, which owns conn from then on. It does nothing until Start.
func (s *Loops) New(conn net.Conn, peer Peer) Link {
	if c, ok := conn.(*rereadConn); ok && len(c.read) == 0 {
		conn = c.TCPConn
	}
	switch conn := conn.(type) {
	case *net.TCPConn:
		if fd, err := takeOver(conn); err == nil {
			return s.adopt(fd, peer)
		}
	case *tls.Conn:
		if fd, secured, ok := secure(conn); ok {
			l := s.adopt(fd, peer)
			l.tls = secured
			return l
		}
	}
	return NewPortable(conn, peer, s.Coalesce)
}

// adopt is New for a connected, non-blocking stream socket that nobody else reads, writes or closes.
func (s *Loops) adopt(fd int, peer Peer) *Looped {
	s.once.Do(func() {
		for range runtime.GOMAXPROCS(0) {
			s.loops = append(s.loops, &loop{coalesce: s.Coalesce, wake: make(chan struct{}, 1)})
		}
	})
	return &Looped{fd: int32(fd), peer: peer, loop: s.loops[s.next.Add(1)%uint32(len(s.loops))]}
}

// takeOver returns a descriptor of the connection that the Go runtime does not know, and closes the one it knows.
func takeOver(conn *net.TCPConn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	if ctlErr := raw.Control(func(known uintptr) { fd, err = unix.FcntlInt(known, unix.F_DUPFD_CLOEXEC, 0) }); ctlErr != nil {
		err = ctlErr
	}
	if err != nil {
		return 0, err
	}
	_ = conn.Close() // the connection lives on in fd
	return fd, nil
}

// loop moves the bytes of its links, one turn after the other: it reads what is readable, then writes what waits. A turn is done by
// the polling goroutine when the kernel has something, or by the flushing one when other goroutines have; never by both at once.
//
// The polling goroutine waits in the runtime's own poller, for the loop's epoll descriptor to become readable. All system calls
// are non-blocking and raw: the scheduler is not told of them. So a quiet loop blocks no thread, and its waking does not set off
// the runtime's monitor, which would compete for the processor.
type loop struct {
	marked  atomic.Pointer[Looped] // stack of the links that ask for something
	turning atomic.Bool            // a turn is under way that will look at marked again
	wake    chan struct{}          // cap 1: marked is to be served; never closed

	coalesce time.Duration // how long marked waits to be served

	turn    sync.Mutex // held for one turn; guards the rest
	epoll   *os.File   // nil while there are no links
	poll    int        // the descriptor of epoll
	quit    chan struct{}
	links   []*Looped // by descriptor
	count   int
	added   int32             // links so far
	read    int               // bytes read in this turn
	events  []unix.EpollEvent // what is reported in the middle of a turn
	in      []byte            // what a read fills
	out     []byte            // what a write gathers
	pieces  [][]byte          // what a write is made of
	vectors []unix.Iovec      // the same as the kernel takes it
}

const (
	loopRead   = 32 << 10 // what one read takes at most: who sends much is not to make others wait
	loopWrite  = 64 << 10 // how much of a write is copied together at most
	loopPieces = 64       // in how many pieces
	loopBatch  = 256      // how many connections become readable in one turn at most
	fairReads  = 16       // how many reads from TLS a connection has in one turn at most
	fairWrite  = 4        // how many full writes a connection has in one turn at most

	// loopReadEvery is after how many writes what has arrived is read: then it leaves with the writes still to come, instead of
	// after them, and the rounds in a busy room grow large instead of many.
	loopReadEvery = 64
	loopReadMost  = 128 << 10 // and how much in a turn: then those who have waited for their output come first
)

// start makes the loop run. The turn is the caller's.
func (p *loop) start() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	_ = unix.SetNonblock(fd, true) // so that os.NewFile has the runtime poll it
	p.epoll, p.poll = os.NewFile(uintptr(fd), "epoll"), fd
	raw, err := p.epoll.SyscallConn()
	if err != nil {
		p.epoll.Close()
		p.epoll = nil
		return err
	}
	p.quit = make(chan struct{})
	p.events = make([]unix.EpollEvent, loopBatch)
	p.in, p.out = make([]byte, loopRead), make([]byte, loopWrite)
	p.pieces, p.vectors = make([][]byte, loopPieces), make([]unix.Iovec, loopPieces)
	go p.pollLinks(raw)
	go p.flushLinks(p.quit)
	return nil
}

// stop ends the loop with its last link. The turn is the caller's.
func (p *loop) stop() {
	_ = p.epoll.Close()
	close(p.quit)
	p.epoll, p.events, p.in, p.out, p.pieces, p.vectors, p.links = nil, nil, nil, nil, nil, nil, nil
}

// pollLinks is the polling goroutine.
func (p *loop) pollLinks(raw syscall.RawConn) {
	events := make([]unix.EpollEvent, loopBatch)
	n := 0
	ready := func(fd uintptr) bool {
		n = epollWait(fd, events)
		return n > 0
	}
	for raw.Read(ready) == nil {
		p.turn.Lock()
		p.turning.Store(p.coalesce == 0)
		p.handle(events[:n])
		if p.coalesce == 0 {
			p.endTurn()
		}
		p.turn.Unlock()
	}
}

// handle handles what the kernel has reported.
func (p *loop) handle(events []unix.EpollEvent) {
	for _, e := range events {
		if int(e.Fd) >= len(p.links) {
			continue
		}
		if l := p.links[e.Fd]; l != nil && l.nth == e.Pad { // the descriptor may have become another's since
			l.event(e.Events)
		}
	}
}

// flushLinks is the flushing goroutine.
func (p *loop) flushLinks(quit chan struct{}) {
	for running := true; running; {
		select {
		case <-p.wake:
			runtime.Gosched() // whoever is about to send something does it first: it leaves in the same write
		case <-quit:
			running = false // once more, so that no link stays marked
		}
		p.turn.Lock()
		p.turning.Store(true)
		p.endTurn()
		p.turn.Unlock()
	}
}

// endTurn does what has been asked for, including what is asked for meanwhile.
func (p *loop) endTurn() {
	p.serveMarked()
	p.read = 0
	p.turning.Store(false)
	if p.marked.Load() != nil { // by somebody who saw the turn under way
		p.signal()
	}
}

// serveMarked does what the marked links ask for, in the order in which they were marked.
func (p *loop) serveMarked() {
	for rounds := 0; rounds < 2; rounds++ { // who is marked again waits for the next turn: reading comes first
		var first *Looped
		for l := p.marked.Swap(nil); l != nil; {
			l.next, l, first = first, l.next, l
		}
		if first == nil {
			return
		}
		for n, l := 1, first; l != nil; n++ {
			next := l.next
			l.next = nil
			l.serve(l.asks.And(askNothing))
			l = next
			if n%loopReadEvery == 0 && p.epoll != nil && p.read < loopReadMost {
				if ready := epollWait(uintptr(p.poll), p.events); ready > 0 {
					p.handle(p.events[:ready])
					runtime.Gosched() // who has been given something to do does it first: what it sends leaves with the writes still to come
				}
			}
		}
	}
}

// mark puts l among the links that ask for something.
func (p *loop) mark(l *Looped) {
	for {
		old := p.marked.Load()
		l.next = old
		if p.marked.CompareAndSwap(old, l) {
			if old == nil && !p.turning.Load() {
				p.signal()
			}
			return
		}
	}
}

// signal has marked served, by the flushing goroutine.
func (p *loop) signal() {
	if p.coalesce > 0 {
		time.AfterFunc(p.coalesce, p.flush)
		return
	}
	p.flush()
}

func (p *loop) flush() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// add takes a link in. It starts the loop if it is the first.
func (p *loop) add(l *Looped) error {
	if p.epoll == nil {
		if err := p.start(); err != nil {
			return err
		}
	}
	for int(l.fd) >= len(p.links) {
		p.links = append(p.links, make([]*Looped, max(64, len(p.links)))...)
	}
	p.added++
	l.nth = p.added
	if err := unix.EpollCtl(p.poll, unix.EPOLL_CTL_ADD, int(l.fd), l.epollEvent(unix.EPOLLIN)); err != nil {
		if p.count == 0 {
			p.stop()
		}
		return os.NewSyscallError("epoll_ctl", err)
	}
	p.links[l.fd] = l
	p.count++
	return nil
}

// remove lets a link go. It stops the loop if it was the last.
func (p *loop) remove(l *Looped) {
	p.links[l.fd] = nil
	p.count--
	if p.count == 0 {
		p.stop()
	}
}
