package roomcast_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/memengine"
	"github.com/roomcast/roomcast/roomcasttest"
)

// logs is the history of the rooms of these tests whose names begin with "log".
var logs = memengine.Options{History: []roomcast.Retention{{
	Name: "log", Match: func(room string) bool { return strings.HasPrefix(room, "log") }, Messages: 1000,
}}}

// tapped is an engine whose subscriptions are counted, and that can be told to fail.
type tapped struct {
	roomcast.Engine
	subscribed atomic.Int32
	away       atomic.Bool
	ahead      atomic.Bool
	deliver    atomic.Value // of the latest subscription
}

func (e *tapped) Subscribe(ctx context.Context, room string, deliver func([]roomcast.Entry)) (roomcast.Position, func(), error) {
	if e.away.Load() {
		return roomcast.Position{}, nil, roomcast.ErrUnavailable
	}
	at, cancel, err := e.Engine.Subscribe(ctx, room, deliver)
	e.subscribed.Add(1)
	e.deliver.Store(deliver)
	return at, func() { e.subscribed.Add(-1); cancel() }, err
}

// History says that there is what a node that is behind has yet to hear of, if the engine is told to.
func (e *tapped) History(ctx context.Context, room string, since roomcast.Position, limit int) ([]roomcast.Entry, error) {
	if e.ahead.Load() {
		return nil, nil
	}
	return e.Engine.History(ctx, room, since, limit)
}

func (e *tapped) Publish(ctx context.Context, room string, entries []roomcast.Entry) error {
	if e.away.Load() {
		return roomcast.ErrUnavailable
	}
	return e.Engine.Publish(ctx, room, entries)
}

// place is how a test tells its clients where they are.
func place(_ string, e roomcast.Entry) roomcast.Message {
	if e.Position.Epoch == "" {
		return e.Message
	}
	return roomcast.Text(fmt.Sprintf("%d %s", e.Position.Offset, e.Data))
}

func greeting(at roomcast.Position, recovered bool) roomcast.Message {
	return roomcast.Text(fmt.Sprintf("after %d %v", at.Offset, recovered))
}

// nodes returns a hub for each of n nodes of one cluster; clients join nothing by themselves but the room of their path.
func nodes(t *testing.T, n int) (hubs []*hub, engines []*tapped) {
	for _, e := range memengine.NewCluster(logs, n) {
		t.Cleanup(e.Close)
		engine := &tapped{Engine: e}
		engines = append(engines, engine)
		hubs = append(hubs, newHub(t, roomcast.Options{Engine: engine, Render: place, PingInterval: -1}, nil))
	}
	return hubs, engines
}

// Rooms reach over the nodes of an engine: without a history each node delivers what is published on it, with one all deliver the same order. Who is left out
// is so on all nodes.
func TestEngineNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hubs, engines := nodes(t, 2)
		a, connA := hubs[0].dial("live")
		b, connB := hubs[1].dial("live")
		for _, c := range []*roomcast.Conn{connA, connB} {
			expect(t, "join", c.Join("log"), nil)
		}
		receipt, err := hubs[0].Publish("live", roomcast.Publication{Messages: []roomcast.Message{roomcast.Text("one")}, Sessions: []string{connA.Session()}})
		expect(t, "receipt", receipt, roomcast.Receipt{})
		expect(t, "error", err, nil)
		receipt, err = hubs[1].Publish("live", roomcast.Publication{Messages: []roomcast.Message{roomcast.Text("two")}, Except: []*roomcast.Conn{connB}})
		expect(t, "receipt", receipt, roomcast.Receipt{})
		expect(t, "error", err, nil)
		expect(t, "to the other node", b.Receive().String(), "one")
		expect(t, "to the other node", a.Receive().String(), "two")
		for i := range 4 {
			receipt, err := hubs[i%2].Publish("log", roomcast.Publication{Messages: []roomcast.Message{roomcast.Text("x"), roomcast.Text("y")}})
			expect(t, "offset", receipt.At.Offset, uint64(2*i+2))
			expect(t, "error", err, nil)
		}
		for offset := 1; offset <= 8; offset++ {
			want := fmt.Sprintf("%d %c", offset, "yx"[offset%2])
			expect(t, "a of the history", a.Receive().String(), want)
			expect(t, "b of the history", b.Receive().String(), want)
		}
		a.Drop()
		b.Drop()
		synctest.Wait()
		for _, e := range engines {
			expect(t, "subscriptions left", e.subscribed.Load(), 0)
		}
	})
}

// session makes a connection known by another name than its ID.
type session string

func (s session) Session() string { return string(s) }

// returning is a client that goes and comes back, on whatever node, until it has seen so many entries go by.
type returning struct {
	session
	t    *testing.T
	at   roomcast.Position
	seen map[uint64]bool // by offset
}

// read comes back on a node, and goes again after some messages.
func (r *returning) read(client *roomcasttest.Client, conn *roomcast.Conn, last uint64) {
	defer client.Drop()
	conn.SetValue(r.session)
	expect(r.t, "join", conn.JoinFrom("log", roomcast.Joining{Since: r.at, Greet: greeting}), nil)
	expect(r.t, "greeting", client.Receive().String(), fmt.Sprintf("after %d true", r.at.Offset))
	for range 1 + rand.IntN(40) {
		m, ok := client.Next()
		var offset uint64
		if _, err := fmt.Sscanf(m.String(), "%d ", &offset); !ok || err != nil || offset <= r.at.Offset {
			r.t.Errorf("%s: %q after %d", r.session, m, r.at.Offset)
		}
		r.seen[offset], r.at.Offset = true, offset
		if offset >= last {
			return
		}
	}
}

// Who comes back gets exactly what was missed, in order and without what its own session has sent without echo, whatever happens at the same time and on whatever
// node it is.
func TestReplayIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hubs, engines := nodes(t, 2)
		hubs[0].dial("log") // the room stays, and its epoch
		const publishers, each = 3, 200
		var publishing, reading sync.WaitGroup
		for i := range publishers {
			publishing.Go(func() {
				for range each {
					p := roomcast.Publication{Messages: []roomcast.Message{roomcast.Text("x")}, Sessions: []string{fmt.Sprintf("reader %d", rand.IntN(8))}}
					if _, err := hubs[i%2].Publish("log", p); err != nil {
						t.Error(err)
					}
				}
			})
		}
		var dialling sync.Mutex // one at a time: hub.conns has room for one
		readers := make([]*returning, 4)
		for i := range readers {
			r := &returning{session(fmt.Sprintf("reader %d", i)), t, roomcast.Position{Epoch: epochOf(t, engines[0])}, map[uint64]bool{}}
			readers[i] = r
			reading.Go(func() {
				for r.at.Offset < publishers*each {
					dialling.Lock()
					client, conn := hubs[rand.IntN(2)].dial("elsewhere")
					dialling.Unlock()
					r.read(client, conn, publishers*each)
				}
			})
		}
		publishing.Wait()
		_, err := hubs[0].Broadcast("log", roomcast.Text("for those who are left out of the last one"))
		expect(t, "error", err, nil)
		reading.Wait()
		entries, err := engines[0].History(t.Context(), "log", roomcast.Position{}, 1000)
		expect(t, "error", err, nil)
		for _, r := range readers {
			for _, e := range entries[:publishers*each] {
				if mine := e.Except[0] == string(r.session); r.seen[e.Position.Offset] == mine {
					t.Errorf("%s: has %d: %v, is left out: %v", r.session, e.Position.Offset, !mine, mine)
				}
			}
		}
	})
}

// late is an engine that keeps back what it has to deliver.
type late struct {
	roomcast.Engine
	back chan func() // cap 10; never closed
}

func (e *late) Subscribe(ctx context.Context, room string, deliver func([]roomcast.Entry)) (roomcast.Position, func(), error) {
	return e.Engine.Subscribe(ctx, room, func(entries []roomcast.Entry) { e.back <- func() { deliver(entries) } })
}

// Who comes from a node that was further than this one misses nothing: the node catches up.
func TestReplayAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := memengine.NewCluster(logs, 2)
		for _, e := range engines {
			defer e.Close()
		}
		behind := &late{engines[1], make(chan func(), 10)}
		ahead := newHub(t, roomcast.Options{Engine: engines[0], Render: place, PingInterval: -1}, nil)
		h := newHub(t, roomcast.Options{Engine: behind, Render: place, PingInterval: -1}, nil)
		ahead.dial("log")
		h.dial("log")
		var at roomcast.Position
		for range 3 {
			p, err := ahead.Publish("log", roomcast.Publication{Messages: []roomcast.Message{roomcast.Text("x")}})
			expect(t, "error", err, nil)
			if at.Offset < 2 {
				at = p.At
			}
		}
		client, conn := h.dial("other")
		go func() {
			if err := conn.JoinFrom("log", roomcast.Joining{Since: at, Greet: greeting}); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait() // it waits until the node has come as far
		for range 3 {
			(<-behind.back)()
		}
		expect(t, "greeting", client.Receive().String(), "after 2 true")
		expect(t, "what was missed", client.Receive().String(), "3 x")
	})
}

// The same where the node has more to catch up with than may wait for one connection.
func TestReplayFarAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := memengine.NewCluster(logs, 2)
		for _, e := range engines {
			defer e.Close()
		}
		behind := &late{engines[1], make(chan func(), 10)}
		h := newHub(t, roomcast.Options{Engine: behind, Render: place, PingInterval: -1, OutboxBytes: 5000}, nil)
		h.dial("log")
		for range 8 {
			expect(t, "error", engines[0].Publish(t.Context(), "log", []roomcast.Entry{{Message: roomcast.Text(strings.Repeat("x", 1000))}}), nil)
		}
		client, conn := h.dial("other")
		since := roomcast.Position{Epoch: epochOf(t, engines[0]), Offset: 8}
		joined := make(chan error, 1)
		go func() { joined <- conn.JoinFrom("log", roomcast.Joining{Since: since, Greet: greeting}) }()
		for range 8 {
			synctest.Wait()
			expect(t, "messages", len(client.Waiting()), 0)
			(<-behind.back)()
		}
		expect(t, "join", <-joined, nil)
		expect(t, "greeting", client.Receive().String(), "after 8 true")
	})
}

// The same where what followed is forgotten already: the member is never told of a place before the one that it has seen.
func TestReplayAheadForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		few := memengine.Options{History: []roomcast.Retention{{Name: "log", Match: func(room string) bool { return room == "log" }, Messages: 2}}}
		engines := memengine.NewCluster(few, 2)
		for _, e := range engines {
			defer e.Close()
		}
		behind := &late{engines[1], make(chan func(), 10)}
		h := newHub(t, roomcast.Options{Engine: behind, Render: place, PingInterval: -1}, nil)
		h.dial("log")
		for range 8 {
			expect(t, "error", engines[0].Publish(t.Context(), "log", []roomcast.Entry{{Message: roomcast.Text("x")}}), nil)
		}
		client, conn := h.dial("other")
		since := roomcast.Position{Epoch: epochOf(t, engines[0]), Offset: 3}
		joined := make(chan error, 1)
		go func() { joined <- conn.JoinFrom("log", roomcast.Joining{Since: since, Greet: greeting}) }()
		for range 3 {
			synctest.Wait()
			expect(t, "messages", len(client.Waiting()), 0)
			(<-behind.back)()
		}
		expect(t, "join", <-joined, nil)
		expect(t, "greeting", client.Receive().String(), "after 3 false")
	})
}

// Where there are no other nodes, a position that this one has not reached is none: nobody waits for it.
func TestReplayAheadAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := memengine.New(logs)
		defer engine.Close()
		h := newHub(t, roomcast.Options{Engine: engine, Render: place, PingInterval: -1}, nil)
		h.dial("log") // the room stays, and its epoch
		client, conn := h.dial("other")
		began := time.Now()
		err := conn.JoinFrom("log", roomcast.Joining{Since: roomcast.Position{Epoch: epochOf(t, engine), Offset: 1}, Greet: greeting})
		expect(t, "error", err, nil)
		expect(t, "greeting", client.Receive().String(), "after 0 false")
		expect(t, "wait", time.Since(began), 0)
	})
}

func epochOf(t *testing.T, e roomcast.Engine) string {
	at, cancel, err := e.Subscribe(t.Context(), "log", func([]roomcast.Entry) {})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	return at.Epoch
}

// What cannot be replayed is said to be so, and the member goes on from where the room is.
func TestReplayRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hubs, _ := nodes(t, 1)
		h := hubs[0]
		_, keeper := h.dial("other")
		expect(t, "join", keeper.Join("log"), nil)
		large := roomcast.Text(strings.Repeat("x", 300<<10))
		first, err := h.Publish("log", roomcast.Publication{Messages: []roomcast.Message{roomcast.Text("first")}})
		expect(t, "error", err, nil)
		for range 5 {
			_, err = h.Publish("log", roomcast.Publication{Messages: []roomcast.Message{large}, Sessions: []string{keeper.Session()}})
			expect(t, "error", err, nil)
		}
		for name, since := range map[string]roomcast.Position{
			"another epoch":               {Epoch: "gone", Offset: 1},
			"more than the outbox takes":  first.At,
			"what has not come to be yet": {Epoch: first.At.Epoch, Offset: 100},
		} {
			client, conn := h.dial("other")
			expect(t, name, conn.JoinFrom("log", roomcast.Joining{Since: since, Greet: greeting}), nil)
			expect(t, name, client.Receive().String(), "after 6 false")
			client.Drop()
		}
		client, conn := h.dial("other")
		since := roomcast.Position{Epoch: first.At.Epoch, Offset: 5}
		expect(t, "join", conn.JoinFrom("log", roomcast.Joining{Since: since, Greet: greeting}), nil)
		expect(t, "what can be replayed", client.Receive().String(), "after 5 true")
		expect(t, "the last", len(client.Receive().Data), len(large.Data)+2)
	})
}

// together is an engine whose histories come when all who ask for one have asked.
type together struct {
	roomcast.Engine
	all sync.WaitGroup
}

func (g *together) History(ctx context.Context, room string, since roomcast.Position, limit int) ([]roomcast.Entry, error) {
	g.all.Done()
	g.all.Wait()
	return g.Engine.History(ctx, room, since, limit)
}

// counting is an engine that counts what is read of its histories.
type counting struct {
	roomcast.Engine
	read int
}

func (e *counting) History(ctx context.Context, room string, since roomcast.Position, limit int) ([]roomcast.Entry, error) {
	entries, err := e.Engine.History(ctx, room, since, limit)
	e.read += len(entries)
	return entries, err
}

// No more is fetched for a client than it could be sent, however small the messages are.
func TestReplayOfTheSmallest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const kept, limit = 20_000, 5000
		many := memengine.Options{History: []roomcast.Retention{{Name: "log", Match: func(room string) bool { return room == "log" }, Messages: kept}}}
		engine := &counting{Engine: memengine.New(many)}
		defer engine.Engine.(*memengine.Engine).Close()
		h := newHub(t, roomcast.Options{Engine: engine, PingInterval: -1, OutboxBytes: limit}, nil)
		_, keeper := h.dial("other")
		expect(t, "join", keeper.Join("log"), nil)
		entries := make([]roomcast.Entry, kept)
		for i := range entries {
			entries[i].Except = []string{keeper.Session()}
		}
		expect(t, "error", engine.Publish(t.Context(), "log", entries), nil)
		client, conn := h.dial("elsewhere")
		since := roomcast.Position{Epoch: entries[0].Position.Epoch, Offset: 1}
		expect(t, "join", conn.JoinFrom("log", roomcast.Joining{Since: since, Greet: greeting}), nil)
		expect(t, "greeting", client.Receive().String(), fmt.Sprintf("after %d false", kept))
		if engine.read > limit {
			t.Errorf("%d messages have been fetched for an outbox of %d bytes", engine.read, limit)
		}
	})
}

// Two joins of one connection at the same time are one: what was missed comes once.
func TestReplayOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &together{Engine: memengine.New(logs)}
		defer engine.Engine.(*memengine.Engine).Close()
		h := newHub(t, roomcast.Options{Engine: engine, Render: place, PingInterval: -1}, nil)
		h.dial("log")
		var at roomcast.Position
		for range 3 {
			r, err := h.Publish("log", roomcast.Publication{Messages: []roomcast.Message{roomcast.Text("x")}})
			expect(t, "error", err, nil)
			at = r.At
		}
		client, conn := h.dial("elsewhere")
		at.Offset = 1
		engine.all.Add(2)
		var joining sync.WaitGroup
		for range 2 {
			joining.Go(func() { expect(t, "join", conn.JoinFrom("log", roomcast.Joining{Since: at}), nil) })
		}
		joining.Wait()
		synctest.Wait()
		expect(t, "messages", len(client.Waiting()), 2)
	})
}

// While what a client has missed is fetched, no more of what follows is kept for it than it could be sent.
func TestReplayTooMuchMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &together{Engine: memengine.New(logs)}
		defer engine.Engine.(*memengine.Engine).Close()
		h := newHub(t, roomcast.Options{Engine: engine, Render: place, PingInterval: -1}, nil)
		_, keeper := h.dial("other")
		expect(t, "join", keeper.Join("log"), nil)
		large := roomcast.Publication{Messages: []roomcast.Message{roomcast.Text(strings.Repeat("x", 300<<10))}, Sessions: []string{keeper.Session()}}
		first, err := h.Publish("log", large)
		expect(t, "error", err, nil)
		_, err = h.Publish("log", large)
		expect(t, "error", err, nil)
		client, conn := h.dial("other")
		engine.all.Add(2)
		joined := make(chan error, 1)
		go func() { joined <- conn.JoinFrom("log", roomcast.Joining{Since: first.At, Greet: greeting}) }()
		synctest.Wait() // the second one is being fetched
		for range 4 {
			_, err := h.Publish("log", large)
			expect(t, "error", err, nil)
		}
		engine.all.Done()
		expect(t, "join", <-joined, nil)
		expect(t, "greeting", client.Receive().String(), "after 6 false")
	})
}

// A node that is behind, and stays so, does not say that something is lost: it says that it cannot be had now.
func TestReplayBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hubs, engines := nodes(t, 2)
		_, conn := hubs[0].dial("log")
		at, err := hubs[0].Publish("log", roomcast.Publication{Messages: []roomcast.Message{roomcast.Text("x")}})
		expect(t, "error", err, nil)
		conn.Leave("log")
		engines[0].ahead.Store(true)
		err = conn.JoinFrom("log", roomcast.Joining{Since: roomcast.Position{Epoch: at.At.Epoch, Offset: at.At.Offset + 1}})
		if !errors.Is(err, roomcast.ErrUnavailable) {
			t.Errorf("JoinFrom = %v, want ErrUnavailable", err)
		}
	})
}

// If entries are lost on the way, the members are told how many, and go on.
func TestEngineGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &tapped{Engine: memengine.New(logs)}
		h := newHub(t, roomcast.Options{Engine: engine, Render: place, PingInterval: -1, Gap: func(room string, missed int) roomcast.Message {
			return roomcast.Text(fmt.Sprintf("%s misses %d", room, missed))
		}}, nil)
		client, _ := h.dial("log")
		deliver := engine.deliver.Load().(func([]roomcast.Entry))
		entry := func(epoch string, offset uint64) roomcast.Entry {
			return roomcast.Entry{Message: roomcast.Text("x"), Position: roomcast.Position{Epoch: epoch, Offset: offset}}
		}
		deliver([]roomcast.Entry{entry("e", 1), entry("e", 2)})
		deliver([]roomcast.Entry{entry("e", 6)})
		deliver([]roomcast.Entry{entry("f", 1)})
		for _, want := range []string{"1 x", "2 x", "log misses 3", "6 x", "1 x"} {
			expect(t, "message", client.Receive().String(), want)
		}
	})
}

// held is an engine that has one entry to replay, when it is let.
type held struct {
	*tapped
	let chan struct{} // closed once it is
}

func (e *held) History(context.Context, string, roomcast.Position, int) ([]roomcast.Entry, error) {
	<-e.let
	return []roomcast.Entry{{Message: roomcast.Text("x"), Position: roomcast.Position{Epoch: "e", Offset: 2}}}, nil
}

// Who comes in between the word that entries are missing and the next entry begins behind those, or is told that they cannot be had.
func TestEngineGapAmid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &held{&tapped{Engine: memengine.New(logs)}, make(chan struct{})}
		var amid func()
		render := func(room string, e roomcast.Entry) roomcast.Message {
			if e.Position.Offset == 6 {
				amid()
			}
			return place(room, e)
		}
		h := newHub(t, roomcast.Options{Engine: engine, Render: render, PingInterval: -1, Gap: func(string, int) roomcast.Message {
			return roomcast.Text("gap")
		}}, nil)
		fresh, freshConn := h.dial("elsewhere")
		back, backConn := h.dial("elsewhere")
		there, _ := h.dial("log")
		deliver := engine.deliver.Load().(func([]roomcast.Entry))
		at := func(offset uint64) []roomcast.Entry {
			return []roomcast.Entry{{Message: roomcast.Text("x"), Position: roomcast.Position{Epoch: "e", Offset: offset}}}
		}
		deliver(at(1))
		deliver(at(2))
		returned := make(chan error, 1)
		go func() {
			returned <- backConn.JoinFrom("log", roomcast.Joining{Since: at(1)[0].Position, Greet: greeting})
		}()
		synctest.Wait() // what it has missed is being fetched
		amid = func() {
			expect(t, "join", freshConn.JoinFrom("log", roomcast.Joining{Greet: greeting}), nil)
			close(engine.let)
			expect(t, "join", <-returned, nil)
		}
		deliver(at(6))
		for _, want := range []string{"1 x", "2 x", "gap", "6 x"} {
			expect(t, "to who is there", there.Receive().String(), want)
		}
		for _, want := range []string{"after 5 false", "6 x"} {
			expect(t, "to who is fresh", fresh.Receive().String(), want)
			expect(t, "to who is back", back.Receive().String(), want)
		}
	})
}

// While the engine is away, what needs it fails, and nothing of it stays; then all goes on.
func TestEngineAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hubs, engines := nodes(t, 1)
		h, engine := hubs[0], engines[0]
		client, conn := h.dial("log")
		engine.away.Store(true)
		if err := conn.Join("log/2"); !errors.Is(err, roomcast.ErrUnavailable) {
			t.Errorf("Join = %v, want ErrUnavailable", err)
		}
		if _, err := h.Broadcast("log", roomcast.Text("x")); !errors.Is(err, roomcast.ErrUnavailable) {
			t.Errorf("Broadcast = %v, want ErrUnavailable", err)
		}
		expect(t, "rooms", h.Stats().Rooms, 1)
		engine.away.Store(false)
		expect(t, "join", conn.Join("log/2"), nil)
		_, err := h.Broadcast("log/2", roomcast.Text("y"))
		expect(t, "error", err, nil)
		expect(t, "message", client.Receive().String(), "1 y")
	})
}

// A room is subscribed to while it has members, however they come and go.
func TestG3_Subscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hubs, engines := nodes(t, 1)
		var churning sync.WaitGroup
		for range 8 {
			client, conn := hubs[0].dial("home")
			churning.Go(func() {
				for range 200 {
					room := fmt.Sprintf("log/%d", rand.IntN(3))
					if rand.IntN(2) == 0 {
						conn.Leave(room)
					} else if err := conn.Join(room); err != nil {
						t.Error(err)
					}
				}
				client.Drop()
			})
		}
		churning.Wait()
		synctest.Wait()
		expect(t, "subscriptions left", engines[0].subscribed.Load(), 0)
		expect(t, "rooms left", hubs[0].Stats().Rooms, 0)
	})
}
