package loadgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

// text is a frame of a server.
func text(payload string) []byte { return ws.MustCompileFrame(ws.NewTextFrame([]byte(payload))) }

// TestProtocol holds that the protocol carries the same load, in as many bytes of the application, to the members of the same room.
func TestProtocol(t *testing.T) {
	for i, size := range []int{HeaderBytes, 100, 5000, HeaderBytes, 100, 5000} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{t: t, protocol: true, history: i >= 3}
			f.mangle = func(_ *fakeMember, _ int, frame []byte) [][]byte {
				var m struct{ Data string }
				if err := json.Unmarshal(frame[strings.IndexByte(string(frame), '{'):], &m); err != nil || len(m.Data) != size {
					t.Errorf("%q has %d characters of data, want %d: %v", frame, len(m.Data), size, err)
				}
				return [][]byte{frame}
			}
			r := f.run(t.Context(), func(c *Config) {
				c.Protocol, c.Size, c.Conns, c.Rooms, c.Senders, c.Messages = true, size, 12, 3, 5, 101
			})
			if r.Messages.Total != 101 || r.Deliveries.Total != 303 || r.Bytes.Total != 303*uint64(size) || !r.Load.Protocol {
				t.Errorf("result %+v, want 101 messages to 3 others each", r)
			}
			expectFaults(t, r, Faults{})
		})
	}
}

// TestProtocolFaults holds that what a faulty server does is counted for what it is: each case spoils some of 100 messages.
func TestProtocolFaults(t *testing.T) {
	replace := func(old, new string) func([]byte) []byte {
		return func(frame []byte) []byte {
			return text(strings.Replace(string(frame[strings.IndexByte(string(frame), '{'):]), old, new, 1))
		}
	}
	for name, c := range map[string]struct {
		spoil     func(frame []byte) []byte
		want      Faults
		complaint string
		history   bool
	}{
		"another sender":      {replace(`"connection":"c`, `"connection":"d`), Faults{Damaged: 1, Missing: 1}, "", false},
		"another room":        {replace(`"room":"b`, `"room":"B`), Faults{Damaged: 1, Missing: 1}, "", false},
		"no sender":           {replace(`"from"`, `"form"`), Faults{Damaged: 1, Missing: 1}, "", false},
		"filling":             {replace(`roomcast"}`, `roomcats"}`), Faults{Damaged: 1, Missing: 1}, "", false},
		"header":              {replace(`"data":"rc`, `"data":"cr`), Faults{Damaged: 1, Missing: 1}, "", false},
		"base64":              {replace(`"data"`, `"base64"`), Faults{Damaged: 1, Missing: 1}, "", false},
		"a user":              {replace(`"},"data"`, `","user":"ann"},"data"`), Faults{}, "", false},
		"half a user":         {replace(`"},"data"`, `","user":5},"data"`), Faults{Damaged: 1, Missing: 1}, "", false},
		"a position":          {replace(`"epoch":"k3v9"`, `"epoch":"0123456789abcdef"`), Faults{}, "", true},
		"too long an epoch":   {replace(`"epoch":"k3v9"`, `"epoch":"0123456789abcdefg"`), Faults{Damaged: 1, Missing: 1}, "", true},
		"no epoch":            {replace(`"epoch":"k3v9"`, `"epoch":""`), Faults{Damaged: 1, Missing: 1}, "", true},
		"no offset":           {replace(`"offset":`, `"offset":-`), Faults{Damaged: 1, Missing: 1}, "", true},
		"half a position":     {replace(`"epoch":"k3v9",`, ``), Faults{Damaged: 1, Missing: 1}, "", true},
		"history, a sender":   {replace(`"connection":"c`, `"connection":"d`), Faults{Damaged: 1, Missing: 1}, "", true},
		"history, and a room": {replace(`"room":"b`, `"room":"B`), Faults{Damaged: 1, Missing: 1}, "", true},
		"error": {func([]byte) []byte { return text(`{"type":"error","code":"not_joined","message":"join it first"}`) },
			Faults{Unexpected: 1, Missing: 1}, " of 2 was sent `" + `{"type":"error","code":"not_joined","message":"join it first"}` + "`", false},
		"gap": {func([]byte) []byte {
			return text(`{"type":"gap","room":"` + strings.Repeat("\x1b", 999) + `","missed":1}`)
		},
			Faults{Unexpected: 1, Missing: 1}, `of 2 was sent "{\"type\":\"gap\",\"room\":\"\x1b\x1b`, false},
	} {
		for _, size := range []int{HeaderBytes + 8, 200} {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{t: t, protocol: true, history: c.history, mangle: func(_ *fakeMember, n int, frame []byte) [][]byte {
					if n == 7 {
						frame = c.spoil(frame)
					}
					return [][]byte{frame}
				}}
				r := f.run(t.Context(), func(cfg *Config) { cfg.Protocol, cfg.Conns, cfg.Size, cfg.Window = true, 2, size, 10 })
				expectFaults(t, r, c.want)
				if got := strings.Join(r.Complaints, "\n"); !strings.Contains(got, c.complaint) || (got == "") != (c.complaint == "") || len(got) > 700 {
					t.Errorf("%s, %d bytes: complaints %q, want %q", name, size, got, c.complaint)
				}
			})
		}
	}
}

// TestEnter holds that a connection counts once its join is acked, and that every other answer is one line that says what came instead.
func TestEnter(t *testing.T) {
	ping := ws.MustCompileFrame(ws.NewPingFrame([]byte("x")))
	synctest.Test(t, func(t *testing.T) {
		f := &fake{t: t, protocol: true, hello: [][]byte{ping, text(`{"type":"hello","connection":"c?"}`), ping}}
		r := f.run(t.Context(), func(c *Config) { c.Protocol, c.Conns = true, 2 })
		expectFaults(t, r, Faults{})
		for i := range 2 {
			if got := fmt.Sprint(f.member(i).pongs); got != "[x x]" {
				t.Errorf("pongs %s, want one before hello and one before the ack", got)
			}
		}
	})
	for _, c := range []struct {
		hello, ack [][]byte
		want       string
	}{
		{[][]byte{text(`{"type":"ack","id":1}`)}, nil, "no hello: the server sent `{\"type\":\"ack\""},
		{[][]byte{text("hello")}, nil, "no hello: the server sent `hello`; check"},
		{[][]byte{{0x81, 0x80, 0, 0, 0, 0}}, nil, "no hello: " + errMasked.Error()},
		{[][]byte{{0x01, 0x00}}, nil, "no hello: " + errFragment.Error()},
		{[][]byte{{0x81, 0x7f, 0, 0, 0, 0, 1, 0, 0, 0}}, nil, "no hello: " + errLength.Error()},
		{[][]byte{nil}, nil, "no hello: hung up by the server"},
		{[][]byte{}, nil, "no hello: nothing came in time; check"},
		{nil, [][]byte{}, "no ack: nothing came in time; check"},
		{nil, [][]byte{text(`{"type":"error","id":1,"code":"bad_room"}`)}, "no ack: the server sent `{\"type\":\"error\",\"id\":1,\"code\":\"bad_room\"}`"},
		{nil, [][]byte{ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(3001, "no token")))}, "no ack: closed by the server with 3001 no token; check"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{t: t, protocol: true, hello: c.hello, ack: c.ack}
			_, err := newRun(f.config(func(c *Config) { c.Protocol = true })).execute(t.Context(), newClockAlarm)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), subprotocol) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		f := &fake{t: t, protocol: true, ack: [][]byte{}}
		if _, err := newRun(f.config(func(c *Config) { c.Protocol = true })).execute(ctx, newClockAlarm); !errors.Is(err, ErrStopped) {
			t.Errorf("error %v, want %v", err, ErrStopped)
		}
	})
}

// TestAddress holds where a connection goes, and that a server that has no such place is told so.
func TestAddress(t *testing.T) {
	for _, c := range []struct {
		url      string
		protocol bool
		want     string
	}{
		{"ws://host", false, "ws://host/rooms/r"},
		{"ws://host/", true, "ws://host/ws"},
		{"ws://host", true, "ws://host/ws"},
		{"ws://host/chat", false, "ws://host/chat/r"},
		{"wss://host/chat/ws", true, "wss://host/chat/ws"},
	} {
		r := newRun(Config{URL: c.url, Protocol: c.protocol})
		if got := r.address(&room{name: "r"}); got != c.want {
			t.Errorf("%s, protocol %v: %s, want %s", c.url, c.protocol, got, c.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fake{t: t}
		c := f.config(func(c *Config) {
			c.Protocol, c.Dial = true, func(context.Context, string, string) (net.Conn, error) {
				server, client := net.Pipe()
				go func() {
					defer server.Close()
					_, _ = (&ws.Upgrader{OnRequest: func([]byte) error { return ws.RejectConnectionError(ws.RejectionStatus(404)) }}).Upgrade(server)
				}()
				return client, nil
			}
		})
		_, err := newRun(c).execute(t.Context(), newClockAlarm)
		if err == nil || !strings.Contains(err.Error(), "404 instead of 101; check the address: roomcast.v1 is expected at /ws") {
			t.Errorf("error %v, want one that says where roomcast.v1 is expected", err)
		}
	})
}
