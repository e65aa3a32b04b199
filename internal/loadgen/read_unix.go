//go:build unix

package loadgen

import (
	"io"
	"net"
	"syscall"
)

// readAll reads until the connection ends. While there is nothing to read it holds neither a buffer nor a histogram: it takes a
// worker only after the poller has said that there is something, and gives it back when the socket is empty.
func (m *member) readAll() error {
	tcp, ok := m.out.conn.(*net.TCPConn)
	if !ok {
		return m.readPortable()
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var end error
	err = raw.Read(func(fd uintptr) (done bool) {
		w := m.run.pool.get()
		defer m.run.pool.put(w)
		end = m.readReady(w, int(fd))
		return end != nil
	})
	if end == nil {
		end = err
	}
	return end
}

// readReady reads until the socket is empty, which is no error.
func (m *member) readReady(w *worker, fd int) error {
	for {
		n, err := syscall.Read(fd, w.buf)
		switch {
		case err == syscall.EAGAIN:
			return nil
		case err == syscall.EINTR:
		case err != nil:
			return err
		case n == 0:
			return io.EOF
		default:
			if err := m.consume(w, w.buf[:n]); err != nil {
				return err
			}
		}
	}
}
