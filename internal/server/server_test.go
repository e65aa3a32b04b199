package server

import (
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRelay holds that a message reaches every other member of its room unchanged, and nobody else.
func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		a1, a2, a3, b := r.dial("/rooms/a"), r.dial("/rooms/a"), r.dial("/rooms/%61"), r.dial("/rooms/b")
		a1.Send("héllo")
		synctest.Wait()
		a2.SendBinary([]byte("\x00\xff"))
		synctest.Wait()
		text, binary := roomcast.Text("héllo"), roomcast.Binary([]byte("\x00\xff"))
		for _, c := range []struct {
			name   string
			client *roomcasttest.Client
			want   []roomcast.Message
		}{
			{"the first sender", a1, []roomcast.Message{binary}},
			{"the second sender", a2, []roomcast.Message{text}},
			{"a listener", a3, []roomcast.Message{text, binary}},
			{"another room", b, nil},
		} {
			same := func(x, y roomcast.Message) bool { return x.Binary == y.Binary && x.String() == y.String() }
			if got := c.client.Waiting(); !slices.EqualFunc(got, c.want, same) {
				t.Errorf("%s got %v, want %v", c.name, got, c.want)
			}
		}
	})
}

// TestEscapedRooms holds that a room's name is the decoded path segment, slashes in it included.
func TestEscapedRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		for _, same := range [][2]string{
			{"/rooms/a%2Fb", "/rooms/a%2fb"}, {"/rooms/%C3%A9", "/rooms/é"}, {"/rooms/a%20b", "/rooms/%61%20b"},
			{"/rooms/1+1", "/rooms/1%2B1"}, {"/rooms/%2e%2E", "/rooms/%2E%2e"}, {"/rooms/%252F", "/rooms/%252F"},
		} {
			one, two := r.dial(same[0]), r.dial(same[1])
			one.Send(same[0])
			if got := two.Receive(); got.String() != same[0] {
				t.Errorf("%s got %q, want %q", same[1], got, same[0])
			}
		}
	})
}

func TestPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "--allowed-origin=https://app.example.com")
		from := func(origin string) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set("Origin", origin) }
		}
		local := func(r *http.Request) {
			r.Host = "localhost:8080"
			r.Header.Set("Origin", "http://localhost:8080")
		}
		plain := func(r *http.Request) { r.Header.Del("Upgrade") }
		post := func(r *http.Request) { r.Method = http.MethodPost }
		for _, c := range []struct {
			path   string
			edit   func(*http.Request)
			status int
			body   string
		}{
			{"/", plain, 200, "<html"},
			{"/healthz", plain, 200, "ok\n"},
			{"/page/page.js", plain, 200, ""},
			{"/nope", plain, 404, "not found"},
			{"/rooms", plain, 404, "not found"},
			{"/rooms/", nil, 404, "a room is at /rooms/{room}"},
			{"/rooms/a/b", nil, 404, "a room is at /rooms/{room}"},
			{"/rooms/%FF", nil, 400, "UTF-8"},
			{"/rooms/a%0Ab", nil, 400, "control character"},
			{"/rooms/" + strings.Repeat("x", 256), nil, 400, "256 bytes"},
			{"/rooms/a", plain, 426, "WebSocket"},
			{"/rooms/a", post, 405, "GET"},
			{"/rooms/a", from("https://evil.example"), 403, "evil.example"},
			{"/rooms/a", from("https://app.example.com"), 101, ""},
			{"/rooms/a", from("http://example.com"), 403, "--allowed-origin http://example.com"}, // the host asked for, which may be a rebound name
			{"/ws", from("http://example.com"), 403, "--allowed-origin http://example.com"},
			{"/rooms/a", local, 101, ""},
		} {
			req := roomcasttest.Request(c.path)
			if c.edit != nil {
				c.edit(req)
			}
			res, conn, _ := roomcasttest.Upgrade(t, r.server.routes(), req)
			var body []byte
			if c.status != http.StatusSwitchingProtocols {
				body, _ = io.ReadAll(res.Body)
			}
			conn.Close()
			if res.StatusCode != c.status || !strings.Contains(string(body), c.body) {
				t.Errorf("%s: %d %q, want %d with %q", c.path, res.StatusCode, body, c.status, c.body)
			}
			if kind := res.Header.Get("Content-Type"); c.status >= 400 && !strings.HasPrefix(kind, "text/plain") {
				t.Errorf("%s: content type %q, want plain text", c.path, kind)
			}
			if c.status == 426 && res.Header.Get("Sec-Websocket-Version") != "13" {
				t.Errorf("%s: 426 without the version", c.path)
			}
		}
	})
}

// TestBadRequests holds that what is no request is answered once, in HTTP, and hung up on.
func TestBadRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		for request, want := range map[string]string{
			"\x16\x03\x01 what is this\r\n\r\n":                                                      "HTTP/1.1 400 ",
			"GET /rooms/%zz HTTP/1.1\r\nHost: x\r\n\r\n":                                             "HTTP/1.1 400 ",
			"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2*(16<<10)) + "\r\n\r\n": "HTTP/1.1 431 ",
		} {
			conn := r.connect()
			go io.WriteString(conn, request) // the rest of it may be refused
			answer, err := io.ReadAll(conn)
			if !strings.HasPrefix(string(answer), want) {
				t.Errorf("%.40q: %q, %v; want %q", request, answer, err, want)
			}
			conn.Close()
		}
	})
}

// TestHandshakeTimeout holds that half a request is cut off after the handshake timeout, and not before.
func TestHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "--handshake-timeout=3s")
		conn := r.connect()
		begin := time.Now()
		if _, err := io.WriteString(conn, "GET /rooms/a HTTP/1.1\r\nHost: x\r\n"); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // returns when the server hangs up
		if waited := time.Since(begin); waited != 3*time.Second {
			t.Errorf("cut off after %v, want 3s", waited)
		}
	})
}

// TestShutdown holds that everybody is closed with 1001, that nobody is let in after it, and that it takes no time when all agree.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		clients := []*roomcasttest.Client{r.dial("/rooms/a"), r.dial("/rooms/a"), r.dial("/rooms/b")}
		begin := time.Now()
		r.stop()
		for _, c := range clients {
			if end := c.End(); end.Code != roomcast.CloseGoingAway {
				t.Errorf("closed with %+v, want 1001", end)
			}
		}
		if err := r.wait(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if waited := time.Since(begin); waited > 0 {
			t.Errorf("the shutdown took %v although everybody left at once", waited)
		}
		if _, err := r.listener.dial(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dial after the shutdown: %v, want %v", err, net.ErrClosed)
		}
	})
}

// TestShutdownIsBounded holds that neither a client that takes nothing nor half a request delays the end past the timeout.
func TestShutdownIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "--drain=2s")
		stalled, other := r.dial("/rooms/a"), r.dial("/rooms/a")
		stalled.Stall()
		for range 2 { // the client takes one of them: it was waiting for it
			other.Send("hello")
		}
		half := r.connect()
		if _, err := io.WriteString(half, "GET / HTTP/1.1\r\n"); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		r.stop()
		if err := r.wait(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if waited := time.Since(begin); waited != 2*time.Second {
			t.Errorf("the shutdown took %v, want the 2s of --drain", waited)
		}
	})
}

// TestAcceptFails holds that a listener that fails ends the server with its error, and everybody is told goodbye.
func TestAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		c := r.dial("/rooms/a")
		r.listener.Close()
		if end := c.End(); end.Code != roomcast.CloseGoingAway {
			t.Errorf("closed with %+v, want 1001", end)
		}
		if err := r.wait(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run = %v, want the error of Accept", err)
		}
	})
}
