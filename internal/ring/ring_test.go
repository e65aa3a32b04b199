package ring

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// model is what a Ring is, told without thought for time and memory.
type model struct {
	all  []slot[int] // all that was ever pushed
	gone int
}

func (m *model) kept() []slot[int] { return m.all[m.gone:] }

func (m *model) drop(n int) (size int64) {
	for range min(n, len(m.kept())) {
		size += m.all[m.gone].size
		m.gone++
	}
	return size
}

func (m *model) after(offset uint64, limit int) []int {
	var items []int
	for i, s := range m.all {
		if i >= m.gone && uint64(i) >= offset && len(items) < limit {
			items = append(items, s.item)
		}
	}
	return items
}

// pair is a Ring and its model, which are told the same.
type pair struct {
	ring  Ring[int]
	model model
	now   time.Duration
}

// step does what two bytes say, to both.
func (p *pair) step(op, arg byte) error {
	var got, want int64
	switch op % 8 {
	default: // most often
		p.now += time.Duration(op / 8 % 3)
		item := len(p.model.all)
		p.model.all = append(p.model.all, slot[int]{item, int64(arg), p.now})
		got, want = int64(p.ring.Push(item, int64(arg), p.now)), int64(item+1)
	case 1:
		got, want = p.ring.Drop(int(arg/16)), p.model.drop(int(arg/16))
	case 2:
		at := p.now - time.Duration(arg)
		old := 0
		for _, s := range p.model.kept() {
			if s.at <= at {
				old++
			}
		}
		got, want = p.ring.DropUntil(at), p.model.drop(old)
	case 3:
		limit := int(arg / 8)
		got, want := p.ring.Append([]int{-1}, uint64(arg), limit), append([]int{-1}, p.model.after(uint64(arg), limit)...)
		if !slices.Equal(got, want) {
			return fmt.Errorf("up to %d after %d: %v, want %v", limit, arg, got, want)
		}
	}
	if got != want {
		return fmt.Errorf("step %d %d returned %d, want %d", op, arg, got, want)
	}
	return p.compare()
}

func (p *pair) compare() error {
	r, kept := &p.ring, p.model.kept()
	var size int64
	for _, s := range kept {
		size += s.size
	}
	item, at, ok := r.Oldest()
	switch {
	case r.Len() != len(kept) || r.Last() != uint64(len(p.model.all)) || r.First() != uint64(p.model.gone+1) || r.Size() != size:
		return fmt.Errorf("%d items from %d to %d of size %d; want %d from %d to %d of size %d",
			r.Len(), r.First(), r.Last(), r.Size(), len(kept), p.model.gone+1, len(p.model.all), size)
	case ok != (len(kept) > 0) || ok && (at != kept[0].at || item != kept[0].item):
		return fmt.Errorf("the oldest is %d of %d, %t", item, at, ok)
	case !slices.Equal(r.Append(nil, 0, len(kept)), p.model.after(0, len(kept))):
		return fmt.Errorf("%v are kept, want %v", r.Append(nil, 0, len(kept)), p.model.after(0, len(kept)))
	case len(r.slots) > max(fewest, 4*r.Len()):
		return fmt.Errorf("%d slots for %d items", len(r.slots), r.Len())
	}
	return nil
}

// FuzzRing runs pushes, drops and reads against the naive model: two bytes are one step.
func FuzzRing(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 0, 3, 3, 255, 1, 32, 3, 255, 0, 4, 1, 255, 0, 5})
	f.Add(append(slices.Repeat([]byte{12, 7}, 40), 3, 200, 2, 9, 1, 240, 1, 240, 1, 240, 3, 8, 1, 16, 12, 9, 2, 0))
	f.Fuzz(func(t *testing.T, steps []byte) {
		var p pair
		for i := 0; i+1 < len(steps) && i < 1000; i += 2 {
			if err := p.step(steps[i], steps[i+1]); err != nil {
				t.Fatalf("step %d: %v", i/2, err)
			}
		}
	})
}

// What is dropped is not held: an empty ring has no slots, and those of a full one do not keep what they had.
func TestMemoryIsGivenBack(t *testing.T) {
	var r Ring[*int]
	for range 1000 {
		r.Push(new(int), 1, 0)
	}
	r.Drop(990)
	if len(r.slots) > 64 {
		t.Errorf("%d slots for 10 items", len(r.slots))
	}
	held := 0
	for _, s := range r.slots {
		if s.item != nil {
			held++
		}
	}
	if held != 10 {
		t.Errorf("%d items are held, want 10", held)
	}
	if r.Drop(10); r.slots != nil {
		t.Errorf("%d slots for no items", len(r.slots))
	}
	if offset := r.Push(nil, 1, 0); offset != 1001 {
		t.Errorf("the next offset is %d, want 1001", offset)
	}
}

func BenchmarkPush(b *testing.B) {
	var r Ring[int]
	for b.Loop() {
		if r.Push(1, 1, 0); r.Len() > 1000 {
			r.Drop(1)
		}
	}
}
