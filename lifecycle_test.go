package roomcast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// goingAway is how Shutdown ends a connection, and lost how it ends without a Close frame.
var (
	goingAway = roomcasttest.End{Code: 1001, Reason: "server going away"}
	lost      = roomcasttest.End{Code: 1006}
)

// shutdown calls Shutdown and returns its result when it has one.
func (h *hub) shutdown(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() { done <- h.Shutdown(ctx) }()
	return done
}

// expectPending checks that a call has not returned, once everything has come to rest.
func (h *hub) expectPending(what string, done <-chan error) {
	h.t.Helper()
	h.settle()
	if len(done) > 0 {
		h.t.Errorf("%s has returned, want it to wait", what)
	}
}

// hold is a Message callback that says that it has begun, and does not return before it is let go.
type hold struct{ begun, leave chan struct{} }

func newHold() hold { return hold{make(chan struct{}, 100), make(chan struct{})} }

func (o hold) message(*roomcast.Conn, roomcast.Message) {
	o.begun <- struct{}{}
	<-o.leave
}

func TestShutdown(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		h := on(newHub(t, roomcast.Options{}, nil))
		var clients []*roomcasttest.Client
		var conns []*roomcast.Conn
		for i := range 20 {
			client, conn := h.dial(fmt.Sprint("room", i%3))
			clients, conns = append(clients, client), append(conns, conn)
		}
		h.Broadcast("room1", roomcast.Text("one"))
		h.Broadcast("room1", roomcast.Text("two"))
		start := time.Now()
		expect(t, "Shutdown", h.Shutdown(limited(t)), nil)
		for i, client := range clients {
			h.expectEnd("end", client, goingAway)
			expectAll(t, "Close", h.endsOf(conns[i]), goingAway) // at the latest when Shutdown returns
			if i%3 == 1 {
				expectAll(t, "got before the Close frame", texts(client.Waiting()), "one", "two")
			}
		}
		st := h.Stats()
		expect(t, "counted", st.Ended[roomcast.EndShutdown], 20)
		expect(t, "connections", st.Connections, 0)
		expect(t, "rooms", st.Rooms, 0)
		expect(t, "second Shutdown", h.Shutdown(limited(t)), nil)
		expect(t, "Close after it", h.Close(), nil)
		expect(t, "time", h.since(start), 0)
		answerTo(t, h, roomcasttest.Request("/lobby"), http.StatusServiceUnavailable)
	})
}

// Shutdown waits for a callback that is under way, and meanwhile lets nobody in; so does a second one.
func TestShutdownWaitsForCallbacks(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		held := newHold()
		h := on(newHub(t, roomcast.Options{}, held.message))
		client, conn := h.dial("lobby")
		client.Send("with the callback")
		<-held.begun
		first, second := h.shutdown(limited(t)), h.shutdown(limited(t))
		h.expectPending("Shutdown", first)
		h.expectPending("the second Shutdown", second)
		h.expectEnd("end", client, goingAway)
		expect(t, "Close callbacks before the last Message callback has returned", len(h.endsOf(conn)), 0)
		answerTo(t, h, roomcasttest.Request("/lobby"), http.StatusServiceUnavailable)
		close(held.leave)
		expect(t, "Shutdown", errors.Join(<-first, <-second), nil)
		expectAll(t, "Close", h.endsOf(conn), goingAway)
	})
}

func TestShutdownUntilContextEnds(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		h := on(newHub(t, roomcast.Options{CloseTimeout: time.Hour}, nil))
		client, conn := h.dialRaw("lobby")
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		expect(t, "Shutdown", h.Shutdown(ctx), context.DeadlineExceeded)
		expect(t, "Shutdown after it", h.Shutdown(limited(t)), nil)
		if h.addr == "" {
			expect(t, "time", time.Since(start), 100*time.Millisecond)
		}
		expectAll(t, "Close", h.endsOf(conn), goingAway)
		h.expectUnread(client, goingAway)
	})
}

// expectUnread checks how a client's connection has ended that was cut before the client read anything. Over TCP the Close frame may
// be in its socket.
func (h *hub) expectUnread(client rawClient, closed roomcasttest.End) {
	h.t.Helper()
	if _, _, end := client.rest(); end != lost && (h.addr == "" || end != closed) {
		h.t.Errorf("end of who has not read: %v, want %v", end, lost)
	}
}

// A client that has not finished its upgrade request when ctx ends is cut like the others.
func TestShutdownCutsHalfFinishedHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, roomcast.Options{HandshakeTimeout: time.Hour}, nil)
		conn, br := serveOnPipes(t, h.Server).dial(t)
		io.WriteString(conn, sampleUpgrade)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		expect(t, "Shutdown", h.Shutdown(ctx), context.DeadlineExceeded)
		io.Copy(io.Discard, br) // until the server hangs up
		expect(t, "cut after", time.Since(start), time.Second)
	})
}

// A client that closes right behind its request, before the server has seen to the rest of it, is answered like any other.
func TestCloseBehindRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := roomcast.New(roomcast.Handler{Connect: func(c *roomcast.Conn, _ *http.Request) error {
			for range 2 { // callers that get in the way of the connection's first steps
				go func() {
					for c.Join("lobby") == nil && c.Value() == nil {
					}
				}()
			}
			return nil
		}}, roomcast.Options{})
		l := serveOnPipes(t, srv)
		for range 2000 {
			conn, br := l.dial(t)
			go io.WriteString(conn, sampleUpgrade+"\r\n"+string(masked(ws.NewCloseFrame(nil))))
			go io.Copy(io.Discard, br)
		}
		pass(5 * time.Second) // CloseTimeout
		expect(t, "connections", srv.Stats().Connections, 0)
	})
}

// A client whose Connect callback is running when Shutdown comes gets its 101, and then 1001.
func TestShutdownWhileConnecting(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		begun, step, late := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		ends := make(chan roomcasttest.End, 2)
		srv := roomcast.New(roomcast.Handler{
			Connect: func(c *roomcast.Conn, _ *http.Request) error {
				close(begun)
				<-step
				late <- c.Join("lobby")
				return nil
			},
			Close: func(_ *roomcast.Conn, code int, reason string) { ends <- roomcasttest.End{Code: code, Reason: reason} },
		}, roomcast.Options{})
		h := on(&hub{Server: srv, t: t})
		connected := make(chan *roomcasttest.Client)
		go func() { connected <- h.client("/") }()
		<-begun
		done := h.shutdown(limited(t))
		h.expectPending("Shutdown", done)
		eventually(t, "Shutdown has begun", func() bool { return srv.Stats().Ended[roomcast.EndShutdown] == 1 })
		close(step)
		if err := <-late; !errors.Is(err, roomcast.ErrClosed) {
			t.Errorf("Join after Shutdown: %v, want ErrClosed", err)
		}
		expect(t, "end", (<-connected).End(), goingAway)
		expect(t, "Shutdown", <-done, nil)
		expect(t, "Close", <-ends, goingAway)
		expect(t, "Close callbacks more", len(ends), 0)
	})
}

// Close cuts everybody without a Close frame, those who are connecting or closing too; Shutdown waits for their callbacks.
func TestClose(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		held := newHold()
		h := on(newHub(t, roomcast.Options{CloseTimeout: time.Hour}, held.message))
		client, conn := h.dial("lobby")
		busy, busyConn := h.dial("lobby")
		stuck, stuckConn := h.dialRaw("lobby")
		busy.Send("with the callback")
		<-held.begun
		inVain := roomcasttest.End{Code: 4000, Reason: "in vain"}
		expect(t, "Conn.Close", stuckConn.Close(inVain.Code, inVain.Reason), nil)
		h.settle()
		start := time.Now()
		expect(t, "Close", errors.Join(h.Close(), h.Close()), nil)
		h.expectEnd("end", client, lost)
		h.expectEnd("end of the busy one", busy, lost)
		h.expectUnread(stuck, inVain)
		h.settle()
		eventually(t, "Close", func() bool { return len(h.endsOf(conn)) > 0 && len(h.endsOf(stuckConn)) > 0 })
		expectAll(t, "Close", h.endsOf(conn), lost)
		expectAll(t, "Close of the stuck one", h.endsOf(stuckConn), inVain)
		expectAll(t, "Close of the busy one", h.endsOf(busyConn))
		done := h.shutdown(limited(t))
		h.expectPending("Shutdown", done)
		close(held.leave)
		expect(t, "Shutdown", <-done, nil)
		expectAll(t, "Close of the busy one", h.endsOf(busyConn), lost)
		expect(t, "time", h.since(start), 0)
		answerTo(t, h, roomcasttest.Request("/lobby"), http.StatusServiceUnavailable)
	})
}

// Close does not wait for a client that does not take its 101 either.
func TestCloseWhileAnswering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, start := newHub(t, roomcast.Options{}, nil), time.Now()
		conn, _ := serveOnPipes(t, h.Server).dial(t)
		io.WriteString(conn, sampleUpgrade+"\r\n")
		c := <-h.conns
		synctest.Wait()
		h.Close()
		expect(t, "Shutdown", h.Shutdown(limited(t)), nil)
		expectAll(t, "Close", h.endsOf(c), lost)
		expect(t, "time", time.Since(start), 0)
	})
}

// What the Close callback is told and the client sees, whoever begins.
var closeCases = []struct {
	name         string
	end          func(*roomcasttest.Client, *roomcast.Conn)
	code         int
	reason       string
	why          roomcast.EndReason
	handleQueued bool // whether messages that wait are handled
}{
	{"client", clientCloses(1000, "bye"), 1000, "bye", roomcast.EndClient, true},
	{"client, own code", clientCloses(4999, ""), 4999, "", roomcast.EndClient, true},
	{"client, no code", clientWrites(ws.NewCloseFrame(nil)), 1005, "", roomcast.EndClient, true},
	{"client, forbidden code", clientCloses(1006, ""), 1002, "Close frame with code 1006, which must not be sent",
		roomcast.EndProtocol, true},
	{"drop", func(c *roomcasttest.Client, _ *roomcast.Conn) { c.Drop() }, 1006, "", roomcast.EndNetwork, true},
	{"server", serverCloses(1000, "done"), 1000, "done", roomcast.EndServer, false},
	{"server, own code", serverCloses(3000, ""), 3000, "", roomcast.EndServer, false},
	{"server, longest reason", serverCloses(1014, strings.Repeat("x", 123)), 1014, strings.Repeat("x", 123), roomcast.EndServer, false},
	{"server twice", func(_ *roomcasttest.Client, c *roomcast.Conn) { c.Close(4001, "first"); c.Close(4002, "second") },
		4001, "first", roomcast.EndServer, false},
}

func clientCloses(code int, reason string) func(*roomcasttest.Client, *roomcast.Conn) {
	return clientWrites(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), reason)))
}

func clientWrites(f ws.Frame) func(*roomcasttest.Client, *roomcast.Conn) {
	return func(c *roomcasttest.Client, _ *roomcast.Conn) { c.Write(f) }
}

func serverCloses(code int, reason string) func(*roomcasttest.Client, *roomcast.Conn) {
	return func(_ *roomcasttest.Client, c *roomcast.Conn) { c.Close(code, reason) }
}

func TestCloseCodes(t *testing.T) {
	for _, c := range closeCases {
		t.Run(c.name, func(t *testing.T) {
			forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
				held := newHold()
				h := on(newHub(t, roomcast.Options{}, held.message))
				client, conn := h.dial("lobby")
				for range 3 {
					client.Send("one with the callback, two waiting")
				}
				<-held.begun
				h.Broadcast("lobby", roomcast.Text("before the end"))
				expect(t, "got", client.Receive().String(), "before the end")
				h.settle()
				start, want := time.Now(), roomcasttest.End{Code: c.code, Reason: c.reason}
				c.end(client, conn)
				h.expectEnd("end", client, want)
				expect(t, "Close callbacks before the last Message callback", len(h.endsOf(conn)), 0)
				eventually(t, "no members", func() bool { return len(h.Members("lobby")) == 0 })
				close(held.leave)
				h.settle()
				eventually(t, "no connections", func() bool { return h.Stats().Connections == 0 })
				expectAll(t, "Close", h.endsOf(conn), want)
				expect(t, "Message callbacks more", len(held.begun), map[bool]int{true: 2, false: 0}[c.handleQueued])
				expectAll(t, "got more", texts(client.Waiting()))
				expect(t, "counted", h.Stats().Ended[c.why], 1)
				expect(t, "time", h.since(start), 0)
			})
		})
	}
}

func TestConnCloseRefuses(t *testing.T) {
	h := newHub(t, roomcast.Options{}, nil)
	client, conn := h.dial("lobby")
	for code, reason := range map[int]string{
		0: "", 999: "", 1004: "", 1005: "", 1006: "", 1015: "", 1016: "", 2999: "", 5000: "", -1: "", 65536 + 1000: "",
		1000: strings.Repeat("x", 124), 1001: "\xff",
	} {
		if err := conn.Close(code, reason); err == nil || !strings.HasPrefix(err.Error(), "roomcast: ") ||
			reason == "" && !strings.Contains(err.Error(), fmt.Sprint(code)) {
			t.Errorf("Close(%d, %q): %v, want a clear error", code, reason, err)
		}
	}
	h.Broadcast("lobby", roomcast.Text("still here"))
	expect(t, "got", client.Receive().String(), "still here")
}

// A callback that ends its goroutine ends its connection alone, and what it holds up is not held up.
func TestCallbacksThatDoNotReturn(t *testing.T) {
	internal := roomcasttest.End{Code: 1011, Reason: "internal error"}
	bye := roomcasttest.End{Code: 1000, Reason: "bye"}
	fails := map[string]func(){
		"panic": func() { panic("oh no") }, "panic(nil)": func() { panic(nil) },
		"abort": func() { panic(http.ErrAbortHandler) }, "Goexit": runtime.Goexit,
	}
	for _, c := range []struct {
		callback string
		client   roomcasttest.End
		calls    string
	}{
		{"Connect", internal, "Connect Close"},
		{"Message", internal, "Connect Message Close"},
		{"Close", bye, "Connect Message Message Close"},
	} {
		for how, fail := range fails {
			t.Run(c.callback+" "+how, func(t *testing.T) {
				forEachTransport(t, func(t *testing.T, on func(*hub) *hub) { testNoReturn(t, on, c.callback, fail, c.client, c.calls) })
			})
		}
	}
}

func testNoReturn(t *testing.T, on func(*hub) *hub, callback string, fail func(), end roomcasttest.End, want string) {
	var calls []string
	step, told := make(chan struct{}), roomcasttest.End{}
	call := func(name string) {
		if calls = append(calls, name); name == callback {
			fail()
		}
	}
	var logged syncBuffer
	srv := roomcast.New(roomcast.Handler{
		Connect: func(*roomcast.Conn, *http.Request) error { call("Connect"); return nil },
		Message: func(*roomcast.Conn, roomcast.Message) { <-step; call("Message") },
		Close: func(_ *roomcast.Conn, code int, reason string) {
			told = roomcasttest.End{Code: code, Reason: reason}
			call("Close")
		},
	}, roomcast.Options{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	h := on(&hub{t: t, Server: srv})
	client := h.client("/")
	if callback != "Connect" {
		client.Write(ws.NewTextFrame([]byte("with the callback")))
		client.Write(ws.NewTextFrame([]byte("waiting")))
	}
	h.settle()
	close(step)
	if callback == "Close" {
		client.Close(1000, "bye")
	}
	h.expectEnd("end", client, end)
	expect(t, "Shutdown", srv.Shutdown(limited(t)), nil)
	expect(t, "callbacks", strings.Join(calls, " "), want)
	expect(t, "told to Close", told, end)
	expect(t, "counted", srv.Stats().Ended[roomcast.EndPanic], map[bool]uint64{true: 1}[end.Code == 1011])
	for _, part := range []string{"level=ERROR", "callback=" + callback, "lifecycle_test.go"} { // with its stack
		if !strings.Contains(logged.String(), part) {
			t.Errorf("logged %q, want %s in it", logged.String(), part)
		}
	}
}

// A rejected client gets its 101, what Connect has sent it, and 1008; its Close callback runs, and it was in no room for long.
func TestRejection(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		ends := make(chan roomcasttest.End, 2)
		srv := roomcast.New(roomcast.Handler{
			Connect: func(c *roomcast.Conn, _ *http.Request) error {
				return errors.Join(c.Join("lobby"), c.Send(roomcast.Text("go away")), errors.New("the secret reason"))
			},
			Close: func(_ *roomcast.Conn, code int, reason string) { ends <- roomcasttest.End{Code: code, Reason: reason} },
		}, roomcast.Options{})
		h := on(&hub{t: t, Server: srv})
		client := h.client("/")
		expect(t, "members", len(srv.Members("lobby"))+len(srv.Rooms()), 0)
		h.expectEnd("end", client, roomcasttest.End{Code: 1008, Reason: "rejected"})
		expectAll(t, "got", texts(client.Waiting()), "go away")
		expect(t, "Shutdown", srv.Shutdown(limited(t)), nil)
		expect(t, "Close", <-ends, roomcasttest.End{Code: 1008, Reason: "rejected"})
		expect(t, "Close callbacks more", len(ends), 0)
		expect(t, "counted", srv.Stats().Ended[roomcast.EndRejected], 1)
	})
}
