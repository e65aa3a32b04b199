package natsengine

import (
	"sync"

	"github.com/roomcast/roomcast"
)

// audience is those who watch the table. Its lock is that of its presence.
type audience struct {
	watchers map[*watcher]struct{}
	tasks    sync.WaitGroup
}

// watcher is one of them. A goroutine of its own calls it, so that it may be slow: what it has not been told yet is kept once per member.
type watcher struct {
	changed func(members []roomcast.Member)
	wake    chan struct{} // cap 1: there is something to tell; never closed
	done    chan struct{} // closed by audience.remove

	// Guarded by the lock of the presence.
	pending map[string]newsItem
	order   []string // the members in pending, in the order of their first change
}

// add begins with a call that has all members. The caller holds the lock.
func (a *audience) add(mu sync.Locker, all []roomcast.Member, changed func(members []roomcast.Member)) (cancel func()) {
	w := &watcher{changed: changed, wake: make(chan struct{}, 1), done: make(chan struct{}), pending: map[string]newsItem{}}
	if a.watchers == nil {
		a.watchers = map[*watcher]struct{}{}
	}
	a.watchers[w] = struct{}{}
	a.tasks.Go(func() { w.run(mu, all) })
	return func() {
		mu.Lock()
		defer mu.Unlock()
		a.remove(w)
	}
}

func (a *audience) remove(w *watcher) {
	if _, ok := a.watchers[w]; ok {
		delete(a.watchers, w)
		close(w.done)
	}
}

func (a *audience) tell(news []newsItem) {
	for w := range a.watchers {
		for _, n := range news {
			w.add(n)
		}
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// end removes all; wait waits, without the lock, until the last call has returned.
func (a *audience) end() {
	for w := range a.watchers {
		a.remove(w)
	}
}

func (a *audience) wait() { a.tasks.Wait() }

func (w *watcher) add(n newsItem) {
	id := n.member.ID
	before, waiting := w.pending[id]
	if waiting {
		n.fresh = before.fresh
	} else {
		w.order = append(w.order, id)
	}
	w.pending[id] = n
}

// take is what is to be told now: the latest of each member. One that has come and gone meanwhile is not worth a word.
func (w *watcher) take() []roomcast.Member {
	var members []roomcast.Member
	for _, id := range w.order {
		if n := w.pending[id]; !n.member.Gone || !n.fresh {
			members = append(members, n.member)
		}
	}
	clear(w.pending)
	w.order = w.order[:0]
	return members
}

func (w *watcher) run(mu sync.Locker, members []roomcast.Member) {
	for first := true; ; first = false {
		if first || len(members) > 0 {
			w.changed(members)
		}
		select {
		case <-w.done:
			return
		case <-w.wake:
		}
		mu.Lock()
		members = w.take()
		mu.Unlock()
		select {
		case <-w.done: // it may have been removed while both were there to choose from
			return
		default:
		}
	}
}
