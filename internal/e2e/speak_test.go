package e2e

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
)

// event is what the server says to a client of /ws.
type event struct {
	Type       string          `json:"type"`
	ID         json.RawMessage `json:"id"`
	Code       string          `json:"code"`
	Room       string          `json:"room"`
	Data       json.RawMessage `json:"data"`
	RetryAfter int             `json:"retry_after_ms"`
}

// dial connects to a path with a header, and subprotocols if there are some.
func dial(t *testing.T, s *server, path string, header http.Header) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := coder.Dial(ctx, "ws://"+s.addr+path, &coder.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatalf("connecting to %s: %v", path, err)
	}
	conn.SetReadLimit(-1)
	return start(t, coderConn{conn})
}

// speak is a client of /ws, with a token unless it is "", that has had its hello.
func speak(t *testing.T, s *server, token string) *client {
	t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	c := dial(t, s, "/ws", header)
	c.hear(t, "hello")
	return c
}

// member is a client of /ws that has joined a room.
func member(t *testing.T, s *server, token, room string) *client {
	t.Helper()
	c := speak(t, s, token)
	c.ask(t, fmt.Sprintf(`{"type":"join","id":1,"room":%q}`, room), "ack")
	return c
}

// hear returns the next event, which has to be of this type.
func (c *client) hear(t *testing.T, kind string) event {
	t.Helper()
	e, err := c.next()
	if err != nil {
		t.Fatalf("waiting for %s: %v", kind, err)
	}
	if e.Type != kind {
		t.Fatalf("heard %+v, want %s", e, kind)
	}
	return e
}

// next returns the next event.
func (c *client) next() (e event, err error) {
	select {
	case m, open := <-c.inbox:
		if !open {
			return e, fmt.Errorf("the connection has ended: %w", c.err)
		}
		return e, json.Unmarshal(m.data, &e)
	case <-time.After(patience):
		return e, fmt.Errorf("nothing came in %v", patience)
	}
}

// ask sends a request, and returns the answer, which has to be of this type.
func (c *client) ask(t *testing.T, request, kind string) event {
	t.Helper()
	c.send(t, text(request))
	return c.hear(t, kind)
}

// expectRefusal requires an error with this code as the answer to a request.
func (c *client) expectRefusal(t *testing.T, request, code string) {
	t.Helper()
	if e := c.ask(t, request, "error"); e.Code != code {
		t.Errorf("%.100s: the error %s, want %s", request, e.Code, code)
	}
}

// connect opens a TCP connection and writes to it.
func connect(t *testing.T, s *server, request string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Logf("writing %.60q: %v", request, err) // the server may have had enough: its answer shows it
	}
	return conn
}

// answered reads the answer to a request, and its body if it is no upgrade.
func answered(t *testing.T, conn net.Conn) (answer *http.Response, body string) {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		defer answer.Body.Close()
		all, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatalf("reading the body of the answer: %v", err)
		}
		body = string(all)
	}
	return answer, body
}

// upgrade is the request for a WebSocket, as bytes: nothing on the way corrects it. Lines are further lines of its header.
func upgrade(s *server, path string, lines ...string) string {
	key := make([]byte, 16)
	_, _ = rand.Read(key) // it cannot fail
	head := []string{"GET " + path + " HTTP/1.1", "Host: " + s.addr, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: " + base64.StdEncoding.EncodeToString(key)}
	return strings.Join(append(head, lines...), "\r\n") + "\r\n\r\n"
}

// expectStatus requires a status as the answer to a request, and returns the answer and its body.
func expectStatus(t *testing.T, s *server, request string, want int) (*http.Response, string) {
	t.Helper()
	answer, body := answered(t, connect(t, s, request))
	if answer.StatusCode != want {
		t.Errorf("%.120q: %s %.200q, want %d", request, answer.Status, body, want)
	}
	return answer, body
}

// call is a request to the HTTP API, as bytes.
func call(s *server, method, path, body string, lines ...string) string {
	head := []string{method + " " + path + " HTTP/1.1", "Host: " + s.addr, "Connection: close"}
	if body != "" {
		head = append(head, "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body)))
	}
	return strings.Join(append(head, lines...), "\r\n") + "\r\n\r\n" + body
}

const secret = "a secret for tests, of 32 bytes or more"

// sign makes a token of HS256 that is good for an hour; claims replace its own.
func sign(t *testing.T, user string, claims jwt.MapClaims) string {
	t.Helper()
	return signed(t, jwt.SigningMethodHS256, []byte(secret), user, claims)
}

func signed(t *testing.T, method jwt.SigningMethod, key any, user string, claims jwt.MapClaims) string {
	t.Helper()
	now := time.Now()
	all := jwt.MapClaims{"sub": user, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
		"rooms": map[string][]string{"**": {"join", "send"}}}
	for name, value := range claims {
		all[name] = value
	}
	token, err := jwt.NewWithClaims(method, all).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// bystanders are two clients that have nothing to do with an attack. One sends, the other receives, all the time.
type bystanders struct {
	stop chan struct{} // closed when the attack is over
	done chan error    // cap 1: what they have noticed; never closed
}

// stand lets bystanders in. The test calls fine when the attack is over.
func stand(t *testing.T, s *server, token string) *bystanders {
	t.Helper()
	from, to := member(t, s, token, "bystanders"), member(t, s, token, "bystanders")
	b := &bystanders{stop: make(chan struct{}), done: make(chan error, 1)}
	go func() {
		pause := time.NewTicker(10 * time.Millisecond)
		defer pause.Stop()
		for i := 0; ; i++ {
			last := false
			select {
			case <-pause.C:
			case <-b.stop:
				last = true
			case <-t.Context().Done():
				return
			}
			if err := exchange(from, to, i); err != nil || last {
				b.done <- err
				return
			}
		}
	}()
	return b
}

// exchange sends the i-th message from one bystander to the other.
func exchange(from, to *client, i int) error {
	if err := from.lib.write(text(fmt.Sprintf(`{"type":"send","room":"bystanders","echo":false,"id":%d,"data":%d}`, i, i))); err != nil {
		return err
	}
	number := fmt.Sprint(i)
	if e, err := to.next(); err != nil || e.Type != "message" || string(e.Data) != number {
		return fmt.Errorf("the bystander received %+v (%v), want message %d", e, err, i)
	}
	if e, err := from.next(); err != nil || e.Type != "ack" || string(e.ID) != number {
		return fmt.Errorf("the sending bystander received %+v (%v), want the ack of %d", e, err, i)
	}
	return nil
}

// fine requires that the bystanders have noticed nothing, and that another message goes from one to the other now.
func (b *bystanders) fine(t *testing.T) {
	t.Helper()
	close(b.stop)
	if err := <-b.done; err != nil {
		t.Errorf("a bystander has noticed the attack: %v", err)
	}
}

// quoted writes a text as JSON.
func quoted(t *testing.T, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
