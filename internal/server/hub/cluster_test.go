package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/protocol"
	"github.com/roomcast/roomcast/memengine"
)

// data is a payload in JSON.
func data(json string) protocol.Payload { return protocol.Payload{Bytes: []byte(json)} }

// What a client or the backend does to a room, a connection or a user, it does on all nodes.
func TestAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 3, false)
		a, b, c := all[0].arrive(), all[1].arrive(), all[2].arrive()
		for _, p := range []*returner{a, b, c} {
			p.say(`{"type":"join","id":1,"room":"r"}`)
			p.hears(`{"type":"ack","id":1}`)
			synctest.Wait()
		}
		a.say(`{"type":"send","room":"r","echo":false,"data":1}`)
		for _, p := range []*returner{b, c} {
			p.hears(fmt.Sprintf(`{"type":"message","room":"r","from":{"connection":%q},"data":1}`, a.id))
		}
		a.silent()
		if receipt, err := all[0].hub.Publish("r", Post{Payload: data("2"), Except: []Target{{Connection: b.id}}}); err != nil || receipt.Delivered != 1 {
			t.Errorf("Publish = %+v, %v", receipt, err)
		}
		for _, p := range []*returner{a, c} {
			p.hears(`{"type":"message","room":"r","data":2}`)
		}
		b.say(`{"type":"direct","id":2,"to":{"connection":%q},"data":3}`, c.id)
		c.hears(fmt.Sprintf(`{"type":"direct","from":{"connection":%q},"data":3}`, b.id))
		b.hears(`{"type":"ack","id":2}`)
		b.say(`{"type":"direct","id":3,"to":{"connection":"nobody"},"data":3}`)
		b.hearsError("3", "not_found", "nobody")
		b.say(`{"type":"members","id":4,"room":"r","limit":2}`)
		ids := []string{a.id, b.id, c.id}
		page, next, count, people := all[1].hub.roster.page("r", "", 2)
		if count != 3 || people != 3 || len(page) != 2 || next != page[1].connection {
			t.Errorf("a page of %d, next %q, of %d, %d people", len(page), next, count, people)
		}
		b.hears(fmt.Sprintf(`{"type":"members","id":4,"room":"r","count":3,"users":3,"members":[{"connection":%q},{"connection":%q}],"next":%q}`,
			page[0].connection, page[1].connection, next))
		b.say(`{"type":"members","id":5,"room":"r","after":%q}`, next)
		for _, id := range ids {
			if id != page[0].connection && id != next {
				b.hears(fmt.Sprintf(`{"type":"members","id":5,"room":"r","count":3,"users":3,"members":[{"connection":%q}]}`, id))
			}
		}
		if rooms, _ := all[2].hub.Rooms(func(string) bool { return true }, "", 10); len(rooms) != 1 || rooms[0] != (Room{"r", 3}) {
			t.Errorf("rooms %v", rooms)
		}
		if client, rooms, found := all[0].hub.Client(c.id); !found || client.Connection != c.id || client.Node != all[2].hub.roster.node || len(rooms) != 1 {
			t.Errorf("client %+v in %v, found %v", client, rooms, found)
		}
	})
}

// The backend puts clients of other nodes into rooms, takes them out, and ends them, and is told how many.
func TestBackendOnOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, true)
		allowed := map[string][]string{"**": {"join", "send", "presence"}}
		here, there := all[0].user("ann", allowed), all[1].user("ann", allowed)
		synctest.Wait()
		hub, ann := all[0].hub, Target{User: "ann"}
		if n, err := hub.Join(ann, "r"); n != 2 || err != nil {
			t.Errorf("Join = %d, %v", n, err)
		}
		if n, err := hub.Join(ann, "r"); n != 0 || err != nil {
			t.Errorf("Join = %d, %v the second time", n, err)
		}
		if receipt, found, err := hub.PublishTo(ann, Post{Payload: data("1")}); receipt.Delivered != 2 || !found || err != nil {
			t.Errorf("PublishTo = %+v, %v, %v", receipt, found, err)
		}
		if n, err := hub.Leave(ann, "r", "enough"); n != 2 || err != nil {
			t.Errorf("Leave = %d, %v", n, err)
		}
		if n, err := hub.Disconnect(ann, "good night"); n != 2 || err != nil {
			t.Errorf("Disconnect = %d, %v", n, err)
		}
		for _, p := range []*person{here, there} {
			p.hears(`{"type":"joined","room":"r"}`, `{"type":"direct","data":1}`, `{"type":"left","room":"r","reason":"enough"}`)
			p.ends(int(protocol.CloseKicked), "good night")
		}
		for i := range 10 {
			if _, err := hub.Join(Target{Connection: here.id}, fmt.Sprint(i)); err != nil {
				t.Error(err) // it has gone: there is nobody
			}
		}
		third := all[1].user("ann", allowed)
		synctest.Wait()
		for i := range 10 {
			if _, err := hub.Join(ann, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		}
		if _, err := hub.Join(ann, "one too many"); !errors.Is(err, roomcast.ErrTooManyRooms) {
			t.Errorf("Join = %v, want ErrTooManyRooms", err)
		}
		third.Drop()
	})
}

// A node that does not answer is named, after a time. Whom it had can be disconnected all the same: nobody comes back to the session.
func TestNodeDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, true)
		all[1].user("ann", nil)
		synctest.Wait()
		deaf := all[1].hub.roster.node
		all[1].hub.cancel() // as if it had died
		_, _, err := all[0].hub.PublishTo(Target{User: "ann"}, Post{Payload: data("1")})
		if !errors.Is(err, roomcast.ErrUnavailable) || !strings.Contains(err.Error(), deaf) {
			t.Errorf("PublishTo = %v, want ErrUnavailable of %q", err, deaf)
		}
		here := all[0].user("ann", nil)
		receipt, found, err := all[0].hub.PublishTo(Target{User: "ann"}, Post{Payload: data("2")})
		if receipt.Delivered != 1 || !found || err != nil {
			t.Errorf("PublishTo = %+v, %v, %v with somebody who is there", receipt, found, err)
		}
		here.hears(`{"type":"direct","data":2}`)
		if _, err := all[0].hub.RevokeUser("bob", time.Time{}); !errors.Is(err, roomcast.ErrUnavailable) {
			t.Errorf("RevokeUser = %v, want ErrUnavailable", err)
		}
		if _, err := all[0].hub.Disconnect(Target{User: "ann"}, ""); err != nil {
			t.Errorf("Disconnect = %v", err)
		}
		if left := all[0].hub.roster.find(Target{User: "ann"}); len(left) > 0 {
			t.Errorf("%d sessions are left", len(left))
		}
	})
}

// Nobody waits for a node that has said that it stops, nor for an earlier start of a server, although sessions are left of both.
func TestNodeThatStoppedIsNotAsked(t *testing.T) {
	revokes := func(w *world, user string, want int) {
		t.Helper()
		if n, err := w.hub.RevokeUser(user, time.Now().Add(time.Second)); n != want || err != nil {
			t.Errorf("RevokeUser = %d, %v, want %d", n, err, want)
		}
	}
	t.Run("stopped", bubble(func(t *testing.T) {
		all := worlds(t, 3, true)
		all[1].user("ann", nil)
		all[2].user("bob", nil)
		synctest.Wait()
		all[1].hub.Stop()
		synctest.Wait()
		revokes(all[0], "bob", 1)
		if left := all[0].hub.roster.find(Target{User: "ann"}); len(left) != 1 {
			t.Errorf("%d sessions are left, want 1", len(left))
		}
	}))
	t.Run("started again", bubble(func(t *testing.T) {
		nodes := map[string]string{}
		all := worldsWith(t, 4, true, func(i int, c *Config) {
			nodes[c.Engine.Node()] = []string{"a", "a", "b", "b"}[i]
			c.Server = func(node string) string { return nodes[node] }
		})
		for _, i := range []int{0, 2, 3} {
			all[i].user("ann", nil)
		}
		synctest.Wait()
		all[0].hub.cancel() // as if they had died
		all[2].hub.cancel()
		revokes(all[1], "ann", 1)
	}))
}

// A token that is revoked on one node is so on all.
func TestRevokedOnAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 3, true)
		people := []*person{all[0].user("ann", nil), all[1].user("ann", nil), all[2].user("bob", nil)}
		synctest.Wait()
		<-time.After(2 * time.Second) // of the bubble's time: tokens are issued in whole seconds
		if n, err := all[0].hub.RevokeUser("ann", time.Time{}); n != 2 || err != nil {
			t.Errorf("RevokeUser = %d, %v, want 2", n, err)
		}
		for _, p := range people[:2] {
			p.ends(int(protocol.CloseForbidden), "revoked")
		}
		people[2].silent()
	})
}

// Who has asked for it is told who comes and goes, on whatever node, once a second at most; a user counts once, and who has come and gone is not mentioned.
func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, true)
		allowed := map[string][]string{"**": {"join", "presence"}}
		join := func(p *person) {
			p.say(`{"type":"join","id":1,"room":"r"}`)
			p.hears(`{"type":"ack","id":1}`)
		}
		watcher := all[0].user("watcher", allowed)
		watcher.say(`{"type":"join","id":1,"room":"r","presence":true}`)
		watcher.hears(`{"type":"ack","id":1}`)
		ann1, ann2, bob := all[0].user("ann", allowed), all[1].user("ann", allowed), all[1].user("bob", allowed)
		join(ann1)
		synctest.Wait()
		join(ann2)
		join(bob)
		bob.Close(1000, "")
		<-time.After(time.Second) // of the bubble's time
		watcher.hears(`{"type":"presence","room":"r","count":3,"users":2,"joined":[{"connection":"` + ann1.id + `","user":"ann"}],"left":[]}`)
		ann1.Close(1000, "")
		<-time.After(time.Second) // of the bubble's time
		watcher.hears(`{"type":"presence","room":"r","count":2,"users":2,"joined":[],"left":[]}`)
		ann2.Close(1000, "")
		<-time.After(10 * time.Second) // of the bubble's time
		watcher.hears(`{"type":"presence","room":"r","count":1,"users":1,"joined":[],"left":[{"connection":"` + ann2.id + `","user":"ann"}]}`)
		for i := range 101 {
			join(all[i%2].user(fmt.Sprintf("user %d", i), allowed))
		}
		<-time.After(10 * time.Second) // of the bubble's time
		watcher.hears(`{"type":"presence","room":"r","count":102,"users":102,"truncated":true}`)
		watcher.say(`{"type":"leave","id":2,"room":"r"}`)
		watcher.hears(`{"type":"ack","id":2}`)
		join(all[0].user("ann", allowed))
		<-time.After(10 * time.Second) // of the bubble's time
		watcher.silent()

		blind := all[0].user("blind", map[string][]string{"**": {"join"}})
		blind.say(`{"type":"join","id":3,"room":"r","presence":true}`)
		blind.hearsError("3", "forbidden", "presence")
	})
}

// In a room with a history every answer says where things are, and what is sent twice with an idempotency key is there once, on whatever node.
func TestPositions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, false)
		a, b := all[0].arrive(), all[1].arrive()
		at := a.joins("log")
		b.joins("log")
		for i := range 3 {
			a.say(`{"type":"send","id":%d,"room":"log","echo":false,"data":%d}`, i, i)
		}
		for i := range 3 {
			a.hears(fmt.Sprintf(`{"type":"ack","id":%d,"epoch":%q,"offset":%d}`, i, at.Epoch, i+1))
			b.hears(fmt.Sprintf(`{"type":"message","room":"log","epoch":%q,"offset":%d,"from":{"connection":%q},"data":%d}`, at.Epoch, i+1, a.id, i))
		}
		for i := range 3 {
			a.say(`{"type":"send","id":9,"room":"log","echo":false,"idempotency_key":"k","data":9}`)
			a.hears(fmt.Sprintf(`{"type":"ack","id":9,"epoch":%q,"offset":4}`, at.Epoch))
			if i == 0 {
				b.hears(fmt.Sprintf(`{"type":"message","room":"log","epoch":%q,"offset":4,"from":{"connection":%q},"data":9}`, at.Epoch, a.id))
			}
		}
		b.silent()
		late := all[0].arrive()
		for _, since := range []struct {
			epoch   string
			offset  int
			answer  int
			recover bool
		}{{at.Epoch, 4, 4, true}, {"other", 2, 4, false}, {at.Epoch, 3, 3, true}} {
			late.say(`{"type":"join","id":1,"room":"log","since":{"epoch":%q,"offset":%d}}`, since.epoch, since.offset)
			late.hears(fmt.Sprintf(`{"type":"ack","id":1,"epoch":%q,"offset":%d,"recovered":%v}`, at.Epoch, since.answer, since.recover))
			if since.offset == 3 {
				late.hears(fmt.Sprintf(`{"type":"message","room":"log","epoch":%q,"offset":4,"from":{"connection":%q},"data":9}`, at.Epoch, a.id))
			}
			late.say(`{"type":"leave","id":2,"room":"log"}`)
			late.hears(`{"type":"ack","id":2}`)
		}
	})
}

// An idempotency key is its owner's, on whatever node and connection: the backend's, a user's or, without users, a session's. Nobody else's with the same name
// keeps a message from being sent.
func TestKeysAreTheirOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, false)
		client := func(p *person, key string, offset int) {
			t.Helper()
			p.say(`{"type":"send","id":1,"room":"log","echo":false,"idempotency_key":%q,"data":0}`, key)
			synctest.Wait()
			waiting := p.Waiting()
			if got, want := waiting[len(waiting)-1].String(), fmt.Sprintf(`"offset":%d}`, offset); !strings.HasPrefix(got, `{"type":"ack"`) || !strings.HasSuffix(got, want) {
				t.Errorf("sent with key %q, and heard %s, want the ack with %s", key, got, want)
			}
		}
		backend := func(w *world, key string, offset uint64, again bool) {
			t.Helper()
			if r, err := w.hub.Publish("log", Post{Payload: data("0"), Once: key}); err != nil || r.At.Offset != offset || r.Again != again {
				t.Errorf("Publish with key %q = %+v, %v, want offset %d, again %t", key, r, err, offset, again)
			}
		}
		a, b := all[0].arrive(), all[1].arrive()
		a.joins("log")
		b.joins("log")
		client(a.person, "k", 1)
		backend(all[1], "k", 2, false)
		client(b.person, "k", 3)
		backend(all[0], "k", 2, true)
		client(b.person, "k", 3)
		a.Drop()
		synctest.Wait()
		back := a.back(all[1], "")
		back.Receive()
		back.resumed(true)
		client(back.person, "k", 1)
		backend(all[0], strings.Repeat("x", 255), 4, false) // as long as the API takes them
	})
}

// All clients of a user share its keys.
func TestKeysOfUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, true)
		for _, c := range []struct {
			w      *world
			user   string
			offset int
		}{{all[0], "ann", 1}, {all[1], "ann", 1}, {all[1], "bob", 2}, {all[0], "bob", 2}} {
			p := c.w.user(c.user, everything)
			p.say(`{"type":"join","id":1,"room":"log"}`)
			p.Receive()
			p.say(`{"type":"send","id":2,"room":"log","echo":false,"idempotency_key":"k","data":0}`)
			if got, want := p.Receive().String(), fmt.Sprintf(`"offset":%d}`, c.offset); !strings.HasPrefix(got, `{"type":"ack","id":2`) || !strings.HasSuffix(got, want) {
				t.Errorf("%s hears %s, want the ack with %s", c.user, got, want)
			}
		}
	})
}

// crowded is an engine in which others publish between any two entries, as they may.
type crowded struct{ roomcast.Engine }

func (e crowded) Publish(ctx context.Context, room string, entries []roomcast.Entry) error {
	for i := range entries {
		if err := e.Engine.Publish(ctx, room, entries[i:i+1]); err != nil {
			return err
		}
		if err := e.Engine.Publish(ctx, room, []roomcast.Entry{{Message: roomcast.Text(`"data":0}`)}}); err != nil {
			return err
		}
	}
	return nil
}

// What a client sends at once is published at once, and each message is acked with the place that it has, whatever stands between them.
func TestPositionsOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := memengine.New(logs)
		t.Cleanup(engine.Close)
		w := start(t, false, func(c *Config) { c.Engine = crowded{engine} })
		p := w.dial(nil)
		p.greeted()
		at := p.joins("log")
		var frames []roomcast.Message
		for i := range 3 {
			frames = append(frames, roomcast.Text(fmt.Sprintf(`{"type":"send","id":%d,"room":"log","echo":false,"data":1}`, i)))
		}
		w.hub.messages(w.hub.roster.find(Target{Connection: p.id})[0].client.conn, frames)
		for range frames {
			p.Receive() // of the others
		}
		for i := range frames {
			p.hears(fmt.Sprintf(`{"type":"ack","id":%d,"epoch":%q,"offset":%d}`, i, at.Epoch, 1+2*i))
		}
	})
}

// What is said of a session is never more than an engine takes, however many rooms it is in and whatever they are called.
func TestSizeOfRecord(t *testing.T) {
	for _, bytes := range []string{"<", "\"", "\u2028", "\\", "é", "a"} {
		name := strings.Repeat(bytes, 251/len(bytes))
		for _, rooms := range []int{1000, 5000} {
			r := newRoster("node")
			s := &session{id: "s", connection: "c", user: strings.Repeat("u", mostTarget), node: "node", rooms: map[string]grip{}}
			r.addLocked(s)
			for i := range rooms {
				s.rooms[fmt.Sprintf("%s%04d", name, i)] = grip{by: byBackend, watches: true}
			}
			m, ok := r.member(s)
			var rec record
			if err := json.Unmarshal(m.Info, &rec); !ok || err != nil || len(m.Info) > 512<<10 || len(rec.Rooms) < 1000 {
				t.Errorf("%d rooms of %q: %d bytes with %d rooms, %v", rooms, bytes, len(m.Info), len(rec.Rooms), err)
			}
		}
	}
}

// held is an engine whose first watcher, which is the hub, is told nothing while the test has what is in the gate.
type held struct {
	roomcast.Engine
	once *sync.Once
	gate chan struct{} // cap 1
}

func (e held) Watch(changed func([]roomcast.Member)) func() {
	hub := false
	e.once.Do(func() { hub = true })
	return e.Engine.Watch(func(m []roomcast.Member) {
		if hub {
			<-e.gate
			defer func() { e.gate <- struct{}{} }()
		}
		changed(m)
	})
}

// Who comes back to a node that has just begun has to ask again until the node knows of the session, and then is in its rooms.
func TestResumeAtNodeThatBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		missing := errors.New("the table is being read")
		gate := make(chan struct{}, 1)
		all := worldsWith(t, 2, false, func(i int, c *Config) {
			if i == 1 {
				c.Engine, c.Ready = held{c.Engine, new(sync.Once), gate}, func() error { return missing }
			}
		})
		me := all[0].arrive()
		at := me.joins("log")
		me.Drop()
		synctest.Wait()
		again := me.back(all[1], "")
		again.hearsError(`"back"`, "unavailable", "just begun")
		missing = nil // and what there was is still on its way
		again.say(`{"type":"resume","id":"back","resume":%q}`, me.resume)
		again.hearsError(`"back"`, "unavailable", "just begun")
		gate <- struct{}{}
		synctest.Wait()
		again.say(`{"type":"resume","id":"back","resume":%q}`, me.resume)
		again.hears(fmt.Sprintf(`{"type":"joined","room":"log","epoch":%q,"offset":0}`, at.Epoch))
		again.resumed(true)
		missing = errors.New("the connection is lost") // it knows all the same
		last := again.back(all[1], "")
		last.Receive()
		last.resumed(true)
	})
}

// moving is a client that another node has taken over, which the one it was at has not heard of. heard has it hear.
func moving(t *testing.T) (all []*world, me *returner, heard func()) {
	t.Helper()
	gate := make(chan struct{}, 1)
	gate <- struct{}{}
	all = worldsWith(t, 2, false, func(i int, c *Config) {
		if i == 0 {
			c.Engine = held{c.Engine, new(sync.Once), gate}
		}
	})
	before := all[0].arrive()
	at := before.joins("log")
	synctest.Wait()
	<-gate
	before.Drop()
	synctest.Wait()
	me = before.back(all[1], "")
	me.hears(fmt.Sprintf(`{"type":"joined","room":"log","epoch":%q,"offset":0}`, at.Epoch))
	me.resumed(true)
	return all, me, func() { gate <- struct{}{} }
}

// What the backend does to a client at the node that it has just left, which does not know yet, reaches it as soon as that node knows.
func TestBackendMeansWhoHasMoved(t *testing.T) {
	t.Run("rooms", bubble(func(t *testing.T) {
		all, me, heard := moving(t)
		target := Target{Connection: me.id}
		if n, err := all[0].hub.Leave(target, "log", "enough"); n != 1 || err != nil {
			t.Errorf("Leave = %d, %v", n, err)
		}
		if n, err := all[0].hub.Join(target, "r"); n != 1 || err != nil {
			t.Errorf("Join = %d, %v", n, err)
		}
		me.silent()
		heard()
		told := map[string]bool{me.Receive().String(): true, me.Receive().String(): true}
		if !told[`{"type":"left","room":"log","reason":"enough"}`] || !told[`{"type":"joined","room":"r"}`] {
			t.Errorf("heard %v", told)
		}
		me.say(`{"type":"join","id":1,"room":"live"}`)
		me.hears(`{"type":"ack","id":1}`)
		me.silent()
	}))
	t.Run("end", bubble(func(t *testing.T) {
		all, me, heard := moving(t)
		if n, err := all[0].hub.Disconnect(Target{Connection: me.id}, "out"); n != 0 || err != nil {
			t.Errorf("Disconnect = %d, %v", n, err)
		}
		me.silent()
		heard()
		me.ends(int(protocol.CloseKicked), "out")
	}))
}

// Who has been disconnected, and comes all the same, to another node that knows, begins anew and is left alone.
func TestKickedComesAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, false)
		me := all[0].arrive()
		me.joins("log")
		if n, err := all[0].hub.Disconnect(Target{Connection: me.id}, "out"); n != 1 || err != nil {
			t.Errorf("Disconnect = %d, %v", n, err)
		}
		me.ends(int(protocol.CloseKicked), "out")
		synctest.Wait()
		for range 2 {
			again := me.back(all[1], "")
			again.Receive()
			again.say(`{"type":"join","id":1,"room":"live"}`)
			again.hears(`{"type":"ack","id":1}`)
			again.silent()
			again.Close(1000, "")
		}
	})
}

// What the backend does reaches a client that has just moved, although the node that was asked does not know it yet.
func TestBackendFollowsWhoMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{}, 1)
		gate <- struct{}{}
		all := worldsWith(t, 3, false, func(i int, c *Config) {
			if i == 0 {
				c.Engine = held{c.Engine, new(sync.Once), gate}
			}
		})
		me := all[1].arrive()
		at := me.joins("log")
		synctest.Wait()
		<-gate
		me.Drop()
		synctest.Wait()
		again := me.back(all[2], "")
		again.hears(fmt.Sprintf(`{"type":"joined","room":"log","epoch":%q,"offset":0}`, at.Epoch))
		again.resumed(true)
		synctest.Wait() // the node that had it knows
		hub, target := all[0].hub, Target{Connection: me.id}
		if client, _, _ := hub.Client(me.id); client.Node != all[1].hub.roster.node {
			t.Fatalf("the node is told of %+v", client)
		}
		if receipt, found, err := hub.PublishTo(target, Post{Payload: data("1")}); receipt.Delivered != 1 || !found || err != nil {
			t.Errorf("PublishTo = %+v, %v, %v", receipt, found, err)
		}
		if n, err := hub.Join(target, "r"); n != 1 || err != nil {
			t.Errorf("Join = %d, %v", n, err)
		}
		if n, err := hub.Leave(target, "log", ""); n != 1 || err != nil {
			t.Errorf("Leave = %d, %v", n, err)
		}
		if n, err := hub.Disconnect(target, "out"); n != 1 || err != nil {
			t.Errorf("Disconnect = %d, %v", n, err)
		}
		again.hears(`{"type":"direct","data":1}`, `{"type":"joined","room":"r"}`, `{"type":"left","room":"log"}`)
		again.ends(int(protocol.CloseKicked), "out")
		gate <- struct{}{}
	})
}
