package api

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/hub"
	"github.com/roomcast/roomcast/memengine"
	"github.com/roomcast/roomcast/roomcasttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is an API and the hub it acts on.
type world struct {
	t    testing.TB
	gate *auth.Authority
	desk *admission.Desk
	hub  *hub.Hub
	api  *API
	log  strings.Builder
}

// secret is what tokens are signed with.
const secret = "a secret of the tests, 32 bytes+"

// start makes a world without API keys, whose clients have tokens. The end of the test ends it.
func start(t testing.TB, o roomcast.Options) *world {
	t.Helper()
	return startWith(t, o, auth.Config{Secrets: []string{secret}})
}

func startWith(t testing.TB, o roomcast.Options, c auth.Config) *world {
	t.Helper()
	o.MaxMessageBytes, o.MaxRoomNameBytes = 1<<20, 255
	silent := slog.New(slog.DiscardHandler)
	gate, err := auth.New(context.Background(), c, silent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gate.Close)
	engine := memengine.New(memengine.Options{History: []roomcast.Retention{{
		Name: "log", Match: func(room string) bool { return strings.HasPrefix(room, "log/") },
	}}})
	t.Cleanup(engine.Close)
	desk := admission.New(gate, admission.Limits{}, silent)
	w := &world{t: t, gate: gate, desk: desk, hub: hub.New(hub.Config{Version: "roomcast test", Rooms: o, Desk: desk, Engine: engine, TokenTimeout: time.Second})}
	t.Cleanup(func() { _ = w.hub.Server().Shutdown(context.Background()) })
	w.api = New(w.hub, desk, nil, Options{}, slog.New(slog.NewTextHandler(&w.log, nil)))
	return w
}

// somebody is the user of whom a test does not care who it is.
const somebody = "somebody"

// token is one of the user, made now and good for an hour in every room.
func (w *world) token(user string) string {
	w.t.Helper()
	all := map[string][]string{"**": {"join", "send", "presence"}}
	token, err := auth.Mint(auth.MintConfig{User: user, Rooms: all, Expires: time.Now().Add(time.Hour), Secret: secret})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// request is one from a program on this machine.
func request(method, path, body string) *http.Request {
	var content io.Reader = http.NoBody
	if body != "" {
		content = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, content)
	r.RemoteAddr, r.Host = "127.0.0.1:50000", "127.0.0.1:8080"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (w *world) serve(r *http.Request) *http.Response {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	return rec.Result()
}

// do asks and returns status and body, the line's end cut off.
func (w *world) do(method, path, body string) (status int, answer string) {
	w.t.Helper()
	return read(w.t, w.serve(request(method, path, body)))
}

func read(t testing.TB, res *http.Response) (status int, answer string) {
	t.Helper()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSuffix(string(raw), "\n")
}

// want asks and fails the test if the answer is another one.
func (w *world) want(method, path, body string, status int, answer string) {
	w.t.Helper()
	if gotStatus, got := w.do(method, path, body); gotStatus != status || got != answer {
		w.t.Errorf("%s %s %.200s: %d %.500s\nwant %d %s", method, path, body, gotStatus, got, status, answer)
	}
}

// refused asks and fails the test if the answer is not a problem with the status, whose detail has all of the words.
func (w *world) refused(r *http.Request, status int, words ...string) {
	w.t.Helper()
	res := w.serve(r)
	got, body := read(w.t, res)
	var p struct {
		Title, Detail string
		Status        int
	}
	err := json.Unmarshal([]byte(body), &p)
	if kind := res.Header.Get("Content-Type"); err != nil || kind != "application/problem+json" || got != status || p.Status != status || p.Title != http.StatusText(status) {
		w.t.Errorf("%s %.200s: %d, %s, %.500s; want a problem with status %d", r.Method, r.URL, got, kind, body, status)
		return
	}
	if len(body) > 4096 {
		w.t.Errorf("%s %.200s: the answer has %d bytes", r.Method, r.URL, len(body))
	}
	for _, word := range words {
		if !strings.Contains(p.Detail, word) {
			w.t.Errorf("%s %.200s: %q does not say %q", r.Method, r.URL, p.Detail, word)
		}
	}
}

// member is a client of the hub.
type member struct {
	*roomcasttest.Client
	t           testing.TB
	id, session string
}

// dial connects a client of the user, or of somebody, and puts it into the rooms.
func (w *world) dial(user string, rooms ...string) *member {
	w.t.Helper()
	if user == "" {
		user = somebody
	}
	c := w.connect(w.token(user))
	var hello struct{ Connection, Session string }
	if err := json.Unmarshal(c.Receive().Data, &hello); err != nil || hello.Connection == "" {
		w.t.Fatalf("hello: %v, %+v", err, hello)
	}
	for _, room := range rooms {
		name, _ := json.Marshal(room)
		c.Send(`{"type":"join","id":1,"room":` + string(name) + `}`)
		if ack := c.Receive().String(); ack != `{"type":"ack","id":1}` {
			w.t.Fatalf("join %q: %s", room, ack)
		}
	}
	return &member{c, w.t, hello.Connection, hello.Session}
}

// connect connects a client that shows a token.
func (w *world) connect(token string) *roomcasttest.Client {
	w.t.Helper()
	return roomcasttest.Dial(w.t, w.hub, "/ws", func(r *http.Request) {
		r.Header.Set("Sec-WebSocket-Protocol", "roomcast.v1")
		r.Header.Set("Authorization", "Bearer "+token)
	})
}

// got fails the test if the messages that have come since the last call are others.
func (m *member) got(want ...string) {
	m.t.Helper()
	synctest.Wait()
	for i, w := range want {
		if len(m.Waiting()) == 0 {
			m.t.Errorf("%d messages came, want %s", i, w)
			return
		}
		if got := m.Receive().String(); got != w {
			m.t.Errorf("got %s\nwant %s", got, w)
		}
	}
	if rest := m.Waiting(); len(rest) > 0 {
		m.t.Errorf("got %d more: %.200s", len(rest), rest[0])
	}
}

// bubble runs a test in fake time.
func bubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, start(t, roomcast.Options{MaxRoomsPerConn: 5000})) })
}
