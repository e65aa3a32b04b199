package relay

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/admission"
	"github.com/roomcast/roomcast/internal/server/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRelay is a relay that lets everybody in.
func newRelay(t *testing.T) *Relay {
	log := slog.New(slog.DiscardHandler)
	gate, err := auth.New(t.Context(), auth.Config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gate.Close)
	return New(roomcast.Options{}, admission.New(gate, admission.Limits{}, log))
}

// TestInvalidNames holds that a bad name is answered in HTTP, in one line that says what is wrong, and that nothing is upgraded.
func TestInvalidNames(t *testing.T) {
	relay := newRelay(t)
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
	newRelay(t).ServeHTTP(w, r)
	if w.Code != http.StatusUpgradeRequired || w.Header().Get("Sec-Websocket-Version") != "13" {
		t.Errorf("%d, version %q; want 426 and 13", w.Code, w.Header().Get("Sec-Websocket-Version"))
	}
}
