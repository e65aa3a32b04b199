// Package door lets the clients of a listening socket straight into an event loop. It reads the head of each request itself. A plain
// upgrade request is answered here, by the same handler and the same checks as any other; everything else, and whatever looks
// unusual, goes on to an http.Server with the bytes already read (docs/decisions/0010-the-door.md).
//
// A [Door] is to its user what an http.Server is: it is told to Serve, and ended by Shutdown or Close. A handler that upgrades a
// request asks [Take] for the connection before it hijacks it.
//
// Files: door.go is the Door, who is inside, and who answers; visitor.go is a client that has not been upgraded, and its request;
// answer.go is the http.ResponseWriter that the handler gets.
package door

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/netloop"
)

// Config is what a Door needs of the server behind it. All of it is needed.
type Config struct {
	// HTTP gets what is no plain upgrade request. Its Handler answers those that are too, and its ReadHeaderTimeout and
	// MaxHeaderBytes hold for them.
	HTTP *http.Server

	Loops        *netloop.Loops // who runs the connections
	CloseTimeout time.Duration  // how long a client that has been refused may take to hang up
	Logger       *slog.Logger
}

// Door is a listening socket whose clients go straight to an event loop.
type Door struct {
	cfg  Config
	in   *netloop.Door
	pass *netloop.Passage // to cfg.HTTP

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

// New takes l over, or returns an error and leaves it as it is: errors.ErrUnsupported where there are no event loops.
func New(l *net.TCPListener, cfg Config) (*Door, error) {
	addr := l.Addr()
	in, err := netloop.NewDoor(l)
	if err != nil {
		return nil, err
	}
	return &Door{cfg: cfg, in: in, pass: netloop.NewPassage(addr), visitors: map[*visitor]struct{}{},
		requests: make(chan request), done: make(chan struct{})}, nil
}

// Serve lets clients in until Shutdown or Close, and then returns http.ErrServerClosed.
func (d *Door) Serve() error {
	served := make(chan error)
	go func() { served <- d.cfg.HTTP.Serve(d.pass) }()
	_ = d.in.Accept(d.cfg.Loops, d.cfg.HTTP.ReadHeaderTimeout, d.visit, func(err error) {
		d.cfg.Logger.Error("no connection can be accepted", "error", err)
	})
	return <-served
}

// Shutdown is that of an http.Server: it waits for the requests that are being answered, not for those that are not whole yet.
func (d *Door) Shutdown(ctx context.Context) error {
	d.close(func(v *visitor) bool { return !v.dispatched })
	answered := make(chan struct{})
	go func() {
		d.working.Wait()
		close(answered)
	}()
	select {
	case <-answered:
		return d.cfg.HTTP.Shutdown(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close is that of an http.Server.
func (d *Door) Close() error {
	d.close(func(*visitor) bool { return true })
	return d.cfg.HTTP.Close()
}

// close lets nobody in from now on, and cuts those visitors.
func (d *Door) close(cut func(*visitor) bool) {
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
func (d *Door) visit(link *netloop.Looped, remote netip.AddrPort) netloop.Peer {
	v := &visitor{door: d, link: link, remote: remote}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.visitors[v] = struct{}{}
	if d.closed {
		link.Abort()
	}
	return v
}

// dispatch has a request answered. In a storm of them, goroutines that have answered one go on with the next: their stacks have
// grown already, which is a good part of what an answer costs.
func (d *Door) dispatch(r request) {
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
func (d *Door) answer(r request) {
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
