package bridge

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// recorder is a program whose callbacks say what happened, through channels.
type recorder struct {
	connect  func(conn Handle, path string, headers Handle) bool
	conns    chan Handle // cap 100, never closed, like those below
	messages chan string
	closes   chan int
}

func newRecorder() *recorder {
	return &recorder{conns: make(chan Handle, 100), messages: make(chan string, 100), closes: make(chan int, 100)}
}

func (r *recorder) Connect(conn Handle, path string, headers Handle) bool {
	r.conns <- conn
	return r.connect == nil || r.connect(conn, path, headers)
}

func (r *recorder) Message(_ Handle, data []byte)      { r.messages <- string(data) }
func (r *recorder) Close(_ Handle, code int, _ string) { r.closes <- code }
func (r *recorder) expect(t *testing.T, code int) {
	t.Helper()
	if got := <-r.closes; got != code {
		t.Errorf("Close was told %d, want %d", got, code)
	}
}

func newBridge(t *testing.T) *Bridge {
	t.Helper()
	var log strings.Builder
	b, err := New(Settings{Host: "127.0.0.1"}, &log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		var ports []int64
		for number := range b.ports {
			ports = append(ports, number)
		}
		b.mu.Unlock()
		for _, number := range ports {
			if left, err := b.Stop(number, time.Minute); left != 0 || err != nil {
				t.Errorf("stop: %d left, %v", left, err)
			}
		}
		if log.Len() > 0 {
			t.Errorf("logged: %s", log.String())
		}
	})
	return b
}

func freePort(t *testing.T) int64 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return int64(l.Addr().(*net.TCPAddr).Port)
}

// served serves a free port with r and returns it with its address.
func served(t *testing.T, b *Bridge, r *recorder) (number int64, addr string) {
	t.Helper()
	number = freePort(t)
	if err := b.Serve(number, r); err != nil {
		t.Fatal(err)
	}
	return number, (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(number)}).String()
}

func TestReadSettings(t *testing.T) {
	env := map[string]string{"ROOMCAST_HOST": " ::1 ", "ROOMCAST_ALLOWED_ORIGIN": " https://a.example, ,*.b.example"}
	s := ReadSettings(func(name string) string { return env[name] })
	if s.Host != "::1" || !slices.Equal(s.AllowedOrigins, []string{"https://a.example", "*.b.example"}) {
		t.Errorf("the settings are %+v", s)
	}
	if s := ReadSettings(func(string) string { return "" }); s.Host != "" || s.AllowedOrigins != nil {
		t.Errorf("without settings they are %+v", s)
	}
	if _, err := New(Settings{AllowedOrigins: []string{"["}}, nil); err == nil || !strings.HasPrefix(err.Error(), "ROOMCAST_ALLOWED_ORIGIN: ") {
		t.Errorf("New with an origin that is none: %v", err)
	}
}

// Between the instant at which a connection begins to close and its Close callback, its handle is found and refused all the same.
func TestClosingHandleIsRefused(t *testing.T) {
	b, r := newBridge(t), newRecorder()
	closing, goOn := make(chan struct{}), make(chan struct{})
	r.connect = func(h Handle, _ string, _ Handle) bool {
		c, err := b.find(h)
		if err != nil {
			t.Error(err)
			return false
		}
		_ = c.Close(4000, "by another way") // the code is fine
		close(closing)
		<-goOn
		return true
	}
	_, addr := served(t, b, r)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h := <-r.conns
		<-closing
		for name, err := range map[string]error{
			"join": b.Join(h, "room"), "leave": b.Leave(h, "room"), "send": b.Send(h, roomcast.Text("x")), "close": b.Close(h, 1000, ""),
		} {
			if err == nil {
				t.Errorf("%s of a connection that is closing succeeds", name)
			}
		}
		close(goOn)
	}()
	if end := roomcasttest.DialTCP(t, addr, "/", nil).End(); end.Code != 4000 {
		t.Errorf("the client was closed with %d, want 4000", end.Code)
	}
	<-done
	r.expect(t, 4000)
}

// What a Connect callback was given of a request is released when it has returned, and not before; then its handle is stale.
func TestHeadersAreReleased(t *testing.T) {
	b, r := newBridge(t), newRecorder()
	var released atomic.Int32
	read := func(h Handle) (value string, ok bool) {
		ok = b.Header(h, "X-Word", func(v string) func() {
			value = v
			return func() { released.Add(1) }
		})
		return value, ok
	}
	kept := make(chan Handle, 1) // never closed
	r.connect = func(_ Handle, _ string, headers Handle) bool {
		kept <- headers
		for range 2 {
			if v, ok := read(headers); v != "a, b" || !ok {
				t.Errorf("X-Word is %q, %v", v, ok)
			}
		}
		if released.Load() != 0 {
			t.Error("released before Connect has returned")
		}
		return true
	}
	_, addr := served(t, b, r)
	c := roomcasttest.DialTCP(t, addr, "/", func(req *http.Request) { req.Header["X-Word"] = []string{"a", "b"} })
	if _, ok := read(<-kept); ok || released.Load() != 2 {
		t.Errorf("after Connect: readable %v, %d released; want false and 2", ok, released.Load())
	}
	c.Close(1000, "")
	r.expect(t, 1000)
}

// A request that ends while another thread reads from it gives nothing any more.
func TestRequestOwnsNothingAfterItsEnd(t *testing.T) {
	var r request
	r.end()
	if r.own(func() func() { t.Error("made"); return nil }) {
		t.Error("a request that has ended owns something new")
	}
}

// A client that comes while its port is being stopped is turned away, and the program hears nothing of it.
func TestStopTurnsAway(t *testing.T) {
	b, r := newBridge(t), newRecorder()
	p := &port{callbacks: r}
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { p.answer(b.srv, w, req) })
	p.stopping.Store(true) // Stop is just behind enter
	if end := roomcasttest.Dial(t, handler, "/", nil).End(); end.Code != 1001 {
		t.Errorf("the client was closed with %d, want 1001", end.Code)
	}
	p.stop()
	res, conn, _ := roomcasttest.Upgrade(t, handler, roomcasttest.Request("/"))
	defer conn.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after stop the answer is %s, want 503", res.Status)
	}
	if len(r.conns) > 0 || len(r.closes) > 0 {
		t.Error("the program was told")
	}
}

// Stop does not wait longer than it is told for a callback that does not return, and says that it is left.
func TestStopGivesUp(t *testing.T) {
	b, r := newBridge(t), newRecorder()
	goOn := make(chan struct{})
	number, addr := served(t, b, r)
	r.connect = func(Handle, string, Handle) bool {
		<-goOn
		return true
	}
	go func() { // a client whose 101 waits for the callback
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_ = roomcasttest.Request("/").Write(conn)
		<-goOn
	}()
	<-r.conns
	if left, err := b.Stop(number, time.Millisecond); left != 1 || err != nil {
		t.Errorf("stop: %d left, %v; want 1", left, err)
	}
	if _, err := b.Stop(number, time.Millisecond); !errors.Is(err, ErrNotServed) {
		t.Errorf("a second stop: %v", err)
	}
	close(goOn)
	<-r.closes
}

// Many goroutines use handles of connections that come and go over two ports; in the end nothing is left.
func TestBridgeConcurrently(t *testing.T) {
	b, r := newBridge(t), newRecorder()
	r.conns = make(chan Handle, 1000)
	r.closes = make(chan int, 1000)
	r.connect = func(h Handle, _ string, _ Handle) bool { return b.Join(h, "room") == nil }
	_, here := served(t, b, r)
	_, there := served(t, b, r)
	var clients, others sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		others.Go(func() {
			var seen []Handle
			for {
				select {
				case h := <-r.conns:
					seen = append(seen, h)
				case <-stop:
					return
				default:
				}
				for _, h := range seen[max(0, len(seen)-3):] {
					_ = b.Join(h, "other") // it may have gone
					_ = b.Send(h, roomcast.Text("to one"))
					_ = b.Leave(h, "other")
					_, _ = b.Broadcast("room", roomcast.Text("to all"), h)
					if len(seen)%5 == 0 {
						_ = b.Close(h, 4000, "")
					}
				}
			}
		})
	}
	for i := range 8 {
		addr := []string{here, there}[i%2]
		clients.Go(func() {
			for range 20 {
				c := roomcasttest.DialTCP(t, addr, "/", nil)
				c.Next()
				c.Drop()
				c.End()
			}
		})
	}
	clients.Wait()
	for range 160 {
		<-r.closes
	}
	close(stop)
	others.Wait()
	if n := b.RoomSize("room"); n != 0 {
		t.Errorf("%d members are left", n)
	}
	b.conns.all(func(e *entry[client]) { t.Errorf("the handle %#x is left", e.handle) })
}
