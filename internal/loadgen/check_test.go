package loadgen

import (
	"testing"

	"pgregory.net/rapid"
)

// TestTracker compares with a model that remembers every number.
func TestTracker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tr tracker
		seen, highest := map[uint64]bool{}, uint64(0)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			seq := rapid.Uint64Range(1, 40).Draw(t, "seq")
			want := fresh
			switch {
			case seen[seq]:
				want = duplicate
			case seq < highest:
				want = late
			}
			seen[seq], highest = true, max(highest, seq)
			if got := tr.see(seq); got != want {
				t.Fatalf("number %d is %v, want %v", seq, got, want)
			}
			if got, want := tr.missing(41), uint64(41-len(seen)); got != want {
				t.Fatalf("missing %d, want %d", got, want)
			}
		}
	})
}

// TestTrackerForgets holds that what is remembered of a sequence full of gaps is bounded, and that nothing missing is lost of the count.
func TestTrackerForgets(t *testing.T) {
	var tr tracker
	const sent = 10 * maxGaps
	for seq := uint64(2); seq <= sent; seq += 2 {
		tr.see(seq)
	}
	if got := tr.missing(sent); got != sent/2 {
		t.Errorf("missing %d, want %d", got, sent/2)
	}
	if n := len(tr.gaps.open); n > maxGaps {
		t.Errorf("%d gaps are remembered, want at most %d", n, maxGaps)
	}
	if got := tr.see(sent - 1); got != late {
		t.Errorf("a number of a recent gap is %v, want late", got)
	}
	if got := tr.see(1); got != duplicate || tr.missing(sent) != sent/2-1 {
		t.Errorf("a number of a forgotten gap is %v, want a duplicate and still missing", got)
	}
}
