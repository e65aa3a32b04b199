package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/natsengine"
)

// TestReadyWithTheEngine holds that the server is ready when its engine is, healthy in any case, and that the log says when the engine goes away, why, now and then
// that it still is, and when it is back.
func TestReadyWithTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var missing atomic.Pointer[error]
		missing.Store(new(errors.New("not connected to NATS:\nconnection refused")))
		var log bytes.Buffer // the server has ended when it is read
		r := startWith(t, func(s *Server) {
			s.engine.ready = func() error { return *missing.Load() }
			s.engine.log = slog.New(slog.NewTextHandler(&log, nil))
		})
		answers := func(status int, body, metric string) {
			t.Helper()
			if code, got := r.get("/readyz"); code != status || got != body {
				t.Errorf("/readyz: %d %q, want %d %q", code, got, status, body)
			}
			if code, _ := r.get("/healthz"); code != http.StatusOK {
				t.Errorf("/healthz: %d", code)
			}
			if up := r.server.engine.figures().Up; up != (metric == "1") {
				t.Errorf("the metric says that the engine is there: %v", up)
			}
		}
		answers(http.StatusServiceUnavailable, "not connected to NATS: connection refused\n", "0")
		<-time.After(2*sayEvery + 1200*time.Millisecond)
		missing.Store(new(error))
		answers(http.StatusOK, "ready\n", "1")
		<-time.After(time.Second)
		missing.Store(new(errors.New("the table of presence has not been read")))
		answers(http.StatusServiceUnavailable, "the table of presence has not been read\n", "0")
		<-time.After(time.Second)
		r.stop()
		if err := r.wait(); err != nil {
			t.Error(err)
		}
		for line, want := range map[string]int{
			`msg="the engine is away: what needs it fails until it is back" missing="not connected to NATS: connection refused"`: 1,
			`msg="the engine is still away" missing="not connected to NATS: connection refused" after=`:                          2,
			`msg="the engine is away: what needs it fails until it is back" missing="the table of presence has not been read"`:   1,
			`msg="the engine is there again" after=2m1`:                                                                          1,
		} {
			if got := strings.Count(log.String(), line); got != want {
				t.Errorf("%d lines with %s, want %d:\n%s", got, line, want, log.String())
			}
		}
	})
}

// resumable reports whether a client that comes now is told how to resume its session.
func (r *running) resumable() bool {
	r.t.Helper()
	c := r.dial("/ws")
	hello := c.Receive().String()
	c.Close(1000, "")
	return strings.Contains(hello, `"resume":"`) && strings.Contains(hello, `"session_ttl_ms":60000`)
}

// TestSessionKeyComesLater holds that the server serves without the key of the sessions, asks for it until it comes, and stops while it asks.
func TestSessionKeyComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		r := startWith(t, func(s *Server) {
			s.engine.secret = func(ctx context.Context) ([]byte, error) {
				if asked.Add(1) < 3 {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return []byte("key"), nil
			}
		})
		if r.resumable() {
			t.Error("a session can be resumed without a key")
		}
		if code, body := r.get("/readyz"); code != http.StatusServiceUnavailable || body != "the key of the sessions has not been read\n" {
			t.Errorf("/readyz: %d %q without a key: whoever comes to this server loses the session", code, body)
		}
		<-time.After(3 * secretWait)
		synctest.Wait()
		if n := asked.Load(); n != 3 || !r.resumable() {
			t.Errorf("after %d questions a session cannot be resumed; want 3, and that it can", n)
		}
		if code, body := r.get("/readyz"); code != http.StatusOK {
			t.Errorf("/readyz: %d %q with a key", code, body)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, func(s *Server) {
			s.engine.secret = func(ctx context.Context) ([]byte, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		synctest.Wait()
		r.stop()
		if err := r.wait(); err != nil {
			t.Error(err)
		}
	})
}

// TestSessionTTL holds that sessions end with their connections if that is wanted, and wait for their clients otherwise.
func TestSessionTTL(t *testing.T) {
	for args, want := range map[string]bool{"--session-ttl=0": false, "--session-ttl=60s": true} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, args)
			synctest.Wait()
			if got := r.resumable(); got != want {
				t.Errorf("%s: a session can be resumed: %v, want %v", args, got, want)
			}
		})
	}
}

// TestEngineEndsLast holds that the engine is closed once, when all clients have gone: what they say at their end goes through it.
func TestEngineEndsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Int32
		r := startWith(t, func(s *Server) {
			end := s.engine.close
			s.engine.close = func() {
				if n := s.connections(); n != 0 {
					t.Errorf("the engine is closed while %d clients are there", n)
				}
				closed.Add(1)
				end()
			}
		})
		c := r.dial("/ws")
		r.stop()
		if end := c.End(); end.Code != roomcast.CloseGoingAway {
			t.Errorf("closed with %+v, want 1001", end)
		}
		if err := r.wait(); err != nil || closed.Load() != 1 {
			t.Errorf("Run = %v, the engine was closed %d times; want nil, once", err, closed.Load())
		}
	})
}

// TestEngineErrors holds that what makes an engine impossible is one line with the flag, and that nothing is left running.
func TestEngineErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("swordfish"), 0o600); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--nats=embedded", "--data=" + file}, "--nats embedded: --data " + file + ": "},
		{[]string{"--nats=nats://127.0.0.1:1", "--nats-creds=" + filepath.Join(dir, "none")}, "--nats-creds " + filepath.Join(dir, "none") + ": "},
		{[]string{"--nats=nats://127.0.0.1:1", "--nats-ca=" + dir}, "--nats-ca " + dir + ": "},
		{[]string{"--nats=nats://ann:swordfish@127.0.0.1:1", "--nats-ca=" + file}, "--nats-ca " + file + ": there is no certificate in it"},
		{[]string{"--nats=nats://127.0.0.1:1", "--nats-cert=" + file, "--nats-key=" + file}, "--nats-cert " + file + ": there is no certificate in it"},
		{[]string{"--nats=nats://127.0.0.1:1", "--nats-creds=" + file}, "--nats-creds " + file + ": there is no token of a user in it"},
		{[]string{"--nats=nats://ann:swordfish@127.0.0.1:1,ws://127.0.0.1:1"}, "--nats nats://********@127.0.0.1:1,ws://127.0.0.1:1: "},
	} {
		cfg := settings(t, c.args...)
		if err := Check(cfg); strings.HasPrefix(c.want, "--nats-") && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%q: Check says %v, want %s", c.args, err, c.want)
		}
		_, err := New(cfg, logger)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.ContainsAny(strings.ReplaceAll(err.Error(), "swordfish", "\n"), "\n") {
			t.Errorf("%q: %v, want one line without the password that begins with %s", c.args, err, c.want)
		}
	}
}

// TestAwayFromTheStart holds that a server starts, says that it is not ready, and stops, while the NATS that it is to use does not answer.
func TestAwayFromTheStart(t *testing.T) {
	r := start(t, "--nats=nats://ann:swordfish@127.0.0.1:1", "--history=**=10")
	if code, body := r.get("/readyz"); code != http.StatusServiceUnavailable || strings.Count(body, "\n") != 1 || strings.Contains(body, "swordfish") {
		t.Errorf("/readyz: %d %q, want 503 and one line", code, body)
	}
	if code, _ := r.get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d, want 200", code)
	}
	r.dial("/ws").Close(1000, "")
}

// untilReady waits until the engine is there and sessions can be resumed.
func (r *running) untilReady() {
	r.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for r.server.engine.missing() != "" || !r.resumable() {
		if time.Now().After(deadline) {
			r.t.Fatalf("not ready: %s", r.server.engine.missing())
		}
		<-time.After(10 * time.Millisecond)
	}
}

// TestEmbedded holds that a server with NATS in it becomes ready, keeps what was sent over a restart, and leaves nothing running.
func TestEmbedded(t *testing.T) {
	args := []string{"--nats=embedded", "--data=" + t.TempDir(), "--history=**=10", "--data-max=2GiB"}
	for _, want := range []string{`"offset":1`, `"offset":2`} {
		r := start(t, args...)
		r.untilReady()
		if code, body := r.get("/readyz"); code != http.StatusOK {
			t.Errorf("/readyz: %d %q", code, body)
		}
		if _, err := r.server.hub.RevokeUser("bob", time.Time{}); err != nil {
			t.Errorf("a revocation, with a session left of the start before: %v", err)
		}
		c := r.dial("/ws")
		c.Receive() // hello
		c.Send(`{"type":"join","id":1,"room":"kitchen"}`)
		c.Receive() // ack
		c.Send(`{"type":"send","id":2,"room":"kitchen","data":"lunch","echo":false}`)
		if ack := c.Receive().String(); !strings.Contains(ack, want) {
			t.Errorf("ack %s, want %s in it", ack, want)
		}
		r.stop()
		if err := r.wait(); err != nil {
			t.Error(err)
		}
	}
}

// TestSessionsOutliveADrain holds that a client whose server has stopped goes on at another: its session is still there, in its rooms.
func TestSessionsOutliveADrain(t *testing.T) {
	nats, err := natsengine.RunServer(natsengine.ServerOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	args := []string{"--nats=" + nats.ClientURL(), "--history=**=10", "--lease=1s"}
	old, next := start(t, args...), start(t, args...)
	for _, r := range []*running{old, next} {
		r.untilReady()
	}
	c := old.dial("/ws")
	var hello, resumed struct{ Resume, Type string }
	_ = json.Unmarshal(c.Receive().Data, &hello)
	c.Send(`{"type":"join","id":1,"room":"kitchen"}`)
	c.Receive() // ack
	old.stop()
	c.End()
	if err := old.wait(); err != nil {
		t.Error(err)
	}
	for { // what others are told takes a moment
		if _, _, total := next.server.hub.Members("kitchen", "", 1); total > 0 {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	c = next.dial("/ws")
	c.Receive() // hello
	c.Send(`{"type":"resume","id":1,"resume":"` + hello.Resume + `"}`)
	answer := c.Receive()
	_ = json.Unmarshal(answer.Data, &resumed)
	if resumed.Type != "joined" {
		t.Errorf("the answer is %s, want that it is in its room", answer)
	}
}
