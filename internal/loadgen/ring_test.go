package loadgen

import (
	"testing"
)

func TestRing(t *testing.T) {
	g := newRing(10, 2, 3)
	if got := g.free(10); got != 3 {
		t.Errorf("free at first = %d, want 3", got)
	}
	if g.reached(8, 11) || g.free(12) != 1 {
		t.Errorf("one of two members has 11: free after 12 = %d, want 1", g.free(12))
	}
	if !g.reached(10, 12) || g.free(12) != 2 {
		t.Errorf("the second one jumped to 12: free after 12 = %d, want 2, since 11 has arrived", g.free(12))
	}
	if !g.reached(11, 14) || g.free(14) != 1 {
		t.Errorf("the first one is at 14: free after 14 = %d, want 1, since 12 has arrived", g.free(14))
	}
	if !g.reached(12, 14) || g.free(14) != 3 {
		t.Errorf("both are at 14: free = %d, want 3", g.free(14))
	}
	if g.reached(5, 9) || g.free(14) != 3 {
		t.Error("numbers from before the ring count")
	}
}
