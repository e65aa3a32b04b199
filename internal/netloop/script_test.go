package netloop_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/internal/netloop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a Peer that does as it is told and notes what it is told.
type script struct {
	link     netloop.Link
	released chan struct{} // closed by Released

	mu       sync.Mutex
	changed  *sync.Cond // received, events or taken
	received []byte
	stopAt   map[int]bool // Receive asks to stop when so many bytes have come
	output   [][]byte     // waiting
	done     bool         // nothing follows output
	writing  bool         // no Wake is due
	taken    []int        // what Written was told
	events   []string     // the calls of Lost, Flushed and Released
	errs     []error      // what Lost was told
}

// newScript returns a script without a link. output waits from the beginning.
func newScript(output ...[]byte) *script {
	s := &script{released: make(chan struct{}), stopAt: map[int]bool{}, output: output, writing: true}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *script) Receive(p []byte) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, p...)
	clear(p) // it may be changed
	s.changed.Broadcast()
	return !s.stopAt[len(s.received)]
}

func (s *script) Output(_ []byte, pieces [][]byte) (out [][]byte, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.output) == 0 {
		s.writing = s.done
		return pieces, s.done
	}
	n := min(len(s.output), cap(pieces))
	return append(pieces, s.output[:n]...), s.done
}

func (s *script) Written(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, n)
	s.changed.Broadcast()
	if len(s.output) == 0 {
		return true // forgotten meanwhile
	}
	for i, p := range s.output {
		k := min(n, len(p))
		s.output[i], n = p[k:], n-k
	}
	s.output = slices.DeleteFunc(s.output, func(p []byte) bool { return len(p) == 0 })
	return true // Output says when it is over
}

func (s *script) Lost(err error) {
	s.mu.Lock()
	s.events, s.errs, s.output = append(s.events, "lost"), append(s.errs, err), nil
	s.mu.Unlock()
	s.say(nil, true)
}

func (s *script) Flushed()  { s.note("flushed") }
func (s *script) Released() { s.note("released"); close(s.released) } // panics the second time

func (s *script) note(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, event)
	s.changed.Broadcast()
}

// say adds output, the last of it if last is set, and wakes the link if that is due.
func (s *script) say(p []byte, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p != nil && !s.done {
		s.output = append(s.output, p)
	}
	s.done = s.done || last
	if !s.writing {
		s.link.Wake() // never blocks
	}
	s.writing = true
}

func (s *script) got() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.received)
}

// await waits until so many bytes have been received, and returns them all.
func (s *script) await(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.received) < n {
		s.changed.Wait()
	}
	return string(s.received)
}

// awaitShort waits until a write has taken less than it was given, nothing included, and returns how much has been taken by then.
func (s *script) awaitShort(full int) (total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		total = 0
		for _, n := range s.taken {
			if total += n; n < full {
				return total
			}
		}
		s.changed.Wait()
	}
}

// end waits for Released and returns the events in their order, and what Lost was told.
func (s *script) end() (events string, errs []error) {
	select {
	case <-s.released:
	case <-time.After(20 * time.Second):
		s.note("and no end")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.events, " "), s.errs
}

func expect[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// tcp returns the two ends of a connection of this machine with itself.
func tcp(t *testing.T) (server, client net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err == nil {
		server, err = l.Accept()
	}
	expect(t, "error", err, nil)
	return server, client
}

// overTLS is tcp with TLS over it, after the handshake, the server's end from a listener that lets a loop take it over.
func overTLS(t *testing.T) (server, client net.Conn) {
	with := httptest.NewTLSServer(nil) // for its certificate
	defer with.Close()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := tls.NewListener(netloop.Swappable(plain), with.TLS)
	defer l.Close()
	shaken := make(chan error, 1)
	raw, err := net.Dial("tcp", plain.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	secure := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	go func() { shaken <- secure.Handshake() }()
	if server, err = l.Accept(); err == nil {
		err = server.(*tls.Conn).Handshake()
	}
	expect(t, "errors", fmt.Sprint(err, <-shaken), "<nil> <nil>")
	return server, secure
}

// kind is a kind of link, and of connection that it is made for.
type kind struct {
	name string
	wire func(*testing.T) (server, client net.Conn)
	link func(net.Conn, netloop.Peer) netloop.Link
	pipe bool // works in synctest
}

func pipe(*testing.T) (server, client net.Conn) { return net.Pipe() }

func portable(c net.Conn, p netloop.Peer) netloop.Link { return netloop.NewPortable(c, p, 0) }

// looped makes the link of an event loop where there are any.
func looped(c net.Conn, p netloop.Peer) netloop.Link { return new(netloop.Loops).New(c, p) }

var kinds = []kind{
	{"portable over a pipe", pipe, portable, true},
	{"portable over TCP", tcp, portable, false},
	{"loop over TCP", tcp, looped, false},
	{"loop over TLS", overTLS, looped, false},
}

// eachLink runs a test over the kinds of link. start makes the script's link to the server's end; the test starts it.
func eachLink(t *testing.T, test func(t *testing.T, connect func(*script), client net.Conn)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			server, client := k.wire(t)
			defer client.Close()
			client.SetDeadline(time.Now().Add(20 * time.Second))
			test(t, func(s *script) { s.link = k.link(server, s) }, client)
		})
	}
}

// hangUp ends the stream that a client sends, and goes on receiving if it can.
func hangUp(client net.Conn) {
	if half, ok := client.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
		return
	}
	client.Close()
}

// pattern is n bytes of which no two pieces that are near each other are alike.
func pattern(n int) []byte {
	p := make([]byte, 0, n+16)
	for len(p) < n {
		p = fmt.Appendf(p, "%d,", len(p))
	}
	return p[:n]
}
