package natsengine

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast"
)

var _ roomcast.Engine = (*Engine)(nil)

func TestOptionsThatMakeNoSense(t *testing.T) {
	rooms := func(string) bool { return true }
	for _, c := range []struct {
		o    Options
		says string
	}{
		{Options{}, "Options.URL or Options.Server"},
		{Options{URL: "nats://127.0.0.1:1", Server: &Server{}}, "Options.URL or Options.Server"},
		{Options{URL: "nats://127.0.0.1:1", Prefix: "a.b"}, "prefix"},
		{Options{URL: "nats://127.0.0.1:1", Prefix: "Upper"}, "lower-case"},
		{Options{URL: "nats://127.0.0.1:1", Node: "a b"}, "node"},
		{Options{URL: "nats://127.0.0.1:1", Window: -1}, "negative"},
		{Options{URL: "nats://127.0.0.1:1", Replicas: 6}, "replicas"},
		{Options{URL: "nats://127.0.0.1:1", History: []roomcast.Retention{{Match: rooms}}}, "history"},
		{Options{URL: "nats://127.0.0.1:1", History: []roomcast.Retention{{Name: "a"}}}, "Match"},
		{Options{URL: "nats://127.0.0.1:1", History: []roomcast.Retention{{Name: "a", Match: rooms}, {Name: "a", Match: rooms}}}, "two"},
		{Options{URL: "nats://127.0.0.1:1", Credentials: t.TempDir() + "/none.creds"}, "none.creds"},
		{Options{URL: "nats://127.0.0.1:1", TLSCA: t.TempDir() + "/none.pem"}, "none.pem"},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want something about %q", c.o, err, c.says)
		}
	}
}

// TestNothingIsLeftOfARoom subscribes and cancels, from several goroutines, in rooms with and without history.
func TestNothingIsLeftOfARoom(t *testing.T) {
	b := newBroker(t)
	e, other := b.node(func(o *Options) {
		o.History[0].Match = func(room string) bool { return strings.HasPrefix(room, "log") }
	}), b.node()
	subscriptions := e.nc.NumSubscriptions()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				room := []string{"log", "live"}[i%2] + strconv.Itoa(i%4)
				l := listen(t, e, room)
				if g == 0 {
					publish(t, other, room, "x")
				}
				l.cancel()
				l.cancel()
			}
		})
	}
	wg.Wait()
	eventually(t, "nobody listens to anything, and NATS knows", func() bool {
		routes := 0
		e.in.routes.Range(func(any, any) bool { routes++; return true })
		return routes == 0 && e.nc.NumSubscriptions() == subscriptions
	})
	if s := e.Stats(); s.Listening != 0 {
		t.Errorf("listening in %d rooms, want none", s.Listening)
	}
	e.sweep(time.Now().Add(time.Minute))
	if n := len(e.allRooms()); n != 0 {
		t.Errorf("%d rooms are remembered, want none", n)
	}
}

// TestStreamIsMadeAnew deletes the stream below two nodes.
func TestStreamIsMadeAnew(t *testing.T) {
	b := newBroker(t)
	nodes := []*Engine{b.node(), b.node()}
	ears := []*ear{listen(t, nodes[0], "r"), listen(t, nodes[1], "r")}
	before := publish(t, nodes[0], "r", "a", "b", "c")
	for _, l := range ears {
		l.await(3)
	}
	if err := nodes[0].js.DeleteStream(t.Context(), "ROOMCAST_H_all"); err != nil {
		t.Fatal(err)
	}
	after := publish(t, nodes[0], "r", "d")
	if after[0].Position.Epoch == before[0].Position.Epoch || after[0].Position.Offset != 1 {
		t.Fatalf("after %v comes %v, want another epoch", before[2].Position, after[0].Position)
	}
	nodes[1].lookAgain() // or it is seen with the next look at the statistics
	for _, l := range ears {
		if got := said(l.await(4)); got[3] != "d" {
			t.Fatalf("delivered: %q", got)
		}
	}
	if _, err := nodes[1].History(t.Context(), "r", before[2].Position, 10); !errors.Is(err, roomcast.ErrHistoryGone) {
		t.Fatalf("after a position that is lost: %v, want ErrHistoryGone", err)
	}
}

func TestSettingsOfTheNodeThatHasBegunLast(t *testing.T) {
	b := newBroker(t)
	e := b.node()
	sent := publish(t, e, "r", "a")
	messages := func() int64 {
		s, err := e.js.Stream(t.Context(), "ROOMCAST_H_all")
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().Config.MaxMsgsPerSubject
	}
	before := messages()
	later := b.node(func(o *Options) { o.History[0].Messages = 7 })
	if after := messages(); before != 1000 || after != 7 {
		t.Fatalf("%d messages for each room, then %d, want 1000, then 7", before, after)
	}
	if err := e.setUp(); err != nil || messages() != 7 {
		t.Fatalf("%v, and %d messages after the first node has looked again, want 7", err, messages())
	}
	if got := history(t, later, "r", roomcast.Position{}, 10); len(got) != 1 || got[0].Position != sent[0].Position {
		t.Fatalf("history: %v", got)
	}
	three, err := New(Options{URL: b.srv.ClientURL(), Replicas: 3, History: []roomcast.Retention{everything()}, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer three.Close()
	eventually(t, "one server is known to be too few", func() bool {
		err := three.Ready()
		return err != nil && strings.Contains(err.Error(), "cannot be changed")
	})
}

// TestWhatIsNotUnderstood has something in the log that is not Roomcast's, or of a version to come: another epoch begins after it.
func TestWhatIsNotUnderstood(t *testing.T) {
	b := newBroker(t)
	one, two := b.node(), b.node()
	l := listen(t, one, "r")
	before := publish(t, two, "r", "a")
	if _, err := two.js.Publish(t.Context(), logSubject("roomcast", "all", "r"), []byte("what?")); err != nil {
		t.Fatal(err)
	}
	late := listen(t, two, "r")
	after := publish(t, two, "r", "b")
	if after[0].Position.Offset != 1 || after[0].Position.Epoch == before[0].Position.Epoch || late.at.Epoch != after[0].Position.Epoch {
		t.Fatalf("%v, then a subscription at %v, then %v", before[0].Position, late.at, after[0].Position)
	}
	if got := said(l.await(2)); !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("delivered: %q", got)
	}
	if got := history(t, one, "r", roomcast.Position{}, 10); !slices.Equal(said(got), []string{"b"}) {
		t.Fatalf("history: %q", said(got))
	}
	if _, err := one.History(t.Context(), "r", before[0].Position, 10); !errors.Is(err, roomcast.ErrHistoryGone) {
		t.Fatalf("history: %v, want ErrHistoryGone", err)
	}
	if one.Stats().Malformed != 1 {
		t.Errorf("%d messages are counted as not understood, want 1", one.Stats().Malformed)
	}
}

func TestClosedEngine(t *testing.T) {
	b := newBroker(t)
	e := b.node()
	listen(t, e, "r")
	e.Close()
	e.Close()
	if err := e.Publish(t.Context(), "r", texts("x")); !errors.Is(err, roomcast.ErrUnavailable) {
		t.Errorf("publish: %v, want ErrUnavailable", err)
	}
	if _, _, err := e.Subscribe(t.Context(), "q", func([]roomcast.Entry) {}); !errors.Is(err, roomcast.ErrUnavailable) {
		t.Errorf("subscribe: %v, want ErrUnavailable", err)
	}
	if _, _, err := e.Subscribe(t.Context(), "\x01q", func([]roomcast.Entry) {}); !errors.Is(err, roomcast.ErrUnavailable) {
		t.Errorf("subscribe: %v, want ErrUnavailable", err)
	}
	if err := e.Ready(); err == nil {
		t.Error("a closed engine is ready")
	}
}

func TestContextOfTheCaller(t *testing.T) {
	b := newBroker(t)
	e := b.node()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Publish(ctx, "r", texts("x")); !errors.Is(err, context.Canceled) || errors.Is(err, roomcast.ErrUnavailable) {
		t.Errorf("publish: %v, want what the context says", err)
	}
	if _, _, err := e.Subscribe(ctx, "r", func([]roomcast.Entry) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("subscribe: %v, want what the context says", err)
	}
	if _, err := e.History(ctx, "r", roomcast.Position{}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("history: %v, want what the context says", err)
	}
}

func TestPublishLargeThings(t *testing.T) {
	b := newBroker(t)
	one, two := b.node(), b.node()
	l := listen(t, two, "r")
	large := strings.Repeat("x", 700<<10)
	sent := texts("a", large, "b", large, "c")
	if err := one.Publish(t.Context(), "r", sent); err != nil {
		t.Fatal(err)
	}
	got := l.await(5)
	contiguous(t, l.at, got)
	if !slices.Equal(said(got), said(sent)) {
		t.Fatal("something else was delivered")
	}
	for _, room := range []string{"r", "\x01r"} {
		err := one.Publish(t.Context(), room, texts(strings.Repeat("x", 1<<20)))
		if err == nil || !strings.Contains(err.Error(), "max_payload") || !errors.Is(err, roomcast.ErrTooLarge) {
			t.Errorf("too large for NATS: %v", err)
		}
	}
	if got := history(t, two, "r", l.at, 10); !slices.Equal(said(got), said(sent)) {
		t.Fatal("the history is something else")
	}
}

// TestLargestMessage: the server in the process takes the largest message that clients of Roomcast may send.
func TestLargestMessage(t *testing.T) {
	s := runServer(t, ServerOptions{})
	var nodes []*Engine
	for range 2 {
		e, err := New(Options{Server: s, Timeout: patience, History: []roomcast.Retention{{Name: "log", Match: func(room string) bool { return room == "log" }}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		eventually(t, "the engine is ready", func() bool { return e.Ready() == nil })
		nodes = append(nodes, e)
	}
	for _, room := range []string{"log", "live"} {
		l := listen(t, nodes[1], room)
		publish(t, nodes[0], room, strings.Repeat("x", 16<<20))
		if got := l.await(1); len(got[0].Data) != 16<<20 {
			t.Errorf("%s: %d bytes", room, len(got[0].Data))
		}
	}
}

func TestEnginesShareASecret(t *testing.T) {
	b := newBroker(t)
	first, err := b.node().Secret(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.node().Secret(t.Context())
	if err != nil || !slices.Equal(first, second) || len(first) != 32 {
		t.Fatalf("%v: %x and %x, want the same 32 bytes", err, first, second)
	}
}

// TestClusterWithoutAMajority holds that a server of a cluster that is alone says what to look at.
func TestClusterWithoutAMajority(t *testing.T) {
	s := runServer(t, ServerOptions{Name: "a", ClusterListen: freeAddr(t), Peers: []string{freeAddr(t), freeAddr(t)}, Logger: testLogger(t)})
	e, err := New(Options{Server: s, Replicas: 3, Timeout: time.Second, History: []roomcast.Retention{everything()}, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	eventually(t, "it names the peers", func() bool {
		err := e.Ready()
		return err != nil && strings.Contains(err.Error(), "ServerOptions.Peers")
	})
}
