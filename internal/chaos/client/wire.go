package client

import (
	"errors"
	"net"
	"sync"
	"time"
)

var errNetwork = errors.New("client: the network is gone")

// wire is a TCP connection that can be lost and stalled on the client's side.
type wire struct {
	net.Conn
	gone chan struct{} // closed by lose

	mu    sync.Mutex
	until time.Time // nothing is read before; guarded by mu
	lost  bool      // guarded by mu
}

// stall stops reading for a while: the server sees a client that is too slow.
func (w *wire) stall(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = time.Now().Add(d)
}

// widen makes room for what has not been read: a connection with little of it is slow even when it reads.
func (w *wire) widen() {
	if tcp, ok := w.Conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(1 << 20) // a smaller one is no fault
	}
}

// stalled is until when nothing is read.
func (w *wire) stalled() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.until
}

// lose ends the connection for the client: with a reset that the server sees, or silently, so that the server goes on writing into the void
// until bury.
func (w *wire) lose(silently bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost {
		return
	}
	w.lost = true
	close(w.gone)
	if silently {
		_ = w.Conn.SetDeadline(time.Unix(1, 0)) // whoever reads or writes ends at once
		return
	}
	w.reset()
}

// bury ends a connection that was lost silently for the server as well.
func (w *wire) bury() {
	w.lose(false)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reset()
}

func (w *wire) reset() {
	if tcp, ok := w.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the end is a polite one: still an end
	}
	_ = w.Conn.Close() // it may be closed already
}

func (w *wire) Read(b []byte) (int, error) {
	w.wait()
	n, err := w.Conn.Read(b)
	w.wait() // what came after the stall began is not seen before it is over
	select {
	case <-w.gone:
		return 0, errNetwork
	default:
		return n, err
	}
}

// wait returns when the client reads.
func (w *wire) wait() {
	d := time.Until(w.stalled())
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.gone:
	}
}

// Close is what the WebSocket does at its end: a connection that was lost silently stays until it is buried.
func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost {
		return nil
	}
	return w.Conn.Close()
}
