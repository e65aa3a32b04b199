package server

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/roomcasttest"
)

// running is a server on a listener without a network, so that tests run in a synctest bubble, in fake time.
type running struct {
	t        *testing.T
	cfg      *config.Serve
	server   *Server
	listener *pipes
	stop     context.CancelFunc // what a signal does
	done     chan struct{}      // closed when Run has returned
	result   error              // what it returned
}

// start runs a server with the default settings and those of args. The test's end ends it.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	return startWith(t, func(*Server) {}, args...)
}

// startWith is start; prepare changes the server before it runs.
func startWith(t *testing.T, prepare func(*Server), args ...string) *running {
	t.Helper()
	cfg := settings(t, args...)
	server, err := New(cfg, cfg.Logger(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	prepare(server)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{
		t: t, cfg: cfg, server: server, stop: cancel, done: make(chan struct{}),
		listener: &pipes{dialed: make(chan net.Conn), closed: make(chan struct{})},
	}
	go func() {
		defer close(r.done)
		r.result = r.server.Run(ctx, r.listener)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.done
	})
	return r
}

// settings are those of args, read the way the binary does.
func settings(t *testing.T, args ...string) *config.Serve {
	t.Helper()
	cfg := new(config.Serve)
	parser, err := kong.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// wait returns what Run returns.
func (r *running) wait() error {
	<-r.done
	return r.result
}

// dial is a member of the room at the escaped path.
func (r *running) dial(path string) *roomcasttest.Client {
	r.t.Helper()
	return roomcasttest.Dial(r.t, r.server.routes(), path, nil)
}

// connect is a connection that has sent nothing yet.
func (r *running) connect() net.Conn {
	r.t.Helper()
	conn, err := r.listener.dial()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// pipes is a net.Listener of pipes.
type pipes struct {
	dialed chan net.Conn // unbuffered; never closed
	closed chan struct{} // closed once, by Close
	once   sync.Once
}

func (p *pipes) dial() (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.dialed <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialed:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }
