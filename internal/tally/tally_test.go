package tally

import (
	"math"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A value up to a bound and above the one before counts there, and one above all bounds in the last place.
func TestCounter(t *testing.T) {
	c := New(0.001, 1, 2.5, 10)
	for _, milli := range []uint64{0, 1000, 1001, 2500, 2501, 10_000, 10_001, 1_000_000} {
		c.Count(milli)
	}
	h := c.Histogram()
	if want := []uint64{2, 2, 2, 2}; !slices.Equal(h.Counts, want) || len(h.Bounds) != 3 {
		t.Errorf("counts = %v by %v, want %v", h.Counts, h.Bounds, want)
	}
	if want := 1027.003; math.Abs(h.Sum-want) > 1e-9 {
		t.Errorf("sum = %v, want %v", h.Sum, want)
	}
}
