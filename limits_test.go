package roomcast_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// rawClient is a client that does nothing by itself: while the test does not read, the server can write nothing.
type rawClient struct {
	net.Conn
	br *bufio.Reader
}

func (h *hub) dialRaw(room string) (rawClient, *roomcast.Conn) {
	h.t.Helper()
	return h.upgrade(roomcasttest.Request("/" + room)), <-h.conns
}

// rest reads what comes until the connection ends, for at most an hour, and hangs up at the Close frame. It answers no pings.
func (c rawClient) rest() (got []string, pings int, end roomcasttest.End) {
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(time.Hour))
	for {
		op, payload, err := roomcasttest.ReadFrame(c.br)
		switch {
		case err != nil:
			return got, pings, roomcasttest.End{Code: roomcast.CloseAbnormal}
		case op == ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			return got, pings, roomcasttest.End{Code: int(code), Reason: reason}
		case op == ws.OpPing:
			pings++
		default:
			got = append(got, string(payload))
		}
	}
}

// masked is a frame in the bytes a client sends.
func masked(f ws.Frame) []byte { return ws.MustCompileFrame(ws.MaskFrame(f)) }

// messageOf returns a message whose frame has n bytes (RFC 6455, section 5.2), all of it fill.
func messageOf(n int, fill string) roomcast.Message {
	switch {
	case n <= 2+125:
		n -= 2
	case n <= 4+65535:
		n -= 4
	default:
		n -= 10
	}
	return roomcast.Text(strings.Repeat(fill, n))
}

func TestMaxMessageBytes(t *testing.T) {
	part := func(op ws.OpCode, fin bool, n int) ws.Frame { return ws.NewFrame(op, fin, make([]byte, n)) }
	for _, c := range []struct {
		name   string
		frames []ws.Frame
		want   []string // lengths of the messages that pass
		code   int      // 0 if the connection stays
	}{
		{"at the limit", []ws.Frame{part(ws.OpText, true, 100)}, []string{"100"}, 0},
		{"a byte more", []ws.Frame{part(ws.OpText, true, 101)}, nil, 1009},
		{"binary, a byte more", []ws.Frame{part(ws.OpBinary, true, 101)}, nil, 1009},
		{"each message counts for itself", []ws.Frame{part(ws.OpText, true, 100), part(ws.OpText, true, 100)}, []string{"100", "100"}, 0},
		{"two fragments", []ws.Frame{part(ws.OpText, false, 60), part(ws.OpContinuation, true, 40)}, []string{"100"}, 0},
		{"two fragments, a byte more", []ws.Frame{part(ws.OpText, false, 60), part(ws.OpContinuation, true, 41)}, nil, 1009},
		{"three fragments, a byte more", []ws.Frame{part(ws.OpBinary, false, 60), part(ws.OpContinuation, false, 40),
			part(ws.OpContinuation, false, 1)}, nil, 1009},
		{"empty last fragment", []ws.Frame{part(ws.OpText, false, 100), part(ws.OpContinuation, true, 0)}, []string{"100"}, 0},
		{"control frames count for nothing", []ws.Frame{part(ws.OpText, false, 60), part(ws.OpPong, true, 125),
			part(ws.OpContinuation, true, 40), part(ws.OpPong, true, 125)}, []string{"100"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
				var calls atomic.Int32
				h := on(newHub(t, roomcast.Options{MaxMessageBytes: 100}, func(c *roomcast.Conn, m roomcast.Message) {
					calls.Add(1)
					c.Send(roomcast.Text(fmt.Sprint(len(m.Data))))
				}))
				other, _ := h.dial("lobby")
				client, conn := h.dial("lobby")
				for _, f := range c.frames {
					client.Write(f)
				}
				if c.code == 0 {
					client.Send("")
					expectAll(t, "messages", until(client, "0"), c.want...)
				} else if end := client.End(); end.Code != c.code || !strings.Contains(end.Reason, "100") {
					t.Errorf("ended %v, want code %d and a reason that names the limit", end, c.code)
				} else {
					eventually(t, "Close", func() bool { return len(h.endsOf(conn)) == 1 })
					expect(t, "messages", calls.Load(), 0)
				}
				expect(t, "counted", h.Stats().Ended[roomcast.EndTooBig], uint64(min(c.code, 1)))
				h.Broadcast("lobby", roomcast.Text("still here"))
				expect(t, "the other", other.Receive().String(), "still here")
			})
		})
	}
}

// The default is in force before anything of the message has come.
func TestMaxMessageBytesDefault(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		h := on(newHub(t, roomcast.Options{}, nil))
		for length, code := range map[uint64]int{16 << 20: 1006, 16<<20 + 1: 1009, 1<<63 - 1: 1009} {
			client, conn := h.dialRaw("lobby")
			client.Write(append(binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, length), 1, 2, 3, 4))
			if code == 1009 {
				client.rest()
			}
			client.Close()
			eventually(t, "Close", func() bool { return len(h.endsOf(conn)) > 0 })
			expect(t, fmt.Sprint("ended at ", length), h.endsOf(conn)[0].Code, code)
		}
	})
}

var outboxCases = []struct {
	name  string
	o     roomcast.Options
	bound int
}{
	{"default", roomcast.Options{}, 1 << 20},
	{"small", roomcast.Options{OutboxBytes: 1000}, 1000},
	{"tiny", roomcast.Options{OutboxBytes: 16}, 16},
}

func TestOutboxBytes(t *testing.T) {
	for _, c := range outboxCases {
		t.Run(c.name, func(t *testing.T) {
			for more := range 2 { // 0: the bound is reached exactly and one more frame follows. 1: the last frame has a byte more
				synctest.Test(t, func(t *testing.T) { testOutboxBytes(t, c.o, c.bound, more) })
			}
		})
	}
}

func testOutboxBytes(t *testing.T, o roomcast.Options, bound, more int) {
	h := newHub(t, o, nil)
	other, _ := h.dial("lobby")
	slow, conn := h.dialRaw("lobby")
	sizes := []int{bound / 4, bound / 4, bound / 4, bound/4 + more, 2}[:5-more]
	var sent []string
	for i, size := range sizes {
		m := messageOf(size, string(rune('a'+i)))
		sent = append(sent, m.String())
		failed, err := h.Broadcast("lobby", m)
		expect(t, fmt.Sprint("failed ", i), failed, max(0, i-len(sizes)+2))
		expect(t, "error", err, nil)
		expect(t, "the other", other.Receive().String(), m.String())
	}
	synctest.Wait()
	expect(t, "counted", h.Stats().Ended[roomcast.EndOutboxFull], 1)
	expect(t, "delivered", h.Stats().Delivered, uint64(2*len(sizes)-1))
	expect(t, "members", len(h.Members("lobby")), 1)
	expect(t, "Close callbacks before the Close frame", len(h.endsOf(conn)), 0)
	got, _, end := slow.rest()
	if want := sent[:len(sent)-1]; !slices.Equal(got, want) {
		t.Errorf("the slow one got %d messages, want the %d that fitted, intact and in order", len(got), len(want))
	}
	expect(t, "the slow one's end", end, roomcasttest.End{Code: 1013, Reason: "too slow"})
	synctest.Wait()
	expectAll(t, "Close", h.endsOf(conn), end)
	expect(t, "the other's end", other.Ended(), nil)
}

// What the client has read counts no more, and a message that overflows is the failure of Send as it is that of Broadcast.
func TestOutboxBytesSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, roomcast.Options{OutboxBytes: 100}, nil)
		slow, conn := h.dialRaw("lobby")
		for range 3 {
			if err := errors.Join(conn.Send(messageOf(50, "a")), conn.Send(messageOf(50, "b"))); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				roomcasttest.ReadFrame(slow.br)
			}
			synctest.Wait()
		}
		if err := conn.Send(messageOf(1000, "c")); err != nil { // larger than the bound, and nothing else waits
			t.Fatal(err)
		}
		if err := conn.Send(messageOf(2, "")); !errors.Is(err, roomcast.ErrOutboxFull) || !strings.Contains(err.Error(), "100") {
			t.Errorf("Send to a full outbox: %v, want ErrOutboxFull with the bound", err)
		}
		if err := conn.Send(messageOf(2, "")); !errors.Is(err, roomcast.ErrClosed) {
			t.Errorf("Send after that: %v, want ErrClosed", err)
		}
		got, _, end := slow.rest()
		expectAll(t, "got", got, messageOf(1000, "c").String())
		expect(t, "end", end.Code, 1013)
	})
}

// Who never reads again is cut after CloseTimeout.
func TestCloseTimeout(t *testing.T) {
	for _, c := range []struct {
		o    roomcast.Options
		want time.Duration
	}{{roomcast.Options{OutboxBytes: 10}, 5 * time.Second}, {roomcast.Options{OutboxBytes: 10, CloseTimeout: time.Minute}, time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t, c.o, nil)
			_, conn := h.dialRaw("lobby")
			failed, _ := h.Broadcast("lobby", messageOf(11, "a"))
			again, _ := h.Broadcast("lobby", messageOf(2, ""))
			expect(t, "failed", failed+again, 1)
			<-time.After(c.want - time.Nanosecond)
			synctest.Wait()
			expect(t, "Close callbacks before", len(h.endsOf(conn)), 0)
			<-time.After(time.Nanosecond)
			synctest.Wait()
			expectAll(t, "Close", h.endsOf(conn), roomcasttest.End{Code: 1013, Reason: "too slow"})
			expect(t, "connections", h.Stats().Connections, 0)
		})
	}
}

// A full mailbox stops the reading, so that the client's next write waits, over TCP when the sockets are full too; half empty, it goes
// on. Nothing is dropped.
func TestMailboxBytes(t *testing.T) {
	for _, c := range []struct {
		name          string
		o             roomcast.Options
		payload, fill int // a message, and how many of them fill the mailbox
	}{
		{"default", roomcast.Options{}, 64<<10 - 64, 4},
		{"small", roomcast.Options{MailboxBytes: 1000}, 36, 10},
		{"empty messages", roomcast.Options{MailboxBytes: 640}, 0, 10},
		{"nearly empty again", roomcast.Options{MailboxBytes: 1}, 36, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			forEachTransport(t, func(t *testing.T, on func(*hub) *hub) { testMailboxBytes(t, on, c.o, c.payload, c.fill) })
		})
	}
}

func testMailboxBytes(t *testing.T, on func(*hub) *hub, o roomcast.Options, payload, fill int) {
	step, handled, written := make(chan struct{}), 0, 0
	begun := make(chan bool, 3*fill)
	h := on(newHub(t, o, func(_ *roomcast.Conn, m roomcast.Message) {
		expect(t, "message", string(m.Data), strings.Repeat(string(rune('A'+handled)), payload))
		begun <- true
		<-step
		handled++
	}))
	client, _ := h.dialRaw("lobby")
	total := 3 * fill
	write := func() {
		client.Write(masked(ws.NewTextFrame([]byte(strings.Repeat(string(rune('A'+written)), payload)))))
		written++
	}
	write()
	<-begun // it is with the callback now, and waits no more
	go func() {
		for written < total {
			write()
		}
	}()
	for done := range total {
		h.settle()
		// Every half that is handled lets in as many again; one message is with the callback.
		half := fill - fill/2
		want := min(total, 1+fill+done/half*half)
		if h.addr == "" {
			expect(t, fmt.Sprintf("written when %d are handled", done), written, want)
		}
		step <- struct{}{}
	}
	h.Close()
	expect(t, "Shutdown", h.Shutdown(limited(t)), nil)
	expect(t, "handled", handled, total)
}

// A connection whose reading is stopped ends like any other, though its callback does not return.
func TestMailboxFullAndClosed(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		held := newHold()
		h := on(newHub(t, roomcast.Options{MailboxBytes: 1}, held.message))
		client, conn := h.dialRaw("lobby")
		client.Write(masked(ws.NewTextFrame([]byte("with the callback"))))
		<-held.begun
		client.Write(masked(ws.NewTextFrame([]byte("fills the mailbox"))))
		go client.Write(masked(ws.NewTextFrame([]byte("is not read"))))
		h.settle()
		start := time.Now()
		expect(t, "Conn.Close", conn.Close(4000, "enough"), nil)
		h.settle()
		client.SetReadDeadline(start.Add(time.Hour))
		io.Copy(io.Discard, client.br) // the Close frame, and until the server hangs up
		expect(t, "time", h.since(start), 0)
		close(held.leave)
	})
}

func TestMaxRoomsPerConn(t *testing.T) {
	for o, most := range map[*roomcast.Options]int{{}: 1000, {MaxRoomsPerConn: 2}: 2} {
		h := newHub(t, *o, nil)
		_, conn := h.dial("room1")
		_, other := h.dial("room1")
		for i := 2; i <= most; i++ {
			if err := conn.Join(fmt.Sprint("room", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.Join("more"); !errors.Is(err, roomcast.ErrTooManyRooms) || !strings.Contains(err.Error(), fmt.Sprint(most)) {
			t.Errorf("Join past the limit: %v, want ErrTooManyRooms with %d", err, most)
		}
		expect(t, "rooms", len(conn.Rooms()), most)
		expect(t, "rooms of the server", len(h.Rooms()), most)
		expect(t, "Join of a room it is in", conn.Join("room1"), nil)
		expect(t, "Join of another connection", other.Join("more"), nil)
		conn.Leave("room1")
		expect(t, "Join after Leave", conn.Join("more"), nil)
	}
}

func TestRoomNames(t *testing.T) {
	h := newHub(t, roomcast.Options{}, nil)
	_, conn := h.dial("lobby")
	for name, valid := range map[string]bool{
		"": false, "a": true, " ": true, "with spaces": true, "a/b/../c": true, "%2F": true, "Grüße": true, "👩‍👩‍👧 🎉": true,
		strings.Repeat("x", 255): true, strings.Repeat("x", 256): false,
		strings.Repeat("ü", 127): true, strings.Repeat("ü", 128): false, // bytes count, not characters
		"\xff": false, "cut \xe2\x82": false, "surrogate \xed\xa0\x80": false, "overlong \xc0\x80": false, "\ufffd": true,
		"\x00": false, "tab\t": false, "line\n": false, "\x1fx": false, "\x7e": true, "del\x7f": false,
		"\u0080": false, "next line\u0085": false, "\u009f": false, "\u00a0": true, "\u2028": true, "\U0010ffff": true,
	} {
		for what, err := range map[string]error{"Join": conn.Join(name), "CheckRoom": h.CheckRoom(name)} {
			if valid && err != nil || !valid && !errors.Is(err, roomcast.ErrRoomName) {
				t.Errorf("%s(%+q): %v, valid is %v", what, name, err, valid)
			}
		}
		if in := slices.Contains(conn.Rooms(), name); in != valid {
			t.Errorf("member of %+q: %v", name, in)
		}
	}
	short := newHub(t, roomcast.Options{MaxRoomNameBytes: 3}, nil)
	expect(t, "at the limit", short.CheckRoom("abc"), nil)
	if err := short.CheckRoom("abcd"); !errors.Is(err, roomcast.ErrRoomName) || !strings.Contains(err.Error(), "at most 3") {
		t.Errorf("past the limit: %v", err)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		o                    roomcast.Options
		field, value, remedy string // what the error must say; no field if there is none
	}{
		{roomcast.Options{}, "", "", ""},
		{roomcast.Options{MaxMessageBytes: -1}, "MaxMessageBytes", "-1", "positive"},
		{roomcast.Options{OutboxBytes: -2}, "OutboxBytes", "-2", "positive"},
		{roomcast.Options{MailboxBytes: -3}, "MailboxBytes", "-3", "positive"},
		{roomcast.Options{MaxRoomsPerConn: -4}, "MaxRoomsPerConn", "-4", "positive"},
		{roomcast.Options{MaxRoomNameBytes: -5}, "MaxRoomNameBytes", "-5", "positive"},
		{roomcast.Options{MaxHeaderBytes: -6}, "MaxHeaderBytes", "-6", "positive"},
		{roomcast.Options{PongTimeout: -time.Second}, "PongTimeout", "-1s", "positive"},
		{roomcast.Options{HandshakeTimeout: -time.Minute}, "HandshakeTimeout", "-1m0s", "positive"},
		{roomcast.Options{CloseTimeout: -time.Millisecond}, "CloseTimeout", "-1ms", "positive"},
		{roomcast.Options{PongTimeout: 31 * time.Second}, "PongTimeout", "31s", "at most"},
		{roomcast.Options{PingInterval: time.Second, PongTimeout: 2 * time.Second}, "PongTimeout", "2s", "1s"},
		{roomcast.Options{PingInterval: time.Second, PongTimeout: time.Second}, "", "", ""},
		{roomcast.Options{PingInterval: 29 * time.Millisecond}, "PingInterval", "29ms", "30ms"},
		{roomcast.Options{PingInterval: 30 * time.Millisecond}, "", "", ""},
		{roomcast.Options{PingInterval: -1, PongTimeout: time.Hour}, "", "", ""},
		{roomcast.Options{AllowedOrigins: []string{"*", "a[b"}}, "AllowedOrigins", `"a[b"`, "path.Match"},
		{roomcast.Options{Subprotocols: []string{"chat.v1+json"}}, "", "", ""},
		{roomcast.Options{Subprotocols: []string{"chat", ""}}, "Subprotocols", `""`, "use"},
		{roomcast.Options{Subprotocols: []string{"a b"}}, "Subprotocols", `"a b"`, "use"},
		{roomcast.Options{Subprotocols: []string{"ü"}}, "Subprotocols", `"ü"`, "use"},
		{roomcast.Options{Logger: slog.Default()}, "", "", ""},
	} {
		err, thrown := c.o.Validate(), newPanics(c.o)
		if fmt.Sprint(err) != fmt.Sprint(thrown) {
			t.Errorf("New panics with %v, Validate returns %v", thrown, err)
		}
		if c.field == "" && err != nil {
			t.Errorf("%+v: %v", c.o, err)
		}
		for _, part := range []string{"Options." + c.field, c.value, c.remedy} {
			if c.field != "" && !strings.Contains(fmt.Sprint(err), part) {
				t.Errorf("%v: does not say %s", err, part)
			}
		}
	}
}

// newPanics returns what New panics with, or nil.
func newPanics(o roomcast.Options) (thrown any) {
	defer func() { thrown = recover() }()
	roomcast.New(roomcast.Handler{}, o)
	return nil
}
