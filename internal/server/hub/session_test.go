package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/protocol"
	"github.com/roomcast/roomcast/memengine"
)

// Times are those of the bubbles.

// logs keeps a history of the rooms whose names begin with "log".
var logs = memengine.Options{History: []roomcast.Retention{{
	Name: "log", Match: func(room string) bool { return strings.HasPrefix(room, "log") }, Messages: 100,
}}}

// worlds are the hubs of a cluster of n nodes in which sessions wait a minute for their clients.
func worlds(t *testing.T, n int, tokens bool) []*world {
	t.Helper()
	return worldsWith(t, n, tokens, func(int, *Config) {})
}

// worldsWith is worlds; change changes what the i-th is made of.
func worldsWith(t *testing.T, n int, tokens bool, change func(i int, c *Config)) []*world {
	t.Helper()
	engines := []*memengine.Engine{memengine.New(logs)}
	if n > 1 {
		engines = memengine.NewCluster(logs, n)
	}
	var all []*world
	for i, e := range engines {
		t.Cleanup(e.Close)
		w := start(t, tokens, func(c *Config) {
			c.Engine, c.SessionTTL = e, time.Minute
			change(i, c)
		})
		w.hub.SetSessionKey([]byte("the key of the cluster"))
		all = append(all, w)
	}
	synctest.Wait() // they listen
	return all
}

// returner is a person who comes back.
type returner struct {
	*person
	resume string
}

// arrive is a client that has had its hello.
func (w *world) arrive() *returner {
	w.t.Helper()
	r := &returner{person: w.dial(nil)}
	r.hello()
	return r
}

func (r *returner) hello() (session string) {
	r.t.Helper()
	var hello struct{ Type, Connection, Session, Resume string }
	if text := r.Receive().String(); json.Unmarshal([]byte(text), &hello) != nil || hello.Type != "hello" || hello.Resume == "" {
		r.t.Fatalf("heard %s, want hello with a resume token", text)
	}
	r.id, r.resume = hello.Connection, hello.Resume
	return hello.Session
}

// back is the same client on another connection, to whatever world. rooms are the positions that it says it has seen, in JSON.
func (r *returner) back(w *world, rooms string) *returner {
	r.t.Helper()
	again := &returner{person: w.dial(nil)}
	again.hello()
	again.say(`{"type":"resume","id":"back","resume":%q,"rooms":[%s]}`, r.resume, rooms)
	again.id, again.resume = r.id, r.resume // if it is taken
	return again
}

// resumed holds that the resume is answered, with its session again or not, and takes the next resume token.
func (r *returner) resumed(want bool) {
	r.t.Helper()
	text := r.Receive().String()
	session, _, _ := strings.Cut(r.resume, ".")
	var answer struct{ Resume string }
	_ = json.Unmarshal([]byte(text), &answer)
	if text != fmt.Sprintf(`{"type":"resumed","id":"back","resumed":%v,"session":%q,"connection":%q,"resume":%q}`, want, session, r.id, answer.Resume) || answer.Resume == r.resume {
		r.t.Fatalf("heard %s, want resumed %v of session %s with another token", text, want, session)
	}
	r.resume = answer.Resume
}

// joins joins a room that keeps a history, and returns its epoch and where it is.
func (p *person) joins(room string) (at roomcast.Position) {
	p.t.Helper()
	p.say(`{"type":"join","id":"in","room":%q}`, room)
	if text := p.Receive().String(); json.Unmarshal([]byte(text), &at) != nil || at.Epoch == "" {
		p.t.Fatalf("heard %s, want the ack of a join with a position", text)
	}
	return at
}

// Who comes back, to whatever node, is in its rooms again, has missed nothing, does not get what it has sent without echo, and is the same to the others.
func TestResume(t *testing.T) {
	for _, nodes := range []int{1, 2} {
		t.Run(fmt.Sprint(nodes), bubble(func(t *testing.T) {
			all := worlds(t, nodes, false)
			here, there := all[0], all[nodes-1]
			watcher := there.arrive()
			watcher.say(`{"type":"join","id":1,"room":"log","presence":true}`)
			at := roomcast.Position{}
			_ = json.Unmarshal(watcher.Receive().Data, &at)
			me := here.arrive()
			me.joins("log")
			me.say(`{"type":"join","id":2,"room":"live"}`)
			me.hears(`{"type":"ack","id":2}`)
			me.say(`{"type":"send","room":"log","echo":false,"data":1}`)
			synctest.Wait()
			me.Drop()
			for data := 2; data < 4; data++ {
				watcher.say(`{"type":"send","room":"log","echo":false,"data":%d}`, data)
			}
			watcher.hears(fmt.Sprintf(`{"type":"message","room":"log","epoch":%q,"offset":1,"from":{"connection":%q},"data":1}`, at.Epoch, me.id))
			<-time.After(10 * time.Second)
			again := me.back(there, fmt.Sprintf(`{"room":"log","epoch":%q,"offset":0}`, at.Epoch))
			var heard []string
			for range 5 {
				heard = append(heard, again.Receive().String())
			}
			joined := fmt.Sprintf(`{"type":"joined","room":"log","epoch":%q,"offset":0,"recovered":true}`, at.Epoch)
			i := 0
			if heard[0] != joined {
				i = 1 // the rooms are in no order
			}
			want := []string{joined}
			for data := 2; data < 4; data++ {
				want = append(want, fmt.Sprintf(`{"type":"message","room":"log","epoch":%q,"offset":%d,"from":{"connection":%q},"data":%d}`, at.Epoch, data, watcher.id, data))
			}
			if got := strings.Join(heard[i:i+3], "\n"); got != strings.Join(want, "\n") {
				t.Errorf("heard\n%s\nwant\n%s", got, strings.Join(want, "\n"))
			}
			if live := heard[3-3*i]; live != `{"type":"joined","room":"live"}` {
				t.Errorf("heard %s of the room without a history", live)
			}
			if !strings.HasPrefix(heard[4], `{"type":"resumed","id":"back","resumed":true,`) || !strings.Contains(heard[4], me.id) {
				t.Errorf("heard %s, want resumed", heard[4])
			}
			again.say(`{"type":"send","id":3,"room":"log","data":4}`)
			again.hears(fmt.Sprintf(`{"type":"message","room":"log","epoch":%q,"offset":4,"from":{"connection":"<me>"},"data":4}`, at.Epoch),
				fmt.Sprintf(`{"type":"ack","id":3,"epoch":%q,"offset":4}`, at.Epoch))
			<-time.After(2 * time.Minute)
			watcher.hears(`{"type":"presence","room":"log","count":2,"users":2,"joined":[{"connection":"`+me.id+`"}],"left":[]}`,
				fmt.Sprintf(`{"type":"message","room":"log","epoch":%q,"offset":4,"from":{"connection":%q},"data":4}`, at.Epoch, me.id))
			watcher.silent()
		}))
	}
}

// Who comes back to a room in which it is told who comes and goes is told that this has not been so meanwhile.
func TestResumePresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, false)
		me, other := all[0].arrive(), all[1].arrive()
		me.say(`{"type":"join","id":1,"room":"r","presence":true}`)
		me.hears(`{"type":"ack","id":1}`)
		synctest.Wait()
		me.Drop()
		synctest.Wait()
		other.say(`{"type":"join","id":1,"room":"r"}`)
		other.hears(`{"type":"ack","id":1}`)
		synctest.Wait()
		again := me.back(all[1], "")
		again.hears(`{"type":"joined","room":"r"}`, `{"type":"presence","room":"r","count":2,"users":2,"truncated":true}`)
		again.resumed(true)
		other.Close(1000, "")
		<-time.After(2 * time.Second)
		again.hears(`{"type":"presence","room":"r","count":1,"users":1,"joined":[],"left":[{"connection":"` + other.id + `"}]}`)
	})
}

// A session whose client does not come back is over after its time, and others are told so; a client that says goodbye is gone at once. Who comes back all the
// same keeps its name, and does not get what it has sent without echo.
func TestSessionOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, false)
		watcher, late, polite := all[0].arrive(), all[1].arrive(), all[1].arrive()
		watcher.say(`{"type":"join","id":1,"room":"log","presence":true}`)
		watcher.Receive()
		at := late.joins("log")
		polite.joins("log")
		<-time.After(time.Second)
		watcher.Receive() // two have come
		late.say(`{"type":"send","id":5,"room":"log","echo":false,"data":1}`)
		late.hears(fmt.Sprintf(`{"type":"ack","id":5,"epoch":%q,"offset":1}`, at.Epoch))
		watcher.Receive()
		late.Drop()
		polite.Close(1000, "")
		<-time.After(59 * time.Second)
		watcher.hears(`{"type":"presence","room":"log","count":2,"users":2,"joined":[],"left":[{"connection":"` + polite.id + `"}]}`)
		watcher.silent()
		<-time.After(2 * time.Second)
		watcher.hears(`{"type":"presence","room":"log","count":1,"users":1,"joined":[],"left":[{"connection":"` + late.id + `"}]}`)
		again := late.back(all[0], fmt.Sprintf(`{"room":"log","epoch":%q,"offset":0}`, at.Epoch))
		again.resumed(false)
		again.say(`{"type":"join","id":6,"room":"log","since":{"epoch":%q,"offset":0}}`, at.Epoch)
		again.hears(fmt.Sprintf(`{"type":"ack","id":6,"epoch":%q,"offset":0,"recovered":true}`, at.Epoch))
		again.silent()
	})
}

// Sessions that wait take only so much: who has waited longest does not wait on.
func TestSessionsThatWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := worlds(t, 1, false)[0]
		w.hub.roster.waiting.most = 3 * (sessionBytes + gripBytes)
		var all []*returner
		for range 5 {
			p := w.arrive()
			p.joins("log")
			p.Drop()
			synctest.Wait()
			all = append(all, p)
		}
		for i, p := range all {
			again := p.back(w, "")
			if i >= 2 {
				again.Receive() // the room
			}
			again.resumed(i >= 2)
			again.Close(1000, "")
			synctest.Wait()
		}
		if r := &w.hub.roster.waiting; r.bytes != 0 || r.queue.Len() != 0 {
			t.Errorf("%d bytes and %d sessions wait, want none", r.bytes, r.queue.Len())
		}
	})
}

// A session is on one connection at a time: the one before is closed, on whatever node it is, and the rooms are told nothing.
func TestSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, false)
		me := all[0].arrive()
		at := me.joins("log")
		for _, w := range []*world{all[0], all[1], all[0]} {
			again := me.back(w, "")
			again.hears(fmt.Sprintf(`{"type":"joined","room":"log","epoch":%q,"offset":0}`, at.Epoch))
			again.resumed(true)
			me.ends(int(protocol.CloseSuperseded), "goes on in another connection")
			synctest.Wait()
			for _, w := range all {
				if _, _, count, _ := w.hub.roster.page("log", "", 10); count != 1 {
					t.Errorf("%d in the room, want 1", count)
				}
			}
			me = again
		}
	})
}

// Who comes back to a node that has not heard of the session, since it has just begun or was cut off, has it all the same: the latest token counts, and not
// which node knows more.
func TestResumeAtNodeThatKnowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := worlds(t, 2, false)
		me := all[0].arrive()
		session := strings.Split(me.resume, ".")[0]
		for range 3 {
			again := me.back(all[0], "")
			again.resumed(true)
			me = again
		}
		synctest.Wait()
		all[1].hub.roster.apply(roomcast.Member{ID: session, Node: all[0].hub.roster.node, Gone: true})
		last := me.back(all[1], "")
		last.resumed(false)
		synctest.Wait()
		me.ends(int(protocol.CloseSuperseded), "goes on in another connection")
		last.say(`{"type":"ping"}`)
		last.hears(`{"type":"pong"}`)
		for _, w := range all {
			if found := w.hub.roster.find(Target{Session: session}); len(found) != 1 || found[0].node != all[1].hub.roster.node {
				t.Errorf("the session is not known to be where its client is: %v", found)
			}
		}
	})
}

// slow is an engine whose rooms are subscribed to when the test says so.
type slow struct {
	roomcast.Engine
	turns chan struct{}
}

func (e slow) Subscribe(ctx context.Context, room string, deliver func([]roomcast.Entry)) (roomcast.Position, func(), error) {
	<-e.turns
	return e.Engine.Subscribe(ctx, room, deliver)
}

// What the backend does to a client holds although its connection is breaking at that moment, or is broken: it comes back to it.
func TestBackendMeansWhoIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := slow{memengine.New(logs), make(chan struct{}, 1)}
		w := start(t, false, func(c *Config) { c.Engine, c.SessionTTL = engine, time.Minute })
		w.hub.SetSessionKey([]byte("the key"))
		me := w.arrive()
		target := Target{Connection: me.id}
		join := func(room string) {
			t.Helper()
			engine.turns <- struct{}{}
			me.say(`{"type":"join","id":1,"room":%q}`, room)
			me.hears(`{"type":"ack","id":1}`)
		}
		join("a")
		join("b")
		me.say(`{"type":"join","id":2,"room":"c"}`)
		synctest.Wait() // it waits for the engine
		me.Drop()
		synctest.Wait() // its connection is closing
		if n, err := w.hub.Leave(target, "a", ""); n != 1 || err != nil {
			t.Errorf("Leave = %d, %v", n, err)
		}
		if n, err := w.hub.Join(target, "d"); n != 1 || err != nil {
			t.Errorf("Join = %d, %v", n, err)
		}
		engine.turns <- struct{}{}
		synctest.Wait() // its connection is closed
		if n, err := w.hub.Join(target, "d"); n != 0 || err != nil {
			t.Errorf("Join = %d, %v the second time", n, err)
		}
		if n, err := w.hub.Leave(target, "b", ""); n != 1 || err != nil {
			t.Errorf("Leave = %d, %v", n, err)
		}
		for i := range 9 {
			if n, err := w.hub.Join(target, fmt.Sprint(i)); n != 1 || err != nil {
				t.Errorf("Join = %d, %v", n, err)
			}
		}
		if _, err := w.hub.Join(target, "one too many"); !errors.Is(err, roomcast.ErrTooManyRooms) {
			t.Errorf("Join = %v, want ErrTooManyRooms", err)
		}
		for i := range 9 {
			if n, err := w.hub.Leave(target, fmt.Sprint(i), ""); n != 1 || err != nil {
				t.Errorf("Leave = %d, %v", n, err)
			}
		}
		again := me.back(w, "")
		engine.turns <- struct{}{}
		again.hears(`{"type":"joined","room":"d"}`, `{"type":"left","room":"a"}`, `{"type":"left","room":"b"}`)
		again.resumed(true)
	})
}

// Who has been disconnected while its connection was breaking does not come back.
func TestBackendEndsWhoIsBreaking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := slow{memengine.New(logs), make(chan struct{}, 1)}
		w := start(t, false, func(c *Config) { c.Engine, c.SessionTTL = engine, time.Minute })
		w.hub.SetSessionKey([]byte("the key"))
		me := w.arrive()
		target := Target{Connection: me.id}
		me.say(`{"type":"join","id":3,"room":"e"}`)
		synctest.Wait()
		me.Drop()
		synctest.Wait()
		if n, err := w.hub.Disconnect(target, "enough"); n != 0 || err != nil {
			t.Errorf("Disconnect = %d, %v", n, err)
		}
		engine.turns <- struct{}{}
		synctest.Wait()
		if found := w.hub.roster.find(target); len(found) > 0 {
			t.Errorf("there is %v, who was disconnected for good", found)
		}
	})
}

// Who is cut off again while it comes back has lost nothing.
func TestResumeCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := slow{memengine.New(logs), make(chan struct{}, 1)}
		w := start(t, false, func(c *Config) { c.Engine, c.SessionTTL = engine, time.Minute })
		w.hub.SetSessionKey([]byte("the key"))
		me := w.arrive()
		engine.turns <- struct{}{}
		at := me.joins("log")
		me.Drop()
		synctest.Wait()
		again := me.back(w, "")
		synctest.Wait()
		again.Drop()
		synctest.Wait()
		engine.turns <- struct{}{}
		synctest.Wait()
		engine.turns <- struct{}{}
		last := me.back(w, "")
		last.hears(fmt.Sprintf(`{"type":"joined","room":"log","epoch":%q,"offset":0}`, at.Epoch))
		last.resumed(true)
	})
}

// However many rooms a client says to have seen more of than there is, it is not waited for long, and nobody else waits for it.
func TestResumeInvented(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := worlds(t, 1, false)[0]
		me := w.arrive()
		var positions []string
		for i := range 10 {
			room := fmt.Sprintf("log/%d", i)
			positions = append(positions, fmt.Sprintf(`{"room":%q,"epoch":%q,"offset":9007199254740991}`, room, me.joins(room).Epoch))
		}
		me.Drop()
		synctest.Wait()
		began := time.Now()
		again := me.back(w, strings.Join(positions, ","))
		for range positions {
			if text := again.Receive().String(); !strings.Contains(text, `"recovered":false`) {
				t.Errorf("heard %s, want joined that is not recovered", text)
			}
		}
		again.resumed(true)
		if took := time.Since(began); took > 2*resumeTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

// A resume token opens nothing to who is not meant.
func TestResumeRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := worlds(t, 1, true)[0]
		everything := map[string][]string{"**": {"join", "send", "presence"}}
		hello := func(user string) *returner {
			r := &returner{person: w.dial(bearing(w.token(user, everything, time.Hour)))}
			r.hello()
			return r
		}
		ann, bob := hello("ann"), hello("bob")
		for _, token := range []string{ann.resume, ann.resume + "x", "a.b", strings.Repeat("x", 5000), "...", ann.resume[:10] + "x" + ann.resume[11:]} {
			bob.say(`{"type":"resume","id":1,"resume":%q}`, token)
			bob.hearsError("1", "forbidden", "another user")
		}
		bob.joins("log")
		bob.say(`{"type":"resume","id":2,"resume":%q}`, bob.resume)
		bob.hearsError("2", "bad_request", "before any join")
	})
}

// What a session is not allowed any more it does not come back to: rooms that its new token does not open, rooms it has been taken out of, or anything after
// it has been disconnected. Where the backend has put it, it is.
func TestResumeLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := worlds(t, 1, true)[0]
		hello := func(rooms ...string) *returner {
			allowed := map[string][]string{}
			for _, room := range rooms {
				allowed[room] = []string{"join"}
			}
			r := &returner{person: w.dial(bearing(w.token("ann", allowed, time.Hour)))}
			r.hello()
			return r
		}
		me := hello("a", "b", "c")
		for _, room := range []string{"a", "b", "c"} {
			me.say(`{"type":"join","id":1,"room":%q}`, room)
			me.hears(`{"type":"ack","id":1}`)
		}
		if n, err := w.hub.Join(Target{User: "ann"}, "d"); n != 1 || err != nil {
			t.Errorf("Join = %d, %v", n, err)
		}
		me.hears(`{"type":"joined","room":"d"}`)
		me.Drop()
		synctest.Wait()
		if n, err := w.hub.Leave(Target{User: "ann"}, "b", ""); n != 1 || err != nil {
			t.Errorf("Leave = %d, %v", n, err)
		}
		again := hello("a", "b")
		again.say(`{"type":"resume","id":"back","resume":%q}`, me.resume)
		heard := map[string]bool{again.Receive().String(): true, again.Receive().String(): true}
		if !heard[`{"type":"joined","room":"a"}`] || !heard[`{"type":"joined","room":"d"}`] {
			t.Errorf("heard %v", heard)
		}
		again.hears(`{"type":"left","room":"b"}`)
		again.id, again.resume = me.id, me.resume
		again.resumed(true)
		again.Drop()
		synctest.Wait()
		if _, err := w.hub.Disconnect(Target{User: "ann"}, "enough"); err != nil {
			t.Error(err)
		}
		last := hello("a")
		last.say(`{"type":"resume","id":"back","resume":%q}`, me.resume)
		last.id, last.resume = me.id, me.resume
		last.resumed(false)
	})
}

// Without a key there are no resume tokens, nor is any judged; nothing else is missing.
func TestNoSessionKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, false, func(c *Config) { c.SessionTTL = time.Minute })
		p := w.dial(nil)
		if hello := p.Receive().String(); strings.Contains(hello, "resume") || strings.Contains(hello, "session_ttl_ms") {
			t.Errorf("heard %s, want no resume token", hello)
		}
		p.say(`{"type":"resume","id":1,"resume":"a.b.0.c"}`)
		p.hearsError("1", "unavailable", "")
	})
}

// The backend may put a user into rooms who is just coming back: both its connections are in them then, and the session goes on as if it had been in them before.
func TestResumeWhereTheBackendHasPutIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, true, func(c *Config) { c.Engine, c.SessionTTL = memengine.New(logs), time.Minute })
		w.hub.SetSessionKey([]byte("the key"))
		hello := func() *returner {
			r := &returner{person: w.dial(bearing(w.token("ann", map[string][]string{"**": {"join"}}, time.Hour)))}
			r.hello()
			return r
		}
		me := hello()
		at := me.joins("log")
		me.Drop()
		synctest.Wait()
		if _, err := w.hub.Publish("log", Post{Payload: data("1")}); err != nil {
			t.Error(err)
		}
		again := hello()
		fresh := again.id
		joined := `{"type":"joined","room":"log","epoch":"` + at.Epoch + `","offset":%d%s}`
		for room, target := range map[string]Target{"log": {User: "ann"}, "news": {Connection: fresh}} {
			if _, err := w.hub.Join(target, room); err != nil {
				t.Error(err)
			}
			again.hears(map[string]string{"log": fmt.Sprintf(joined, 1, ""), "news": `{"type":"joined","room":"news"}`}[room])
		}
		again.say(`{"type":"resume","id":"back","resume":%q,"rooms":[{"room":"log","epoch":%q,"offset":0}]}`, me.resume, at.Epoch)
		again.id, again.resume = me.id, me.resume
		again.hears(fmt.Sprintf(joined, 0, `,"recovered":true`), `{"type":"message","room":"log","epoch":"`+at.Epoch+`","offset":1,"data":1}`)
		again.resumed(true)
		if client, rooms, found := w.hub.Client(me.id); !found || client.User != "ann" || fmt.Sprint(rooms) != "[log news]" {
			t.Errorf("%+v is in %v", client, rooms)
		}
		if _, _, found := w.hub.Client(fresh); found {
			t.Error("the connection before the resume is still known")
		}
		if receipt, err := w.hub.Publish("news", Post{Payload: data("2")}); err != nil || receipt.Delivered != 1 {
			t.Errorf("Publish = %+v, %v", receipt, err)
		}
		again.hears(`{"type":"message","room":"news","data":2}`)
	})
}
