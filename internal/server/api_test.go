package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/api"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/roomcasttest"
)

var _ api.Keys = (*auth.Authority)(nil)

// ask is what the server answers a program on its own machine.
func (r *running) ask(method, path, body string) string {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.RemoteAddr, req.Host = "127.0.0.1:50000", "localhost:8080"
	req.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	r.server.routes().ServeHTTP(rec, req)
	return rec.Body.String()
}

// TestAPI holds that the API and its documents are where they belong, and act on the clients of /ws.
func TestAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		c := r.dial("/ws")
		c.Receive() // hello
		c.Send(`{"type":"join","room":"..","id":1}`)
		c.Receive() // ack
		for _, ask := range []struct{ method, path, body, want string }{
			{"GET", "/v1/rooms", "", `{"rooms":[{"name":"..","members":1}]}`},
			{"POST", "/v1/rooms/%2E%2E/messages", `{"data":1.0}`, `{"delivered":1,"failed":0,"dropped":0}`},
			{"GET", "/openapi.json", "", `"openapi": "3.1.0"`},
			{"GET", "/openapi.yaml", "", "openapi: 3.1.0"},
			{"GET", "/docs", "", "<!doctype html>"},
			{"GET", "/v1/nothing", "", `"status":404`},
			{"DELETE", "/v1/connections/../users/ann/connections", "", `"status":404`},
			{"GET", "/healthz", "", "ok"},
		} {
			if got := r.ask(ask.method, ask.path, ask.body); !strings.Contains(got, ask.want) {
				t.Errorf("%s %s: %.300s, want %s", ask.method, ask.path, got, ask.want)
			}
		}
		if got := c.Receive().String(); got != `{"type":"message","room":"..","data":1.0}` {
			t.Errorf("the member got %s", got)
		}
	})
}

const secret = "a secret of the tests, 32 bytes+"

// tokenOf is a token of the user, made now and good for an hour.
func tokenOf(t *testing.T, user string, actions ...string) string {
	t.Helper()
	token, err := auth.Mint(auth.MintConfig{User: user, Rooms: map[string][]string{"**": actions}, Expires: time.Now().Add(time.Hour), Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestRevocation holds that a revocation over the API ends the user's connections, at /ws and on the raw relay, and keeps old tokens out of both.
func TestRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "--token-secret="+secret)
		old, other := "?token="+tokenOf(t, "ann", "join", "send"), "?token="+tokenOf(t, "bob", "join", "send")
		ws, raw, bob := r.dial("/ws"+old), r.dial("/rooms/a"+old), r.dial("/rooms/a"+other)
		ws.Receive() // hello
		if got := r.ask("POST", "/v1/revocations", `{"user":"ann"}`); got != `{"disconnected":2}`+"\n" {
			t.Errorf("revoked: %s", got)
		}
		<-time.After(time.Second) // iat has whole seconds
		for name, c := range map[string]*roomcasttest.Client{"/ws": ws, "/rooms": raw, "/ws again": r.dial("/ws" + old), "/rooms again": r.dial("/rooms/a" + old)} {
			if end := c.End(); end.Code != 3002 {
				t.Errorf("%s: closed with %+v, want 3002", name, end)
			}
		}
		fresh := "?token=" + tokenOf(t, "ann", "join", "send")
		if hello := r.dial("/ws" + fresh).Receive().String(); !strings.HasPrefix(hello, `{"type":"hello"`) {
			t.Errorf("with a later token: %s", hello)
		}
		r.dial("/rooms/a" + fresh).Send("back again")
		if got := bob.Receive().String(); got != "back again" {
			t.Errorf("bob got %s", got)
		}
	})
}

// TestSendAs holds that the name in which a client sends is one of a user, whatever its token allows.
func TestSendAs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "--token-secret="+secret)
		may, mayNot := r.dial("/ws?token="+tokenOf(t, "ann", "join", "send", "publish-as")), r.dial("/ws?token="+tokenOf(t, "bob", "join", "send"))
		for _, c := range []*roomcasttest.Client{may, mayNot} {
			c.Receive() // hello
			c.Send(`{"type":"join","id":1,"room":"r"}`)
			c.Receive() // ack
			for _, bad := range []string{`a\nb`, `\ud800`, `\u202e`, strings.Repeat("x", 257)} {
				c.Send(`{"type":"send","id":2,"room":"r","data":1,"as":"` + bad + `"}`)
				if got := c.Receive().String(); !strings.HasPrefix(got, `{"type":"error","id":2,"code":"bad_request","message":"\"as\" is no name of a user`) {
					t.Errorf("as %q: %s", bad, got)
				}
			}
		}
		may.Send(`{"type":"send","room":"r","echo":false,"data":1,"as":"carol"}`)
		if got := mayNot.Receive().String(); got != `{"type":"message","room":"r","from":{"user":"carol"},"data":1}` {
			t.Errorf("as carol: %s", got)
		}
	})
}

// tardy is an engine that takes its time to store something, as one does that is far away or is choosing a leader.
type tardy struct {
	roomcast.Engine
	takes  time.Duration
	stored *atomic.Int32
}

func (e tardy) Publish(ctx context.Context, room string, entries []roomcast.Entry) error {
	<-time.After(e.takes)
	e.stored.Add(1)
	return e.Engine.Publish(context.WithoutCancel(ctx), room, entries)
}

// batch sends a batch of n publications to a server whose engine takes its time for each, on the connection that it returns.
func (r *running) batch(n int) net.Conn {
	r.t.Helper()
	conn := r.connect()
	body := `{"publications":[` + strings.TrimSuffix(strings.Repeat(`{"to":{"room":"log"},"data":1},`, n), ",") + `]}`
	fmt.Fprintf(conn, "POST /v1/batch HTTP/1.1\r\nHost: x\r\nX-API-Key: correct-horse-16\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return conn
}

// TestLongBatch holds that a batch is answered, however long its publications take: what is not done by then is said not to be.
func TestLongBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored := new(atomic.Int32)
		slow := func(s *Server) { s.engine.Engine = tardy{s.engine.Engine, api.WriteTimeout/2 + time.Second, stored} }
		r := startWith(t, slow, "--api-key=correct-horse-16", "--history=**=1000")
		res, err := http.ReadResponse(bufio.NewReader(r.batch(4)), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Results []struct{ Error *struct{ Status int } }
			Errors  int
		}
		if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.StatusCode != 200 || len(got.Results) != 4 || got.Errors != 2 || stored.Load() != 2 {
			t.Fatalf("%s: %+v, %v, and %d are stored; want 4 results, of which 2 are errors", res.Status, got, err, stored.Load())
		}
		for i, result := range got.Results {
			if failed := result.Error != nil; failed != (i > 1) || failed && result.Error.Status != 503 {
				t.Errorf("result %d: %+v", i, result.Error)
			}
		}
	})
}

// TestBatchOfNobody holds that a batch ends with the connection it came on.
func TestBatchOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored := new(atomic.Int32)
		r := startWith(t, func(s *Server) { s.engine.Engine = tardy{s.engine.Engine, time.Second, stored} }, "--api-key=correct-horse-16", "--history=**=1000")
		conn := r.batch(10)
		<-time.After(1500 * time.Millisecond)
		conn.Close()
		<-time.After(time.Minute)
		if n := stored.Load(); n != 2 {
			t.Errorf("%d of 10 are stored, though the client went away while the second one was", n)
		}
	})
}

// TestAPIWhileDraining holds that the API goes on until the last client has been told to go, and reaches those that are left.
func TestAPIWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "--api-key=correct-horse-16")
		for range drainBatch + 1 {
			c := r.dial("/ws")
			c.Receive() // hello
			c.Send(`{"type":"join","room":"r","id":1}`)
			c.Receive() // ack
		}
		get := func(path, body string) string {
			t.Helper()
			conn := r.connect()
			defer conn.Close()
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX-API-Key: correct-horse-16\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			text, _ := io.ReadAll(res.Body)
			return fmt.Sprint(res.StatusCode, " ", string(text))
		}
		if got := get("/v1/rooms/r/messages", `{"data":1}`); got != fmt.Sprintf("200 {\"delivered\":%d,\"failed\":0,\"dropped\":0}\n", drainBatch+1) {
			t.Errorf("before the drain: %s", got)
		}
		r.stop()
		synctest.Wait() // one client is left for the second batch
		if got := get("/v1/rooms/r/messages", `{"data":2}`); got != `200 {"delivered":1,"failed":0,"dropped":0}`+"\n" {
			t.Errorf("while draining: %s", got)
		}
		<-time.After(drainStep)
		synctest.Wait()
		if _, err := r.listener.dial(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("when all have been told to go: %v, want %v", err, net.ErrClosed)
		}
		if err := r.wait(); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}
