// Package roomcasttest is what tests of Roomcast and of programs built on it share: WebSocket clients, in memory or over TCP. Those
// in memory work in testing/synctest, where a heartbeat of half a minute takes no time at all.
package roomcasttest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast"
)

// Client is a WebSocket client at the other end of a pipe or of a TCP connection. It reads at all times, unless Stall has been
// called, and answers pings. Its methods fail the test when something goes wrong; they are to be called from the goroutine of the
// test, or where t.Fatal is in order.
type Client struct {
	t    testing.TB
	conn net.Conn
	br   *bufio.Reader

	writing sync.Mutex // held for one frame

	mu      sync.Mutex
	arrived *sync.Cond // messages, end or stalled have changed
	waiting []roomcast.Message
	end     *End
	stalled bool
	mute    bool // pings are not answered
	pings   int
}

// End is how a connection ended, seen by the client.
type End struct {
	Code   int    // of the server's Close frame; 1005 if it had none, 1006 if no Close frame came
	Reason string // of the server's Close frame
}

// Dial connects to h over a pipe with an upgrade request for path, which edit, if not nil, may change before it is sent. It fails
// the test if h does not upgrade. The client is dropped at the end of the test.
func Dial(t testing.TB, h http.Handler, path string, edit func(*http.Request)) *Client {
	t.Helper()
	r := Request(path)
	if edit != nil {
		edit(r)
	}
	res, conn, br := Upgrade(t, h, r)
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("upgrade of %s: %s: %s", path, res.Status, body)
	}
	return newClient(t, conn, br)
}

// DialTCP is Dial to a server that listens on a TCP address. There, sending a message does not wait until the server has read it, and a
// client that is stalled leaves the server as much room as the sockets have.
func DialTCP(t testing.TB, addr, path string, edit func(*http.Request)) *Client {
	t.Helper()
	r := Request(path)
	if edit != nil {
		edit(r)
	}
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		t.Cleanup(func() { conn.Close() })
		err = r.Write(conn)
	}
	if err != nil {
		t.Fatalf("upgrade of %s: %v", path, err)
	}
	br := bufio.NewReader(conn)
	res, err := http.ReadResponse(br, r)
	if err != nil {
		t.Fatalf("upgrade of %s: %v", path, err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("upgrade of %s: %s: %s", path, res.Status, body)
	}
	return newClient(t, conn, br)
}

// newClient returns a client over a connection that has been upgraded.
func newClient(t testing.TB, conn net.Conn, br *bufio.Reader) *Client {
	c := &Client{t: t, conn: conn, br: br}
	c.arrived = sync.NewCond(&c.mu)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read()
	}()
	t.Cleanup(func() {
		c.Drop()
		<-done
	})
	return c
}

// Request returns a proper upgrade request for path (RFC 6455, section 4.1).
func Request(path string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	return r
}

// Upgrade sends r to h and returns its answer. After a 101 the connection is the caller's: br has what the server sends, and the
// bytes written to conn go to the server. conn is a pipe: a write returns when the server has read it all.
func Upgrade(t testing.TB, h http.Handler, r *http.Request) (res *http.Response, conn net.Conn, br *bufio.Reader) {
	t.Helper()
	server, client := net.Pipe()
	t.Cleanup(func() { client.Close() })
	go func() {
		w := &hijackable{ResponseRecorder: httptest.NewRecorder(), conn: server}
		h.ServeHTTP(w, r)
		if !w.hijacked {
			_ = w.Result().Write(server) // an error means that the test has ended
			server.Close()
		}
	}()
	br = bufio.NewReader(client)
	res, err := http.ReadResponse(br, r)
	if err != nil {
		t.Fatalf("upgrade: %v", err)
	}
	return res, client, br
}

// hijackable is a ResponseWriter whose connection can be taken over.
type hijackable struct {
	*httptest.ResponseRecorder
	conn     net.Conn
	hijacked bool
}

// Hijack is http.Hijacker.
func (w *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.hijacked = true
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

// Send sends a text message; when it returns the server has read it, except over TCP.
func (c *Client) Send(text string) {
	c.t.Helper()
	c.Write(ws.NewTextFrame([]byte(text)))
}

// TrySend is Send to a server that may end the connection at any moment: it returns the error instead.
func (c *Client) TrySend(text string) error {
	return c.write(ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text)))))
}

// SendBinary sends a binary message; when it returns the server has read it, except over TCP.
func (c *Client) SendBinary(data []byte) {
	c.t.Helper()
	c.Write(ws.NewBinaryFrame(data))
}

// Write masks a frame and sends it as it is, right or wrong; when it returns the server has read it, except over
// TCP.
func (c *Client) Write(f ws.Frame) {
	c.t.Helper()
	c.WriteRaw(ws.MustCompileFrame(ws.MaskFrame(f)))
}

// WriteRaw sends bytes as they are; when it returns the server has read them, except over TCP.
func (c *Client) WriteRaw(p []byte) {
	c.t.Helper()
	if err := c.write(p); err != nil {
		c.t.Fatalf("client: write: %v", err)
	}
}

func (c *Client) write(p []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.conn.Write(p)
	return err
}

// Receive returns the next message, waiting for it if need be. It fails the test if the connection ends first.
func (c *Client) Receive() roomcast.Message {
	c.t.Helper()
	m, ok := c.Next()
	if !ok {
		c.t.Fatalf("client: waiting for a message, the connection ended with %+v", *c.end)
	}
	return m
}

// Next returns the next message, waiting for it if need be, or false when the connection has ended and all messages have been
// returned.
func (c *Client) Next() (m roomcast.Message, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) == 0 && c.end == nil {
		c.arrived.Wait()
	}
	if len(c.waiting) == 0 {
		return m, false
	}
	m = c.waiting[0]
	c.waiting = c.waiting[1:]
	return m, true
}

// Waiting returns the messages that have arrived and have not been returned by Receive or Next, and keeps them. In synctest,
// call it after synctest.Wait to learn what has come and what has not.
func (c *Client) Waiting() []roomcast.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]roomcast.Message(nil), c.waiting...)
}

// End waits until the connection has ended, and returns how.
func (c *Client) End() End {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.end == nil {
		c.arrived.Wait()
	}
	return *c.end
}

// Ended returns how the connection has ended, or nil while it has not.
func (c *Client) Ended() *End {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// Pings returns how many pings have come.
func (c *Client) Pings() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pings
}

// Close sends a Close frame and waits for the server to end the connection.
func (c *Client) Close(code int, reason string) End {
	c.t.Helper()
	c.Write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), reason)))
	return c.End()
}

// Drop ends the connection without a Close frame.
func (c *Client) Drop() {
	c.Go()
	c.conn.Close()
}

// Stall stops reading, so that the server can write nothing, after at most one frame more.
func (c *Client) Stall() { c.set(func() { c.stalled = true }) }

// Go ends a stall.
func (c *Client) Go() { c.set(func() { c.stalled = false }) }

// Mute stops answering pings.
func (c *Client) Mute() { c.set(func() { c.mute = true }) }

func (c *Client) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	c.arrived.Broadcast()
}

// read takes what the server sends until the connection ends.
func (c *Client) read() {
	end := End{Code: roomcast.CloseAbnormal}
	for {
		c.set(func() {
			for c.stalled {
				c.arrived.Wait()
			}
		})
		op, payload, err := ReadFrame(c.br)
		if err != nil {
			break
		}
		switch op {
		case ws.OpText, ws.OpBinary:
			m := roomcast.Message{Data: payload, Binary: op == ws.OpBinary}
			c.set(func() { c.waiting = append(c.waiting, m) })
		case ws.OpPing:
			c.set(func() { c.pings++ })
			c.answer(ws.NewPongFrame(payload))
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			if end = (End{int(code), reason}); code.Empty() {
				end.Code = roomcast.CloseNoStatus
			}
			c.answer(ws.NewCloseFrame(payload))
		}
	}
	c.conn.Close()
	c.set(func() { c.end = &end })
}

// ReadFrame reads one frame, which a server has sent: not masked, whatever its length.
func ReadFrame(r io.Reader) (op ws.OpCode, payload []byte, err error) {
	h, err := ws.ReadHeader(r)
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, h.Length)
	_, err = io.ReadFull(r, payload)
	return h.OpCode, payload, err
}

// answer replies to a control frame, unless the client is mute.
func (c *Client) answer(f ws.Frame) {
	c.mu.Lock()
	mute := c.mute && f.Header.OpCode == ws.OpPong
	c.mu.Unlock()
	if !mute {
		_ = c.write(ws.MustCompileFrame(ws.MaskFrame(f))) // an error shows in the next read
	}
}
