package bridge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// port is one that is served: its listener, its callbacks, and how many of its connections have not ended. It has an http.Server
// of its own, because that can be ended without the others.
type port struct {
	callbacks Callbacks
	http      *http.Server
	stopping  atomic.Bool   // no connection is announced any more
	served    chan struct{} // closed when the listener is closed for good

	mu      sync.Mutex    // never held together with another lock
	live    int           // requests being answered and connections whose Close callback has not returned
	drained chan struct{} // closed when stopping and live is 0; nil before stopping
}

// The limits of an upgrade request are those of roomcast.Options by default.
const (
	handshakeTimeout = 10 * time.Second
	maxHeaderBytes   = 16 << 10
)

// goingAway is the reason that clients of a port are closed with when it is stopped.
const goingAway = "server going away"

// Serve accepts connections on a TCP port from when it returns without an error.
func (b *Bridge) Serve(number int64, c Callbacks) error { return b.serve(number, c, nil) }

// ServeTLS is Serve over TLS, with a certificate (with its chain) and a key in PEM files.
func (b *Bridge) ServeTLS(number int64, c Callbacks, certFile, keyFile string) error {
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return fmt.Errorf("port %d: certificate %q with key %q: %w; give two readable PEM files that belong together", number, certFile, keyFile, err)
	}
	return b.serve(number, c, &tls.Config{Certificates: []tls.Certificate{certificate}})
}

func (b *Bridge) serve(number int64, c Callbacks, secure *tls.Config) error {
	if number < 1 || number > 65535 {
		return fmt.Errorf("port %d: there is no such port; choose one from 1 to 65535", number)
	}
	p := &port{callbacks: c, served: make(chan struct{})}
	p.http = &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.answer(b.srv, w, r) }),
		TLSConfig:         secure,
		ReadHeaderTimeout: handshakeTimeout,
		ReadTimeout:       handshakeTimeout,
		IdleTimeout:       handshakeTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         new(http.Protocols),
		ErrorLog:          log.New(io.Discard, "", 0), // of clients that break TLS or HTTP
	}
	p.http.Protocols.SetHTTP1(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ports[number] != nil {
		return fmt.Errorf("port %d: it is served already; stop it first or choose another one", number)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(b.host, strconv.FormatInt(number, 10)))
	if err != nil {
		return cannotListen(number, b.host, err)
	}
	b.ports[number] = p
	go func() {
		defer close(p.served)
		if secure != nil {
			_ = p.http.ServeTLS(l, "", "") // it ends by Stop alone
		} else {
			_ = p.http.Serve(l)
		}
	}()
	return nil
}

// cannotListen says in one line what is wrong and what to do.
func cannotListen(number int64, host string, err error) error {
	remedy := "choose another port"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "stop the program that has it or choose another port"
	case errors.Is(err, syscall.EACCES):
		remedy = "choose a port above 1023"
	case host != "":
		remedy = fmt.Sprintf("set ROOMCAST_HOST, which is %q, to an address of this machine, or not at all", host)
	}
	return fmt.Errorf("port %d: %w; %s", number, err, remedy)
}

// ErrNotServed is what Stop returns for a port that is not served.
var ErrNotServed = errors.New("the port is not served")

// Stop ends the serving of one port: nobody is let in any more, its clients are closed with 1001, and their Close callbacks are waited
// for, but not longer than the timeout. left is how many have not returned by then. Connections of other ports stay.
func (b *Bridge) Stop(number int64, timeout time.Duration) (left int, err error) {
	b.mu.Lock()
	p := b.ports[number]
	delete(b.ports, number)
	b.mu.Unlock()
	if p == nil {
		return 0, ErrNotServed
	}
	drained := p.stop()
	_ = p.http.Close() // what cannot be closed is closed already
	<-p.served
	b.conns.all(func(e *entry[client]) {
		if e.value.port == p {
			_ = e.value.conn.Close(1001, goingAway) // the code and the reason are fine
		}
	})
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live, nil
}

// stop lets nobody in any more. What it returns is closed when nobody is left.
func (p *port) stop() (drained <-chan struct{}) {
	p.stopping.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drained = make(chan struct{})
	if p.live == 0 {
		close(p.drained)
	}
	return p.drained
}

// enter counts a request, unless the port is being stopped.
func (p *port) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drained != nil {
		return false
	}
	p.live++
	return true
}

// leave takes back enter.
func (p *port) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live--
	if p.live == 0 && p.drained != nil {
		close(p.drained)
	}
}

// visit is an upgrade request on its way to connect.
type visit struct {
	port      *port
	announced bool // the program has been told of the connection
}

// visitKey is the key of the visit in the context of its request.
type visitKey struct{}

// answer passes a request to the rooms, with the port it came to.
func (p *port) answer(rooms http.Handler, w http.ResponseWriter, r *http.Request) {
	if !p.enter() {
		http.Error(w, "the server is shutting down; connect again later", http.StatusServiceUnavailable)
		return
	}
	v := &visit{port: p}
	defer func() {
		if !v.announced { // otherwise its Close callback does
			p.leave()
		}
	}()
	rooms.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, v)))
}
