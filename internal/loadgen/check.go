package loadgen

import "slices"

// verdict is what a sequence number means to the member that gets it.
type verdict int

const (
	fresh     verdict = iota // the next one, or one after a gap
	late                     // after a message that was sent later: out of order
	duplicate                // it was here before
)

// maxGaps bounds what one member remembers of the gaps in one sender's sequence.
const maxGaps = 1024

// tracker checks the sequence of one sender at one member. The zero value expects number 1.
type tracker struct {
	last uint64 // the highest number seen
	gaps *gaps  // nil until something is missing
}

// gaps are the numbers below tracker.last that have not come.
type gaps struct {
	open []gap  // in order of their numbers
	lost uint64 // numbers in gaps that were forgotten because there were too many
}

// gap is the numbers from first to last.
type gap struct{ first, last uint64 }

// see judges a number, which is at least 1.
func (t *tracker) see(seq uint64) verdict {
	switch {
	case seq == t.last+1:
		t.last = seq
		return fresh
	case seq > t.last:
		if t.gaps == nil {
			t.gaps = &gaps{}
		}
		t.gaps.add(gap{t.last + 1, seq - 1})
		t.last = seq
		return fresh
	case t.gaps != nil && t.gaps.fill(seq):
		return late
	}
	return duplicate
}

// missing is how many of the numbers from 1 to sent have not come.
func (t *tracker) missing(sent uint64) uint64 {
	n := sent - min(sent, t.last)
	if t.gaps != nil {
		n += t.gaps.lost
		for _, g := range t.gaps.open {
			n += g.last - g.first + 1
		}
	}
	return n
}

// add forgets the older half of the gaps when there are too many: what is missing there stays missing, and a number that comes from
// there after all is taken for a duplicate.
func (g *gaps) add(new gap) {
	if len(g.open) == maxGaps {
		for _, old := range g.open[:maxGaps/2] {
			g.lost += old.last - old.first + 1
		}
		g.open = slices.Delete(g.open, 0, maxGaps/2)
	}
	g.open = append(g.open, new)
}

// fill takes a number out of its gap; false if it is in none.
func (g *gaps) fill(seq uint64) bool {
	i, found := slices.BinarySearchFunc(g.open, seq, func(x gap, seq uint64) int {
		switch {
		case x.last < seq:
			return -1
		case x.first > seq:
			return 1
		}
		return 0
	})
	if !found {
		return false
	}
	switch x := &g.open[i]; {
	case x.first == x.last:
		g.open = slices.Delete(g.open, i, i+1)
	case seq == x.first:
		x.first++
	case seq == x.last:
		x.last--
	default:
		right := gap{seq + 1, x.last}
		x.last = seq - 1
		g.open = slices.Insert(g.open, i+1, right)
	}
	return true
}
