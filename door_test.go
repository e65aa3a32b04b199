package roomcast_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// site is what a program serves besides its rooms: /chat is upgraded, /page is a page, /echo returns what is posted.
func site(srv http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/chat", srv)
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "a page for", r.Host) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	return mux
}

func replaced(old, new string) string { return strings.Replace(sampleUpgrade, old, new, 1) + "\r\n" }

// requests, of all shapes, and the status of their answers, which net/http alone answers in the same way.
var requests = []struct {
	name, request string
	status        int
}{
	{"right", sampleUpgrade + "\r\n", 101},
	{"lower case", strings.ToLower(sampleUpgrade[:strings.Index(sampleUpgrade, "Sec-")]) + // not the key
		"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n", 400}, // the method is in lower case too
	{"lower-case names", replaced("Host", "host"), 101},
	{"no space behind the colon", replaced("Upgrade: websocket", "Upgrade:websocket"), 101},
	{"a query", replaced("/chat", "/chat?a=b&c"), 101},
	{"an escaped path", replaced("/chat", "/%63hat"), 101},
	{"the absolute form", replaced("/chat", "http://example.com/chat"), 101},
	{"a Content-Length of 0", sampleUpgrade + "Content-Length: 0\r\n\r\n", 101},
	{"a header in two lines", sampleUpgrade + "X: a\r\n b\r\n\r\n", 101},
	{"a header of other characters", sampleUpgrade + "X: \xc3\xa4\xff\r\n\r\n", 101},
	{"an empty line first", "\r\n" + sampleUpgrade + "\r\n", 400},
	{"lines without CR", strings.ReplaceAll(sampleUpgrade, "\r", "") + "\n", 101},
	{"expects 100", sampleUpgrade + "Expect: 100-continue\r\n\r\n", 101},

	{"no key", replaced("Sec-WebSocket-Key", "X"), 400},
	{"a bad key", replaced("dGhl", "dGh"), 400},
	{"two keys", sampleUpgrade + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 400},
	{"an older version", replaced("Version: 13", "Version: 8"), 426},
	{"another upgrade", replaced("Upgrade: websocket", "Upgrade: h2c"), 426},
	{"two upgrades", sampleUpgrade + "Upgrade: h2c\r\n\r\n", 101},
	{"no upgrade", replaced("Upgrade: websocket\r\n", ""), 426},
	{"no Connection", replaced("Connection", "X"), 400},
	{"a foreign origin", sampleUpgrade + "Origin: https://evil.example\r\n\r\n", 403},
	{"another path", replaced("/chat", "/elsewhere"), 404},
	{"a page asked for so", replaced("/chat", "/page"), 200},
	{"POST", replaced("GET", "POST"), 405},
	{"a body", sampleUpgrade + "Content-Length: 5\r\n\r\nhello", 400},
	{"a chunked body", sampleUpgrade + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"HTTP/1.0", replaced("HTTP/1.1", "HTTP/1.0"), 400},
	{"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
	{"HTTP/3.9", replaced("HTTP/1.1", "HTTP/3.9"), 505},

	{"junk", "hello, is anybody there?\r\n\r\n", 400},
	{"junk that begins well", "GET /\r\n\r\n", 400},
	{"bytes of a TLS client", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", 400},
	{"no Host", replaced("Host: example.com\r\n", ""), 400},
	{"two Hosts", sampleUpgrade + "Host: evil.example\r\n\r\n", 400},
	{"a Host that is none", replaced("example.com", "exa mple<>"), 400},
	{"a Host hidden in the first line", replaced("HTTP/1.1\r\n", "HTTP/1.1\nHost: evil.example\nX: HTTP/1.1\r\n"), 400},
	{"a header that is none", sampleUpgrade + "no colon here\r\n\r\n", 400},
	{"a header without a name", sampleUpgrade + ": x\r\n\r\n", 400},
	{"a space before the colon", sampleUpgrade + "X : y\r\n\r\n", 400},
	{"a space before the colon of a length", sampleUpgrade + "Content-Length : 5\r\n\r\nhello", 400},
	{"a space before the colon of an encoding", sampleUpgrade + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
	{"a space inside a name", sampleUpgrade + "X Y: z\r\n\r\n", 400},
	{"a NUL", sampleUpgrade + "X: a\x00b\r\n\r\n", 400},
	{"a bell in the path", replaced("/chat", "/chat\a"), 400},
	{"a lonely CR", sampleUpgrade + "X: a\rb\r\n\r\n", 400},
	{"DEL", sampleUpgrade + "X: a\x7fb\r\n\r\n", 400},
	{"too large a head", sampleUpgrade + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431},
	{"too large a head that does not end", sampleUpgrade + strings.Repeat("X: y\r\n", 10<<10), 431},
	{"too large a first line", "GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\n\r\n", 431},
}

// ask sends a request and returns the answer with its body, for which it waits if there is one. The header is as it was sent. A
// server that hangs up before it has read everything may destroy its answer by that: then ask asks again.
func ask(t *testing.T, addr, request string, pieces bool) (res *http.Response, body string) {
	t.Helper()
	for range 20 {
		var err error
		if res, body, err = tryAsk(t, addr, request, pieces); err == nil {
			return res, body
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
			break
		}
	}
	return &http.Response{}, ""
}

func tryAsk(t *testing.T, addr, request string, pieces bool) (*http.Response, string, error) {
	t.Helper()
	conn, _ := dialTCP(t, addr)
	defer conn.Close()
	var raw bytes.Buffer
	br := bufio.NewReader(io.TeeReader(conn, &raw))
	var r io.Reader = strings.NewReader(request)
	if pieces {
		r = iotest.OneByteReader(r)
	}
	go io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{r}) // what the server does not want to read is refused
	res, body, err := tryAnswer(br)
	if err != nil {
		return nil, "", err
	}
	head := textproto.NewReader(bufio.NewReader(bytes.NewReader(raw.Bytes()[max(0, bytes.LastIndex(raw.Bytes(), []byte("HTTP/1.1 "))):])))
	head.ReadLine()
	header, _ := head.ReadMIMEHeader()
	res.Header = http.Header(header) // net/http has taken Connection out
	return res, body, nil
}

// answer reads an answer and its body, if it has one.
func answer(t *testing.T, br *bufio.Reader) (*http.Response, string) {
	t.Helper()
	res, body, err := tryAnswer(br)
	if err != nil {
		t.Error(err)
		return &http.Response{}, ""
	}
	return res, body
}

func tryAnswer(br *bufio.Reader) (*http.Response, string, error) {
	for {
		res, err := http.ReadResponse(br, nil)
		switch {
		case err != nil:
			return nil, "", err
		case res.StatusCode == http.StatusContinue:
			continue
		case res.StatusCode == http.StatusSwitchingProtocols:
			return res, "", nil
		}
		body, err := io.ReadAll(res.Body)
		return res, string(body), err
	}
}

// Through the door, whole or byte by byte, requests of all shapes are answered as by net/http alone.
func TestDoorAnswersLikeHTTP(t *testing.T) {
	var addrs [2]string
	for i := range addrs {
		srv := roomcast.New(roomcast.Handler{}, roomcast.Options{HandshakeTimeout: 2 * time.Second})
		addrs[i] = listenOn(t, srv, site(srv), i == 0)
	}
	for _, c := range requests {
		t.Run(c.name, func(t *testing.T) {
			want, wantBody := ask(t, addrs[1], c.request, false)
			expect(t, "status by net/http", want.StatusCode, c.status)
			for _, pieces := range []bool{false, true} {
				got, body := ask(t, addrs[0], c.request, pieces)
				what := map[bool]string{false: "whole: ", true: "in pieces: "}[pieces]
				expect(t, what+"status", got.StatusCode, c.status)
				expect(t, what+"body", body, wantBody)
				if got.StatusCode != 101 {
					testConnection(t, what, got)
				}
				for _, h := range []http.Header{got.Header, want.Header} {
					for _, name := range []string{"Date", "Content-Length", "Connection"} {
						h.Del(name)
					}
				}
				expect(t, what+"header", fmt.Sprint(got.Header), fmt.Sprint(want.Header))
			}
		})
	}
}

// testConnection holds that an Upgrade header is announced in Connection (RFC 9110, section 7.8).
func testConnection(t *testing.T, what string, res *http.Response) {
	t.Helper()
	var options []string
	for option := range strings.SplitSeq(strings.ToLower(strings.Join(res.Header["Connection"], ",")), ",") {
		options = append(options, strings.TrimSpace(option))
	}
	if res.Header.Get("Upgrade") != "" && !slices.Contains(options, "upgrade") {
		t.Errorf("%sConnection %q, want it to have Upgrade in it", what, res.Header["Connection"])
	}
}

// A refusal of the door says that it closes, and it does.
func TestDoorCloses(t *testing.T) {
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
	addr := listenOn(t, srv, site(srv), true)
	for name, request := range map[string]string{
		"400": replaced("dGhl", "dGh"), "403": sampleUpgrade + "Origin: https://evil.example\r\n\r\n",
		"404": replaced("/chat", "/elsewhere"), "426": replaced("Version: 13", "Version: 8"),
	} {
		conn, br := dialTCP(t, addr)
		io.WriteString(conn, request)
		res, body := answer(t, br)
		expect(t, "status", fmt.Sprint(res.StatusCode), name)
		expect(t, name+": closes", res.Close, true)
		expect(t, name+": Content-Length", res.ContentLength, int64(len(body)))
		expect(t, name+": Content-Type", res.Header.Get("Content-Type"), "text/plain; charset=utf-8")
		_, err := br.ReadByte()
		expect(t, name+": behind it", err, io.EOF)
		conn.Close()
	}
}

// What a refused client sends behind its request is no request of its own, and no end of the first one.
func TestDoorRefusesOnce(t *testing.T) {
	for name, behind := range map[string]string{
		"a request": sampleUpgrade + "\r\n", "two lines": "\r\n\r\n", "much": strings.Repeat("x", 100<<10),
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
			addr := listenOn(t, srv, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				srv.ServeHTTP(w, r)
			}), true)
			conn, br := dialTCP(t, addr)
			io.WriteString(conn, replaced("dGhl", "dGh"))
			res, _ := answer(t, br)
			expect(t, "status", res.StatusCode, 400)
			io.WriteString(conn, behind)
			conn.CloseWrite()
			rest, _ := io.ReadAll(br) // until it is hung up on, so that everything has been seen to
			expect(t, "bytes behind the answer", len(rest), 0)
			other, otherBr := dialTCP(t, addr)
			io.WriteString(other, replaced("dGhl", "dGh"))
			answer(t, otherBr)
			eventually(t, "calls", func() bool { return calls.Load() >= 2 })
			expect(t, "calls of the handler", calls.Load(), 2)
		})
	}
}

// Pages are served on connections that are kept alive, whatever comes first and however it is cut, and an upgrade can follow.
func TestDoorPages(t *testing.T) {
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
	addr := listenOn(t, srv, site(srv), true)
	page := "GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n"
	post := "POST /echo HTTP/1.1\r\nHost: example.com\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000)
	want := []struct {
		status int
		body   string
	}{{200, "a page for example.com\n"}, {200, strings.Repeat("x", 100_000)}, {200, "a page for example.com\n"}, {101, ""}}
	for name, chunk := range map[string]int{"at once": 1 << 20, "in pieces": 997, "by lines": 44} {
		t.Run(name, func(t *testing.T) {
			conn, br := dialTCP(t, addr)
			go func() {
				for p := range slices.Chunk([]byte(page+post+page+sampleUpgrade+"\r\n"), chunk) {
					conn.Write(p)
				}
			}()
			for i, w := range want {
				res, body := answer(t, br)
				expect(t, fmt.Sprint("status ", i), res.StatusCode, w.status)
				if body != w.body {
					t.Errorf("body %d has %d bytes: %.100q", i, len(body), body)
				}
			}
			conn.Write(masked(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye"))))
			op, payload, err := roomcasttest.ReadFrame(br)
			expect(t, "end", fmt.Sprint(op, string(payload[2:]), err), fmt.Sprint(ws.OpClose, "bye", nil))
		})
	}
}

// Frames right behind the request, in pieces of all sizes, are received like any other.
func TestDoorPipelinedFrames(t *testing.T) {
	frame := func(n int) string { return string(masked(ws.NewTextFrame(bytes.Repeat([]byte("x"), n)))) }
	sizes := []int{5, 0, 200, 9000, 70_000, 1}
	var all string
	for _, n := range sizes {
		all += frame(n)
	}
	all = sampleUpgrade + "\r\n" + all
	head := len(sampleUpgrade) + 2
	for _, cut := range []int{len(all), 1, head - 3, head - 1, head, head + 1, head + 3, head + 9, head + 300, head + 40_000} {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			got := make(chan int, len(sizes))
			srv := roomcast.New(roomcast.Handler{Message: func(_ *roomcast.Conn, m roomcast.Message) { got <- len(m.Data) }}, roomcast.Options{})
			conn, br := dialTCP(t, listenOn(t, srv, srv, true))
			io.WriteString(conn, all[:cut])
			io.WriteString(conn, all[cut:])
			res, _ := answer(t, br)
			expect(t, "status", res.StatusCode, 101)
			for i, n := range sizes {
				expect(t, fmt.Sprint("bytes of message ", i), <-got, n)
			}
		})
	}
}

// Whatever the program puts around the rooms: what it can do through net/http it can do through the door.
func TestDoorMiddleware(t *testing.T) {
	var logged syncBuffer
	srv := roomcast.New(roomcast.Handler{Relay: true}, roomcast.Options{Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	handlers := map[string]func(http.ResponseWriter, *http.Request){
		"unwraps":   func(w http.ResponseWriter, r *http.Request) { srv.ServeHTTP(wrapped{wrapped{w}}, r) },
		"hijacks":   func(w http.ResponseWriter, r *http.Request) { srv.ServeHTTP(hijacking{w}, r) },
		"itself":    echoByItself,
		"panics":    func(http.ResponseWriter, *http.Request) { panic("oh no") },
		"aborts":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"too late":  func(w http.ResponseWriter, r *http.Request) { srv.ServeHTTP(w, r); panic("oh no") },
		"says none": func(http.ResponseWriter, *http.Request) {},
		"says much": func(w http.ResponseWriter, _ *http.Request) { w.Write(bytes.Repeat([]byte("x"), 8<<20)) },
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handlers[r.URL.Query().Get("how")](w, r) })
	for door, addr := range map[string]string{"door": listenOn(t, srv, h, true), "net/http": listenOn(t, srv, h, false)} {
		for how, test := range map[string]func(*testing.T, *net.TCPConn, *bufio.Reader){
			"unwraps": testRelays, "hijacks": testRelays, "itself": testEchoes, "too late": testRelays, "panics": testHungUp, "aborts": testHungUp,
			"says none": func(t *testing.T, _ *net.TCPConn, br *bufio.Reader) { testAnswer(t, br, 0) },
			"says much": func(t *testing.T, _ *net.TCPConn, br *bufio.Reader) { testAnswer(t, br, 8<<20) },
		} {
			t.Run(door+" "+how, func(t *testing.T) {
				conn, br := dialTCP(t, addr)
				io.WriteString(conn, replaced("/chat", "/?how="+strings.ReplaceAll(how, " ", "+"))+string(masked(ws.NewPingFrame([]byte("behind")))))
				test(t, conn, br)
				conn.Close()
			})
		}
	}
	eventually(t, "connections", func() bool { return srv.Stats().Connections == 0 })
	eventually(t, "4 panics are logged", func() bool { return strings.Count(logged.String(), "oh no") >= 4 })
	expect(t, "http.ErrAbortHandler is logged", strings.Contains(logged.String(), http.ErrAbortHandler.Error()), false)
}
