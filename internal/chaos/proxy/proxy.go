// Package proxy is links between processes that a test can cut: TCP proxies, each in front of one address.
package proxy

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// Mode is what a Link does with what comes.
type Mode int

// The modes of a Link.
const (
	Open    Mode = iota // everything passes
	Cut                 // connections are reset, new ones too
	Frozen              // nothing passes either way, and nobody is told; what was sent arrives when the link is open again
	Forward             // only towards the target: nothing comes back
	Back                // only from the target: nothing gets there
)

// String is the mode in a word.
func (m Mode) String() string {
	return [...]string{"open", "cut", "frozen", "forward only", "back only"}[m]
}

// Link is one proxy. Its methods may be called from anywhere.
type Link struct {
	target   string
	listener net.Listener
	forward  gate
	back     gate
	tasks    sync.WaitGroup // accept, and two for each connection
	done     chan struct{}  // closed by Close

	mu    sync.Mutex
	mode  Mode
	pairs map[*pair]struct{} // what is connected; guarded by mu
}

// Listen makes a link to a target, open, on a free port of the loopback interface.
func Listen(target string) (*Link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: a link to %s: %w", target, err)
	}
	l := &Link{target: target, listener: listener, done: make(chan struct{}), pairs: map[*pair]struct{}{}}
	l.forward.set(true)
	l.back.set(true)
	l.tasks.Go(l.accept)
	return l, nil
}

// Addr is where the link listens.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Set puts the link into a mode.
func (l *Link) Set(m Mode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mode = m
	l.forward.set(m == Open || m == Forward)
	l.back.set(m == Open || m == Back)
	if m == Cut {
		l.resetLocked()
	}
}

// Reset ends all connections once, as a router does that has forgotten them. The mode stays.
func (l *Link) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resetLocked()
}

func (l *Link) resetLocked() {
	for p := range l.pairs {
		p.reset()
	}
}

// Close ends the link and everything that goes over it.
func (l *Link) Close() {
	l.mu.Lock()
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	_ = l.listener.Close() // it is gone either way
	l.resetLocked()
	l.mu.Unlock()
	l.tasks.Wait()
}

func (l *Link) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.tasks.Go(func() { l.serve(conn) })
	}
}

// serve connects to the target when the link lets that through, and passes on what comes until one side has had enough.
func (l *Link) serve(client net.Conn) {
	p := &pair{client: client}
	if !l.add(p) {
		p.reset()
		return
	}
	defer l.remove(p)
	if !l.forward.wait(l.done, p.over()) {
		return
	}
	target, err := net.Dial("tcp", l.target)
	if err != nil || !p.connect(target) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { l.pump(p, client, target, &l.back) })
	l.pump(p, target, client, &l.forward)
	back.Wait()
}

func (l *Link) add(p *pair) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.done:
		return false
	default:
	}
	if l.mode == Cut {
		return false
	}
	l.pairs[p] = struct{}{}
	return true
}

func (l *Link) remove(p *pair) {
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
	p.reset()
}

// pump passes on one direction. The end of one is the end of both: none of the protocols here goes on after half an end.
func (l *Link) pump(p *pair, to io.Writer, from io.Reader, g *gate) {
	defer p.reset()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if !g.wait(l.done, p.over()) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pair is the two connections of one client of a link.
type pair struct {
	client net.Conn

	mu     sync.Mutex
	target net.Conn      // nil until it is connected; guarded by mu
	ended  chan struct{} // closed by reset; guarded by mu, made when it is asked for
	gone   bool          // guarded by mu
}

// over is closed when the pair has been reset.
func (p *pair) over() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.overLocked()
}

func (p *pair) overLocked() chan struct{} {
	if p.ended == nil {
		p.ended = make(chan struct{})
	}
	return p.ended
}

// connect takes the connection to the target, unless the pair has been reset meanwhile.
func (p *pair) connect(target net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		_ = target.Close()
		return false
	}
	p.target = target
	return true
}

// reset ends both connections without a farewell: the other side sees a reset, not an end.
func (p *pair) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return
	}
	p.gone = true
	close(p.overLocked())
	for _, conn := range []net.Conn{p.client, p.target} {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // without it the end is a polite one: still an end
		}
		if conn != nil {
			_ = conn.Close()
		}
	}
}

// gate is open or shut.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // nil while it is open; closed when it opens
}

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case open && g.shut != nil:
		close(g.shut)
		g.shut = nil
	case !open && g.shut == nil:
		g.shut = make(chan struct{})
	}
}

// wait returns true when the gate is open, false when one of the others is closed first.
func (g *gate) wait(done, over <-chan struct{}) bool {
	for {
		g.mu.Lock()
		shut := g.shut
		g.mu.Unlock()
		if shut == nil {
			return true
		}
		select {
		case <-shut:
		case <-done:
			return false
		case <-over:
			return false
		}
	}
}
