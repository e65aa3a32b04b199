package natsengine

import (
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomcast/roomcast"
)

// deaf stands in for a room whose notifications are lost.
type deaf struct{ lost chan struct{} }

func (d deaf) receive(*nats.Msg) { d.lost <- struct{}{} }

func (e *Engine) roomNamed(name string) *room {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rooms[name]
}

// loseNotifications makes a node lose what n publishes of another one bring, and returns when it has.
func loseNotifications(e *Engine, room string, n int, publish func()) {
	r, d := e.roomNamed(room), deaf{make(chan struct{}, n)}
	r.mu.Lock()
	sub := r.sub
	r.mu.Unlock()
	e.in.routes.Store(sub, d)
	publish()
	for range n {
		<-d.lost
	}
	e.in.routes.Store(sub, r)
}

func TestLostNotificationShowsAtTheNext(t *testing.T) {
	b := newBroker(t)
	one, two := b.node(), b.node(func(o *Options) { o.tails.every = time.Hour })
	l := listen(t, two, "r")
	publish(t, one, "r", "a")
	l.await(1)
	loseNotifications(two, "r", 3, func() {
		for _, s := range []string{"b", "c", "d"} {
			publish(t, one, "r", s)
		}
	})
	publish(t, one, "r", "e", "f")
	got := l.await(6)
	contiguous(t, l.at, got)
	if s := two.Stats(); s.Fetched == 0 || s.Jumps != 0 {
		t.Fatalf("stats: %+v", s)
	}
}

func TestLostLastNotificationShowsAtTheTail(t *testing.T) {
	b := newBroker(t)
	one, two := b.node(), b.node()
	l := listen(t, two, "r")
	other := listen(t, two, "quiet")
	publish(t, one, "r", "a")
	l.await(1)
	loseNotifications(two, "r", 2, func() { publish(t, one, "r", "b"); publish(t, one, "r", "c") })
	contiguous(t, l.at, l.await(3))
	if len(other.heard()) != 0 {
		t.Fatal("something was heard in another room")
	}
	if two.Stats().TailsBehind == 0 {
		t.Fatal("that the tail was behind is not counted")
	}
}

// TestPublishAfterALostNotification: what this node publishes cannot be delivered before what it has missed.
func TestPublishAfterALostNotification(t *testing.T) {
	b := newBroker(t)
	one, two := b.node(), b.node()
	l := listen(t, two, "r")
	publish(t, one, "r", "a")
	l.await(1)
	loseNotifications(two, "r", 1, func() { publish(t, one, "r", "b") })
	publish(t, two, "r", "c")
	got := l.heard()
	if !slices.Equal(said(got), []string{"a", "b", "c"}) {
		t.Fatalf("delivered when Publish has returned: %q", said(got))
	}
	contiguous(t, l.at, got)
}

func TestWhatCannotBeHadAnyMoreIsAJump(t *testing.T) {
	b := newBroker(t)
	few := func(o *Options) { o.History[0].Messages = 3 }
	one, two := b.node(few), b.node(few)
	l := listen(t, two, "r")
	publish(t, one, "r", "a")
	l.await(1)
	loseNotifications(two, "r", 9, func() {
		for i := range 9 {
			publish(t, one, "r", strconv.Itoa(i))
		}
	})
	var offsets []uint64
	for _, e := range l.await(4) {
		offsets = append(offsets, e.Position.Offset)
	}
	if !slices.Equal(offsets, []uint64{1, 8, 9, 10}) || two.Stats().Jumps != 1 {
		t.Fatalf("offsets %v, jumps %d", offsets, two.Stats().Jumps)
	}
}

func TestAwayMeansUnavailableAtOnce(t *testing.T) {
	b := newBroker(t)
	e := b.node()
	l, passing := listen(t, e, "r"), listen(t, e, "\x01p")
	publish(t, e, "r", "a")
	b.stop()
	eventually(t, "the connection is lost", func() bool { return e.Ready() != nil })
	eventually(t, "what is published in a room that keeps nothing is not sent", func() bool {
		if err := e.Publish(t.Context(), "\x01p", texts("x")); err != nil {
			t.Errorf("publish in a room that keeps nothing: %v", err)
		}
		return e.Stats().Unsent > 0
	})
	started := time.Now()
	for _, room := range []string{"r", "new"} {
		if err := e.Publish(t.Context(), room, texts("x")); !errors.Is(err, roomcast.ErrUnavailable) {
			t.Errorf("publish in %q: %v, want ErrUnavailable", room, err)
		}
	}
	if _, _, err := e.Subscribe(t.Context(), "new", func([]roomcast.Entry) {}); !errors.Is(err, roomcast.ErrUnavailable) {
		t.Errorf("subscribe: %v, want ErrUnavailable", err)
	}
	if _, err := e.History(t.Context(), "r", roomcast.Position{}, 1); !errors.Is(err, roomcast.ErrUnavailable) {
		t.Errorf("history: %v, want ErrUnavailable", err)
	}
	if took := time.Since(started); took > e.o.Timeout {
		t.Errorf("it took %v to say so", took)
	}
	b.start()
	eventually(t, "the engine is ready again", func() bool { return e.Ready() == nil })
	publish(t, e, "r", "b")
	contiguous(t, l.at, l.await(2))
	other := b.node()
	eventually(t, "what passes is heard again", func() bool { publish(t, other, "\x01p", "x"); return len(passing.heard()) > 0 })
}

func TestBeginsBeforeNATSDoes(t *testing.T) {
	b := newBroker(t)
	url := b.srv.ClientURL()
	b.stop()
	e, err := New(Options{URL: url, History: []roomcast.Retention{everything()}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	passing := listen(t, e, "\x01p")
	if err := e.Ready(); err == nil {
		t.Fatal("an engine without a server is ready")
	}
	b.start()
	eventually(t, "the engine is ready", func() bool { return e.Ready() == nil })
	publish(t, e, "r", "a")
	other := b.node()
	eventually(t, "what passes is heard", func() bool { publish(t, other, "\x01p", "x"); return len(passing.heard()) > 0 })
}

// passage is a way to a server on which answers can be lost and connections cut.
type passage struct {
	listener net.Listener
	to       string
	swallow  atomic.Bool
	tasks    sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

func newPassage(t *testing.T, to string) *passage {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &passage{listener: l, to: to}
	p.tasks.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.cut()
		p.tasks.Wait()
	})
	return p
}

func (p *passage) url() string { return "nats://" + p.listener.Addr().String() }

func (p *passage) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.tasks.Go(func() { io.Copy(server, client); server.Close() })
		p.tasks.Go(func() { io.Copy(p.mouth(client), server); client.Close() })
	}
}

// mouth writes to a client unless answers are swallowed.
func (p *passage) mouth(client net.Conn) io.Writer {
	return writerFunc(func(data []byte) (int, error) {
		if p.swallow.Load() {
			return len(data), nil
		}
		return client.Write(data)
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(data []byte) (int, error) { return f(data) }

func (p *passage) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// TestLostAcknowledgement: the entries are stored, but the node is not told, and loses its connection.
func TestLostAcknowledgement(t *testing.T) {
	b := newBroker(t)
	p := newPassage(t, strings.TrimPrefix(b.srv.ClientURL(), "nats://"))
	one, two := b.node(), b.node(func(o *Options) { o.URL = p.url() })
	l := listen(t, one, "r")
	heard := 0
	for _, once := range []string{"", "k"} {
		publish(t, two, "r", "before") // so that two knows where the room stands
		p.swallow.Store(true)
		sent := texts("a")
		sent[0].Once = once
		result := make(chan error)
		go func() { result <- two.Publish(t.Context(), "r", sent) }()
		l.await(heard + 2)
		publish(t, one, "r", "between")
		p.cut()
		p.swallow.Store(false)
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		if sent[0].Again || sent[0].Position.Offset != uint64(heard+2) {
			t.Fatalf("acknowledged as %+v", sent[0])
		}
		heard += 3
		contiguous(t, l.at, l.await(heard))
	}
}

// stalling is a connection to a broker that can stop taking what is sent.
func stalling(t *testing.T, to string) (address string, stall func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stalled, over := make(chan struct{}), make(chan struct{})
	var tasks sync.WaitGroup
	pump := func(to io.Writer, from net.Conn, stalled <-chan struct{}) {
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			select {
			case <-stalled:
				<-over
			default:
			}
			if err != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	tasks.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			tasks.Go(func() { <-over; client.Close(); server.Close() })
			tasks.Go(func() { pump(server, client, stalled) })
			tasks.Go(func() { pump(client, server, nil) })
		}
	})
	t.Cleanup(func() { close(over); listener.Close(); tasks.Wait() })
	return listener.Addr().String(), sync.OnceFunc(func() { close(stalled) })
}

// While NATS takes nothing, nobody waits for it who is not to: neither who publishes in rooms without history, nor who leaves a room.
func TestG7_StalledServer(t *testing.T) {
	b := newBroker(t)
	address, stall := stalling(t, b.srv.Addr().String())
	e := b.node(func(o *Options) { o.URL = "nats://" + address })
	var ears []*ear
	for _, kind := range []string{"kept/", "\x01passing/"} {
		for i := range 20 {
			ears = append(ears, listen(t, e, kind+strconv.Itoa(i)))
		}
	}
	stall()
	large := texts(strings.Repeat("x", 900<<10))
	var slowest time.Duration
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < 3*time.Second; <-tick.C {
		start := time.Now()
		_ = e.Publish(t.Context(), "\x01passing", large) // full, after some
		if len(ears) > 0 && time.Since(began) > 2*time.Second {
			ears[0].cancel()
			ears = ears[1:]
		}
		slowest = max(slowest, time.Since(start))
	}
	if len(ears) > 0 || slowest > time.Second {
		t.Errorf("somebody has waited for %v; %d are still in rooms", slowest, len(ears))
	}
}
