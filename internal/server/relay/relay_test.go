package relay

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/memengine"
	"github.com/roomcast/roomcast/roomcasttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRelay is a relay that lets everybody in.
func newRelay(t *testing.T, engine roomcast.Engine) *Relay {
	log := slog.New(slog.DiscardHandler)
	gate, err := auth.New(t.Context(), auth.Config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gate.Close)
	return New(roomcast.Options{}, engine, admission.New(gate, admission.Limits{}, log))
}

// TestInvalidNames holds that a bad name is answered in HTTP, in one line that says what is wrong, and that nothing is upgraded.
func TestInvalidNames(t *testing.T) {
	relay := newRelay(t, nil)
	for name, want := range map[string]string{
		"":                       "empty",
		"\xff":                   "UTF-8",
		"a\x00b":                 "control character",
		"line\nline":             "control character",
		strings.Repeat("x", 256): "256 bytes",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetPathValue("room", name)
		w := httptest.NewRecorder()
		relay.ServeHTTP(w, r)
		body := w.Body.String()
		if w.Code != http.StatusBadRequest || !strings.Contains(body, want) || strings.Count(body, "\n") != 1 {
			t.Errorf("room %q: %d %q, want 400 and one line with %q", name, w.Code, body, want)
		}
	}
	if n := relay.Server().Stats().Accepted; n != 0 {
		t.Errorf("%d connections accepted, want none", n)
	}
}

// TestNoUpgrade holds that a good name asked for without an upgrade is told how to ask.
func TestNoUpgrade(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetPathValue("room", "lobby")
	w := httptest.NewRecorder()
	newRelay(t, nil).ServeHTTP(w, r)
	if w.Code != http.StatusUpgradeRequired || w.Header().Get("Sec-Websocket-Version") != "13" {
		t.Errorf("%d, version %q; want 426 and 13", w.Code, w.Header().Get("Sec-Websocket-Version"))
	}
}

// What a member sends goes to the other members of the room on all nodes, whatever it is, and nowhere else, though the engine keeps a history of everything.
func TestNodes(t *testing.T) {
	everything := roomcast.Retention{Name: "all", Match: func(room string) bool { return room[0] != 1 }}
	var nodes []http.Handler
	for _, engine := range memengine.NewCluster(memengine.Options{History: []roomcast.Retention{everything}}, 2) {
		t.Cleanup(engine.Close)
		relay := newRelay(t, engine)
		t.Cleanup(func() { _ = relay.Server().Shutdown(context.Background()) })
		nodes = append(nodes, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.SetPathValue("room", r.URL.Path[1:])
			relay.ServeHTTP(w, r)
		}))
	}
	room := "/" + strings.Repeat("a", 255)
	sender, here, there := roomcasttest.Dial(t, nodes[0], room, nil), roomcasttest.Dial(t, nodes[0], room, nil), roomcasttest.Dial(t, nodes[1], room, nil)
	stranger, friend := roomcasttest.Dial(t, nodes[1], "/b", nil), roomcasttest.Dial(t, nodes[0], "/b", nil)
	sender.Send("text")
	sender.SendBinary([]byte{0, 255})
	friend.Send("first")
	for _, m := range []*roomcasttest.Client{here, there} {
		for _, want := range []roomcast.Message{roomcast.Text("text"), roomcast.Binary([]byte{0, 255})} {
			if got := m.Receive(); got.Binary != want.Binary || got.String() != want.String() {
				t.Errorf("received %q, want %q", got, want)
			}
		}
	}
	if got := stranger.Receive().String(); got != "first" {
		t.Errorf("in another room: received %q", got)
	}
}
