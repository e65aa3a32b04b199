package roomcast_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// newRelay returns a server whose connections join the rooms that their path names, separated by slashes, and relay.
func newRelay(t *testing.T, o roomcast.Options) *roomcast.Server {
	srv := roomcast.New(roomcast.Handler{Relay: true, Connect: func(c *roomcast.Conn, _ *http.Request) error {
		for room := range strings.SplitSeq(c.Path()[1:], "/") {
			if err := c.Join(room); err != nil {
				return err
			}
		}
		return nil
	}}, o)
	t.Cleanup(func() {
		srv.Close()
		srv.Shutdown(t.Context())
	})
	return srv
}

// texted is text messages as a client sends them at once.
func texted(messages ...string) (raw []byte) {
	for _, m := range messages {
		raw = append(raw, masked(ws.NewTextFrame([]byte(m)))...)
	}
	return raw
}

// Messages that come at once are delivered one by one and in order, up to the Close frame behind them, and counted as many.
func TestRelayAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newRelay(t, roomcast.Options{})
		a, b := roomcasttest.Dial(t, srv, "/room", nil), roomcasttest.Dial(t, srv, "/room", nil)
		var want []string
		for i := range 300 {
			want = append(want, fmt.Sprint("message ", i, strings.Repeat(".", i*i%1000)))
		}
		a.WriteRaw(append(texted(want...), masked(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye")))...))
		expect(t, "end", a.End(), roomcasttest.End{Code: 1000, Reason: "bye"})
		synctest.Wait()
		expectAll(t, "b receives", texts(b.Waiting()), want...)
		expect(t, "a receives", len(a.Waiting()), 0)
		expect(t, "broadcasts", srv.Stats().Broadcasts, uint64(len(want)))
		expect(t, "delivered", srv.Stats().Delivered, uint64(len(want)))
	})
}

// Who shares several rooms with a sender sees its messages in the order in which it sent them (G4).
func TestG4_RelayToSeveralRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newRelay(t, roomcast.Options{})
		a, b := roomcasttest.Dial(t, srv, "/one/two", nil), roomcasttest.Dial(t, srv, "/one/two", nil)
		c := roomcasttest.Dial(t, srv, "/two", nil)
		a.WriteRaw(texted("1", "2", "3"))
		synctest.Wait()
		expectAll(t, "in both rooms", texts(b.Waiting()), "1", "1", "2", "2", "3", "3")
		expectAll(t, "in one", texts(c.Waiting()), "1", "2", "3")
	})
}

// Messages that fit one by one into the outbox of a member do not overflow it for having come at once; a larger one still goes alone.
func TestRelayIntoSmallOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newRelay(t, roomcast.Options{OutboxBytes: 1000, MaxMessageBytes: 5000})
		a, b := roomcasttest.Dial(t, srv, "/room", nil), roomcasttest.Dial(t, srv, "/room", nil)
		for range 3 {
			a.WriteRaw(texted(strings.Repeat("x", 400), strings.Repeat("y", 400)))
			synctest.Wait()
		}
		a.WriteRaw(texted(strings.Repeat("z", 4000)))
		synctest.Wait()
		expect(t, "messages", len(b.Waiting()), 7)
		expect(t, "end of b", b.Ended(), nil)
	})
}

// Of messages that come at once each is compressed for itself, for those who are sent compressed ones.
func TestRelayAtOnceCompressed(t *testing.T) {
	srv := newRelay(t, roomcast.Options{Compression: roomcast.CompressionOn})
	addr := listenOn(t, srv, srv, true)
	plain := roomcasttest.DialTCP(t, addr, "/room", nil)
	deflating := dialGorilla(t, "ws://"+addr+"/room", true)
	long := strings.Repeat("long enough to be worth it ", 50)
	roomcasttest.DialTCP(t, addr, "/room", nil).WriteRaw(texted("short", long, "short again", long))
	for _, want := range []string{"short", long, "short again", long} {
		expect(t, "plain", plain.Receive().String(), want)
		expect(t, "deflating", deflating.read(t), want)
	}
}
