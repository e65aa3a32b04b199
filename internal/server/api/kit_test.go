package api

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/hub"
	"github.com/roomcast/roomcast/roomcasttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is an API and the hub it acts on.
type world struct {
	t   *testing.T
	hub *named
	api *API
	log strings.Builder
}

// named is a hub whose clients have users: those the test says.
type named struct {
	*hub.Hub
	users map[string][]string // connections
}

func (n *named) targets(t hub.Target) []hub.Target {
	if t.User == "" {
		return []hub.Target{t}
	}
	var all []hub.Target
	for _, id := range n.users[t.User] {
		all = append(all, hub.Target{Connection: id})
	}
	return all
}

func (n *named) Publish(room string, p hub.Post) (roomcast.Receipt, error) {
	var except []hub.Target
	for _, t := range p.Except {
		except = append(except, n.targets(t)...)
	}
	p.Except = except
	return n.Hub.Publish(room, p)
}

func (n *named) PublishTo(t hub.Target, p hub.Post) (sum roomcast.Receipt, any bool) {
	for _, t := range n.targets(t) {
		r, found := n.Hub.PublishTo(t, p)
		sum.Delivered, sum.Failed, any = sum.Delivered+r.Delivered, sum.Failed+r.Failed, any || found
	}
	return sum, any
}

func (n *named) Clients(t hub.Target, after string, limit int) (page []hub.Client, next string, total int) {
	if t.User == "" {
		page, next, total = n.Hub.Clients(t, after, limit)
		return n.with(page), next, total
	}
	for _, t := range n.targets(t) {
		clients, _, k := n.Hub.Clients(t, "", limit)
		page, total = append(page, clients...), total+k
	}
	return n.with(page), "", total
}

func (n *named) Members(room, after string, limit int) (page []hub.Client, next string, total int) {
	page, next, total = n.Hub.Members(room, after, limit)
	return n.with(page), next, total
}

func (n *named) Client(connection string) (c hub.Client, rooms []string, found bool) {
	c, rooms, found = n.Hub.Client(connection)
	return n.with([]hub.Client{c})[0], rooms, found
}

// with adds their users to clients.
func (n *named) with(clients []hub.Client) []hub.Client {
	for user, connections := range n.users {
		for i, c := range clients {
			if slices.Contains(connections, c.Connection) {
				clients[i].User = user
			}
		}
	}
	return clients
}

func (n *named) Join(t hub.Target, room string) (sum int, err error) {
	for _, t := range n.targets(t) {
		k, failed := n.Hub.Join(t, room)
		if sum += k; failed != nil {
			err = failed
		}
	}
	return sum, err
}

func (n *named) Leave(t hub.Target, room, reason string) (sum int) {
	for _, t := range n.targets(t) {
		sum += n.Hub.Leave(t, room, reason)
	}
	return sum
}

func (n *named) Disconnect(t hub.Target, reason string) (sum int) {
	for _, t := range n.targets(t) {
		sum += n.Hub.Disconnect(t, reason)
	}
	return sum
}

// start makes a world without API keys. The end of the test ends it.
func start(t *testing.T, o roomcast.Options) *world {
	t.Helper()
	o.MaxMessageBytes, o.MaxRoomNameBytes = 1<<20, 255
	log := slog.New(slog.DiscardHandler)
	gate, err := auth.New(context.Background(), auth.Config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	clients := hub.New(hub.Config{Version: "roomcast test", Rooms: o, Desk: admission.New(gate, admission.Limits{}, log)})
	w := &world{t: t, hub: &named{clients, map[string][]string{}}}
	t.Cleanup(func() { _ = clients.Server().Shutdown(context.Background()) })
	w.api = New(w.hub, nil, Options{}, slog.New(slog.NewTextHandler(&w.log, nil)))
	return w
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

func read(t *testing.T, res *http.Response) (status int, answer string) {
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
	t           *testing.T
	id, session string
}

// dial connects a client, of the user if there is one, and puts it into the rooms.
func (w *world) dial(user string, rooms ...string) *member {
	w.t.Helper()
	c := roomcasttest.Dial(w.t, w.hub, "/ws", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Protocol", "roomcast.v1") })
	var hello struct{ Connection, Session string }
	if err := json.Unmarshal(c.Receive().Data, &hello); err != nil || hello.Connection == "" {
		w.t.Fatalf("hello: %v, %+v", err, hello)
	}
	if user != "" {
		w.hub.users[user] = append(w.hub.users[user], hello.Connection)
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
