package roomcast_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast/roomcasttest"
)

// wrapped is the ResponseWriter of middleware, as http.ResponseController knows it.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// hijacking is the ResponseWriter of middleware that knows no Unwrap.
type hijacking struct{ http.ResponseWriter }

func (h hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.ResponseWriter.(http.Hijacker).Hijack()
}

// echoByItself upgrades in its own way: it answers with 101 and returns what it reads.
func echoByItself(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	rw.Flush()
	io.Copy(conn, rw)
}

// testRelays checks that a client whose request had a ping behind it is upgraded, served and closed.
func testRelays(t *testing.T, conn *net.TCPConn, br *bufio.Reader) {
	res, _ := answer(t, br)
	expect(t, "status", res.StatusCode, 101)
	op, payload, err := roomcasttest.ReadFrame(br)
	expect(t, "answer", fmt.Sprint(op, string(payload), err), fmt.Sprint(ws.OpPong, "behind", error(nil)))
	conn.Write(masked(ws.NewPingFrame([]byte("again"))))
	_, payload, err = roomcasttest.ReadFrame(br)
	expect(t, "answer", fmt.Sprint(string(payload), " ", err), "again <nil>")
	conn.Write(masked(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))))
	op, _, err = roomcasttest.ReadFrame(br)
	expect(t, "end", fmt.Sprint(op, err), fmt.Sprint(ws.OpClose, nil))
	_, err = br.ReadByte()
	expect(t, "hung up", err, io.EOF)
}

// testEchoes checks that a client is served by echoByItself.
func testEchoes(t *testing.T, conn *net.TCPConn, br *bufio.Reader) {
	res, _ := answer(t, br)
	expect(t, "status", res.StatusCode, 101)
	io.WriteString(conn, "more")
	conn.CloseWrite()
	rest, err := io.ReadAll(br)
	expect(t, "error", err, nil)
	if len(rest) != 2+4+len("behind")+len("more") { // the ping is masked
		t.Errorf("%q came back", rest)
	}
}

func testHungUp(t *testing.T, _ *net.TCPConn, br *bufio.Reader) {
	n, _ := io.Copy(io.Discard, br)
	expect(t, "bytes of an answer", n, 0)
}

func testAnswer(t *testing.T, br *bufio.Reader, n int) {
	res, body := answer(t, br)
	expect(t, "status", res.StatusCode, 200)
	expect(t, "bytes", len(body), n)
}

// syncBuffer is a buffer that several goroutines write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
