package main

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/loadgen"
)

// echo is a server that sends each message so many times to the other members of its room;
// relayed is closed after the first one.
func echo(t *testing.T, times int) (url string, relayed <-chan struct{}) {
	t.Helper()
	first := make(chan struct{})
	once := sync.OnceFunc(func() { close(first) })
	var rooms *roomcast.Server
	rooms = roomcast.New(roomcast.Handler{
		Connect: func(c *roomcast.Conn, _ *http.Request) error { return c.Join(c.Path()) },
		Message: func(c *roomcast.Conn, m roomcast.Message) {
			for range times {
				if _, err := rooms.BroadcastExcept(c.Path(), m, c); err != nil {
					t.Errorf("broadcast: %v", err)
				}
			}
			once()
		},
	}, roomcast.Options{Logger: slog.New(slog.DiscardHandler)})
	s := httptest.NewServer(rooms)
	t.Cleanup(func() {
		rooms.Close()
		s.Close()
	})
	return "ws" + strings.TrimPrefix(s.URL, "http"), first
}

// TestBenchOwnServer holds that a bench without an address is clean, says what it does, and gives the result as JSON alone.
func TestBenchOwnServer(t *testing.T) { benchOwnServer(t) }

// TestBenchOwnServerProtocol holds the same through roomcast.v1, and so that the generator and the server agree on it.
func TestBenchOwnServerProtocol(t *testing.T) { benchOwnServer(t, "--protocol") }

func benchOwnServer(t *testing.T, flags ...string) {
	t.Helper()
	stdout, stderr, code := output(t, append([]string{"bench", "--conns=20", "--rooms=2", "--messages=100", "--warmup=0", "--json"}, flags...)...)
	var r loadgen.Result
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("stdout %q: %v", stdout, err)
	}
	if code != 0 || r.Messages.Total != 100 || r.Deliveries.Total != 900 || r.Faults != (loadgen.Faults{Checked: 900}) {
		t.Errorf("code %d, result %+v; want 0, 100 messages and 900 clean deliveries", code, r)
	}
	if !strings.HasPrefix(stderr, "No address given: ") || !strings.Contains(stderr, r.URL) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("stderr %q, want one line that tells of the server", stderr)
	}
	if r.Load.Protocol != slices.Contains(flags, "--protocol") {
		t.Errorf("protocol %v with the flags %v", r.Load.Protocol, flags)
	}
	if s := r.Server; s == nil || !s.WithGenerator {
		t.Errorf("server %+v, want one that covers the generator too", s)
	}
}

// TestBenchExit holds that a clean run ends with 0, one with faults with 1 and a line that says so.
func TestBenchExit(t *testing.T) {
	for times, want := range map[int]struct {
		code   int
		stderr string
		stdout string
	}{
		1: {0, "", "duplicate 0,"},
		2: {1, "roomcast: faults: 60 duplicate\n", "duplicate 60,"},
		0: {1, "roomcast: faults: 60 missing\n", "missing 60,"},
	} {
		url, _ := echo(t, times)
		stdout, stderr, code := output(t, "bench", url, "--conns=4", "--window=20", "--messages=20", "--warmup=0", "--timeout=100ms")
		if code != want.code || stderr != want.stderr || !strings.Contains(stdout, want.stdout) {
			t.Errorf("%d times: code %d, stderr %q, stdout\n%s\nwant %+v", times, code, stderr, stdout, want)
		}
	}
}

// TestBenchCannot holds that what cannot be measured is one line and exit code 2.
func TestBenchCannot(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	for args, want := range map[string]string{
		"bench --size=20":                    "roomcast: bench: --size 20: the header of a message takes 32 bytes",
		"bench here":                         "roomcast: bench: address here: write it as ws://127.0.0.1:8080",
		"bench ws://" + free.Addr().String(): "roomcast: cannot connect to ws://" + free.Addr().String() + " (0 of 100 connections made): ",
	} {
		stdout, stderr, code := output(t, strings.Fields(args)...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("roomcast %s: code %d, stdout %q, stderr %q; want code 2 and the line %q", args, code, stdout, stderr, want)
		}
	}
}

// TestProgressOnTerminal holds that the line is rewritten in place and taken away, and elsewhere is a line.
func TestProgressOnTerminal(t *testing.T) {
	var out strings.Builder
	now := loadgen.Progress{Phase: loadgen.Connecting, Connected: 1, Conns: 2}
	p := progress{w: &out, place: true}
	p.clear()
	p.show(now)
	p.clear()
	if got, want := out.String(), "\r\x1b[K\x1b[?7lconnecting: 1 of 2\x1b[?7h\r\x1b[K"; got != want {
		t.Errorf("on a terminal %q, want %q", got, want)
	}
	out.Reset()
	p = progress{w: &out}
	p.show(now)
	p.clear()
	if got, want := out.String(), "connecting: 1 of 2\n"; got != want {
		t.Errorf("elsewhere %q, want %q", got, want)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if p := newProgress(w, false); p.place || p.every != everyLine {
		t.Errorf("a pipe is taken for a terminal: %+v", p)
	}
	if p := newProgress(w, true); p.every != 0 {
		t.Errorf("progress every %v, want none", p.every)
	}
}
