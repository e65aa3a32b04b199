package server

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/roomcasttest"
)

// TestReload holds that new origins count for both endpoints, that who is connected stays, and that settings that make no sense
// change nothing.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "--allowed-origin=https://one.example")
		status := func(path, origin string, want int) {
			t.Helper()
			request := roomcasttest.Request(path)
			request.Header.Set("Origin", origin)
			answer, conn, _ := roomcasttest.Upgrade(t, r.server.routes(), request)
			conn.Close()
			if answer.StatusCode != want {
				t.Errorf("%s from %s: %d, want %d", path, origin, answer.StatusCode, want)
			}
		}
		a, b := r.dial("/rooms/a"), r.dial("/rooms/a")
		next := config.Serve{}
		if err := r.server.Reload(&next); err == nil {
			t.Error("settings that make no sense are taken over")
		}
		status("/ws", "https://one.example", http.StatusSwitchingProtocols)
		next = *r.cfg
		next.AllowedOrigin, next.Slow = []string{"https://two.example"}, []string{"a=drop-oldest"}
		if err := r.server.Reload(&next); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/ws", "/rooms/a"} {
			status(path, "https://one.example", http.StatusForbidden)
			status(path, "https://two.example", http.StatusSwitchingProtocols)
		}
		if (*r.server.slow.Load())("a") != roomcast.SlowDropOldest {
			t.Error("the policy for slow members has not changed")
		}
		next.TokenSecret = []string{"too short"}
		next.AllowedOrigin = nil
		if err := r.server.Reload(&next); err == nil || r.server.gate.Required() {
			t.Errorf("a secret that is too short: %v, and tokens asked for: %v", err, r.server.gate.Required())
		}
		status("/ws", "https://two.example", http.StatusSwitchingProtocols) // nothing has changed
		next.TokenSecret = []string{"a secret of thirty-two bytes or more"}
		next.MaxAcceptRate = 1
		if err := r.server.Reload(&next); err != nil || !r.server.gate.Required() {
			t.Errorf("a good secret: %v, and tokens asked for: %v", err, r.server.gate.Required())
		}
		host := "http://" + roomcasttest.Request("/").Host
		status("/ws", "https://two.example", http.StatusForbidden)
		status("/ws", host, http.StatusServiceUnavailable) // the second in this second of fake time
		a.Send("still here")
		if got := b.Receive(); got.String() != "still here" {
			t.Errorf("got %q from who has stayed", got)
		}
	})
}
