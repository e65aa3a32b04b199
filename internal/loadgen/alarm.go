package loadgen

import (
	"sync"
	"time"
)

// alarm sleeps until something is due. It has one user.
type alarm interface {
	// sleep returns when so many nanoseconds have passed, or has been cancelled.
	sleep(ns int64)
	// cancel makes sleep return now, and at once from now on. It may be called by anybody.
	cancel()
	// close frees the alarm when nobody uses it any more.
	close()
}

// clockAlarm is an alarm of Go's own timers. On Linux they are late by up to a millisecond; see alarm_linux.go.
type clockAlarm struct {
	stop func()
	done chan struct{} // closed by cancel
}

func newClockAlarm() alarm {
	done := make(chan struct{})
	return &clockAlarm{stop: sync.OnceFunc(func() { close(done) }), done: done}
}

func (a *clockAlarm) sleep(ns int64) {
	t := time.NewTimer(time.Duration(ns))
	defer t.Stop()
	select {
	case <-t.C:
	case <-a.done:
	}
}

func (a *clockAlarm) cancel() { a.stop() }

func (a *clockAlarm) close() {}
