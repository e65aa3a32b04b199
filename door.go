package roomcast

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/netloop"
	"github.com/roomcast/roomcast/internal/session"
)

// listener is what Shutdown and Close end: an http.Server or a door.
type listener interface {
	Shutdown(ctx context.Context) error
	Close() error
}

// httpServer returns an http.Server within the limits of the options.
func (s *Server) httpServer(h http.Handler) *http.Server {
	hs := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: s.opts.HandshakeTimeout,
		ReadTimeout:       s.opts.HandshakeTimeout,
		IdleTimeout:       s.opts.HandshakeTimeout,
		MaxHeaderBytes:    s.opts.MaxHeaderBytes,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
	}
	hs.Protocols.SetHTTP1(true) // WebSocket over HTTP/2 (RFC 8441) is another protocol
	return hs
}

// serve runs a listener that Shutdown and Close end.
func (s *Server) serve(l io.Closer, what listener, run func() error) error {
	defer l.Close()
	s.mu.Lock()
	closing := s.closing
	if !closing {
		s.listeners = append(s.listeners, what)
	}
	s.mu.Unlock()
	if closing {
		_ = what.Close() // nobody has connected
		return http.ErrServerClosed
	}
	if err := run(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("roomcast: %w", err)
	}
	return http.ErrServerClosed
}

// door is a listening socket whose clients go straight to an event loop. It reads the head of each request itself. A plain upgrade
// request is answered here, by the same handler and the same checks as any other; everything else, and whatever looks unusual, goes
// on to an http.Server with the bytes already read.
type door struct {
	srv  *Server
	in   *netloop.Door
	http *http.Server
	pass *netloop.Passage

	requests chan request  // to a goroutine that has answered one before; unbuffered, never closed
	done     chan struct{} // closed with closed

	working sync.WaitGroup // requests that are being answered; it grows with mu held and not closed

	mu       sync.Mutex
	visitors map[*visitor]struct{} // those who have not been taken over
	closed   bool
}

// request is a visitor whose request is whole or too long, and where its head ends.
type request struct {
	visitor *visitor
	end     int // -1 if it is too long
}

// workerIdle is how long a goroutine that has answered a request waits for another one.
const workerIdle = time.Second

// newDoor takes l over, or returns an error and leaves it as it is.
func newDoor(s *Server, l *net.TCPListener, hs *http.Server) (*door, error) {
	addr := l.Addr()
	in, err := netloop.NewDoor(l)
	if err != nil {
		return nil, err
	}
	return &door{srv: s, in: in, http: hs, pass: netloop.NewPassage(addr), visitors: map[*visitor]struct{}{},
		requests: make(chan request), done: make(chan struct{})}, nil
}

// serve lets clients in until Shutdown or Close.
func (d *door) serve() error {
	served := make(chan error)
	go func() { served <- d.http.Serve(d.pass) }()
	_ = d.in.Accept(&d.srv.loops, d.srv.opts.HandshakeTimeout, d.visit, func(err error) {
		d.srv.opts.Logger.Error("no connection can be accepted", "error", err)
	})
	return <-served
}

// Shutdown is that of an http.Server: it waits for the requests that are being answered, not for those that are not whole yet.
func (d *door) Shutdown(ctx context.Context) error {
	d.close(func(v *visitor) bool { return !v.dispatched })
	answered := make(chan struct{})
	go func() {
		d.working.Wait()
		close(answered)
	}()
	select {
	case <-answered:
		return d.http.Shutdown(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close is that of an http.Server.
func (d *door) Close() error {
	d.close(func(*visitor) bool { return true })
	return d.http.Close()
}

// close lets nobody in from now on, and cuts those visitors.
func (d *door) close(cut func(*visitor) bool) {
	_ = d.in.Close() // what cannot be closed is closed already
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		close(d.done)
	}
	for v := range d.visitors {
		if cut(v) {
			v.link.Abort()
		}
	}
}

// visit lets a client in.
func (d *door) visit(link *netloop.Looped, remote netip.AddrPort) netloop.Peer {
	v := &visitor{door: d, link: link, remote: remote}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.visitors[v] = struct{}{}
	if d.closed {
		link.Abort()
	}
	return v
}

// visitor is a client that has not been upgraded. It is the peer of its link until then.
type visitor struct {
	door   *door
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
	if n < 0 && len(v.head) <= v.door.srv.opts.MaxHeaderBytes {
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

// dispatch has a request answered. In a storm of them, goroutines that have answered one go on with the next: their stacks have
// grown already, which is a good part of what an answer costs.
func (d *door) dispatch(r request) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return // it has been cut
	}
	d.working.Add(1)
	r.visitor.dispatched, r.visitor.working, r.visitor.answering = true, true, true
	d.mu.Unlock()
	select {
	case d.requests <- r:
	default:
		go d.answer(r)
	}
}

// answer answers requests until no more come.
func (d *door) answer(r request) {
	idle := time.NewTimer(workerIdle)
	defer idle.Stop()
	for {
		r.visitor.serve(r.end)
		idle.Reset(workerIdle)
		select {
		case r = <-d.requests:
		case <-idle.C:
			return
		case <-d.done:
			return
		}
	}
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
	if n >= 0 && n <= v.door.srv.opts.MaxHeaderBytes {
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
	v.door.http.Handler.ServeHTTP(a, r)
	a.returned = true
}

// requestContext has the values that an http.Server puts into the context of a request.
type requestContext struct {
	context.Context
	door *door
}

// Value is context.Context.
func (c requestContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return c.door.http
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

// answer is the http.ResponseWriter of a plain upgrade request: it collects the answer of a handler that does not upgrade it.
type answer struct {
	visitor  *visitor
	header   http.Header
	status   int
	body     bytes.Buffer
	taken    bool // by a Conn, or by Hijack
	returned bool // the handler has returned
}

// Header is http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader is http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 { // the others come before an answer, and are none
		a.status = status
	}
}

// Write is http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// Hijack is http.Hijacker, for handlers that upgrade in their own way.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, err := a.visitor.link.Conn(a.visitor.rest)
	a.visitor.settle(a.visitor.leave)
	a.taken = true // also if there is no descriptor for it: then it has been closed
	if err != nil {
		return nil, nil, err
	}
	return conn, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)), nil
}

// send sends what the handler has answered, unless the connection has been taken.
func (a *answer) send() {
	if !a.returned {
		if p := recover(); p != nil && p != http.ErrAbortHandler { // nil: runtime.Goexit
			a.visitor.door.srv.opts.Logger.Error("handler panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}
	if a.taken {
		return
	}
	defer a.visitor.settle(func() { a.visitor.answering = false })
	if !a.returned {
		a.visitor.link.Abort()
		return
	}
	a.WriteHeader(http.StatusOK)
	if a.header.Get("Connection") != "" {
		a.header.Set("Connection", a.header.Get("Connection")+", close")
	} else {
		a.header.Set("Connection", "close")
	}
	if a.header.Get("Content-Type") == "" && a.body.Len() > 0 {
		a.header.Set("Content-Type", http.DetectContentType(a.body.Bytes()))
	}
	a.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	a.header.Set("Content-Length", fmt.Sprint(a.body.Len()))
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %03d %s\r\n", a.status, http.StatusText(a.status))
	_ = a.header.Write(&b) // to memory: it cannot fail
	b.WriteString("\r\n")
	b.Write(a.body.Bytes())
	a.visitor.reply(b.Bytes())
	a.visitor.link.Finish(a.visitor.door.srv.opts.CloseTimeout)
}
