package metrics

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scrape is what Prometheus reads of a server with three clients in a room and one message to them.
func scrape(t *testing.T) string {
	t.Helper()
	srv := roomcast.New(roomcast.Handler{Connect: func(c *roomcast.Conn, r *http.Request) error { return c.Join("room") }}, roomcast.Options{})
	t.Cleanup(func() { _ = srv.Shutdown(context.Background()) })
	for range 3 {
		roomcasttest.Dial(t, srv, "/", nil)
	}
	if _, err := srv.Broadcast("room", roomcast.Text("hello")); err != nil {
		t.Fatal(err)
	}
	h := Handler(Source{
		Version: "1.2.3", Endpoints: map[string]*roomcast.Server{"ws": srv, "rooms": roomcast.New(roomcast.Handler{}, roomcast.Options{})},
		Refused: func() map[string]uint64 { return map[string]uint64{"token_expired": 7} }, Draining: func() bool { return false },
		Engine: func() Engine {
			return Engine{Up: true, Reconnects: 2, Stored: 3, Duplicates: 10, Conflicts: 4, Unsent: 11, Fetched: 5, Missed: 12, Lag: 1500 * time.Microsecond,
				History: map[string]Stored{"chat-0dadd727": {Messages: 6, Bytes: 7}}, Members: 8, Changes: 9}
		},
	})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// TestMetrics holds what is counted, and that it is as Prometheus wants it.
func TestMetrics(t *testing.T) {
	text := scrape(t)
	for _, line := range []string{
		`roomcast_build_info{version="1.2.3"} 1`,
		`roomcast_draining 0`,
		`roomcast_engine_up 1`,
		`roomcast_engine_reconnects_total 2`,
		`roomcast_engine_stored_total 3`,
		`roomcast_engine_duplicates_total 10`,
		`roomcast_engine_unsent_total 11`,
		`roomcast_engine_missed_total 12`,
		`roomcast_engine_conflicts_total 4`,
		`roomcast_engine_fetched_total 5`,
		`roomcast_engine_lag_seconds 0.0015`,
		`roomcast_engine_history_messages{kind="chat-0dadd727"} 6`,
		`roomcast_engine_history_bytes{kind="chat-0dadd727"} 7`,
		`roomcast_engine_presence_members 8`,
		`roomcast_engine_presence_changes_total 9`,
		`roomcast_connections{endpoint="ws"} 3`,
		`roomcast_connections{endpoint="rooms"} 0`,
		`roomcast_rooms{endpoint="ws"} 1`,
		`roomcast_connections_accepted_total{endpoint="ws"} 3`,
		`roomcast_connections_ended_total{endpoint="ws",reason="pong_timeout"} 0`,
		`roomcast_refused_total{cause="token_expired"} 7`,
		`roomcast_messages_published_total{endpoint="ws"} 1`,
		`roomcast_deliveries_total{endpoint="ws"} 3`,
		`roomcast_delivery_failures_total{endpoint="ws",reason="dropped"} 0`,
		`roomcast_delivery_seconds_count{endpoint="rooms"} 0`,
		`roomcast_write_frames_bucket{endpoint="rooms",le="+Inf"} 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
	for _, name := range []string{"roomcast_outbox_bytes", "go_goroutines", "process_cpu_seconds_total"} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("%s is missing", name)
		}
	}
	if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

// TestDocument holds that docs/operating.md has every metric of ours, with its labels, and no other.
func TestDocument(t *testing.T) {
	document, err := os.ReadFile("../../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (roomcast_\w+) `).FindAllStringSubmatch(scrape(t), -1) {
		there[m[1]] = true
		if !strings.Contains(string(document), "| `"+m[1]+"` |") {
			t.Errorf("docs/operating.md has no row for %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(roomcast_\\w+)` ").FindAllStringSubmatch(string(document), -1) {
		if !there[m[1]] {
			t.Errorf("docs/operating.md has %s, which is not there", m[1])
		}
	}
}
