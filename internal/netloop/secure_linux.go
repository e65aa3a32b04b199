package netloop

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Swappable wraps a listener whose connections TLS is to run over, so that a loop can take them over after the handshake: TLS keeps
// the net.Conn it was given, and only that can change what is below.
func Swappable(l net.Listener) net.Listener { return swapListener{l} }

type swapListener struct{ net.Listener }

// Accept is net.Listener.
func (l swapListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		return &swapConn{Conn: tcp, tcp: tcp}, nil
	}
	return conn, err
}

// swapConn is a TCP connection that becomes a raw one. It is swapped when nobody else uses it.
type swapConn struct {
	net.Conn
	tcp *net.TCPConn
}

// secured is what a Looped connection has besides if it speaks TLS: no goroutine and no buffer but those of TLS.
type secured struct {
	conn     *tls.Conn
	raw      *rawConn
	notified bool // the close_notify alert has been sent
}

// secure takes over the connection below a TLS connection that came from a Swappable listener, after its handshake.
func secure(conn *tls.Conn) (fd int, s *secured, ok bool) {
	swap, ok := conn.NetConn().(*swapConn)
	if !ok || swap.tcp == nil {
		return 0, nil, false
	}
	fd, err := takeOver(swap.tcp)
	if err != nil {
		return 0, nil, false
	}
	raw := &rawConn{fd: int32(fd), local: swap.LocalAddr(), remote: swap.RemoteAddr()}
	swap.Conn, swap.tcp = raw, nil
	return fd, &secured{conn: conn, raw: raw}, true
}

// rawConn is a net.Conn that never blocks, for the TLS connection of a loop. What the socket does not take at once waits in pending.
type rawConn struct {
	fd            int32
	pending       []byte // nil while nothing waits
	local, remote net.Addr
}

// mostPending is how much may wait encrypted: a full write, and as much again of what TLS itself answers. A client that makes TLS
// answer without reading (RFC 8446, section 4.6.3) passes it, and is cut.
const mostPending = 2 * loopWrite

// errWouldBlock is a timeout, so that TLS goes on where it was when it reads again.
var errWouldBlock net.Error = os.ErrDeadlineExceeded.(net.Error)

// Read is net.Conn.
func (c *rawConn) Read(p []byte) (int, error) {
	n, errno := rawRead(c.fd, p)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return 0, errWouldBlock
	case errno != 0:
		return 0, os.NewSyscallError("read", errno)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write is net.Conn. It takes all of p.
func (c *rawConn) Write(p []byte) (int, error) {
	c.pending = append(c.pending, p...)
	if err := c.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush sends what is pending, as far as the socket takes it.
func (c *rawConn) flush() error {
	for len(c.pending) > 0 {
		n, errno := rawSend(c.fd, c.pending)
		if errno == unix.EAGAIN || errno == unix.EINTR {
			return nil
		}
		if errno != 0 {
			return os.NewSyscallError("send", errno)
		}
		c.pending = c.pending[n:]
	}
	c.pending = nil
	return nil
}

// Close is net.Conn: the descriptor is the loop's to close.
func (c *rawConn) Close() error { return nil }

// LocalAddr is net.Conn.
func (c *rawConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is net.Conn.
func (c *rawConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline is net.Conn: nothing blocks.
func (c *rawConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline is net.Conn: nothing blocks.
func (c *rawConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is net.Conn: nothing blocks.
func (c *rawConn) SetWriteDeadline(time.Time) error { return nil }

// readSecure takes what has arrived. TLS may hold more than it returns, of which the kernel knows nothing, so it is asked until it
// has no more.
func (l *Looped) readSecure() {
	for range fairReads {
		if len(l.tls.raw.pending) > mostPending {
			l.close(errStuck)
			return
		}
		n, err := l.tls.conn.Read(l.loop.in)
		l.loop.read += n
		if n > 0 && !l.peer.Receive(l.loop.in[:n]) {
			l.state |= paused
			return
		}
		switch {
		case err == nil:
		case errors.Is(err, errWouldBlock):
			l.flushPending() // an answer of TLS's own
			return
		case errors.Is(err, io.EOF):
			l.hungUp()
			return
		default:
			l.close(err)
			return
		}
	}
	l.ask(askRead) // more in the next turn
}

// flushPending sends what TLS has left to be sent, and reports whether all of it is.
func (l *Looped) flushPending() bool {
	if err := l.tls.raw.flush(); err != nil {
		l.close(err)
		return false
	}
	if len(l.tls.raw.pending) > 0 {
		l.state |= blocked
		l.watch()
		return false
	}
	return true
}

// sendSecure is send over TLS, which takes what it is given; so it is given no more than waits for a slow client anyway.
func (l *Looped) sendSecure(p []byte) (int, error) {
	n, err := l.tls.conn.Write(p[:min(len(p), loopWrite)])
	if len(l.tls.raw.pending) > 0 {
		l.state |= blocked
	}
	return n, err
}

// notify sends the alert that ends the stream (RFC 8446, section 6.1), and reports whether everything has left.
func (l *Looped) notify() bool {
	if !l.tls.notified {
		l.tls.notified = true
		if err := l.tls.conn.CloseWrite(); err != nil {
			l.close(err)
			return false
		}
	}
	return l.flushPending()
}
