package netloop

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Door accepts connections straight into loops, without the Go runtime knowing of each.
type Door struct {
	file *os.File // a listening socket of its own
}

// NewDoor takes l over: it is closed, and the Door listens on. The error is errors.ErrUnsupported where there are no loops.
func NewDoor(l *net.TCPListener) (*Door, error) {
	file, err := l.File()
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err == nil {
		// Accepted sockets inherit it. Without it a small message waits for the acknowledgement of the one before.
		err = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) })
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	_ = l.Close()
	return &Door{file}, nil
}

// Close stops listening and ends Accept. It may be called twice.
func (d *Door) Close() error { return d.file.Close() }

// Accept calls visit with the link of each connection and starts it with the Peer that visit returns, until Close; then it returns
// net.ErrClosed. A link that is not InTime within the given time is aborted. Without a free descriptor Accept waits for
// one, and says so through trouble.
func (d *Door) Accept(loops *Loops, within time.Duration, visit func(link *Looped, remote netip.AddrPort) Peer,
	trouble func(error)) error {
	raw, err := d.file.SyscallConn()
	if err != nil {
		return net.ErrClosed
	}
	for {
		var fd int
		var from netip.AddrPort
		var acceptErr syscall.Errno
		err := raw.Read(func(listener uintptr) bool {
			fd, from, acceptErr = rawAccept(listener)
			return acceptErr != unix.EAGAIN
		})
		switch {
		case err != nil:
			return net.ErrClosed
		case acceptErr == 0:
			l := loops.adopt(fd, nil)
			l.timer.Store(time.AfterFunc(within, l.Abort))
			l.peer = visit(l, from)
			l.Start(nil, nil)
		case acceptErr == unix.EMFILE, acceptErr == unix.ENFILE, acceptErr == unix.ENOBUFS, acceptErr == unix.ENOMEM:
			trouble(fmt.Errorf("accept: %w; trying again in %v", acceptErr, exhausted))
			time.Sleep(exhausted)
		} // anything else is about one connection, which has gone already
	}
}

// exhausted is how long Accept waits for a descriptor to become free.
const exhausted = 100 * time.Millisecond

// InTime ends the time that Accept has given the link.
func (l *Looped) InTime() {
	if t := l.timer.Swap(nil); t != nil {
		t.Stop()
	}
}

// Hand gives the link to another peer. Its old one has returned false from Receive, has nothing to be sent, and hears no more of
// it. The new one calls Start when it is ready, and hears nothing before, not even that the connection has been lost.
func (l *Looped) Hand(peer Peer) {
	l.InTime()
	l.loop.turn.Lock()
	defer l.loop.turn.Unlock()
	l.peer = peer
	l.state |= handed
}

// Conn takes the connection out of the loop and returns it for ordinary use; what has been read from it is read from it again, first.
// The conditions are those of Hand. The link is of no use afterwards; its peer hears no more of it.
func (l *Looped) Conn(read []byte) (net.Conn, error) {
	l.InTime()
	l.loop.turn.Lock()
	defer l.loop.turn.Unlock()
	if l.state&closed != 0 {
		return nil, net.ErrClosed
	}
	l.state |= closed
	l.asks.Or(askNothing)
	_ = unix.EpollCtl(l.loop.poll, unix.EPOLL_CTL_DEL, int(l.fd), nil) // it is registered
	l.loop.remove(l)
	file := os.NewFile(uintptr(l.fd), "tcp")
	defer file.Close() // net.FileConn makes a descriptor of its own
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return &rereadConn{TCPConn: conn.(*net.TCPConn), read: read}, nil
}

// rereadConn is a connection of which something has been read.
type rereadConn struct {
	*net.TCPConn // all of it: an http.Server looks for CloseWrite
	read         []byte
}

// Read returns what has been read before, first.
func (c *rereadConn) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		c.read = c.read[n:]
		return n, nil
	}
	return c.TCPConn.Read(p)
}

// WriteTo keeps that of the connection inside from passing over what has been read.
func (c *rereadConn) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{c}) }
