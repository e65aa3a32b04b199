package memengine

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast"
)

// kind is the rooms of one Retention. A room forgets by itself what passes Messages and Age when something happens in it; what is
// forgotten of rooms in which nothing happens, and for Bytes, which they share, is decided here.
type kind struct {
	roomcast.Retention // with its defaults
	cluster            *cluster
	bytes              atomic.Int64 // of all rooms

	mu    sync.Mutex
	rooms roomsByAge // those with room.queued
	alarm alarm
}

func newKind(c *cluster, r roomcast.Retention) *kind {
	or(&r.Messages, 1000)
	or(&r.Age, 24*time.Hour)
	or(&r.Bytes, 1<<30)
	return &kind{Retention: r, cluster: c}
}

// added sees to it that what has been stored in r will be forgotten, and makes room for it.
func (k *kind) added(r *room) {
	r.mu.Lock()
	_, oldest, ok := r.log.Oldest()
	fresh := ok && !r.queued
	r.queued = r.queued || ok
	r.mu.Unlock()
	if fresh {
		k.mu.Lock()
		r.oldest = oldest
		heap.Push(&k.rooms, r)
		k.setAlarmLocked()
		k.mu.Unlock()
	}
	if k.bytes.Load() > k.Bytes {
		k.forget(k.fit)
	}
	if !ok {
		k.cluster.forget(r) // nothing was new, or it is too old already
	}
}

// forget does one step after the other while there is one to do.
func (k *kind) forget(step func() (r *room, emptied, more bool)) {
	var empty []*room
	k.mu.Lock()
	for {
		r, emptied, more := step()
		if !more {
			break
		}
		if emptied {
			empty = append(empty, r)
		}
	}
	k.setAlarmLocked()
	k.mu.Unlock()
	for _, r := range empty {
		k.cluster.forget(r)
	}
}

// fit is the step that forgets the oldest entry of all rooms, if they have too many bytes.
func (k *kind) fit() (r *room, emptied, more bool) {
	if k.bytes.Load() <= k.Bytes || len(k.rooms) == 0 {
		return nil, false, false
	}
	return k.shorten(func(r *room) int64 {
		if _, at, ok := r.log.Oldest(); !ok || at > r.oldest {
			return 0 // it is not the oldest any more
		}
		return r.log.Drop(1)
	})
}

// expire is the step that forgets what is too old in the room with the oldest entry.
func (k *kind) expire() (r *room, emptied, more bool) {
	before := k.cluster.now() - k.Age
	if len(k.rooms) == 0 || k.rooms[0].oldest > before {
		return nil, false, false
	}
	return k.shorten(func(r *room) int64 { return r.log.DropUntil(before) })
}

// shorten has entries dropped from the first of the rooms, and puts it where it belongs then.
func (k *kind) shorten(drop func(*room) int64) (r *room, emptied, more bool) {
	r = k.rooms[0]
	r.mu.Lock()
	k.bytes.Add(-drop(r))
	_, oldest, ok := r.log.Oldest()
	r.queued = ok
	r.mu.Unlock()
	if !ok {
		heap.Pop(&k.rooms)
		return r, true, true
	}
	r.oldest = oldest
	heap.Fix(&k.rooms, 0)
	return r, false, true
}

// setAlarmLocked has expire called when the oldest entry is too old, and a little later, so that many rooms go at once.
func (k *kind) setAlarmLocked() {
	if len(k.rooms) == 0 {
		return
	}
	due := k.rooms[0].oldest + k.Age + k.Age/64
	k.alarm.set(due-k.cluster.now(), func() {
		k.mu.Lock()
		k.alarm.rang()
		k.mu.Unlock()
		k.forget(k.expire)
	})
}

// end stops the alarm, and waits if it rings.
func (k *kind) end() {
	k.mu.Lock()
	k.alarm.end()
	k.rooms = nil
	k.mu.Unlock()
	k.alarm.tasks.Wait()
}

// roomsByAge is a heap (container/heap) with the room first that has the oldest entry.
type roomsByAge []*room

func (h roomsByAge) Len() int           { return len(h) }
func (h roomsByAge) Less(i, j int) bool { return h[i].oldest < h[j].oldest }
func (h roomsByAge) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *roomsByAge) Push(r any)        { *h = append(*h, r.(*room)) }
func (h *roomsByAge) Pop() any {
	old := *h
	r := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return r
}

// alarm calls something once it is time, on a goroutine of its own. Its owner's lock guards it.
type alarm struct {
	timer *time.Timer // nil if none is set
	ended bool
	tasks sync.WaitGroup // the call that is to come or under way
}

// set has ring called after some time, unless a time is set, which is then the earlier one. ring says that it rang.
func (a *alarm) set(after time.Duration, ring func()) {
	if a.timer != nil || a.ended {
		return
	}
	a.tasks.Add(1)
	a.timer = time.AfterFunc(after, func() {
		defer a.tasks.Done()
		ring()
	})
}

// rang says that it did: another time may be set.
func (a *alarm) rang() { a.timer = nil }

// end stops it for good. The owner waits for tasks when it has given back the lock.
func (a *alarm) end() {
	a.ended = true
	if a.timer != nil && a.timer.Stop() {
		a.tasks.Done()
	}
}
