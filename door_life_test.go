package roomcast_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// A request that is not whole in time is cut; one that is has all the time that the program takes, and its connection too.
func TestDoorHandshakeTimeout(t *testing.T) {
	const timeout = 50 * time.Millisecond
	h := newHub(t, roomcast.Options{HandshakeTimeout: timeout}, nil)
	addr := listenOn(t, h.Server, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "slow" {
			<-time.After(4 * timeout)
		}
		h.ServeHTTP(w, r)
	}), true)
	for name, request := range map[string]string{"silence": "", "half a request": sampleUpgrade, "half an end": sampleUpgrade + "\r"} {
		start := time.Now()
		conn, br := dialTCP(t, addr)
		io.WriteString(conn, request)
		n, _ := io.Copy(io.Discard, br) // until the server hangs up
		expect(t, name+": bytes of an answer", n, 0)
		between(t, name+": cut after", time.Since(start), timeout/2, time.Minute)
	}
	for name, request := range map[string]string{"at once": sampleUpgrade + "\r\n", "slowly": replaced("/chat", "/chat?slow")} {
		conn, br := dialTCP(t, addr)
		io.WriteString(conn, request)
		res, _ := answer(t, br)
		expect(t, name+": status", res.StatusCode, 101)
		if res.StatusCode != 101 {
			continue
		}
		c := <-h.conns
		<-time.After(2 * timeout)
		c.Send(roomcast.Text("still here"))
		_, payload, err := roomcasttest.ReadFrame(br)
		expect(t, name+": got", fmt.Sprint(string(payload), " ", err), "still here <nil>")
		conn.Close()
	}
}

// Who is refused and does not hang up is given the time of CloseTimeout, whatever the other times are.
func TestDoorRefusedStays(t *testing.T) {
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{HandshakeTimeout: time.Hour, CloseTimeout: 50 * time.Millisecond})
	addr := listenOn(t, srv, srv, true)
	files := descriptors(t)
	for range 3 {
		conn, br := dialTCP(t, addr)
		io.WriteString(conn, replaced("dGhl", "dGh"))
		res, _ := answer(t, br)
		expect(t, "status", res.StatusCode, 400)
	}
	eventually(t, "the server has hung up", func() bool { return descriptors(t) <= files+3 }) // and 3 clients
}

// The context of a request ends when it has been answered, and has the values that net/http puts there.
func TestDoorContext(t *testing.T) {
	contexts := make(chan context.Context, 1)
	srv := roomcast.New(roomcast.Handler{Connect: func(_ *roomcast.Conn, r *http.Request) error {
		contexts <- r.Context()
		return r.Context().Err()
	}}, roomcast.Options{})
	for _, door := range []bool{true, false} {
		conn, _ := upgradeTCP(t, listenOn(t, srv, srv, door), "")
		ctx := <-contexts
		<-ctx.Done()
		conn.Close()
		if local, _ := ctx.Value(http.LocalAddrContextKey).(net.Addr); local == nil {
			t.Error("the context has no local address")
		}
		if server, _ := ctx.Value(http.ServerContextKey).(*http.Server); server == nil {
			t.Error("the context has no server")
		}
	}
}

// clientGone is a moment at which a client goes: what it has sent by then, and where the server is.
var clientGone = map[string]struct {
	request string
	until   string // what the handler is inside of: "", "handler" or "Connect"
}{
	"silent":             {"", ""},
	"half a request":     {sampleUpgrade, ""},
	"in the handler":     {sampleUpgrade + "\r\n", "handler"},
	"to be passed on":    {"GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n", "handler"},
	"to be refused":      {replaced("dGhl", "dGh"), "handler"},
	"in Connect":         {sampleUpgrade + "\r\n", "Connect"},
	"with frames behind": {sampleUpgrade + "\r\n" + string(masked(ws.NewTextFrame([]byte("hello")))), "Connect"},
	"with a Close behind": {sampleUpgrade + "\r\n" + string(masked(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye")))),
		"Connect"},
}

// gate is a server whose callbacks wait at a place that the test has chosen, and note that they overlap.
type gate struct {
	*roomcast.Server
	addr          string
	inside, leave chan bool

	mu    sync.Mutex
	calls []string
	ends  []roomcasttest.End
}

func newGate(t *testing.T, o roomcast.Options, stop string) *gate {
	g := &gate{inside: make(chan bool, 100), leave: make(chan bool)}
	wait := func(where string) {
		if where == stop {
			g.inside <- true
			<-g.leave
		}
	}
	note := func(call string) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.calls = append(g.calls, call)
	}
	g.Server = roomcast.New(roomcast.Handler{
		Connect: func(c *roomcast.Conn, _ *http.Request) error {
			err := c.Join("lobby")
			c.Send(roomcast.Text("welcome"))
			wait("Connect")
			note("Connect")
			return err
		},
		Close: func(_ *roomcast.Conn, code int, reason string) {
			note("Close")
			g.mu.Lock()
			defer g.mu.Unlock()
			g.ends = append(g.ends, roomcasttest.End{Code: code, Reason: reason})
		},
	}, o)
	g.addr = listenOn(t, g.Server, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait("handler")
		g.ServeHTTP(w, r)
	}), true)
	return g
}

// told returns the callbacks in the order in which they ended.
func (g *gate) told() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Sprint(g.calls)
}

// Whenever a client goes, and however, nothing of it stays, and its callbacks run one after the other (G5, G6).
func TestG5_DoorClientGone(t *testing.T) {
	leaves := map[string]func(*net.TCPConn){
		"closes": func(c *net.TCPConn) { c.Close() }, "resets": reset, "half closes": func(c *net.TCPConn) { c.CloseWrite() },
	}
	for moment, c := range clientGone {
		for how, leave := range leaves {
			t.Run(moment+", "+how, func(t *testing.T) {
				files := descriptors(t)
				g := newGate(t, roomcast.Options{CloseTimeout: 50 * time.Millisecond}, c.until)
				bystander, br := (*net.TCPConn)(nil), (*bufio.Reader)(nil)
				if c.until == "" {
					bystander, br = upgradeTCP(t, g.addr, "") // its loop runs
				}
				conn, _ := dialTCP(t, g.addr)
				io.WriteString(conn, c.request)
				if c.until != "" {
					<-g.inside
				}
				leave(conn)
				for range 100 {
					runtime.Gosched() // the loop may hear of it now
				}
				if c.until == "Connect" {
					expect(t, "callbacks during Connect", g.told(), "[]")
				}
				close(g.leave)
				if bystander != nil {
					roomcasttest.ReadFrame(br) // its welcome
					g.Broadcast("lobby", roomcast.Text("still here"))
					_, payload, err := roomcasttest.ReadFrame(br)
					expect(t, "bystander", fmt.Sprint(string(payload), " ", err), "still here <nil>")
					bystander.Close()
				}
				eventually(t, "connections", func() bool { return g.Stats().Connections == 0 })
				conn.Close()
				g.Close()
				expect(t, "Shutdown", g.Shutdown(limited(t)), nil)
				eventually(t, "descriptors", func() bool { return descriptors(t) <= files })
				if c.until == "Connect" {
					expect(t, "callbacks", g.told(), "[Connect Close]")
				}
			})
		}
	}
}

// Close ends everybody at the door at once, whatever they are at, and leaves nothing; so does Shutdown when its time is over.
func TestDoorCloseInEveryState(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *gate){
		"Close": func(t *testing.T, g *gate) { expect(t, "Close", g.Close(), nil) },
		"Shutdown, too late": func(t *testing.T, g *gate) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := g.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		},
	} {
		for moment, c := range clientGone {
			t.Run(name+", "+moment, func(t *testing.T) {
				files := descriptors(t)
				g := newGate(t, roomcast.Options{CloseTimeout: time.Hour, HandshakeTimeout: time.Hour}, c.until)
				conn, br := dialTCP(t, g.addr)
				io.WriteString(conn, c.request)
				if c.until != "" {
					<-g.inside
				}
				end(t, g)
				close(g.leave)
				conn.SetReadDeadline(time.Now().Add(5 * time.Second))
				_, err := io.Copy(io.Discard, br)
				expect(t, "hung up on", !isTimeout(err), true)
				expect(t, "Shutdown", g.Shutdown(limited(t)), nil)
				eventually(t, "descriptors", func() bool { return descriptors(t) <= files+1 }) // and the client
				expect(t, "connections", g.Stats().Connections, 0)
			})
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// Who has been refused, and has not hung up, does not stay after Close either.
func TestDoorCloseRefused(t *testing.T) {
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{HandshakeTimeout: time.Hour, CloseTimeout: time.Hour})
	files := descriptors(t)
	conn, br := dialTCP(t, listenOn(t, srv, srv, true))
	io.WriteString(conn, replaced("dGhl", "dGh"))
	res, _ := answer(t, br)
	expect(t, "status", res.StatusCode, 400)
	srv.Close()
	expect(t, "Shutdown", srv.Shutdown(limited(t)), nil)
	eventually(t, "descriptors", func() bool { return descriptors(t) <= files+1 }) // and the client
}

// Shutdown waits for what a program is answering, as it does through net/http, and the answer arrives.
func TestDoorShutdownWaits(t *testing.T) {
	for _, door := range []bool{true, false} {
		t.Run(map[bool]string{true: "door", false: "net/http"}[door], func(t *testing.T) {
			inside, leave := make(chan bool), make(chan bool)
			srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
			addr := listenOn(t, srv, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inside <- true
				<-leave
				io.WriteString(w, "an answer")
			}), door)
			conn, br := dialTCP(t, addr)
			io.WriteString(conn, sampleUpgrade+"\r\n")
			<-inside
			done := make(chan error, 1)
			go func() { done <- srv.Shutdown(limited(t)) }()
			select {
			case <-done:
				t.Error("Shutdown has returned before the answer")
			case <-time.After(50 * time.Millisecond):
			}
			close(leave)
			_, body := answer(t, br)
			expect(t, "answer", body, "an answer")
			conn.Close()
			if !t.Failed() {
				expect(t, "Shutdown", <-done, nil)
			}
		})
	}
}

// Shutdown waits for a program that is answering, also when its client has gone meanwhile.
func TestDoorShutdownWaitsForHandler(t *testing.T) {
	inside, leave := make(chan bool), make(chan bool)
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
	var returned atomic.Bool
	addr := listenOn(t, srv, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inside <- true
		<-leave
		returned.Store(true)
	}), true)
	files := descriptors(t)
	conn, _ := dialTCP(t, addr)
	io.WriteString(conn, sampleUpgrade+"\r\n")
	<-inside
	reset(conn)
	eventually(t, "the connection has gone", func() bool { return descriptors(t) <= files })
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(limited(t)) }()
	go func() {
		for range 1000 {
			runtime.Gosched() // Shutdown has begun
		}
		close(leave)
	}()
	expect(t, "Shutdown", <-done, nil)
	expect(t, "the handler has returned before Shutdown", returned.Load(), true)
}

// Clients keep coming, in all states, while the server is being closed: it ends, and nothing stays.
func TestDoorCloseInAStorm(t *testing.T) {
	files, goroutines := descriptors(t), runtime.NumGoroutine()
	for round := range 20 {
		srv := roomcast.New(roomcast.Handler{Relay: true}, roomcast.Options{})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr, served := l.Addr().String(), make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		var storm sync.WaitGroup
		for i := range 8 {
			storm.Go(func() {
				for n := 0; ; n++ {
					conn, err := net.Dial("tcp", addr)
					if err != nil {
						return // it has been closed
					}
					conn.SetDeadline(time.Now().Add(20 * time.Second))
					request, cut := sampleUpgrade+"\r\n", (i+n)%4
					io.WriteString(conn, request[:len(request)-cut])
					if cut == 0 && n%2 == 0 {
						bufio.NewReader(conn).ReadByte()
					}
					conn.Close()
				}
			})
		}
		eventually(t, "the storm has begun", func() bool { return srv.Stats().Accepted > uint64(round) })
		srv.Close()
		expect(t, "Serve", <-served, http.ErrServerClosed)
		expect(t, "Shutdown", srv.Shutdown(limited(t)), nil)
		storm.Wait()
	}
	eventually(t, "descriptors", func() bool { return descriptors(t) <= files })
	eventually(t, "goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
}
