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
	"github.com/roomcast/roomcast/roomcasttest"
)

// get is the answer to a plain request.
func (r *running) get(path string) (status int, body string) {
	w := httptest.NewRecorder()
	r.server.routes().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	return w.Code, w.Body.String()
}

// TestDrain holds what docs/operating.md says of stopping: readiness first, nobody let in, everybody told another time to come back, and closed in
// batches over three quarters of the drain, after all that was sent to them.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "--drain=4s")
		if status, body := r.get("/readyz"); status != http.StatusOK || body != "ready\n" {
			t.Errorf("readyz: %d %q before", status, body)
		}
		const clients = 300
		var mu sync.Mutex
		var closed []time.Duration
		waits, lasts := map[int]bool{}, 0
		var all sync.WaitGroup
		var begin time.Time
		for i := range clients {
			var c *roomcasttest.Client
			if i%2 == 0 {
				c = r.dial("/ws")
				c.Receive() // hello
				c.Send(`{"type":"join","id":1,"room":"k"}`)
				c.Receive() // ack
			} else {
				c = r.dial("/rooms/k")
			}
			all.Go(func() {
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
				mu.Lock()
				defer mu.Unlock()
				if end.Code != roomcast.CloseGoingAway {
					t.Errorf("closed with %+v, want 1001", end)
				}
				closed = append(closed, time.Since(begin))
				if wait > 0 {
					waits[wait] = true
				}
				if last == "last" {
					lasts++
				}
			})
		}
		synctest.Wait()
		begin = time.Now()
		r.stop()
		synctest.Wait() // the first batch has gone
		if status, body := r.get("/readyz"); status != http.StatusServiceUnavailable || body != "draining\n" {
			t.Errorf("readyz: %d %q while draining", status, body)
		}
		if status, body := r.get("/healthz"); status != http.StatusOK {
			t.Errorf("healthz: %d %q while draining", status, body)
		}
		for _, path := range []string{"/ws", "/rooms/k"} {
			res, conn, _ := roomcasttest.Upgrade(t, r.server.routes(), roomcasttest.Request(path))
			if conn.Close(); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %d, Retry-After %q while draining", path, res.StatusCode, res.Header.Get("Retry-After"))
			}
		}
		members := len(r.server.hub.Server().Members("k"))
		if _, err := r.server.hub.Server().Broadcast("k", roomcast.Text(`{"data":"last"}`)); err != nil {
			t.Error(err)
		}
		if err := r.wait(); err != nil {
			t.Errorf("Run = %v", err)
		}
		all.Wait()
		first, second, last := 0, 0, time.Duration(0)
		for _, after := range closed {
			switch {
			case after == 0:
				first++
			case after <= 100*time.Millisecond:
				second++
			}
			last = max(last, after)
		}
		if first != drainBatch || second != drainBatch || last != 200*time.Millisecond {
			t.Errorf("%d closed at once, %d after a step, the last after %v; want %d, %d and 200ms", first, second, last, drainBatch, drainBatch)
		}
		for wait := range waits {
			if wait < 1 || wait > 3001 {
				t.Errorf("told to come back after %d ms, want at most 3 s", wait)
			}
		}
		if len(waits) < clients/4 {
			t.Errorf("%d different times to come back for %d clients", len(waits), clients/2)
		}
		if members == 0 || lasts != members {
			t.Errorf("%d of %d got what was sent last", lasts, members)
		}
	})
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
