package natsengine

import (
	"errors"
	"testing"
	"time"
)

// However long ago it was that the streams were looked at last and were well, an election begins when they are not.
func TestElectionExcusesTheStreams(t *testing.T) {
	var e election
	now := time.Now()
	after := func(pause, took time.Duration, found error, want bool) {
		t.Helper()
		begun := now.Add(pause)
		now = begun.Add(took)
		if got := e.excuses(found, begun, now); got != want {
			t.Errorf("%v, after %v and %v: %v, want %v", found, pause, took, got, want)
		}
	}
	ill := errors.New("no leader")
	after(0, 0, ill, false) // there were none yet
	after(0, 0, nil, false)
	after(statusEvery, 5*time.Second, ill, true)
	after(setUpEvery, time.Second, ill, true)
	after(setUpEvery, 5*time.Second, ill, false)
	after(setUpEvery, 0, nil, false)
	after(statusEvery, 5*time.Second, ill, true)
	after(0, 0, errAway, false)
	after(0, 0, ill, false)
}
