package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/roomcasttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a secret of more than thirty-two bytes"

// world is a hub and its desk, without a network: tests run in a bubble of testing/synctest.
type world struct {
	t    *testing.T
	hub  *Hub
	desk *admission.Desk
	gate *auth.Authority
}

// start makes a world. With tokens set, clients have to show one. The end of the test ends it, and holds that nothing stays of the clients.
func start(t *testing.T, tokens bool, change func(*Config)) *world {
	t.Helper()
	var keys auth.Config
	if tokens {
		keys.Secrets = []string{secret}
	}
	log := slog.New(slog.DiscardHandler)
	gate, err := auth.New(t.Context(), keys, log)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Version: "roomcast test", Desk: admission.New(gate, admission.Limits{}, log), TokenTimeout: 10 * time.Second,
		Rooms: roomcast.Options{MaxMessageBytes: 1 << 20, MaxRoomsPerConn: 10, MaxRoomNameBytes: 50, PingInterval: -1},
	}
	if change != nil {
		change(&c)
	}
	w := &world{t: t, hub: New(c), desk: c.Desk, gate: gate}
	t.Cleanup(func() {
		_ = w.hub.Server().Shutdown(context.Background())
		w.hub.Stop()
		gate.Close()
		r := w.hub.roster
		r.mu.Lock() // the engine may still be telling it of others
		defer r.mu.Unlock()
		for _, s := range r.sessions {
			if s.client != nil {
				t.Errorf("a client stays: %v", s.client)
			}
			r.dropLocked(s)
		}
		if len(r.sessions)+len(r.connections)+len(r.users)+len(r.rooms) > 0 {
			t.Errorf("what stays: %v, %v, %v, %v", r.sessions, r.connections, r.users, r.rooms)
		}
	})
	return w
}

// person is a client of the tests.
type person struct {
	*roomcasttest.Client
	t  *testing.T
	id string // of the connection
}

// dial is a connection that has heard nothing.
func (w *world) dial(edit func(*http.Request)) *person {
	w.t.Helper()
	return &person{Client: roomcasttest.Dial(w.t, w.hub, "/ws", edit), t: w.t}
}

// connect is a client that has had its hello and is in the rooms.
func (w *world) connect(rooms ...string) *person {
	w.t.Helper()
	p := w.dial(nil)
	p.greeted()
	for _, room := range rooms {
		p.say(`{"type":"join","id":"in","room":%q}`, room)
		p.hears(`{"type":"ack","id":"in"}`)
	}
	return p
}

// user is connect with a token that says what is allowed.
func (w *world) user(name string, rooms map[string][]string) *person {
	w.t.Helper()
	p := w.dial(bearing(w.token(name, rooms, time.Hour)))
	p.greeted()
	return p
}

func (w *world) token(user string, rooms map[string][]string, lasts time.Duration) string {
	w.t.Helper()
	token, err := auth.Mint(auth.MintConfig{User: user, Rooms: rooms, Expires: time.Now().Add(lasts), Secret: secret})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func bearing(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// greeted takes hello.
func (p *person) greeted() {
	p.t.Helper()
	var hello struct{ Type, Connection string }
	if text := p.Receive().String(); json.Unmarshal([]byte(text), &hello) != nil || hello.Type != "hello" {
		p.t.Fatalf("heard %s, want hello", text)
	}
	p.id = hello.Connection
}

func (p *person) say(format string, args ...any) {
	p.t.Helper()
	p.Send(fmt.Sprintf(format, args...))
}

// hears holds that these are the next messages. In them, <me> is the person's own connection.
func (p *person) hears(want ...string) {
	p.t.Helper()
	for _, w := range want {
		w = strings.ReplaceAll(w, "<me>", p.id)
		if got := p.Receive().String(); got != w {
			p.t.Fatalf("heard %s\nwant  %s", got, w)
		}
	}
}

// hearsError holds that the next message is an error with the code, for the request with the id if it is not empty, and says so much.
func (p *person) hearsError(id, code, text string) {
	p.t.Helper()
	got := p.Receive().String()
	var e struct {
		Type, Code, Message string
		ID                  json.RawMessage
	}
	if json.Unmarshal([]byte(got), &e) != nil || e.Type != "error" || e.Code != code || string(e.ID) != id || !strings.Contains(e.Message, text) {
		p.t.Fatalf("heard %s\nwant an error %s for id %q with %q", got, code, id, text)
	}
}

// silent holds that nothing has come.
func (p *person) silent() {
	p.t.Helper()
	synctest.Wait()
	if waiting := p.Waiting(); len(waiting) > 0 {
		p.t.Fatalf("heard %s, want nothing", waiting[0])
	}
}

// ends holds that the server closes with the code.
func (p *person) ends(code int, reason string) {
	p.t.Helper()
	if end := p.End(); end.Code != code || !regexp.MustCompile(reason).MatchString(end.Reason) {
		p.t.Fatalf("closed with %+v, want %d %q", end, code, reason)
	}
}

// bubble runs a test in fake time.
func bubble(test func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, test) }
}
