package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/hub"
	"github.com/roomcast/roomcast/internal/server/protocol"
	"github.com/roomcast/roomcast/roomcasttest"
)

// get is the answer to a plain request.
func (r *running) get(path string) (status int, body string) {
	w := httptest.NewRecorder()
	r.server.routes().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	return w.Code, w.Body.String()
}

// farewells is how the clients of a drain were let go.
type farewells struct {
	t     *testing.T
	begin time.Time

	mu     sync.Mutex
	closed []time.Duration // after begin
	waits  map[int]bool    // milliseconds after which to come back
	lasts  int             // clients that got what was sent last
}

// hear takes what a client hears until its end.
func (f *farewells) hear(c *roomcasttest.Client) {
	wait, last := 0, ""
	for m, ok := c.Next(); ok; m, ok = c.Next() {
		var notice struct {
			Type  string
			After int `json:"reconnect_after_ms"`
			Data  string
		}
		_ = json.Unmarshal(m.Data, &notice) // the raw clients get none
		if last = notice.Data; notice.Type == "draining" {
			wait = notice.After
		}
	}
	end := c.End()
	f.mu.Lock()
	defer f.mu.Unlock()
	if end.Code != roomcast.CloseGoingAway {
		f.t.Errorf("closed with %+v, want 1001", end)
	}
	f.closed = append(f.closed, time.Since(f.begin))
	if wait > 0 {
		f.waits[wait] = true
	}
	if last == "last" {
		f.lasts++
	}
}

// after is how many were closed within a time, and when the last one was.
func (f *farewells) after(within time.Duration) (n int, last time.Duration) {
	for _, after := range f.closed {
		if after <= within {
			n++
		}
		last = max(last, after)
	}
	return n, last
}

// refuses holds what a server that drains answers.
func (r *running) refuses() {
	r.t.Helper()
	if status, body := r.get("/readyz"); status != http.StatusServiceUnavailable || body != "draining\n" {
		r.t.Errorf("readyz: %d %q while draining", status, body)
	}
	if status, body := r.get("/healthz"); status != http.StatusOK {
		r.t.Errorf("healthz: %d %q while draining", status, body)
	}
	for _, path := range []string{"/ws", "/rooms/k"} {
		res, conn, _ := roomcasttest.Upgrade(r.t, r.server.routes(), roomcasttest.Request(path))
		if conn.Close(); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			r.t.Errorf("%s: %d, Retry-After %q while draining", path, res.StatusCode, res.Header.Get("Retry-After"))
		}
	}
}

// TestDrain holds what docs/operating.md says of stopping: readiness first, nobody let in, everybody told another time to come back, and closed in
// batches over three quarters of the drain, after all that was sent to them.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "--drain=4s")
		synctest.Wait()
		if status, body := r.get("/readyz"); status != http.StatusOK || body != "ready\n" {
			t.Errorf("readyz: %d %q before", status, body)
		}
		const clients = 300
		f := farewells{t: t, waits: map[int]bool{}}
		var all sync.WaitGroup
		for i := range clients {
			path := []string{"/ws", "/rooms/k"}[i%2]
			c := r.dial(path)
			if path == "/ws" {
				c.Receive() // hello
				c.Send(`{"type":"join","id":1,"room":"k"}`)
				c.Receive() // ack
			}
			all.Go(func() { f.hear(c) })
		}
		synctest.Wait()
		f.begin = time.Now()
		r.stop()
		synctest.Wait() // the first batch has gone
		r.refuses()
		members := len(r.server.hub.Server().Members("k"))
		if _, err := r.server.hub.Publish("k", hub.Post{Payload: protocol.Payload{Bytes: []byte(`"last"`)}}); err != nil {
			t.Error(err)
		}
		if err := r.wait(); err != nil {
			t.Errorf("Run = %v", err)
		}
		all.Wait()
		first, last := f.after(0)
		second, _ := f.after(drainStep)
		if first != drainBatch || second != 2*drainBatch || last != 2*drainStep {
			t.Errorf("%d closed at once, %d after a step, the last after %v; want %d, %d and %v", first, second, last, drainBatch, 2*drainBatch, 2*drainStep)
		}
		for wait := range f.waits {
			if wait < 1 || wait > 1002 { // what is less than a millisecond counts as one
				t.Errorf("told to come back after %d ms, want at most 1 s", wait)
			}
		}
		if len(f.waits) < clients/4 {
			t.Errorf("%d different times to come back for %d clients", len(f.waits), clients/2)
		}
		if members == 0 || f.lasts != members {
			t.Errorf("%d of %d got what was sent last", f.lasts, members)
		}
	})
}

// TestComeBackWithin holds that few clients are soon back, and very many within the time for it.
func TestComeBackWithin(t *testing.T) {
	for connections, want := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 1_000: time.Second, 5_000: 5 * time.Second, 15_000: 15 * time.Second, 1_000_000: 15 * time.Second,
	} {
		if got := comeBackWithin(connections, 15*time.Second); got != want {
			t.Errorf("%d connections: within %v, want %v", connections, got, want)
		}
	}
	if got := comeBackWithin(1, 150*time.Millisecond); got != 150*time.Millisecond {
		t.Errorf("with a short drain: within %v", got)
	}
}

// TestDrainPace holds that a drain of very many keeps to its time with larger batches.
func TestDrainPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "--drain=200ms", "--max-address-conns=0") // 150 ms: two batches
		for range 500 {
			r.dial("/rooms/k")
		}
		begin := time.Now()
		r.stop()
		if err := r.wait(); err != nil {
			t.Errorf("Run = %v", err)
		}
		if took := time.Since(begin); took != 100*time.Millisecond {
			t.Errorf("took %v, want 100ms", took)
		}
	})
}

// TestReadyPaths holds the small answers for those who watch over the server, and who may read the metrics.
func TestReadyPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "--api-key=correct-horse-16")
		ask := func(edit func(*http.Request)) (int, string) {
			req := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
			req.RemoteAddr, req.Host = "127.0.0.1:5", "localhost"
			edit(req)
			w := httptest.NewRecorder()
			r.server.routes().ServeHTTP(w, req)
			return w.Code, w.Body.String()
		}
		if status, _ := ask(func(*http.Request) {}); status != http.StatusUnauthorized {
			t.Errorf("metrics without the key: %d", status)
		}
		status, body := ask(func(r *http.Request) { r.Header.Set("Authorization", "Bearer correct-horse-16") })
		if status != http.StatusOK || !strings.Contains(body, `roomcast_refused_total{cause="api_key_invalid"} 1`) {
			t.Errorf("metrics with the key: %d %.200s", status, body)
		}
	})
}
