package natsengine

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roomcast/roomcast"
)

// Engine is a roomcast.Engine over NATS. It is made by New.
type Engine struct {
	o     Options
	kinds []*kind

	made  chan struct{} // closed by connect once what follows is there
	gone  chan struct{} // closed once nc is closed and has told so
	nc    *nats.Conn
	js    jetstream.JetStream
	calls *calls
	live  live

	presence *presence

	ctx   context.Context // ends with the engine
	stop  context.CancelFunc
	tasks struct {
		sync.WaitGroup
		sync.Mutex // held to begin one, which none does when ctx is over
	}
	kick  chan struct{} // cap 1: look at the streams again; never closed
	in    inbox
	ids   atomic.Uint64
	stats counters

	trouble trouble

	mu    sync.Mutex
	rooms map[string]*room // those that keep a history
}

// New returns an engine for one node. It connects in the background, for as long as it takes; an error is about options that make no sense.
func New(o Options) (*Engine, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{o: o, kick: make(chan struct{}, 1), rooms: map[string]*room{},
		made: make(chan struct{}), gone: make(chan struct{}), trouble: trouble{streams: errSetUp}}
	e.live = live{e: e, rooms: map[string]*liveRoom{}, out: outbox{wake: make(chan struct{}, 1)}}
	e.presence = newPresence(presenceConfig{node: o.Node, prefix: o.Prefix, replicas: o.Replicas, lease: o.Lease, linger: o.Linger,
		timeout: o.Timeout, logger: o.Logger})
	for _, h := range o.History {
		e.kinds = append(e.kinds, newKind(h, o))
	}
	e.ctx, e.stop = context.WithCancel(context.Background())
	if err := e.connect(); err != nil {
		e.Close()
		return nil, err
	}
	e.start()
	return e, nil
}

func (e *Engine) start() {
	for i := range e.in.shards {
		e.in.shards[i] = make(chan *nats.Msg, shardRoom)
		e.run(func() { e.in.dispatch(e.ctx, e.in.shards[i]) })
	}
	e.run(e.live.send)
	e.run(e.keepStreams)
	e.run(e.keepTails)
	if e.o.Server == nil {
		e.run(e.elsewhere)
	}
}

// run starts a goroutine that Close waits for, unless Close has been called.
func (e *Engine) run(task func()) {
	e.tasks.Lock()
	defer e.tasks.Unlock()
	if e.ctx.Err() == nil {
		e.tasks.Go(task)
	}
}

// Close leaves the cluster: whom this node has presented is gone after Options.Linger, unless another node presents it meanwhile. It returns when all has
// ended that the engine had begun.
func (e *Engine) Close() {
	e.presence.close()
	e.tasks.Lock()
	e.stop()
	e.tasks.Unlock()
	e.tasks.Wait()
	e.hangUp()
}

// Node returns the name of this node, with what tells this start of it from others.
func (e *Engine) Node() string { return e.o.Node }

// Ready returns nil if the engine is connected and has all it needs, otherwise what is missing.
func (e *Engine) Ready() error {
	if !e.isConnected() {
		if err := e.trouble.away(e.nc.LastError()); err != nil {
			return fmt.Errorf("natsengine: %w: %w", errAway, e.o.explain(err))
		}
		return fmt.Errorf("natsengine: %w", errAway)
	}
	err := e.trouble.present()
	if err == nil {
		err = e.presence.fit()
	}
	if err == nil && e.o.Server != nil {
		err = e.o.Server.caughtUp(e.streams())
	}
	if err != nil {
		return fmt.Errorf("natsengine: %w", e.o.explain(err))
	}
	return nil
}

// streams are all that are stored for this engine.
func (e *Engine) streams() []string {
	names := []string{"KV_" + e.presence.bucket}
	for _, k := range e.kinds {
		names = append(names, k.stream)
	}
	return names
}

// Present says that somebody is there, on this node: see roomcast.Engine.
func (e *Engine) Present(m roomcast.Member) { e.presence.present(m) }

// Watch has changed called with all who are there: see roomcast.Engine.
func (e *Engine) Watch(changed func(members []roomcast.Member)) (cancel func()) {
	return e.presence.watch(changed)
}

// Secret returns 32 bytes that all nodes with the same prefix share, and nobody else who cannot read from NATS. The first who asks makes them.
func (e *Engine) Secret(ctx context.Context) ([]byte, error) {
	if !e.isConnected() {
		return nil, fmt.Errorf("natsengine: the shared secret: %w: %w", roomcast.ErrUnavailable, errAway)
	}
	ctx, cancel := e.limited(ctx)
	defer cancel()
	key, err := secret(ctx, e.js, e.o.Prefix, e.o.Replicas)
	if err != nil {
		return nil, e.o.explain(err)
	}
	return key, nil
}

// Publish hands entries to all who are subscribed to the room: see roomcast.Engine.
func (e *Engine) Publish(ctx context.Context, room string, entries []roomcast.Entry) error {
	k := e.kindOf(room)
	switch {
	case len(entries) == 0:
		return nil
	case k == nil:
		return e.live.publish(room, entries)
	}
	if err := e.usable(ctx); err != nil {
		return e.unavailable("publish in", room, err)
	}
	ctx, cancel := e.limited(ctx)
	defer cancel()
	return e.room(k, room).publish(ctx, entries)
}

// Subscribe has deliver called with the entries of a room from now on: see roomcast.Engine. The entries are not to be changed.
func (e *Engine) Subscribe(ctx context.Context, room string, deliver func(entries []roomcast.Entry)) (at roomcast.Position, cancel func(), err error) {
	k := e.kindOf(room)
	switch {
	case k == nil:
		cancel, err = e.live.subscribe(room, deliver)
		return roomcast.Position{}, cancel, err
	}
	if err := e.usable(ctx); err != nil {
		return roomcast.Position{}, nil, e.unavailable("subscribe to", room, err)
	}
	ctx, stop := e.limited(ctx)
	defer stop()
	return e.room(k, room).subscribe(ctx, deliver)
}

// History returns entries of a room that were stored: see roomcast.Engine.
func (e *Engine) History(ctx context.Context, room string, since roomcast.Position, limit int) ([]roomcast.Entry, error) {
	k := e.kindOf(room)
	switch {
	case k == nil && since == roomcast.Position{} || limit <= 0:
		return nil, nil
	case k == nil:
		return nil, gone(room, since)
	}
	if err := e.usable(ctx); err != nil {
		return nil, e.unavailable("read the history of", room, err)
	}
	ctx, cancel := e.limited(ctx)
	defer cancel()
	return e.history(ctx, k, room, since, limit)
}

// usable is why nothing needs to be tried.
func (e *Engine) usable(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !e.isConnected() {
		return errAway
	}
	return nil
}

// limited is ctx, for as long as something may take.
func (e *Engine) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.o.Timeout, errSilent)
	stop := context.AfterFunc(e.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// kindOf returns what is kept of a room; nil is nothing. The program's own rooms keep nothing.
func (e *Engine) kindOf(room string) *kind {
	if strings.HasPrefix(room, "\x01") {
		return nil
	}
	for _, k := range e.kinds {
		if k.Match(room) {
			return k
		}
	}
	return nil
}

func (e *Engine) room(k *kind, name string) *room {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.rooms[name]
	if r == nil {
		r = newRoom(e, k, name)
		e.rooms[name] = r
	}
	r.touch()
	return r
}

func (e *Engine) allRooms() []*room {
	e.mu.Lock()
	defer e.mu.Unlock()
	rooms := make([]*room, 0, len(e.rooms))
	for _, r := range e.rooms {
		rooms = append(rooms, r)
	}
	return rooms
}

// nextID is a name for an attempt to store something, in the whole cluster.
func (e *Engine) nextID() string { return e.o.Node + "." + strconv.FormatUint(e.ids.Add(1), 36) }

func (e *Engine) malformed(room string, err error) {
	e.stats.malformed.Add(1)
	e.o.Logger.Warn("A message in NATS cannot be understood; is there a newer version of Roomcast in the cluster?", "room", room, "error", err)
}
