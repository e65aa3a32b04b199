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
	pass passage

	requests chan request  // to a goroutine that has answered one before; unbuffered, never closed
	done     chan struct{} // closed with closed

	mu       sync.Mutex
	visitors map[*visitor]struct{} // those whose request is not whole yet
	closed   bool
}

// request is a visitor whose request is whole, and where its head ends.
type request struct {
	visitor *visitor
	end     int
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
	return &door{srv: s, in: in, http: hs, visitors: map[*visitor]struct{}{},
		requests: make(chan request), done: make(chan struct{}),
		pass: passage{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}}, nil
}

// serve lets clients in until Shutdown or Close.
func (d *door) serve() error {
	served := make(chan error)
	go func() { served <- d.http.Serve(&d.pass) }()
	_ = d.in.Accept(&d.srv.loops, d.srv.opts.HandshakeTimeout, d.visit, func(err error) {
		d.srv.opts.Logger.Error("no connection can be accepted", "error", err)
	})
	return <-served
}

// Shutdown is that of an http.Server; a request that is not whole yet is not waited for.
func (d *door) Shutdown(ctx context.Context) error {
	d.close()
	return d.http.Shutdown(ctx)
}

// Close is that of an http.Server.
func (d *door) Close() error {
	d.close()
	return d.http.Close()
}

func (d *door) close() {
	_ = d.in.Close() // what cannot be closed is closed already
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		close(d.done)
	}
	for v := range d.visitors {
		v.link.Abort()
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

	mu       sync.Mutex
	answer   []byte // what is left to be sent
	answered bool   // nothing follows it
}

// Receive is netloop.Peer: a part of the request.
func (v *visitor) Receive(p []byte) (more bool) {
	if v.whole {
		return true // it has been refused, and is being closed
	}
	seen := max(0, len(v.head)-3)
	v.head = append(v.head, p...)
	end := bytes.Index(v.head[seen:], []byte("\r\n\r\n"))
	if end < 0 && len(v.head) <= v.door.srv.opts.MaxHeaderBytes {
		return true
	}
	v.whole = true
	v.door.mu.Lock()
	delete(v.door.visitors, v)
	v.door.mu.Unlock()
	v.door.dispatch(request{v, seen + end + 4})
	return false
}

// dispatch has a request answered. In a storm of them, goroutines that have answered one go on with the next: their stacks have
// grown already, which is a good part of what an answer costs.
func (d *door) dispatch(r request) {
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

// serve answers the request, whose head ends at n, or passes it on.
func (v *visitor) serve(n int) {
	if n > v.door.srv.opts.MaxHeaderBytes || !isPlainUpgrade(v.head[:min(n, len(v.head))]) {
		v.passOn()
		return
	}
	r, err := readRequest(v.head[:n])
	if err != nil || r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		v.passOn()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r = r.WithContext(ctx)
	v.rest = v.head[n:]
	r.RemoteAddr = v.remote.String()
	a := &answer{visitor: v, header: http.Header{}}
	defer a.send() // also when the handler does not return
	v.door.http.Handler.ServeHTTP(a, r)
	a.returned = true
}

// passOn gives the connection to the http.Server.
func (v *visitor) passOn() {
	conn, err := v.link.Conn()
	if err != nil {
		return // it has gone
	}
	v.door.pass.put(&readConn{Conn: conn, read: v.head})
}

// Output is netloop.Peer: the answer.
func (v *visitor) Output([]byte) (p []byte, last bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.answer, v.answered
}

// Written is netloop.Peer.
func (v *visitor) Written(n int) (more bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = v.answer[min(n, len(v.answer)):]
	return true
}

// Lost is netloop.Peer.
func (v *visitor) Lost(error) { v.reply(nil) }

// Flushed is netloop.Peer.
func (v *visitor) Flushed() {}

// Released is netloop.Peer.
func (v *visitor) Released() {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	delete(v.door.visitors, v)
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
	if a.status == 0 {
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
	conn, err := a.visitor.link.Conn()
	if err != nil {
		return nil, nil, err
	}
	a.taken = true
	c := &readConn{Conn: conn, read: a.visitor.rest}
	return c, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), nil
}

// send sends what the handler has answered, unless the connection has been taken.
func (a *answer) send() {
	if !a.returned {
		a.visitor.door.srv.opts.Logger.Error("handler did not return", "panic", recover(), "stack", string(debug.Stack()))
	}
	if a.taken {
		return
	}
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

// isPlainUpgrade reports whether head is the head of an upgrade request with nothing unusual about it: what is dubious is left to
// the http.Server, which knows all there is to be known.
func isPlainUpgrade(head []byte) bool {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if !bytes.HasPrefix(line, []byte("GET /")) || !bytes.HasSuffix(line, []byte(" HTTP/1.1")) {
		return false
	}
	unusual := func(r rune) bool { return r < ' ' || r >= 0x7f }
	if bytes.ContainsFunc(line, unusual) {
		return false
	}
	hosts, upgrades := 0, 0
	for field := range bytes.SplitSeq(fields, []byte("\r\n")) {
		if bytes.ContainsFunc(field, unusual) {
			return false
		}
		name, _, _ := bytes.Cut(field, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Host")):
			hosts++
		case bytes.EqualFold(name, []byte("Upgrade")):
			upgrades++
		case bytes.EqualFold(name, []byte("Content-Length")), bytes.EqualFold(name, []byte("Transfer-Encoding")),
			bytes.EqualFold(name, []byte("Expect")):
			return false
		}
	}
	return hosts == 1 && upgrades == 1
}

var readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// readRequest parses the head of a request.
func readRequest(head []byte) (*http.Request, error) {
	br := readers.Get().(*bufio.Reader)
	defer readers.Put(br)
	br.Reset(bytes.NewReader(head))
	return http.ReadRequest(br)
}

// readConn is a connection of which something has been read.
type readConn struct {
	net.Conn
	read []byte
}

// Read returns what has been read before, first.
func (c *readConn) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		c.read = c.read[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// passage is a net.Listener of connections that have been accepted elsewhere.
type passage struct {
	addr  net.Addr
	conns chan net.Conn // never closed
	once  sync.Once
	done  chan struct{} // closed by Close
}

// put hands on a connection, or closes it when nobody accepts any more.
func (p *passage) put(c net.Conn) {
	select {
	case p.conns <- c:
	case <-p.done:
		c.Close()
	}
}

// Accept is net.Listener.
func (p *passage) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close is net.Listener.
func (p *passage) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr is net.Listener.
func (p *passage) Addr() net.Addr { return p.addr }
