package door

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/internal/netloop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	upgrade = "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	page = "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"
)

// sink is a netloop.Peer that receives and sends nothing.
type sink struct {
	link     netloop.Link
	received chan string
}

func (s *sink) Receive(p []byte) (more bool) {
	s.received <- string(p)
	return true
}

func (s *sink) Output(_ []byte, pieces [][]byte) (out [][]byte, last bool) { return pieces, false }
func (s *sink) Written(int) (more bool)                                    { return false }
func (s *sink) Lost(error)                                                 { s.link.Abort() }
func (s *sink) Flushed()                                                   {}
func (s *sink) Released()                                                  { close(s.received) }

// middleware is a ResponseWriter around another one.
type middleware struct{ http.ResponseWriter }

func (m middleware) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// open serves h through a Door until the test ends, and returns its address.
func open(t *testing.T, h http.HandlerFunc) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(l.(*net.TCPListener), Config{
		HTTP:  &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 4096},
		Loops: new(netloop.Loops), CloseTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		l.Close()
		t.Skipf("a door is there where there are event loops: %v", err)
	}
	served := make(chan error)
	go func() { served <- d.Serve() }()
	t.Cleanup(func() {
		if err := d.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v, want http.ErrServerClosed", err)
		}
	})
	return l.Addr().String()
}

func dial(t *testing.T, addr, request string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Who takes a connection, through whatever middleware, gets it with what stood behind the request, and hears everything until its end.
func TestTake(t *testing.T) {
	peers := make(chan *sink, 1)
	addr := open(t, func(w http.ResponseWriter, _ *http.Request) {
		s := &sink{received: make(chan string, 10)}
		link, rest, ok := Take(middleware{middleware{w}}, s)
		if !ok {
			t.Error("the connection is not had")
			return
		}
		s.link = link
		link.Start([]byte("welcome"), rest)
		peers <- s
	})
	conn := dial(t, addr, upgrade+"behind")
	greeting := make([]byte, len("welcome"))
	if _, err := io.ReadFull(conn, greeting); err != nil || string(greeting) != "welcome" {
		t.Errorf("greeted with %q, %v", greeting, err)
	}
	s := <-peers
	if got := <-s.received; got != "behind" {
		t.Errorf("received %q, want what stood behind the request", got)
	}
	io.WriteString(conn, "more")
	if got := <-s.received; got != "more" {
		t.Errorf("received %q, want \"more\"", got)
	}
	conn.Close()
	for got := range s.received { // until it is released
		t.Errorf("received %q behind the end", got)
	}
}

// What a Door has passed on to its http.Server is not to be taken, and answered there.
func TestTakePassedOn(t *testing.T) {
	addr := open(t, func(w http.ResponseWriter, _ *http.Request) {
		if link, _, ok := Take(w, &sink{}); ok || link != nil {
			t.Error("the connection of an http.Server has been taken")
		}
		io.WriteString(w, "a page")
	})
	res, err := http.ReadResponse(bufio.NewReader(dial(t, addr, page)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "a page" {
		t.Errorf("answered with %q, %v", body, err)
	}
}

// The end of a head is found wherever it is cut, though what has been searched is not searched again.
func TestHeadEnd(t *testing.T) {
	for _, c := range []struct {
		head string
		end  int
	}{
		{upgrade, len(upgrade)},
		{strings.ReplaceAll(upgrade, "\r", ""), len(strings.ReplaceAll(upgrade, "\r", ""))},
		{upgrade + "behind\r\n\r\n", len(upgrade)},
		{upgrade[:len(upgrade)-1], -1},
		{"\r\n\r\n", 4},
		{"", -1},
	} {
		for cut := range len(c.head) + 1 {
			got := headEnd([]byte(c.head[:cut]), 0)
			if got < 0 {
				got = headEnd([]byte(c.head), max(0, cut-2))
			}
			if got != c.end {
				t.Errorf("%q, cut at %d: ends at %d, want %d", c.head, cut, got, c.end)
			}
		}
	}
}
