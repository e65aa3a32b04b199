package memengine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ roomcast.Engine = (*Engine)(nil)

// nodes returns a cluster that is closed at the end of the test.
func nodes(t testing.TB, o Options, n int) []*Engine {
	engines := NewCluster(o, n)
	t.Cleanup(func() {
		for _, e := range engines {
			e.Close()
		}
	})
	return engines
}

// keep is options in which rooms that begin with "log/" keep a history.
func keep(r roomcast.Retention) Options {
	r.Name, r.Match = "log", func(room string) bool { return strings.HasPrefix(room, "log/") }
	return Options{History: []roomcast.Retention{r}}
}

// say publishes texts.
func say(t testing.TB, e *Engine, room string, texts ...string) []roomcast.Entry {
	t.Helper()
	entries := make([]roomcast.Entry, len(texts))
	for i, text := range texts {
		entries[i].Message = roomcast.Text(text)
	}
	if err := e.Publish(t.Context(), room, entries); err != nil {
		t.Fatal(err)
	}
	return entries
}

// told returns what a room keeps, in one line.
func told(t testing.TB, e *Engine, room string) string {
	t.Helper()
	entries, err := e.History(t.Context(), room, roomcast.Position{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(entries)
}

func nothing([]roomcast.Entry) {}

func TestSuite(t *testing.T) {
	roomcasttest.EngineSuite(t, func(t *testing.T, n int) []roomcast.Engine {
		var engines []roomcast.Engine
		for _, e := range nodes(t, Options{History: roomcasttest.SuiteRetention()}, n) {
			engines = append(engines, e)
		}
		return engines
	})
}

func TestAlone(t *testing.T) {
	e := New(keep(roomcast.Retention{}))
	defer e.Close()
	if name := e.Node(); name != "" {
		t.Errorf("Node() = %q", name)
	}
	var got []roomcast.Entry
	at, cancel, err := e.Subscribe(t.Context(), "log/a", func(entries []roomcast.Entry) { got = append(got, entries...) })
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	want := say(t, e, "log/a", "hello")[0].Position
	if len(got) != 1 || got[0].Position != want || at.Epoch != want.Epoch || at.Offset != 0 || want.Offset != 1 {
		t.Errorf("subscribed at %v, published at %v, delivered %v", at, want, got)
	}
	if _, _, err := e.Subscribe(t.Context(), "live", nothing); err != nil || len(e.cluster.rooms) != 1 {
		t.Errorf("%v; %d rooms: a room that keeps nothing is remembered, though nobody could publish to it", err, len(e.cluster.rooms))
	}
	defer func() {
		if recover() == nil {
			t.Error("an engine that is alone has got a peer")
		}
	}()
	e.Peer()
}

func TestPeer(t *testing.T) {
	two := nodes(t, Options{}, 2)
	third := two[0].Peer()
	if got := two[0].Node() + " " + two[1].Node() + " " + third.Node(); got != "node-1 node-2 node-3" {
		t.Errorf("the nodes are %s", got)
	}
	arrived := make(chan []roomcast.Entry, 1)
	_, cancel, err := third.Subscribe(t.Context(), "live", func(entries []roomcast.Entry) { arrived <- entries })
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	say(t, two[1], "live", "hello")
	if got := <-arrived; len(got) != 1 || got[0].String() != "hello" {
		t.Errorf("delivered %v", got)
	}
	third.Close()
	two[0].Close()
	two[1].Close()
	if _, err := two[0].Peer().History(t.Context(), "live", roomcast.Position{}, 1); !errors.Is(err, roomcast.ErrUnavailable) {
		t.Errorf("a peer of nodes that are all closed: %v", err)
	}
}

// What is closed says so, and holds nothing.
func TestClosed(t *testing.T) {
	e := New(keep(roomcast.Retention{}))
	_, cancel, err := e.Subscribe(t.Context(), "log/a", func([]roomcast.Entry) { t.Error("delivered after Close") })
	if err != nil {
		t.Fatal(err)
	}
	stop := e.Watch(func(members []roomcast.Member) {
		if len(members) > 0 {
			t.Errorf("told of %v after Close", members)
		}
	})
	e.Close()
	e.Close()
	e.Present(roomcast.Member{ID: "late"})
	e.Watch(func([]roomcast.Member) { t.Error("watching after Close") })()
	_, _, subscribe := e.Subscribe(t.Context(), "log/a", nothing)
	_, history := e.History(t.Context(), "log/a", roomcast.Position{}, 1)
	for what, err := range map[string]error{
		"Publish":         e.Publish(t.Context(), "log/a", make([]roomcast.Entry, 1)),
		"Publish, live":   e.Publish(t.Context(), "a", make([]roomcast.Entry, 1)),
		"Subscribe":       subscribe,
		"History":         history,
		"Publish nothing": e.Publish(t.Context(), "log/a", nil),
	} {
		if !errors.Is(err, roomcast.ErrUnavailable) {
			t.Errorf("%s after Close: %v", what, err)
		}
	}
	cancel()
	stop()
	if c := e.cluster; len(c.rooms) > 0 || len(c.people.watchers) > 0 || len(c.people.members) > 0 {
		t.Errorf("%d rooms, %d watchers, %d members are left", len(c.rooms), len(c.people.watchers), len(c.people.members))
	}
}

func TestValidate(t *testing.T) {
	for what, o := range map[string]Options{
		"Window":   {Window: -1},
		"Keys":     {Keys: -1},
		"no Match": {History: []roomcast.Retention{{Name: "x"}}},
		"Match, -1 messages": {History: []roomcast.Retention{{Name: "x", Match: func(string) bool { return true },
			Messages: -1}}},
	} {
		if o.Validate() == nil {
			t.Errorf("options with a wrong %s are taken", what)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New takes options with a wrong %s", what)
				}
			}()
			New(o)
		}()
	}
}

// While a callback is under way, nothing waits for it but who publishes to the same room.
func TestCallbackHoldsNobodyUp(t *testing.T) {
	two := nodes(t, keep(roomcast.Retention{}), 2)
	e := two[0]
	entered, leave := make(chan bool), make(chan bool)
	first := true
	_, cancel, err := e.Subscribe(t.Context(), "log/a", func([]roomcast.Entry) {
		if first {
			first = false
			entered <- true
			<-leave
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	tasks.Go(func() { say(t, e, "log/a", "stuck") })
	<-entered

	say(t, e, "log/b", "in another room")
	if got := told(t, two[1], "log/a"); got != "[stuck]" {
		t.Errorf("what is being delivered is not in the history: %s", got)
	}
	var got []roomcast.Entry
	_, stop, err := two[1].Subscribe(t.Context(), "log/a", func(entries []roomcast.Entry) { got = append(got, entries...) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	cancel()
	close(leave)
	tasks.Wait()
	say(t, e, "log/a", "next")
	if fmt.Sprint(got) != "[next]" {
		t.Errorf("who subscribed during a delivery has been delivered %v, want what followed", got)
	}
}

// Two nodes may publish to a room that keeps nothing with a lock held that their callbacks take.
func TestLivePublishUnderALock(t *testing.T) {
	two := nodes(t, Options{}, 2)
	var locks [2]sync.Mutex
	var delivered sync.WaitGroup
	for i, e := range two {
		_, cancel, err := e.Subscribe(t.Context(), "live", func(entries []roomcast.Entry) {
			locks[i].Lock()
			defer locks[i].Unlock()
			for range entries {
				delivered.Done()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer cancel()
	}
	const each = 500
	delivered.Add(2 * each)
	for i, e := range two {
		delivered.Go(func() {
			for range each {
				locks[i].Lock()
				say(t, e, "live", "x")
				locks[i].Unlock()
			}
		})
	}
	delivered.Wait()
}

// Rooms come and go while others publish, expire and leave; at the end nothing is left.
func TestChurn(t *testing.T) {
	engines := nodes(t, keep(roomcast.Retention{Messages: 20, Age: 1, Bytes: 10_000}), 3)
	var tasks sync.WaitGroup
	for i, e := range engines {
		for range 2 {
			tasks.Go(func() {
				for n := range 500 {
					room := fmt.Sprint([]string{"log/", "live/"}[n%2], n%7)
					_, cancel, err := e.Subscribe(context.Background(), room, nothing)
					if err != nil && i != 2 {
						t.Error(err)
					}
					once := []roomcast.Entry{{Message: roomcast.Text(room), Once: fmt.Sprint(n % 50)}, {}}
					if err := e.Publish(context.Background(), room, once); err != nil && i != 2 {
						t.Error(err)
					}
					_, _ = e.History(context.Background(), room, roomcast.Position{}, 10)
					if cancel != nil {
						cancel()
					}
					if i == 2 && n == 250 {
						e.Close()
					}
				}
			})
		}
	}
	tasks.Wait()
	c := engines[0].cluster
	k := c.kinds[0]
	k.forget(k.expire)
	k.alarm.tasks.Wait() // it may have emptied rooms that it has still to take out
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.rooms) != 0 || k.bytes.Load() != 0 || len(k.rooms) != 0 {
		t.Errorf("%d rooms, %d of them with a history, of %d bytes are left", len(c.rooms), len(k.rooms), k.bytes.Load())
	}
}
