package loadgen

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSchedule(t *testing.T) {
	s := schedule{start: 5, rate: 1000, senders: 3}
	for k, want := range map[uint64]int64{0: 5, 1: 5 + 1e6, 3000: 5 + 3e9} {
		if got := s.due(k); got != want {
			t.Errorf("message %d is due at %d, want %d", k, got, want)
		}
	}
	var all []uint64
	for sender := range 3 {
		for n := range uint64(4) {
			all = append(all, s.of(sender, n))
		}
	}
	slices.Sort(all)
	for k, got := range all {
		if got != uint64(k) {
			t.Fatalf("the senders' numbers are %v, want 0 to 11", all)
		}
	}
	if late := (schedule{rate: 1e-12, senders: 1}).due(1e6); late < int64(100*365*24*time.Hour) {
		t.Errorf("a message in the far future is due at %d", late)
	}
}

func TestShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, senders := rapid.Uint64Range(0, 1000).Draw(t, "all"), rapid.IntRange(1, 50).Draw(t, "senders")
		sum, low, high := uint64(0), all, uint64(0)
		for i := range senders {
			n := share(all, i, senders)
			sum, low, high = sum+n, min(low, n), max(high, n)
		}
		if sum != all || high-low > 1 {
			t.Fatalf("%d over %d: sum %d, from %d to %d", all, senders, sum, low, high)
		}
	})
}
