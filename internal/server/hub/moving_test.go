package hub

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/roomcast/roomcast"
)

// What a client has done since the backend has taken it out of a room, or put it in, counts, also if it comes back to another node soon after.
func TestOldLeaveStaysUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, false)
		me := all[0].arrive()
		me.say(`{"type":"join","id":1,"room":"r"}`)
		me.hears(`{"type":"ack","id":1}`)
		if n, err := all[0].hub.Leave(Target{Connection: me.id}, "r", "enough"); n != 1 || err != nil {
			t.Errorf("Leave = %d, %v", n, err)
		}
		me.hears(`{"type":"left","room":"r","reason":"enough"}`)
		me.say(`{"type":"join","id":2,"room":"r"}`)
		me.hears(`{"type":"ack","id":2}`)
		synctest.Wait() // all nodes know
		me.Drop()
		synctest.Wait()
		again := me.back(all[1], "")
		again.hears(`{"type":"joined","room":"r"}`)
		again.resumed(true)
		again.silent()
	})
}

// The same with what it has left.
func TestOldJoinStaysUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, false)
		me := all[0].arrive()
		if n, err := all[0].hub.Join(Target{Connection: me.id}, "r"); n != 1 || err != nil {
			t.Errorf("Join = %d, %v", n, err)
		}
		me.hears(`{"type":"joined","room":"r"}`)
		me.say(`{"type":"leave","id":2,"room":"r"}`)
		me.hears(`{"type":"ack","id":2}`)
		synctest.Wait()
		me.Drop()
		synctest.Wait()
		again := me.back(all[1], "")
		again.resumed(true)
		again.silent()
	})
}

// Neither does it become undone by a node that passes on to another one, which has heard of none of it, what the backend has done.
func TestOldDeedsAreNotPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{}, 1)
		gate <- struct{}{}
		all := worldsWith(t, 2, false, func(i int, c *Config) {
			if i == 1 {
				c.Engine = held{c.Engine, new(sync.Once), gate}
			}
		})
		me := all[0].arrive()
		me.say(`{"type":"join","id":1,"room":"r"}`)
		me.hears(`{"type":"ack","id":1}`)
		synctest.Wait() // all nodes know; what follows, the other one does not
		<-gate
		target := Target{Connection: me.id}
		if n, err := all[0].hub.Leave(target, "r", ""); n != 1 || err != nil {
			t.Errorf("Leave = %d, %v", n, err)
		}
		if n, err := all[0].hub.Join(target, "s"); n != 1 || err != nil {
			t.Errorf("Join = %d, %v", n, err)
		}
		me.hears(`{"type":"left","room":"r"}`, `{"type":"joined","room":"s"}`)
		me.say(`{"type":"join","id":2,"room":"r"}`)
		me.say(`{"type":"leave","id":3,"room":"s"}`)
		me.hears(`{"type":"ack","id":2}`, `{"type":"ack","id":3}`)
		me.Drop()
		synctest.Wait()
		again := me.back(all[1], "")
		again.hears(`{"type":"joined","room":"r"}`)
		again.resumed(true)
		again.silent()
		gate <- struct{}{}
		again.silent()
	})
}

// order is an engine that notes who is presented, and who is gone.
type order struct {
	roomcast.Engine
	mu   *sync.Mutex
	said *[]string
}

func (e order) Present(m roomcast.Member) {
	e.mu.Lock()
	*e.said = append(*e.said, fmt.Sprint(m.ID, m.Gone))
	e.mu.Unlock()
	e.Engine.Present(m)
}

// Whoever takes a session over has said so before anybody can end it there: else its end would be nothing to the others, to whom it is still another node's.
func TestTakenOverBeforeItCanEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var said []string
		all := worldsWith(t, 2, false, func(i int, c *Config) {
			if i == 1 {
				c.Engine = order{c.Engine, &mu, &said}
			}
		})
		me := all[0].arrive()
		session, _, _ := strings.Cut(me.resume, ".")
		synctest.Wait()
		again := me.back(all[1], "")
		again.resumed(true)
		mu.Lock()
		defer mu.Unlock()
		fresh := strings.TrimSuffix(said[0], "false")
		if !slices.Equal(said[:3], []string{fresh + "false", session + "false", fresh + "true"}) {
			t.Errorf("the other node says %v of %s, which it takes over, and %s", said, session, fresh)
		}
	})
}

// slowRoom is an engine whose room "slow" takes until the gate is open.
type slowRoom struct {
	roomcast.Engine
	gate chan struct{}
}

func (e slowRoom) Subscribe(ctx context.Context, room string, deliver func([]roomcast.Entry)) (roomcast.Position, func(), error) {
	if room == "slow" {
		<-e.gate
	}
	return e.Engine.Subscribe(ctx, room, deliver)
}

// The session goes to another node while this one, which is asked, is about to put it into a room.
func TestBackendFollowsWhoMovesAwayMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		all := worldsWith(t, 2, false, func(i int, c *Config) {
			if i == 0 {
				c.Engine = slowRoom{c.Engine, gate}
			}
		})
		me := all[0].arrive()
		me.say(`{"type":"join","id":1,"room":"r"}`)
		me.hears(`{"type":"ack","id":1}`)
		synctest.Wait()
		type result struct {
			n   int
			err error
		}
		done := make(chan result, 1)
		go func() {
			n, err := all[0].hub.Join(Target{Connection: me.id}, "slow")
			done <- result{n, err}
		}()
		synctest.Wait()
		again := me.back(all[1], "")
		again.hears(`{"type":"joined","room":"r"}`)
		again.resumed(true)
		for { // not synctest.Wait: the old connection waits for a mutex
			if c, _, _ := all[0].hub.Client(me.id); c.Node == all[1].hub.roster.node {
				break
			}
			runtime.Gosched()
		}
		close(gate)
		r := <-done
		synctest.Wait()
		_, rooms, _ := all[1].hub.Client(me.id)
		if r != (result{1, nil}) || len(rooms) != 2 {
			t.Errorf("Join = %+v, and the client is in %v; want it to be in two rooms", r, rooms)
		}
	})
}
