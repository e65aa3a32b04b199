package roomcast_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// forEachTransport runs a test over pipes, whose links are portable, and over TCP, whose links are run by loops where there are any.
// on makes the clients of a new hub come that way.
func forEachTransport(t *testing.T, test func(t *testing.T, on func(*hub) *hub)) {
	t.Run("pipe", func(t *testing.T) { test(t, func(h *hub) *hub { return h }) })
	t.Run("TCP", func(t *testing.T) { test(t, overTCP) })
}

// overTCP makes the clients of a new hub come over TCP, through the door.
func overTCP(h *hub) *hub {
	h.addr = listenOn(h.t, h.Server, h.Server, true)
	return h
}

// listenOn serves h on a TCP socket until the end of the test, through the door of srv or through net/http alone, and returns its
// address.
func listenOn(t testing.TB, srv *roomcast.Server, h http.Handler, door bool) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	if !door {
		l = struct{ net.Listener }{l} // which is not a *net.TCPListener
	}
	served := make(chan error)
	go func() { served <- srv.ServeHandler(l, h) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
		srv.Shutdown(context.Background())
	})
	return addr
}

// dialTCP connects to addr for at most a minute.
func dialTCP(t testing.TB, addr string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn.(*net.TCPConn), bufio.NewReader(conn)
}

// upgradeTCP is dialTCP with a proper upgrade request and what is sent right behind it. The answer is a 101.
func upgradeTCP(t testing.TB, addr, behind string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	conn, br := dialTCP(t, addr)
	io.WriteString(conn, sampleUpgrade+"\r\n"+behind)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s, want 101", res.Status)
	}
	return conn, br
}

// reset ends a connection as a crash of its machine's program does.
func reset(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}

// eventually waits for what other goroutines still have to do.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); !is(); runtime.Gosched() {
		if time.Now().After(limit) {
			t.Errorf("%s: not after 10 s", what)
			return
		}
	}
}

// until receives messages until the marker, which was sent last, and returns those before it: nothing else is to come.
func until(client *roomcasttest.Client, marker string) (texts []string) {
	for {
		m := client.Receive().String()
		if m == marker {
			return texts
		}
		texts = append(texts, m)
	}
}
