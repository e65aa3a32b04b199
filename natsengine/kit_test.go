package natsengine

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/roomcast/roomcast"
)

// broker is a NATS server in this process that can be stopped and started again with the same address and data.
type broker struct {
	t    *testing.T
	opts server.Options
	srv  *server.Server
}

func newBroker(t *testing.T, set ...func(*server.Options)) *broker {
	t.Helper()
	b := &broker{t: t, opts: server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true}}
	for _, f := range set {
		f(&b.opts)
	}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *broker) start() {
	b.t.Helper()
	opts := b.opts
	srv, err := server.NewServer(&opts)
	if err != nil {
		b.t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(patience) {
		b.t.Fatal("the NATS server did not start")
	}
	b.srv, b.opts.Port = srv, srv.Addr().(*net.TCPAddr).Port
}

func (b *broker) stop() {
	b.srv.Shutdown()
	b.srv.WaitForShutdown()
}

// everything is a history of all rooms.
func everything() roomcast.Retention {
	return roomcast.Retention{Name: "all", Match: func(string) bool { return true }}
}

// node returns an engine that is ready.
func (b *broker) node(set ...func(*Options)) *Engine {
	b.t.Helper()
	o := Options{URL: b.srv.ClientURL(), History: []roomcast.Retention{everything()}, Logger: testLogger(b.t)}
	for _, f := range set {
		f(&o)
	}
	e, err := New(o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(e.Close)
	eventually(b.t, "the engine is ready", func() bool { return e.Ready() == nil })
	return e
}

// texts are entries of text messages.
func texts(texts ...string) []roomcast.Entry {
	entries := make([]roomcast.Entry, len(texts))
	for i, s := range texts {
		entries[i].Message = roomcast.Text(s)
	}
	return entries
}

// ear is a subscription that remembers what it was told.
type ear struct {
	t      *testing.T
	at     roomcast.Position
	cancel func()
	during atomic.Bool // deliver is being called

	mu      sync.Mutex
	entries []roomcast.Entry
	changed chan struct{} // closed and replaced whenever something has come
}

func listen(t *testing.T, e *Engine, room string) *ear {
	t.Helper()
	l := &ear{t: t, changed: make(chan struct{})}
	var err error
	if l.at, l.cancel, err = e.Subscribe(t.Context(), room, l.deliver); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.cancel)
	return l
}

func (l *ear) deliver(entries []roomcast.Entry) {
	if l.during.Swap(true) {
		l.t.Error("two calls of deliver at a time")
	}
	defer l.during.Store(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, entries...)
	close(l.changed)
	l.changed = make(chan struct{})
}

// heard returns what has been delivered so far.
func (l *ear) heard() []roomcast.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[:len(l.entries):len(l.entries)]
}

// await waits for n entries and returns them, and fails if there are more.
func (l *ear) await(n int) []roomcast.Entry {
	l.t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		entries, changed := l.entries[:len(l.entries):len(l.entries)], l.changed
		l.mu.Unlock()
		if len(entries) > n {
			l.t.Fatalf("%d entries were delivered, want %d", len(entries), n)
		}
		if len(entries) == n {
			return entries
		}
		select {
		case <-changed:
		case <-deadline:
			l.t.Fatalf("%d entries were delivered, want %d", len(entries), n)
		}
	}
}

// contiguous fails unless the entries follow a position without a gap.
func contiguous(t *testing.T, after roomcast.Position, entries []roomcast.Entry) {
	t.Helper()
	for i, e := range entries {
		want := roomcast.Position{Epoch: after.Epoch, Offset: after.Offset + uint64(i) + 1}
		if e.Position != want {
			t.Fatalf("entry %d is at %v, want %v", i, e.Position, want)
		}
	}
}

func publish(t *testing.T, e *Engine, room string, entries ...string) []roomcast.Entry {
	t.Helper()
	all := texts(entries...)
	if err := e.Publish(t.Context(), room, all); err != nil {
		t.Fatal(err)
	}
	return all
}

func said(entries []roomcast.Entry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, e.String())
	}
	return all
}

func numbered(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = prefix + strconv.Itoa(i)
	}
	return all
}

func history(t *testing.T, e *Engine, room string, since roomcast.Position, limit int) []roomcast.Entry {
	t.Helper()
	entries, err := e.History(context.Background(), room, since, limit)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}
