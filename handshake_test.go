package roomcast_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// sampleUpgrade is a proper upgrade request with the key of RFC 6455, section 1.3, without the line that ends its header.
const sampleUpgrade = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

// without and with change a header of the request; a name is written as the client wrote it.
func without(name string) func(*http.Request) { return func(r *http.Request) { r.Header.Del(name) } }

func with(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}

var handshakeCases = []struct {
	section string // of RFC 6455 if no other is named
	name    string
	edit    func(*http.Request)
	status  int
	header  string // "Name: value" that the answer must have
	says    string // what its body must say
}{
	{"1.3", "sample key", func(*http.Request) {}, 101, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ""},
	{"4.2.2 (5)", "Upgrade in the answer", func(*http.Request) {}, 101, "Upgrade: websocket", ""},
	{"4.2.2 (5)", "Connection in the answer", func(*http.Request) {}, 101, "Connection: Upgrade", ""},
	{"4.2.1 (1)", "POST", func(r *http.Request) { r.Method = "POST" }, 405, "Allow: GET", "POST"},
	{"4.2.1 (1)", "HTTP/1.0", func(r *http.Request) { r.Proto, r.ProtoMinor = "HTTP/1.0", 0 }, 400, "", "HTTP/1.0"},
	{"4.1 (2)", "body", func(r *http.Request) { r.ContentLength = 5 }, 400, "", "body"},
	{"4.1 (2)", "chunked body", func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, 400, "", "body"},

	{"4.2.1 (3)", "no Upgrade", without("Upgrade"), 426, "Sec-WebSocket-Version: 13", "Upgrade"},
	{"4.2.1 (3)", "other Upgrade", with("Upgrade", "h2c"), 426, "Upgrade: websocket", "Upgrade"},
	{"4.2.1 (3)", "Upgrade that begins like it", with("Upgrade", "websockets"), 426, "Upgrade: websocket", "Upgrade"},
	{"4.2.1 (3)", "Upgrade in capitals", with("Upgrade", "WebSocket"), 101, "", ""},
	{"RFC 9110 5.6.1", "Upgrade in a list", with("Upgrade", "h2c , websocket"), 101, "", ""},
	{"4.2.1 (4)", "no Connection", without("Connection"), 400, "", "Connection: Upgrade"},
	{"4.2.1 (4)", "other Connection", with("Connection", "keep-alive"), 400, "", "Connection: Upgrade"},
	{"4.2.1 (4)", "Connection in capitals", with("Connection", "UPGRADE"), 101, "", ""},
	{"RFC 9110 5.6.1", "Connection in a list", with("Connection", "keep-alive, Upgrade"), 101, "", ""},
	{"RFC 9110 5.3", "Connection in two lines", with("Connection", "keep-alive", "Upgrade"), 101, "", ""},

	{"4.4", "no version", without("Sec-WebSocket-Version"), 426, "Sec-WebSocket-Version: 13", "13"},
	{"4.4", "older version", with("Sec-WebSocket-Version", "8"), 426, "Sec-WebSocket-Version: 13", "13"},
	{"4.4", "newer version", with("Sec-WebSocket-Version", "130"), 426, "Sec-WebSocket-Version: 13", "13"},
	{"11.3.5", "two versions", with("Sec-WebSocket-Version", "13", "8"), 426, "Sec-WebSocket-Version: 13", "13"},
	{"4.2.1 (5)", "no key", without("Sec-WebSocket-Key"), 400, "", "Sec-WebSocket-Key"},
	{"4.2.1 (5)", "empty key", with("Sec-WebSocket-Key", ""), 400, "", "Sec-WebSocket-Key"},
	{"4.2.1 (5)", "key of 15 bytes", with("Sec-WebSocket-Key", "MTIzNDU2Nzg5MDEyMzQ1"), 400, "", "16"},
	{"4.2.1 (5)", "key of 17 bytes", with("Sec-WebSocket-Key", "MTIzNDU2Nzg5MDEyMzQ1Njc="), 400, "", "16"},
	{"4.2.1 (5)", "key not in base64", with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZ!=="), 400, "", "base64"},
	{"11.3.1", "two keys", with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="), 400, "", "one key"},
}

func TestHandshake(t *testing.T) {
	for _, c := range handshakeCases {
		t.Run(c.section+" "+c.name, func(t *testing.T) {
			srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
			r := roomcasttest.Request("/chat")
			c.edit(r)
			res := answerTo(t, srv, r, c.status)
			if name, value, ok := strings.Cut(c.header, ": "); ok && res.Header.Get(name) != value {
				t.Errorf("%s: %q, want %q", name, res.Header.Get(name), value)
			}
			if c.status == http.StatusSwitchingProtocols {
				return
			}
			expect(t, "accepted", srv.Stats().Accepted, 0)
			if body, err := io.ReadAll(res.Body); err != nil || !isClearLine(string(body), c.says) {
				t.Errorf("body %q (%v), want one line that says %q", body, err, c.says)
			}
		})
	}
}

// answerTo returns the server's answer to r, whose status must be as given.
func answerTo(t *testing.T, srv http.Handler, r *http.Request, status int) *http.Response {
	t.Helper()
	res, conn, _ := roomcasttest.Upgrade(t, srv, r)
	if res.StatusCode != status {
		t.Errorf("status %s, want %d", res.Status, status)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		conn.Close()
	}
	return res
}

// isClearLine reports whether the body of an answer is a single line that says something.
func isClearLine(body, says string) bool {
	return len(body) > 10 && strings.Index(body, "\n") == len(body)-1 && strings.Contains(body, says)
}

func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		name    string
		allowed string // Options.AllowedOrigins, in words
		origin  string // "" is no header
		status  int
	}{
		{"no browser", "", "", 101},
		{"same host", "", "https://example.com", 101},
		{"same host in capitals", "", "https://EXAMPLE.com", 101},
		{"same host, other port", "", "https://example.com:8443", 403},
		{"foreign", "", "https://evil.org", 403},
		{"foreign that begins like it", "", "https://example.com.evil.org", 403},
		{"foreign that ends like it", "", "https://evilexample.com", 403},
		{"foreign with it as its user", "", "https://example.com@evil.org", 403},
		{"null", "", "null", 403},
		{"null where others are allowed", "*.example.com app.example.org", "null", 403},
		{"same host where others are allowed", "app.example.org", "https://example.com", 101},
		{"any", "*", "https://evil.org", 101},
		{"any, null", "*", "null", 101},
		{"pattern", "*.example.com", "https://app.example.com", 101},
		{"pattern in capitals", "*.EXAMPLE.com", "https://App.Example.Com", 101},
		{"pattern continued", "*.example.com", "https://example.com.evil.org", 403},
		{"pattern, subdomain continued", "*.example.com", "https://app.example.com.evil.org", 403},
		{"pattern without its dot", "*.example.com", "https://evilexample.com", 403},
		{"pattern, other port", "app.example.org", "https://app.example.org:8443", 403},
		{"pattern with a port", "app.example.org:8443", "https://app.example.org:8443", 101},
		{"pattern with another port", "app.example.org:8443", "https://app.example.org", 403},
		{"pattern with a scheme", "https://app.example.org", "https://app.example.org", 101},
		{"pattern with another scheme", "https://app.example.org", "http://app.example.org", 403},
		{"pattern with a scheme and a star", "https://*.example.org", "https://app.example.org", 101},
		{"second pattern", "one.example two.example", "https://two.example", 101},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := roomcast.New(roomcast.Handler{}, roomcast.Options{AllowedOrigins: strings.Fields(c.allowed)})
			r := roomcasttest.Request("/")
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			res := answerTo(t, srv, r, c.status)
			if body, _ := io.ReadAll(res.Body); c.status == 403 && !isClearLine(string(body), c.origin) {
				t.Errorf("body %q, want one line that names the origin", body)
			}
		})
	}
	r := roomcasttest.Request("/")
	r.Header["Origin"] = []string{"https://example.com", "https://evil.org"}
	answerTo(t, roomcast.New(roomcast.Handler{}, roomcast.Options{}), r, 403)
}

// TestSetAllowedOrigins holds that origins can change while the server serves, and that ones that make no sense change nothing.
func TestSetAllowedOrigins(t *testing.T) {
	patterns := []string{"one.example"}
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{AllowedOrigins: patterns})
	patterns[0] = "two.example" // is ours, not the server's
	status := func(origin string, want int) {
		t.Helper()
		r := roomcasttest.Request("/")
		r.Header.Set("Origin", "https://"+origin)
		answerTo(t, srv, r, want)
	}
	status("one.example", 101)
	status("two.example", 403)
	if err := srv.SetAllowedOrigins(patterns); err != nil {
		t.Fatal(err)
	}
	patterns[0] = "three.example"
	status("one.example", 403)
	status("two.example", 101)
	for _, bad := range []string{"", "a[b"} {
		err := srv.SetAllowedOrigins([]string{"*", bad})
		if err == nil || !strings.HasPrefix(err.Error(), `roomcast: AllowedOrigins has "`+bad+`"`) {
			t.Errorf("%q: %v, want an error that names it", bad, err)
		}
	}
	status("one.example", 403)
	if err := srv.SetAllowedOrigins(nil); err != nil {
		t.Fatal(err)
	}
	status("two.example", 403)
}

func TestSubprotocol(t *testing.T) {
	for _, c := range []struct {
		name, spoken string
		offered      []string
		want         string
	}{
		{"none offered", "chat", nil, ""},
		{"none spoken", "", []string{"chat"}, ""},
		{"none in common", "chat", []string{"superchat"}, ""},
		{"the client's first", "chat superchat", []string{"superchat, chat"}, "superchat"},
		{"the client's first that is spoken", "chat superchat", []string{"mqtt", "chat, superchat"}, "chat"},
		{"case counts", "chat", []string{"Chat"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			agreed := make(chan string, 1)
			srv := roomcast.New(roomcast.Handler{
				Connect: func(c *roomcast.Conn, _ *http.Request) error { agreed <- c.Subprotocol(); return nil },
			}, roomcast.Options{Subprotocols: strings.Fields(c.spoken)})
			r := roomcasttest.Request("/")
			r.Header["Sec-Websocket-Protocol"] = c.offered
			got := answerTo(t, srv, r, 101).Header["Sec-Websocket-Protocol"]
			expect(t, "Sec-WebSocket-Protocol", strings.Join(got, "|"), c.want)
			expect(t, "headers", len(got), min(len(c.want), 1))
			expect(t, "Conn.Subprotocol", <-agreed, c.want)
		})
	}
}

// pipeListener is a listener whose connections are pipes, so that a server on it works in synctest.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// dial returns the client's end of a new connection to the server that accepts from l.
func (l *pipeListener) dial(t *testing.T) (net.Conn, *bufio.Reader) {
	server, client := net.Pipe()
	t.Cleanup(func() { client.Close() })
	l.conns <- server
	return client, bufio.NewReader(client)
}

// serveOnPipes runs srv.Serve until the end of the test.
func serveOnPipes(t *testing.T, srv *roomcast.Server) *pipeListener {
	l, served := newPipeListener(), make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v, want http.ErrServerClosed", err)
		}
	})
	return l
}

func TestRawHTTP(t *testing.T) {
	for _, c := range []struct {
		section, name, request string
		status                 int
		closed                 bool // behind the answer, at once
	}{
		{"4.2.1", "right", sampleUpgrade + "\r\n", 101, false},
		{"RFC 9112 5", "names of headers in any case", strings.ReplaceAll(sampleUpgrade, "Sec-WebSocket", "sEC-wEBsOCKET") + "\r\n", 101, false},
		{"4.2.1 (1)", "HTTP/1.0", strings.Replace(sampleUpgrade, "HTTP/1.1", "HTTP/1.0", 1) + "\r\n", 400, true},
		{"4.1 (2)", "body", sampleUpgrade + "Content-Length: 5\r\n\r\nhello", 400, false},
		{"RFC 9112 3", "a line of junk", "hello, is anybody there?\r\n\r\n", 400, true},
		{"RFC 9112 3", "bytes of a TLS client", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", 400, true},
		{"RFC 9112 3.2", "no Host", strings.Replace(sampleUpgrade, "Host: example.com\r\n", "", 1) + "\r\n", 400, true},
		{"RFC 9112 5.1", "header that is none", sampleUpgrade + "no colon here\r\n\r\n", 400, true},
		{"RFC 6585 5", "16 KiB of header", sampleUpgrade + "X: " + strings.Repeat("x", 16<<10-len(sampleUpgrade)-7) + "\r\n\r\n", 101, false},
		{"RFC 6585 5", "more header than allowed", sampleUpgrade + "X: " + strings.Repeat("x", 24<<10), 431, true},
		{"RFC 6585 5", "many small headers", sampleUpgrade + strings.Repeat("X: y\r\n", 4<<10), 431, true},
	} {
		t.Run(c.section+" "+c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, br := serveOnPipes(t, roomcast.New(roomcast.Handler{}, roomcast.Options{})).dial(t)
				start := time.Now()
				go io.WriteString(conn, c.request) // what the server does not want to read is refused
				res, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				expect(t, "status", res.StatusCode, c.status)
				if c.closed {
					io.Copy(io.Discard, br) // waits for it
					between(t, "closed after", time.Since(start), 0, time.Second)
				}
			})
		})
	}
}

// A refused request does not use up a connection that is kept alive (RFC 9112, section 9.3).
func TestUpgradeAfterRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, br := serveOnPipes(t, roomcast.New(roomcast.Handler{}, roomcast.Options{})).dial(t)
		for i, request := range []string{"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", sampleUpgrade + "\r\n"} {
			go io.WriteString(conn, request)
			res, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, "status", res.StatusCode, []int{426, 101}[i])
			expect(t, "Connection", res.Header.Get("Connection"), "Upgrade") // in the 426 too: RFC 9110, section 7.8
			io.Copy(io.Discard, res.Body)
		}
	})
}

// Frames that a client sends right behind its request, before it has seen the answer, are received like any other.
func TestPipelinedFrames(t *testing.T) {
	frame := func(n int) string {
		return string(ws.MustCompileFrame(ws.MaskFrameWith(ws.NewTextFrame([]byte(strings.Repeat("x", n))), [4]byte{1, 2, 3, 4})))
	}
	for _, c := range []struct {
		name, behind, later string
		want                []int // lengths of the messages
	}{
		{"one", frame(5), "", []int{5}},
		{"three", frame(1) + frame(2) + frame(3), "", []int{1, 2, 3}},
		{"half a header", frame(200)[:3], frame(200)[3:] + frame(1), []int{200, 1}},
		{"half a frame", frame(5)[:8], frame(5)[8:], []int{5}},
		{"more than a buffer", frame(9000), frame(1), []int{9000, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := make(chan int, len(c.want))
				conn, br := serveOnPipes(t, roomcast.New(roomcast.Handler{
					Message: func(_ *roomcast.Conn, m roomcast.Message) { got <- len(m.Data) },
				}, roomcast.Options{})).dial(t)
				go io.WriteString(conn, sampleUpgrade+"\r\n"+c.behind)
				if res, err := http.ReadResponse(br, nil); err != nil || res.StatusCode != 101 {
					t.Fatal(res, err)
				}
				go io.WriteString(conn, c.later)
				for i, want := range c.want {
					expect(t, "bytes of message "+string(rune('1'+i)), <-got, want)
				}
			})
		})
	}
}

func TestHandshakeTimeout(t *testing.T) {
	second := roomcast.Options{HandshakeTimeout: time.Second}
	for _, c := range []struct {
		name, request string
		o             roomcast.Options
		every         time.Duration // between two bytes of the request
		want          time.Duration
	}{
		{"silence", "", roomcast.Options{}, 0, 10 * time.Second},
		{"half a request", sampleUpgrade, roomcast.Options{}, 0, 10 * time.Second},
		{"half a request, own limit", sampleUpgrade, second, 0, time.Second},
		{"a request byte by byte", sampleUpgrade, roomcast.Options{}, 700 * time.Millisecond, 10 * time.Second},
		{"refused and then silent", "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", second, 0, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				conn, br := serveOnPipes(t, roomcast.New(roomcast.Handler{}, c.o)).dial(t)
				var sending sync.WaitGroup
				defer sending.Wait()
				sending.Go(func() {
					for i := range c.request {
						<-time.After(c.every)
						io.WriteString(conn, c.request[i:i+1])
					}
				})
				io.Copy(io.Discard, br) // until the server hangs up
				expect(t, "closed after", time.Since(start), c.want)
			})
		})
	}
}

// A client that does not take its 101 is given up like one that answers no pings: after PingInterval, PongTimeout and CloseTimeout.
func TestHandshakeNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, roomcast.Options{}, nil)
		start := time.Now()
		conn, _ := serveOnPipes(t, h.Server).dial(t)
		io.WriteString(conn, sampleUpgrade+"\r\n")
		c := <-h.conns
		synctest.Wait()
		expect(t, "members while it connects", len(h.Members("chat")), 1)
		for len(h.endsOf(c)) == 0 {
			<-time.After(time.Second)
			synctest.Wait()
		}
		expect(t, "given up after", time.Since(start), 45*time.Second)
		expectAll(t, "Close", h.endsOf(c), roomcasttest.End{Code: 1001, Reason: "pong timeout"})
		expect(t, "connections", h.Stats().Connections, 0)
	})
}

func TestUpgradeWhileShuttingDown(t *testing.T) {
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	res := answerTo(t, srv, roomcasttest.Request("/"), http.StatusServiceUnavailable)
	if body, _ := io.ReadAll(res.Body); !isClearLine(string(body), "shutting down") {
		t.Errorf("body %q, want one line that says so", body)
	}
	expect(t, "accepted", srv.Stats().Accepted, 0)
}

// A ResponseWriter that cannot be taken over, such as one of HTTP/2, is answered; nothing of the attempt stays or counts.
func TestUpgradeImpossible(t *testing.T) {
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, roomcasttest.Request("/"))
	if w.Code != http.StatusInternalServerError || !isClearLine(w.Body.String(), "HTTP/1.1") {
		t.Errorf("%d %q, want 500 and one line that says what to do", w.Code, w.Body)
	}
	expect(t, "connections", srv.Stats().Connections, 0)
	expect(t, "accepted", srv.Stats().Accepted, 0)
}
