package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/protocol"
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

// broken is an engine in which a room can neither be subscribed to nor read while the test says so.
type broken struct {
	roomcast.Engine
	away *atomic.Bool
}

func (e broken) Subscribe(ctx context.Context, room string, deliver func([]roomcast.Entry)) (roomcast.Position, func(), error) {
	if e.away.Load() && room == "log" {
		return roomcast.Position{}, nil, roomcast.ErrUnavailable
	}
	return e.Engine.Subscribe(ctx, room, deliver)
}

func (e broken) History(ctx context.Context, room string, since roomcast.Position, limit int) ([]roomcast.Entry, error) {
	if e.away.Load() && room == "log" {
		return nil, roomcast.ErrUnavailable
	}
	return e.Engine.History(ctx, room, since, limit)
}

// A client that could not be restored in a room yet is told nothing of it, whoever comes there and whatever the backend does, before it is, with what it has missed.
func TestNothingOfARoomBeforeJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		all := worldsWith(t, 2, false, func(i int, c *Config) {
			if i == 0 {
				c.Engine = broken{c.Engine, &away}
			}
		})
		me := all[0].arrive()
		me.say(`{"type":"join","id":1,"room":"log","presence":true}`)
		var at roomcast.Position
		_ = json.Unmarshal(me.Receive().Data, &at)
		publish := func(what string) {
			t.Helper()
			if _, err := all[1].hub.Publish("log", Post{Payload: data(what)}); err != nil {
				t.Error(err)
			}
		}
		publish("1")
		away.Store(true)
		since := fmt.Sprintf(`{"room":"log","epoch":%q,"offset":0}`, at.Epoch)
		again := me.back(all[0], since)
		again.hearsError(`"back"`, "unavailable", "")
		somebodyComes := func() {
			t.Helper()
			all[1].arrive().joins("log")
			<-time.After(2 * noticeEvery)
			again.silent()
		}
		somebodyComes()
		away.Store(false)
		publish("2")
		if n, err := all[1].hub.Join(Target{Connection: me.id}, "log"); n != 0 || err != nil {
			t.Errorf("Join = %d, %v, of who is in the room", n, err)
		}
		somebodyComes()
		again.say(`{"type":"resume","id":"back","resume":%q,"rooms":[%s]}`, me.resume, since)
		again.hears(fmt.Sprintf(`{"type":"joined","room":"log","epoch":%q,"offset":0,"recovered":true}`, at.Epoch),
			fmt.Sprintf(`{"type":"message","room":"log","epoch":%q,"offset":1,"data":1}`, at.Epoch),
			fmt.Sprintf(`{"type":"message","room":"log","epoch":%q,"offset":2,"data":2}`, at.Epoch),
			`{"type":"presence","room":"log","count":3,"users":3,"truncated":true}`)
		again.resumed(true)
	})
}

// A node that says something of a session before it hears that it has gone to another one, where it has ended meanwhile, takes it back: nobody else would.
func TestWhatHasEndedElsewhereDoesNotStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, me, heard := moving(t)
		me.Close(1000, "")
		synctest.Wait()
		target := Target{Connection: me.id}
		if n, err := all[0].hub.Join(target, "r"); n != 1 || err != nil {
			t.Errorf("Join = %d, %v, of who is here as far as is known", n, err)
		}
		heard()
		<-time.After(2 * strayTimeout)
		for _, w := range all {
			if found := w.hub.roster.find(target); len(found) > 0 {
				t.Errorf("node %s knows of a session at %s, which has ended", w.hub.roster.node, found[0].node)
			}
		}
	})
}

// It does not take it back from the other one if it goes on there.
func TestWhatGoesOnElsewhereStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, me, heard := moving(t)
		if n, err := all[0].hub.Join(Target{Connection: me.id}, "r"); n != 1 || err != nil {
			t.Errorf("Join = %d, %v", n, err)
		}
		heard()
		<-time.After(2 * strayTimeout)
		me.hears(`{"type":"joined","room":"r"}`)
		for _, w := range all {
			if client, rooms, _ := w.hub.Client(me.id); client.Node != all[1].hub.roster.node || len(rooms) != 2 {
				t.Errorf("to node %s it is %+v, in %v", w.hub.roster.node, client, rooms)
			}
		}
	})
}

// A node passes on what the other one has missed also if it has just heard, of words that have crossed, that there is no such session.
func TestPassedOnWhateverIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, me, heard := moving(t)
		defer heard()
		hub, target := all[0].hub, Target{Connection: me.id}
		if _, err := hub.Disconnect(target, "out"); err != nil {
			t.Error(err)
		}
		there := all[1].hub.roster
		claim, _ := there.member(there.find(target)[0])
		claim.Node = there.node
		hub.stopping.Lock() // so that it is not passed on at once
		go hub.watch([]roomcast.Member{claim})
		for len(hub.roster.find(target)) == 0 {
			runtime.Gosched()
		}
		hub.roster.apply(roomcast.Member{ID: claim.ID, Node: hub.roster.node, Gone: true})
		hub.stopping.Unlock()
		me.ends(int(protocol.CloseKicked), "out")
	})
}

// Whoever claims a session without knowing that it has been expelled is told so, also if something from before comes in between.
func TestKickOutlivesOldWords(t *testing.T) {
	r := newRoster("a")
	word := func(node string, rec record) roomcast.Member {
		info, _ := json.Marshal(rec)
		return roomcast.Member{ID: "s", Node: node, Info: info}
	}
	s := &session{id: "s", connection: "c", node: "a", turn: 10}
	r.addLocked(s)
	r.expel([]*session{s}, "out")
	for _, old := range []record{{Turn: 3}, {Turn: 9, From: 4}} {
		if _, _, missed := r.apply(word("b", old)); len(missed) > 0 {
			t.Errorf("%+v, which is from before, missed %v", old, missed)
		}
	}
	if _, _, missed := r.apply(word("c", record{Turn: 20, From: 4})); len(missed) != 1 || missed[0].Do != doDisconnect || missed[0].Reason != "out" {
		t.Errorf("who has taken it over missed %v, want that it is expelled", missed)
	}
}

// Who has been taken out of a room while its connection was broken is told so when it is back, on whatever node, once; where it has been put and taken out
// again meanwhile, it is told nothing.
func TestTakenOutWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, false)
		me := all[0].arrive()
		for _, room := range []string{"r", "s", "log"} {
			me.say(`{"type":"join","id":1,"room":%q}`, room)
			me.Receive()
		}
		synctest.Wait()
		me.Drop()
		synctest.Wait()
		do := func(what func(Target, string) (int, error), room string) {
			t.Helper()
			if n, err := what(Target{Connection: me.id}, room); n != 1 || err != nil {
				t.Errorf("it was done to %d, %v", n, err)
			}
		}
		leave := func(target Target, room string) (int, error) {
			return all[1].hub.Leave(target, room, "enough of "+room)
		}
		join := all[1].hub.Join
		do(leave, "r")
		do(leave, "s")
		do(join, "s")
		do(leave, "s")
		do(join, "new")
		do(leave, "new")
		do(leave, "log")
		do(join, "log")
		synctest.Wait()
		for _, w := range []*world{all[1], all[0]} {
			again := me.back(w, "")
			if text := again.Receive().String(); !strings.HasPrefix(text, `{"type":"joined","room":"log"`) {
				t.Errorf("heard %s", text)
			}
			if w == all[1] {
				again.hears(`{"type":"left","room":"r","reason":"enough of r"}`, `{"type":"left","room":"s","reason":"enough of s"}`)
			}
			again.resumed(true)
			synctest.Wait()
			me = again
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
