package session

import (
	"bufio"
	"bytes"
	"net/http"
	"reflect"
	"testing"
)

// plainUpgrade is the head of an upgrade request as browsers send it.
const plainUpgrade = "GET /chat?a=b%20c HTTP/1.1\r\nHost: example.com:8080\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
	"user-agent: Mozilla/5.0 (X11; Linux x86_64)\r\nOrigin: http://example.com:8080\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: a=1\r\nCookie: b=2\r\nX-Empty:\r\n\r\n"

// What is read as a plain upgrade request is what net/http reads; the rest is left to it.
func FuzzReadPlainUpgrade(f *testing.F) {
	f.Add([]byte(plainUpgrade))
	for _, more := range []string{"Host: evil.example\r\n", "Host:\r\n", "Connection: close\r\n", "Pragma: no-cache\r\n", "Upgrade: h2c\r\n", "X: a\r\n b\r\n",
		"X : y\r\n", ": y\r\n", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n", "Trailer: X\r\n", "X: \x80\r\n", "X: \ty\r\n"} {
		f.Add([]byte(plainUpgrade[:len(plainUpgrade)-2] + more + "\r\n"))
		f.Add([]byte("GET / HTTP/1.1\r\n" + more + plainUpgrade[len("GET /chat?a=b%20c HTTP/1.1\r\n"):]))
	}
	for _, line := range []string{"GET //x HTTP/1.1\r\n", "GET /%zz HTTP/1.1\r\n", "GET /a b HTTP/1.1\r\n", "GET http://x/ HTTP/1.1\r\n", "GET /#x HTTP/1.1\r\n"} {
		f.Add([]byte(line + plainUpgrade[len("GET /chat?a=b%20c HTTP/1.1\r\n"):]))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		end := bytes.Index(head, []byte("\n\r\n")) // where a reader of requests looks for the end of the head
		if end < 0 {
			return
		}
		head = head[:end+3]
		got := ReadPlainUpgrade(head)
		if got == nil {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		if ctx := t.Context(); !reflect.DeepEqual(got.WithContext(ctx), want.WithContext(ctx)) {
			t.Errorf("read as\n%+v, by net/http as\n%+v", got, want)
		}
	})
}

// A request as browsers send it takes the short way.
func TestReadPlainUpgrade(t *testing.T) {
	if ReadPlainUpgrade([]byte(plainUpgrade)) == nil {
		t.Error("it is left to net/http")
	}
}

func BenchmarkReadPlainUpgrade(b *testing.B) {
	b.Run("roomcast", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ReadPlainUpgrade([]byte(plainUpgrade))
		}
	})
	b.Run("net/http", func(b *testing.B) {
		b.ReportAllocs()
		br := bufio.NewReader(nil)
		for b.Loop() {
			br.Reset(bytes.NewReader([]byte(plainUpgrade)))
			_, _ = http.ReadRequest(br)
		}
	})
}
