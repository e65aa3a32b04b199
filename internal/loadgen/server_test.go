package loadgen

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast"
)

// relay is a real server: what a member sends goes to all others in the room of its path.
func relay(t *testing.T, start func(*httptest.Server)) *httptest.Server {
	t.Helper()
	var rooms *roomcast.Server
	rooms = roomcast.New(roomcast.Handler{
		Connect: func(c *roomcast.Conn, _ *http.Request) error { return c.Join(c.Path()) },
		Message: func(c *roomcast.Conn, m roomcast.Message) {
			if _, err := rooms.BroadcastExcept(c.Path(), m, c); err != nil {
				t.Errorf("broadcast: %v", err)
			}
		},
	}, roomcast.Options{})
	mux := http.NewServeMux()
	mux.HandleFunc("/rooms/", func(w http.ResponseWriter, r *http.Request) {
		if want := r.Header.Get("X-Want"); want != "" && want != "this" {
			http.Error(w, "not that", http.StatusForbidden)
			return
		}
		rooms.ServeHTTP(w, r)
	})
	mux.HandleFunc("/hangup/", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		conn.Close()
	})
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(s)
	t.Cleanup(func() {
		rooms.Close()
		s.Close()
	})
	return s
}

// real is a small run against it.
func real(s *httptest.Server) Config {
	return Config{
		URL: "ws" + strings.TrimPrefix(s.URL, "http"), Header: http.Header{"X-Want": {"this"}}, Insecure: true,
		Conns: 40, Rooms: 4, Senders: 8, Window: 4, Size: 128, Messages: 400, Timeout: 10 * time.Second,
	}
}

// TestRealServer holds that a real server is clean, over plain TCP and over TLS, with small and with large messages.
func TestRealServer(t *testing.T) {
	for name, c := range map[string]struct {
		start func(*httptest.Server)
		edit  func(*Config)
	}{
		"closed loop": {(*httptest.Server).Start, func(*Config) {}},
		"open loop":   {(*httptest.Server).Start, func(c *Config) { c.Window, c.Rate = 0, 4000 }},
		"warm-up":     {(*httptest.Server).Start, func(c *Config) { c.Warmup = 20 * time.Millisecond }},
		"large":       {(*httptest.Server).Start, func(c *Config) { c.Size, c.Messages = 200_000, 16 }},
		"TLS":         {(*httptest.Server).StartTLS, func(*Config) {}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := real(relay(t, c.start))
			c.edit(&cfg)
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			expectFaults(t, r, Faults{})
			if r.Messages.Total != cfg.Messages || r.Deliveries.Total != 9*cfg.Messages || r.Latency.Min <= 0 {
				t.Errorf("%d messages, %d deliveries, latency %+v; want %d and nine times that", r.Messages.Total, r.Deliveries.Total,
					r.Latency, cfg.Messages)
			}
			if cfg.Warmup == 0 && r.Faults.Checked != r.Deliveries.Total {
				t.Errorf("%d deliveries checked, want all %d", r.Faults.Checked, r.Deliveries.Total)
			}
		})
	}
}

// TestServerGoesAway holds that connections that are cut without a word are seen at once, and end a run that nobody is left for.
func TestServerGoesAway(t *testing.T) {
	s := relay(t, (*httptest.Server).Start)
	cfg := real(s)
	cfg.Rate, cfg.Window, cfg.Messages, cfg.Duration = 1000, 0, 0, time.Hour
	cut := make(chan struct{}) // closed by the first progress with a delivery
	once := sync.OnceFunc(func() { close(cut) })
	cfg.ProgressEvery = time.Millisecond
	cfg.Progress = func(p Progress) {
		if p.Delivered > 0 {
			once()
		}
	}
	var mu sync.Mutex
	var conns []net.Conn
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, conn)
		return conn, err
	}
	go func() {
		<-cut
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range conns {
			_ = conn.(*net.TCPConn).CloseRead() // what the reader sees is the end of the stream
		}
	}()
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Faults.Closed < 8 || len(r.Complaints) != maxComplaints || !strings.Contains(r.Complaints[0], "hung up by the server") {
		t.Errorf("%d connections lost, %q; want at least the senders', and the end with the last of them", r.Faults.Closed, r.Complaints)
	}
}

// TestCannotConnect holds that each reason is one line with a remedy.
func TestCannotConnect(t *testing.T) {
	plain, secure := relay(t, (*httptest.Server).Start), relay(t, (*httptest.Server).StartTLS)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, c := range []struct {
		edit func(*Config)
		want []string
	}{
		{func(c *Config) { c.URL = "ws://" + free.Addr().String() }, []string{free.Addr().String(), "0 of 40", "refused", "start the server"}},
		{func(c *Config) { c.URL += "/nowhere" }, []string{"404 instead of 101", "/rooms/NAME"}},
		{func(c *Config) { c.Header.Set("X-Want", "that") }, []string{"403 instead of 101"}},
		{func(c *Config) { c.URL += "/hangup" }, []string{"hung up on the upgrade", "limit on connections"}},
		{func(c *Config) { c.URL = "ws://" + silent.Addr().String(); c.Timeout = time.Millisecond }, []string{"no answer in time", "longer"}},
		{func(c *Config) { c.URL = strings.Replace(c.URL, "ws:", "wss:", 1) }, []string{"does not speak TLS", "ws://"}},
		{func(c *Config) { c.URL = "wss" + strings.TrimPrefix(secure.URL, "https"); c.Insecure = false }, []string{"certificate", "insecure"}},
		{func(c *Config) { c.PIDs = []int{1 << 30} }, []string{"1073741824", "no such process"}},
	} {
		if want := c.want[0]; strings.HasPrefix(want, "1073741824") && !hasProc() {
			continue
		}
		cfg := real(plain)
		c.edit(&cfg)
		_, err := Run(t.Context(), cfg)
		if err == nil {
			t.Errorf("%v: no error", c.want)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want %q in it", err, want)
			}
		}
	}
}

func TestUnreachable(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EADDRNOTAVAIL: "ports of this machine are used up",
		syscall.EMFILE:        "ulimit -n",
	} {
		op := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)}
		if got := new(run).unreachable(op).Error(); !strings.Contains(got, want) || strings.Contains(got, "dial") {
			t.Errorf("%v became %q, want %q", err, got, want)
		}
	}
}
