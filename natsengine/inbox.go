package natsengine

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/nats-io/nats.go"
)

// inbox is what has come in from NATS for the rooms here. Many rooms share a goroutine, which most of them would need too seldom.
type inbox struct {
	shards [shardCount]chan *nats.Msg // by subject; never closed
	routes sync.Map                   // *nats.Subscription to receiver
}

// receiver is a room that something has come in for. It is called by one goroutine at a time, and does not wait.
type receiver interface{ receive(m *nats.Msg) }

// shardRoom is how much may wait in each shard to be delivered. What passes it is lost, and found by the check of the tails.
const (
	shardCount = 4
	shardRoom  = 16 << 10
)

var seed = maphash.MakeSeed()

// listen has a receiver told what comes in for a subject from when it returns.
func (in *inbox) listen(nc *nats.Conn, subject string, to receiver) (*nats.Subscription, error) {
	sub, err := nc.ChanSubscribe(subject, in.shards[maphash.String(seed, subject)%shardCount])
	if err == nil {
		in.routes.Store(sub, to)
	}
	return sub, err
}

// unlisten ends that at once. It does not wait for NATS to know, which takes as long as a server that has stopped reading: who leaves a room
// last may be an event loop.
func (e *Engine) unlisten(sub *nats.Subscription) {
	e.in.routes.Delete(sub)
	e.run(func() { _ = sub.Unsubscribe() }) // fails only if the connection is closed for good
}

// dispatch tells the rooms of one shard, one by one, what has come in for them.
func (in *inbox) dispatch(ctx context.Context, shard <-chan *nats.Msg) {
	for {
		select {
		case m := <-shard:
			if to, ok := in.routes.Load(m.Sub); ok {
				to.(receiver).receive(m)
			}
		case <-ctx.Done():
			return
		}
	}
}
