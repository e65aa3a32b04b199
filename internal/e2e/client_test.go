package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
)

// message is what a client sends and receives.
type message struct {
	binary bool
	data   []byte
}

func text(s string) message { return message{data: []byte(s)} }

func (m message) String() string {
	kind := "text"
	if m.binary {
		kind = "binary"
	}
	if len(m.data) > 40 {
		return fmt.Sprintf("%s of %d bytes", kind, len(m.data))
	}
	return fmt.Sprintf("%s %q", kind, m.data)
}

// library is one connection of a WebSocket library that others wrote.
type library interface {
	read() (message, error) // used by one goroutine only
	write(message) error
	ping(ctx context.Context) error            // returns when the pong is there; read runs meanwhile
	startClose(code int, reason string) error  // sends the close frame
	closeCode(err error) (code int, seen bool) // what an error of read says about the peer's close frame
	cut()                                      // drops the connection as it is
}

// client is a member of a room. Its goroutine ends with the connection.
type client struct {
	lib   library
	inbox chan message // closed by the reading goroutine when the connection has ended
	err   error        // why it ended; may be read once inbox is closed
}

// start begins to read; the connection is dropped when there is nothing more to read, or at the end of the test.
func start(t *testing.T, lib library) *client {
	c := &client{lib: lib, inbox: make(chan message, 4096)}
	go func() {
		defer close(c.inbox)
		defer lib.cut()
		for {
			m, err := lib.read()
			if err != nil {
				c.err = err
				return
			}
			c.inbox <- m
		}
	}()
	t.Cleanup(func() {
		lib.cut()
		for range c.inbox { // until the goroutine has ended
		}
	})
	return c
}

func (c *client) send(t *testing.T, m message) {
	t.Helper()
	if err := c.lib.write(m); err != nil {
		t.Fatalf("sending %v: %v", m, err)
	}
}

// expect requires that m is the next message.
func (c *client) expect(t *testing.T, m message) {
	t.Helper()
	select {
	case got, open := <-c.inbox:
		if !open {
			t.Fatalf("waiting for %v: the connection has ended: %v", m, c.err)
		}
		if got.binary != m.binary || !bytes.Equal(got.data, m.data) {
			t.Fatalf("received %v, want %v", got, m)
		}
	case <-time.After(patience):
		t.Fatalf("waited in vain for %v", m)
	}
}

// expectClose requires that nothing but a close frame with this code comes.
func (c *client) expectClose(t *testing.T, want int) {
	t.Helper()
	select {
	case got, open := <-c.inbox:
		if open {
			t.Fatalf("received %v, want the close frame", got)
		}
	case <-time.After(patience):
		t.Fatal("waited in vain for the close frame")
	}
	if code, seen := c.lib.closeCode(c.err); !seen || code != want {
		t.Errorf("the connection ended with %v, want the close code %d", c.err, want)
	}
}

func TestForeignClientCoder(t *testing.T)   { mainJob(t, joinCoder) }
func TestForeignClientGorilla(t *testing.T) { mainJob(t, joinGorilla) }

func TestForeignClientCoderCompressing(t *testing.T) {
	mainJob(t, joinCoderCompressing, "--compression")
}
func TestForeignClientGorillaCompressing(t *testing.T) {
	mainJob(t, joinGorillaCompressing, "--compression")
}

// mainJob is what the server is there for, done with one library.
func mainJob(t *testing.T, join func(t *testing.T, url string) *client, args ...string) {
	s := serve(t, args...)
	a, b, c := join(t, s.room("job")), join(t, s.room("job")), join(t, s.room("job"))
	elsewhere, neighbour := join(t, s.room("elsewhere")), join(t, s.room("elsewhere"))

	// Unchanged, to the others only.
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, m := range []message{
		text("plain"), text("grüße, 世界 👋"), text(""), {binary: true, data: every}, {binary: true},
		text(strings.Repeat("0123456789", 100_000)), {binary: true, data: bytes.Repeat(every, 3_900)},
	} {
		a.send(t, m)
		b.expect(t, m)
		c.expect(t, m)
	}
	b.send(t, text("the first thing that a receives"))
	a.expect(t, text("the first thing that a receives"))
	c.expect(t, text("the first thing that a receives"))
	neighbour.send(t, text("the first thing that elsewhere receives"))
	elsewhere.expect(t, text("the first thing that elsewhere receives"))

	// In order.
	for i := range 1000 {
		a.send(t, text(fmt.Sprint(i)))
	}
	for i := range 1000 {
		b.expect(t, text(fmt.Sprint(i)))
		c.expect(t, text(fmt.Sprint(i)))
	}

	// Ping and pong.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, member := range []*client{a, b, c} {
		if err := member.lib.ping(ctx); err != nil {
			t.Errorf("ping: %v", err)
		}
	}

	// One closes, one is cut off; the others stay.
	if err := c.lib.startClose(4321, "enough"); err != nil {
		t.Fatalf("sending the close frame: %v", err)
	}
	c.expectClose(t, 4321)
	neighbour.lib.cut()
	a.send(t, text("still here"))
	b.expect(t, text("still here"))

	// The server goes: everybody is told, and it ends well (stop looks at the exit code).
	s.stop(t)
	for _, member := range []*client{a, b, elsewhere} {
		member.expectClose(t, 1001)
	}
}

// expectCompression requires that compression has been agreed on, or not.
func expectCompression(t *testing.T, answer *http.Response, want bool) {
	t.Helper()
	if agreed := answer.Header.Get("Sec-WebSocket-Extensions"); (agreed != "") != want {
		t.Fatalf("agreed on %q, want compression: %v", agreed, want)
	}
}

// ---- github.com/coder/websocket -------------------------------------------------------------------------------------

type coderConn struct {
	*coder.Conn
}

func joinCoder(t *testing.T, url string) *client { return dialCoder(t, url, nil) }

func joinCoderCompressing(t *testing.T, url string) *client {
	return dialCoder(t, url, &coder.DialOptions{CompressionMode: coder.CompressionNoContextTakeover, CompressionThreshold: 1})
}

func dialCoder(t *testing.T, url string, options *coder.DialOptions) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, answer, err := coder.Dial(ctx, url, options)
	if err != nil {
		t.Fatalf("joining %s: %v", url, err)
	}
	expectCompression(t, answer, options != nil)
	conn.SetReadLimit(-1)
	return start(t, coderConn{conn})
}

func (c coderConn) read() (message, error) {
	kind, data, err := c.Read(context.Background())
	return message{kind == coder.MessageBinary, data}, err
}

func (c coderConn) write(m message) error {
	kind := coder.MessageText
	if m.binary {
		kind = coder.MessageBinary
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.Write(ctx, kind, m.data)
}

func (c coderConn) ping(ctx context.Context) error { return c.Ping(ctx) }

// startClose does the whole handshake: the library offers no half of it.
func (c coderConn) startClose(code int, reason string) error {
	return c.Close(coder.StatusCode(code), reason)
}

func (c coderConn) closeCode(err error) (int, bool) {
	code := coder.CloseStatus(err)
	return int(code), code != -1
}

func (c coderConn) cut() { _ = c.CloseNow() }

// ---- github.com/gorilla/websocket -----------------------------------------------------------------------------------

type gorillaConn struct {
	*gorilla.Conn
	pong chan string // cap 1: the payload of a pong; never closed
}

func joinGorilla(t *testing.T, url string) *client            { return dialGorilla(t, url, false) }
func joinGorillaCompressing(t *testing.T, url string) *client { return dialGorilla(t, url, true) }

func dialGorilla(t *testing.T, url string, compress bool) *client {
	t.Helper()
	dialer := gorilla.Dialer{HandshakeTimeout: patience, EnableCompression: compress}
	conn, answer, err := dialer.DialContext(t.Context(), url, nil)
	if err != nil {
		t.Fatalf("joining %s: %v", url, err)
	}
	expectCompression(t, answer, compress)
	g := gorillaConn{conn, make(chan string, 1)}
	conn.SetPongHandler(func(payload string) error {
		g.pong <- payload
		return nil
	})
	return start(t, g)
}

func (g gorillaConn) read() (message, error) {
	kind, data, err := g.ReadMessage()
	return message{kind == gorilla.BinaryMessage, data}, err
}

func (g gorillaConn) write(m message) error {
	kind := gorilla.TextMessage
	if m.binary {
		kind = gorilla.BinaryMessage
	}
	_ = g.SetWriteDeadline(time.Now().Add(patience))
	return g.WriteMessage(kind, m.data)
}

func (g gorillaConn) ping(ctx context.Context) error {
	if err := g.WriteControl(gorilla.PingMessage, []byte("are you there?"), time.Now().Add(patience)); err != nil {
		return err
	}
	select {
	case payload := <-g.pong:
		if payload != "are you there?" {
			return fmt.Errorf("the pong carries %q", payload)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gorillaConn) startClose(code int, reason string) error {
	return g.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason), time.Now().Add(patience))
}

func (g gorillaConn) closeCode(err error) (int, bool) {
	var closed *gorilla.CloseError
	if !errors.As(err, &closed) || closed.Code == gorilla.CloseAbnormalClosure {
		return 0, false
	}
	return closed.Code, true
}

func (g gorillaConn) cut() { _ = g.Conn.Close() }
