package netloop

import (
	"net"
	"sync"
)

// Passage is a net.Listener of connections that have been accepted elsewhere.
type Passage struct {
	addr  net.Addr
	conns chan net.Conn // never closed
	once  sync.Once
	done  chan struct{} // closed by Close
}

// NewPassage returns a Passage that gives addr for its address.
func NewPassage(addr net.Addr) *Passage {
	return &Passage{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// Put hands on a connection, or closes it when nobody accepts any more.
func (p *Passage) Put(c net.Conn) {
	select {
	case p.conns <- c:
	case <-p.done:
		c.Close()
	}
}

// Accept is net.Listener.
func (p *Passage) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close is net.Listener.
func (p *Passage) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr is net.Listener.
func (p *Passage) Addr() net.Addr { return p.addr }
