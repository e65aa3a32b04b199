package roomcast_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// pongTimeout is how a connection ends whose client does not answer.
var pongTimeout = roomcasttest.End{Code: 1001, Reason: "pong timeout"}

// pass lets the time of the bubble pass, and everything happen that happens by then.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestHeartbeatAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, roomcast.Options{}, nil)
		client, conn := h.dial("lobby")
		pass(30*time.Second - time.Nanosecond)
		expect(t, "pings before 30 s", client.Pings(), 0)
		pass(time.Nanosecond)
		expect(t, "pings after 30 s", client.Pings(), 1)
		pass(time.Hour - 30*time.Second)
		expect(t, "pings in an hour", client.Pings(), 120)
		expect(t, "end", client.Ended(), nil)
		expectAll(t, "members", h.Members("lobby"), conn)
	})
}

// A client that does not answer is closed, whatever else it sends. A pong before the ping is no answer (RFC 6455, section 5.5.3).
func TestHeartbeatMute(t *testing.T) {
	silence := func(*roomcasttest.Client) {}
	talk := func(c *roomcasttest.Client) { c.Send("I am here") }
	pong := func(c *roomcasttest.Client) { c.Write(ws.NewPongFrame(nil)) }
	for name, c := range map[string]struct{ before, after func(*roomcasttest.Client) }{ // the ping
		"silent": {silence, silence}, "talkative": {talk, talk}, "unasked": {pong, silence},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, roomcast.Options{}, nil)
				other, _ := h.dial("lobby")
				client, conn := h.dial("lobby")
				client.Mute()
				pass(29 * time.Second)
				c.before(client)
				pass(6 * time.Second)
				c.after(client)
				pass(5*time.Second - time.Nanosecond)
				expect(t, "end before 40 s", client.Ended(), nil)
				expect(t, "members before 40 s", len(h.Members("lobby")), 2)
				pass(time.Second + time.Nanosecond)
				expect(t, "members after 41 s", len(h.Members("lobby")), 1)
				h.expectEnd("end", client, pongTimeout)
				expectAll(t, "Close", h.endsOf(conn), pongTimeout)
				expect(t, "counted", h.Stats().Ended[roomcast.EndPongTimeout], 1)
				expect(t, "end of the other", other.Ended(), nil)
			})
		})
	}
}

// The same by the clock of the machine: whoever does not answer is found.
func TestHeartbeatMuteOverTCP(t *testing.T) {
	h := overTCP(newHub(t, roomcast.Options{PingInterval: 30 * time.Millisecond}, nil))
	client, conn := h.dial("lobby")
	client.Mute()
	expect(t, "end", client.End(), pongTimeout)
	eventually(t, "Close", func() bool { return len(h.endsOf(conn)) > 0 })
	expectAll(t, "Close", h.endsOf(conn), pongTimeout)
	expect(t, "counted", h.Stats().Ended[roomcast.EndPongTimeout], 1)
	if client.Pings() == 0 {
		t.Error("closed without a ping")
	}
}

// PongTimeout is kept at up to a thirtieth of PingInterval later, never earlier, whatever the two are.
func TestHeartbeatIntervals(t *testing.T) {
	for _, c := range []struct{ interval, timeout, want time.Duration }{
		{0, 0, 10 * time.Second},
		{0, time.Second, time.Second},
		{0, 1500 * time.Millisecond, 1500 * time.Millisecond},
		{0, time.Nanosecond, time.Nanosecond},
		{0, 30 * time.Second, 30 * time.Second},
		{time.Minute, 0, 10 * time.Second},
		{20 * time.Second, 0, 10 * time.Second},
		{10 * time.Second, 0, 10 * time.Second},
		{5 * time.Second, 0, 5 * time.Second},
		{time.Second, 999 * time.Millisecond, 999 * time.Millisecond},
		{31 * time.Millisecond, 31 * time.Millisecond, 31 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(c.interval, " ", c.timeout), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := roomcast.Options{PingInterval: c.interval, PongTimeout: c.timeout}
				h := newHub(t, o, nil)
				if c.interval == 0 {
					c.interval = 30 * time.Second
				}
				tick := c.interval / 30
				start := time.Now()
				client, _ := h.dialRaw("lobby")
				if op, _, err := roomcasttest.ReadFrame(client.br); err != nil || op != ws.OpPing {
					t.Fatalf("opcode %d (%v), want a ping", op, err)
				}
				pinged := time.Now()
				between(t, "ping after", pinged.Sub(start), c.interval-tick, c.interval+tick)
				_, _, end := client.rest()
				expect(t, "end", end, pongTimeout)
				between(t, "closed after the ping by", time.Since(pinged), c.want-30, c.want+tick) // 30 ns: a tick is a whole number of them
			})
		})
	}
}

func between(t *testing.T, what string, got, least, most time.Duration) {
	t.Helper()
	if got < least || got > most {
		t.Errorf("%s %v, want %v to %v", what, got, least, most)
	}
}

// A client whose pong comes at the last moment stays, with a timeout as long as the interval too.
func TestHeartbeatLatePong(t *testing.T) {
	for _, c := range []struct{ interval, timeout, late time.Duration }{
		{0, 0, 10 * time.Second}, {0, 30 * time.Second, 30 * time.Second}, {20 * time.Second, 0, 10 * time.Second},
		{10 * time.Second, 0, 10 * time.Second}, {time.Second, time.Second, time.Second},
	} {
		t.Run(fmt.Sprint(c.interval, " ", c.timeout), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, roomcast.Options{PingInterval: c.interval, PongTimeout: c.timeout}, nil)
				client, conn := h.dialRaw("lobby")
				for i := range 10 {
					if op, _, err := roomcasttest.ReadFrame(client.br); err != nil || op != ws.OpPing {
						t.Fatalf("frame %d: opcode %d (%v), want a ping", i, op, err)
					}
					pass(c.late - time.Millisecond)
					if _, err := client.Write(masked(ws.NewPongFrame(nil))); err != nil {
						t.Fatalf("pong %d: %v; the connection has ended with %v", i, err, h.endsOf(conn))
					}
				}
			})
		})
	}
}

// The pong of a client that is sending a large frame cannot come before the end of it: while bytes keep coming it is let live.
func TestHeartbeatMidFrame(t *testing.T) {
	for name, begin := range map[string][]byte{
		"in the payload": {0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4},
		"in the header":  {0x82},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, roomcast.Options{}, nil)
				client, conn := h.dialRaw("lobby")
				start := time.Now()
				go client.rest()
				pass(27 * time.Second)
				client.Write(begin)
				rest := []byte{0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1}
				for range 10 { // until 117 s: the last byte comes before the ping of 120 s
					pass(9 * time.Second)
					client.Write(rest[:1])
					rest = rest[1:]
				}
				expect(t, "time", time.Since(start), 117*time.Second)
				expect(t, "Close callbacks while bytes come", len(h.endsOf(conn)), 0)
				pass(13*time.Second - time.Nanosecond)
				expect(t, "Close callbacks before 130 s", len(h.endsOf(conn)), 0)
				pass(time.Second + time.Nanosecond)
				expectAll(t, "Close", h.endsOf(conn), pongTimeout)
			})
		})
	}
}

// A message in many small frames is no excuse: the pong could come between two of them (RFC 6455, section 5.4).
func TestHeartbeatBetweenFragments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, roomcast.Options{}, nil)
		client, _ := h.dial("lobby")
		client.Mute()
		op := ws.OpText
		for range 39 {
			client.Write(ws.NewFrame(op, false, []byte("x")))
			op = ws.OpContinuation
			pass(time.Second)
		}
		expect(t, "end after 39 s", client.Ended(), nil)
		pass(2 * time.Second)
		h.expectEnd("end after 41 s", client, pongTimeout)
	})
}

// While the mailbox is full nothing is read, no pong either: the client cannot be blamed.
func TestHeartbeatFullMailbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := make(chan struct{})
		h := newHub(t, roomcast.Options{MailboxBytes: 1}, func(*roomcast.Conn, roomcast.Message) { <-step })
		client, conn := h.dial("lobby")
		client.Send("with the callback")
		synctest.Wait()
		client.Send("fills the mailbox")
		pass(10 * time.Minute)
		expect(t, "Close callbacks while it is full", len(h.endsOf(conn)), 0)
		step <- struct{}{}
		step <- struct{}{}
		pass(10 * time.Minute)
		expect(t, "end", client.Ended(), nil)
		client.Mute()
		pass(41 * time.Second)
		h.expectEnd("end", client, pongTimeout)
	})
}

func TestHeartbeatOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, roomcast.Options{PingInterval: -1}, nil)
		client, _ := h.dial("lobby")
		client.Mute()
		pass(24 * time.Hour)
		expect(t, "pings", client.Pings(), 0)
		expect(t, "end", client.Ended(), nil)
	})
}

// Pings that wait are not held against the client: with one in its outbox the bound is the same as without.
func TestHeartbeatNotInOutboxBytes(t *testing.T) {
	for name, size := range map[string]int{"at the bound": 100, "larger, when nothing else waits": 1000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, roomcast.Options{OutboxBytes: 100}, nil)
				client, conn := h.dialRaw("lobby")
				pass(35 * time.Second) // a ping waits
				expect(t, "error of Send", conn.Send(messageOf(size, "a")), nil)
				if err := conn.Send(messageOf(2, "")); err == nil {
					t.Error("Send past the bound: no error")
				}
				got, pings, end := client.rest()
				expectAll(t, "got", got, messageOf(size, "a").String())
				expect(t, "pings", pings, 1)
				expect(t, "end", end.Code, 1013)
			})
		})
	}
}

// A full outbox does not keep the pings away: a client that reads nothing is found by them.
func TestHeartbeatFullOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, roomcast.Options{OutboxBytes: 100}, nil)
		client, conn := h.dialRaw("lobby")
		expect(t, "error of Send", conn.Send(messageOf(100, "a")), nil)
		pass(41 * time.Second)
		expect(t, "counted", h.Stats().Ended[roomcast.EndPongTimeout], 1)
		_, pings, end := client.rest()
		expect(t, "pings", pings, 1)
		expect(t, "end", end, pongTimeout)
	})
}

// Many connections, made at all times of the wheel's turn, are pinged once in each turn, and not all at the same moment.
func TestHeartbeatMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, roomcast.Options{}, nil)
		var clients []*roomcasttest.Client
		for range 1000 {
			client, _ := h.dial("lobby")
			clients = append(clients, client)
			<-time.After(31 * time.Millisecond)
		}
		pings := func() []int {
			counts := make([]int, len(clients))
			for i, c := range clients {
				counts[i] = c.Pings()
			}
			return counts
		}
		pass(30 * time.Second)
		before := pings()
		pass(time.Second)
		atOnce := 0
		for i, n := range pings() {
			atOnce += n - before[i]
		}
		between(t, "pings in a second, counted in ns,", time.Duration(atOnce), 10, 100)
		pass(29 * time.Second)
		for i, n := range pings() {
			if n-before[i] != 1 {
				t.Fatalf("connection %d was pinged %d times in a turn, want once", i, n-before[i])
			}
		}
		pass(10 * time.Minute)
		expect(t, "connections", h.Stats().Connections, 1000)
		expect(t, "members", len(h.Members("lobby")), 1000)
	})
}

// The wheel stands still without connections, and starts again with the next one.
func TestHeartbeatAfterPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, roomcast.Options{}, nil)
		for range 3 {
			client, _ := h.dial("lobby")
			pass(65 * time.Second)
			expect(t, "pings", client.Pings(), 2)
			client.Close(1000, "")
			pass(time.Hour + 700*time.Millisecond)
		}
	})
}
