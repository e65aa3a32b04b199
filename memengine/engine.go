// Package memengine is a roomcast.Engine in the memory of this process: rooms that remember what was sent, idempotency keys and a table of who
// is there, with nothing to install. What it knows ends with the process.
//
//	engine := memengine.New(memengine.Options{History: []roomcast.Retention{{Name: "chat", Match: isChat}}})
//	defer engine.Close()
//
// New makes an engine that is alone. NewCluster makes several nodes that share their rooms as the nodes of a cluster do, for tests of
// what happens between nodes.
//
// A room costs memory while it has a history or is subscribed to, and nothing after that: it has forgotten how far it had come, and
// begins a new epoch. There is no goroutine for a room; what passes its age is found by one timer for each kind of rooms, which is set
// while there is something to forget. It may come a sixty-fourth of the age late; nothing too old is handed out.
package memengine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast"
)

// Options adjusts an engine. The zero value works: its rooms keep no history.
type Options struct {
	// History says what is kept of which rooms; rooms that match none keep nothing. Of an entry, its data and strings and 192 bytes count for
	// Retention.Bytes, which is about what it takes.
	History []roomcast.Retention

	// Window is how long an idempotency key (roomcast.Entry.Once) is remembered. Zero means 5 min.
	Window time.Duration

	// Keys is how many idempotency keys are remembered; if more are used within Window, the oldest are forgotten before their time.
	// Zero means 1,000,000, which take about 200 MB with keys of 36 bytes.
	Keys int
}

// Validate reports the first field that makes no sense, with its value and what to set instead. New panics with the same error.
func (o Options) Validate() error {
	if o.Window < 0 {
		return fmt.Errorf("memengine: Options.Window is %v; set a positive duration, or 0 for 5 min", o.Window)
	}
	if o.Keys < 0 {
		return fmt.Errorf("memengine: Options.Keys is %d; set a positive number, or 0 for 1,000,000", o.Keys)
	}
	for i, r := range o.History {
		switch {
		case r.Match == nil:
			return fmt.Errorf("memengine: Options.History[%d] (%q) has no Match; set which rooms it is for", i, r.Name)
		case r.Messages < 0 || r.Age < 0 || r.Bytes < 0:
			return fmt.Errorf("memengine: Options.History[%d] (%q) keeps %d messages, %v, %d bytes; set positive limits, or 0 for the defaults",
				i, r.Name, r.Messages, r.Age, r.Bytes)
		}
	}
	return nil
}

// Engine is a node with its rooms in memory. It is a roomcast.Engine.
//
// Entries that are delivered and those that History returns share their bytes: they are only read.
type Engine struct {
	cluster *cluster
	name    string
	closed  atomic.Bool
	tasks   sync.WaitGroup // outlets of this node that are being emptied
}

// New returns an engine without other nodes; its Node is "". It panics if the options make no sense (Options.Validate).
func New(o Options) *Engine {
	c := newCluster(o)
	c.alone = true
	c.open = 1
	return &Engine{cluster: c}
}

// NewCluster returns the nodes of a cluster, all in this process: "node-1" and so on. It panics if the options make no sense
// (Options.Validate). What they know ends when all of them are closed.
func NewCluster(o Options, nodes int) []*Engine {
	c := newCluster(o)
	engines := make([]*Engine, nodes)
	for i := range engines {
		engines[i] = c.node()
	}
	return engines
}

// Peer returns another node of the cluster, which has the next name. It panics if e was made by New: that one is alone. If all nodes of the
// cluster have been closed, it is closed as well.
func (e *Engine) Peer() *Engine {
	if e.cluster.alone {
		panic("memengine: an engine made by New has no peers; make the nodes with NewCluster")
	}
	return e.cluster.node()
}

// Node implements roomcast.Engine: "" if the engine was made by New.
func (e *Engine) Node() string { return e.name }

// Close ends the subscriptions of this node and takes its members out of the table. What is called later fails with roomcast.ErrUnavailable.
// It waits for callbacks under way, so it is not called from one.
func (e *Engine) Close() {
	if e.closed.Swap(true) {
		return
	}
	e.cluster.unsubscribe(e)
	e.cluster.people.leave(e)
	e.tasks.Wait()
	e.cluster.left()
}

// Publish implements roomcast.Engine.
func (e *Engine) Publish(ctx context.Context, room string, entries []roomcast.Entry) error {
	if e.closed.Load() {
		return e.failed("publish to", room, errClosed)
	}
	k := e.cluster.kindOf(room)
	switch {
	case k == nil && e.cluster.alone, len(entries) == 0: // there is nobody to have it, or nothing to be had
		return nil
	case k == nil:
		e.pass(room, entries)
		return nil
	case ctx.Err() != nil:
		return e.failed("publish to", room, ctx.Err())
	}
	for !e.cluster.publish(e.cluster.room(room, k), entries) { // forgotten in between: there is another by now
	}
	return nil
}

// Subscribe implements roomcast.Engine.
func (e *Engine) Subscribe(ctx context.Context, room string, deliver func([]roomcast.Entry)) (at roomcast.Position, cancel func(), err error) {
	switch {
	case e.closed.Load():
		return at, nil, e.failed("subscribe to", room, errClosed)
	case ctx.Err() != nil:
		return at, nil, e.failed("subscribe to", room, ctx.Err())
	}
	k := e.cluster.kindOf(room)
	if k == nil && e.cluster.alone {
		return at, func() {}, nil // there is nobody from whom anything could come
	}
	s := newSubscription(e, deliver)
	for {
		r := e.cluster.room(room, k)
		at, err := r.subscribe(s)
		switch {
		case err == nil:
			return at, func() { e.cluster.cancel(r, s) }, nil
		case !errors.Is(err, errForgotten):
			e.cluster.forget(r)
			return at, nil, e.failed("subscribe to", room, err)
		}
	}
}

// History implements roomcast.Engine.
func (e *Engine) History(ctx context.Context, room string, since roomcast.Position, limit int) ([]roomcast.Entry, error) {
	switch {
	case e.closed.Load():
		return nil, e.failed("history of", room, errClosed)
	case ctx.Err() != nil:
		return nil, e.failed("history of", room, ctx.Err())
	}
	entries, err := e.cluster.find(room).history(since, limit, e.cluster.now())
	if err != nil {
		return nil, e.failed("history of", room, err)
	}
	return entries, nil
}

// Present implements roomcast.Engine.
func (e *Engine) Present(m roomcast.Member) { e.cluster.people.present(e, m) }

// Watch implements roomcast.Engine.
func (e *Engine) Watch(changed func([]roomcast.Member)) (cancel func()) {
	return e.cluster.people.watch(e, changed)
}

var errClosed = fmt.Errorf("%w: it has been closed; make another", roomcast.ErrUnavailable)

func (e *Engine) failed(what, room string, err error) error {
	return fmt.Errorf("memengine: %s %q: %w", what, room, err)
}

// node adds a node.
func (c *cluster) node() *Engine {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.named++
	e := &Engine{cluster: c, name: "node-" + strconv.Itoa(c.named)}
	if c.ended {
		e.closed.Store(true)
	} else {
		c.open++
	}
	return e
}
