package roomcast_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// hub is a server whose connections join the room named by their path, and what the tests see of it.
type hub struct {
	*roomcast.Server
	t     testing.TB
	addr  string              // of its TCP socket; "" if clients come over pipes
	conns chan *roomcast.Conn // the connection dialled last

	mu   sync.Mutex
	ends map[*roomcast.Conn][]roomcasttest.End // what the Close callback was told
}

// newHub returns a hub whose messages are handled by message, or go to the others in the room if it is nil.
func newHub(t testing.TB, o roomcast.Options, message func(*roomcast.Conn, roomcast.Message)) *hub {
	h := &hub{t: t, conns: make(chan *roomcast.Conn, 1), ends: map[*roomcast.Conn][]roomcasttest.End{}}
	if message == nil {
		message = func(c *roomcast.Conn, m roomcast.Message) {
			h.BroadcastExcept(c.Path()[1:], m, c)
		}
	}
	h.Server = roomcast.New(roomcast.Handler{
		Connect: func(c *roomcast.Conn, r *http.Request) error {
			h.conns <- c
			return c.Join(r.URL.Path[1:])
		},
		Message: message,
		Close: func(c *roomcast.Conn, code int, reason string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.ends[c] = append(h.ends[c], roomcasttest.End{Code: code, Reason: reason})
		},
	}, o)
	t.Cleanup(func() {
		h.Close()
		h.Shutdown(context.Background()) // waits, for as long as the test may take
	})
	return h
}

// dial returns a client in the room, and its connection.
func (h *hub) dial(room string) (*roomcasttest.Client, *roomcast.Conn) {
	h.t.Helper()
	return h.client("/" + room), <-h.conns
}

// endsOf returns what the Close callback of c was told, call by call.
func (h *hub) endsOf(c *roomcast.Conn) []roomcasttest.End {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ends[c])
}

func texts(messages []roomcast.Message) []string {
	var texts []string
	for _, m := range messages {
		texts = append(texts, m.String())
	}
	return texts
}

func expect[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func expectAll[T comparable](t testing.TB, what string, got []T, want ...T) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("%s: %d, want %d; from number %d on they are %.100v, want %.100v", what, len(got), len(want), i,
				got[min(i, len(got)):], want[min(i, len(want)):])
			return
		}
	}
}

func TestG1_Membership(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		h := on(newHub(t, roomcast.Options{}, nil))
		a, conn := h.dial("lobby")
		h.Broadcast("game", roomcast.Text("before joining"))
		if err := errors.Join(conn.Join("game"), conn.Join("game")); err != nil {
			t.Fatal(err)
		}
		h.Broadcast("game", roomcast.Text("joined twice"))
		conn.Leave("elsewhere")
		h.Broadcast("game", roomcast.Text("left another room"))
		conn.Leave("game")
		h.Broadcast("game", roomcast.Text("after leaving once"))
		h.Broadcast("lobby", roomcast.Text("still here"))
		h.BroadcastExcept("lobby", roomcast.Text("not for a"), conn)
		conn.Send(roomcast.Text("end"))
		expectAll(t, "received", until(a, "end"), "joined twice", "left another room", "still here")
	})
}

func TestG2_BothViews(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		h := on(newHub(t, roomcast.Options{}, nil))
		a, ca := h.dial("one")
		_, cb := h.dial("two")
		if err := errors.Join(ca.Join("two"), ca.Join("three")); err != nil {
			t.Fatal(err)
		}
		rooms := ca.Rooms()
		slices.Sort(rooms)
		expectAll(t, "rooms of a", rooms, "one", "three", "two")
		expect(t, "members of two", len(h.Members("two")), 2)
		a.Close(1000, "")
		expect(t, "rooms of a after its close", len(ca.Rooms()), 0)
		expectAll(t, "members of two", h.Members("two"), cb)
		expectAll(t, "rooms", h.Rooms(), "two")
	})
}

func TestG3_NothingStays(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		h := on(newHub(t, roomcast.Options{CloseTimeout: time.Hour}, nil))
		first, _ := h.dial("lobby") // the goroutines that let it in are the server's
		first.Close(1000, "")
		h.settle()
		goroutines := runtime.NumGoroutine()
		var gone []weak.Pointer[roomcast.Conn]
		for i := range 300 {
			func() {
				client, conn := h.dial(fmt.Sprint("room", i%7))
				gone = append(gone, weak.Make(conn))
				conn.Join(fmt.Sprint("own", i))
				client.Send("hello")
				h.Broadcast(fmt.Sprint("own", i), roomcast.Text("hello"))
				if i%3 == 0 {
					client.Drop()
				} else if i%3 == 1 {
					client.Close(1000, "bye")
				} else {
					conn.Close(1000, "bye")
				}
				client.End()
			}()
		}
		eventually(t, "connections", func() bool { return h.Stats().Connections == 0 })
		expect(t, "rooms", len(h.Rooms()), 0)
		eventually(t, "goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
		clear(h.ends)
		eventually(t, "memory", func() bool {
			runtime.GC()
			return !slices.ContainsFunc(gone, func(c weak.Pointer[roomcast.Conn]) bool { return c.Value() != nil })
		})
	})
}

func TestG4_OneOrder(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		const senders, members, each = 8, 10, 200
		h := on(newHub(t, roomcast.Options{}, nil))
		var clients []*roomcasttest.Client
		for range members {
			c, _ := h.dial("room")
			clients = append(clients, c)
		}
		var sending sync.WaitGroup
		for s := range senders {
			sending.Go(func() {
				for n := range each {
					h.Broadcast("room", roomcast.Text(fmt.Sprintf("%d %d", s, n)))
				}
			})
		}
		var first []string
		for i, c := range clients {
			var seen []string
			next := map[int]int{}
			for range senders * each {
				var s, n int
				m := c.Receive().String()
				fmt.Sscan(m, &s, &n)
				if n != next[s] {
					t.Fatalf("member %d: message %d of sender %d, want %d", i, n, s, next[s])
				}
				next[s]++
				seen = append(seen, m)
			}
			if first == nil {
				first = seen
			}
			if !slices.Equal(seen, first) {
				t.Fatalf("members 0 and %d see the room's broadcasts in different orders", i)
			}
		}
		sending.Wait()
	})
}

// disconnects is what a connection can end by.
var disconnects = map[string]func(*roomcasttest.Client, *roomcast.Conn, *hub){
	"client closes":  func(c *roomcasttest.Client, _ *roomcast.Conn, _ *hub) { c.Close(1000, "") },
	"network":        func(c *roomcasttest.Client, _ *roomcast.Conn, _ *hub) { c.Drop() },
	"server closes":  func(_ *roomcasttest.Client, c *roomcast.Conn, _ *hub) { c.Close(4000, "") },
	"protocol error": func(c *roomcasttest.Client, _ *roomcast.Conn, _ *hub) { c.Write(ws.NewFrame(3, true, nil)) },
	"pong timeout":   func(c *roomcasttest.Client, _ *roomcast.Conn, _ *hub) { c.Mute() },
	"callback panic": func(c *roomcasttest.Client, _ *roomcast.Conn, _ *hub) { c.Send("panic") },
	"shutdown":       func(_ *roomcasttest.Client, _ *roomcast.Conn, h *hub) { h.Shutdown(h.t.Context()) },
	"server cut":     func(_ *roomcasttest.Client, _ *roomcast.Conn, h *hub) { h.Close() },
	"too slow": func(c *roomcasttest.Client, _ *roomcast.Conn, h *hub) {
		c.Stall()
		for h.Stats().Ended[roomcast.EndOutboxFull] == 0 { // over TCP the sockets take some megabytes first
			h.Broadcast("room", roomcast.Binary(make([]byte, 600<<10)))
		}
	},
}

// The five steps of a disconnect, for each of its causes, seen from inside the Close callback and around it.
func TestG5_Disconnect(t *testing.T) {
	for name, cause := range disconnects {
		t.Run(name, func(t *testing.T) {
			o := roomcast.Options{}
			if name == "pong timeout" {
				o.PingInterval = 500 * time.Millisecond
			}
			forEachTransport(t, func(t *testing.T, on func(*hub) *hub) { testDisconnect(t, on, o, cause) })
		})
	}
}

func testDisconnect(t *testing.T, on func(*hub) *hub, o roomcast.Options, cause func(*roomcasttest.Client, *roomcast.Conn, *hub)) {
	var calls []string
	handled := make(chan bool, 2)
	h := &hub{t: t, conns: make(chan *roomcast.Conn, 1)}
	h.Server = roomcast.New(roomcast.Handler{
		Connect: func(c *roomcast.Conn, _ *http.Request) error {
			h.conns <- c
			return errors.Join(c.Join("room"), c.Join("other"))
		},
		Message: func(c *roomcast.Conn, m roomcast.Message) {
			calls = append(calls, m.String())
			handled <- true
			if m.String() == "panic" {
				panic("as asked")
			}
		},
		Close: func(c *roomcast.Conn, code int, _ string) {
			calls = append(calls, "close")
			expect(t, "rooms of the connection", len(c.Rooms()), 0)
			expect(t, "rooms", len(h.Rooms()), 0)
			expect(t, "members", len(h.Members("room")), 0)
			failed, _ := h.Broadcast("room", roomcast.Text("late"))
			expect(t, "failures of a broadcast to a room that is gone", failed, 0)
			if err := c.Join("room"); !errors.Is(err, roomcast.ErrClosed) {
				t.Errorf("late join: %v, want ErrClosed", err)
			}
			if err := c.Send(roomcast.Text("late")); !errors.Is(err, roomcast.ErrClosed) {
				t.Errorf("late send: %v, want ErrClosed", err)
			}
			c.Leave("room")
			if err := c.Close(1000, ""); err != nil {
				t.Errorf("late close: %v", err)
			}
		},
	}, o)
	on(h)
	client, conn := h.dial("")
	client.Send("hello")
	<-handled
	cause(client, conn, h)
	client.Go()
	client.End()
	if err := h.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(calls); n < 2 || calls[0] != "hello" || calls[n-1] != "close" || slices.Index(calls, "close") != n-1 {
		t.Errorf("callbacks %v, want hello first and close once, last", calls)
	}
	for _, m := range client.Waiting() {
		if m.String() == "late" {
			t.Error("a closed connection was reached")
		}
	}
}

// Callbacks of one connection never overlap and see its messages in order; those of two run in parallel, or neither could go on.
func TestG6_Actor(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		const messages = 500
		var meet sync.WaitGroup
		meet.Add(2)
		var got [2][]string
		var inside [2]atomic.Int32
		h := on(newHub(t, roomcast.Options{}, func(c *roomcast.Conn, m roomcast.Message) {
			who := int(c.Path()[1] - '0')
			if inside[who].Add(1) != 1 {
				t.Error("two callbacks of one connection at once")
			}
			if len(got[who]) == 0 {
				meet.Done()
				meet.Wait()
			}
			got[who] = append(got[who], m.String())
			inside[who].Add(-1)
		}))
		var sending sync.WaitGroup
		var want []string
		for i := range messages {
			want = append(want, fmt.Sprint(i))
		}
		for who := range 2 {
			client, _ := h.dial(fmt.Sprint(who))
			sending.Go(func() {
				for _, text := range want {
					client.Send(text)
				}
				client.Close(1000, "")
			})
		}
		sending.Wait()
		if err := h.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		expectAll(t, "messages of 0", got[0], want...)
		expectAll(t, "messages of 1", got[1], want...)
	})
}

// A panic ends its own connection with 1011 and leaves another, in the same room, alone.
func TestG6_Panic(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		h := on(newHub(t, roomcast.Options{}, func(_ *roomcast.Conn, m roomcast.Message) { panic(m.String()) }))
		a, ca := h.dial("room")
		b, cb := h.dial("room")
		a.Send("boom")
		expect(t, "end of a", a.End(), roomcasttest.End{Code: 1011, Reason: "internal error"})
		expectAll(t, "members", h.Members("room"), cb)
		h.Broadcast("room", roomcast.Text("still here"))
		expect(t, "b receives", b.Receive().String(), "still here")
		b.Close(1000, "")
		if err := h.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		expectAll(t, "close callbacks of a", h.endsOf(ca), roomcasttest.End{Code: 1011, Reason: "internal error"})
		expect(t, "panics counted", h.Stats().Ended[roomcast.EndPanic], 1)
	})
}

// A member that does not read holds up nobody: not a broadcast, not a join, not the other members; it is closed at its bound, and
// what it has been sent by then is whole and in order.
func TestG7_SlowMember(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		h := on(newHub(t, roomcast.Options{OutboxBytes: 100_000, CloseTimeout: 100 * time.Millisecond}, nil))
		slow, cs := h.dial("room")
		slow.Stall()
		quick, cq := h.dial("room")
		message := func(i int) string { return fmt.Sprintf("%010000d", i) }
		failures := 0
		full := func() bool { return h.Stats().Ended[roomcast.EndOutboxFull] > 0 }
		for i := 0; i < 50 || !full(); i++ { // over TCP the sockets take some megabytes first
			failed, _ := h.Broadcast("room", roomcast.Text(message(i)))
			failures += failed
			if err := cq.Join("another"); err != nil {
				t.Fatal(err)
			}
			cq.Leave("another")
			if got := quick.Receive().String(); got != message(i) {
				t.Fatalf("the quick member receives %.100q, want message %d", got, i)
			}
		}
		expect(t, "failures", failures, 1)
		expectAll(t, "members", h.Members("room"), cq)
		eventually(t, "the slow member is cut", func() bool { return h.Stats().Connections == 1 })
		expectAll(t, "end of the slow member", h.endsOf(cs), roomcasttest.End{Code: 1013, Reason: "too slow"})
		slow.Go()
		slow.End()
		for i, got := range texts(slow.Waiting()) {
			if got != message(i) {
				t.Fatalf("the slow member receives %.100q, want message %d", got, i)
			}
		}
	})
}

// One connection after the other breaks the rules; each is closed with the right code, and a bystander in the room is not.
func TestG8_BrokenClients(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		h := on(newHub(t, roomcast.Options{MaxMessageBytes: 1000}, nil))
		bystander, _ := h.dial("room")
		unmasked := func(c *roomcasttest.Client) { c.WriteRaw([]byte{0x81, 0x01, 'a'}) }
		for name, broken := range map[string]struct {
			send func(*roomcasttest.Client)
			code int
		}{
			"unmasked":        {unmasked, 1002},
			"reserved opcode": {func(c *roomcasttest.Client) { c.Write(ws.NewFrame(0x3, true, nil)) }, 1002},
			"invalid UTF-8":   {func(c *roomcasttest.Client) { c.Send("\xff") }, 1007},
			"too big":         {func(c *roomcasttest.Client) { c.Send(string(make([]byte, 1001))) }, 1009},
			"bad close code": {func(c *roomcasttest.Client) {
				c.Write(ws.NewCloseFrame(ws.NewCloseFrameBody(1005, "")))
			}, 1002},
		} {
			client, conn := h.dial("room")
			broken.send(client)
			if end := client.End(); end.Code != broken.code || end.Reason == "" {
				t.Errorf("%s: closed with %+v, want %d and a reason", name, end, broken.code)
			}
			h.Broadcast("room", roomcast.Text(name))
			expect(t, "the bystander receives", bystander.Receive().String(), name)
			expect(t, name+": rooms", len(conn.Rooms()), 0)
		}
	})
}

// Everything at once from inside callbacks of many connections in the same rooms: it ends, which a deadlock would not.
func TestG9_NoDeadlock(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		var h *hub
		h = newHub(t, roomcast.Options{OutboxBytes: 2000}, func(c *roomcast.Conn, m roomcast.Message) {
			for i := range 4 {
				room := fmt.Sprint("room", i)
				c.Join(room)
				h.Broadcast(room, m)
				for _, other := range h.Members(room) {
					other.Leave(room)
					other.Join(room)
					other.Send(m)
				}
				h.Rooms()
				h.Stats()
			}
		})
		on(h) // not before h is set: the callback has it
		var working sync.WaitGroup
		for i := range 16 {
			client, conn := h.dial(fmt.Sprint("room", i%4))
			if i%4 == 3 {
				client.Stall()
			}
			working.Go(func() {
				for n := range 20 {
					if client.TrySend("x") != nil {
						return // too much was waiting for it
					}
					if n == 15 && i%2 == 0 {
						conn.Close(1000, "")
						return
					}
				}
			})
		}
		working.Wait()
		h.Close()
		if err := h.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// The Connect callback has returned before the client sees the 101, and what is broadcast to the rooms it joined, even before
// that, arrives.
func TestG11_ConnectedMeansJoined(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		joined, proceed := make(chan bool), make(chan bool)
		srv := roomcast.New(roomcast.Handler{Connect: func(c *roomcast.Conn, r *http.Request) error {
			defer func() { joined <- true; <-proceed }()
			return c.Join("room")
		}}, roomcast.Options{})
		h := on(&hub{t: t, Server: srv})
		var client *roomcasttest.Client
		dialled := make(chan bool)
		go func() {
			client = h.client("/")
			srv.Broadcast("room", roomcast.Text("after the 101"))
			close(dialled)
		}()
		<-joined
		srv.Broadcast("room", roomcast.Text("while connecting"))
		h.settle()
		select {
		case <-dialled:
			t.Fatal("the client has its 101 while the Connect callback is running")
		default:
		}
		proceed <- true
		<-dialled
		expect(t, "first", client.Receive().String(), "while connecting")
		expect(t, "second", client.Receive().String(), "after the 101")
		client.Close(1000, "")
		srv.Shutdown(t.Context())
	})
}
