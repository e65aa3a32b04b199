package roomcast

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/door"
	"github.com/roomcast/roomcast/internal/netloop"
	"github.com/roomcast/roomcast/internal/roomname"
	"github.com/roomcast/roomcast/internal/tally"
	"github.com/roomcast/roomcast/internal/wheel"
)

// Handler is what an application does about its connections. Each field may be nil. The callbacks of one connection run one after
// the other, never two at a time, and in the order Connect, Message for each message as it came, Close; those of different
// connections run in parallel (G6). They may block: that holds up this connection alone. A panic in one ends the connection with 1011 and nothing else.
type Handler struct {
	// Connect decides about a client before it can see the answer to its upgrade request, so that whatever the connection
	// joins here counts before the client knows that it is connected (G11). An error rejects the client: it is closed with
	// 1008 "rejected". r is valid until Connect returns; nothing can be read from its body. Nil accepts everybody.
	Connect func(c *Conn, r *http.Request) error

	// Message handles a text or binary message of the client. m belongs to the callback. Nil ignores messages.
	Message func(c *Conn, m Message)

	// Messages is Message for all messages that wait, in their order, so that a program can answer those that came at once at
	// once: what is broadcast in one Publish costs a large room little more than a single message. The slice belongs to the
	// callback. Once the connection closes (Conn.Closing) the rest of them can be let be. It is called instead of Message; a
	// Handler has one of Message, Messages and Relay.
	Messages func(c *Conn, m []Message)

	// Relay makes each message of a client go to the other members of every room it is in, and no callback is called. It is
	// the fastest way for a message: never blocking, it needs no goroutine of the connection's own. With an Options.Engine they go to other nodes
	// too; the rooms must not keep a history then.
	Relay bool

	// Close is told once that the connection has ended, after everything else: it is out of all rooms, and the Close frame
	// has been sent or given up. code and reason are those of the first side that closed; 1005 if the client gave none, 1006
	// if the connection was lost (RFC 6455, section 7.1.5). It runs for rejected clients too.
	Close func(c *Conn, code int, reason string)
}

// Server is a set of connections and the rooms they are in. It is an http.Handler that upgrades every request; ListenAndServe and
// its like are there for programs that serve nothing else. All methods may be called from anywhere at any time.
type Server struct {
	handler  Handler
	opts     Options // with defaults
	idPrefix string
	nextID   atomic.Uint64
	rooms    *registry
	loops    netloop.Loops
	stats    counters
	origins  atomic.Pointer[[]string] // that may connect; the slice never changes

	mu        sync.Mutex         // never held together with another lock
	conns     wheel.Wheel[*Conn] // all connections that are not forgotten
	turning   *time.Timer        // turns conns while there are connections
	closing   bool               // Shutdown or Close has been called
	listeners []listener
	drained   chan struct{} // closed when closing and conns is empty
}

// New returns a server that calls h. It does nothing until it is served with. New panics if o makes no sense (see Options.Validate),
// or if h has more than one way for a message.
func New(h Handler, o Options) *Server {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	if h.Relay && (h.Message != nil || h.Messages != nil) || h.Message != nil && h.Messages != nil {
		panic("roomcast: a message can go one way only; set one of Handler.Message, Handler.Messages and Handler.Relay")
	}
	s := &Server{
		handler:  h,
		opts:     o.withDefaults(),
		loops:    netloop.Loops{Coalesce: o.Coalesce},
		idPrefix: strings.ToLower(rand.Text()[:8]) + "-",
		rooms:    newRegistry(),
		drained:  make(chan struct{}),
	}
	s.conns.Place = func(c *Conn) *wheel.Place { return &c.beat }
	s.stats.start = time.Now()
	s.stats.writes, s.stats.latency = tally.New(1, writeBounds...), tally.New(1e-9, latencyBounds...)
	s.origins.Store(new(slices.Clone(o.AllowedOrigins)))
	return s
}

// CheckRoom reports what is wrong with the name of a room, as an ErrRoomName: it has 1 to Options.MaxRoomNameBytes bytes of valid
// UTF-8 without control characters.
func (s *Server) CheckRoom(name string) error {
	if err := roomname.Check(name, s.opts.MaxRoomNameBytes); err != nil {
		return fmt.Errorf("%w: %w", ErrRoomName, err)
	}
	return nil
}

// Members returns the connections in the room, in no order; none if there is no such room.
func (s *Server) Members(room string) []*Conn {
	if r := s.rooms.find(room); r != nil {
		return r.open()
	}
	return nil
}

// Sample returns up to n of the connections in the room, in no order, and how many there are in all; those that are just closing may be
// counted. It costs no more in a large room than in a small one.
func (s *Server) Sample(room string, n int) (some []*Conn, total int) {
	if r := s.rooms.find(room); r != nil {
		return r.sample(n)
	}
	return nil, 0
}

// Conns returns the connections that have not begun to close, in no order.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	conns := s.conns.All()
	s.mu.Unlock()
	return slices.DeleteFunc(conns, (*Conn).Closing)
}

// Rooms returns the names of the rooms that have a member, in no order.
func (s *Server) Rooms() []string { return s.rooms.names() }

// ListenAndServe accepts WebSocket connections on a TCP address such as "127.0.0.1:8080" until Shutdown or Close, and then returns
// http.ErrServerClosed. It may be called for several addresses at once.
func (s *Server) ListenAndServe(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("roomcast: %w", err)
	}
	return s.Serve(l)
}

// ListenAndServeTLS is ListenAndServe over TLS, with a certificate (with its chain) and a key in PEM files.
func (s *Server) ListenAndServeTLS(addr, certFile, keyFile string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("roomcast: %w", err)
	}
	hs := s.httpServer(s)
	return s.serve(l, hs, func() error { return hs.ServeTLS(netloop.Swappable(l), certFile, keyFile) })
}

// Serve is ListenAndServe on a listener, which it closes.
func (s *Server) Serve(l net.Listener) error { return s.ServeHandler(l, s) }

// ServeHandler is Serve for a program that answers other requests too: all of them go to h, which passes those that are to be
// upgraded to s.ServeHTTP. Nil means http.DefaultServeMux. On Linux, upgrades over a *net.TCPListener take a shorter way than through an http.Server of your own.
func (s *Server) ServeHandler(l net.Listener, h http.Handler) error {
	if h == nil {
		h = http.DefaultServeMux
	}
	hs := s.httpServer(h)
	if tcp, ok := l.(*net.TCPListener); ok {
		cfg := door.Config{HTTP: hs, Loops: &s.loops, CloseTimeout: s.opts.CloseTimeout, Logger: s.opts.Logger}
		if d, err := door.New(tcp, cfg); err == nil {
			return s.serve(l, d, d.Serve)
		}
	}
	return s.serve(l, hs, func() error { return hs.Serve(l) })
}

// listener is what Shutdown and Close end: an http.Server or a door.Door.
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

// Shutdown refuses new connections, closes the others with 1001 after what has been sent to them, and waits until all have hung up
// and their callbacks have returned. If ctx ends first it cuts those that are left and returns the error of ctx. A second call
// waits again. Called from a callback it waits for that callback until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	listeners, conns := s.refuse()
	requests := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { requests <- l.Shutdown(ctx) }()
	}
	for _, c := range conns {
		c.shut(ending{CloseGoingAway, "server going away", EndShutdown})
	}
	var late error
	select {
	case <-s.drained:
	case <-ctx.Done():
		late = ctx.Err()
	}
	for range listeners {
		if err := <-requests; err != nil {
			late = err
		}
	}
	if late != nil {
		_ = s.Close()
	}
	return late
}

// Close cuts all connections at once, without a Close frame, and refuses new ones. Their Close callbacks are told 1006; Close does
// not wait for them, a following Shutdown does. It returns nil, always.
func (s *Server) Close() error {
	listeners, conns := s.refuse()
	for _, l := range listeners {
		_ = l.Close() // what cannot be closed is closed already
	}
	for _, c := range conns {
		c.cut()
	}
	return nil
}

// refuse lets in nobody from now on, and returns those who are to go.
func (s *Server) refuse() ([]listener, []*Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.closing = true
		if s.conns.Len() == 0 {
			close(s.drained)
		}
	}
	return s.listeners, s.conns.All()
}

// remember adds a new connection to the set, unless the server is closing.
func (s *Server) remember(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.conns.Add(c)
	if s.conns.Len() == 1 && s.opts.PingInterval > 0 {
		s.turning = time.AfterFunc(s.opts.PingInterval/wheel.Slots, s.turnWheel)
	}
	return true
}

// forget removes a connection from the set: nothing of the server refers to it any more (G3).
func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns.Remove(c)
	if s.conns.Len() > 0 {
		return
	}
	if s.turning != nil {
		s.turning.Stop()
	}
	if s.closing {
		close(s.drained)
	}
}

// logEnd logs the end of a connection. It is called by the connection's actor, so that a slow log holds up nobody else.
func (s *Server) logEnd(c *Conn) {
	level := slog.LevelInfo
	switch c.end.why {
	case EndOutboxFull, EndPongTimeout, EndProtocol, EndInvalidUTF8, EndTooBig:
		level = slog.LevelWarn
	}
	if ctx := context.Background(); s.opts.Logger.Enabled(ctx, level) {
		received, sent := c.Traffic()
		s.opts.Logger.Log(ctx, level, "connection ended", "conn", c.ID(), "remote", c.remoteAddr, "why", c.end.why,
			"code", c.end.code, "reason", c.end.reason, "lasted", time.Since(c.Since()).Round(time.Millisecond), "received", received, "sent", sent)
	}
}
