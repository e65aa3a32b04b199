package hub

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast"
)

// counted is an engine that counts the bytes that it is told of members.
type counted struct {
	roomcast.Engine
	bytes *atomic.Int64
}

func (e counted) Present(m roomcast.Member) {
	e.bytes.Add(int64(len(m.Info)))
	e.Engine.Present(m)
}

// Others are not told of a client in very many rooms each time that it joins or leaves one, but soon; and at once when its connection breaks, when the
// backend does something to it, or when its node stops.
func TestAnnouncedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int64
		all := worldsWith(t, 2, false, func(_ int, c *Config) {
			c.Engine = counted{c.Engine, &told}
			c.Rooms.MaxRoomsPerConn, c.Rooms.MaxRoomNameBytes = 200, 200
		})
		me := all[0].arrive()
		do := func(what string, room int) {
			t.Helper()
			me.say(`{"type":%q,"id":1,"room":"%s%d"}`, what, strings.Repeat("x", 150), room)
			me.hears(`{"type":"ack","id":1}`)
		}
		known := func(want int) {
			t.Helper()
			synctest.Wait()
			if _, rooms, _ := all[1].hub.Client(me.id); len(rooms) != want {
				t.Errorf("it is in %d rooms to the other node, want %d", len(rooms), want)
			}
		}
		do("join", 0)
		known(1)
		for room := range 100 {
			do("join", room)
		}
		for range 100 {
			do("leave", 0)
			do("join", 0)
		}
		do("leave", 1)
		if n := told.Load(); n > 50<<10 {
			t.Errorf("%d bytes were told of a session at once", n)
		}
		<-time.After(100 * time.Millisecond)
		known(99)

		do("leave", 2)
		do("leave", 3)
		if n, err := all[0].hub.Join(Target{Connection: me.id}, "news"); n != 1 || err != nil {
			t.Errorf("Join = %d, %v", n, err)
		}
		known(98)
		me.hears(`{"type":"joined","room":"news"}`)
		do("leave", 4)
		me.Drop()
		known(97)
		again := me.back(all[0], "")
		for range 97 {
			again.Receive()
		}
		again.resumed(true)
		me = again
		do("leave", 5)
		known(97)
		all[0].hub.Stop()
		known(96)
	})
}
