package roomcast_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// forEachTransport runs a test over pipes, whose links are portable, in a bubble of testing/synctest, and over TCP, whose links are run
// by loops where there are any. on makes the clients of a new hub come that way.
//
// Over pipes alone run the tests of exact bounds and times, for a socket takes what would wait and has no bubble around it (the
// heartbeat, TestCoalesce, TestOutboxBytes, TestOutboxBytesSend, TestCloseTimeout), those of unfinished requests, whose other half are
// the tests of the door (TestShutdownCutsHalfFinishedHandshake, TestCloseBehindRequest, TestCloseWhileAnswering), and those of calls that
// come to no link. Over TCP alone run those of descriptors and of foreign clients.
func forEachTransport(t *testing.T, test func(t *testing.T, on func(*hub) *hub)) {
	t.Run("pipe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, func(h *hub) *hub { return h }) })
	})
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

// client returns a client that has asked for path.
func (h *hub) client(path string) *roomcasttest.Client {
	h.t.Helper()
	if h.addr == "" {
		return roomcasttest.Dial(h.t, h, path, nil)
	}
	return roomcasttest.DialTCP(h.t, h.addr, path, nil)
}

// upgrade sends r and returns a client that does nothing by itself: while the test does not read, the server can write nothing, or
// over TCP no more than the sockets hold. The answer is a 101.
func (h *hub) upgrade(r *http.Request) rawClient {
	h.t.Helper()
	if h.addr == "" {
		_, conn, br := roomcasttest.Upgrade(h.t, h, r)
		return rawClient{conn, br}
	}
	conn, br := dialTCP(h.t, h.addr)
	if err := r.Write(conn); err != nil {
		h.t.Fatal(err)
	}
	if res, err := http.ReadResponse(br, r); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		h.t.Fatalf("upgrade: %+v, %v", res, err)
	}
	return rawClient{conn, br}
}

// settle waits until everything has come to rest, over pipes. Over TCP that cannot be known: what is to come is waited for by other
// means, and what is not to come has merely not come yet.
func (h *hub) settle() {
	if h.addr == "" {
		synctest.Wait()
	}
}

// since returns how much time has passed since start, over pipes. Over TCP all of it is that of the machine, and 0 is returned.
func (h *hub) since(start time.Time) time.Duration {
	if h.addr == "" {
		return time.Since(start)
	}
	return 0
}

// expectEnd checks how a client's connection has ended: by now, over pipes.
func (h *hub) expectEnd(what string, client *roomcasttest.Client, want roomcasttest.End) {
	h.t.Helper()
	if h.settle(); h.addr != "" {
		client.End()
	}
	if end := client.Ended(); end == nil || *end != want {
		h.t.Errorf("%s: %v, want %v", what, end, want)
	}
}

// eventually waits for what other goroutines still have to do. It looks once in a millisecond, which leaves them the processor, and
// which in a bubble is when all of them have come to rest.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !is(); <-time.After(time.Millisecond) {
		if time.Now().After(limit) {
			t.Errorf("%s: not after a minute", what)
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
