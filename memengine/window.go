package memengine

import (
	"sync"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/ring"
)

// window is the idempotency keys that were used lately, of all rooms. That of two entries with the same key one alone is stored is a matter of
// room.mu, under which it is asked and told.
type window struct {
	length time.Duration
	most   int
	now    func() time.Duration

	mu     sync.Mutex
	places map[key]roomcast.Position
	order  ring.Ring[key] // of the same keys
	alarm  alarm
}

type key struct{ room, once string }

// find returns where the entry with the key is, or false.
func (w *window) find(room, once string) (roomcast.Position, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trimLocked(w.most)
	at, ok := w.places[key{room, once}]
	return at, ok
}

// add remembers a key that find does not know.
func (w *window) add(room, once string, at roomcast.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trimLocked(w.most - 1)
	if w.places == nil {
		w.places = map[key]roomcast.Position{}
	}
	w.places[key{room, once}] = at
	w.order.Push(key{room, once}, 0, w.now())
	w.setAlarmLocked()
}

// trimLocked forgets the keys that are too old, and more if there are too many.
func (w *window) trimLocked(most int) {
	before := w.now() - w.length
	for {
		oldest, at, ok := w.order.Oldest()
		if !ok || at > before && w.order.Len() <= most {
			break
		}
		delete(w.places, oldest)
		w.order.Drop(1)
	}
	if w.order.Len() == 0 {
		w.places = nil // a map keeps the size of the time when it was largest
	}
}

// setAlarmLocked has what is too old forgotten also if nothing is published, many at once.
func (w *window) setAlarmLocked() {
	_, oldest, ok := w.order.Oldest()
	if !ok {
		return
	}
	w.alarm.set(oldest+w.length+w.length/64-w.now(), func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.alarm.rang()
		w.trimLocked(w.most)
		w.setAlarmLocked()
	})
}

// end stops the alarm, and waits if it rings.
func (w *window) end() {
	w.mu.Lock()
	w.alarm.end()
	w.mu.Unlock()
	w.alarm.tasks.Wait()
}
