package memengine

import "sync"

// outlet hands over what is put into it, in that order, never two calls at a time, and never from within put. It has a goroutine only while
// there is something in it. What waits is not bounded: callbacks of an engine do not block.
type outlet[T any] struct {
	hand  func([]T)
	tasks *sync.WaitGroup // counts the goroutine

	mu      sync.Mutex
	waiting []T
	busy    bool // there is a goroutine
	ended   bool
}

// put does not wait. Putting nothing has hand called as well.
func (o *outlet[T]) put(items ...T) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return
	}
	o.waiting = append(o.waiting, items...)
	if !o.busy {
		o.busy = true
		o.tasks.Go(o.run)
	}
}

func (o *outlet[T]) run() {
	for first := true; ; first = false {
		o.mu.Lock()
		items := o.waiting
		o.waiting = nil
		o.busy = !o.ended && (first || len(items) > 0)
		busy := o.busy
		o.mu.Unlock()
		if !busy {
			return
		}
		o.hand(items)
	}
}

// end does not wait for a call under way; after that there is none.
func (o *outlet[T]) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended, o.waiting = true, nil
}
