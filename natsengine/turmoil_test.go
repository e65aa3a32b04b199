package natsengine

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/roomcast/roomcast"
)

// turmoil publishes to one room from several nodes while things go wrong, and then holds what was delivered against what was acknowledged.
type turmoil struct {
	t     *testing.T
	nodes []*Engine
	ears  []*ear
	ctx   context.Context // ends the publishing
	stop  context.CancelFunc
	tasks sync.WaitGroup
	count atomic.Int64 // acknowledged

	mu           sync.Mutex
	acknowledged map[roomcast.Position]string
}

func newTurmoil(t *testing.T, nodes ...*Engine) *turmoil {
	t.Helper()
	u := &turmoil{t: t, nodes: nodes, acknowledged: map[roomcast.Position]string{}}
	u.ctx, u.stop = context.WithCancel(t.Context())
	for _, e := range nodes {
		u.ears = append(u.ears, listen(t, e, "r"))
	}
	for n, e := range nodes {
		for _, once := range []bool{false, true} {
			u.tasks.Go(func() { u.publish(e, strconv.Itoa(n)+"."+strconv.FormatBool(once)+".", once) })
		}
	}
	return u
}

// publish publishes until the end. What has an idempotency key is repeated until it is acknowledged.
func (u *turmoil) publish(e *Engine, prefix string, once bool) {
	for i := 0; u.ctx.Err() == nil; i++ {
		sent := texts(prefix + strconv.Itoa(i))
		if once {
			sent[0].Once = sent[0].String()
		}
		err := e.Publish(context.Background(), "r", sent)
		for once && err != nil {
			err = e.Publish(context.Background(), "r", sent)
		}
		if err == nil {
			u.count.Add(1)
			u.mu.Lock()
			u.acknowledged[sent[0].Position] = sent[0].String()
			u.mu.Unlock()
		}
	}
}

// goesOn waits until n more have been acknowledged.
func (u *turmoil) goesOn(n int64) {
	u.t.Helper()
	before := u.count.Load()
	eventually(u.t, "publishing goes on", func() bool { return u.count.Load() >= before+n })
}

// end stops publishing and checks: one order, no gap, every entry once, every acknowledged one where it was said to be.
func (u *turmoil) end() {
	u.t.Helper()
	u.stop()
	u.tasks.Wait()
	end := int(publish(u.t, u.nodes[0], "r", "end")[0].Position.Offset)
	all := u.ears[0].await(end)
	contiguous(u.t, u.ears[0].at, all)
	for _, l := range u.ears[1:] {
		if !slices.Equal(said(l.await(end)), said(all)) {
			u.t.Fatal("two nodes have seen two orders")
		}
	}
	last := map[string]int{}
	for _, e := range all {
		if want := u.acknowledged[e.Position]; want != "" && want != e.String() {
			u.t.Fatalf("%v is %s, but %s was acknowledged there", e.Position, e.String(), want)
		}
		delete(u.acknowledged, e.Position)
		if prefix, n, ok := cutLast(e.String()); ok {
			if n <= last[prefix] {
				u.t.Fatalf("%s is there twice, or too late", e.String())
			}
			last[prefix] = n
		}
	}
	if len(u.acknowledged) > 0 {
		u.t.Fatalf("%d acknowledged entries are lost: %v", len(u.acknowledged), u.acknowledged)
	}
	for i, e := range u.nodes {
		s := e.Stats()
		u.t.Logf("node %d: %d of %d entries, %d attempts, %d conflicts, %d fetched, %d tails behind", i, s.Stored, end, s.Attempts, s.Conflicts, s.Fetched, s.TailsBehind)
	}
}

// cutLast takes a text of turmoil apart: who, and which, from 1.
func cutLast(text string) (who string, n int, ok bool) {
	i := strings.LastIndexByte(text, '.')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.Atoi(text[i+1:])
	return text[:i], n + 1, err == nil
}

func TestRestarts(t *testing.T) {
	b := newBroker(t)
	u := newTurmoil(t, b.node(), b.node())
	for range 3 {
		u.goesOn(100)
		b.stop()
		b.start()
	}
	u.goesOn(100)
	u.end()
}

// TestRollingRestart takes one server of three after the other away, and back again before the next.
func TestRollingRestart(t *testing.T) {
	c := runCluster(t, 3)
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, s.ClientURL())
	}
	var nodes []*Engine
	for range 2 {
		e, err := New(Options{URL: strings.Join(urls, ","), Replicas: 3, History: []roomcast.Retention{everything()}, Logger: testLogger(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		eventually(t, "the engine is ready", func() bool { return e.Ready() == nil })
		nodes = append(nodes, e)
	}
	u := newTurmoil(t, nodes...)
	for i := range c.servers {
		u.goesOn(100)
		c.stop(i)
		u.goesOn(100)
		c.start(i)
		eventually(t, "all servers have everything", func() bool { return inStep(t, nodes[0], "ROOMCAST_H_all") })
	}
	u.goesOn(100)
	u.end()
}

// inStep reports whether a stream has a leader and all its copies are as it is.
func inStep(t *testing.T, e *Engine, stream string) bool {
	s, err := e.js.Stream(t.Context(), stream)
	if err != nil {
		return false
	}
	cluster := s.CachedInfo().Cluster
	for _, r := range cluster.Replicas {
		if !r.Current || r.Offline {
			return false
		}
	}
	return cluster.Leader != "" && len(cluster.Replicas) == 2
}
