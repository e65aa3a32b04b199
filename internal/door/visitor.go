package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"sync"

	"github.com/roomcast/roomcast/internal/netloop"
	"github.com/roomcast/roomcast/internal/session"
)

// visitor is a client that has not been upgraded. It is the peer of its link until then.
type visitor struct {
	door   *Door
	link   *netloop.Looped
	remote netip.AddrPort

	head  []byte // what has come; owned by the link's reading until the head is whole, then by serve
	rest  []byte // what has come behind the head
	whole bool   // the head is there: what comes now is nobody's

	// Guarded by door.mu.
	dispatched bool // the request has been given to be answered
	working    bool // counted in door.working
	answering  bool // the handler has not returned
	flushed    bool // the answer has left, or the connection has gone
	taken      bool // the connection is somebody else's now

	mu       sync.Mutex
	answer   []byte // what is left to be sent
	answered bool   // nothing follows it
}

// Receive is netloop.Peer: a part of the request.
func (v *visitor) Receive(p []byte) (more bool) {
	if v.whole {
		return true // it has been refused, and is being closed
	}
	seen := max(0, len(v.head)-2)
	v.head = append(v.head, p...)
	n := headEnd(v.head, seen)
	if n < 0 && len(v.head) <= v.door.cfg.HTTP.MaxHeaderBytes {
		return true
	}
	v.whole = true
	v.link.InTime()
	v.door.dispatch(request{v, n})
	return false
}

// headEnd returns where the head of a request ends in p, where its first bytes have been searched before, or -1. A line may end
// without CR (RFC 9112, section 2.2).
func headEnd(p []byte, seen int) int {
	for _, end := range []string{"\n\r\n", "\n\n"} {
		if i := bytes.Index(p[seen:], []byte(end)); i >= 0 {
			return seen + i + len(end)
		}
	}
	return -1
}

// settle notes a change. The request counts no longer when its answer has left and its handler has returned, or when its connection
// is somebody else's.
func (v *visitor) settle(change func()) {
	d := v.door
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	if v.working && (v.taken || v.flushed && !v.answering) {
		v.working = false
		d.working.Done()
	}
}

// leave is a change: the connection is somebody else's, or nobody's.
func (v *visitor) leave() {
	v.taken = true
	delete(v.door.visitors, v)
}

// serve answers the request, whose head ends at n, or passes it on.
func (v *visitor) serve(n int) {
	var r *http.Request
	if n >= 0 && n <= v.door.cfg.HTTP.MaxHeaderBytes {
		r = session.ReadPlainUpgrade(v.head[:n])
	}
	if r == nil {
		v.passOn()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r = r.WithContext(requestContext{ctx, v.door})
	v.rest = v.head[n:]
	r.RemoteAddr = v.remote.String()
	a := &answer{visitor: v, header: http.Header{}}
	defer a.send() // also when the handler does not return
	v.door.cfg.HTTP.Handler.ServeHTTP(a, r)
	a.returned = true
}

// requestContext has the values that an http.Server puts into the context of a request.
type requestContext struct {
	context.Context
	door *Door
}

// Value is context.Context.
func (c requestContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return c.door.cfg.HTTP
	case http.LocalAddrContextKey:
		return c.door.pass.Addr()
	}
	return c.Context.Value(key)
}

// passOn gives the connection to the http.Server.
func (v *visitor) passOn() {
	defer v.settle(v.leave)
	conn, err := v.link.Conn(v.head)
	if err != nil {
		return // it has gone, or there is no descriptor for it
	}
	v.door.pass.Put(conn)
}

// Output is netloop.Peer: the answer.
func (v *visitor) Output(_ []byte, pieces [][]byte) (out [][]byte, last bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.answer) > 0 {
		pieces = append(pieces, v.answer)
	}
	return pieces, v.answered
}

// Written is netloop.Peer.
func (v *visitor) Written(n int) (more bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = v.answer[min(n, len(v.answer)):]
	return true
}

// Lost is netloop.Peer.
func (v *visitor) Lost(err error) {
	v.mu.Lock()
	if !v.answered || !errors.Is(err, io.EOF) { // who hangs up after the request may still be reading
		v.answer, v.answered = nil, true
	}
	v.mu.Unlock()
	v.link.Wake()
}

// Flushed is netloop.Peer.
func (v *visitor) Flushed() { v.settle(func() { v.flushed = true }) }

// Released is netloop.Peer.
func (v *visitor) Released() {
	v.settle(func() {
		v.flushed = true
		delete(v.door.visitors, v)
	})
}

// reply sends p as the last thing.
func (v *visitor) reply(p []byte) {
	v.mu.Lock()
	v.answer, v.answered = p, true
	v.mu.Unlock()
	v.link.Wake()
}
