package hub

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast/internal/server/protocol"
	"github.com/roomcast/roomcast/memengine"
)

// Who has been disconnected does not go on with its session on another connection while the one that was closed takes its time to end: since its client
// does not read, or since it waits for the engine.
func TestKickedDoesNotResume(t *testing.T) {
	for name, hold := range map[string]func(*world, *returner){
		"does not read": func(w *world, me *returner) {
			me.Stall()
			for range 3 {
				_, _ = w.hub.Publish("vip", Post{Payload: data("1")})
			}
		},
		"waits": func(_ *world, me *returner) { me.say(`{"type":"join","id":1,"room":"other"}`) },
	} {
		t.Run(name, bubble(func(t *testing.T) {
			engine := slow{memengine.New(logs), make(chan struct{}, 3)}
			w := start(t, false, func(c *Config) { c.Engine, c.SessionTTL = engine, time.Minute })
			w.hub.SetSessionKey([]byte("the key"))
			me := w.arrive()
			engine.turns <- struct{}{}
			if n, err := w.hub.Join(Target{Connection: me.id}, "vip"); n != 1 || err != nil {
				t.Fatalf("Join = %d, %v", n, err)
			}
			me.hears(`{"type":"joined","room":"vip"}`)
			hold(w, me)
			synctest.Wait()
			if n, err := w.hub.Disconnect(Target{Connection: me.id}, "out"); n != 1 || err != nil {
				t.Errorf("Disconnect = %d, %v", n, err)
			}
			if _, _, count, _ := w.hub.roster.page("vip", "", 10); count != 0 {
				t.Errorf("%d in the room, want 0", count)
			}
			again := me.back(w, "")
			synctest.Wait()
			for range cap(engine.turns) {
				engine.turns <- struct{}{}
			}
			again.resumed(false)
			me.Go()
			me.ends(int(protocol.CloseKicked), "out")
		}))
	}
}

// A client that the backend puts into a room is in it although its session goes on in another connection at that moment.
func TestPutInWhileConnectionChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := slow{memengine.New(logs), make(chan struct{}, 2)}
		w := start(t, false, func(c *Config) { c.Engine, c.SessionTTL = engine, time.Minute })
		w.hub.SetSessionKey([]byte("the key"))
		me := w.arrive()
		joined := make(chan int)
		go func() {
			n, err := w.hub.Join(Target{Connection: me.id}, "r")
			if err != nil {
				t.Errorf("Join: %v", err)
			}
			joined <- n
		}()
		synctest.Wait() // it waits for the engine
		again := me.back(w, "")
		again.resumed(true)
		me.ends(int(protocol.CloseSuperseded), "another connection")
		for range cap(engine.turns) {
			engine.turns <- struct{}{}
		}
		if n := <-joined; n != 1 {
			t.Errorf("%d joined, want 1", n)
		}
		again.hears(`{"type":"joined","room":"r"}`)
	})
}
